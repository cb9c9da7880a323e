//! The record of one run: everything that, with the signal, makes the model again.

use std::path::{Path, PathBuf};

use rwf_runtime::format::{MathBackend, Precision};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use crate::{
    error::{Error, Result},
    network::{DeepOnetConfig, NetworkConfig},
    signal::SignalKind,
    train::Schedule,
};

/// An error unless `ok`: what was `found` in `field`, and what was `expected`.
///
/// # Errors
/// [`Error::Config`] naming the field.
pub(crate) fn check(ok: bool, field: &str, found: String, expected: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::Config { field: field.into(), message: format!("found {found}, expected {expected}") })
}

/// [`check`] of a field of `[signal]`, a task's record.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_signal(ok: bool, field: &str, found: String, expected: &str) -> Result<()> {
    check(ok, &format!("signal.{field}"), found, expected)
}

/// How a task records what it looks at, in `config.toml` and in checkpoints.
pub trait SignalRecord: std::fmt::Debug + Clone + PartialEq + Serialize + DeserializeOwned {
    /// The task, as its subcommand is called.
    const TASK: &'static str;

    /// Whether a checkpoint of `task` has such a record.
    fn accepts(task: &str) -> bool {
        task == Self::TASK
    }

    /// What is impossible about it.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field, what was found and what was expected.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// What makes an operator of two networks, where one is trained.
    fn deeponet(&self) -> Option<DeepOnetConfig> {
        None
    }
}

/// The record of any task, for what needs only network and training.
impl SignalRecord for Table {
    const TASK: &'static str = "any";

    fn accepts(_: &str) -> bool {
        true
    }

    fn deeponet(&self) -> Option<DeepOnetConfig> {
        self.get("deeponet").cloned().and_then(|own| own.try_into().ok())
    }
}

/// One run on a signal recorded as `S`, as written to `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig<S = SignalConfig> {
    /// What is fitted.
    pub signal: S,
    /// With what.
    pub network: NetworkConfig,
    /// How.
    pub training: TrainingConfig,
    /// Into which file.
    pub export: ExportConfig,
}

/// What is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalConfig {
    /// File of the signal.
    pub path: PathBuf,
    /// Kind of signal.
    pub kind: SignalKind,
    /// Columns of a table that are inputs; empty: all but the outputs.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Columns of a table that are outputs; empty: the last one.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Fraction of the samples held out of training, 0 to 0.9.
    pub validation: f64,
}

impl SignalRecord for SignalConfig {
    const TASK: &'static str = "fit";

    fn validate(&self) -> Result<()> {
        let v = self.validation;
        if (0.0..=0.9).contains(&v) {
            return Ok(());
        }
        let message = format!("found {v}, expected 0 to 0.9");
        Err(Error::Config { field: "signal.validation".into(), message })
    }
}

/// Adam's variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Kingma and Ba 2015.
    Adam,
    /// With decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW,
}

/// How it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Number of optimizer steps.
    pub steps: u64,
    /// Steps of L-BFGS after these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lbfgs: u64,
    /// Samples a step; 0: all.
    pub batch: usize,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Learning rate at the first step.
    pub learning_rate: f64,
    /// How the rate changes.
    pub schedule: Schedule,
    /// Decay of the first moment, 0 to 1.
    pub beta1: f64,
    /// Decay of the second moment, 0 to 1.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay, for AdamW.
    pub weight_decay: f64,
    /// Largest global gradient norm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Seed of every random number.
    pub seed: u64,
    /// Training ends once the PSNR over all samples reaches this, in dB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_psnr: Option<f64>,
    /// Steps between two measurements; a checkpoint follows each.
    pub evaluate_every: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl TrainingConfig {
    /// Steps of both kinds.
    pub fn all_steps(&self) -> u64 {
        self.steps + self.lbfgs
    }
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportConfig {
    /// Weights: `f32` or `f16`.
    #[serde(with = "precision_word")]
    pub precision: Precision,
    /// Sine, tanh and exp: `polynomial`, `libm` or `micromath`.
    #[serde(with = "math_word")]
    pub math: MathBackend,
}

macro_rules! word {
    ($module:ident, $type:ty, $all:expr) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

            use super::*;

            pub(super) fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(value.name())
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let word = String::deserialize(from)?;
                <$type>::from_name(&word).ok_or_else(|| {
                    let known: Vec<&str> = $all.into_iter().map(|v| v.name()).collect();
                    D::Error::custom(format!("found `{word}`, expected {}", known.join(" or ")))
                })
            }

            type Result<T, E> = std::result::Result<T, E>;
        }
    };
}
word!(precision_word, Precision, Precision::ALL);
word!(math_word, MathBackend, MathBackend::ALL);

