//! A DeepONet in physical units, and with a given input function as a plain coordinate network.

use rwf_runtime::format::{Activation, Layer, MAX_LAYERS};

use super::{Normalization, activate, fold, forward_f64};
use crate::{
    error::{Error, Result},
    network::{DeepOnet, DenseNetwork, HostDense, Parameter, deeponet::part},
};

/// A DeepONet of dense layers, all factors folded.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseOperator {
    /// From the sensors, `[sensors] -> [outputs·latent]`, with a head of weights `[latent]`.
    pub branch: DenseNetwork,
    /// From a point, `[inputs] -> ` as the branch.
    pub trunk: DenseNetwork,
    /// Weights `[latent, outputs]` and bias `[outputs]`; without weights `[0, outputs]` each output is an inner product.
    pub head: HostDense,
    /// Activation of the product in front of weights of the head.
    pub activation: Activation,
}

impl DeepOnet {
    /// The dense layers these parameters stand for, in f64.
    pub fn dense_f64(&self, parameters: &[Parameter]) -> DenseOperator {
        let of = |n: usize| part(parameters, n);
        let head = match &self.head {
            Some(head) => head.dense_f64(&of(2)).layers.remove(0),
            None => {
                let bias = of(2).iter().flat_map(|p| &p.values).map(|&v| f64::from(v)).collect();
                HostDense { kernel: Vec::new(), bias, inputs: 0, outputs: self.outputs }
            }
        };
        DenseOperator {
            branch: self.branch.dense_f64(&of(0)),
            trunk: self.trunk.dense_f64(&of(1)),
            head,
            activation: self.activation,
        }
    }
}

impl DenseOperator {
    /// Numbers that are summed for an output.
    pub fn latent(&self) -> usize {
        let width = self.trunk.architecture.outputs();
        if self.is_dot() { width / self.head.outputs } else { width }
    }

    /// Whether values are inner products.
    pub fn is_dot(&self) -> bool {
        self.head.inputs == 0
    }

    /// The operator in physical units, folded in f64; the inputs of `n` are the sensors, then the coordinates of a point.
    pub fn fold(&self, n: &Normalization) -> Self {
        let sensors = self.branch.architecture.inputs;
        let width = self.trunk.architecture.outputs();
        let of_inputs = |range: std::ops::Range<usize>| Normalization {
            input_centre: n.input_centre[range.clone()].to_vec(),
            input_half: n.input_half[range].to_vec(),
            output_centre: vec![0.0; width],
            output_half: vec![1.0; width],
            mask: None,
        };
        let mut branch = fold(&self.branch, &of_inputs(0..sensors));
        let trunk = fold(&self.trunk, &of_inputs(sensors..n.input_centre.len()));
        let mut head = self.head.clone();
        if self.is_dot() {
            let (latent, last) = (self.latent(), branch.layers.last_mut().expect("a network has layers"));
            let scale = |k: usize| n.output_half[k / latent];
            for row in last.kernel.chunks_exact_mut(width) {
                row.iter_mut().enumerate().for_each(|(k, w)| *w *= scale(k));
            }
            last.bias.iter_mut().enumerate().for_each(|(k, b)| *b *= scale(k));
        }
        for row in head.kernel.chunks_exact_mut(head.outputs) {
            row.iter_mut().zip(&n.output_half).for_each(|(w, half)| *w *= half);
        }
        for (o, b) in head.bias.iter_mut().enumerate() {
            *b = *b * n.output_half[o] + n.output_centre[o];
        }
        Self { branch, trunk, head, activation: self.activation }
    }

    /// The coordinate network of the input function `u` `[sensors]`: the branch's numbers go into the trunk's last layer.
    ///
    /// # Errors
    /// [`Error::Config`] where that is no network of the format: the dense layer of a head behind a gated trunk, which
    /// would gate it too, or behind one of as many layers as there can be.
    pub fn of_function(&self, u: &[f64]) -> Result<DenseNetwork> {
        let b = forward_f64(&self.branch, u);
        let mut out = self.trunk.clone();
        let described = out.architecture.layers.last_mut().expect("a network has layers");
        let last = out.layers.last_mut().expect("a network has layers");
        if self.is_dot() {
            let (latent, outputs) = (self.latent(), self.head.outputs);
            let sum = |of: &[f64], o: usize| -> f64 {
                of[o * latent..(o + 1) * latent].iter().zip(&b[o * latent..]).map(|(w, b)| w * b).sum()
            };
            let rows = last.kernel.chunks_exact(last.outputs);
            last.kernel = rows.flat_map(|row| (0..outputs).map(move |o| sum(row, o))).collect();
            last.bias = (0..outputs).map(|o| self.head.bias[o] + sum(&last.bias, o)).collect();
            last.outputs = outputs;
            described.outputs = outputs;
            return Ok(out);
        }
        let refuse = |message: &str| Err(Error::Config { field: "--fold-input".into(), message: message.into() });
        if out.architecture.gate.is_some() {
            return refuse("found a dense layer behind a gated trunk, expected `merge = \"dot\"` or an mlp to fold");
        }
        if self.trunk.layers.len() == MAX_LAYERS {
            return refuse("found a trunk of 16 layers and one behind it, expected at most 15 to fold");
        }
        for row in last.kernel.chunks_exact_mut(last.outputs) {
            row.iter_mut().zip(&b).for_each(|(w, b)| *w *= b);
        }
        last.bias.iter_mut().zip(&b).for_each(|(w, b)| *w *= b);
        described.activation = self.activation;
        out.layers.push(self.head.clone());
        let layer = Layer { inputs: self.head.inputs, outputs: self.head.outputs, activation: Activation::Identity };
        out.architecture.layers.push(layer).expect("there is room for it");
        Ok(out)
    }

