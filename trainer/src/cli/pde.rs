//! `rwf pde`

use std::path::PathBuf;

use toml::{Table, Value};

use super::settings::{self, NetworkArgs, RunArgs, TrainingArgs, put};
use crate::{
    config,
    domain::Sampler,
    error::{Error, Result},
    observation::pde::{EQUATIONS, equation},
    task::{
        observed::{Observed, Request},
        pde::{Balance, Pde, defaults},
    },
};

const EXAMPLES: &str = "Examples:
  rwf pde list                                      every equation and its coefficients
  rwf pde burgers                                   burgers.safetensors and burgers.run/ in this folder
  rwf pde advection --coefficient c=80 --curriculum c=10
  rwf pde allen-cahn --reference AC.mat --balance gradient-norm
  rwf pde burgers-viscosity --noise 0.01            the viscosity from noisy measurements
  rwf pde --resume burgers.run --steps 40000        goes on where the run stopped
  rwf pde --resume burgers.run --lbfgs 500          and ends it with L-BFGS

The run folder holds config.toml, metrics.csv (the loss and the weight of every term among it), loss.png,
solution.png, residual.png, terms.png, checkpoint.safetensors and model.safetensors. The error is measured by the runtime on the
exported file, against a closed form, our own spectral solver, or the file of --reference.";

/// Solve a differential equation with a network
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// Name of the equation; `list` shows all
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    equation: Option<String>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    pde: PdeArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Equation")]
struct PdeArgs {
    /// Another value of a coefficient, `c=80`
    #[arg(long, value_name = "NAME=VALUE", value_parser = named, conflicts_with = "resume")]
    coefficient: Vec<(String, f64)>,
    /// A coefficient begins at this value and goes evenly to its own, where it is after half of all steps
    #[arg(long, value_name = "NAME=VALUE", value_parser = named, conflicts_with = "resume")]
    curriculum: Option<(String, f64)>,
    /// Points a step within the domain
    #[arg(long, conflicts_with = "resume")]
    points: Option<i64>,
    /// Points a step of every initial and boundary condition
    #[arg(long, conflicts_with = "resume")]
    conditions: Option<i64>,
    /// How points are drawn [default: latin]
    #[arg(long, value_enum, conflicts_with = "resume")]
    sampler: Option<Sampler>,
    /// How the weights of the terms are found [default: fixed]
    #[arg(long, value_enum, conflicts_with = "resume")]
    balance: Option<Balance>,
    /// Weight of a term, the first one where they change, `initial=100`
    #[arg(long, value_name = "TERM=WEIGHT", value_parser = named, conflicts_with = "resume")]
    weight: Vec<(String, f64)>,
    /// Multiply the network by factors that vanish on walls where the solution does: such conditions hold exactly, and are
    /// no terms any more
    #[arg(long, conflicts_with = "resume")]
    hard: bool,
    /// Parts that time is opened in, one after the other
    #[arg(long, conflicts_with = "resume")]
    windows: Option<i64>,
    /// Share of the points that are held where the residual is largest
    #[arg(long, value_name = "SHARE", conflicts_with = "resume")]
    refine: Option<f64>,
    /// Steps of L-BFGS after the others, at four times the points, the same ones every step [default: the equation's own]
    #[arg(long, value_name = "STEPS")]
    lbfgs: Option<u64>,
    /// Learning rate of a sought coefficient's logarithm over that of the network
    #[arg(long, value_name = "FACTOR", conflicts_with = "resume")]
    sought_rate: Option<f64>,
    /// Measurements that a coefficient is sought from
    #[arg(long, conflicts_with = "resume")]
    measurements: Option<i64>,
    /// Standard deviation of their noise over the size of the solution
    #[arg(long, conflicts_with = "resume")]
    noise: Option<f64>,
    /// Reference solution (MATLAB 5, or NumPy .npz: usol, uu or u over t or tt, and x) [default: the equation's own]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    reference: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let request = match (&args.run.resume, &args.equation) {
        (Some(folder), _) => {
            Request::Resume { folder: folder.clone(), steps: args.training.steps, lbfgs: args.pde.lbfgs }
        }
        (None, Some(name)) if name == "list" => {
            list();
            return Ok(());
        }
        (None, Some(name)) => {
            let known = equation(name)?;
            let over: Vec<Table> = args.run.file()?.into_iter().chain([layer(&args, name)?]).collect();
            let config = config::resolve([defaults(known, &over)].into_iter().chain(over))?;
            let out = args.run.out(name.as_ref());
            Request::New { task: Box::new(Pde::open(&config)?), config: Box::new(config), out, force: args.run.force }
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    args.run.run::<Pde>(request, &args.training)
}

fn list() {
    for equation in EQUATIONS {
        println!("{:<18} {}", equation.name(), equation.formula());
        let coefficients: Vec<String> = equation
            .coefficients()
            .iter()
            .map(|c| format!("{} = {}{}", c.name, c.value, if c.sought.is_some() { " (sought)" } else { "" }))
            .collect();
        let axes: Vec<String> =
            equation.axes().iter().map(|a| format!("{} in [{}, {:.4}]", a.name, a.lo, a.hi)).collect();
        println!("{:<18} {}", "", axes.into_iter().chain(coefficients).collect::<Vec<_>>().join("; "));
    }
}

/// For clap: a name and a number.
pub(super) fn named(text: &str) -> std::result::Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.into(), value.parse().map_err(|_| format!("`{value}` is no number"))?))
}

/// The command line as a layer of the configuration.
fn layer(args: &Args, name: &str) -> Result<Table> {
    let p = &args.pde;
    let table = |pairs: &[(String, f64)]| -> Option<Table> {
        (!pairs.is_empty()).then(|| pairs.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect())
    };
    let mut signal = Table::new();
    put(&mut signal, "equation", Some(name));
    put(&mut signal, "coefficients", table(&p.coefficient));
    put(&mut signal, "weights", table(&p.weight));
    put(&mut signal, "points", p.points);
    put(&mut signal, "conditions", p.conditions);
    put(&mut signal, "sampler", p.sampler.map(|s| Value::try_from(s).expect("a word")));
    put(&mut signal, "balance", p.balance.map(|b| Value::try_from(b).expect("a word")));
    put(&mut signal, "hard", p.hard.then_some(true));
    put(&mut signal, "windows", p.windows);
    put(&mut signal, "refine", p.refine);
    put(&mut signal, "measurements", p.measurements);
    put(&mut signal, "noise", p.noise);
    if let Some((name, from)) = &p.curriculum {
        let mut curriculum = Table::new();
        put(&mut curriculum, "coefficient", Some(name.clone()));
        put(&mut curriculum, "from", Some(*from));
        put(&mut curriculum, "start", Some(0.0));
        put(&mut curriculum, "share", Some(0.5));
        put(&mut signal, "curriculum", Some(curriculum));
    }
    if let Some(path) = &p.reference {
        let path = path.canonicalize().map_err(|source| Error::Io { path: path.clone(), action: "read", source })?;
        put(&mut signal, "reference", Some(path.to_string_lossy().into_owned()));
    }
    put(&mut signal, "sought_rate", p.sought_rate);
    let mut table = settings::layer(signal, &args.network, &args.training)?;
    let lbfgs = p.lbfgs.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    put(table["training"].as_table_mut().expect("made above"), "lbfgs", lbfgs);
    Ok(table)
}
