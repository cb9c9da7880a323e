//! Networks that are tried: a small set that is good for most signals, each as wide as the budget allows.

use rwf_runtime::format::{MathBackend, Precision};
use serde::{Deserialize, Serialize};

use super::Budget;
use crate::{
    cost::Cost,
    error::{Error, Result},
    export::{self, Description},
    fold::{Normalization, fold},
    network::{ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig, Parameter},
    quantize::{self, Weights, Width},
    rng::Rng,
};

/// Widest network that is tried.
const WIDEST: usize = 512;

/// A network, its weights in the file, and the rate it is trained at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The network.
    pub network: NetworkConfig,
    /// Weights, as [`Weights::name`].
    pub weights: String,
    /// Learning rate.
    pub learning_rate: f64,
}

impl Candidate {
    /// Its weights.
    ///
    /// # Errors
    /// [`Error::Config`] for a word this program does not know, in a file of another version.
    pub fn weights(&self) -> Result<Weights> {
        Weights::from_name(&self.weights).ok_or_else(|| Error::Config {
            field: "weights".into(),
            message: format!("found `{}`, expected f32, f16, int16, int8, int6, int4 or mixed", self.weights),
        })
    }

    /// What it is in words.
    pub fn words(&self) -> String {
        let n = &self.network;
        let body = match n.architecture {
            ArchitectureKind::Siren => format!("siren {}x{} omega {}", n.depth, n.hidden, n.omega0_first),
            ArchitectureKind::Mlp => format!("mlp {}x{} {:?}", n.depth, n.hidden, n.hidden_activation()).to_lowercase(),
            ArchitectureKind::ModifiedMlp => format!("modified-mlp {}x{}", n.depth, n.hidden),
        };
        let mapping = match n.mapping {
            MappingConfig::Gaussian { frequencies, scale } => format!(" gaussian {frequencies} scale {scale}"),
            _ => String::new(),
        };
        format!("{body}{mapping} {}", self.weights)
    }

    /// The same network whatever its width and weights.
    pub(super) fn family(&self) -> NetworkConfig {
        let mut network = self.network.clone();
        network.hidden = 1;
        if let MappingConfig::Gaussian { frequencies, .. } = &mut network.mapping {
            *frequencies = 1;
        }
        network
    }

    /// The model file of these trained numbers in physical units; integers are calibrated at `points`.
    ///
    /// # Errors
    /// Weights that are not finite, accumulators that could overflow.
    pub fn file(
        &self,
        (network, trained): (&Network, &[Parameter]),
        normalization: &Normalization,
        description: &Description,
        points: &[f32],
    ) -> Result<Vec<u8>> {
        let dense = fold(&network.dense_f64(trained), normalization);
        match self.weights()? {
            Weights::Float(precision) => export::model(&dense, description, precision, MathBackend::Polynomial),
            Weights::Integer(width) => {
                let float = match width {
                    Width::Mixed => export::model(&dense, description, Precision::F32, MathBackend::Polynomial)?,
                    Width::All(_) => Vec::new(),
                };
                let bits = quantize::bits(width, &dense, description, points, &float)?;
                quantize::model(&dense, description, &bits, points)
            }
        }
    }

    /// What it costs, whatever is trained into it.
    ///
    /// # Errors
    /// Sizes that cannot be.
    pub fn cost_of(&self, normalization: &Normalization, description: &Description) -> Result<Cost> {
        let (inputs, outputs) = (normalization.input_centre.len(), normalization.output_centre.len());
        let (network, start) = Network::new(&self.network, inputs, outputs, &mut Rng::new(0))?;
        let points: Vec<f32> = normalization.input_centre.iter().map(|&c| c as f32).collect();
        let file = self.file((&network, &start), normalization, description, &points)?;
        Cost::of(&file).map_err(Error::Training)
    }

    /// The same as wide as `budget` allows; none when not even one neuron a layer fits.
    fn widest(&self, budget: &Budget, normalization: &Normalization, description: &Description) -> Option<Self> {
        let wide = |hidden: usize| {
            let mut candidate = self.clone();
            candidate.network.hidden = hidden;
            if let MappingConfig::Gaussian { frequencies, .. } = &mut candidate.network.mapping {
                // As many features as neurons.
                *frequencies = hidden.div_ceil(2);
            }
            candidate
        };
        let holds =
            |hidden: usize| wide(hidden).cost_of(normalization, description).is_ok_and(|cost| budget.holds(&cost));
        let (mut lo, mut hi) = (0, WIDEST + 1);
        while hi - lo > 1 {
            let middle = lo + (hi - lo) / 2;
            if holds(middle) { lo = middle } else { hi = middle }
        }
        (lo >= 1).then(|| wide(lo))
    }
}

/// Everything that is tried within `budget`, each as wide as it can be.
pub fn candidates(budget: &Budget, normalization: &Normalization, description: &Description) -> Vec<Candidate> {
    let siren = |depth, omega: f64, learning_rate| {
        let mut network = NetworkConfig::new(ArchitectureKind::Siren, 1, depth);
        (network.omega0_first, network.omega0) = (omega, if omega < 30.0 { 10.0 } else { 30.0 });
        (network, learning_rate)
    };
    let mlp = |depth, activation, mapping| {
        let network = NetworkConfig {
            activation: Some(activation),
            mapping,
            ..NetworkConfig::new(ArchitectureKind::Mlp, 1, depth)
        };
        (network, 3e-3)
    };
    let waves = |scale| MappingConfig::Gaussian { frequencies: 1, scale };
    let families = [
        siren(1, 10.0, 2e-3),
        siren(1, 30.0, 2e-3),
        siren(2, 5.0, 2e-3),
        siren(2, 10.0, 2e-3),
        siren(2, 30.0, 1e-3),
        siren(3, 10.0, 1e-3),
        siren(3, 30.0, 1e-3),
        mlp(2, ActivationKind::Tanh, MappingConfig::None),
        mlp(3, ActivationKind::Gelu, MappingConfig::None),
        mlp(1, ActivationKind::Gelu, waves(1.0)),
        mlp(2, ActivationKind::Gelu, waves(1.0)),
        mlp(2, ActivationKind::Gelu, waves(4.0)),
    ];
    let weights = ["int8", "f16"];
    families
        .iter()
        .flat_map(|(network, learning_rate)| {
            weights.map(|weights| Candidate {
                network: network.clone(),
                weights: weights.into(),
                learning_rate: *learning_rate,
            })
        })
        .filter_map(|candidate| candidate.widest(budget, normalization, description))
        .collect()
}

/// `candidate` as wide as another budget allows.
pub(super) fn resized(
    candidate: &Candidate,
    budget: &Budget,
    normalization: &Normalization,
    description: &Description,
) -> Option<Candidate> {
    candidate.widest(budget, normalization, description)
}
