//! `rwf export`

use std::path::PathBuf;

use rwf_runtime::format::{MathBackend, Precision};

use super::words;
use crate::{
    error::{Error, Result},
    task,
};

const EXAMPLES: &str = "Examples:
  rwf export photo.run --precision f16                        writes photo-f16.safetensors
  rwf export photo.run/checkpoint.safetensors -o photo.safetensors --force";

/// Fold a training checkpoint into a model file
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run folder, or the checkpoint in it
    checkpoint: PathBuf,
    /// Model file to write [default: the run's name with the precision, in this folder]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Weights: f32 or f16 [default: as in the run]
    #[arg(long, value_parser = words::precision)]
    precision: Option<Precision>,
    /// Sine, tanh and exp on the device: polynomial, libm or micromath [default: as in the run]
    #[arg(long, value_parser = words::math)]
    math: Option<MathBackend>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let given = &args.checkpoint;
    let checkpoint = if given.is_dir() { given.join("checkpoint.safetensors") } else { given.clone() };
    let out = args.output.clone().unwrap_or_else(|| {
        let run = if given.is_dir() { Some(given.as_path()) } else { given.parent() };
        let stem = run.and_then(|r| r.file_stem()).map_or("model".into(), |s| s.to_string_lossy());
        let suffix = args.precision.map(|p| format!("-{}", p.name())).unwrap_or_default();
        format!("{stem}{suffix}.safetensors").into()
    });
    if out.exists() && !args.force {
        return Err(Error::Config {
            field: "output".into(),
            message: format!("`{}` is there already; `--force` replaces it", out.display()),
        });
    }
    let report = task::export::run(&checkpoint, &out, args.precision, args.math)?;
    match &report.error {
        Ok(metrics) => println!("all samples, measured by the runtime:\n{}", metrics.table().trim_end()),
        Err(why) => eprintln!("note: the error is not in the file, as the signal cannot be read: {why}"),
    }
    println!("wrote {} ({} bytes)", out.display(), report.bytes);
    Ok(())
}
