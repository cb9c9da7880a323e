//! 6 Everything affine into the dense layers: the factors are there already, here come the physical units.

mod mask;
mod operator;

use rwf_runtime::format::{Activation, Mapping};
use serde::{Deserialize, Serialize};

pub use mask::Mask;
pub use operator::DenseOperator;

use crate::network::{DenseNetwork, HostDense};

/// physical = centre + half·normalised, per input and per output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Middle of each input's range.
    pub input_centre: Vec<f64>,
    /// Half its width.
    pub input_half: Vec<f64>,
    /// Middle of each output's range.
    pub output_centre: Vec<f64>,
    /// Half its width.
    pub output_half: Vec<f64>,
    /// What a normalised output is multiplied by where it must vanish on walls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
}

impl Normalization {
    /// Physical units as they are.
    pub fn identity(inputs: usize, outputs: usize) -> Self {
        Self {
            input_centre: vec![0.0; inputs],
            input_half: vec![1.0; inputs],
            output_centre: vec![0.0; outputs],
            output_half: vec![1.0; outputs],
            mask: None,
        }
    }
}

/// The network in physical units, folded in f64: inputs into the mapping's matrix and whatever else sees raw
/// coordinates, outputs into the last layer, or behind an output activation into a scale and an offset.
pub fn fold(dense: &DenseNetwork, normalization: &Normalization) -> DenseNetwork {
    let mut out = dense.clone();
    let n = normalization;
    let raw = match dense.architecture.mapping {
        Mapping::None | Mapping::Fourier { raw: true, .. } => dense.architecture.inputs,
        Mapping::Fourier { raw: false, .. } => 0,
    };
    if let Some(mapping) = &mut out.mapping {
        fold_inputs(mapping, dense.architecture.inputs, n);
    }
    for layer in out.encoders.iter_mut().chain(out.layers.first_mut()) {
        fold_inputs(layer, raw, n);
    }
    if let Some(mask) = &n.mask {
        out.mask = Some(mask.numbers());
        out.architecture.output_mask = true;
    }
    let last = out.layers.last_mut().expect("a network has layers");
    let identity = dense.architecture.layers.last().is_some_and(|l| l.activation == Activation::Identity);
    // What is added behind a mask is no part of the layer before it.
    let plain = n.mask.is_none() || n.output_centre.iter().all(|&c| c == 0.0);
    match (&mut out.output, identity && plain) {
        (None, true) => {
            for row in last.kernel.chunks_exact_mut(last.outputs) {
                row.iter_mut().zip(&n.output_half).for_each(|(w, half)| *w *= half);
            }
            for (o, b) in last.bias.iter_mut().enumerate() {
                *b = *b * n.output_half[o] + n.output_centre[o];
            }
        }
        // Nothing to scale: an occupancy is the sigmoid's own value.
        (None, false) if is_identity(&n.output_centre, &n.output_half) => {}
        (None, false) => {
            out.output = Some((n.output_half.clone(), n.output_centre.clone()));
            out.architecture.output_affine = true;
        }
        (Some((scale, offset)), _) => {
            for o in 0..scale.len() {
                scale[o] *= n.output_half[o];
                offset[o] = offset[o] * n.output_half[o] + n.output_centre[o];
            }
        }
    }
    out
}

fn is_identity(centre: &[f64], half: &[f64]) -> bool {
    centre.iter().all(|&c| c == 0.0) && half.iter().all(|&h| h == 1.0)
}

/// [`fold`] of a network that was trained without the activation `head` of its outputs, logits say.
pub fn fold_with_head(mut dense: DenseNetwork, head: Activation, normalization: &Normalization) -> DenseNetwork {
    if let Some(last) = dense.architecture.layers.last_mut().filter(|_| head != Activation::Identity) {
        last.activation = head;
    }
    fold(&dense, normalization)
}

/// The first `rows` inputs of `layer` come in physical units from now on.
fn fold_inputs(layer: &mut HostDense, rows: usize, n: &Normalization) {
    for axis in 0..rows {
        let row = &mut layer.kernel[axis * layer.outputs..][..layer.outputs];
        for (w, b) in row.iter_mut().zip(&mut layer.bias) {
            *w /= n.input_half[axis];
            *b -= *w * n.input_centre[axis];
        }
    }
}

