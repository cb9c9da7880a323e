//! `rwf export`

use std::path::{Path, PathBuf};

use rwf_runtime::{LoadError, Model, format::MathBackend, operator::is_operator};

use super::{read, words};
use crate::{
    error::{Error, Result},
    export,
    file::{self, write_atomically},
    quantize::{Ration, Weights, Width},
    signal::operator::read_function,
    task,
};

const EXAMPLES: &str = "Examples:
  rwf export photo.run --precision f16                        writes photo-f16.safetensors
  rwf export photo.run --precision int8                       integers for chips without floats; fine-tunes first
  rwf export photo.run --precision mixed --tune 1000          4 to 16 bits, each layer as few as it needs
  rwf export photo.run --precision mixed --bytes 3k --pack    the least error in 3 KiB of a packed file
  rwf export photo.run --precision f16 --prune 0.25           without the quarter of neurons that matters least
  rwf export photo.safetensors --pack                         writes photo.rwfz, a fifth to two thirds shorter
  rwf export photo.run/checkpoint.safetensors -o photo.safetensors --force
  rwf export photo.safetensors --rust                         writes photo.rs, a no_std module with a static model
  rwf export burgers.run --fold-input u.npy                   an operator at one input function: a coordinate network";

/// Fold a training checkpoint into a model file, or a model into a Rust module
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run folder, or the checkpoint in it; with --rust a model file too
    checkpoint: PathBuf,
    /// Model file to write [default: the run's name with the precision, in this folder]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Weights: f32 or f16; or int8, int16, int6, int4, mixed for a network in integers alone [default: as in the run]
    #[arg(long, value_parser = words::weights)]
    precision: Option<Weights>,
    /// With --precision mixed: the most bytes of the file, of the packed one with --pack, such as 3000 or 3k
    #[arg(long, value_name = "BYTES", value_parser = words::bytes, conflicts_with = "tol")]
    bytes: Option<usize>,
    /// With --precision mixed: the error integers may add, root mean square in percent of the range [default: 0.5]
    #[arg(long, value_name = "PERCENT")]
    tol: Option<f64>,
    /// Leave out that part of every hidden layer's neurons, those of the least folded weights, and train the rest on
    #[arg(long, value_name = "PART", conflicts_with_all = ["prune_to", "fold_input"])]
    prune: Option<f64>,
    /// Leave out neurons until every hidden layer has so many
    #[arg(long, value_name = "WIDTH", conflicts_with = "fold_input")]
    prune_to: Option<usize>,
    /// Write a packed file, .rwfz: the same model in fewer bytes, which unpacks into RAM; of a run or a model file
    #[arg(long, conflicts_with = "rust")]
    pack: bool,
    /// Steps of fine-tuning before weights become integers and after neurons left, on the run's own signal
    #[arg(long, value_name = "STEPS", default_value_t = 300)]
    tune: u64,
    /// Sine, tanh and exp on the device: polynomial, libm or micromath [default: as in the run]
    #[arg(long, value_parser = words::math)]
    math: Option<MathBackend>,
    /// Write a Rust module with the model as a `static` instead of a file, for programs without a file reader
    #[arg(long)]
    rust: bool,
    /// Values of an operator's input function at its sensors (NPY, or `inputs` of an NPZ or safetensors file; of several
    /// functions the first): folds the branch into the trunk's last layer, from a run or a model file
    #[arg(long, value_name = "FILE", conflicts_with = "rust")]
    fold_input: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let given = &args.checkpoint;
    let checkpoint = if given.is_dir() { given.join("checkpoint.safetensors") } else { given.clone() };
    let model = if args.rust || args.pack { model_file(given)? } else { None };
    check(args, model.is_some())?;
    let out = args.output.clone().unwrap_or_else(|| {
        let run = if given.is_dir() || model.is_some() { Some(given.as_path()) } else { given.parent() };
        let stem = run.and_then(|r| r.file_stem()).map_or("model".into(), |s| s.to_string_lossy());
        if args.rust {
            return format!("{}.rs", rwf_runtime::build::name(Path::new(&*stem))).into();
        }
        let folded = args.fold_input.as_deref().and_then(Path::file_stem);
        let stem = folded.map_or(stem.clone(), |u| format!("{stem}-{}", u.to_string_lossy()).into());
        let suffix = args.precision.map(|p| format!("-{}", p.name())).unwrap_or_default();
        let ending = if args.pack { file::PACKED } else { "safetensors" };
        format!("{stem}{suffix}.{ending}").into()
    });
    if out.exists() && !args.force {
        return Err(Error::Config {
            field: "output".into(),
            message: format!("`{}` is there already; `--force` replaces it", out.display()),
        });
    }
    if let Some(function) = &args.fold_input {
        let bytes = folded(args, function, &out)?;
        return told(&out, bytes);
    }
    if let Some(file) = model.as_ref().filter(|file| args.rust && is_operator(file)) {
        return Err(super::not_a_model(given, file, LoadError::Foreign));
    }
    let pruned = pruned(args, &checkpoint)?;
    let checkpoint = pruned.as_ref().map_or(checkpoint, |folder| folder.path().join(PRUNED));
    let bytes = match (args.rust, model) {
        (true, Some(model)) => rust(&model, given, &out)?,
        (true, None) => {
            let folder = temporary()?;
            let file = folder.path().join("model.safetensors");
            write(args, &checkpoint, &file)?;
            rust(&read(&file)?, given, &out)?
        }
        (false, Some(model)) => {
            write_atomically(&out, &model)?;
            model.len()
        }
        (false, None) => write(args, &checkpoint, &out)?,
    };
    told(&out, bytes)
}

