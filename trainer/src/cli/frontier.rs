//! `rwf frontier`

use std::path::PathBuf;

use super::fit::SignalArgs;
use crate::{
    error::Result,
    task::frontier::{Request, run as measure},
};

const EXAMPLES: &str = "Example:
  rwf fit photo.png --hidden 24 -o float16/24.safetensors --precision f16
  rwf export float16/24.run --precision int8 -o packed/24.rwfz
  rwf frontier photo.png float16/*.safetensors packed/*.rwfz

Models in one folder are one curve. The folder holds report.md, report.html, frontier.png and frontier.csv; where JPEG
wins, they show it.";

/// Draw error against bytes of several models of a signal, and of JPEG for a picture
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// File of the signal
    input: PathBuf,
    /// Models of it, packed or not
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Folder for the report [default: the input's name with .frontier, in this folder]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    signal: SignalArgs,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let out = args.output.clone().unwrap_or_else(|| {
        let mut name = args.input.file_stem().unwrap_or(args.input.as_os_str()).to_owned();
        name.push(".frontier");
        name.into()
    });
    let request =
        Request { input: args.input.clone(), options: args.signal.options(), models: args.models.clone(), out };
    let found = measure(&request, args.quiet)?;
    print!("{}", found.table.text());
    println!("{}", found.verdict);
    println!("wrote {}", request.out.join("report.html").display());
    Ok(())
}
