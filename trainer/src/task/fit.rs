//! Fits a network to a signal measured directly: every sample is a coordinate and the values there.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Instant,
};

use candle_core::Device;
use rwf_runtime::Model;
use toml::Table;

use crate::{
    config::{self, RunConfig},
    engine::{Engine, EngineChoice, engine},
    error::{Error, Result},
    evaluate::evaluate,
    export::{self, Description},
    file::write_atomically,
    fold::{Normalization, fold},
    network::Network,
    plot::{self, CurvePoint},
    rng::Rng,
    signal::{self, Layout, LoadOptions, Quantity, Signal, SignalKind},
    train::{
        self, Batches, Checkpoint, Evaluation, Measured, Metrics, Monitor, Outcome, Progress, RunFolder, Stop,
        metrics::label, run_folder::MetricsLog,
    },
};

/// Samples measured while training; at the end all are.
const MONITORED: usize = 16_384;

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
#[derive(Debug, Clone)]
pub struct Report {
    /// Model file beside the run folder.
    pub out: PathBuf,
    /// The run folder.
    pub folder: PathBuf,
    /// How training ended.
    pub outcome: Outcome,
    /// Error over all samples, measured by the runtime.
    pub all: Metrics,
    /// Error over the samples held out, if any were.
    pub validation: Option<Metrics>,
    /// Bytes of the model file.
    pub bytes: usize,
    /// Seconds of training.
    pub seconds: f64,
}

/// Where a run is computed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// By which engine.
    pub engine: EngineChoice,
    /// On which device.
    pub device: &'a Device,
    /// What the device is called.
    pub name: &'a str,
}

/// Runs `request` at `place`.
///
/// # Errors
/// Bad input, an output that cannot be written, or a failure of the device. Divergence and Ctrl-C are outcomes,
/// not errors: the model is written.
pub fn run(request: Request, place: Place<'_>, interrupt: &AtomicBool, quiet: bool) -> Result<Report> {
    let mut run = match request {
        Request::New { input, out, options, layers, force } => Run::new(&input, out, &options, layers, force, place)?,
        Request::Resume { folder, steps } => Run::resume(&folder, steps, place)?,
    };
    let started = Instant::now();
    let plan = run.config.training.clone();
    let mut batches = Batches::new(plan.seed, run.monitor.training.len(), plan.batch);
    if !quiet {
        eprintln!("{}", run.headline(batches.size(), place.name));
    }
    let mut progress = Progress::new(run.from, plan.steps, quiet);
    let outcome =
        train::fit(run.engine.as_mut(), &plan, &mut batches, run.from, &mut run.monitor, interrupt, &mut progress)?;
    let seconds = started.elapsed().as_secs_f64();
    run.finish(outcome, seconds)
}

struct Run {
    config: RunConfig,
    engine: Box<dyn Engine>,
    monitor: SignalMonitor,
    out: PathBuf,
    from: u64,
}

impl Run {
    fn new(
        input: &Path,
        out: PathBuf,
        options: &LoadOptions,
        layers: Vec<Table>,
        force: bool,
        place: Place<'_>,
    ) -> Result<Self> {
        let signal = signal::load(input, options)?;
        let defaults = config::defaults(signal.kind, signal.inputs.len(), signal.len());
        let known = known(input, options, signal.kind);
        let config = config::resolve([defaults].into_iter().chain(layers).chain([known]))?;
        let folder = RunFolder::beside(&out);
        if out.exists() && !force {
            return Err(Error::Config {
                field: "output".into(),
                message: format!("`{}` is there already; `--force` replaces it", out.display()),
            });
        }

        let mut rng = Rng::new(config.training.seed).stream("network");
        let (network, parameters) = Network::new(&config.network, signal.inputs.len(), signal.outputs.len(), &mut rng)?;
        let engine = engine(place.engine, &network, &parameters, place.device)?;
        folder.create(force)?;
        write_atomically(&folder.config(), config.to_toml().as_bytes())?;

        let normalization = normalization(&signal);
        let log = |columns| Ok(MetricsLog::new(folder.metrics(), columns));
        let monitor = SignalMonitor::new(signal, &config, network, normalization, folder.clone(), place.name, log)?;
        let mut run = Self { config, engine, monitor, out, from: 0 };
        run.load()?;
        Ok(run)
    }