/// Name of a checkpoint with fewer neurons.
const PRUNED: &str = "checkpoint.safetensors";

/// Says what was written, a file of `bytes` before it was packed.
fn told(out: &Path, bytes: usize) -> Result<()> {
    if !file::is_packed_name(out) {
        println!("wrote {} ({bytes} bytes)", out.display());
        return Ok(());
    }
    let failed = |source| Error::Io { path: out.into(), action: "read", source };
    let packed = std::fs::metadata(out).map_err(failed)?.len();
    let less = 100.0 * (1.0 - packed as f64 / bytes as f64);
    println!("wrote {} ({packed} bytes, {less:.1} % less than the {bytes} it unpacks to)", out.display());
    Ok(())
}

/// Options that do not go together.
fn check(args: &Args, is_model: bool) -> Result<()> {
    let refuse = |field: &str, message: &str| Err(Error::Config { field: field.into(), message: message.into() });
    let prunes = args.prune.is_some() || args.prune_to.is_some();
    if is_model && (args.precision.is_some() || args.math.is_some() || prunes) {
        let field = if args.rust { "--rust" } else { "--pack" };
        let message = "found --precision, --math or --prune beside a model file, expected them beside a run only: the model \
                       has its own";
        return refuse(field, message);
    }
    if args.prune.is_some_and(|part| !(0.0..1.0).contains(&part)) {
        return refuse("--prune", "expected a part of 0 or more and below 1");
    }
    if (args.bytes.is_some() || args.tol.is_some()) && args.precision != Some(Weights::Integer(Width::Mixed)) {
        return refuse("--bytes, --tol", "found without --precision mixed, expected beside it");
    }
    if args.tol.is_some_and(|tol| !(tol > 0.0 && tol.is_finite())) {
        return refuse("--tol", "expected a number of percent above 0");
    }
    if args.pack && args.output.as_ref().is_some_and(|out| !file::is_packed_name(out)) {
        return refuse("--output", "found another ending beside --pack, expected a name that ends in .rwfz");
    }
    Ok(())
}

fn temporary() -> Result<tempfile::TempDir> {
    let failed = |source| Error::Io { path: std::env::temp_dir(), action: "make folder in", source };
    tempfile::tempdir().map_err(failed)
}

