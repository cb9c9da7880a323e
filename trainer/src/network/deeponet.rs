//! Networks that take a function: DeepONets (Lu, Jin, Pang, Zhang, Karniadakis 2021).
//!
//! A branch sees the input function at its sensors, a trunk sees a point; what both give is merged:
//!
//! ```text
//! u [sensors] -> branch -> b [outputs, latent]       G(u)(y)_o = Σ_k b[o, k]·t[o, k] + bias[o]            (dot)
//! y [inputs]  -> trunk  -> t [outputs, latent]       G(u)(y)   = W·act(b ⊙ t) + bias,  b, t [latent]      (dense)
//! ```
//!
//! The first is the unstacked form with a bias of Lu et al. (2021, eq. 2) and of Wang, Wang, Perdikaris (2021); the second
//! that of the latter authors' library jaxpi.

use rwf_runtime::format::{Activation, MAX_LAYERS, MAX_WIDTH};
use serde::{Deserialize, Serialize};

use super::{ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig, Parameter};
use crate::{
    config::check,
    error::{Error, Result},
    rng::Rng,
};

/// How what branch and trunk give becomes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// Their inner product and a bias
    #[default]
    Dot,
    /// A dense layer on the activation of their elementwise product
    Dense,
}

/// What makes a DeepONet of two networks; both are otherwise as `[network]` says, the mapping being the trunk's alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepOnetConfig {
    /// Values of the input function that the branch sees.
    pub sensors: usize,
    /// Numbers that branch and trunk give for an output.
    pub latent: usize,
    /// How they become values.
    #[serde(default)]
    pub merge: Merge,
    /// The branch's architecture; unless given, the trunk's (for a siren an mlp).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<ArchitectureKind>,
    /// Neurons of the branch's hidden layers; unless given, as many as the trunk's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_hidden: Option<usize>,
    /// The branch's hidden layers; unless given, as many as the trunk's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_depth: Option<usize>,
}

/// A DeepONet without its trained numbers; those of the parts are called `branch.*`, `trunk.*`, `head.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeepOnet {
    /// From the sensors, `[sensors] -> [outputs·latent]`, for [`Merge::Dense`] `[latent]`.
    pub branch: Network,
    /// From a point, `[inputs] -> ` as the branch.
    pub trunk: Network,
    /// The dense layer of [`Merge::Dense`], `[latent] -> [outputs]`; `None`: a bias alone, `head.bias` `[outputs]`.
    pub head: Option<Network>,
    /// Activation between product and dense layer.
    pub activation: Activation,
    /// Numbers that are summed for an output.
    pub latent: usize,
    /// Values at a point.
    pub outputs: usize,
}

/// What a run trains.
#[derive(Debug, Clone, PartialEq)]
pub enum Networks {
    /// A coordinate network.
    One(Box<Network>),
    /// A branch and a trunk.
    Operator(Box<DeepOnet>),
}

impl Networks {
    /// Whether `parameters` holds every trained tensor in its shape.
    ///
    /// # Errors
    /// [`Error::Config`] with the tensor that is missing or has another shape.
    pub fn check(&self, parameters: &[Parameter]) -> Result<()> {
        match self {
            Self::One(network) => network.check(parameters),
            Self::Operator(deeponet) => deeponet.check(parameters),
        }
    }

    /// The coordinate network, for what is done with such alone: `what`.
    ///
    /// # Errors
    /// [`Error::Config`] for an operator.
    pub fn one(self, what: &str) -> Result<Network> {
        match self {
            Self::One(network) => Ok(*network),
            Self::Operator(_) => Err(Error::Config {
                field: what.into(),
                message: "found an operator of two networks, expected a coordinate network; `rwf export RUN \
                          --fold-input u.npy` makes one of it for a given input function"
                    .into(),
            }),
        }
    }
}

/// The parts' names in those of tensors.
pub const PARTS: [&str; 3] = ["branch.", "trunk.", "head."];

impl DeepOnet {
    /// The networks of `config` and `network` for points of `inputs` coordinates and `outputs` values, and where their
    /// parameters start. The same generator gives the same networks and start.
    ///
    /// # Errors
    /// [`Error::Config`] when there can be no such networks.
    pub fn new(
        config: &DeepOnetConfig,
        network: &NetworkConfig,
        inputs: usize,
        outputs: usize,
        rng: &Rng,
    ) -> Result<(Self, Vec<Parameter>)> {
        config.validate()?;
        let identity = network.output_activation == ActivationKind::Identity;
        check(
            identity,
            "network.output_activation",
            format!("{:?}", network.output_activation),
            "identity: branch and trunk end linearly, so that they fold",
        )?;
        let width = match config.merge {
            Merge::Dot => config.latent * outputs,
            Merge::Dense => config.latent,
        };
        check(width <= MAX_WIDTH, "signal.deeponet.latent", width.to_string(), "at most 4096 over all outputs")?;
        let architecture = config.branch.unwrap_or(match network.architecture {
            ArchitectureKind::Siren => ArchitectureKind::Mlp,
            other => other,
        });
        let same = architecture == network.architecture;
        let branch = NetworkConfig {
            architecture,
            hidden: config.branch_hidden.unwrap_or(network.hidden),
            depth: config.branch_depth.unwrap_or(network.depth),
            mapping: MappingConfig::None,
            activation: network.activation.filter(|a| same || *a != ActivationKind::Sine),
            initialization: network.initialization.filter(|_| same),
            ..network.clone()
        };
        // Streams are of seed and name, and layers of both have the same names: each part has a seed of its own.
        let seed = |part: &str| Rng::new((rng.stream(part).uniform() * (1u64 << 53) as f64) as u64);
        let named = |part: &str, parameters: Vec<Parameter>| {
            parameters
                .into_iter()
                .map(move |p| Parameter { name: format!("{part}{}", p.name), ..p })
                .collect::<Vec<_>>()
        };
        let of_part = |part: &str, error: Error| match error {
            Error::Config { field, message } => Error::Config { field: format!("{part}{field}"), message },
            other => other,
        };
        let [branch_name, trunk_name, head_name] = PARTS;
        let (branch, start) = Network::of_many(&branch, config.sensors, width, &mut seed(branch_name))
            .map_err(|e| of_part(branch_name, e))?;
        let mut parameters = named(branch_name, start);
        let (trunk, start) =
            Network::new(network, inputs, width, &mut seed(trunk_name)).map_err(|e| of_part(trunk_name, e))?;
        parameters.extend(named(trunk_name, start));
        let head = match config.merge {
            Merge::Dot => {
                let bias = Parameter { name: "bias".into(), shape: vec![outputs], values: vec![0.0; outputs] };
                parameters.extend(named(head_name, vec![bias]));
                None
            }
            Merge::Dense => {
                let head = NetworkConfig {
                    architecture: ArchitectureKind::Mlp,
                    depth: 0,
                    mapping: MappingConfig::None,
                    activation: None,
                    ..network.clone()
                };
                let (head, start) = Network::of_many(&head, width, outputs, &mut seed(head_name))?;
                parameters.extend(named(head_name, start));
                Some(head)
            }
        };
        let activation = network.hidden_activation().format();
        Ok((Self { branch, trunk, head, activation, latent: config.latent, outputs }, parameters))
    }

