//! Fits a network to a signal measured directly: every sample is a coordinate and the values there.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use rwf_runtime::format::Activation;
use toml::Table;

pub use super::observed::Place;
use super::observed::{self, Findings, Measurement, Observed, Subject};
use crate::{
    config::{self, RunConfig},
    engine::{Engine, Loss},
    error::{Error, Result},
    evaluate::Evaluator,
    export::Description,
    fold::Normalization,
    plot,
    rng::Rng,
    signal::{self, Layout, LoadOptions, Quantity, Signal, SignalKind},
    train::{Batches, Checkpoint, Evaluation, Measured, Metrics, Objective, RunFolder, Score, metrics::label},
};

/// Samples measured while training; at the end all are.
const MONITORED: usize = 16_384;
/// Signal, fit and error.
const COMPARISON: &str = "comparison.png";

/// What is asked for: a new run, or one to go on with.
#[derive(Debug, Clone)]
pub enum Request {
    /// Fit `input` and write `out`.
    New {
        /// File of the signal.
        input: PathBuf,
        /// Model file to write.
        out: PathBuf,
        /// How to read the signal.
        options: LoadOptions,
        /// Layers of configuration over the defaults.
        layers: Vec<Table>,
        /// Whether an earlier run may be replaced.
        force: bool,
    },
    /// Go on with the run in this folder.
    Resume {
        /// The run folder.
        folder: PathBuf,
        /// Another number of steps.
        steps: Option<u64>,
    },
}

/// What a run came to.
pub type Report = observed::Report<Fitted>;

/// Runs `request` at `place`.
///
/// # Errors
/// As [`observed::run`].
pub fn run(request: Request, place: Place<'_>, interrupt: &AtomicBool, quiet: bool) -> Result<Report> {
    observed::run(prepare(request)?, place, interrupt, quiet)
}

/// Reads the signal of a new run and settles its configuration.
///
/// # Errors
/// Bad input.
pub fn prepare(request: Request) -> Result<observed::Request<Fit>> {
    Ok(match request {
        Request::New { input, out, options, layers, force } => {
            let signal = signal::load(&input, &options)?;
            let defaults = config::defaults(signal.kind, signal.inputs.len(), signal.len());
            let known = known(&input, &options, signal.kind);
            let config = config::resolve([defaults].into_iter().chain(layers).chain([known]))?;
            let task = Box::new(Fit::new(signal, &config)?);
            observed::Request::New { task, config: Box::new(config), out, force }
        }
        Request::Resume { folder, steps } => observed::Request::Resume { folder, steps, lbfgs: None },
    })
}

/// A signal on its way into a network.
#[derive(Debug)]
pub struct Fit {
    signal: Signal,
    subject: Subject,
    batches: Batches,
    target_psnr: Option<f64>,
    coordinates: Vec<f32>,
    training: Vec<usize>,
    validation: Vec<usize>,
    monitored: Vec<usize>,
    monitored_validation: Vec<usize>,
}

/// Errors of a fit, measured by the runtime.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Over all samples.
    pub all: Metrics,
    /// Over the samples held out, if any were.
    pub validation: Option<Metrics>,
    values: Vec<f32>,
}

impl Findings for Fitted {
    fn score(&self) -> Score {
        Score::psnr(self.all.psnr)
    }

    fn summary(&self) -> String {
        let mut error = self.all.summary();
        if let Some(held_out) = &self.validation {
            error += &format!(";held_out_psnr_db={:.2};held_out_samples={}", held_out.psnr, held_out.samples);
        }
        error
    }

    fn table(&self) -> String {
        let mut text = format!("all samples, measured by the runtime:\n{}", self.all.table().trim_end());
        if let Some(held_out) = &self.validation {
            text += &format!("\nheld out of training:\n{}", held_out.table().trim_end());
        }
        text
    }
}

