//! `rwf ct`

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::settings::{self, NetworkArgs, RunArgs, TrainingArgs, put};
use crate::{
    config,
    domain::Extent,
    error::{Error, Result},
    observation::Along,
    task::{
        ct::{BeamKind, Ct, CtConfig, ScanKind},
        observed::{Observed, Request},
    },
};

const EXAMPLES: &str = "Examples:
  rwf ct                                                the head of Shepp and Logan, 20 parallel angles
  rwf ct --randomise 7 --beam fan --angles 40
  rwf ct photo.png --size 128
  rwf ct slice.dcm --angles 60                          values in HU, coordinates in mm
  rwf ct sinogram.npy --angles-file angles.csv --pitch 0.5 --unit mm
  rwf ct --resume shepp-logan.run --steps 4000          goes on where the run stopped

The run folder holds config.toml, metrics.csv, loss.png, comparison.png (the object, filtered back-projection,
SIRT, the network, errors), sinogram.png, sinogram.npy, angles.csv, checkpoint.safetensors and model.safetensors.";

/// Reconstruct a slice from its projections (computed tomography)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// Phantom (PNG, JPEG, TIFF, DICOM) or measured sinogram (NPY, CSV, PNG; a row an angle) [default: Shepp-Logan]
    #[arg(conflicts_with = "resume")]
    input: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    scan: ScanArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Scan")]
struct ScanArgs {
    /// What the input is [default: a sinogram if NPY, CSV or with --angles-file, else a phantom]
    #[arg(long, value_enum, conflicts_with = "resume")]
    kind: Option<ScanKind>,
    /// Another Shepp-Logan head for another seed
    #[arg(long, value_name = "SEED", conflicts_with = "resume")]
    randomise: Option<i64>,
    /// Pixels along a side [default: 256 for Shepp-Logan, else as the phantom or the sinogram has]
    #[arg(long, conflicts_with = "resume")]
    size: Option<i64>,
    /// Where rays come from [default: parallel]
    #[arg(long, value_enum, conflicts_with = "resume")]
    beam: Option<BeamKind>,
    /// Distance of a fan's source from the axis, in halves of the picture's side [default: 3]
    #[arg(long, value_name = "HALVES", conflicts_with = "resume")]
    source: Option<f64>,
    /// Where the object may be [default: disc for a sinogram, else square]
    #[arg(long, value_enum, conflicts_with = "resume")]
    extent: Option<Extent>,
    /// Number of angles [default: 20, or as the sinogram has]
    #[arg(long, conflicts_with = "resume")]
    angles: Option<i64>,
    /// Degrees they are spread over [default: 180 for parallel beams, 360 for fans]
    #[arg(long, value_name = "DEGREES", conflicts_with = "resume")]
    arc: Option<f64>,
    /// File of angles in degrees, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    angles_file: Option<PathBuf>,
    /// Detectors in a row [default: one a pixel, or as the sinogram has]
    #[arg(long, conflicts_with = "resume")]
    detectors: Option<i64>,
    /// Distance of two detectors of a measured sinogram at the axis [default: 1]
    #[arg(long, conflicts_with = "resume")]
    pitch: Option<f64>,
    /// Unit of --pitch [default: px]
    #[arg(long, conflicts_with = "resume")]
    unit: Option<String>,
    /// What a measured sinogram is of, to measure reconstructions by
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    reference: Option<PathBuf>,
    /// Noise on simulated projections, over the largest [default: 0]
    #[arg(long, value_name = "SHARE", conflicts_with = "resume")]
    noise: Option<f64>,
    /// Samples along a side of the picture [default: 160]
    #[arg(long, conflicts_with = "resume")]
    samples: Option<i64>,
    /// What of a ray is compared [default: integral]
    #[arg(long, value_enum, conflicts_with = "resume")]
    along: Option<Along>,
    /// Iterations of SIRT, which is made to compare with [default: 200]
    #[arg(long, value_name = "ITERATIONS", conflicts_with = "resume")]
    sirt: Option<i64>,
}

pub(super) fn run(args: Args) -> Result<()> {
    if let Some(folder) = &args.run.resume {
        let request = Request::<Ct>::Resume { folder: folder.clone(), steps: args.training.steps, lbfgs: None };
        return args.run.run(request, &args.training);
    }
    let file = args.run.file()?;
    let kind = kind(&args, file.as_ref())?;
    let layers = [Some(CtConfig::defaults(kind)), file, Some(layer(&args, kind)?)];
    let config: config::RunConfig<CtConfig> = config::resolve(layers.into_iter().flatten())?;
    let name = config.signal.path.clone().unwrap_or_else(|| "shepp-logan".into());
    let (task, out) = (Box::new(Ct::open(&config)?), args.run.out(&name));
    args.run.run(Request::New { task, config: Box::new(config), out, force: args.run.force }, &args.training)
}

/// The kind decides the defaults: from the command line, else from the config file, else by the input.
fn kind(args: &Args, file: Option<&Table>) -> Result<ScanKind> {
    let word = || file?.get("signal")?.get("kind").cloned();
    if let Some(kind) = args.scan.kind {
        return Ok(kind);
    }
    if let Some(word) = word() {
        let message =
            |e: toml::de::Error| Error::Config { field: "signal.kind".into(), message: e.message().to_owned() };
        return word.try_into().map_err(message);
    }
    let Some(input) = &args.input else { return Ok(ScanKind::SheppLogan) };
    let extension = input.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase());
    let numbers = ["npy", "csv", "tsv", "txt"].contains(&extension.as_str());
    Ok(if numbers || args.scan.angles_file.is_some() { ScanKind::Sinogram } else { ScanKind::Phantom })
}

/// The command line as a layer of the configuration.
fn layer(args: &Args, kind: ScanKind) -> Result<Table> {
    fn whole(path: &Path) -> String {
        path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).to_string_lossy().into_owned()
    }
    fn word(value: impl serde::Serialize) -> Value {
        Value::try_from(value).expect("a word")
    }
    let s = &args.scan;
    let mut signal = Table::new();
    put(&mut signal, "kind", Some(word(kind)));
    put(&mut signal, "path", args.input.as_deref().map(whole));
    put(&mut signal, "randomise", s.randomise);
    put(&mut signal, "size", s.size);
    put(&mut signal, "beam", s.beam.map(word));
    put(&mut signal, "source", s.source);
    put(&mut signal, "extent", s.extent.map(word));
    // A file of angles says how many there are; a number beside it must be that.
    put(&mut signal, "angles", s.angles.or(s.angles_file.as_ref().map(|_| 0)));
    put(&mut signal, "arc", s.arc);
    put(&mut signal, "angles_file", s.angles_file.as_deref().map(whole));
    put(&mut signal, "detectors", s.detectors);
    put(&mut signal, "pitch", s.pitch);
    put(&mut signal, "unit", s.unit.clone());
    put(&mut signal, "reference", s.reference.as_deref().map(whole));
    put(&mut signal, "noise", s.noise);
    put(&mut signal, "samples", s.samples);
    put(&mut signal, "along", s.along.map(word));
    put(&mut signal, "sirt", s.sirt);
    settings::layer(signal, &args.network, &args.training)
}
