//! The run around every task: run folder, record, seeded start, loop, checkpoints, export, report.
//!
//! A task is an [`Observed`]: it opens the signal its record names, gathers the gradients of one step into an engine, and
//! measures the exported network. The rest is here, the same for all of them:
//!
//! ```text
//! config.toml          RunConfig<T::Record>: [signal] is the task's, the rest is everyone's
//! metrics.csv          step, learning_rate, loss, gradient_norm, seconds, then T::columns
//! checkpoint           every `evaluate_every` steps and on Ctrl-C; `--resume` goes on to the same bits
//! loss.png             loss and score
//! model.safetensors    folded with T's units and head, measured by the runtime, also as OUT.safetensors
//! ```
//!
//! A new task writes, in `task/NAME.rs`:
//!
//! 1. its record, `#[derive(Serialize, Deserialize, ...)] struct NameConfig`, with [`SignalRecord`] (`TASK = "name"`);
//! 2. `impl Observed for Name`;
//! 3. one line in [`reopen`](super::reopen), so that `rwf export` measures and fine-tunes its checkpoints;
//! 4. `cli/NAME.rs`: [`config::defaults_with`](crate::config::defaults_with) under the layers of `cli/settings.rs`,
//!    [`config::resolve`](crate::config::resolve), `Name::open`, and [`run`] with [`Request::New`] or
//!    [`Request::Resume`].
//!
//! The network sees normalised coordinates: `x` in `gather` is (physical - centre) / half as its [`Subject`] says, the
//! model file takes physical ones. What is random in a step comes from `Rng::new(seed).stream(&format!("... {step}"))`.
//! A loss on derivatives asks the engine for its [`jets`](Engine::jets).

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Instant,
};

use rwf_runtime::{Model, Operator, format::Activation, operator::is_operator};

use crate::{
    config::{RunConfig, SignalRecord},
    engine::{Device, Engine, EngineChoice, Loss, StepReport, engine_of},
    error::{Error, Result},
    evaluate::Evaluator,
    export::{self, Description},
    file::write_atomically,
    fold::Normalization,
    network::{ActivationKind, DeepOnet, Network, Networks, Parameter},
    plot::{self, CurvePoint},
    rng::Rng,
    train::{
        self, Batches, Checkpoint, Evaluation, Measured, Objective, Outcome, Progress, RunFolder, Score, Stop,
        run_folder::MetricsLog,
    },
};

/// A signal seen through observations of a network.
pub trait Observed: Sized {
    /// How the signal is recorded, `[signal]` of `config.toml`.
    type Record: SignalRecord;
    /// What is found at the end.
    type Findings: Findings;
    /// Names of the files that [`Observed::pictures`] writes into the run folder.
    const FILES: &'static [&'static str];
    /// Whether its score is a PSNR that `training.target_psnr` may end a run at, by [`Measurement::target_reached`].
    const TARGET_PSNR: bool = false;
    /// Whether `training.lbfgs` may ask for steps of [`Observed::settle`].
    const LBFGS: bool = false;

    /// Reads the signal that the record names.
    ///
    /// # Errors
    /// Bad input, naming the file.
    fn open(config: &RunConfig<Self::Record>) -> Result<Self>;

    /// What the harness must know of it.
    fn subject(&self) -> &Subject;

    /// Before the first step and before anything is written, for what an engine keeps: loaded samples.
    ///
    /// # Errors
    /// Those of the engine.
    fn prepare(&mut self, _engine: &mut dyn Engine) -> Result<()> {
        Ok(())
    }

    /// Gathers the observations of `step`, as [`Objective::gather`].
    ///
    /// # Errors
    /// Those of the engine.
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64>;

    /// What is loaded, as [`Objective::loaded`].
    fn loaded(&mut self) -> Option<(&mut Batches, Loss)> {
        None
    }

    /// One step of L-BFGS, as [`Objective::settle`].
    ///
    /// # Errors
    /// Those of the engine.
    fn settle(&mut self, _engine: &mut dyn Engine, _step: u64) -> Result<Option<StepReport>> {
        Err(train::no_lbfgs())
    }

    /// Once after the last step, for what the pictures show of the engine.
    ///
    /// # Errors
    /// Those of the engine.
    fn finish(&mut self, _engine: &mut dyn Engine) -> Result<()> {
        Ok(())
    }

    /// Columns of `metrics.csv` that [`Observed::measure`] fills; the first is the score.
    fn columns(&self) -> Vec<String>;

    /// Measures `model` quickly, while training: one number a column, and whether it is good enough to end.
    ///
    /// # Errors
    /// Whatever stops it from measuring; a bad model is no error but a bad score.
    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement>;

    /// Measures `model` for good, at the end and at every export.
    ///
    /// # Errors
    /// Whatever stops it from measuring.
    fn findings(&mut self, model: &dyn Evaluator) -> Result<Self::Findings>;

    /// Writes what people look at into the run folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn pictures(&mut self, model: &dyn Evaluator, findings: &Self::Findings, folder: &RunFolder) -> Result<()>;

    /// What [`Observed::gather`] knows beside the network and the step, for the checkpoint: named numbers.
    fn state(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Takes up what [`Observed::state`] gave.
    ///
    /// # Errors
    /// Numbers that are missing, or not of this signal.
    fn restore(&mut self, _state: &[Parameter]) -> Result<()> {
        Ok(())
    }

    /// Points in physical units, `[n, inputs]`, at which integers are calibrated; none: all over the domain.
    fn calibration(&self) -> Option<Vec<f32>> {
        None
    }
}

