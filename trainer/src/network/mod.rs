//! 3 The function: from trained parameters to dense layers.
//!
//! What a network *is* says [`rwf_runtime::format::Architecture`]; here is how its dense layers are made: which
//! parameterization, from which initial weights, behind which mapping.

mod config;
pub mod deeponet;
mod init;
mod mapping;
mod parameterization;

use rwf_runtime::format::{Architecture, Layer, Layers, MAX_INPUTS, MAX_WIDTH};

pub use config::{ActivationKind, ArchitectureKind, NetworkConfig};
pub use deeponet::{DeepOnet, DeepOnetConfig, Merge, Networks};
pub use init::Initialization;
pub use mapping::MappingConfig;
pub(crate) use parameterization::norms;
pub use parameterization::{Parameterization, Per, Scale, materialize, materialize_f64, materialize_from};

use crate::{
    error::{Error, Result},
    rng::Rng,
};

/// A named tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name, `layers.0.v` say.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// A dense layer in f64 on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostDense {
    /// Weights `[in, out]`.
    pub kernel: Vec<f64>,
    /// Biases `[out]`.
    pub bias: Vec<f64>,
    /// Width of what comes in.
    pub inputs: usize,
    /// Width of what goes out.
    pub outputs: usize,
}

/// A network of dense layers, all factors folded.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseNetwork {
    /// What the layers make up.
    pub architecture: Architecture,
    /// Frequencies and phases in turns.
    pub mapping: Option<HostDense>,
    /// The two encoders of a gated network.
    pub encoders: Vec<HostDense>,
    /// Dense layers, the output layer last.
    pub layers: Vec<HostDense>,
    /// Factors that make outputs vanish on walls, `[outputs, 4·inputs]`, as the format defines them.
    pub mask: Option<Vec<f64>>,
    /// Scale and offset behind an output activation.
    pub output: Option<(Vec<f64>, Vec<f64>)>,
}

/// The values of the tensor called `name`, which must have this shape.
///
/// # Errors
/// [`Error::Config`] with the tensor, when it is missing or has another shape.
pub(crate) fn find<'a>(from: &'a [Parameter], name: &str, shape: &[usize]) -> Result<&'a [f32]> {
    let wrong = |message: String| Error::Config { field: format!("tensor `{name}`"), message };
    let found = from.iter().find(|p| p.name == name).ok_or_else(|| wrong("is missing".into()))?;
    if found.shape != shape {
        return Err(wrong(format!("found shape {:?}, expected {shape:?}", found.shape)));
    }
    Ok(&found.values)
}

/// How one dense layer is made from trained tensors `NAME.w|v`, `NAME.a|s|g` and `NAME.bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseSpec {
    /// `layers.N` or `encoder.N`.
    pub name: String,
    /// Width of what comes in.
    pub inputs: usize,
    /// Width of what goes out.
    pub outputs: usize,
    /// How the weight is made.
    pub parameterization: Parameterization,
    /// Factor on weight and bias: omega0/2π where a sine in turns follows, else 1.
    pub gain: f64,
}

/// A network without its trained numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// What it is.
    pub architecture: Architecture,
    /// Fixed frequencies in turns per unit of the network's coordinates.
    pub mapping: Option<HostDense>,
    /// How its encoders are made.
    pub encoders: Vec<DenseSpec>,
    /// How its layers are made.
    pub layers: Vec<DenseSpec>,
}

impl Network {
    /// The network of `config` for these numbers of inputs and outputs, and where its parameters start. The same
    /// generator gives the same network and start.
    ///
    /// # Errors
    /// [`Error::Config`] when there can be no such network.
    pub fn new(config: &NetworkConfig, inputs: usize, outputs: usize, rng: &mut Rng) -> Result<(Self, Vec<Parameter>)> {
        config.validate_sizes(inputs, outputs, MAX_INPUTS)?;
        Self::made(config, inputs, outputs, rng)
    }