    fn resume(folder: &Path, steps: Option<u64>, place: Place<'_>) -> Result<Self> {
        let folder = RunFolder::open(folder)?;
        let (checkpoint, signal) = open_checkpoint(&folder.checkpoint())?;
        let mut config = checkpoint.config;
        config.training.steps = steps.unwrap_or(config.training.steps);
        let mut rng = Rng::new(config.training.seed).stream("network");
        let (network, _) = Network::new(&config.network, signal.inputs.len(), signal.outputs.len(), &mut rng)?;
        let mut engine = engine(place.engine, &network, &checkpoint.parameters, place.device)?;
        engine.set_moments(&checkpoint.moments)?;
        let log = |columns| MetricsLog::resume(folder.metrics(), columns, checkpoint.step);
        let normalization = checkpoint.normalization;
        let monitor = SignalMonitor::new(signal, &config, network, normalization, folder.clone(), place.name, log)?;
        let out = folder.path().with_extension("safetensors");
        let mut run = Self { config, engine, monitor, out, from: checkpoint.step };
        run.load()?;
        Ok(run)
    }

    /// Hands the training samples, in the network's units, to the engine.
    fn load(&mut self) -> Result<()> {
        let m = &self.monitor;
        let (x, y) = network_units(&m.signal, &m.normalization, &m.training);
        self.engine.load(&x, &y)
    }

    fn headline(&self, batch: usize, device: &str) -> String {
        let signal = &self.monitor.signal;
        let network = &self.config.network;
        let parameters: usize = self.engine.parameters().map_or(0, |p| p.iter().map(|p| p.values.len()).sum());
        format!(
            "{}: {} of {} samples, {} -> {}\n{:?} {}x{}, {parameters} trained numbers, {} on {device}\n\
             {} steps of {batch} samples; run folder {}",
            signal.kind,
            signal.name,
            signal.len(),
            names(&signal.inputs),
            names(&signal.outputs),
            network.architecture,
            network.depth,
            network.hidden,
            self.engine.name(),
            self.config.training.steps,
            self.monitor.folder.path().display(),
        )
    }

    fn finish(mut self, outcome: Outcome, seconds: f64) -> Result<Report> {
        let m = &mut self.monitor;
        m.description.provenance = self.config.provenance(outcome.step, &m.device);
        if !matches!(outcome.stop, Stop::Steps | Stop::Target) {
            // Interrupted or diverged: what the engine stands at is what the run goes on from.
            m.checkpoint(self.engine.as_ref(), outcome.step)?;
        }
        let (bytes, fit) = m.export(self.engine.as_ref())?;
        let all = m.metrics_of(&fit, None);
        let validation = (!m.validation.is_empty()).then(|| m.metrics_of(&fit, Some(&m.validation)));
        let mut error = all.summary();
        if let Some(held_out) = &validation {
            error += &format!(";held_out_psnr_db={:.2};held_out_samples={}", held_out.psnr, held_out.samples);
        }
        let bytes = export::with_error(&bytes, &error)?;
        write_atomically(&m.folder.model(), &bytes)?;
        write_atomically(&self.out, &bytes)?;
        m.pictures(&fit)?;
        Ok(Report {
            out: self.out,
            folder: m.folder.path().to_path_buf(),
            outcome,
            all,
            validation,
            bytes: bytes.len(),
            seconds,
        })
    }
}

