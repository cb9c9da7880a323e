//! `rwf export`

use std::path::{Path, PathBuf};

use rwf_runtime::format::MathBackend;

use super::words::{self, Weights};
use crate::{
    error::{Error, Result},
    quantize::Width,
    task,
};

const EXAMPLES: &str = "Examples:
  rwf export photo.run --precision f16                        writes photo-f16.safetensors
  rwf export photo.run --precision int8                       integers for chips without floats; fine-tunes first
  rwf export photo.run --precision mixed --tune 1000          4 to 16 bits, each layer as few as it needs
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
    /// Weights: f32 or f16; or int8, int16, int6, int4, mixed for a network in integers alone [default: as in the run]
    #[arg(long, value_parser = words::weights)]
    precision: Option<Weights>,
    /// Steps of fine-tuning before weights become integers, on the run's own signal
    #[arg(long, value_name = "STEPS", default_value_t = 300)]
    tune: u64,
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
    let precision = match args.precision {
        None => None,
        Some(Weights::Float(precision)) => Some(precision),
        Some(Weights::Integer(width)) => {
            if args.math.is_some() {
                return Err(Error::Config {
                    field: "math".into(),
                    message: "found --math beside integers, expected none: their curves are tables of their own".into(),
                });
            }
            return integers(args, &checkpoint, &out, width);
        }
    };
    let report = task::export::run(&checkpoint, &out, precision, args.math)?;
    match &report.found {
        Ok(found) => println!("{}", found.table),
        Err(why) => eprintln!("note: the error is not in the file, as the signal cannot be read: {why}"),
    }
    println!("wrote {} ({} bytes)", out.display(), report.bytes);
    Ok(())
}

fn integers(args: &Args, checkpoint: &Path, out: &Path, width: Width) -> Result<()> {
    let report = task::quantize::run(checkpoint, out, width, args.tune, false)?;
    match &report.found {
        Ok(found) => println!("in integers, {}", found.table),
        Err(why) => eprintln!("note: no fine-tuning and no error in the file, as the signal cannot be read: {why}"),
    }
    let percent = |v: f64| 100.0 * v;
    println!(
        "bits of each layer's weights: {}\nagainst the network in f32, of its range: RMS {:.3} %, largest {:.3} % \
         (before fine-tuning {:.3} %, {:.3} %)\nwrote {} ({} bytes)",
        report.bits,
        percent(report.added.rms),
        percent(report.added.max),
        percent(report.untuned.rms),
        percent(report.untuned.max),
        out.display(),
        report.bytes
    );
    Ok(())
}
