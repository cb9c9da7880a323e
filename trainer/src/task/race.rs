//! `rwf race`: what the same bytes buy as a network, a table, a spline, a polynomial, a picture.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use super::{
    observed::Place,
    search::{self, Budget, Goal},
};
use crate::{
    compare::{Block, Report, Table},
    cost::Cost,
    error::{Error, Result},
    evaluate, plot,
    rival::{self, Basis, Codec, Rival},
    signal::{self, LoadOptions, Signal},
    train::{Metrics, metrics::short},
};

/// Rivals whose fit is drawn.
const DRAWN: usize = 4;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// File of the signal.
    pub input: PathBuf,
    /// How to read it.
    pub options: LoadOptions,
    /// Bytes of flash of everyone.
    pub flash: usize,
    /// A model that races; none: one is searched for.
    pub model: Option<PathBuf>,
    /// Time for the search.
    pub minutes: f64,
    /// Who wins: the least of this.
    pub goal: Goal,
    /// Folder for report.md, report.html and the model.
    pub out: PathBuf,
    /// Whether an earlier search may be replaced.
    pub force: bool,
}

/// One of the field.
#[derive(Debug)]
struct Racer {
    name: String,
    bytes: usize,
    operations: Option<usize>,
    metrics: Metrics,
    error: f64,
    values: Vec<f32>,
}

/// How a race ended.
#[derive(Debug)]
pub struct Finish {
    /// Everyone, the best first.
    pub table: Table,
    /// Who won, in a sentence.
    pub verdict: String,
    /// Whether the network did.
    pub network_won: bool,
}

/// Runs the race and writes its report.
///
/// # Errors
/// Bad input; a model above the bytes; what the search meets.
pub fn run(request: &Request, place: Place<'_>, interrupt: &AtomicBool, quiet: bool) -> Result<Finish> {
    let signal = signal::load(&request.input, &request.options)?;
    let model = match &request.model {
        Some(path) => path.clone(),
        None => searched(request, place, interrupt, quiet)?,
    };
    let mut racers = vec![network(request, &model, &signal)?];
    let error = |fit: &[f32]| request.goal.error(&Metrics::new(&signal.outputs, fit, &signal.values));
    let mut enter = |rival: Option<Rival>, what: &str| match rival {
        Some(Rival { name, bytes, operations, values }) => {
            let metrics = Metrics::new(&signal.outputs, &values, &signal.values);
            let error = request.goal.error(&metrics);
            if !quiet {
                eprintln!("  {name:<44} {bytes:>7} bytes  {}", request.goal.words(error));
            }
            racers.push(Racer { name, bytes, operations, error, metrics, values });
        }
        None if !quiet => eprintln!("  {what:<44} nothing of it fits"),
        None => {}
    };
    for basis in Basis::ALL {
        enter(rival::best(&signal, basis, request.flash, &error), basis.name());
    }
    if signal.inputs.len() == 1 {
        enter(rival::knots(&signal, request.flash, &error), "table, free nodes");
    }
    if rival::is_picture(&signal) {
        enter(rival::picture(&signal, Codec::Png, request.flash, &error), "PNG");
        enter(rival::picture(&signal, Codec::Jpeg, request.flash, &error), "JPEG");
    }
    racers.sort_by(|a, b| a.error.total_cmp(&b.error));
    let finish = finish(&racers, request);
    report(&racers, &finish, request, &signal)?.write(&request.out)?;
    Ok(finish)
}

/// A model searched for within the bytes.
fn searched(request: &Request, place: Place<'_>, interrupt: &AtomicBool, quiet: bool) -> Result<PathBuf> {
    crate::file::make_folder(&request.out)?;
    let out = request.out.join("network.safetensors");
    let search = search::Request {
        input: request.input.clone(),
        out: out.clone(),
        options: request.options.clone(),
        layers: Vec::new(),
        budget: Budget { flash: Some(request.flash), ..Budget::default() },
        goal: Goal { at: None, ..request.goal },
        minutes: request.minutes,
        force: request.force,
    };
    search::run(&search, place, interrupt, quiet)?;
    Ok(out)
}

