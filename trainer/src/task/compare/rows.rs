//! Architectures with their mappings, as rows of a table.

use serde::{Deserialize, Serialize};

use crate::network::{ActivationKind, ArchitectureKind, MappingConfig, NetworkConfig};

/// An architecture and a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// MLP of ReLUs on the coordinates
    Mlp,
    /// MLP behind positional encoding (Tancik et al.)
    Pe,
    /// MLP behind Gaussian Fourier features
    Gaussian,
    /// SIREN
    Siren,
    /// Modified MLP behind Gaussian Fourier features
    ModifiedMlp,
}

/// Sizes that belong to an experiment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Neurons in a hidden layer.
    pub(super) hidden: usize,
    /// Hidden layers.
    pub(super) depth: usize,
    /// Gaussian frequencies.
    pub(super) frequencies: usize,
    /// Their standard deviation, per unit of the coordinate in [0, 1].
    pub(super) scale: f64,
    /// Power of positional encoding's highest frequency.
    pub(super) max_power: f64,
    /// Whether values are in [0, 1] behind a sigmoid.
    pub(super) sigmoid: bool,
    /// Learning rate of MLPs.
    pub(super) rate: f64,
    /// Learning rate of the SIREN.
    pub(super) siren_rate: f64,
}

/// A row with its learning rate and coordinates.
#[derive(Debug, Clone)]
pub(super) struct Preset {
    /// The network, but for the parameterization.
    pub(super) network: NetworkConfig,
    /// Its own learning rate.
    pub(super) learning_rate: f64,
}

impl Row {
    /// All rows.
    pub const ALL: [Self; 5] = [Self::Mlp, Self::Pe, Self::Gaussian, Self::Siren, Self::ModifiedMlp];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlp => "MLP",
            Self::Pe => "MLP, PE",
            Self::Gaussian => "MLP, Gaussian",
            Self::Siren => "SIREN",
            Self::ModifiedMlp => "modified MLP, Gaussian",
        }
    }

    /// Coordinates of a SIREN are in [-1, 1], of all others in [0, 1].
    pub(super) fn symmetric(self) -> bool {
        self == Self::Siren
    }

    /// Whether values go through a sigmoid in an experiment where they can.
    pub(super) fn sigmoid(self) -> bool {
        self != Self::Siren
    }

    pub(super) fn preset(self, sizes: &Sizes) -> Preset {
        let architecture = match self {
            Self::Mlp | Self::Pe | Self::Gaussian => ArchitectureKind::Mlp,
            Self::Siren => ArchitectureKind::Siren,
            Self::ModifiedMlp => ArchitectureKind::ModifiedMlp,
        };
        let mut network = NetworkConfig::new(architecture, sizes.hidden, sizes.depth);
        network.mapping = match self {
            Self::Mlp | Self::Siren => MappingConfig::None,
            // Twice the frequencies of a power of two an axis, as dense as Tancik's on two axes.
            Self::Pe => {
                MappingConfig::PositionalLog { max_power: sizes.max_power, frequencies: (sizes.frequencies / 2).max(1) }
            }
            Self::Gaussian | Self::ModifiedMlp => {
                MappingConfig::Gaussian { frequencies: sizes.frequencies, scale: sizes.scale }
            }
        };
        if self != Self::Siren {
            network.activation = Some(ActivationKind::Relu);
        }
        if sizes.sigmoid && self.sigmoid() {
            network.output_activation = ActivationKind::Sigmoid;
        }
        Preset { network, learning_rate: if self == Self::Siren { sizes.siren_rate } else { sizes.rate } }
    }
}