/// Defaults of every task under `own`, TOML text: the lowest layer under [`resolve`].
///
/// # Panics
/// When `own` is not TOML; it is the program's own text.
pub fn defaults_with(own: &str) -> Table {
    let common = "
        [training]
        optimizer = 'adam'
        beta1 = 0.9
        beta2 = 0.999
        epsilon = 1e-8
        weight_decay = 0.0
        seed = 0
        evaluate_every = 100
        [training.schedule]
        kind = 'cosine'
        end = 0.01
        [export]
        precision = 'f32'
        math = 'polynomial'
        [network.parameterization]
        kind = 'random-weight-factorization'
        ";
    let parse = |text: &str| text.parse::<Table>().expect("constant text");
    let mut table = parse(common);
    merge(&mut table, parse(own));
    table
}

/// Defaults that work for a kind of signal with this many inputs and samples, as the lowest layer under
/// [`resolve`].
pub fn defaults(kind: SignalKind, inputs: usize, samples: usize) -> Table {
    let own = match (kind, inputs) {
        (SignalKind::Table, _) => {
            "
            [network]
            architecture = 'mlp'
            hidden = 32
            depth = 3
            [training]
            steps = 5000
            batch = 4096
            learning_rate = 2e-3
            "
        }
        (SignalKind::Audio, _) => {
            "
            [network]
            architecture = 'siren'
            omega0 = 30.0
            omega0_first = 3000.0
            hidden = 128
            depth = 3
            [training]
            steps = 5000
            batch = 8192
            learning_rate = 2e-4
            "
        }
        (SignalKind::Image | SignalKind::Array, _) => {
            "
            [network]
            architecture = 'siren'
            hidden = 64
            depth = 3
            [training]
            steps = 2500
            batch = 4096
            learning_rate = 1e-3
            "
        }
    };
    let parse = |text: &str| text.parse::<Table>().expect("constant text");
    let mut table = defaults_with("[signal]\nvalidation = 0.0");
    merge(&mut table, parse(own));
    // A photograph of some size has more to say than a thumbnail.
    if matches!(kind, SignalKind::Image | SignalKind::Array) && samples > 32_768 {
        merge(&mut table, parse("[network]\nhidden = 128\n[training]\nlearning_rate = 5e-4"));
    }
    // A handful of rows is too dear to hold any back.
    if kind == SignalKind::Table && samples >= 100 {
        merge(&mut table, parse("[signal]\nvalidation = 0.1"));
    }
    table
}

/// The run that `layers` describe, each over the one before it: defaults, config file, command line.
///
/// # Errors
/// [`Error::Config`] naming the field, what was found and what was expected.
pub fn resolve<S: SignalRecord>(layers: impl IntoIterator<Item = Table>) -> Result<RunConfig<S>> {
    let mut table = Table::new();
    for layer in layers {
        merge(&mut table, layer);
    }
    let config: RunConfig<S> = Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| Error::Config { field: "config".into(), message: plain(&e) })?;
    config.validate()?;
    Ok(config)
}

/// A config file as a layer.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Config`] when it is not TOML.
pub fn read_layer(path: &Path) -> Result<Table> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), action: "read", source })?;
    text.parse().map_err(|e: toml::de::Error| Error::Config { field: path.display().to_string(), message: plain(&e) })
}

fn plain(error: &toml::de::Error) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

