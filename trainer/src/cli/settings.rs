//! Options that every task has in common: where a run goes, its network, its training.

use std::path::{Path, PathBuf};

use rwf_runtime::format::{MathBackend, Precision};
use toml::{Table, Value};

use super::words::{self, MAPPINGS, Param, SCHEDULES, choice};
use crate::{
    config,
    engine::{DeviceChoice, EngineChoice, MatmulPrecision, device},
    error::{Error, Result},
    task::observed::{Findings, Observed, Place, Report, Request, run},
    train::Stop,
};

/// Where a run goes and where it is computed. The task's own arguments name its input, `input` or another, which is not
/// asked for with `--resume`.
#[derive(clap::Args)]
pub(super) struct RunArgs {
    /// Model file to write [default: the input's name with .safetensors, in this folder]
    #[arg(short, long, conflicts_with = "resume")]
    pub(super) output: Option<PathBuf>,
    /// Go on with the run in this folder
    #[arg(long, value_name = "RUN")]
    pub(super) resume: Option<PathBuf>,
    /// Replace an earlier run and model
    #[arg(long, conflicts_with = "resume")]
    pub(super) force: bool,
    /// Configuration (TOML) over the defaults, such as an earlier run's config.toml
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(super) config: Option<PathBuf>,
    /// Where to train: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(super) device: DeviceChoice,
    /// What computes the network
    #[arg(long, value_enum, default_value_t)]
    pub(super) engine: EngineChoice,
    /// What a CUDA GPU rounds the factors of matrix products to while training
    #[arg(long, value_enum, default_value_t)]
    pub(super) matmul_precision: MatmulPrecision,
    /// No progress and no report
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// Architecture: mlp, siren, modified-mlp
    #[arg(long, alias = "architecture")]
    arch: Option<String>,
    /// Neurons in a hidden layer
    #[arg(long)]
    hidden: Option<i64>,
    /// Number of hidden layers
    #[arg(long)]
    depth: Option<i64>,
    /// Activation of hidden layers: relu, tanh, sine, sigmoid, gelu, swish, identity
    #[arg(long)]
    activation: Option<String>,
    /// Activation of the output layer [default: identity]
    #[arg(long)]
    output_activation: Option<String>,
    /// Frequency factor of sine layers
    #[arg(long)]
    omega0: Option<f64>,
    /// Frequency factor of the first sine layer
    #[arg(long)]
    omega0_first: Option<f64>,
    /// Input mapping: none, gaussian[:frequencies[:scale]], pe[:max_power[:frequencies]], octaves[:levels],
    /// periodic[:harmonics[:waves[:scale]]]
    #[arg(long)]
    mapping: Option<String>,
    /// Parameterization of every dense layer
    #[arg(long)]
    param: Option<Param>,
    /// Mean of the factorization's log scale [default: 1]
    #[arg(long)]
    mu: Option<f64>,
    /// Standard deviation of the factorization's log scale [default: 0.1]
    #[arg(long)]
    sigma: Option<f64>,
    /// Initialization: glorot-normal, glorot-truncated-normal, glorot-uniform, siren
    #[arg(long)]
    init: Option<String>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Training and export")]
pub(super) struct TrainingArgs {
    /// Optimizer steps
    #[arg(long)]
    pub(super) steps: Option<u64>,
    /// Samples a step; 0: all
    #[arg(long, conflicts_with = "resume")]
    batch: Option<i64>,
    /// Learning rate at the first step
    #[arg(long, conflicts_with = "resume")]
    lr: Option<f64>,
    /// Learning rate over the run: constant, cosine[:end], exponential[:factor[:every]]
    #[arg(long, conflicts_with = "resume")]
    schedule: Option<String>,
    /// Optimizer: adam, adam-w
    #[arg(long, conflicts_with = "resume")]
    optimizer: Option<String>,
    /// Decoupled weight decay (adam-w)
    #[arg(long, conflicts_with = "resume")]
    weight_decay: Option<f64>,
    /// Clip the global gradient norm
    #[arg(long, conflicts_with = "resume")]
    clip: Option<f64>,
    /// Seed of every random number
    #[arg(long, conflicts_with = "resume")]
    seed: Option<i64>,
    /// Steps between two measurements and checkpoints
    #[arg(long, conflicts_with = "resume")]
    evaluate_every: Option<i64>,
    /// Weights in the model file: f32 or f16
    #[arg(long, value_parser = words::precision, conflicts_with = "resume")]
    precision: Option<Precision>,
    /// Sine, tanh and exp on the device: polynomial, libm or micromath
    #[arg(long, value_parser = words::math, conflicts_with = "resume")]
    math: Option<MathBackend>,
}

impl RunArgs {
    /// The file to write for this input.
    pub(super) fn out(&self, input: &Path) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let mut name = input.file_stem().unwrap_or(input.as_os_str()).to_owned();
            name.push(".safetensors");
            name.into()
        })
    }

    /// The config file as a layer, if one is given.
    pub(super) fn file(&self) -> Result<Option<Table>> {
        self.config.as_deref().map(config::read_layer).transpose()
    }

    /// Runs a task and tells what came out.
    pub(super) fn run<T: Observed>(&self, request: Request<T>, training: &TrainingArgs) -> Result<()> {
        let (device, name) = device(self.device, self.matmul_precision)?;
        let interrupt = super::interrupt("checkpoint and model are being written");
        let place = Place { engine: self.engine, device: &device, name: &name };
        let report = run(request, place, &interrupt, self.quiet)?;
        if !self.quiet {
            print(&report);
        }
        ended(&report, training)
    }
}

