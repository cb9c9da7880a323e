//! `rwf certify`

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::fit::SignalArgs;
use crate::{
    bound::Effort,
    error::{Error, Result},
    task::certify,
};

const EXAMPLES: &str = "Examples:
  rwf certify map.safetensors --against map.npy                       errors at all samples and a bound between them
  rwf certify map.safetensors --against map.npy --run map.run --report map.certificate
  rwf verify map.safetensors --against map.npy                        checks it, anywhere and at any time

The bound assumes that the signal is linear between neighbouring samples (multilinear on a grid).";

/// Certify a model's errors against its signal, in the file and on a page
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    case: CaseArgs,
    /// Run folder whose configuration is certified [default: what the file tells of its making]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Multiply-adds that the bound between samples may take
    #[arg(long, default_value_t = Effort::default().work)]
    effort: f64,
    /// Time that it may take [default: as long as the multiply-adds take]
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,
    /// Folder for report.md and report.html
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
}

/// A model and its signal.
#[derive(clap::Args)]
pub(super) struct CaseArgs {
    /// Model file
    model: PathBuf,
    /// Signal it is a model of
    #[arg(long, value_name = "INPUT")]
    against: PathBuf,
    #[command(flatten)]
    signal: SignalArgs,
}

impl CaseArgs {
    pub(super) fn case(&self) -> certify::Case {
        certify::Case { model: self.model.clone(), input: self.against.clone(), options: self.signal.options() }
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    let until = args.minutes.map(until).transpose()?;
    let effort = Effort { work: args.effort, until };
    let certified = certify::certify(&args.case.case(), effort, args.run.as_deref(), args.report.as_deref())?;
    print!("{}", certified.table);
    println!("certified in {}", args.case.model.display());
    if let Some(report) = &args.report {
        println!("wrote {}", report.join("report.html").display());
    }
    Ok(())
}

/// When so many minutes are over.
fn until(minutes: f64) -> Result<Instant> {
    let bad = |_| Error::Config { field: "--minutes".into(), message: format!("found {minutes}, expected above 0") };
    let time = Duration::try_from_secs_f64(60.0 * minutes).map_err(bad)?;
    Instant::now().checked_add(time).ok_or_else(|| Error::Config {
        field: "--minutes".into(),
        message: format!("found {minutes}, more than a clock counts"),
    })
}