/// Measures with the runtime, on the model as it would be exported now.
struct SignalMonitor {
    signal: Signal,
    config: RunConfig,
    network: Network,
    normalization: Normalization,
    description: Description,
    folder: RunFolder,
    device: String,
    log: MetricsLog,
    signal_hash: u64,
    coordinates: Vec<f32>,
    training: Vec<usize>,
    validation: Vec<usize>,
    monitored: Vec<usize>,
    monitored_validation: Vec<usize>,
    started: Instant,
}

impl SignalMonitor {
    fn new(
        signal: Signal,
        config: &RunConfig,
        network: Network,
        normalization: Normalization,
        folder: RunFolder,
        device: &str,
        log: impl FnOnce(Vec<String>) -> Result<MetricsLog>,
    ) -> Result<Self> {
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
        let mut columns: Vec<String> = ["learning_rate", "loss", "gradient_norm", "seconds"].map(String::from).to_vec();
        let sets: &[&str] = if validation.is_empty() { &["all"] } else { &["all", "held_out"] };
        for set in sets {
            columns.push(format!("{set}_psnr_db"));
            for output in &signal.outputs {
                for what in ["rmse", "max", "relative_l2"] {
                    columns.push(format!("{set}_{what}_{}", output.name.replace(',', " ")));
                }
            }
        }
        let thin = |all: Vec<usize>| -> Vec<usize> {
            let stride = all.len().div_ceil(MONITORED).max(1);
            // An odd stride does not fall in step with the rows of an image.
            all.into_iter().step_by(if stride > 1 { stride | 1 } else { 1 }).collect()
        };
        Ok(Self {
            coordinates: signal.coordinates_f32(),
            description: Description::of(&signal, config.provenance(0, device)),
            device: device.to_owned(),
            log: log(columns)?,
            signal_hash: hash(&signal),
            monitored: thin((0..n).collect()),
            monitored_validation: thin(validation.clone()),
            config: config.clone(),
            started: Instant::now(),
            signal,
            network,
            normalization,
            folder,
            training,
            validation,
        })
    }

    /// The model file as of now, without its error. Folded in f64 from the trained numbers alone, so that the file
    /// does not depend on the engine and a checkpoint gives the same one.
    fn model(&self, engine: &dyn Engine) -> Result<Vec<u8>> {
        let dense = fold(&self.network.dense_f64(&engine.parameters()?), &self.normalization);
        let export = &self.config.export;
        export::model(&dense, &self.description, export.precision, export.math)
    }

    /// The model file and its values at every sample.
    fn export(&self, engine: &dyn Engine) -> Result<(Vec<u8>, Vec<f32>)> {
        let bytes = self.model(engine)?;
        let fit = evaluate(&load(&bytes)?, &self.coordinates);
        Ok((bytes, fit))
    }

    fn measure(&self, model: &Model<'_>, samples: &[usize]) -> Metrics {
        if samples.len() == self.signal.len() {
            let fit = evaluate(model, &self.coordinates);
            return Metrics::new(&self.signal.outputs, &fit, &self.signal.values);
        }
        let x = gather(&self.coordinates, self.signal.inputs.len(), samples);
        let truth = gather(&self.signal.values, self.signal.outputs.len(), samples);
        Metrics::new(&self.signal.outputs, &evaluate(model, &x), &truth)
    }

    fn metrics_of(&self, fit: &[f32], samples: Option<&[usize]>) -> Metrics {
        let Some(samples) = samples else {
            return Metrics::new(&self.signal.outputs, fit, &self.signal.values);
        };
        let width = self.signal.outputs.len();
        let truth = gather(&self.signal.values, width, samples);
        Metrics::new(&self.signal.outputs, &gather(fit, width, samples), &truth)
    }

    fn checkpoint(&self, engine: &dyn Engine, step: u64) -> Result<()> {
        let checkpoint = Checkpoint {
            step,
            config: self.config.clone(),
            normalization: self.normalization.clone(),
            description: Description {
                provenance: self.config.provenance(step, &self.device),
                ..self.description.clone()
            },
            signal_hash: self.signal_hash,
            parameters: engine.parameters()?,
            moments: engine.moments()?,
        };
        checkpoint.write(&self.folder.checkpoint())
    }