fn network(request: &Request, path: &Path, signal: &Signal) -> Result<Racer> {
    let file = crate::file::read(path)?;
    let bad = |message: String| Error::Model { path: path.into(), message };
    let cost = Cost::of(&file).map_err(bad)?;
    if cost.flash > request.flash {
        return Err(bad(format!("takes {} bytes of flash, expected at most {}", cost.flash, request.flash)));
    }
    let model = evaluate::open(&file).map_err(|e| bad(e.to_string()))?;
    let (found, expected) = ((model.inputs(), model.outputs()), (signal.inputs.len(), signal.outputs.len()));
    if found != expected {
        return Err(bad(format!("has inputs and outputs {found:?}, the signal {expected:?}")));
    }
    let values = model.values(&signal.coordinates_f32());
    let metrics = Metrics::new(&signal.outputs, &values, &signal.values);
    let a = model.architecture();
    Ok(Racer {
        name: format!("network {}x{} {}", a.layers.len() - 1, a.hidden(), model.storage()),
        bytes: cost.flash,
        // An activation is some ten operations.
        operations: Some(cost.macs + 10 * cost.activations),
        error: request.goal.error(&metrics),
        metrics,
        values,
    })
}

fn finish(racers: &[Racer], request: &Request) -> Finish {
    let header = ["", "bytes", "RMS error", "largest error", "PSNR [dB]", "operations a point"].map(String::from);
    let worst = |m: &Metrics, f: fn(&crate::train::metrics::OutputError) -> f64| {
        short(m.outputs.iter().map(f).fold(0.0, f64::max))
    };
    let rows = racers.iter().enumerate().map(|(place, racer)| {
        let name = if place == 0 { format!("**{}**", racer.name) } else { racer.name.clone() };
        vec![
            name,
            racer.bytes.to_string(),
            worst(&racer.metrics, |o| o.rmse),
            worst(&racer.metrics, |o| o.max),
            format!("{:.2}", racer.metrics.psnr),
            racer.operations.map_or("whole picture".into(), |n| n.to_string()),
        ]
    });
    let is_network = |racer: &Racer| racer.name.starts_with("network");
    let network_won = racers.first().is_some_and(is_network);
    let (first, other) = (&racers[0], racers[1..].iter().find(|r| network_won || is_network(r)));
    let verdict = match other {
        None => format!("{} ran alone", first.name),
        Some(other) if network_won => format!(
            "the network wins: {}, the best of the others, {}, {}",
            request.goal.words(first.error),
            other.name,
            request.goal.words(other.error)
        ),
        Some(network) => format!(
            "the network loses: {} has {}, the network {}. Use that",
            first.name,
            request.goal.words(first.error),
            request.goal.words(network.error)
        ),
    };
    Finish { table: Table { header: header.to_vec(), rows: rows.collect() }, verdict, network_won }
}

fn report(racers: &[Racer], finish: &Finish, request: &Request, signal: &Signal) -> Result<Report> {
    let mut blocks = vec![
        Block::Text(format!("{} bytes each; {}.", request.flash, finish.verdict)),
        Block::Table(finish.table.clone()),
        Block::Text(
            "Tables, splines and polynomials are fitted by least squares, in u8, u16 or f32 and in the shape that is best; \
             their code, like that of the network, is not counted. Operations are multiply-adds, ten for an activation."
                .into(),
        ),
    ];
    for (n, racer) in racers.iter().take(DRAWN).enumerate() {
        let picture = plot::comparison(signal, &racer.values)?;
        blocks.push(Block::Figure(format!("{}", n + 1), format!("Signal, {}, error", racer.name), picture));
    }
    Ok(Report { title: format!("Race over {} in {} bytes", signal.name, request.flash), blocks })
}
