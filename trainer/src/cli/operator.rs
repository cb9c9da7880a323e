//! `rwf operator`

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::settings::{self, NetworkArgs, RunArgs, TrainingArgs, put};
use crate::{
    config::{self, RunConfig},
    error::{Error, Result},
    network::Merge,
    signal::operator::{GENERATORS, Generator, Source, generator, is_pairs, read, sensor_count},
    task::{
        observed::{Observed, Request},
        operator::{Operator, OperatorConfig, defaults, prepare},
    },
};

const EXAMPLES: &str = "Examples:
  rwf operator list                                 every operator there are data for
  rwf operator diffusion-reaction                   diffusion-reaction.safetensors and .run/ in this folder
  rwf operator burgers --param plain
  rwf operator diffusion-reaction --physics         by the equation alone, without solutions
  rwf operator pairs.npz                            your own: arrays inputs, points, outputs (NPZ or safetensors)
  rwf operator --inputs u.npy --points y.npy --outputs s.npy
  rwf operator --resume burgers.run --steps 40000   goes on where the run stopped
  rwf eval burgers.safetensors --input-function u.npy -o s.csv
  rwf export burgers.run --fold-input u.npy         a plain coordinate network for one input function

Arrays of your own: inputs [functions, sensors], points [points, coordinates] that all share or [functions, points,
coordinates], outputs [functions, points] or [functions, points, values]. The last tenth is held back and measured.
Generated pairs are kept in NAME-data.safetensors and made again when their settings change.

The run folder holds config.toml, metrics.csv, loss.png, solution.png (unseen input functions: operator, reference, error),
checkpoint.safetensors and model.safetensors. The error is measured by the runtime on the exported file, on input functions
that training did not see.";

/// Learn an operator between functions: from pairs of them, or from an equation
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// Name of an operator, or an NPZ or safetensors file of arrays; `list` shows all names
    #[arg(required_unless_present_any = ["resume", "inputs"], conflicts_with_all = ["resume", "inputs"])]
    operator: Option<String>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    own: OperatorArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Operator")]
struct OperatorArgs {
    /// Input functions of your own, NPY [functions, sensors]
    #[arg(long, value_name = "NPY", requires_all = ["points", "outputs"], conflicts_with = "resume")]
    inputs: Option<PathBuf>,
    /// Points of your own, NPY [points, coordinates] or [functions, points, coordinates]
    #[arg(long, value_name = "NPY", requires = "inputs", conflicts_with = "resume")]
    points: Option<PathBuf>,
    /// Values of your own, NPY [functions, points] or [functions, points, values]
    #[arg(long, value_name = "NPY", requires = "inputs", conflicts_with = "resume")]
    outputs: Option<PathBuf>,
    /// Train by the equation and its conditions alone, without solutions
    #[arg(long, conflicts_with = "resume")]
    physics: bool,
    /// Weight of a term of the equation, `initial=20`
    #[arg(long, value_name = "TERM=WEIGHT", value_parser = super::pde::named, conflicts_with = "resume")]
    weight: Vec<(String, f64)>,
    /// Generated pairs to train on [default: 1000]
    #[arg(long, conflicts_with = "resume")]
    train: Option<i64>,
    /// Generated pairs that training does not see [default: 100]
    #[arg(long, conflicts_with = "resume")]
    test: Option<i64>,
    /// Share of your own pairs that training does not see [default: 0.1]
    #[arg(long, conflicts_with = "resume")]
    validation: Option<f64>,
    /// Where generated pairs are kept [default: NAME-data.safetensors in this folder]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "inputs"])]
    data: Option<PathBuf>,
    /// Seed of the generated pairs [default: 0]
    #[arg(long, conflicts_with = "resume")]
    data_seed: Option<i64>,
    /// Functions a step [default: 64; by the equation 32]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    step_functions: Option<i64>,
    /// Points a step, for all of its functions [default: 512; by the equation 256]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    step_points: Option<i64>,
    /// Points a step of every condition of an equation [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    conditions: Option<i64>,
    /// Numbers that branch and trunk give for an output [default: 64]
    #[arg(long, conflicts_with = "resume")]
    latent: Option<i64>,
    /// How they become values [default: dot]
    #[arg(long, value_enum, conflicts_with = "resume")]
    merge: Option<Merge>,
    /// Architecture of the branch: mlp, siren, modified-mlp [default: the trunk's]
    #[arg(long, conflicts_with = "resume")]
    branch_arch: Option<String>,
    /// Neurons in a hidden layer of the branch [default: the trunk's]
    #[arg(long, conflicts_with = "resume")]
    branch_hidden: Option<i64>,
    /// Hidden layers of the branch [default: the trunk's]
    #[arg(long, conflicts_with = "resume")]
    branch_depth: Option<i64>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let own = &args.own;
    let request = match (&args.run.resume, &args.operator, &own.inputs) {
        (Some(folder), ..) => Request::Resume { folder: folder.clone(), steps: args.training.steps, lbfgs: None },
        (None, Some(name), _) if name == "list" => {
            list();
            return Ok(());
        }
        (None, Some(name), _) if is_pairs(Path::new(name)) => {
            new(&args, Path::new(name), None, Some(Source::File(absolute(Path::new(name))?)))?
        }
        (None, Some(name), _) => new(&args, Path::new(name), Some(generator(name)?), None)?,
        (None, None, Some(inputs)) => {
            let [points, outputs] = [&own.points, &own.outputs].map(|p| p.as_deref().expect("clap requires all three"));
            let arrays = [absolute(inputs)?, absolute(points)?, absolute(outputs)?];
            new(&args, inputs, None, Some(Source::Arrays(arrays)))?
        }
        (None, None, None) => unreachable!("clap requires one of them"),
    };
    args.run.run::<Operator>(request, &args.training)
}