    fn pictures(&self, fit: &[f32]) -> Result<()> {
        let loss = self.log.column("loss");
        let psnr = self.log.column("all_psnr_db");
        let points: Vec<CurvePoint> = loss
            .iter()
            .zip(&psnr)
            .map(|(&(step, loss), &(_, psnr))| CurvePoint { step, loss, psnr: Some(psnr) })
            .collect();
        let title = format!("{} ({})", self.signal.name, self.signal.kind);
        plot::save_png(&self.folder.loss(), &plot::loss_curve(&points, &title)?)?;
        plot::save_png(&self.folder.comparison(), &plot::comparison(&self.signal, fit)?)
    }
}

impl Monitor for SignalMonitor {
    fn evaluate(&mut self, engine: &dyn Engine, at: Evaluation) -> Result<Measured> {
        let Ok(bytes) = self.model(engine) else {
            // Weights that cannot be exported are what divergence looks like; the loop knows what to do.
            return Ok(Measured { psnr: f64::NAN, target_reached: false });
        };
        let model = load(&bytes)?;
        let all = self.measure(&model, &self.monitored);
        let mut sets = vec![all.clone()];
        if !self.validation.is_empty() {
            sets.push(self.measure(&model, &self.monitored_validation));
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let mut row = vec![at.learning_rate, at.loss, at.gradient_norm, seconds];
        for set in &sets {
            row.push(set.psnr);
            row.extend(set.outputs.iter().flat_map(|o| [o.rmse, o.max, o.relative_l2]));
        }
        if all.psnr.is_nan() {
            return Ok(Measured { psnr: all.psnr, target_reached: false });
        }
        self.log.push(at.step, row)?;
        self.checkpoint(engine, at.step)?;
        let target_reached = self.config.training.target_psnr.is_some_and(|target| {
            all.psnr >= target
                && (self.monitored.len() == self.signal.len() || {
                    let every: Vec<usize> = (0..self.signal.len()).collect();
                    self.measure(&model, &every).psnr >= target
                })
        });
        Ok(Measured { psnr: all.psnr, target_reached })
    }
}

fn load(bytes: &[u8]) -> Result<Model<'_>> {
    Model::new(bytes).map_err(|e| Error::Training(format!("the exported model does not load: {e}")))
}

fn gather(values: &[f32], width: usize, samples: &[usize]) -> Vec<f32> {
    samples.iter().flat_map(|&i| &values[i * width..(i + 1) * width]).copied().collect()
}

fn names(quantities: &[Quantity]) -> String {
    quantities.iter().map(label).collect::<Vec<_>>().join(", ")
}

/// A checkpoint and the signal it was trained on.
pub(super) fn open_checkpoint(path: &Path) -> Result<(Checkpoint, Signal)> {
    let checkpoint = Checkpoint::read(path)?;
    let config = &checkpoint.config.signal;
    let options =
        LoadOptions { kind: Some(config.kind), inputs: config.inputs.clone(), outputs: config.outputs.clone() };
    let signal = signal::load(&config.path, &options)?;
    let found = hash(&signal);
    if found != checkpoint.signal_hash {
        return Err(Error::Checkpoint {
            path: path.into(),
            message: format!(
                "the signal `{}` has changed since the run began (found hash {found:016x}, expected {:016x})",
                config.path.display(),
                checkpoint.signal_hash
            ),
        });
    }
    Ok((checkpoint, signal))
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
fn known(input: &Path, options: &LoadOptions, kind: SignalKind) -> Table {
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
fn normalization(signal: &Signal) -> Normalization {
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
    }
}

/// FNV-1a over the coordinates and values of a signal.
fn hash(signal: &Signal) -> u64 {
    let coordinates = signal.coordinates_f32();
    coordinates
        .iter()
        .chain(&signal.values)
        .flat_map(|v| v.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
