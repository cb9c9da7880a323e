//! The record of a run on an operator.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::{
    config::{SignalRecord, check_signal, defaults_with, merge},
    error::Result,
    network::{DeepOnetConfig, Merge},
    observation::operator::{terms, weights},
    signal::operator::{Generator, Source, generator, sensor_count},
};

/// `[signal]` of a run of `rwf operator`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// Name of the generator; none: arrays of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// File of the generated pairs, or of one's own: safetensors with `inputs`, `points`, `outputs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// NPY files of one's own: inputs, points, outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrays: Option<[PathBuf; 3]>,
    /// Generated pairs to train on.
    pub train: usize,
    /// Generated pairs that training does not see.
    pub test: usize,
    /// Share of one's own pairs that training does not see, the last ones.
    pub validation: f64,
    /// Seed of the generator.
    pub data_seed: u64,
    /// Whether it is trained by its equation and conditions alone, not by solutions.
    pub physics: bool,
    /// Functions a step.
    pub functions: usize,
    /// Points a step; by the equation, within the domain.
    pub points: usize,
    /// Points a step of every condition, where it is trained by its equation.
    pub conditions: usize,
    /// Weights of the equation's terms; 1 where none is given.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Branch, trunk, and how they are merged.
    pub deeponet: DeepOnetConfig,
}

impl OperatorConfig {
    /// The generator, where there is one.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for a name that is none.
    pub fn generator(&self) -> Result<Option<&'static dyn Generator>> {
        self.operator.as_deref().map(generator).transpose()
    }

    /// Where one's own arrays are.
    pub(super) fn source(&self) -> Option<Source> {
        match (&self.arrays, &self.data) {
            (Some(arrays), _) => Some(Source::Arrays(arrays.clone())),
            (None, Some(file)) => Some(Source::File(file.clone())),
            (None, None) => None,
        }
    }
}

impl SignalRecord for OperatorConfig {
    const TASK: &'static str = "operator";

    fn validate(&self) -> Result<()> {
        let known = self.generator()?;
        let within = |field: &str, value: usize, least: usize, most: usize| {
            check_signal((least..=most).contains(&value), field, value.to_string(), &format!("{least} to {most}"))
        };
        within("train", self.train, 2, 1 << 20)?;
        within("test", self.test, 1, 1 << 16)?;
        within("functions", self.functions, 1, 1 << 16)?;
        within("points", self.points, 1, 1 << 20)?;
        within("conditions", self.conditions, 1, 1 << 20)?;
        let v = self.validation;
        check_signal((0.01..=0.9).contains(&v), "validation", v.to_string(), "0.01 to 0.9")?;
        self.deeponet.validate()?;
        let Some(known) = known else {
            check_signal(self.source().is_some(), "operator", "none".into(), "a generator, `data`, or `arrays`")?;
            return check_signal(!self.physics, "physics", "arrays".into(), "a generator, whose equation is known");
        };
        let (found, expected) = (self.deeponet.sensors, sensor_count(known));
        let what = format!("{expected}, those of {}", known.name());
        check_signal(found == expected, "deeponet.sensors", found.to_string(), &what)?;
        let terms = terms(known.name());
        let with_values =
            format!("an operator whose equation takes its input's values alone: {} does not", known.name());
        check_signal(!self.physics || !terms.is_empty(), "physics", known.name().into(), &with_values)?;
        let plain = !self.physics || self.deeponet.merge == Merge::Dot;
        check_signal(plain, "deeponet.merge", "dense".into(), "dot: derivatives are of inner products alone")?;
        let names: Vec<&str> = terms.iter().map(|t| t.name).collect();
        for (name, weight) in &self.weights {
            let expected = format!("a term of {}: {names:?}", known.name());
            check_signal(names.contains(&name.as_str()), "weights", format!("`{name}`"), &expected)?;
            check_signal(*weight >= 0.0 && weight.is_finite(), "weights", weight.to_string(), "at least 0")?;
        }
        Ok(())
    }

    fn deeponet(&self) -> Option<DeepOnetConfig> {
        Some(self.deeponet.clone())
    }
}

/// Defaults of an operator, the lowest layer under [`config::resolve`](crate::config::resolve): of a generator, trained by
/// its equation or by solutions, or of arrays with this many sensors.
pub fn defaults(generator: Option<&dyn Generator>, sensors: usize, physics: bool) -> Table {
    let mut table = defaults_with(
        "
        [signal]
        train = 1000
        test = 100
        validation = 0.1
        data_seed = 0
        physics = false
        functions = 64
        points = 512
        conditions = 64
        [signal.deeponet]
        latent = 64
        [network]
        architecture = 'modified-mlp'
        activation = 'tanh'
        hidden = 64
        depth = 4
        [training]
        steps = 20000
        batch = 0
        learning_rate = 1e-3
        evaluate_every = 500
        ",
    );
    let mut own = |text: &str| merge(&mut table, text.parse().expect("the program's own text"));
    if let Some(generator) = generator {
        own(generator.defaults());
    }
    if physics {
        own("[signal]\nphysics = true\nfunctions = 32\npoints = 256");
        for (term, weight) in generator.map_or(&[][..], |g| weights(g.name())) {
            own(&format!("[signal.weights]\n{term} = {weight:?}"));
        }
    }
    own(&format!("[signal.deeponet]\nsensors = {sensors}"));
    table
}