    /// [`Network::new`] with up to [`MAX_WIDTH`] inputs: what is no coordinate network but part of an operator.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub(crate) fn of_many(
        config: &NetworkConfig,
        inputs: usize,
        outputs: usize,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Parameter>)> {
        config.validate_sizes(inputs, outputs, MAX_WIDTH)?;
        Self::made(config, inputs, outputs, rng)
    }

    fn made(config: &NetworkConfig, inputs: usize, outputs: usize, rng: &mut Rng) -> Result<(Self, Vec<Parameter>)> {
        let mapping = config.mapping.draw(inputs, &mut rng.stream("mapping"));
        let format_mapping = config.mapping.format(inputs);
        let features = format_mapping.features(inputs);
        let hidden = config.hidden_activation();
        let gain = |activation: ActivationKind, first: bool| match activation {
            ActivationKind::Sine if first => config.omega0_first / std::f64::consts::TAU,
            ActivationKind::Sine => config.omega0 / std::f64::consts::TAU,
            _ => 1.0,
        };
        let spec = |name: String, inputs, outputs, gain| DenseSpec {
            name,
            inputs,
            outputs,
            parameterization: config.parameterization,
            gain,
        };

        let mut layers = Vec::with_capacity(config.depth + 1);
        let mut described = Layers::new();
        let mut width = features;
        for n in 0..=config.depth {
            let last = n == config.depth;
            let activation = if last { config.output_activation } else { hidden };
            let out = if last { outputs } else { config.hidden };
            layers.push(spec(format!("layers.{n}"), width, out, gain(activation, n == 0)));
            let layer = Layer { inputs: width, outputs: out, activation: activation.format() };
            described.push(layer).expect("depth is validated");
            width = out;
        }
        let gated = config.architecture == ArchitectureKind::ModifiedMlp;
        let encoders: Vec<DenseSpec> = (0..if gated { 2 } else { 0 })
            .map(|n| spec(format!("encoder.{n}"), features, config.hidden, gain(hidden, true)))
            .collect();

        let init = config.initialization();
        let mut parameters = Vec::new();
        for dense in encoders.iter().chain(&layers) {
            let first = dense.name.starts_with("encoder") || dense.name == "layers.0";
            // A stream a tensor: the same W0 whatever the parameterization, so that they compare fairly.
            let mut w0_rng = rng.stream(&format!("{} weights", dense.name));
            let (w0, bias) = init.draw(dense.inputs, dense.outputs, first, config.omega0, &mut w0_rng);
            let mut factor_rng = rng.stream(&format!("{} factors", dense.name));
            let (weight, extra) = dense.parameterization.factorize(&w0, dense.outputs, &mut factor_rng);
            let mut push = |suffix: &str, shape: &[usize], values: &[f64]| {
                parameters.push(Parameter {
                    name: format!("{}.{suffix}", dense.name),
                    shape: shape.to_vec(),
                    values: values.iter().map(|&v| v as f32).collect(),
                });
            };
            push(dense.parameterization.weight(), &[dense.inputs, dense.outputs], &weight);
            if let (Some((name, count)), Some(values)) = (dense.parameterization.extra(dense.outputs), extra) {
                push(name, &[count], &values);
            }
            push("bias", &[dense.outputs], &bias);
        }
        let architecture = Architecture {
            inputs,
            mapping: format_mapping,
            gate: gated.then(|| hidden.format()),
            layers: described,
            output_mask: false,
            output_affine: false,
        };
        Ok((Self { architecture, mapping, encoders, layers }, parameters))
    }

    /// Whether `parameters` holds every trained tensor in its shape.
    ///
    /// # Errors
    /// [`Error::Config`] with the tensor that is missing or has another shape.
    pub fn check(&self, parameters: &[Parameter]) -> Result<()> {
        for spec in self.encoders.iter().chain(&self.layers) {
            let weight = (spec.parameterization.weight(), vec![spec.inputs, spec.outputs]);
            let extra = spec.parameterization.extra(spec.outputs).map(|(suffix, n)| (suffix, vec![n]));
            for (suffix, shape) in [weight, ("bias", vec![spec.outputs])].into_iter().chain(extra) {
                find(parameters, &format!("{}.{suffix}", spec.name), &shape)?;
            }
        }
        Ok(())
    }

    /// The dense layers these parameters stand for, in f64: the oracle of every engine.
    pub fn dense_f64(&self, parameters: &[Parameter]) -> DenseNetwork {
        self.dense_by(&|spec| materialize_f64(spec, parameters))
    }

    /// The dense layers that `make` gives for each of its specs.
    pub fn dense_by(&self, make: &dyn Fn(&DenseSpec) -> HostDense) -> DenseNetwork {
        let make = |specs: &[DenseSpec]| specs.iter().map(make).collect();
        DenseNetwork {
            architecture: self.architecture.clone(),
            mapping: self.mapping.clone(),
            encoders: make(&self.encoders),
            layers: make(&self.layers),
            mask: None,
            output: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fold::forward_f64, tolerance};

    fn config(architecture: ArchitectureKind, parameterization: Parameterization) -> NetworkConfig {
        NetworkConfig { parameterization, ..NetworkConfig::new(architecture, 9, 2) }
    }

    #[test]
    fn every_parameterization_starts_as_the_function_of_its_w0() {
        for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
            let make = |p| {
                let (network, start) = Network::new(&config(architecture, p), 2, 3, &mut Rng::new(4)).unwrap();
                network.dense_f64(&start)
            };
            let plain = make(Parameterization::Plain);
            for parameterization in Parameterization::ALL {
                let dense = make(parameterization);
                for x in [[0.1, -0.7], [0.9, 0.4]] {
                    for (a, b) in forward_f64(&plain, &x).iter().zip(forward_f64(&dense, &x)) {
                        assert!((a - b).abs() < tolerance::START, "{architecture:?} {parameterization:?}: {a} {b}");
                    }
                }
            }
        }
    }

    /// Theorem 2 in matrix form: after one gradient step of size eta the dense column w has moved by
    /// -eta·(g²I + vvᵀ)·dL/dw (direct) or -eta·g²·(I + vvᵀ)·dL/dw (log), to O(eta²).
    #[test]
    fn one_step_moves_the_dense_weight_as_theorem_two_says() {
        let mut rng = Rng::new(9);
        let n = 5;
        let v: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let gradient: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let s = 0.4f64;
        let dot: f64 = v.iter().zip(&gradient).map(|(a, b)| a * b).sum();
        for scale in [Scale::Log, Scale::Direct] {
            let g = s.exp();
            let error = |eta: f64| -> f64 {
                let stepped_v: Vec<f64> = v.iter().zip(&gradient).map(|(v, d)| v - eta * g * d).collect();
                let stepped_g = match scale {
                    Scale::Log => (s - eta * g * dot).exp(),
                    Scale::Direct => g - eta * dot,
                };
                let square = |i: usize| {
                    let moved = stepped_g * stepped_v[i] - g * v[i];
                    let predicted = match scale {
                        Scale::Log => -eta * g * g * (gradient[i] + v[i] * dot),
                        Scale::Direct => -eta * (g * g * gradient[i] + v[i] * dot),
                    };
                    (moved - predicted).powi(2)
                };
                (0..n).map(square).sum::<f64>().sqrt()
            };
            for eta in [1e-2, 1e-3, 1e-4] {
                let order = (error(eta) / error(eta / 2.0)).log2();
                assert!((order - 2.0).abs() < 0.1, "{scale:?} at {eta}: error falls as eta^{order}");
            }
        }
    }

    #[test]
    fn impossible_networks_name_the_field() {
        let base = config(ArchitectureKind::Siren, Parameterization::Plain);
        let bad = |change: &dyn Fn(&mut NetworkConfig)| {
            let mut config = base.clone();
            change(&mut config);
            Network::new(&config, 2, 1, &mut Rng::new(0)).unwrap_err().to_string()
        };
        assert!(bad(&|c| c.depth = 0).contains("network.depth"));
        assert!(bad(&|c| c.depth = 16).contains("network.depth"));
        assert!(bad(&|c| c.hidden = 5000).contains("network.hidden"));
        assert!(bad(&|c| c.activation = Some(ActivationKind::Relu)).contains("network.activation"));
        assert!(bad(&|c| c.omega0 = f64::NAN).contains("network.omega0"));
        let sigma = Parameterization::RandomWeightFactorization { scale: Scale::Log, mu: 1.0, sigma: -0.1 };
        assert!(bad(&|c| c.parameterization = sigma).contains("parameterization.sigma"));
        let wide = MappingConfig::Gaussian { frequencies: 4000, scale: 1.0 };
        assert!(bad(&|c| c.mapping = wide).contains("mapping"));
        assert!(Network::new(&base, 17, 1, &mut Rng::new(0)).is_err());
    }
}
