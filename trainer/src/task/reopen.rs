//! A checkpoint of any task, for what can be done to all of them: another export, fine-tuning.

use std::path::Path;

use toml::Table;

use super::{
    ct::{Ct, CtConfig},
    fit::Fit,
    observed::{Findings, Observed, open_checkpoint},
    operator::{Operator, OperatorConfig},
    pde::{Pde, PdeConfig},
    render::{Render, RenderConfig},
    shape::{Shape, ShapeConfig},
};
use crate::{
    config::{SignalConfig, SignalRecord},
    engine::Engine,
    error::{Error, Result},
    evaluate::Evaluator,
    train::{Checkpoint, Score},
};

/// What an exported file was found to be.
#[derive(Debug, Clone)]
pub struct Found {
    /// How good it is.
    pub score: Score,
    /// One line for the model file.
    pub summary: String,
    /// Lines for people.
    pub table: String,
}

/// A task whatever its signal; methods as those of [`Observed`].
pub(super) trait Reopened {
    fn prepare(&mut self, engine: &mut dyn Engine) -> Result<()>;
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64>;
    fn findings(&mut self, model: &dyn Evaluator) -> Result<Found>;
    fn calibration(&self) -> Option<Vec<f32>>;
}

impl<T: Observed> Reopened for T {
    fn prepare(&mut self, engine: &mut dyn Engine) -> Result<()> {
        Observed::prepare(self, engine)
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        Observed::gather(self, engine, step)
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Found> {
        let found = Observed::findings(self, model)?;
        Ok(Found { score: found.score(), summary: found.summary(), table: found.table() })
    }

    fn calibration(&self) -> Option<Vec<f32>> {
        Observed::calibration(self)
    }
}

/// The task of the checkpoint in `path`, which holds one of `task`.
///
/// # Errors
/// A task this program does not know, a signal that is gone or has changed.
pub(super) fn reopen(path: &Path, checkpoint: &Checkpoint<Table>) -> Result<Box<dyn Reopened>> {
    fn open<T: Observed + 'static>(path: &Path) -> Result<Box<dyn Reopened>> {
        Ok(Box::new(open_checkpoint::<T>(path)?.1))
    }
    match checkpoint.task.as_str() {
        SignalConfig::TASK => open::<Fit>(path),
        ShapeConfig::TASK => open::<Shape>(path),
        CtConfig::TASK => open::<Ct>(path),
        RenderConfig::TASK => open::<Render>(path),
        PdeConfig::TASK => open::<Pde>(path),
        OperatorConfig::TASK => open::<Operator>(path),
        other => {
            let message = format!("is of a run of `rwf {other}`, which this version does not know");
            Err(Error::Checkpoint { path: path.into(), message })
        }
    }
}
