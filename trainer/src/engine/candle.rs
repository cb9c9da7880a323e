//! The general engine: candle's autograd, for every network and device. Reference of the fast ones.

use candle_core::{D, DType, Device, Tensor, Var};
use rwf_runtime::format::{Architecture, Mapping};

use super::{
    AdamStep, Batch, Engine, Loss, StepReport,
    activation::apply,
    adam::{Trained, update},
};
use crate::{
    error::{Error, Result},
    network::{DenseNetwork, DenseSpec, HostDense, Network, Parameter, materialize},
};

/// Most values of features kept for the whole signal; beyond that they are made anew for every batch.
const CACHED_FEATURES: usize = 1 << 26;

/// A network under candle's autograd.
#[derive(Debug)]
pub struct CandleEngine {
    network: Network,
    trained: Vec<Trained>,
    mapping: Option<(Tensor, Tensor)>,
    device: Device,
    /// Coordinates or features of the loaded samples.
    x: Tensor,
    /// Whether `x` holds features.
    mapped: bool,
    y: Tensor,
}

/// Kernel `[in, out]` and bias `[out]` as tensors.
type DenseTensors = (Tensor, Tensor);

impl CandleEngine {
    /// `network` with these trained numbers on `device`.
    ///
    /// # Errors
    /// Those of the device, or a parameter that is missing or has another shape.
    pub fn new(network: &Network, parameters: &[Parameter], device: &Device) -> Result<Self> {
        let mut trained = Vec::new();
        for spec in network.encoders.iter().chain(&network.layers) {
            let mut tensors = vec![(spec.parameterization.weight(), vec![spec.inputs, spec.outputs])];
            if let Some((name, count)) = spec.parameterization.extra(spec.outputs) {
                tensors.push((name, vec![count]));
            }
            tensors.push(("bias", vec![spec.outputs]));
            for (suffix, shape) in tensors {
                let name = format!("{}.{suffix}", spec.name);
                let count: usize = shape.iter().product();
                trained.push(Trained {
                    value: Var::zeros(shape, DType::F32, device)?,
                    moments: Var::zeros((2, count), DType::F32, device)?,
                    name,
                });
            }
        }
        let mapping = match &network.mapping {
            None => None,
            Some(m) => {
                let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
                let kernel = Tensor::from_vec(single(&m.kernel), (m.inputs, m.outputs), device)?;
                Some((kernel, Tensor::from_vec(single(&m.bias), m.outputs, device)?))
            }
        };
        let nothing = Tensor::zeros((0, 1), DType::F32, device)?;
        let mut engine = Self {
            network: network.clone(),
            trained,
            mapping,
            device: device.clone(),
            x: nothing.clone(),
            mapped: false,
            y: nothing,
        };
        engine.set_parameters(parameters)?;
        Ok(engine)
    }

    fn architecture(&self) -> &Architecture {
        &self.network.architecture
    }

    /// The dense layers of `specs`, still attached to what is trained.
    fn materialize(&self, specs: &[DenseSpec]) -> Result<Vec<DenseTensors>> {
        let get = |spec: &DenseSpec, suffix: &str| {
            let name = format!("{}.{suffix}", spec.name);
            let found = self.trained.iter().find(|t| t.name == name);
            found.expect("made in `new`").value.as_tensor()
        };
        specs
            .iter()
            .map(|spec| {
                let extra = spec.parameterization.extra(spec.outputs).map(|(name, _)| get(spec, name));
                materialize(spec, get(spec, spec.parameterization.weight()), extra, get(spec, "bias"))
            })
            .collect()
    }

    /// Coordinates to features, `[n, inputs] -> [n, features]`.
    fn features(&self, x: &Tensor) -> Result<Tensor> {
        let (Some((kernel, bias)), Mapping::Fourier { raw, .. }) = (&self.mapping, self.architecture().mapping) else {
            return Ok(x.clone());
        };
        let turns = x.matmul(kernel)?.broadcast_add(bias)?;
        let angle = (turns * std::f64::consts::TAU)?;
        let (sin, cos) = (angle.sin()?, angle.cos()?);
        let parts = if raw { vec![x.clone(), sin, cos] } else { vec![sin, cos] };
        Ok(Tensor::cat(&parts, D::Minus1)?)
    }