/// A folder with the checkpoint without the neurons that are to go; none when all stay.
fn pruned(args: &Args, checkpoint: &Path) -> Result<Option<tempfile::TempDir>> {
    let keep = match (args.prune, args.prune_to) {
        (Some(part), _) => task::prune::Keep::Part(part),
        (None, Some(width)) => task::prune::Keep::Width(width),
        (None, None) => return Ok(None),
    };
    let folder = temporary()?;
    let report = task::prune::run(checkpoint, &folder.path().join(PRUNED), keep, args.tune, false)?;
    let [before, after] = report.widths;
    println!(
        "{after} of {before} neurons a layer are left; with the others went at most {:.1} % of a layer's folded norms",
        100.0 * report.left
    );
    if let Some(why) = report.untuned {
        eprintln!("note: the rest did not train on, as the signal cannot be read: {why}");
    }
    Ok(Some(folder))
}

/// The bytes at `path` when it is a model file, not a checkpoint.
fn model_file(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.is_dir() {
        return Ok(None);
    }
    let bytes = read(path)?;
    let checkpoint = matches!(Model::new(&bytes), Err(LoadError::Checkpoint));
    Ok(if checkpoint { None } else { Some(bytes) })
}

/// Writes the coordinate network that an operator is at one input function; its bytes.
fn folded(args: &Args, function: &Path, out: &Path) -> Result<usize> {
    let given = &args.checkpoint;
    let model = if given.is_dir() { given.join("model.safetensors") } else { given.clone() };
    let precision = match args.precision {
        None => None,
        Some(Weights::Float(precision)) => Some(precision),
        Some(Weights::Integer(width)) => {
            let message = format!("found {} beside --fold-input, expected f32 or f16", width.name());
            return Err(Error::Config { field: "--precision".into(), message });
        }
    };
    let u = read_function(function, 0)?;
    let file = read(&model)?;
    if !is_operator(&file) {
        let message = "is no operator, expected a model file or a run of `rwf operator`".into();
        return Err(Error::Model { path: model, message });
    }
    let bytes = export::of_function(&file, &u, precision, args.math)
        .map_err(|message| Error::Model { path: model.clone(), message })?;
    write_atomically(out, &bytes)?;
    Ok(bytes.len())
}

/// Writes the Rust module of `model`; its bytes.
fn rust(model: &[u8], source: &Path, out: &Path) -> Result<usize> {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let text = rwf_runtime::build::rust(model, &name)
        .map_err(|e| Error::Model { path: source.into(), message: e.to_string() })?;
    write_atomically(out, text.as_bytes())?;
    Ok(text.len())
}

/// Writes the model of `checkpoint`; its bytes.
fn write(args: &Args, checkpoint: &Path, out: &Path) -> Result<usize> {
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
            return integers(args, checkpoint, out, width);
        }
    };
    let report = task::export::run(checkpoint, out, precision, args.math)?;
    match &report.found {
        Ok(found) => println!("{}", found.table),
        Err(why) => eprintln!("note: the error is not in the file, as the signal cannot be read: {why}"),
    }
    Ok(report.bytes)
}

fn integers(args: &Args, checkpoint: &Path, out: &Path, width: Width) -> Result<usize> {
    let report = {
        let ration = Ration::default();
        let error = args.tol.map_or(ration.error, |percent| percent / 100.0);
        let ration = Ration { error, bytes: args.bytes, packed: file::is_packed_name(out) };
        task::quantize::run(checkpoint, out, (width, ration), args.tune, false)?
    };
    match &report.found {
        Ok(found) => println!("in integers, {}", found.table),
        Err(why) => eprintln!("note: no fine-tuning and no error in the file, as the signal cannot be read: {why}"),
    }
    let percent = |v: f64| 100.0 * v;
    println!(
        "bits of each layer's weights: {}\nagainst the network in f32, of its range: RMS {:.3} %, largest {:.3} % \
         (before fine-tuning {:.3} %, {:.3} %)",
        report.bits,
        percent(report.added.rms),
        percent(report.added.max),
        percent(report.untuned.rms),
        percent(report.untuned.max),
    );
    Ok(report.bytes)
}
