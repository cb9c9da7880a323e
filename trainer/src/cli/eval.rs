//! `rwf eval`

use std::path::PathBuf;

use super::{fit::SignalArgs, open_any, read};
use crate::{
    error::{Error, Result},
    evaluate::Evaluate,
    signal,
    task::decode::{self, Quantities},
    train::{Metrics, metrics::label},
};

const EXAMPLES: &str = "Examples:
  rwf eval photo.safetensors --at 12.5,40                  values at one point, in physical units
  rwf eval photo.safetensors -o decoded.png                every sample of the grid it was fitted on
  rwf eval photo.safetensors --grid 1024x1024 -o large.png
  rwf eval photo.safetensors --against photo.png           errors, sample by sample";

/// Evaluate a model with the runtime: at points, over a grid, or against what was measured
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Model file
    model: PathBuf,
    /// A point, coordinates joined by commas, in physical units; may be given many times
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true, conflicts_with_all = ["grid", "output", "against"])]
    at: Vec<String>,
    /// Samples along each input, spread over the domain [default: as fitted]
    #[arg(long, value_name = "WxH", conflicts_with = "against")]
    grid: Option<String>,
    /// File for the grid's values: png, tif, csv, npy or wav
    #[arg(short, long, conflicts_with = "against")]
    output: Option<PathBuf>,
    /// Signal to compare with
    #[arg(long, value_name = "INPUT")]
    against: Option<PathBuf>,
    #[command(flatten)]
    signal: SignalArgs,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = open_any(&args.model, &bytes)?;
    let model = model.as_ref();
    if let Some(input) = &args.against {
        return against(args, model, input);
    }
    if !args.at.is_empty() {
        return at(model, &args.at);
    }
    let Some(out) = &args.output else {
        return Err(Error::Config {
            field: "rwf eval".into(),
            message: "found nothing to do, expected --at POINT, -o FILE (with or without --grid), or --against INPUT"
                .into(),
        });
    };
    let counts = args.grid.as_deref().map(|text| decode::counts(text, model.inputs())).transpose()?;
    let decoded = decode::grid(model, counts.as_deref())?;
    signal::save(out, &decoded)?;
    println!("wrote {} ({} samples)", out.display(), decoded.len());
    Ok(())
}

fn at(model: &dyn Evaluate, points: &[String]) -> Result<()> {
    let described = Quantities::of(model);
    for text in points {
        let point = decode::point(text, model.inputs())?;
        for (x, q) in point.iter().zip(&described.inputs) {
            if !(q.lo..=q.hi).contains(&f64::from(*x)) {
                eprintln!(
                    "warning: {} = {x} is outside the fitted domain {} .. {}; the value there is extrapolated",
                    label(q),
                    q.lo,
                    q.hi
                );
            }
        }
        let values = model.values(&point);
        let each: Vec<String> =
            values.iter().zip(&described.outputs).map(|(v, q)| format!("{} = {v}", label(q))).collect();
        println!("{text}: {}", each.join(", "));
    }
    Ok(())
}

fn against(args: &Args, model: &dyn Evaluate, input: &std::path::Path) -> Result<()> {
    let measured = signal::load(input, &args.signal.options())?;
    let found = (measured.inputs.len(), measured.outputs.len());
    let expected = (model.inputs(), model.outputs());
    if found != expected {
        return Err(Error::Signal {
            path: input.into(),
            message: format!(
                "has {} inputs and {} outputs, the model has {} and {}",
                found.0, found.1, expected.0, expected.1
            ),
        });
    }
    let described = Quantities::of(model);
    let coordinates = measured.coordinates_f32();
    let outside = coordinates
        .chunks_exact(expected.0)
        .filter(|x| x.iter().zip(&described.inputs).any(|(v, q)| !(q.lo..=q.hi).contains(&f64::from(*v))))
        .count();
    if outside > 0 {
        eprintln!(
            "warning: {outside} of {} samples are outside the fitted domain; the values there are extrapolated",
            measured.len()
        );
    }
    let fit = model.values(&coordinates);
    print!("{}", Metrics::new(&measured.outputs, &fit, &measured.values).table());
    Ok(())
}
