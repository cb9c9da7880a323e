//! `rwf fit`

use std::path::PathBuf;

use rwf_runtime::format::{MathBackend, Precision};
use toml::{Table, Value};

use super::words::{self, MAPPINGS, Param, SCHEDULES, choice};
use crate::{
    config,
    engine::{self, DeviceChoice, EngineChoice},
    error::{Error, Result},
    signal::{LoadOptions, SignalKind},
    task::fit::{Place, Report, Request, run as fit},
    train::Stop,
};

const EXAMPLES: &str = "Examples:
  rwf fit photo.png                                     photo.safetensors and photo.run/ in this folder
  rwf fit calibration.csv --outputs 'temp[degC]'        every other column is an input
  rwf fit photo.png -o small.safetensors --hidden 32 --precision f16 --target-psnr 28
  rwf fit dem.tif --arch mlp --activation relu --mapping gaussian:128:10 --param wn
  rwf fit --resume photo.run --steps 10000              goes on where the run stopped

The run folder holds config.toml, metrics.csv, loss.png, comparison.png, checkpoint.safetensors and
model.safetensors. A config.toml can be given back with --config; options on the command line win over it.";

/// Fit a network to an image (PNG, JPEG, TIFF), a table (CSV), a sound (WAV) or an array (NPY)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// File of the signal
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    input: Option<PathBuf>,
    /// Model file to write [default: the input's name with .safetensors, in this folder]
    #[arg(short, long, conflicts_with = "resume")]
    output: Option<PathBuf>,
    /// Go on with the run in this folder
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    /// Replace an earlier run and model
    #[arg(long, conflicts_with = "resume")]
    force: bool,
    /// Configuration (TOML) over the defaults, such as an earlier run's config.toml
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Where to train: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// What computes the network
    #[arg(long, value_enum, default_value_t)]
    engine: EngineChoice,
    /// No progress and no report
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    signal: SignalArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Signal")]
pub(super) struct SignalArgs {
    /// Kind of signal when the file's name does not tell: image, table, audio, array
    #[arg(long, value_parser = words::kind)]
    kind: Option<SignalKind>,
    /// Columns of a table that are inputs, joined by commas [default: all but the outputs]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    inputs: Vec<String>,
    /// Columns of a table that are outputs, joined by commas [default: the last]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    outputs: Vec<String>,
}

impl SignalArgs {
    pub(super) fn options(&self) -> LoadOptions {
        LoadOptions { kind: self.kind, inputs: self.inputs.clone(), outputs: self.outputs.clone() }
    }
}

#[derive(clap::Args)]
#[command(next_help_heading = "Network")]
struct NetworkArgs {
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
    /// Input mapping: none, gaussian[:frequencies[:scale]], pe[:max_power[:frequencies]], octaves[:levels]
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
struct TrainingArgs {
    /// Optimizer steps
    #[arg(long)]
    steps: Option<u64>,
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
    /// End once the PSNR over all samples reaches this, in dB
    #[arg(long, conflicts_with = "resume")]
    target_psnr: Option<f64>,
    /// Fraction of the samples held out of training
    #[arg(long, conflicts_with = "resume")]
    validation: Option<f64>,
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

pub(super) fn run(args: Args) -> Result<()> {
    let (device, device_name) = engine::device(args.device)?;
    let request = match (&args.resume, &args.input) {
        (Some(folder), _) => Request::Resume { folder: folder.clone(), steps: args.training.steps },
        (None, Some(input)) => {
            let out = args.output.clone().unwrap_or_else(|| default_output(input));
            let file = args.config.as_deref().map(config::read_layer).transpose()?;
            let mut options = args.signal.options();
            if let Some(file) = &file {
                fill(&mut options, file);
            }
            let layers = file.into_iter().chain([layer(&args)?]).collect();
            Request::New { input: input.clone(), out, options, layers, force: args.force }
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    let interrupt = super::interrupt("checkpoint and model are being written");
    let place = Place { engine: args.engine, device: &device, name: &device_name };
    let report = fit(request, place, &interrupt, args.quiet)?;
    if !args.quiet {
        print(&report);
    }
    match report.outcome.stop {
        Stop::Steps | Stop::Target => Ok(()),
        Stop::Interrupted => Err(Error::Interrupted),
        Stop::Diverged { at, loss } => Err(Error::Training(format!(
            "training diverged at step {at} (loss {loss:.3e}); the model of step {} is kept. Try --lr {:.0e}, \
             --clip 1, or a smaller --mu or --omega0",
            report.outcome.step,
            args.training.lr.map_or(1e-4, |lr| lr / 10.0)
        ))),
    }
}

fn default_output(input: &std::path::Path) -> PathBuf {
    let mut name = input.file_stem().unwrap_or(input.as_os_str()).to_owned();
    name.push(".safetensors");
    name.into()
}

/// What a config file says about reading the signal and the command line does not.
fn fill(options: &mut LoadOptions, file: &Table) {
    let Some(Value::Table(signal)) = file.get("signal") else { return };
    let list = |key: &str| -> Vec<String> {
        let values = signal.get(key).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str).map(String::from).collect()
    };
    if options.inputs.is_empty() {
        options.inputs = list("inputs");
    }
    if options.outputs.is_empty() {
        options.outputs = list("outputs");
    }
    if options.kind.is_none() {
        options.kind = signal.get("kind").and_then(Value::as_str).and_then(|k| words::kind(k).ok());
    }
}

/// The command line as a layer of the configuration.
fn layer(args: &Args) -> Result<Table> {
    fn put(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            table.insert(key.into(), value.into());
        }
    }
    let (n, t) = (&args.network, &args.training);
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
    put(&mut training, "target_psnr", t.target_psnr);
    put(&mut training, "evaluate_every", t.evaluate_every);
    if let Some(schedule) = &t.schedule {
        put(&mut training, "schedule", Some(choice("--schedule", schedule, SCHEDULES)?));
    }

    let mut export = Table::new();
    put(&mut export, "precision", t.precision.map(Precision::name));
    put(&mut export, "math", t.math.map(MathBackend::name));
    let mut signal = Table::new();
    put(&mut signal, "validation", t.validation);
    Ok(Table::from_iter([
        ("signal".to_owned(), Value::from(signal)),
        ("network".to_owned(), network.into()),
        ("training".to_owned(), training.into()),
        ("export".to_owned(), export.into()),
    ]))
}

/// The report people see at the end of a run.
pub(super) fn print(report: &Report) {
    let why = match report.outcome.stop {
        Stop::Steps => "",
        Stop::Target => ", target reached",
        Stop::Interrupted => ", interrupted",
        Stop::Diverged { .. } => ", last good state",
    };
    println!("{} steps in {:.1} s{why}", report.outcome.step, report.seconds);
    println!("all samples, measured by the runtime:\n{}", report.all.table().trim_end());
    if let Some(held_out) = &report.validation {
        println!("held out of training:\n{}", held_out.table().trim_end());
    }
    println!("wrote {} ({} bytes) and {}/", report.out.display(), report.bytes, report.folder.display());
}
