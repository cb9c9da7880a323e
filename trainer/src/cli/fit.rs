//! `rwf fit`

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use toml::{Table, Value};

use super::{
    merge,
    settings::{self, NetworkArgs, RunArgs, TrainingArgs, put},
    words,
};
use crate::{
    cost::Clock,
    engine::device,
    error::{Error, Result},
    signal::{LoadOptions, SignalKind, operator::is_pairs},
    task::{
        fit::{self, Place, Request},
        many::{self, Shard},
        search::{self, Budget, Goal, Measure},
        share::{self, Modulation, Source},
    },
};

const EXAMPLES: &str = "Examples:
  rwf fit photo.png                                     photo.safetensors and photo.run/ in this folder
  rwf fit calibration.csv --outputs 'temp[degC]'        every other column is an input
  rwf fit photo.png -o small.safetensors --hidden 32 --precision f16 --target-psnr 28
  rwf fit dem.tif --arch mlp --activation relu --mapping gaussian:128:10 --param wn
  rwf fit pairs.npz                                     an operator between functions, see `rwf operator --help`
  rwf fit --resume photo.run --steps 10000              goes on where the run stopped
  rwf fit map.npy --flash 4k --tol 0.5                  the best network in 4 KiB, found in three minutes
  rwf fit --all tables -o models                        every signal of a folder; the same command goes on
  rwf fit --all tables -o units --share 4               one base network for all, and four small integers for each
  rwf fit --all new -o more --base units/base.safetensors    integers of other signals on that base, in milliseconds
  rwf fit map.npy --flash 8k --time 200us --target cortex-m4@168MHz --psnr 40 --minutes 10

The run folder holds config.toml, metrics.csv, loss.png, comparison.png, checkpoint.safetensors and
model.safetensors. A config.toml can be given back with --config; options on the command line win over it.
With a budget the network is found by successive halving; OUT.search/ holds report.html, frontier.png and the
certificate. Ctrl-C keeps what was found, and the same command goes on.";

/// Fit a network to an image (PNG, JPEG, TIFF), a table (CSV), a sound (WAV) or an array (NPY)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// File of the signal
    #[arg(required_unless_present_any = ["resume", "all"], conflicts_with_all = ["resume", "all"])]
    input: Option<PathBuf>,
    /// Fit every signal of this folder; models and index.csv go to the folder of --output
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    all: Option<PathBuf>,
    /// Of --all only every N-th, from the I-th; `rwf merge` puts the index together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    share: ShareArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    signal: SignalArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    quality: QualityArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Base: one network that all signals of --all share")]
struct ShareArgs {
    /// Train a base with this many integers for each signal; OUT/base.safetensors, an operator, and OUT/modulations/NAME.bin
    #[arg(long, value_name = "M", requires = "all")]
    share: Option<usize>,
    /// What these integers are
    #[arg(long, value_enum, requires = "share", default_value = "i8")]
    modulation: Modulation,
    /// Steps of L-BFGS behind those of the optimizer [default: 2000 for tables, else none]
    #[arg(long, requires = "share", value_name = "STEPS")]
    lbfgs: Option<u32>,
    /// Take this base as it is; for signals it was not trained on
    #[arg(long, value_name = "FILE", requires = "all", conflicts_with = "share")]
    base: Option<PathBuf>,
}

impl ShareArgs {
    fn source(&self) -> Option<Source> {
        match (&self.base, self.share) {
            (Some(base), _) => Some(Source::Given(base.clone())),
            (None, Some(components)) => Some(Source::Trained { components, modulation: self.modulation }),
            (None, None) => None,
        }
    }
}