/// Values of `dense` at one point in f64, `[inputs] -> [outputs]`: the simplest evaluator, oracle of all others.
pub fn forward_f64(dense: &DenseNetwork, x: &[f64]) -> Vec<f64> {
    let architecture = &dense.architecture;
    let features = match (&dense.mapping, architecture.mapping) {
        (Some(mapping), Mapping::Fourier { raw, .. }) => {
            let turns = apply(mapping, x, Activation::Identity);
            let mut features = if raw { x.to_vec() } else { Vec::new() };
            features.extend(turns.iter().map(|t| (std::f64::consts::TAU * t).sin()));
            features.extend(turns.iter().map(|t| (std::f64::consts::TAU * t).cos()));
            features
        }
        _ => x.to_vec(),
    };
    let gate = architecture.gate.map(|activation| {
        let encode = |n: usize| apply(&dense.encoders[n], &features, activation);
        (encode(0), encode(1))
    });
    let mut h = features;
    for (n, (layer, described)) in dense.layers.iter().zip(&architecture.layers).enumerate() {
        h = apply(layer, &h, described.activation);
        if let Some((u, v)) = gate.as_ref().filter(|_| n + 1 < dense.layers.len()) {
            for ((h, u), v) in h.iter_mut().zip(u).zip(v) {
                *h = *h * u + (1.0 - *h) * v;
            }
        }
    }
    if let Some(mask) = &dense.mask {
        mask::apply(mask, x, &mut h);
    }
    if let Some((scale, offset)) = &dense.output {
        for (h, (scale, offset)) in h.iter_mut().zip(scale.iter().zip(offset)) {
            *h = *h * scale + offset;
        }
    }
    h
}

fn apply(layer: &HostDense, x: &[f64], activation: Activation) -> Vec<f64> {
    let mut y = layer.bias.clone();
    for (x, row) in x.iter().zip(layer.kernel.chunks_exact(layer.outputs)) {
        y.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
    }
    y.into_iter().map(|y| activate(activation, y)).collect()
}

/// An activation in f64, as the format defines it.
pub(crate) fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
        Activation::Sine => (std::f64::consts::TAU * x).sin(),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Gelu => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Swish => x / (1.0 + (-x).exp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::{ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig},
        rng::Rng,
        tolerance,
    };

    #[test]
    fn physical_in_and_out_equal_the_normalised_network() {
        let n = Normalization {
            input_centre: vec![300.0, -4.0],
            input_half: vec![250.0, 0.5],
            output_centre: vec![1000.0, 0.0, -3.0],
            output_half: vec![20.0, 5e-6, 1.0],
            mask: None,
        };
        let mappings = [
            MappingConfig::None,
            MappingConfig::Gaussian { frequencies: 6, scale: 2.0 },
            MappingConfig::PositionalOctaves { levels: 3, raw: true },
        ];
        for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
            for mapping in mappings {
                for output_activation in [ActivationKind::Identity, ActivationKind::Sigmoid] {
                    let config = NetworkConfig { mapping, output_activation, ..NetworkConfig::new(architecture, 7, 2) };
                    let (network, start) = Network::new(&config, 2, 3, &mut Rng::new(2)).unwrap();
                    let dense = network.dense_f64(&start);
                    let folded = fold(&dense, &n);
                    for x in [[0.3, -0.9], [-1.0, 1.0]] {
                        let physical: Vec<f64> = (0..2).map(|i| n.input_centre[i] + n.input_half[i] * x[i]).collect();
                        let expected = forward_f64(&dense, &x);
                        for (o, found) in forward_f64(&folded, &physical).into_iter().enumerate() {
                            let back = (found - n.output_centre[o]) / n.output_half[o];
                            let error = (back - expected[o]).abs();
                            // The offset's own rounding is divided by the half width.
                            let bound = tolerance::FOLD * (1.0 + n.output_centre[o].abs() / n.output_half[o]);
                            assert!(error < bound, "{architecture:?} {mapping:?} {output_activation:?}: {error:e}");
                        }
                    }
                }
            }
        }
    }
}
