//! `rwf import`

use std::path::PathBuf;

use clap::ValueEnum;
use rwf_runtime::format::{Activation, MathBackend, Precision};

use super::words;
use crate::{
    error::{Error, Result},
    file::write_atomically,
    import::{self, Options},
};

const EXAMPLES: &str = "Example:
  rwf import siren.safetensors --arch siren --omega0 30 -o model.safetensors \\
      --inputs 'x[px] -1 1;y[px] -1 1' --outputs 'grey -1 1'

The file holds pairs `*.weight` [out, in] and `*.bias` [out], as torch.nn.Linear saves them; layers follow the
numbers in their names. `gelu` is the tanh form.";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Arch {
    Siren,
    Mlp,
}

/// Turn a PyTorch-style safetensors file of a SIREN or MLP into a model file
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Safetensors file of a state dict
    file: PathBuf,
    /// Model file to write
    #[arg(short, long)]
    output: PathBuf,
    /// Architecture the weights belong to
    #[arg(long, alias = "architecture")]
    arch: Arch,
    /// Activation of an MLP's hidden layers
    #[arg(long, value_parser = activation, default_value = "relu")]
    activation: Activation,
    /// Activation of the last layer
    #[arg(long, value_parser = activation, default_value = "identity")]
    output_activation: Activation,
    /// Frequency factor of a SIREN's hidden layers
    #[arg(long, default_value_t = 30.0)]
    omega0: f64,
    /// Frequency factor of a SIREN's first layer [default: omega0]
    #[arg(long)]
    omega0_first: Option<f64>,
    /// Inputs as `name[unit] lo hi`, joined by `;`
    #[arg(long, default_value = "")]
    inputs: String,
    /// Outputs as `name[unit] lo hi`, joined by `;`
    #[arg(long, default_value = "")]
    outputs: String,
    /// Weights: f32 or f16
    #[arg(long, value_parser = words::precision, default_value = "f32")]
    precision: Precision,
    /// Sine, tanh and exp on the device: polynomial, libm or micromath
    #[arg(long, value_parser = words::math, default_value = "polynomial")]
    math: MathBackend,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

fn activation(text: &str) -> std::result::Result<Activation, String> {
    Activation::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = Activation::ALL.iter().map(|a| a.name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

pub(super) fn run(args: &Args) -> Result<()> {
    if args.output.exists() && !args.force {
        return Err(Error::Config {
            field: "output".into(),
            message: format!("`{}` is there already; `--force` replaces it", args.output.display()),
        });
    }
    let options = Options {
        activation: match args.arch {
            Arch::Siren => Activation::Sine,
            Arch::Mlp => args.activation,
        },
        output_activation: args.output_activation,
        omega0: args.omega0,
        omega0_first: args.omega0_first.unwrap_or(args.omega0),
        inputs: args.inputs.clone(),
        outputs: args.outputs.clone(),
    };
    let bytes = import::model(&args.file, &options, args.precision, args.math)?;
    write_atomically(&args.output, &bytes)?;
    println!("wrote {} ({} bytes); `rwf info {0}` tells what it holds", args.output.display(), bytes.len());
    Ok(())
}