#[derive(clap::Args)]
#[command(next_help_heading = "Budget: the best network within it is searched for")]
struct BudgetArgs {
    /// Bytes of flash of the model as a module made at build time, such as 4096 or 4k
    #[arg(long, value_parser = words::bytes, value_name = "BYTES", conflicts_with_all = ["resume", "target_psnr"])]
    flash: Option<usize>,
    /// Bytes of memory for one evaluation
    #[arg(long, value_parser = words::bytes, value_name = "BYTES", conflicts_with_all = ["resume", "target_psnr"])]
    ram: Option<usize>,
    /// Multiply-adds of one evaluation
    #[arg(long, conflicts_with_all = ["resume", "target_psnr"])]
    macs: Option<usize>,
    /// Time of one evaluation on the --target, such as 200us or 1.5ms
    #[arg(long, value_parser = words::microseconds, requires = "target", conflicts_with_all = ["resume", "target_psnr"])]
    time: Option<f64>,
    /// Core and clock, such as cortex-m4@168MHz; cycles are estimated from counts under emulation
    #[arg(long, requires = "time", value_name = "CORE@CLOCK")]
    target: Option<Clock>,
    /// Largest error that will do, in the unit of the outputs
    #[arg(long, conflicts_with_all = ["rmse", "psnr"])]
    tol: Option<f64>,
    /// Root mean square error that will do, in the unit of the outputs
    #[arg(long, conflicts_with = "psnr")]
    rmse: Option<f64>,
    /// PSNR that will do, in dB
    #[arg(long)]
    psnr: Option<f64>,
    /// Time for everything
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
}

impl BudgetArgs {
    fn budget(&self) -> Budget {
        Budget { flash: self.flash, ram: self.ram, macs: self.macs, time: self.time.zip(self.target) }
    }