    /// Features to values, `[n, features] -> [n, outputs]`.
    fn network_forward(&self, features: &Tensor) -> Result<Tensor> {
        let layers = self.materialize(&self.network.layers)?;
        let encoders = self.materialize(&self.network.encoders)?;
        let dense = |x: &Tensor, (kernel, bias): &DenseTensors| -> Result<Tensor> {
            Ok(x.matmul(kernel)?.broadcast_add(bias)?)
        };
        let gate = match self.architecture().gate {
            None => None,
            Some(activation) => {
                let u = apply(&dense(features, &encoders[0])?, activation)?;
                let v = apply(&dense(features, &encoders[1])?, activation)?;
                Some(((&u - &v)?, v))
            }
        };
        let mut h = features.clone();
        let described = &self.architecture().layers;
        for (n, (layer, described)) in layers.iter().zip(described).enumerate() {
            h = apply(&dense(&h, layer)?, described.activation)?;
            if let Some((difference, v)) = gate.as_ref().filter(|_| n + 1 < layers.len()) {
                h = (v + (h * difference)?)?;
            }
        }
        Ok(h)
    }

    /// The loss as a tensor that gradients flow from.
    fn loss(&self, batch: Batch<'_>, loss: Loss) -> Result<Tensor> {
        let (x, y) = match batch {
            Batch::Full => (self.x.clone(), self.y.clone()),
            Batch::Indices(indices) => {
                let indices = Tensor::from_slice(indices, indices.len(), &self.device)?;
                (self.x.index_select(&indices, 0)?, self.y.index_select(&indices, 0)?)
            }
        };
        let features = if self.mapped { x } else { self.features(&x)? };
        let fit = self.network_forward(&features)?;
        match loss {
            Loss::MeanSquaredError => Ok(candle_nn::loss::mse(&fit, &y)?),
        }
    }

    /// Loss and the gradient of every trained tensor.
    fn gradients(&self, batch: Batch<'_>, loss: Loss) -> Result<(f64, Vec<Tensor>)> {
        let loss = self.loss(batch, loss)?;
        let store = loss.backward()?;
        let gradients = self
            .trained
            .iter()
            .map(|t| match store.get(&t.value) {
                Some(gradient) => Ok(gradient.clone()),
                None => Ok(t.value.zeros_like()?),
            })
            .collect::<Result<_>>()?;
        Ok((f64::from(loss.to_scalar::<f32>()?), gradients))
    }

    fn replace(&self, name: &str, to: &Var, from: &[Parameter]) -> Result<()> {
        let wrong = |message: String| Error::Config { field: format!("tensor `{name}`"), message };
        let found = from.iter().find(|p| p.name == name).ok_or_else(|| wrong("is missing".into()))?;
        if found.shape != to.dims() {
            return Err(wrong(format!("found shape {:?}, expected {:?}", found.shape, to.dims())));
        }
        to.set(&Tensor::from_slice(&found.values, to.shape(), &self.device)?)?;
        Ok(())
    }
}

/// A tensor on the host.
fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

impl Engine for CandleEngine {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()> {
        let (inputs, outputs) = (self.architecture().inputs, self.architecture().outputs());
        let x = Tensor::from_slice(x, (x.len() / inputs, inputs), &self.device)?;
        self.y = Tensor::from_slice(y, (y.len() / outputs, outputs), &self.device)?;
        // The mapping is not trained, so its features are those of the first step for ever.
        self.mapped = x.dims()[0] * self.architecture().features() <= CACHED_FEATURES;
        self.x = if self.mapped { self.features(&x)? } else { x };
        Ok(())
    }

    fn loss_and_gradients(&self, batch: Batch<'_>, loss: Loss) -> Result<(f64, Vec<Parameter>)> {
        let (loss, gradients) = self.gradients(batch, loss)?;
        let named = self
            .trained
            .iter()
            .zip(&gradients)
            .map(|(t, g)| Ok(Parameter { name: t.name.clone(), shape: g.dims().to_vec(), values: host(g)? }));
        Ok((loss, named.collect::<Result<_>>()?))
    }

    fn step(&mut self, batch: Batch<'_>, loss: Loss, adam: &AdamStep) -> Result<StepReport> {
        let (loss, gradients) = self.gradients(batch, loss)?;
        let mut square = 0.0;
        for gradient in &gradients {
            square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let gradient_norm = square.sqrt();
        let shrink = match adam.clip {
            Some(limit) if gradient_norm > limit => limit / gradient_norm,
            _ => 1.0,
        };
        for (trained, gradient) in self.trained.iter().zip(&gradients) {
            update(trained, gradient, shrink, adam)?;
        }
        Ok(StepReport { loss, gradient_norm })
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let inputs = self.architecture().inputs;
        let x = Tensor::from_slice(x, (x.len() / inputs, inputs), &self.device)?;
        host(&self.network_forward(&self.features(&x)?)?)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let each = self
            .trained
            .iter()
            .map(|t| Ok(Parameter { name: t.name.clone(), shape: t.value.dims().to_vec(), values: host(&t.value)? }));
        each.collect()
    }

    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        for trained in &self.trained {
            self.replace(&trained.name, &trained.value, parameters)?;
        }
        Ok(())
    }