    /// Values at one point in f64, `[sensors], [inputs] -> [outputs]`: the simplest evaluator, oracle of all others.
    pub fn forward_f64(&self, u: &[f64], y: &[f64]) -> Vec<f64> {
        let product: Vec<f64> =
            forward_f64(&self.branch, u).iter().zip(forward_f64(&self.trunk, y)).map(|(b, t)| b * t).collect();
        let latent = self.latent();
        let value = |(o, bias): (usize, &f64)| {
            if self.is_dot() {
                return bias + product[o * latent..(o + 1) * latent].iter().sum::<f64>();
            }
            let weights = self.head.kernel.iter().skip(o).step_by(self.head.outputs);
            bias + product.iter().zip(weights).map(|(z, w)| activate(self.activation, *z) * w).sum::<f64>()
        };
        self.head.bias.iter().enumerate().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::{ArchitectureKind, DeepOnetConfig, MappingConfig, Merge, NetworkConfig},
        rng::Rng,
        tolerance,
    };

    fn normalization() -> Normalization {
        Normalization {
            input_centre: vec![3.0, 3.0, 3.0, 3.0, 100.0, -2.0],
            input_half: vec![0.5, 0.5, 0.5, 0.5, 40.0, 7.0],
            output_centre: vec![1.0, -3.0],
            output_half: vec![20.0, 5e-3],
            mask: None,
        }
    }

    fn operator(architecture: ArchitectureKind, merge: Merge) -> DenseOperator {
        let config =
            DeepOnetConfig { sensors: 4, latent: 5, merge, branch: None, branch_hidden: None, branch_depth: None };
        let mapping = MappingConfig::Gaussian { frequencies: 3, scale: 0.5 };
        let network = NetworkConfig { mapping, ..NetworkConfig::new(architecture, 6, 2) };
        let (deeponet, mut start) = DeepOnet::new(&config, &network, 2, 2, &Rng::new(4)).unwrap();
        start.iter_mut().filter(|p| p.name == "head.bias").for_each(|p| p.values = vec![0.25, -0.5]);
        deeponet.dense_f64(&start)
    }

    /// Physical units in and out, and the branch folded into the trunk, against the operator itself.
    #[test]
    fn folded_operators_equal_the_whole_one() {
        let n = normalization();
        for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
            for merge in [Merge::Dot, Merge::Dense] {
                let whole = operator(architecture, merge);
                let folded = whole.fold(&n);
                let (u, y) = ([0.3, -0.8, 0.1, 0.9], [0.4, -0.7]);
                let physical = |x: &[f64], from: usize| -> Vec<f64> {
                    x.iter().enumerate().map(|(i, x)| n.input_centre[from + i] + n.input_half[from + i] * x).collect()
                };
                let (pu, py) = (physical(&u, 0), physical(&y, 4));
                let expected = whole.forward_f64(&u, &y);
                let one = folded.of_function(&pu);
                if merge == Merge::Dense && architecture == ArchitectureKind::ModifiedMlp {
                    assert!(one.unwrap_err().to_string().contains("gated"));
                    continue;
                }
                for found in [folded.forward_f64(&pu, &py), forward_f64(&one.unwrap(), &py)] {
                    for (o, v) in found.iter().enumerate() {
                        let back = (v - n.output_centre[o]) / n.output_half[o];
                        let bound = tolerance::FOLD * (1.0 + n.output_centre[o].abs() / n.output_half[o]);
                        assert!(
                            (back - expected[o]).abs() < bound,
                            "{architecture:?} {merge:?}: {back} {}",
                            expected[o]
                        );
                    }
                }
            }
        }
    }
}