    fn goal(&self) -> Goal {
        match (self.tol, self.psnr) {
            (Some(at), _) => Goal { measure: Measure::Max, at: Some(at) },
            (_, Some(at)) => Goal { measure: Measure::Psnr, at: Some(at) },
            _ => Goal { measure: Measure::Rmse, at: self.rmse },
        }
    }
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
#[command(next_help_heading = "Training and export")]
struct QualityArgs {
    /// End once the PSNR over all samples reaches this, in dB
    #[arg(long, conflicts_with = "resume")]
    target_psnr: Option<f64>,
    /// Fraction of the samples held out of training
    #[arg(long, conflicts_with = "resume")]
    validation: Option<f64>,
}

pub(super) fn run(args: Args) -> Result<()> {
    if let Some(pairs) = args.input.as_ref().filter(|i| is_pairs(i)) {
        return super::operator::fit(pairs, &args.run, &args.network, &args.training);
    }
    let budget = args.budget.budget();
    if let Some(folder) = &args.all {
        return all(&args, folder, budget);
    }
    if args.shard.is_some() {
        return Err(Error::Config {
            field: "--shard".into(),
            message: "found without --all, expected it beside a folder of signals".into(),
        });
    }
    if budget.is_some() {
        return search(&args, budget);
    }
    if args.budget.tol.or(args.budget.rmse).or(args.budget.psnr).is_some() {
        return Err(Error::Config {
            field: "--tol, --rmse, --psnr".into(),
            message: "found a goal without a budget, expected --flash, --ram, --macs or --time beside it".into(),
        });
    }
    let request = match (&args.run.resume, &args.input) {
        (Some(folder), _) => Request::Resume { folder: folder.clone(), steps: args.training.steps },
        (None, Some(input)) => {
            let file = args.run.file()?;
            let mut options = args.signal.options();
            if let Some(file) = &file {
                fill(&mut options, file);
            }
            let layers = file.into_iter().chain([layer(&args)?]).collect();
            Request::New { input: input.clone(), out: args.run.out(input), options, layers, force: args.run.force }
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    args.run.run(fit::prepare(request)?, &args.training)
}

/// Fits every signal of a folder.
fn all(args: &Args, folder: &Path, budget: Budget) -> Result<()> {
    let refuse = |field: &str, message: &str| Err(Error::Config { field: field.into(), message: message.into() });
    if budget.is_some() {
        return refuse("--all", "found a budget beside it, expected none: a search is for one signal");
    }
    let Some(out) = args.run.output.clone() else {
        return refuse("--output", "found none, expected a folder for the models of --all");
    };
    let request = many::Request {
        folder: folder.into(),
        out: out.clone(),
        options: args.signal.options(),
        layers: args.run.file()?.into_iter().chain([layer(args)?]).collect(),
        shard: args.shard,
        force: args.run.force,
    };
    let interrupt = super::interrupt("the signals that are done are kept");
    if let Some(source) = args.share.source() {
        return shared(args, &request, &source, &interrupt);
    }
    let summary = many::run(&request, &interrupt, args.run.quiet)?;
    if args.run.quiet && summary.failed.is_empty() {
        return Ok(());
    }
    println!("models in {}", out.display());
    merge::told(&summary)
}

/// Fits every signal of a folder on a base that they share.
fn shared(args: &Args, request: &many::Request, source: &Source, interrupt: &AtomicBool) -> Result<()> {
    let set = |layer: &Table| layer.values().filter_map(Value::as_table).any(|section| !section.is_empty());
    if matches!(source, Source::Given(_)) && request.layers.iter().any(set) {
        let message = "found options of network, training or export beside it, expected none: all that is in the file";
        return Err(Error::Config { field: "--base".into(), message: message.into() });
    }
    let (device, name) = device(args.run.device, args.run.matmul_precision)?;
    let place = Place { engine: args.run.engine, device: &device, name: &name };
    let report = share::run(request, source, place, interrupt, args.run.quiet)?;
    if args.run.quiet && report.summary.failed.is_empty() {
        return Ok(());
    }
    let fitted = report.summary.jobs - report.summary.failed.len();
    println!(
        "base {}: {} bytes once, and {} bytes a signal: {} bytes for {fitted} signals\na network of its hidden layers for each \
         would be {} bytes of weights a signal: {} bytes",
        report.base.display(),
        report.base_bytes,
        report.signal_bytes,
        report.base_bytes + fitted * report.signal_bytes,
        report.single_bytes,
        fitted * report.single_bytes,
    );
    println!("integers in {}", request.out.join("modulations").display());
    merge::told(&report.summary)
}

/// Searches within a budget.
fn search(args: &Args, budget: Budget) -> Result<()> {
    let Some(input) = &args.input else { unreachable!("clap lets no budget stand beside --resume") };
    let file = args.run.file()?;
    let mut options = args.signal.options();
    if let Some(file) = &file {
        fill(&mut options, file);
    }
    let own = layer(args)?;
    let given = |section: &str, keys: &[&str]| {
        let table = own.get(section).and_then(Value::as_table);
        table.is_some_and(|t| if keys.is_empty() { !t.is_empty() } else { keys.iter().any(|k| t.contains_key(*k)) })
    };
    if given("network", &[]) || given("export", &[]) || given("training", &["steps", "learning_rate", "evaluate_every"])
    {
        return Err(Error::Config {
            field: "budget".into(),
            message:
                "found options of the network, its steps, rate or precision beside a budget, expected none: they are \
                      what is searched for"
                    .into(),
        });
    }
    let request = search::Request {
        input: input.clone(),
        out: args.run.out(input),
        options,
        layers: file.into_iter().chain([own]).collect(),
        budget,
        goal: args.budget.goal(),
        minutes: args.budget.minutes,
        force: args.run.force,
    };
    let (device, name) = device(args.run.device, args.run.matmul_precision)?;
    let interrupt = super::interrupt("the trials that are done are kept");
    let place = Place { engine: args.run.engine, device: &device, name: &name };
    let found = search::run(&request, place, &interrupt, args.run.quiet)?;
    if !args.run.quiet {
        println!("{}", found.text);
    }
    if found.met { Ok(()) } else { Err(Error::Training("the best network found does not meet the goal".into())) }
}

/// The command line as a layer of the configuration.
fn layer(args: &Args) -> Result<Table> {
    let mut signal = Table::new();
    put(&mut signal, "validation", args.quality.validation);
    let mut layer = settings::layer(signal, &args.network, &args.training)?;
    if let Some(Value::Table(training)) = layer.get_mut("training") {
        put(training, "target_psnr", args.quality.target_psnr);
        put(training, "lbfgs", args.share.lbfgs.map(i64::from));
    }
    Ok(layer)
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
