//! A model's dense layers, ready to be enclosed over boxes.

use rwf_runtime::format::{Mapping, MathBackend};

use super::Form;
use crate::network::{DenseNetwork, HostDense};

/// A model as the runtime evaluates it, weights rounded as in its file.
#[derive(Debug, Clone)]
pub struct Network {
    dense: DenseNetwork,
    math: MathBackend,
    mapping: Vec<f64>,
    encoders: Vec<Vec<f64>>,
    layers: Vec<Vec<f64>>,
}

impl Network {
    /// Of the dense layers of a file ([`export::dense`](crate::export::dense)), evaluated with `math`.
    pub fn new(dense: DenseNetwork, math: MathBackend) -> Self {
        let magnitude = |layer: &HostDense| layer.kernel.iter().map(|w| w.abs()).collect::<Vec<f64>>();
        Self {
            math,
            mapping: dense.mapping.iter().flat_map(magnitude).collect(),
            encoders: dense.encoders.iter().map(magnitude).collect(),
            layers: dense.layers.iter().map(magnitude).collect(),
            dense,
        }
    }

    /// Number of coordinates.
    pub fn inputs(&self) -> usize {
        self.dense.architecture.inputs
    }

    /// Number of values.
    pub fn outputs(&self) -> usize {
        self.dense.architecture.outputs()
    }

    /// Multiply-adds in f64 of one enclosure, about.
    pub fn work(&self) -> u64 {
        (self.dense.architecture.multiply_adds() * (3 + self.inputs())) as u64
    }

    /// Encloses the outputs over the box of half widths `half` around `centre`, in physical units.
    pub fn enclose(&self, centre: &[f64], half: &[f64]) -> Form {
        let architecture = &self.dense.architecture;
        let coordinates = Form::coordinates(centre);
        let features = match (&self.dense.mapping, architecture.mapping) {
            (Some(mapping), Mapping::Fourier { raw, .. }) => {
                let waves = coordinates.dense(mapping, &self.mapping, half).waves(self.math, half);
                if raw { coordinates.join(waves) } else { waves }
            }
            _ => coordinates,
        };
        let gate = architecture.gate.map(|activation| {
            let encode = |n: usize| {
                features.dense(&self.dense.encoders[n], &self.encoders[n], half).activation(activation, self.math, half)
            };
            let (u, v) = (encode(0), encode(1));
            let difference = u.minus(&v, half);
            (v, difference)
        });
        let mut h = features;
        let last = self.dense.layers.len() - 1;
        for (n, (layer, described)) in self.dense.layers.iter().zip(&architecture.layers).enumerate() {
            h = h.dense(layer, &self.layers[n], half).activation(described.activation, self.math, half);
            if let Some((v, difference)) = gate.as_ref().filter(|_| n < last) {
                h = v.plus_product(&h, difference, half);
            }
        }
        if let Some(mask) = &self.dense.mask {
            h = h.masked(mask, centre, half);
        }
        match &self.dense.output {
            Some((scale, offset)) => h.affine(scale, offset, half),
            None => h,
        }
    }
}

#[cfg(test)]
mod tests {
    use rwf_runtime::{Model, format::Precision};

    use super::*;
    use crate::{
        evaluate::evaluate,
        export::{self, Description},
        network::{ActivationKind, ArchitectureKind, MappingConfig, Network as Trained, NetworkConfig},
        rng::Rng,
    };

    /// Over random networks of every kind and random boxes, what the runtime computes lies in the form.
    #[test]
    fn what_the_runtime_computes_lies_in_the_form() {
        let mut rng = Rng::new(1);
        let description = Description {
            signal: "test".into(),
            inputs: "x -1 1;y -1 1".into(),
            outputs: "v 0 1".into(),
            grid: None,
            error: None,
            provenance: String::new(),
        };
        let mut tight = 0;
        for round in 0..400 {
            let architecture =
                [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp][round % 3];
            let mut config = NetworkConfig::new(architecture, 4 + rng.below(8), 1 + rng.below(3));
            if architecture != ArchitectureKind::Siren {
                let all = [
                    ActivationKind::Relu,
                    ActivationKind::Tanh,
                    ActivationKind::Gelu,
                    ActivationKind::Swish,
                    ActivationKind::Sigmoid,
                ];
                config.activation = Some(all[rng.below(all.len())]);
            }
            config.mapping = match rng.below(3) {
                0 => MappingConfig::None,
                1 => MappingConfig::Gaussian { frequencies: 3, scale: 1.0 },
                _ => MappingConfig::PositionalOctaves { levels: 2, raw: true },
            };
            if rng.below(2) == 0 {
                config.output_activation = ActivationKind::Sigmoid;
            }
            config.omega0 = 5.0 + 20.0 * rng.uniform();
            config.omega0_first = config.omega0;
            let (network, mut start) = Trained::new(&config, 2, 1, &mut rng.stream(&round.to_string())).unwrap();
            for p in &mut start {
                p.values.iter_mut().for_each(|v| *v += 0.3 * rng.normal() as f32);
            }
            let precision = [Precision::F32, Precision::F16][rng.below(2)];
            let math = [MathBackend::Polynomial, MathBackend::Libm][rng.below(2)];
            let mut dense = network.dense_f64(&start);
            if rng.below(3) == 0 {
                dense.mask = Some((0..8).map(|_| rng.normal()).collect());
                dense.architecture.output_mask = true;
            }
            let file = export::model(&dense, &description, precision, math).unwrap();
            let enclosed = Network::new(export::dense(&file).unwrap(), math);
            let centre = [rng.symmetric(1.0), rng.symmetric(1.0)];
            let half = [0, 1].map(|_| 10f64.powf(-4.0 * rng.uniform()) * 0.3);
            let form = enclosed.enclose(&centre, &half);
            let points: Vec<f32> =
                (0..128).map(|i| (centre[i % 2] + rng.symmetric(0.9999 * half[i % 2])) as f32).collect();
            let values = evaluate(&Model::new(&file).unwrap(), &points);
            let mut off = 0.0f64;
            for (x, v) in points.chunks_exact(2).zip(&values) {
                let affine: f64 =
                    form.value[0] + (0..2).map(|j| form.slope[j][0] * (f64::from(x[j]) - centre[j])).sum::<f64>();
                off = off.max((f64::from(*v) - affine).abs());
            }
            assert!(off <= form.rest[0], "{config:?} {half:?}: {off} {}", form.rest[0]);
            tight += usize::from(off > 0.01 * form.rest[0]);
        }
        // A form that is wide without need would be no help to anyone.
        assert!(tight > 200, "{tight} of 400 remainders within 100 times what was seen");
    }
}