impl Fit {
    /// A signal that is read already, as `config` asks for it.
    ///
    /// # Errors
    /// [`Error::Config`] when no sample is left to train on.
    pub(super) fn new(signal: Signal, config: &RunConfig) -> Result<Self> {
        let n = signal.len();
        let held_out = (config.signal.validation * n as f64).round() as usize;
        let order = Rng::new(config.training.seed).stream("validation").permutation(n);
        let split = |range: &[u32]| {
            let mut part: Vec<usize> = range.iter().map(|&i| i as usize).collect();
            part.sort_unstable();
            part
        };
        let (validation, training) = (split(&order[..held_out]), split(&order[held_out..]));
        if training.is_empty() {
            return Err(Error::Config {
                field: "signal.validation".into(),
                message: format!("holds out all {n} samples, expected some left to train on"),
            });
        }
        let thin = |all: Vec<usize>| -> Vec<usize> {
            let stride = all.len().div_ceil(MONITORED).max(1);
            // An odd stride does not fall in step with the rows of an image.
            all.into_iter().step_by(if stride > 1 { stride | 1 } else { 1 }).collect()
        };
        let batches = Batches::new(config.training.seed, training.len(), config.training.batch);
        let coordinates = signal.coordinates_f32();
        let subject = Subject {
            headline: format!(
                "{}: {} of {n} samples, {} -> {}",
                signal.kind,
                signal.name,
                names(&signal.inputs),
                names(&signal.outputs)
            ),
            title: format!("{} ({})", signal.name, signal.kind),
            step: format!("{} samples", batches.size()),
            description: Description::of(&signal, String::new()),
            normalization: normalization(&signal),
            head: Activation::Identity,
            hash: observed::hash(coordinates.iter().chain(&signal.values).copied()),
        };
        Ok(Self {
            subject,
            batches,
            target_psnr: config.training.target_psnr,
            monitored: thin((0..n).collect()),
            monitored_validation: thin(validation.clone()),
            coordinates,
            signal,
            training,
            validation,
        })
    }

    /// Errors at some thousand samples all over the signal.
    pub(super) fn quick(&self, model: &dyn Evaluator) -> Metrics {
        self.metrics(model, &self.monitored)
    }

    fn metrics(&self, model: &dyn Evaluator, samples: &[usize]) -> Metrics {
        if samples.len() == self.signal.len() {
            let fit = model.evaluate(&self.coordinates);
            return Metrics::new(&self.signal.outputs, &fit, &self.signal.values);
        }
        let x = gather(&self.coordinates, self.signal.inputs.len(), samples);
        let truth = gather(&self.signal.values, self.signal.outputs.len(), samples);
        Metrics::new(&self.signal.outputs, &model.evaluate(&x), &truth)
    }
}

impl Observed for Fit {
    type Record = config::SignalConfig;
    type Findings = Fitted;
    const FILES: &'static [&'static str] = &[COMPARISON];
    const TARGET_PSNR: bool = true;

    fn open(config: &RunConfig) -> Result<Self> {
        let record = &config.signal;
        let options =
            LoadOptions { kind: Some(record.kind), inputs: record.inputs.clone(), outputs: record.outputs.clone() };
        Self::new(signal::load(&record.path, &options)?, config)
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn prepare(&mut self, engine: &mut dyn Engine) -> Result<()> {
        let (x, y) = network_units(&self.signal, &self.subject.normalization, &self.training);
        engine.load(&x, &y)
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.batches.gather(engine, step)
    }

    fn loaded(&mut self) -> Option<(&mut Batches, Loss)> {
        Some((&mut self.batches, Loss::MeanSquaredError))
    }

    fn columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        let sets: &[&str] = if self.validation.is_empty() { &["all"] } else { &["all", "held_out"] };
        for set in sets {
            columns.push(format!("{set}_psnr_db"));
            for output in &self.signal.outputs {
                for what in ["rmse", "max", "relative_l2"] {
                    columns.push(format!("{set}_{what}_{}", output.name.replace(',', " ")));
                }
            }
        }
        columns
    }

    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement> {
        let all = self.metrics(model, &self.monitored);
        let psnr = all.psnr;
        let mut sets = vec![all];
        if !self.validation.is_empty() {
            sets.push(self.metrics(model, &self.monitored_validation));
        }
        let mut columns = Vec::new();
        for set in &sets {
            columns.push(set.psnr);
            columns.extend(set.outputs.iter().flat_map(|o| [o.rmse, o.max, o.relative_l2]));
        }
        let target_reached = self.target_psnr.is_some_and(|target| {
            psnr >= target
                && (self.monitored.len() == self.signal.len() || {
                    let every: Vec<usize> = (0..self.signal.len()).collect();
                    self.metrics(model, &every).psnr >= target
                })
        });
        Ok(Measurement { score: Score::psnr(psnr), columns, target_reached })
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Fitted> {
        let values = model.evaluate(&self.coordinates);
        let (outputs, truth) = (&self.signal.outputs, &self.signal.values);
        let all = Metrics::new(outputs, &values, truth);
        let of = |values: &[f32]| gather(values, outputs.len(), &self.validation);
        let validation = (!self.validation.is_empty()).then(|| Metrics::new(outputs, &of(&values), &of(truth)));
        Ok(Fitted { all, validation, values })
    }

    fn pictures(&mut self, _: &dyn Evaluator, found: &Fitted, folder: &RunFolder) -> Result<()> {
        plot::save_png(&folder.file(COMPARISON), &plot::comparison(&self.signal, &found.values)?)
    }

    fn calibration(&self) -> Option<Vec<f32>> {
        Some(self.coordinates.clone())
    }
}

