//! Folds a checkpoint into a model file of the precision asked for.

use std::path::Path;

use rwf_runtime::{
    Model,
    format::{MathBackend, Precision},
};

use crate::{
    error::{Error, Result},
    evaluate::evaluate,
    export,
    file::write_atomically,
    fold::fold,
    network::Network,
    rng::Rng,
    signal::{self, LoadOptions},
    train::{Checkpoint, Metrics},
};

/// What an export came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Bytes of the model file.
    pub bytes: usize,
    /// Error against the signal the run was fitted to; `Err` says why it could not be measured.
    pub error: std::result::Result<Metrics, String>,
}

/// Writes the model of the checkpoint at `from` to `out`. Precision and maths are those of the run unless given.
///
/// # Errors
/// [`Error::Checkpoint`] when `from` is none, [`Error::Io`] when `out` cannot be written.
pub fn run(from: &Path, out: &Path, precision: Option<Precision>, math: Option<MathBackend>) -> Result<Report> {
    let checkpoint = Checkpoint::read(from)?;
    let config = &checkpoint.config;
    let bad = |message: String| Error::Checkpoint { path: from.into(), message };
    let inputs = checkpoint.normalization.input_centre.len();
    let outputs = checkpoint.normalization.output_centre.len();
    let mut rng = Rng::new(config.training.seed).stream("network");
    let (network, _) = Network::new(&config.network, inputs, outputs, &mut rng)?;
    network.check(&checkpoint.parameters).map_err(|e| bad(e.to_string()))?;
    let dense = fold(&network.dense_f64(&checkpoint.parameters), &checkpoint.normalization);
    let bytes = export::model(
        &dense,
        &checkpoint.description,
        precision.unwrap_or(config.export.precision),
        math.unwrap_or(config.export.math),
    )?;

    let error = measure(&bytes, &checkpoint);
    let bytes = match &error {
        Ok(metrics) => export::with_error(&bytes, &metrics.summary())?,
        Err(_) => bytes,
    };
    write_atomically(out, &bytes)?;
    Ok(Report { bytes: bytes.len(), error })
}

fn measure(bytes: &[u8], checkpoint: &Checkpoint) -> std::result::Result<Metrics, String> {
    let config = &checkpoint.config.signal;
    let options =
        LoadOptions { kind: Some(config.kind), inputs: config.inputs.clone(), outputs: config.outputs.clone() };
    let signal = signal::load(&config.path, &options).map_err(|e| e.to_string())?;
    let model = Model::new(bytes).map_err(|e| e.to_string())?;
    let fit = evaluate(&model, &signal.coordinates_f32());
    Ok(Metrics::new(&signal.outputs, &fit, &signal.values))
}