    fn moments(&self) -> Result<Vec<Parameter>> {
        let each = self.trained.iter().map(|t| {
            let name = format!("adam.{}", t.name);
            Ok(Parameter { name, shape: t.moments.dims().to_vec(), values: host(&t.moments)? })
        });
        each.collect()
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        for trained in &self.trained {
            self.replace(&format!("adam.{}", trained.name), &trained.moments, moments)?;
        }
        Ok(())
    }

    fn dense(&self) -> Result<DenseNetwork> {
        let wide = |specs: &[DenseSpec]| -> Result<Vec<HostDense>> {
            let tensors = self.materialize(specs)?;
            let each = specs.iter().zip(tensors).map(|(spec, (kernel, bias))| {
                let wide = |t: &Tensor| Ok::<_, Error>(host(t)?.into_iter().map(f64::from).collect());
                Ok(HostDense { kernel: wide(&kernel)?, bias: wide(&bias)?, inputs: spec.inputs, outputs: spec.outputs })
            });
            each.collect()
        };
        Ok(DenseNetwork {
            architecture: self.architecture().clone(),
            mapping: self.network.mapping.clone(),
            encoders: wide(&self.network.encoders)?,
            layers: wide(&self.network.layers)?,
            output: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fold::forward_f64,
        network::{ActivationKind, ArchitectureKind, MappingConfig, NetworkConfig, Parameterization},
        rng::Rng,
        tolerance,
    };

    const MAPPINGS: [MappingConfig; 4] = [
        MappingConfig::None,
        MappingConfig::PositionalLog { max_power: 2.0, frequencies: 3 },
        MappingConfig::PositionalOctaves { levels: 2, raw: true },
        MappingConfig::Gaussian { frequencies: 4, scale: 1.0 },
    ];

    fn samples(n: usize) -> (Vec<f32>, Vec<f32>) {
        let mut rng = Rng::new(11);
        let x: Vec<f32> = (0..2 * n).map(|_| rng.symmetric(1.0) as f32).collect();
        let y = (0..2 * n).map(|_| rng.symmetric(1.0) as f32).collect();
        (x, y)
    }

    /// The loss by the f64 oracle.
    fn loss_f64(network: &Network, parameters: &[Parameter], x: &[f32], y: &[f32]) -> f64 {
        let dense = network.dense_f64(parameters);
        let mut sum = 0.0;
        for (x, y) in x.chunks_exact(2).zip(y.chunks_exact(2)) {
            let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            let fit = forward_f64(&dense, &x);
            sum += fit.iter().zip(y).map(|(f, y)| (f - f64::from(*y)).powi(2)).sum::<f64>();
        }
        sum / y.len() as f64
    }

    /// Central differences; the step is taken in f32 numbers, so that the oracle sees exactly what it divides by.
    fn differences(network: &Network, start: &[Parameter], x: &[f32], y: &[f32], k: usize) -> Vec<f64> {
        let mut moved = start.to_vec();
        (0..start[k].values.len())
            .map(|i| {
                let at = start[k].values[i];
                let mut loss = |by: f32| {
                    moved[k].values[i] = at + by;
                    (f64::from(at + by), loss_f64(network, &moved, x, y))
                };
                let ((hi, above), (lo, below)) = (loss(2e-4), loss(-2e-4));
                moved[k].values[i] = at;
                (above - below) / (hi - lo)
            })
            .collect()
    }

    fn check(config: &NetworkConfig) {
        let (x, y) = samples(6);
        let (network, start) = Network::new(config, 2, 2, &mut Rng::new(3)).unwrap();
        let mut engine = CandleEngine::new(&network, &start, &Device::Cpu).unwrap();
        engine.load(&x, &y).unwrap();
        let (loss, gradients) = engine.loss_and_gradients(Batch::Full, Loss::MeanSquaredError).unwrap();
        let expected = loss_f64(&network, &start, &x, &y);
        assert!((loss - expected).abs() < tolerance::FORWARD * (1.0 + expected), "{config:?}: {loss} {expected}");
        for (k, gradient) in gradients.iter().enumerate() {
            let expected = differences(&network, &start, &x, &y, k);
            let largest = expected.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
            for (found, expected) in gradient.values.iter().zip(&expected) {
                let error = (f64::from(*found) - expected).abs() / largest;
                assert!(error < tolerance::GRADIENT, "{config:?} {}: {found} {expected}", gradient.name);
            }
        }
    }

    #[test]
    fn gradients_equal_differences_for_every_architecture_parameterization_and_mapping() {
        for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
            for parameterization in Parameterization::ALL {
                for mapping in MAPPINGS {
                    // A gentle omega0 keeps the differences' own error below the tolerance.
                    check(&NetworkConfig {
                        parameterization,
                        mapping,
                        omega0: 3.0,
                        omega0_first: 3.0,
                        ..NetworkConfig::new(architecture, 5, 2)
                    });
                }
            }
        }
    }

    #[test]
    fn gradients_equal_differences_for_every_activation() {
        use ActivationKind::{Gelu, Identity, Sigmoid, Sine, Swish, Tanh};
        for activation in [Identity, Sigmoid, Sine, Swish, Tanh, Gelu] {
            for architecture in [ArchitectureKind::Mlp, ArchitectureKind::ModifiedMlp] {
                check(&NetworkConfig {
                    activation: Some(activation),
                    output_activation: activation,
                    omega0: 2.0,
                    omega0_first: 2.0,
                    ..NetworkConfig::new(architecture, 5, 2)
                });
            }
        }
    }

    #[test]
    fn materialized_tensors_equal_the_f64_twin() {
        for parameterization in Parameterization::ALL {
            let config = NetworkConfig { parameterization, ..NetworkConfig::new(ArchitectureKind::Siren, 6, 2) };
            let (network, start) = Network::new(&config, 2, 1, &mut Rng::new(1)).unwrap();
            let engine = CandleEngine::new(&network, &start, &Device::Cpu).unwrap();
            let (found, expected) = (engine.dense().unwrap(), network.dense_f64(&start));
            for (found, expected) in found.layers.iter().zip(&expected.layers) {
                for (a, b) in found.kernel.iter().zip(&expected.kernel) {
                    assert!((a - b).abs() < 10.0 * tolerance::EPS32 * (1e-3 + b.abs()), "{parameterization:?}");
                }
            }
        }
    }

    #[test]
    fn a_batch_of_all_indices_is_the_full_batch_and_clipping_shrinks_the_step() {
        let (x, y) = samples(8);
        let config = NetworkConfig::new(ArchitectureKind::Mlp, 5, 1);
        let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
        let run = |batch: Batch<'_>| {
            let mut engine = CandleEngine::new(&network, &start, &Device::Cpu).unwrap();
            engine.load(&x, &y).unwrap();
            engine.loss_and_gradients(batch, Loss::MeanSquaredError).unwrap()
        };
        let all: Vec<u32> = (0..8).collect();
        assert_eq!(run(Batch::Full), run(Batch::Indices(&all)));
        assert_ne!(run(Batch::Full).0, run(Batch::Indices(&all[..3])).0);

        // Adam divides the size of a gradient out, so clipping shows in its moments.
        let moments = |clip| {
            let mut engine = CandleEngine::new(&network, &start, &Device::Cpu).unwrap();
            engine.load(&x, &y).unwrap();
            let adam = AdamStep {
                learning_rate: 1e-3,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                clip,
                step: 1,
            };
            let norm = engine.step(Batch::Full, Loss::MeanSquaredError, &adam).unwrap().gradient_norm;
            let first: f64 = engine
                .moments()
                .unwrap()
                .iter()
                .flat_map(|p| p.values[..p.values.len() / 2].iter().map(|&m| f64::from(m).powi(2)))
                .sum();
            (norm, first.sqrt())
        };
        let (norm, whole) = moments(None);
        let (_, clipped) = moments(Some(0.5 * norm));
        assert!((whole / (0.1 * norm) - 1.0).abs() < 1e-5 && (clipped / whole - 0.5).abs() < 1e-5);
    }

    #[test]
    fn parameters_that_do_not_fit_are_named() {
        let config = NetworkConfig::new(ArchitectureKind::Mlp, 5, 1);
        let (network, mut start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
        start[0].shape = vec![1, 10];
        let error = CandleEngine::new(&network, &start, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("layers.0.v") && error.contains("[2, 5]"), "{error}");
    }
}
