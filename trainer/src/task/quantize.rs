//! Turns a checkpoint into a model in integers: calibrated, fine-tuned on its signal, measured by the runtime.

use std::path::Path;

use candle_core::Device;
use rwf_runtime::{
    IntegerModel, Model,
    format::{MathBackend, Precision},
};

use super::fit::{network_units, open_checkpoint};
use crate::{
    engine::{EngineChoice, engine},
    error::Result,
    evaluate::evaluate_integers,
    export,
    file::write_atomically,
    fold::fold,
    network::{Network, Parameter},
    quantize::{self, Added, Width, refused, tune},
    rng::Rng,
    signal::Signal,
    train::{Batches, Checkpoint, Metrics, Progress},
};

/// What an export to integers came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Bytes of the model file.
    pub bytes: usize,
    /// Bits of the weights of each layer, as in the file.
    pub bits: String,
    /// Error against the signal; `Err` says why it could not be measured.
    pub error: std::result::Result<Metrics, String>,
    /// Error that integers add to the same network in f32 at the calibration points.
    pub added: Added,
    /// The same before fine-tuning.
    pub untuned: Added,
}

/// Writes the checkpoint at `from` to `out` in integers of `width`, after `steps` of fine-tuning where its signal can be
/// read; when these do not help the signal's error they are dropped.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) when `from` is none, accumulators that could overflow, an
/// output that cannot be written.
pub fn run(from: &Path, out: &Path, width: Width, steps: u64, quiet: bool) -> Result<Report> {
    let checkpoint = Checkpoint::read(from)?;
    let signal = open_checkpoint(from).map(|(_, signal)| signal).map_err(|e| e.to_string());
    let config = &checkpoint.config;
    let inputs = checkpoint.normalization.input_centre.len();
    let outputs = checkpoint.normalization.output_centre.len();
    let mut rng = Rng::new(config.training.seed).stream("network");
    let (network, _) = Network::new(&config.network, inputs, outputs, &mut rng)?;
    let coordinates = signal.as_ref().ok().map(Signal::coordinates_f32);
    let description = &checkpoint.description;
    let points = quantize::calibration(description, inputs, coordinates.as_deref());

    let dense = fold(&network.dense_f64(&checkpoint.parameters), &checkpoint.normalization);
    let float = export::model(&dense, description, Precision::F32, MathBackend::Polynomial)?;
    let bits = quantize::bits(width, &dense, description, &points, &float)?;
    let mut bytes = quantize::model(&dense, description, &bits, &points)?;
    let float = Model::new(&float).map_err(refused)?;
    let added = |bytes: &[u8]| -> Result<Added> {
        Ok(quantize::added(&float, &IntegerModel::new(bytes).map_err(refused)?, &points))
    };
    let untuned = added(&bytes)?;
    let mut error = Err(String::new());
    match &signal {
        Err(why) => error = Err(why.clone()),
        Ok(signal) => {
            let coordinates = coordinates.as_deref().unwrap_or(&[]);
            let measure = |bytes: &[u8]| -> Result<Metrics> {
                let model = IntegerModel::new(bytes).map_err(refused)?;
                Ok(Metrics::new(&signal.outputs, &evaluate_integers(&model, coordinates), &signal.values))
            };
            let mut best = measure(&bytes)?;
            if steps > 0 {
                let tuned = fine_tune(&network, &checkpoint, signal, &bits, steps, quiet)?;
                let dense = fold(&network.dense_f64(&tuned), &checkpoint.normalization);
                let candidate = quantize::model(&dense, description, &bits, &points)?;
                let metrics = measure(&candidate)?;
                if metrics.psnr > best.psnr {
                    (bytes, best) = (candidate, metrics);
                }
            }
            bytes = export::with_error(&bytes, &best.summary())?;
            error = error.or(Ok::<_, String>(best));
        }
    }
    let added = added(&bytes)?;
    let words = IntegerModel::new(&bytes).map_err(refused)?;
    let bits = words.metadata(rwf_runtime::format::key::BITS).unwrap_or("").to_owned();
    write_atomically(out, &bytes)?;
    Ok(Report { bytes: bytes.len(), bits, error, added, untuned })
}

/// The trained numbers after some steps on the samples the run was trained on.
fn fine_tune(
    network: &Network,
    checkpoint: &Checkpoint,
    signal: &Signal,
    bits: &[rwf_runtime::integer::Bits],
    steps: u64,
    quiet: bool,
) -> Result<Vec<Parameter>> {
    let config = &checkpoint.config;
    let n = signal.len();
    let held_out = (config.signal.validation * n as f64).round() as usize;
    let order = Rng::new(config.training.seed).stream("validation").permutation(n);
    let mut training: Vec<usize> = order[held_out..].iter().map(|&i| i as usize).collect();
    training.sort_unstable();
    let mut engine = engine(EngineChoice::Auto, network, &checkpoint.parameters, &Device::Cpu)?;
    let (x, y) = network_units(signal, &checkpoint.normalization, &training);
    engine.load(&x, &y)?;
    let mut parameters = engine.parameters()?;
    let mut batches = Batches::new(config.training.seed, training.len(), config.training.batch);
    let plan = tune::Plan { steps, learning_rate: config.training.learning_rate };
    let mut progress = Progress::new(0, steps, quiet);
    tune::tune(engine.as_mut(), network, &mut parameters, bits, plan, &mut batches, &mut progress)?;
    Ok(parameters)
}
