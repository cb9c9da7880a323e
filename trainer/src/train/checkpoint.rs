//! What a run needs to go on: raw factors, optimizer moments, step, config, and the scales of the signal.

use std::path::Path;

use rwf_runtime::format::{Activation, CHECKPOINT_FORMAT, FORMAT, key};

use crate::{
    config::{RunConfig, SignalConfig, SignalRecord},
    container::{self, Stored, Words},
    error::{Error, Result},
    export::Description,
    file::write_atomically,
    fold::Normalization,
    network::Parameter,
};

/// Version of the checkpoint written by this crate.
const VERSION: &str = "1";
/// Prefixes of the names of moments.
const MOMENTS: [&str; 2] = ["adam.", "lbfgs."];
/// Prefix of the names of a task's own state.
const STATE: &str = "state.";

/// A run at the end of a step, on a signal recorded as `S`.
#[derive(Debug, Clone)]
pub struct Checkpoint<S = SignalConfig> {
    /// The task it belongs to, [`SignalRecord::TASK`].
    pub task: String,
    /// Steps done.
    pub step: u64,
    /// The record of the run.
    pub config: RunConfig<S>,
    /// What stands behind the trained network in the model file.
    pub head: Activation,
    /// Between physical units and the network's.
    pub normalization: Normalization,
    /// What the model file will say.
    pub description: Description,
    /// Hash of the signal, so that a run does not go on with another one.
    pub signal_hash: u64,
    /// Trained parameters.
    pub parameters: Vec<Parameter>,
    /// What the optimizer knows.
    pub moments: Vec<Parameter>,
    /// What the task knows beside the network.
    pub state: Vec<Parameter>,
}

mod word {
    pub(super) const TASK: &str = "task";
    pub(super) const HEAD: &str = "head";
    pub(super) const STEP: &str = "step";
    pub(super) const CONFIG: &str = "config";
    pub(super) const NORMALIZATION: &str = "normalization";
    pub(super) const SIGNAL_HASH: &str = "signal_hash";
}

impl<S: SignalRecord> Checkpoint<S> {
    /// Writes the checkpoint; a file of before stays whole until the new one is.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut words = Words::new();
        let mut put = |key: &str, value: String| words.insert(key.to_owned(), value);
        put(key::FORMAT, CHECKPOINT_FORMAT.into());
        put(key::VERSION, VERSION.into());
        put(word::TASK, self.task.clone());
        put(word::HEAD, self.head.name().into());
        put(word::STEP, self.step.to_string());
        put(word::CONFIG, self.config.to_toml());
        put(word::NORMALIZATION, serde_json::to_string(&self.normalization).expect("plain numbers"));
        put(word::SIGNAL_HASH, format!("{:016x}", self.signal_hash));
        put(key::SIGNAL, self.description.signal.clone());
        put(key::INPUTS, self.description.inputs.clone());
        put(key::OUTPUTS, self.description.outputs.clone());
        if let Some(grid) = &self.description.grid {
            put(key::GRID, grid.clone());
        }
        put(key::PROVENANCE, self.description.provenance.clone());
        let mut tensors: Vec<Stored> =
            self.parameters.iter().chain(&self.moments).map(|p| Stored::f32(&p.name, &p.shape, &p.values)).collect();
        tensors.extend(self.state.iter().map(|p| Stored::f32(format!("{STATE}{}", p.name), &p.shape, &p.values)));
        write_atomically(path, &container::write(&tensors, &words))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no such file, [`Error::Checkpoint`] when it is something else: a model, or the
    /// checkpoint of a task with signals of another kind.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = crate::file::read(path)?;
        let bad = |message: String| Error::Checkpoint { path: path.into(), message };
        let (words, tensors) = container::read(&bytes).map_err(bad)?;
        let get = |key: &str| words.get(key).cloned().ok_or_else(|| bad(format!("has no word `{key}`")));
        match words.get(key::FORMAT).map(String::as_str) {
            Some(CHECKPOINT_FORMAT) => {}
            Some(FORMAT) => {
                let message = "is a folded model, expected a training checkpoint: the factors are gone from a model; \
                               `checkpoint.safetensors` in the run folder has them";
                return Err(bad(message.into()));
            }
            other => {
                return Err(bad(format!("format is {other:?}, expected `{CHECKPOINT_FORMAT}`")));
            }
        }
        let version = get(key::VERSION)?;
        if version != VERSION {
            return Err(bad(format!("checkpoint version is {version}, expected {VERSION}")));
        }
        // Checkpoints of before there were other tasks do not tell.
        let task = words.get(word::TASK).map_or(SignalConfig::TASK, String::as_str).to_owned();
        if !S::accepts(&task) {
            return Err(bad(format!("is of a run of `rwf {task}`, expected one of `rwf {}`", S::TASK)));
        }
        let head = words.get(word::HEAD).map_or(Activation::Identity.name(), String::as_str);
        let head = Activation::from_name(head)
            .ok_or_else(|| bad(format!("`{}` is `{head}`, expected an activation", word::HEAD)))?;
        let number = |key: &str, radix| {
            let word = get(key)?;
            u64::from_str_radix(&word, radix).map_err(|_| bad(format!("`{key}` is `{word}`, expected a number")))
        };
        let config = RunConfig::from_toml(&get(word::CONFIG)?).map_err(|e| bad(e.to_string()))?;
        let normalization = serde_json::from_str(&get(word::NORMALIZATION)?)
            .map_err(|e| bad(format!("`{}`: {e}", word::NORMALIZATION)))?;
        let (mut state, tensors): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|p| p.name.starts_with(STATE));
        state.iter_mut().for_each(|p: &mut Parameter| _ = p.name.drain(..STATE.len()));
        let (moments, parameters) =
            tensors.into_iter().partition(|p| MOMENTS.iter().any(|prefix| p.name.starts_with(prefix)));
        Ok(Self {
            task,
            head,
            step: number(word::STEP, 10)?,
            config,
            normalization,
            description: Description {
                signal: get(key::SIGNAL)?,
                inputs: get(key::INPUTS)?,
                outputs: get(key::OUTPUTS)?,
                grid: words.get(key::GRID).cloned(),
                error: None,
                provenance: get(key::PROVENANCE)?,
            },
            signal_hash: number(word::SIGNAL_HASH, 16)?,
            parameters,
            moments,
            state,
        })
    }
}
