//! `rwf certify`

use std::path::PathBuf;

use super::fit::SignalArgs;
use crate::{bound::Effort, error::Result, task::certify};

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
    #[arg(long, default_value_t = Effort::default().0)]
    effort: f64,
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
    let certified =
        certify::certify(&args.case.case(), Effort(args.effort), args.run.as_deref(), args.report.as_deref())?;
    print!("{}", certified.table);
    println!("certified in {}", args.case.model.display());
    if let Some(report) = &args.report {
        println!("wrote {}", report.join("report.html").display());
    }
    Ok(())
}