/// The report people see at the end of a run.
pub(super) fn print<F: Findings>(report: &Report<F>) {
    let why = match report.outcome.stop {
        Stop::Steps => "",
        Stop::Settled => ", nothing lower in reach of f32",
        Stop::Target => ", target reached",
        Stop::Interrupted => ", interrupted",
        Stop::Diverged { .. } => ", last good state",
    };
    println!("{} steps in {:.1} s{why}", report.outcome.step, report.seconds);
    println!("{}", report.findings.table());
    println!("wrote {} ({} bytes) and {}/", report.out.display(), report.bytes, report.folder.display());
}

/// An error for a run that did not end as it should.
pub(super) fn ended<F>(report: &Report<F>, training: &TrainingArgs) -> Result<()> {
    match report.outcome.stop {
        Stop::Steps | Stop::Target | Stop::Settled => Ok(()),
        Stop::Interrupted => Err(Error::Interrupted),
        Stop::Diverged { at, loss } => Err(Error::Training(format!(
            "training diverged at step {at} (loss {loss:.3e}); the model of step {} is kept. Try --lr {:.0e}, \
             --clip 1, or a smaller --mu or --omega0",
            report.outcome.step,
            training.lr.map_or(1e-4, |lr| lr / 10.0)
        ))),
    }
}

/// Puts a value under `key`, if there is one.
pub(super) fn put(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(key.into(), value.into());
    }
}

/// The command line as a layer of the configuration; `signal` is the task's part of it.
pub(super) fn layer(signal: Table, n: &NetworkArgs, t: &TrainingArgs) -> Result<Table> {
    let mut network = Table::new();
    put(&mut network, "architecture", n.arch.clone());
    put(&mut network, "hidden", n.hidden);
    put(&mut network, "depth", n.depth);
    put(&mut network, "activation", n.activation.clone());
    put(&mut network, "output_activation", n.output_activation.clone());
    put(&mut network, "omega0", n.omega0);
    put(&mut network, "omega0_first", n.omega0_first.or(n.omega0));
    put(&mut network, "initialization", n.init.clone());
    if let Some(mapping) = &n.mapping {
        put(&mut network, "mapping", Some(choice("--mapping", mapping, MAPPINGS)?));
    }
    if n.param.is_some() || n.mu.is_some() || n.sigma.is_some() {
        let table = n.param.unwrap_or(Param::Rwf).table(n.mu, n.sigma)?;
        put(&mut network, "parameterization", Some(table));
    }

    let mut training = Table::new();
    put(&mut training, "steps", t.steps.map(|s| i64::try_from(s).unwrap_or(i64::MAX)));
    put(&mut training, "batch", t.batch);
    put(&mut training, "learning_rate", t.lr);
    put(&mut training, "optimizer", t.optimizer.clone());
    put(&mut training, "weight_decay", t.weight_decay);
    put(&mut training, "clip", t.clip);
    put(&mut training, "seed", t.seed);
    put(&mut training, "evaluate_every", t.evaluate_every);
    if let Some(schedule) = &t.schedule {
        put(&mut training, "schedule", Some(choice("--schedule", schedule, SCHEDULES)?));
    }

    let mut export = Table::new();
    put(&mut export, "precision", t.precision.map(Precision::name));
    put(&mut export, "math", t.math.map(MathBackend::name));
    Ok(Table::from_iter([
        ("signal".to_owned(), Value::from(signal)),
        ("network".to_owned(), network.into()),
        ("training".to_owned(), training.into()),
        ("export".to_owned(), export.into()),
    ]))
}
