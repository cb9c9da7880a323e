//! `rwf race`

use std::path::PathBuf;

use super::{fit::SignalArgs, words};
use crate::{
    engine::{DeviceChoice, EngineChoice, MatmulPrecision, device},
    error::Result,
    task::{
        observed::Place,
        race::{self, Request},
        search::{Goal, Measure},
    },
};

const EXAMPLES: &str = "Examples:
  rwf race map.npy --flash 4k                          searches a network for three minutes, then races it
  rwf race photo.png --flash 8k --by psnr
  rwf race curve.csv --flash 512 --model curve.safetensors --by max

The folder holds report.md, report.html and the network. The rivals are the best tables, splines and polynomials (and
pictures, for a picture) of that many bytes; where one of them wins, it says so.";

/// What makes one better than the other.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    /// Root mean square error
    Rmse,
    /// Largest error
    Max,
    /// Peak signal-to-noise ratio
    Psnr,
}

/// Race a network against tables, splines, polynomials and pictures of the same bytes
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// File of the signal
    input: PathBuf,
    /// Bytes of flash of each, such as 4096 or 4k
    #[arg(long, value_parser = words::bytes, value_name = "BYTES")]
    flash: usize,
    /// A model that races [default: one is searched for]
    #[arg(long)]
    model: Option<PathBuf>,
    /// What decides
    #[arg(long, value_enum, default_value = "rmse")]
    by: By,
    /// Time for the search
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// Folder for the report [default: the input's name with .race, in this folder]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Search again
    #[arg(long)]
    force: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    signal: SignalArgs,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let measure = match args.by {
        By::Rmse => Measure::Rmse,
        By::Max => Measure::Max,
        By::Psnr => Measure::Psnr,
    };
    let out = args.output.clone().unwrap_or_else(|| {
        let mut name = args.input.file_stem().unwrap_or(args.input.as_os_str()).to_owned();
        name.push(".race");
        name.into()
    });
    let request = Request {
        input: args.input.clone(),
        options: args.signal.options(),
        flash: args.flash,
        model: args.model.clone(),
        minutes: args.minutes,
        goal: Goal { measure, at: None },
        out,
        force: args.force,
    };
    let (device, name) = device(DeviceChoice::Auto, MatmulPrecision::F32)?;
    let interrupt = super::interrupt("the trials that are done are kept");
    let place = Place { engine: EngineChoice::Auto, device: &device, name: &name };
    let finish = race::run(&request, place, &interrupt, args.quiet)?;
    print!("{}", finish.table.text().replace("**", ""));
    println!("{}", finish.verdict);
    println!("wrote {}", request.out.join("report.html").display());
    Ok(())
}