/// `rwf fit PAIRS.npz`, with what all tasks have in common.
pub(super) fn fit(input: &Path, run: &RunArgs, network: &NetworkArgs, training: &TrainingArgs) -> Result<()> {
    let source = Source::File(absolute(input)?);
    let layers = [own_defaults(&source)?, arrays(&source)].into_iter().chain(run.file()?);
    let config = config::resolve(layers.chain([settings::layer(Table::new(), network, training)?]))?;
    let out = beside(input, run);
    let task = Box::new(Operator::open(&config)?);
    run.run::<Operator>(Request::New { task, config: Box::new(config), out, force: run.force }, training)
}

fn new(
    args: &Args,
    input: &Path,
    known: Option<&'static dyn Generator>,
    source: Option<Source>,
) -> Result<Request<Operator>> {
    let file = args.run.file()?;
    let physics =
        args.own.physics || file.as_ref().and_then(|f| f.get("signal")?.get("physics")?.as_bool()).unwrap_or(false);
    let base = match &source {
        Some(source) => own_defaults(source)?,
        None => defaults(known, known.map_or(0, sensor_count), physics),
    };
    let layers = [Some(base), source.as_ref().map(arrays), file, Some(layer(args, known)?)];
    let config: RunConfig<OperatorConfig> = config::resolve(layers.into_iter().flatten())?;
    let out = beside(input, &args.run);
    prepare(&config.signal, args.run.quiet)?;
    let task = Box::new(Operator::open(&config)?);
    Ok(Request::New { task, config: Box::new(config), out, force: args.run.force })
}

/// The file to write, another than the one that is read.
fn beside(input: &Path, run: &RunArgs) -> PathBuf {
    let out = run.out(input);
    if run.output.is_none() && input.extension().is_some_and(|e| e == "safetensors") {
        let stem = input.file_stem().unwrap_or_default().to_string_lossy();
        return format!("{stem}-operator.safetensors").into();
    }
    out
}

fn own_defaults(source: &Source) -> Result<Table> {
    Ok(defaults(None, read(source)?.sizes.sensors, false))
}

/// The record of one's own arrays.
fn arrays(source: &Source) -> Table {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut signal = Table::new();
    match source {
        Source::File(path) => put(&mut signal, "data", Some(text(path))),
        Source::Arrays(paths) => {
            let list: Vec<Value> = paths.iter().map(|p| text(p).into()).collect();
            put(&mut signal, "arrays", Some(list));
        }
    }
    Table::from_iter([("signal".to_owned(), Value::Table(signal))])
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|source| Error::Io { path: path.into(), action: "read", source })
}

fn list() {
    for generator in GENERATORS {
        println!("{:<20} {}", generator.name(), generator.formula());
        println!("{:<20} {}", "", generator.settings());
    }
}

/// The command line as a layer of the configuration.
fn layer(args: &Args, known: Option<&dyn Generator>) -> Result<Table> {
    let own = &args.own;
    let (mut signal, mut deeponet) = (Table::new(), Table::new());
    if let Some(known) = known {
        let path = own.data.clone().unwrap_or_else(|| format!("{}-data.safetensors", known.name()).into());
        let path = std::path::absolute(&path).map_err(|source| Error::Io { path, action: "find", source })?;
        put(&mut signal, "operator", Some(known.name()));
        put(&mut signal, "data", Some(path.to_string_lossy().into_owned()));
    }
    put(&mut signal, "physics", own.physics.then_some(true));
    let weights: Table = own.weight.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect();
    put(&mut signal, "weights", (!weights.is_empty()).then_some(weights));
    put(&mut signal, "train", own.train);
    put(&mut signal, "test", own.test);
    put(&mut signal, "validation", own.validation);
    put(&mut signal, "data_seed", own.data_seed);
    put(&mut signal, "functions", own.step_functions);
    put(&mut signal, "points", own.step_points);
    put(&mut signal, "conditions", own.conditions);
    put(&mut deeponet, "latent", own.latent);
    put(&mut deeponet, "merge", own.merge.map(|m| Value::try_from(m).expect("a word")));
    put(&mut deeponet, "branch", own.branch_arch.clone());
    put(&mut deeponet, "branch_hidden", own.branch_hidden);
    put(&mut deeponet, "branch_depth", own.branch_depth);
    put(&mut signal, "deeponet", (!deeponet.is_empty()).then_some(deeponet));
    settings::layer(signal, &args.network, &args.training)
}