fn gather(values: &[f32], width: usize, samples: &[usize]) -> Vec<f32> {
    samples.iter().flat_map(|&i| &values[i * width..(i + 1) * width]).copied().collect()
}

fn names(quantities: &[Quantity]) -> String {
    quantities.iter().map(label).collect::<Vec<_>>().join(", ")
}

/// A checkpoint and the signal it was trained on.
pub(super) fn open_checkpoint(path: &Path) -> Result<(Checkpoint, Signal)> {
    let (checkpoint, task) = observed::open_checkpoint::<Fit>(path)?;
    Ok((checkpoint, task.signal))
}

/// Coordinates `[n, inputs]` and values `[n, outputs]` of these samples, normalised.
pub(super) fn network_units(signal: &Signal, n: &Normalization, samples: &[usize]) -> (Vec<f32>, Vec<f32>) {
    let (d, k) = (signal.inputs.len(), signal.outputs.len());
    let mut x = Vec::with_capacity(samples.len() * d);
    let mut y = Vec::with_capacity(samples.len() * k);
    let mut at = vec![0.0; d];
    for &i in samples {
        signal.coordinate(i, &mut at);
        x.extend((0..d).map(|j| ((at[j] - n.input_centre[j]) / n.input_half[j]) as f32));
        let values = &signal.values[i * k..(i + 1) * k];
        y.extend((0..k).map(|j| ((f64::from(values[j]) - n.output_centre[j]) / n.output_half[j]) as f32));
    }
    (x, y)
}

/// What the command line and the file say about the signal, as the topmost layer.
pub(super) fn known(input: &Path, options: &LoadOptions, kind: SignalKind) -> Table {
    let list = |names: &[String]| names.iter().cloned().map(toml::Value::String).collect::<Vec<_>>();
    let path = input.canonicalize().unwrap_or_else(|_| input.to_path_buf());
    let mut signal = Table::new();
    signal.insert("path".into(), path.to_string_lossy().into_owned().into());
    signal.insert("kind".into(), kind.to_string().into());
    signal.insert("inputs".into(), list(&options.inputs).into());
    signal.insert("outputs".into(), list(&options.outputs).into());
    Table::from_iter([("signal".to_owned(), signal.into())])
}

/// Inputs to [-1, 1]: a raster keeps its aspect ratio, anything else goes axis by axis. Outputs to [-1, 1] by
/// their range, an image's channels all alike.
pub(super) fn normalization(signal: &Signal) -> Normalization {
    let centre = |q: &Quantity| 0.5 * (q.lo + q.hi);
    let half = |q: &Quantity| if q.hi > q.lo { 0.5 * (q.hi - q.lo) } else { 1.0 };
    let mut input_half: Vec<f64> = signal.inputs.iter().map(half).collect();
    let raster = matches!(signal.kind, SignalKind::Image | SignalKind::Array);
    if raster && matches!(signal.layout, Layout::Grid { .. }) {
        let longest = input_half.iter().copied().fold(0.0, f64::max);
        input_half.fill(longest);
    }
    Normalization {
        input_centre: signal.inputs.iter().map(centre).collect(),
        input_half,
        output_centre: signal.outputs.iter().map(centre).collect(),
        output_half: signal.outputs.iter().map(half).collect(),
        mask: None,
    }
}

/// A fit as something that trains without a look at the result, many of which run side by side.
pub(super) struct Blind<'a>(pub(super) &'a mut Fit);

impl Objective for Blind<'_> {
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.0.gather(engine, step)
    }

    fn evaluate(&mut self, _: &dyn Engine, at: Evaluation) -> Result<Measured> {
        Ok(Measured { score: Score::new("loss", -at.loss), target_reached: false })
    }
}
