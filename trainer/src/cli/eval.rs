//! `rwf eval`

use std::path::PathBuf;

use rwf_runtime::operator::is_operator;

use super::{fit::SignalArgs, open_any, open_operator, read};
use crate::{
    error::{Error, Result},
    evaluate::{Evaluate, OfFunction},
    signal::{self, operator::read_function},
    task::decode::{self, Quantities},
    train::{Metrics, metrics::label},
};

const EXAMPLES: &str = "Examples:
  rwf eval photo.safetensors --at 12.5,40                  values at one point, in physical units
  rwf eval photo.safetensors -o decoded.png                every sample of the grid it was fitted on
  rwf eval photo.safetensors --grid 1024x1024 -o large.png
  rwf eval photo.safetensors --against photo.png           errors, sample by sample
  rwf eval burgers.safetensors --input-function u.npy --at 0.5,0.2    an operator at an input function";

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
    /// Input function of an operator, NPY: its values at the sensors, or several functions; also `inputs` of an NPZ or
    /// safetensors file of pairs
    #[arg(long, value_name = "FILE")]
    input_function: Option<PathBuf>,
    /// Which of several functions in that file
    #[arg(long, value_name = "N", default_value_t = 0, requires = "input_function")]
    number: usize,
    #[command(flatten)]
    signal: SignalArgs,
}

/// The model; an operator at the input function given.
fn opened<'a>(args: &Args, bytes: &'a [u8]) -> Result<Box<dyn Evaluate + 'a>> {
    match (&args.input_function, is_operator(bytes)) {
        (Some(function), true) => {
            let operator = open_operator(&args.model, bytes)?;
            let u = read_function(function, args.number)?;
            let refused = |message| Error::Signal { path: function.clone(), message };
            Ok(Box::new(OfFunction::new(operator, u).map_err(refused)?))
        }
        (None, true) => Err(Error::Config {
            field: "--input-function".into(),
            message: "found none, expected a file with the values of the operator's input function at its sensors"
                .into(),
        }),
        (Some(_), false) => {
            open_any(&args.model, bytes)?;
            let message = "found one for a coordinate network, expected none: operators alone have an input function";
            Err(Error::Config { field: "--input-function".into(), message: message.into() })
        }
        (None, false) => open_any(&args.model, bytes),
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = opened(args, &bytes)?;
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
