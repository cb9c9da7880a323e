//! What network is asked for; every choice is an enum.

use rwf_runtime::format::{Activation, MAX_LAYERS, MAX_WIDTH};
use serde::{Deserialize, Serialize};

use super::{Initialization, MappingConfig, Parameterization};
use crate::error::{Error, Result};

/// How dense layers are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchitectureKind {
    /// Dense layers one after the other.
    Mlp,
    /// Dense layers with sine activations (Sitzmann et al. 2020).
    Siren,
    /// Two encoders whose outputs every hidden layer mixes (Wang, Teng, Perdikaris 2021).
    ModifiedMlp,
}

/// Activations a network may ask for; a sine's frequency factor stands beside it in [`NetworkConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationKind {
    /// y = x
    Identity,
    /// y = max(x, 0)
    Relu,
    /// y = tanh(x)
    Tanh,
    /// y = sin(omega0·x)
    Sine,
    /// y = 1/(1 + exp(-x))
    Sigmoid,
    /// tanh form
    Gelu,
    /// y = x·sigmoid(x)
    Swish,
}

impl ActivationKind {
    /// As the format knows it; a sine there is in turns, omega0/2π being part of the dense layer.
    pub fn format(self) -> Activation {
        match self {
            Self::Identity => Activation::Identity,
            Self::Relu => Activation::Relu,
            Self::Tanh => Activation::Tanh,
            Self::Sine => Activation::Sine,
            Self::Sigmoid => Activation::Sigmoid,
            Self::Gelu => Activation::Gelu,
            Self::Swish => Activation::Swish,
        }
    }
}

/// A network, but for the number of its inputs and outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// How dense layers are put together.
    pub architecture: ArchitectureKind,
    /// Neurons in a hidden layer.
    pub hidden: usize,
    /// Number of hidden layers.
    pub depth: usize,
    /// Activation of hidden layers; unless given, a SIREN's is sine, any other's tanh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationKind>,
    /// Activation of the output layer.
    #[serde(default = "identity")]
    pub output_activation: ActivationKind,
    /// Frequency factor of sine layers.
    #[serde(default = "omega0")]
    pub omega0: f64,
    /// Frequency factor of the first layer, where it is a sine.
    #[serde(default = "omega0")]
    pub omega0_first: f64,
    /// What happens to the coordinates first.
    #[serde(default)]
    pub mapping: MappingConfig,
    /// Where weights start; unless given, a SIREN's own or Glorot's normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<Initialization>,
    /// How dense weights are made from trained numbers.
    #[serde(default)]
    pub parameterization: Parameterization,
}

fn identity() -> ActivationKind {
    ActivationKind::Identity
}

fn omega0() -> f64 {
    30.0
}

impl NetworkConfig {
    /// A network of `depth` hidden layers of `hidden` neurons with everything else as usual for `architecture`.
    pub fn new(architecture: ArchitectureKind, hidden: usize, depth: usize) -> Self {
        Self {
            architecture,
            hidden,
            depth,
            activation: None,
            output_activation: identity(),
            omega0: omega0(),
            omega0_first: omega0(),
            mapping: MappingConfig::None,
            initialization: None,
            parameterization: Parameterization::default(),
        }
    }

    /// Activation of hidden layers.
    pub fn hidden_activation(&self) -> ActivationKind {
        self.activation.unwrap_or(match self.architecture {
            ArchitectureKind::Siren => ActivationKind::Sine,
            ArchitectureKind::Mlp | ArchitectureKind::ModifiedMlp => ActivationKind::Tanh,
        })
    }

    /// Where weights start.
    pub fn initialization(&self) -> Initialization {
        self.initialization.unwrap_or(match self.architecture {
            ArchitectureKind::Siren => Initialization::Siren,
            ArchitectureKind::Mlp | ArchitectureKind::ModifiedMlp => Initialization::GlorotNormal,
        })
    }

    /// Whether such a network can be.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field, what was found and what was expected.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field: &str, found: String, expected: &str| {
            Err(Error::Config {
                field: format!("network.{field}"),
                message: format!("found {found}, expected {expected}"),
            })
        };
        if self.depth >= MAX_LAYERS {
            let expected = format!("at most {}", MAX_LAYERS - 1);
            return refuse("depth", self.depth.to_string(), &expected);
        }
        if self.architecture != ArchitectureKind::Mlp && self.depth == 0 {
            return refuse("depth", "0".into(), "at least 1: siren and modified-mlp have hidden layers");
        }
        if self.hidden == 0 || self.hidden > MAX_WIDTH {
            return refuse("hidden", self.hidden.to_string(), &format!("1 to {MAX_WIDTH}"));
        }
        if self.architecture == ArchitectureKind::Siren && self.hidden_activation() != ActivationKind::Sine {
            let found = format!("{:?} in a siren", self.hidden_activation());
            return refuse("activation", found, "sine, or architecture mlp");
        }
        for (field, value) in [("omega0", self.omega0), ("omega0_first", self.omega0_first)] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(field, value.to_string(), "above 0");
            }
        }
        if let Some((field, found, expected)) = self.mapping.problem() {
            return refuse(&format!("mapping.{field}"), found, expected);
        }
        if let Some((field, found, expected)) = self.parameterization.problem() {
            return refuse(&format!("parameterization.{field}"), found, expected);
        }
        Ok(())
    }

    /// Whether it can be with this many inputs and outputs, and at most `most` inputs.
    pub(super) fn validate_sizes(&self, inputs: usize, outputs: usize, most: usize) -> Result<()> {
        self.validate()?;
        let refuse = |field: &str, found: usize, limit: usize| {
            Err(Error::Config { field: field.into(), message: format!("found {found}, expected 1 to {limit}") })
        };
        if inputs == 0 || inputs > most {
            return refuse("number of inputs", inputs, most);
        }
        if outputs == 0 || outputs > MAX_WIDTH {
            return refuse("number of outputs", outputs, MAX_WIDTH);
        }
        let features = self.mapping.frequencies(inputs) * 2 + inputs;
        if features > MAX_WIDTH {
            return refuse("network.mapping features", features, MAX_WIDTH);
        }
        Ok(())
    }
}
