//! Folds a checkpoint of any task into a model file of the precision asked for.

use std::path::Path;

use rwf_runtime::format::{MathBackend, Precision};
use toml::Table;

use super::{
    observed::{load, networks},
    reopen::{Found, reopen},
};
use crate::{
    error::{Error, Result},
    export,
    file::write_atomically,
    train::Checkpoint,
};

/// What an export came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Bytes of the model file.
    pub bytes: usize,
    /// Error against the signal the run was fitted to; `Err` says why it could not be measured.
    pub found: std::result::Result<Found, String>,
}

/// Writes the model of the checkpoint at `from` to `out`. Precision and maths are those of the run unless given.
///
/// # Errors
/// [`Error::Checkpoint`] when `from` is none, [`Error::Io`] when `out` cannot be written.
pub fn run(from: &Path, out: &Path, precision: Option<Precision>, math: Option<MathBackend>) -> Result<Report> {
    let checkpoint = Checkpoint::<Table>::read(from)?;
    let config = &checkpoint.config;
    let bad = |message: String| Error::Checkpoint { path: from.into(), message };
    let (networks, _) = networks(config, &checkpoint.normalization)?;
    networks.check(&checkpoint.parameters).map_err(|e| bad(e.to_string()))?;
    let bytes = export::folded(
        &networks,
        &checkpoint.parameters,
        (checkpoint.head, &checkpoint.normalization),
        &checkpoint.description,
        precision.unwrap_or(config.export.precision),
        math.unwrap_or(config.export.math),
    )?;
    let found = {
        let model = load(&bytes)?;
        let found = reopen(from, &checkpoint).and_then(|mut task| task.findings(model.as_ref()));
        found.map_err(|e| e.to_string())
    };
    let with_error = match &found {
        Ok(found) => export::with_error(&bytes, &found.summary)?,
        Err(_) => bytes.clone(),
    };
    write_atomically(out, &with_error)?;
    Ok(Report { bytes: with_error.len(), found })
}
