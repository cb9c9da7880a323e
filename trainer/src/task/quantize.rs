//! Turns a checkpoint into a model in integers: calibrated, fine-tuned on its signal, measured by the runtime.

use std::path::Path;

use rwf_runtime::{
    IntegerModel, Model,
    format::{MathBackend, Precision},
};
use toml::Table;

use super::{
    observed::start,
    reopen::{Found, Reopened, reopen},
};
use crate::{
    engine::{Device, EngineChoice, engine},
    error::Result,
    export,
    file::write_atomically,
    fold::fold_with_head,
    network::{Network, Parameter},
    quantize::{self, Added, Ration, Width, refused, tune},
    train::{Checkpoint, Progress},
};

/// What an export to integers came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Bytes of the model file.
    pub bytes: usize,
    /// Bits of the weights of each layer, as in the file.
    pub bits: String,
    /// Error against the signal; `Err` says why it could not be measured.
    pub found: std::result::Result<Found, String>,
    /// Error that integers add to the same network in f32 at the calibration points.
    pub added: Added,
    /// The same before fine-tuning.
    pub untuned: Added,
}

/// Writes the checkpoint at `from` to `out` in integers of `width`, `mixed` ones within `ration`, after `steps` of fine-tuning where its signal can be
/// read; when these do not help the task's score they are dropped.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) when `from` is none, accumulators that could overflow, an
/// output that cannot be written.
pub fn run(from: &Path, out: &Path, (width, ration): (Width, Ration), steps: u64, quiet: bool) -> Result<Report> {
    let checkpoint = Checkpoint::<Table>::read(from)?;
    let mut task = reopen(from, &checkpoint).map_err(|e| e.to_string());
    let inputs = checkpoint.normalization.input_centre.len();
    let (network, _) = start(&checkpoint.config, &checkpoint.normalization)?;
    let coordinates = task.as_ref().ok().and_then(|task| task.calibration());
    let description = &checkpoint.description;
    let points = quantize::calibration(description, inputs, coordinates.as_deref());

    let fold = |p: &[Parameter]| fold_with_head(network.dense_f64(p), checkpoint.head, &checkpoint.normalization);
    let dense = fold(&checkpoint.parameters);
    let float = export::model(&dense, description, Precision::F32, MathBackend::Polynomial)?;
    let bits = match width {
        Width::Mixed => quantize::mixed(&dense, description, &points, &float, ration)?,
        width => quantize::bits(width, &dense, description, &points, &float)?,
    };
    let mut bytes = quantize::model(&dense, description, &bits, &points)?;
    let float = Model::new(&float).map_err(refused)?;
    let added = |bytes: &[u8]| -> Result<Added> {
        Ok(quantize::added(&float, &IntegerModel::new(bytes).map_err(refused)?, &points))
    };
    let untuned = added(&bytes)?;
    let found = match &mut task {
        Err(why) => Err(why.clone()),
        Ok(task) => {
            let mut best = task.findings(&IntegerModel::new(&bytes).map_err(refused)?)?;
            if steps > 0 {
                let tuned = fine_tune(&network, &checkpoint, task.as_mut(), &bits, steps, quiet)?;
                let candidate = quantize::model(&fold(&tuned), description, &bits, &points)?;
                let found = task.findings(&IntegerModel::new(&candidate).map_err(refused)?)?;
                if found.score.value > best.score.value {
                    (bytes, best) = (candidate, found);
                }
            }
            bytes = export::with_error(&bytes, &best.summary)?;
            Ok(best)
        }
    };
    let added = added(&bytes)?;
    let words = IntegerModel::new(&bytes).map_err(refused)?;
    let bits = words.metadata(rwf_runtime::format::key::BITS).unwrap_or("").to_owned();
    write_atomically(out, &bytes)?;
    Ok(Report { bytes: bytes.len(), bits, found, added, untuned })
}

/// The trained numbers after some steps on what the run was trained on.
fn fine_tune(
    network: &Network,
    checkpoint: &Checkpoint<Table>,
    task: &mut dyn Reopened,
    bits: &[rwf_runtime::integer::Bits],
    steps: u64,
    quiet: bool,
) -> Result<Vec<Parameter>> {
    let mut engine = engine(EngineChoice::Auto, network, &checkpoint.parameters, &Device::Cpu)?;
    task.prepare(engine.as_mut())?;
    let mut parameters = engine.parameters()?;
    let plan = tune::Plan { steps, learning_rate: checkpoint.config.training.learning_rate };
    let mut progress = Progress::new(0, steps, quiet);
    let mut gather = |engine: &mut dyn crate::engine::Engine, step| task.gather(engine, step);
    tune::tune(engine.as_mut(), network, &mut parameters, bits, plan, &mut gather, &mut progress)?;
    Ok(parameters)
}