    /// How values are made.
    pub fn merge(&self) -> Merge {
        if self.head.is_some() { Merge::Dense } else { Merge::Dot }
    }

    /// Numbers that branch and trunk give.
    pub fn width(&self) -> usize {
        self.trunk.architecture.outputs()
    }

    /// Values of the input function.
    pub fn sensors(&self) -> usize {
        self.branch.architecture.inputs
    }

    /// Whether `parameters` holds every trained tensor in its shape.
    ///
    /// # Errors
    /// [`Error::Config`] with the tensor that is missing or has another shape.
    pub fn check(&self, parameters: &[Parameter]) -> Result<()> {
        self.branch.check(&part(parameters, 0))?;
        self.trunk.check(&part(parameters, 1))?;
        match &self.head {
            Some(head) => head.check(&part(parameters, 2)),
            None => super::find(parameters, "head.bias", &[self.outputs]).map(drop),
        }
    }
}

/// Those of `parameters` that are of the n-th of [`PARTS`], by the names they have there.
pub fn part(parameters: &[Parameter], n: usize) -> Vec<Parameter> {
    let own = |p: &Parameter| {
        let name = p.name.strip_prefix(PARTS[n])?.to_owned();
        Some(Parameter { name, shape: p.shape.clone(), values: p.values.clone() })
    };
    parameters.iter().filter_map(own).collect()
}

impl DeepOnetConfig {
    /// What is impossible about it, but for what depends on its networks.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field, what was found and what was expected.
    pub fn validate(&self) -> Result<()> {
        let within = |field: &str, value: usize, most: usize| {
            let expected = format!("1 to {most}");
            check((1..=most).contains(&value), &format!("signal.deeponet.{field}"), value.to_string(), &expected)
        };
        within("sensors", self.sensors, MAX_WIDTH)?;
        within("latent", self.latent, MAX_WIDTH)?;
        within("branch_hidden", self.branch_hidden.unwrap_or(1), MAX_WIDTH)?;
        within("branch_depth", self.branch_depth.unwrap_or(1), MAX_LAYERS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DeepOnetConfig {
        DeepOnetConfig {
            sensors: 40,
            latent: 6,
            merge: Merge::Dot,
            branch: None,
            branch_hidden: Some(5),
            branch_depth: Some(1),
        }
    }

    #[test]
    fn parts_have_their_sizes_and_weights_of_their_own() {
        let network = NetworkConfig::new(ArchitectureKind::ModifiedMlp, 5, 1);
        let (found, start) = DeepOnet::new(&config(), &network, 2, 3, &Rng::new(1)).unwrap();
        assert_eq!((found.sensors(), found.width(), found.merge()), (40, 18, Merge::Dot));
        found.check(&start).unwrap();
        let values = |name: &str| &start.iter().find(|p| p.name == name).unwrap().values;
        assert_ne!(values("branch.layers.1.v"), values("trunk.layers.1.v"));
        let dense = DeepOnetConfig { merge: Merge::Dense, ..config() };
        let (found, start) = DeepOnet::new(&dense, &network, 2, 3, &Rng::new(1)).unwrap();
        assert_eq!((found.width(), found.merge()), (6, Merge::Dense));
        found.check(&start).unwrap();
        assert!(found.check(&start[1..]).is_err());
    }

    #[test]
    fn what_cannot_be_names_the_part() {
        let bad = |change: &dyn Fn(&mut DeepOnetConfig, &mut NetworkConfig)| {
            let (mut config, mut network) = (config(), NetworkConfig::new(ArchitectureKind::Mlp, 5, 1));
            change(&mut config, &mut network);
            DeepOnet::new(&config, &network, 2, 3, &Rng::new(1)).unwrap_err().to_string()
        };
        assert!(bad(&|c, _| c.latent = 0).contains("deeponet.latent"));
        assert!(bad(&|c, _| c.latent = 2000).contains("6000"));
        assert!(bad(&|c, _| c.sensors = 5000).contains("deeponet.sensors"));
        assert!(bad(&|_, n| n.output_activation = ActivationKind::Tanh).contains("output_activation"));
        assert!(bad(&|_, n| n.hidden = 0).contains("trunk.network.hidden"));
    }
}
