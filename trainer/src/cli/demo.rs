//! `rwf demo`

use std::path::PathBuf;

use rwf_runtime::{Model, format::Precision};
use toml::Table;

use super::{open, read, settings::print};
use crate::{
    engine::{Device, EngineChoice},
    error::{Error, Result},
    file::write_atomically,
    signal::{self, LoadOptions},
    task::{
        self, decode,
        fit::{Place, Request},
    },
    train::{Metrics, Stop, metrics::short},
};

/// 128x128 pixels of a portrait of Eileen Collins (NASA, public domain).
const SIGNAL: &[u8] = include_bytes!("../../assets/astronaut-128.png");

/// Steps and rate chosen so that two cores are done well within a minute.
const CONFIG: &str = "
    [network]
    hidden = 64
    [training]
    steps = 1500
    batch = 4096
    learning_rate = 1e-3
    ";

const EXAMPLES: &str = "Example:
  rwf demo -o my-demo

Fits a bundled photograph, folds the factors away, writes the model in f32 and f16, reads both back with the
device's runtime, decodes them at twice the resolution and prints what each costs. Ends within a minute.";

/// The whole way on a bundled signal: fit, fold, export, reload, decode
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder for everything the demo writes
    #[arg(short, long, default_value = "rwf-demo")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let folder = &args.output;
    crate::file::make_folder(folder)?;
    let input = folder.join("astronaut.png");
    write_atomically(&input, SIGNAL)?;
    println!("1. fit: {} is a photograph of 128x128 pixels", input.display());
    let request = Request::New {
        input: input.clone(),
        out: folder.join("astronaut.safetensors"),
        options: LoadOptions::default(),
        layers: vec![CONFIG.parse::<Table>().expect("constant text")],
        force: true,
    };
    let interrupt = super::interrupt("checkpoint and model are being written");
    let place = Place { engine: EngineChoice::Auto, device: &Device::Cpu, name: "cpu" };
    let report = task::fit::run(request, place, &interrupt, false)?;
    print(&report);
    if report.outcome.stop == Stop::Interrupted {
        return Err(Error::Interrupted);
    }

    println!("2. fold and export in half precision");
    let half = folder.join("astronaut-f16.safetensors");
    let checkpoint = report.folder.join("checkpoint.safetensors");
    task::export::run(&checkpoint, &half, Some(Precision::F16), None)?;

    println!("3. reload with the runtime, as a device would");
    let signal = signal::load(&input, &LoadOptions::default())?;
    println!(
        "  {:<30} {:>8} {:>10} {:>10} {:>12} {:>14} {:>10}",
        "file", "bytes", "PSNR dB", "RMSE", "max error", "multiply-adds", "self-test"
    );
    for path in [&report.out, &half] {
        let bytes = read(path)?;
        let model = open(path, &bytes)?;
        let fit = crate::evaluate::evaluate(&model, &signal.coordinates_f32());
        let metrics = Metrics::new(&signal.outputs, &fit, &signal.values);
        let worst = |f: fn(&crate::train::metrics::OutputError) -> f64| {
            short(metrics.outputs.iter().map(f).fold(0.0, f64::max))
        };
        println!(
            "  {:<30} {:>8} {:>10.2} {:>10} {:>12} {:>14} {:>10}",
            path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            bytes.len(),
            metrics.psnr,
            worst(|o| o.rmse),
            worst(|o| o.max),
            model.architecture().multiply_adds(),
            self_test(&model),
        );
    }
    println!("  {:<30} {:>8}   the raw pixels", "", signal.values.len());

    let bytes = read(&half)?;
    let large = folder.join("astronaut-256.png");
    signal::save(&large, &decode::grid(&open(&half, &bytes)?, Some(&[256, 256]))?)?;
    println!("4. pictures: {}", report.folder.join("comparison.png").display());
    println!("             {}  (twice the resolution it was fitted at)", large.display());
    println!("Next: rwf fit YOUR.png, rwf fit YOUR.csv, rwf fit --help");
    Ok(())
}

fn self_test(model: &Model<'_>) -> &'static str {
    let mut scratch = vec![0.0; model.scratch_len()];
    if model.self_test(&mut scratch).is_ok() { "passed" } else { "FAILED" }
}