/// What the harness must know of a task's signal.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is, in one line for people.
    pub headline: String,
    /// Over its loss curve.
    pub title: String,
    /// What a step looks at, for people: `4096 samples`.
    pub step: String,
    /// What the model file says; its provenance is filled in by the harness, its numbers of inputs and outputs are those
    /// of `normalization`.
    pub description: Description,
    /// Between physical units and the network's; of an operator the inputs are the sensors, then a point's coordinates.
    pub normalization: Normalization,
    /// Activation of the outputs in the model file where training sees what is before it: sigmoid for logits. Else
    /// identity.
    pub head: Activation,
    /// Hash of all that was read, so that a run does not go on with another signal.
    pub hash: u64,
}

/// A quick measurement.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// How good it is.
    pub score: Score,
    /// One number a column.
    pub columns: Vec<f64>,
    /// Whether training may end.
    pub target_reached: bool,
}

/// What a task found at the end.
pub trait Findings {
    /// How good it is.
    fn score(&self) -> Score;
    /// One line for the model file, `name=value;...`.
    fn summary(&self) -> String;
    /// Lines for people.
    fn table(&self) -> String;
}

/// What is asked for: a new run, or one to go on with.
#[derive(Debug)]
pub enum Request<T: Observed> {
    /// Train a network on `task` and write `out`.
    New {
        /// What [`Observed::open`] made of `config`.
        task: Box<T>,
        /// The record of the run.
        config: Box<RunConfig<T::Record>>,
        /// Model file to write.
        out: PathBuf,
        /// Whether an earlier run may be replaced.
        force: bool,
    },
    /// Go on with the run in this folder.
    Resume {
        /// The run folder.
        folder: PathBuf,
        /// Another number of steps.
        steps: Option<u64>,
        /// Another number of steps of L-BFGS after them.
        lbfgs: Option<u64>,
    },
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report<F> {
    /// Model file beside the run folder.
    pub out: PathBuf,
    /// The run folder.
    pub folder: PathBuf,
    /// How training ended.
    pub outcome: Outcome,
    /// What the task found.
    pub findings: F,
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
pub fn run<T: Observed>(
    request: Request<T>,
    place: Place<'_>,
    interrupt: &AtomicBool,
    quiet: bool,
) -> Result<Report<T::Findings>> {
    let mut run = match request {
        Request::New { task, config, out, force } => Run::new(*task, *config, out, force, place)?,
        Request::Resume { folder, steps, lbfgs } => Run::resume(&folder, steps, lbfgs, place)?,
    };
    let started = Instant::now();
    let plan = run.watch.config.training.clone();
    if !quiet {
        eprintln!("{}", run.headline());
    }
    let mut progress = Progress::new(run.from, plan.all_steps(), quiet);
    let outcome = train::fit(run.engine.as_mut(), &plan, run.from, &mut run.watch, interrupt, &mut progress)?;
    let seconds = started.elapsed().as_secs_f64();
    run.finish(outcome, seconds)
}

struct Run<T: Observed> {
    engine: Box<dyn Engine>,
    watch: Watch<T>,
    out: PathBuf,
    from: u64,
}

/// Measures with the runtime, on the model as it would be exported now.
struct Watch<T: Observed> {
    task: T,
    config: RunConfig<T::Record>,
    networks: Networks,
    folder: RunFolder,
    device: String,
    log: MetricsLog,
    started: Instant,
}

impl<T: Observed> Run<T> {
    fn new(mut task: T, config: RunConfig<T::Record>, out: PathBuf, force: bool, place: Place<'_>) -> Result<Self> {
        if out.exists() && !force {
            return Err(Error::Config {
                field: "output".into(),
                message: format!("`{}` is there already; `--force` replaces it", out.display()),
            });
        }
        let subject = task.subject();
        let output = config.network.output_activation;
        if subject.head != Activation::Identity && output != ActivationKind::Identity {
            return Err(Error::Config {
                field: "network.output_activation".into(),
                message: format!(
                    "found {output:?}, expected identity: `rwf {}` puts its own {} there at export",
                    T::Record::TASK,
                    subject.head.name()
                ),
            });
        }
        if config.training.target_psnr.is_some() && !T::TARGET_PSNR {
            let message = format!("found a target, expected none: `rwf {}` does not end at a PSNR", T::Record::TASK);
            return Err(Error::Config { field: "training.target_psnr".into(), message });
        }
        if config.training.lbfgs > 0 && !T::LBFGS {
            return Err(train::no_lbfgs());
        }
        let (networks, parameters) = networks(&config, &subject.normalization)?;
        let mut engine = engine_of(place.engine, &networks, &parameters, place.device)?;
        task.prepare(engine.as_mut())?;
        let folder = RunFolder::beside(&out);
        folder.create(force, T::FILES)?;
        write_atomically(&folder.config(), config.to_toml().as_bytes())?;
        let log = MetricsLog::new(folder.metrics(), columns(&task));
        let device = place.name.to_owned();
        let watch = Watch { task, config, networks, folder, device, log, started: Instant::now() };
        Ok(Self { engine, watch, out, from: 0 })
    }

    fn resume(folder: &Path, steps: Option<u64>, lbfgs: Option<u64>, place: Place<'_>) -> Result<Self> {
        let folder = RunFolder::open(folder)?;
        let (checkpoint, mut task) = open_checkpoint::<T>(&folder.checkpoint())?;
        let mut config = checkpoint.config;
        config.training.steps = steps.unwrap_or(config.training.steps);
        config.training.lbfgs = lbfgs.unwrap_or(config.training.lbfgs);
        if config.training.lbfgs > 0 && !T::LBFGS {
            return Err(train::no_lbfgs());
        }
        let (networks, _) = networks(&config, &checkpoint.normalization)?;
        let mut engine = engine_of(place.engine, &networks, &checkpoint.parameters, place.device)?;
        engine.set_moments(&checkpoint.moments)?;
        task.prepare(engine.as_mut())?;
        let log = MetricsLog::resume(folder.metrics(), columns(&task), checkpoint.step)?;
        let out = folder.path().with_extension("safetensors");
        let device = place.name.to_owned();
        let watch = Watch { task, config, networks, folder, device, log, started: Instant::now() };
        Ok(Self { engine, watch, out, from: checkpoint.step })
    }

    fn headline(&self) -> String {
        let (subject, config) = (self.watch.task.subject(), &self.watch.config);
        let network = &config.network;
        let parameters: usize = self.engine.parameters().map_or(0, |p| p.iter().map(|p| p.values.len()).sum());
        let settle = match config.training.lbfgs {
            0 => String::new(),
            n => format!(", then {n} of L-BFGS"),
        };
        format!(
            "{}\n{:?} {}x{}, {parameters} trained numbers, {} on {}\n{} steps of {}{settle}; run folder {}",
            subject.headline,
            network.architecture,
            network.depth,
            network.hidden,
            self.engine.name(),
            self.watch.device,
            config.training.steps,
            subject.step,
            self.watch.folder.path().display(),
        )
    }

    fn finish(self, outcome: Outcome, seconds: f64) -> Result<Report<T::Findings>> {
        let Self { mut engine, mut watch, out, .. } = self;
        if !matches!(outcome.stop, Stop::Steps | Stop::Target) {
            // Interrupted or diverged: what the engine stands at is what the run goes on from.
            watch.checkpoint(engine.as_ref(), outcome.step)?;
        }
        let bytes = watch.model(engine.as_ref(), outcome.step)?;
        let model = load(&bytes)?;
        let findings = watch.task.findings(model.as_ref())?;
        let with_error = export::with_error(&bytes, &findings.summary())?;
        write_atomically(&watch.folder.model(), &with_error)?;
        write_atomically(&out, &with_error)?;
        watch.curve(findings.score())?;
        watch.task.finish(engine.as_mut())?;
        watch.task.pictures(model.as_ref(), &findings, &watch.folder)?;
        Ok(Report {
            out,
            folder: watch.folder.path().to_path_buf(),
            outcome,
            findings,
            bytes: with_error.len(),
            seconds,
        })
    }
}

impl<T: Observed> Watch<T> {
    /// The model file as of now, without its error. Folded in f64 from the trained numbers alone, so that the file
    /// does not depend on the engine and a checkpoint gives the same one.
    fn model(&self, engine: &dyn Engine, step: u64) -> Result<Vec<u8>> {
        let subject = self.task.subject();
        let (export, fold) = (&self.config.export, (subject.head, &subject.normalization));
        let parameters = engine.parameters()?;
        export::folded(&self.networks, &parameters, fold, &self.description(step), export.precision, export.math)
    }

    fn description(&self, step: u64) -> Description {
        let provenance = self.config.provenance(step, &self.device);
        Description { provenance, ..self.task.subject().description.clone() }
    }

    fn checkpoint(&self, engine: &dyn Engine, step: u64) -> Result<()> {
        let subject = self.task.subject();
        let checkpoint = Checkpoint {
            task: T::Record::TASK.into(),
            head: subject.head,
            step,
            config: self.config.clone(),
            normalization: subject.normalization.clone(),
            description: self.description(step),
            signal_hash: subject.hash,
            parameters: engine.parameters()?,
            moments: engine.moments()?,
            state: self.task.state(),
        };
        checkpoint.write(&self.folder.checkpoint())
    }

    /// The loss curve, `score` telling what the first of the task's columns is.
    fn curve(&self, score: Score) -> Result<()> {
        let columns = columns(&self.task);
        let scores = self.log.column(&columns[OWN_COLUMNS.len()]);
        let points: Vec<CurvePoint> = self
            .log
            .column("loss")
            .iter()
            .zip(&scores)
            .map(|(&(step, loss), &(_, value))| CurvePoint { step, loss, score: Score { value, ..score } })
            .collect();
        plot::save_png(&self.folder.loss(), &plot::loss_curve(&points, &self.task.subject().title)?)
    }
}

impl<T: Observed> Objective for Watch<T> {
    fn loaded(&mut self) -> Option<(&mut Batches, Loss)> {
        self.task.loaded()
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.task.gather(engine, step)
    }

    fn settle(&mut self, engine: &mut dyn Engine, step: u64) -> Result<Option<StepReport>> {
        self.task.settle(engine, step)
    }

    fn evaluate(&mut self, engine: &dyn Engine, at: Evaluation) -> Result<Measured> {
        let broken = |score: Score| Measured { score: Score { value: f64::NAN, ..score }, target_reached: false };
        let Ok(bytes) = self.model(engine, at.step) else {
            // Weights that cannot be exported are what divergence looks like; the loop knows what to do.
            return Ok(broken(Score::new("score", f64::NAN)));
        };
        let model = load(&bytes)?;
        let measurement = self.task.measure(model.as_ref())?;
        if measurement.score.value.is_nan() {
            return Ok(broken(measurement.score));
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let mut row = vec![at.learning_rate, at.loss, at.gradient_norm, seconds];
        row.extend(measurement.columns);
        self.log.push(at.step, row)?;
        self.checkpoint(engine, at.step)?;
        Ok(Measured { score: measurement.score, target_reached: measurement.target_reached })
    }
}

/// Columns of `metrics.csv` that every run has.
const OWN_COLUMNS: [&str; 4] = ["learning_rate", "loss", "gradient_norm", "seconds"];

pub(super) fn columns<T: Observed>(task: &T) -> Vec<String> {
    OWN_COLUMNS.into_iter().map(String::from).chain(task.columns()).collect()
}

/// The networks of a run as its seed makes them.
///
/// # Errors
/// [`Error::Config`] for networks that cannot be.
pub(super) fn networks<S: SignalRecord>(
    config: &RunConfig<S>,
    normalization: &Normalization,
) -> Result<(Networks, Vec<Parameter>)> {
    let mut rng = Rng::new(config.training.seed).stream("network");
    let (inputs, outputs) = (normalization.input_centre.len(), normalization.output_centre.len());
    let Some(deeponet) = config.signal.deeponet() else {
        let (network, parameters) = Network::new(&config.network, inputs, outputs, &mut rng)?;
        return Ok((Networks::One(Box::new(network)), parameters));
    };
    let inputs = inputs.saturating_sub(deeponet.sensors);
    let (deeponet, parameters) = DeepOnet::new(&deeponet, &config.network, inputs, outputs, &rng)?;
    Ok((Networks::Operator(Box::new(deeponet)), parameters))
}

/// The network of a run that has one, as its seed makes it.
///
/// # Errors
/// [`Error::Config`] for a network that cannot be, and for an operator.
pub(super) fn start<S: SignalRecord>(
    config: &RunConfig<S>,
    normalization: &Normalization,
) -> Result<(Network, Vec<Parameter>)> {
    let (networks, parameters) = networks(config, normalization)?;
    Ok((networks.one("--precision")?, parameters))
}

/// A model file of any kind in floats.
pub(super) fn load(bytes: &[u8]) -> Result<Box<dyn Evaluator + '_>> {
    let failed = |e: &dyn std::fmt::Display| Error::Training(format!("the exported model does not load: {e}"));
    if is_operator(bytes) {
        return Ok(Box::new(Operator::new(bytes).map_err(|e| failed(&e))?));
    }
    Ok(Box::new(Model::new(bytes).map_err(|e| failed(&e))?))
}

/// A checkpoint and the signal it was trained on.
///
/// # Errors
/// A checkpoint of another task, or a signal that is gone or has changed.
pub(super) fn open_checkpoint<T: Observed>(path: &Path) -> Result<(Checkpoint<T::Record>, T)> {
    let checkpoint = Checkpoint::<T::Record>::read(path)?;
    let mut task = T::open(&checkpoint.config)?;
    let (found, expected) = (task.subject().hash, checkpoint.signal_hash);
    let bad = |message: String| Error::Checkpoint { path: path.into(), message };
    if found != expected {
        let what = &task.subject().title;
        return Err(bad(format!(
            "the signal `{what}` has changed since the run began (found hash {found:016x}, expected {expected:016x})"
        )));
    }
    if task.subject().normalization != checkpoint.normalization {
        return Err(bad("was made by a version of this program that scales the signal in another way".into()));
    }
    task.restore(&checkpoint.state)?;
    Ok((checkpoint, task))
}

/// FNV-1a over the bits of numbers, for [`Subject::hash`].
pub fn hash(values: impl IntoIterator<Item = f32>) -> u64 {
    values
        .into_iter()
        .flat_map(|v| v.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