/// Lays `over` on `under`, table by table. A table of another `kind` replaces the one below it whole: the fields
/// of one variant mean nothing to the next. (A signal's kind is not such a choice: its fields are common to all.)
pub(crate) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => {
                let kinds = (below.get("kind"), above.get("kind"));
                let other_kind = key != "signal" && matches!(kinds, (Some(b), Some(a)) if a != b);
                if other_kind {
                    *below = above;
                } else {
                    merge(below, above);
                }
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

impl<S: SignalRecord> RunConfig<S> {
    /// Reads back what [`RunConfig::to_toml`] wrote.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`resolve`].
    pub fn from_toml(text: &str) -> Result<Self> {
        let table = text.parse::<Table>().map_err(|e| Error::Config { field: "config".into(), message: plain(&e) })?;
        resolve([table])
    }

    /// The text of `config.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain values")
    }

    /// Where the parameterization, seed and steps are told to people.
    pub fn provenance(&self, step: u64, device: &str) -> String {
        let parameterization =
            toml::to_string(&self.network.parameterization).expect("plain values").trim().replace('\n', ", ");
        format!("{parameterization}; seed {}; {step} steps; {device}", self.training.seed)
    }

    fn validate(&self) -> Result<()> {
        self.network.validate()?;
        let t = &self.training;
        let positive = |v: f64| v > 0.0 && v.is_finite();
        let number = |v: f64| format!("{v}");
        check(t.steps > 0, "training.steps", t.steps.to_string(), "at least 1")?;
        check(t.evaluate_every > 0, "training.evaluate_every", "0".into(), "at least 1")?;
        check(positive(t.learning_rate), "training.learning_rate", number(t.learning_rate), "above 0")?;
        check((0.0..1.0).contains(&t.beta1), "training.beta1", number(t.beta1), "0 to below 1")?;
        check((0.0..1.0).contains(&t.beta2), "training.beta2", number(t.beta2), "0 to below 1")?;
        check(positive(t.epsilon), "training.epsilon", number(t.epsilon), "above 0")?;
        check(t.weight_decay >= 0.0, "training.weight_decay", number(t.weight_decay), "at least 0")?;
        check(
            t.weight_decay == 0.0 || t.optimizer == Optimizer::AdamW,
            "training.weight_decay",
            number(t.weight_decay),
            "0 with optimizer `adam`; decay needs `adam-w`",
        )?;
        check(t.clip.is_none_or(positive), "training.clip", format!("{:?}", t.clip), "above 0")?;
        check(
            t.target_psnr.is_none_or(f64::is_finite),
            "training.target_psnr",
            format!("{:?}", t.target_psnr),
            "a number of dB",
        )?;
        if let Some(message) = t.schedule.problem() {
            return Err(Error::Config { field: "training.schedule".into(), message });
        }
        self.signal.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Table {
        text.parse().unwrap()
    }

    fn base() -> Table {
        let mut table = defaults(SignalKind::Image, 2, 1000);
        merge(&mut table, layer("[signal]\npath = 'a.png'\nkind = 'image'"));
        table
    }

    #[test]
    fn every_kind_has_defaults_that_resolve_and_survive_the_file() {
        for kind in [SignalKind::Image, SignalKind::Table, SignalKind::Audio, SignalKind::Array] {
            let own = layer(&format!("[signal]\npath = 'a'\nkind = '{kind}'"));
            let config: RunConfig = resolve([defaults(kind, 2, 1000), own]).unwrap();
            assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
        }
    }

    #[test]
    fn later_layers_win_and_another_kind_replaces_the_whole_choice() {
        let file = layer("[training]\nsteps = 7\n[training.schedule]\nkind = 'exponential'\nfactor = 0.5\nevery = 10");
        let line = layer("[training]\nsteps = 9");
        let config: RunConfig = resolve([base(), file, line]).unwrap();
        assert_eq!(config.training.steps, 9);
        assert_eq!(config.training.schedule, Schedule::Exponential { factor: 0.5, every: 10 });
    }

    #[test]
    fn impossible_values_name_the_field() {
        for (text, word) in [
            ("[training]\nsteps = 0", "training.steps"),
            ("[training]\nlearning_rate = -1.0", "training.learning_rate"),
            ("[training]\nweight_decay = 0.1", "training.weight_decay"),
            ("[training]\nclip = 0.0", "training.clip"),
            ("[signal]\nvalidation = 1.5", "signal.validation"),
            ("[training.schedule]\nkind = 'cosine'\nend = 3.0", "training.schedule"),
            ("[export]\nprecision = 'f8'", "f8"),
            ("[training]\nstep = 5", "step"),
        ] {
            let error = resolve::<SignalConfig>([base(), layer(text)]).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
