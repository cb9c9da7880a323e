//! `rwf fit`

use std::path::PathBuf;

use toml::{Table, Value};

use super::{
    settings::{self, NetworkArgs, RunArgs, TrainingArgs, put},
    words,
};
use crate::{
    error::Result,
    signal::{LoadOptions, SignalKind},
    task::fit::{self, Request},
};

const EXAMPLES: &str = "Examples:
  rwf fit photo.png                                     photo.safetensors and photo.run/ in this folder
  rwf fit calibration.csv --outputs 'temp[degC]'        every other column is an input
  rwf fit photo.png -o small.safetensors --hidden 32 --precision f16 --target-psnr 28
  rwf fit dem.tif --arch mlp --activation relu --mapping gaussian:128:10 --param wn
  rwf fit pairs.safetensors                             an operator between functions, see `rwf operator --help`
  rwf fit --resume photo.run --steps 10000              goes on where the run stopped

The run folder holds config.toml, metrics.csv, loss.png, comparison.png, checkpoint.safetensors and
model.safetensors. A config.toml can be given back with --config; options on the command line win over it.";

/// Fit a network to an image (PNG, JPEG, TIFF), a table (CSV), a sound (WAV) or an array (NPY)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// File of the signal
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    input: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    signal: SignalArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    quality: QualityArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Signal")]
pub(super) struct SignalArgs {
    /// Kind of signal when the file's name does not tell: image, table, audio, array
    #[arg(long, value_parser = words::kind)]
    kind: Option<SignalKind>,
    /// Columns of a table that are inputs, joined by commas [default: all but the outputs]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    inputs: Vec<String>,
    /// Columns of a table that are outputs, joined by commas [default: the last]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    outputs: Vec<String>,
}

impl SignalArgs {
    pub(super) fn options(&self) -> LoadOptions {
        LoadOptions { kind: self.kind, inputs: self.inputs.clone(), outputs: self.outputs.clone() }
    }
}

#[derive(clap::Args)]
#[command(next_help_heading = "Training and export")]
struct QualityArgs {
    /// End once the PSNR over all samples reaches this, in dB
    #[arg(long, conflicts_with = "resume")]
    target_psnr: Option<f64>,
    /// Fraction of the samples held out of training
    #[arg(long, conflicts_with = "resume")]
    validation: Option<f64>,
}

pub(super) fn run(args: Args) -> Result<()> {
    if let Some(pairs) = args.input.as_ref().filter(|i| i.extension().is_some_and(|e| e == "safetensors")) {
        return super::operator::fit(pairs, &args.run, &args.network, &args.training);
    }
    let request = match (&args.run.resume, &args.input) {
        (Some(folder), _) => Request::Resume { folder: folder.clone(), steps: args.training.steps },
        (None, Some(input)) => {
            let file = args.run.file()?;
            let mut options = args.signal.options();
            if let Some(file) = &file {
                fill(&mut options, file);
            }
            let layers = file.into_iter().chain([layer(&args)?]).collect();
            Request::New { input: input.clone(), out: args.run.out(input), options, layers, force: args.run.force }
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    args.run.run(fit::prepare(request)?, &args.training)
}

/// The command line as a layer of the configuration.
fn layer(args: &Args) -> Result<Table> {
    let mut signal = Table::new();
    put(&mut signal, "validation", args.quality.validation);
    let mut layer = settings::layer(signal, &args.network, &args.training)?;
    if let Some(Value::Table(training)) = layer.get_mut("training") {
        put(training, "target_psnr", args.quality.target_psnr);
    }
    Ok(layer)
}

/// What a config file says about reading the signal and the command line does not.
fn fill(options: &mut LoadOptions, file: &Table) {
    let Some(Value::Table(signal)) = file.get("signal") else { return };
    let list = |key: &str| -> Vec<String> {
        let values = signal.get(key).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str).map(String::from).collect()
    };
    if options.inputs.is_empty() {
        options.inputs = list("inputs");
    }
    if options.outputs.is_empty() {
        options.outputs = list("outputs");
    }
    if options.kind.is_none() {
        options.kind = signal.get("kind").and_then(Value::as_str).and_then(|k| words::kind(k).ok());
    }
}
