//! The record of a run on a differential equation.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::{
    config::{SignalRecord, defaults_with, merge},
    domain::Sampler,
    error::{Error, Result},
    observation::pde::{Equation, equation},
};

/// How the weights of an equation's terms are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// As `[signal.weights]` says
    Fixed,
    /// So that all terms' gradients have the same norm (Wang, Teng, Perdikaris 2021)
    GradientNorm,
    /// So that all terms' tangent kernels have the same trace (Wang, Yu, Perdikaris 2022)
    Ntk,
}

/// A coefficient that begins elsewhere (Krishnapriyan et al. 2021).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curriculum {
    /// Which.
    pub coefficient: String,
    /// Its value at the first step; from there it goes evenly to its own.
    pub from: f64,
    /// Share of all steps, those of L-BFGS too, at which it begins to move.
    #[serde(default)]
    pub start: f64,
    /// Share of all steps at which it gets there, above `start` to 1.
    pub share: f64,
}

/// `[signal]` of a run of `rwf pde`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PdeConfig {
    /// Name of the equation.
    pub equation: String,
    /// Coefficients that differ from the equation's own.
    #[serde(default)]
    pub coefficients: BTreeMap<String, f64>,
    /// Points a step within the domain.
    pub points: usize,
    /// Points a step of every other term.
    pub conditions: usize,
    /// How they are drawn.
    pub sampler: Sampler,
    /// How terms are weighted.
    pub balance: Balance,
    /// Steps between two looks at the weights.
    pub balance_every: u64,
    /// Share of the weights of before in the new ones.
    pub momentum: f64,
    /// Weights of terms at the first step; 1 where none is given.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Whether the network vanishes by construction where a condition says no more than that.
    #[serde(default)]
    pub hard: bool,
    /// Parts that time is opened in, one after the other over the first half of the steps; 1: all of it from the start
    /// (Wight and Zhao 2020).
    pub windows: usize,
    /// Share of the points within the domain that are held where the residual is largest (Lu et al. 2021).
    pub refine: f64,
    /// Steps between two searches for such places.
    pub refine_every: u64,
    /// A coefficient that begins elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<Curriculum>,
    /// Places where the solution is measured, where coefficients are sought.
    pub measurements: usize,
    /// Standard deviation of the noise on them, over that of the solution.
    pub noise: f64,
    /// Learning rate of sought coefficients over that of the network.
    pub sought_rate: f64,
    /// File of a reference solution; none: the equation's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
}

impl SignalRecord for PdeConfig {
    const TASK: &'static str = "pde";

    fn validate(&self) -> Result<()> {
        let refuse = |field: &str, found: String, expected: &str| {
            let message = format!("found {found}, expected {expected}");
            Err(Error::Config { field: format!("signal.{field}"), message })
        };
        let known = equation(&self.equation)?;
        for (field, value) in [("points", self.points), ("conditions", self.conditions)] {
            if !(16..=1 << 20).contains(&value) {
                return refuse(field, value.to_string(), "16 to 1048576");
            }
        }
        if self.balance_every == 0 || self.refine_every == 0 {
            return refuse("balance_every or refine_every", "0".into(), "at least 1");
        }
        if !(1..=64).contains(&self.windows) {
            return refuse("windows", self.windows.to_string(), "1 to 64");
        }
        if self.windows > 1 && known.axes()[0].name != "t" {
            return refuse("windows", self.windows.to_string(), "1: the equation has no time");
        }
        if !(16..=1 << 16).contains(&self.measurements) {
            return refuse("measurements", self.measurements.to_string(), "16 to 65536");
        }
        for (field, value, most) in [("momentum", self.momentum, 0.999), ("refine", self.refine, 0.9)] {
            if !(0.0..=most).contains(&value) {
                return refuse(field, value.to_string(), &format!("0 to {most}"));
            }
        }
        for (field, value) in [("noise", self.noise), ("sought_rate", self.sought_rate)] {
            if !(0.0..=100.0).contains(&value) {
                return refuse(field, value.to_string(), "0 to 100");
            }
        }
        let names: Vec<&str> = known.coefficients().iter().map(|c| c.name).collect();
        let coefficient = |name: &str, value: f64, field: &str| {
            if !names.contains(&name) {
                return refuse(field, format!("`{name}`"), &format!("a coefficient of {}: {names:?}", self.equation));
            }
            if value.is_finite() { Ok(()) } else { refuse(field, value.to_string(), "a finite number") }
        };
        self.coefficients.iter().try_for_each(|(name, value)| coefficient(name, *value, "coefficients"))?;
        let values = super::training::values(known, self);
        if let Some(expected) = known.problem(&values) {
            return refuse("coefficients", format!("{values:?}"), expected);
        }
        if let Some(c) = &self.curriculum {
            coefficient(&c.coefficient, c.from, "curriculum")?;
            if !(c.start >= 0.0 && c.share > c.start && c.share <= 1.0) {
                let found = format!("{} and start {}", c.share, c.start);
                return refuse("curriculum.share", found, "0 <= start < share <= 1");
            }
        }
        let terms: Vec<&str> = known.terms().iter().map(|t| t.name).collect();
        for (name, weight) in &self.weights {
            if !terms.contains(&name.as_str()) {
                return refuse("weights", format!("`{name}`"), &format!("a term of {}: {terms:?}", self.equation));
            }
            if !(*weight >= 0.0 && weight.is_finite()) {
                return refuse("weights", weight.to_string(), "numbers of at least 0");
            }
        }
        Ok(())
    }
}

/// Defaults for an equation, the lowest layer under [`config::resolve`](crate::config::resolve); `over` are the layers
/// above, whose coefficients they may depend on.
pub fn defaults(equation: &dyn Equation, over: &[Table]) -> Table {
    let asked = |name: &str| {
        let of = |layer: &Table| {
            let value = layer.get("signal")?.get("coefficients")?.get(name)?;
            value.as_float().or_else(|| value.as_integer().map(|i| i as f64))
        };
        over.iter().rev().find_map(of)
    };
    let coefficients: Vec<f64> = equation.coefficients().iter().map(|c| asked(c.name).unwrap_or(c.value)).collect();
    let mut table = defaults_with(
        "
        [signal]
        points = 2048
        conditions = 256
        sampler = 'latin'
        balance = 'fixed'
        balance_every = 250
        momentum = 0.9
        hard = false
        windows = 1
        refine = 0.0
        refine_every = 250
        measurements = 2000
        noise = 0.01
        sought_rate = 1.0
        [network]
        architecture = 'mlp'
        activation = 'tanh'
        hidden = 64
        depth = 4
        [training]
        steps = 20000
        batch = 0
        learning_rate = 2e-3
        evaluate_every = 500
        ",
    );
    let own = equation.defaults(&coefficients).parse::<Table>().expect("the equation's own constant text");
    merge(&mut table, own);
    table
}
