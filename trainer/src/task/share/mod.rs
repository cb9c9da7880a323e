//! `rwf fit --all FOLDER --share M`: one base network for all signals of a folder, and M small integers for each.
//!
//! ```text
//! OUT/base.safetensors         an operator: trunk [inputs] -> [outputs, 1 + M], branch M integers -> what it is multiplied by
//! OUT/base.run/                record, log and checkpoint of its training
//! OUT/modulations/NAME.bin     the integers of FOLDER/NAME.*, little endian
//! OUT/results/, OUT/index.csv  as without a base
//! ```
//!
//! The basis is trained through [`Projection`](crate::observation::Projection), turned so that its components are orthogonal
//! over the samples, and written. What follows knows its file alone: integers of signals that training saw or not are solved
//! for on the weights of the file, and their errors are what the runtime computes.

mod base;
mod config;
mod finish;
#[cfg(test)]
mod tests;
mod training;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

pub use config::{Modulation, ShareConfig};
use toml::{Table, Value};

use self::{
    base::{Base, MODULATION, labels},
    training::{COLUMNS, RIDGE, Training},
};
use super::{
    fit::{network_units, normalization},
    many::{self, Job, Summary, Work},
    observed::{Place, hash},
};
use crate::{
    certificate::sha256,
    config::{RunConfig, check, resolve},
    engine::engine,
    error::{Error, Result},
    export::{self, Description},
    file::write_atomically,
    jobs,
    network::{ActivationKind, Network},
    rng::Rng,
    signal::{self, Quantity, Signal},
    train::{self, Checkpoint, Metrics, Progress, RunFolder, run_folder::MetricsLog},
};

/// File of the base in the folder of results.
pub const BASE: &str = "base.safetensors";

/// Where the base comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is trained on the signals, unless that is done already.
    Trained {
        /// Integers a signal.
        components: usize,
        /// What they are.
        modulation: Modulation,
    },
    /// It is this file.
    Given(PathBuf),
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// How the signals went.
    pub summary: Summary,
    /// File of the base.
    pub base: PathBuf,
    /// Its bytes.
    pub base_bytes: usize,
    /// Bytes of a signal's integers.
    pub signal_bytes: usize,
    /// Bytes of the weights of one network of the trunk's hidden layers for one signal.
    pub single_bytes: usize,
}

/// A signal in the network's units.
struct Sampled {
    /// Coordinates, `[n, inputs]`.
    x: Vec<f32>,
    /// Values, `[n, outputs]`.
    y: Vec<f32>,
}

/// Solves for the integers of every signal of a folder or of a shard of it on a base, which is trained first where it is not
/// given; a failure is a row of the index and stops no other.
///
/// # Errors
/// As [`many::run`]; no signals of one kind to train on, a base of other settings that would be replaced, a file that is no base.
pub fn run(
    request: &many::Request,
    source: &Source,
    place: Place<'_>,
    interrupt: &AtomicBool,
    quiet: bool,
) -> Result<Report> {
    let path = match source {
        Source::Given(path) => path.clone(),
        Source::Trained { components, modulation } => {
            check(request.shard.is_none(), "--shard", "one beside --share".into(), "none, or a --base")?;
            train(request, (*components, *modulation), place, interrupt, quiet)?;
            request.out.join(BASE)
        }
    };
    let base = Base::new(&path, &crate::file::read(&path)?)?;
    let file = |name: &str| request.out.join("modulations").join(format!("{name}.bin"));
    let make = |job: &Job| -> Result<Option<(usize, Metrics)>> {
        let signal = signal::load(&job.path, &request.options)?;
        base.check(&job.path, &signal)?;
        let (integers, metrics) = modulated(&base, &signal);
        let bytes = base.modulation.bytes(&integers);
        write_atomically(&file(&job.name), &bytes)?;
        Ok(Some((bytes.len(), metrics)))
    };
    let settings = format!("{} {:?}", sha256(base.bytes()), request.options);
    // A base that was made anew has another hash, and so have its jobs.
    let summary = many::each(request, &Work { settings: &settings, file: &file, make: &make }, interrupt, quiet)?;
    Ok(Report {
        summary,
        base_bytes: base.bytes().len(),
        signal_bytes: base.components() * base.modulation.size(),
        single_bytes: base.single_bytes(),
        base: path,
    })
}

/// The integers of a signal, and its errors with them.
fn modulated(base: &Base, signal: &Signal) -> (Vec<i16>, Metrics) {
    let coordinates = signal.coordinates_f32();
    let integers = base.modulate(&coordinates, &signal.values);
    let fit = base.values(&integers, &coordinates);
    (integers, Metrics::new(&signal.outputs, &fit, &signal.values))
}

/// Trains the base and writes it, unless that is done already.
fn train(
    request: &many::Request,
    (components, modulation): (usize, Modulation),
    place: Place<'_>,
    interrupt: &AtomicBool,
    quiet: bool,
) -> Result<()> {
    let out = request.out.join(BASE);
    let folder = RunFolder::beside(&out);
    let signals = alike(request, components, interrupt)?;
    let all = common(&signals);
    let longest = signals.iter().map(Signal::len).max().unwrap_or(0);
    let defaults = config::defaults(all.kind, all.inputs.len(), longest);
    let own = own(request, components, modulation);
    let config: RunConfig<ShareConfig> = resolve([defaults].into_iter().chain(request.layers.clone()).chain([own]))?;
    let ending = config.network.output_activation;
    check(ending == ActivationKind::Identity, "network.output_activation", format!("{ending:?}"), "identity")?;
    let target = config.training.target_psnr;
    check(target.is_none(), "--target-psnr", format!("{target:?}"), "none: a base is trained for all of its --steps")?;
    if out.exists() && !request.force {
        return stands(&folder, &config, &out, quiet);
    }

    let normalization = normalization(&all);
    let sampled: Vec<Sampled> = signals
        .iter()
        .map(|signal| {
            let (x, y) = network_units(signal, &normalization, &(0..signal.len()).collect::<Vec<_>>());
            Sampled { x, y }
        })
        .collect();
    let hash = hash(sampled.iter().flat_map(|s| s.x.iter().chain(&s.y)).copied());
    let (inputs, outputs) = (all.inputs.len(), all.outputs.len());
    let mut rng = Rng::new(config.training.seed).stream("network");
    let (network, mut parameters) = Network::new(&config.network, inputs, outputs * (1 + components), &mut rng)?;
    let columns = || COLUMNS.map(String::from).to_vec();
    let (mut from, mut moments, mut log) = (0, None, MetricsLog::new(folder.metrics(), columns()));
    if let Some(checkpoint) = interrupted(&folder, &config, hash).filter(|_| !request.force) {
        log = MetricsLog::resume(folder.metrics(), columns(), checkpoint.step)?;
        (from, parameters, moments) = (checkpoint.step, checkpoint.parameters, Some(checkpoint.moments));
    }
    let mut engine = engine(place.engine, &network, &parameters, place.device)?;
    match moments {
        Some(moments) => engine.set_moments(&moments)?,
        None => folder.create(true, &[])?,
    }
    write_atomically(&folder.config(), config.to_toml().as_bytes())?;
    let modulations = Quantity::new(MODULATION, "", -f64::from(modulation.limit()), f64::from(modulation.limit()));
    let description = Description {
        inputs: format!("{};{}", Quantity::describe(&[modulations]), all.metadata_inputs()),
        grid: None,
        ..Description::of(&all, config.provenance(config.training.all_steps(), place.name))
    };
    if !quiet {
        eprintln!(
            "{} signals: {} -> {}; {components} integers each\n{:?} {}x{}, {} on {}, {} steps{}",
            signals.len(),
            labels(&all.inputs),
            labels(&all.outputs),
            config.network.architecture,
            config.network.depth,
            config.network.hidden,
            engine.name(),
            place.name,
            config.training.all_steps(),
            if from > 0 { format!(", going on behind {from}") } else { String::new() },
        );
    }
    let mut training = Training {
        signals: &sampled,
        config: &config,
        normalization: &normalization,
        description: &description,
        hash,
        folder: &folder,
        log,
        settling: None,
    };
    let mut progress = Progress::new(from, config.training.all_steps(), quiet);
    let outcome = train::fit(engine.as_mut(), &config.training, from, &mut training, interrupt, &mut progress)?;
    if !outcome.stop.ended()? {
        return Err(Error::ComparisonInterrupted);
    }
    let trained = (&network, engine.as_ref());
    let bytes = finish::base(trained, &sampled, RIDGE, &config, &normalization, &description)?;
    let base = Base::new(&out, &bytes)?;
    write_atomically(&out, &export::with_error(base.bytes(), &error(&base, &signals))?)
}

/// Whether the base that is there is the one that is asked for.
fn stands(folder: &RunFolder, config: &RunConfig<ShareConfig>, out: &Path, quiet: bool) -> Result<()> {
    let text = std::fs::read_to_string(folder.config()).unwrap_or_default();
    if RunConfig::from_toml(&text).is_ok_and(|found| same(&found, config)) {
        if !quiet {
            eprintln!("{} is there already", out.display());
        }
        return Ok(());
    }
    Err(Error::Config {
        field: "--share".into(),
        message: format!(
            "found `{}` of other settings, expected none: `--base` takes it as it is, `--force` replaces it",
            out.display()
        ),
    })
}

/// A training with these settings on these signals that has not come to its end.
fn interrupted(folder: &RunFolder, config: &RunConfig<ShareConfig>, hash: u64) -> Option<Checkpoint<ShareConfig>> {
    let found = Checkpoint::<ShareConfig>::read(&folder.checkpoint()).ok()?;
    (same(&found.config, config) && found.signal_hash == hash).then_some(found)
}

/// Whether two records are of one training; the folder may have moved.
fn same(a: &RunConfig<ShareConfig>, b: &RunConfig<ShareConfig>) -> bool {
    let mut moved = a.clone();
    moved.signal.folder.clone_from(&b.signal.folder);
    moved == *b
}

/// What the command line says about the signals.
fn own(request: &many::Request, components: usize, modulation: Modulation) -> Table {
    let list = |names: &[String]| names.iter().cloned().map(Value::String).collect::<Vec<_>>();
    let signal = ShareConfig {
        folder: request.folder.canonicalize().unwrap_or_else(|_| request.folder.clone()),
        components,
        modulation,
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut signal = Table::try_from(signal).expect("plain values");
    signal.insert("inputs".into(), list(&request.options.inputs).into());
    signal.insert("outputs".into(), list(&request.options.outputs).into());
    Table::from_iter([("signal".to_owned(), signal.into())])
}

/// The signals of the folder with the inputs and outputs that most of them have, and enough samples; the others will be
/// failed rows.
fn alike(request: &many::Request, components: usize, interrupt: &AtomicBool) -> Result<Vec<Signal>> {
    let list = many::list(&request.folder)?;
    let stop = || interrupt.load(Ordering::Relaxed);
    let loaded = jobs::parallel(&list, jobs::cores(), &stop, &|job| signal::load(&job.path, &request.options));
    if stop() {
        return Err(Error::ComparisonInterrupted);
    }
    let mut kinds: BTreeMap<String, Vec<Signal>> = BTreeMap::new();
    let mut failure = None;
    for signal in loaded.into_iter().flatten() {
        match signal {
            Ok(signal) => {
                let what = format!("{} {};{}", signal.kind, labels(&signal.inputs), labels(&signal.outputs));
                kinds.entry(what).or_default().push(signal);
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let Some(mut most) = kinds.into_values().max_by_key(Vec::len) else {
        return Err(failure.unwrap_or_else(|| Error::Training("no signals".into())));
    };
    let largest = most.iter().map(|s| s.values.len()).max().unwrap_or(0);
    let field = "--share";
    let range = format!("1 to {largest}, the values of the longest signal");
    check((1..=largest).contains(&components), field, components.to_string(), &range)?;
    most.retain(|s| s.values.len() >= components);
    check(most.len() > 1, field, "a single signal".into(), "two or more that have the same inputs and outputs")?;
    Ok(most)
}

/// What all of them are: a signal without samples over the union of their ranges.
fn common(signals: &[Signal]) -> Signal {
    let mut all = Signal { values: Vec::new(), name: String::new(), ..signals[0].clone() };
    let widen = |to: &mut Vec<Quantity>, with: &[Quantity]| {
        for (to, with) in to.iter_mut().zip(with) {
            (to.lo, to.hi) = (to.lo.min(with.lo), to.hi.max(with.hi));
        }
    };
    for signal in signals {
        widen(&mut all.inputs, &signal.inputs);
        widen(&mut all.outputs, &signal.outputs);
    }
    all
}

/// Errors over all signals that training saw, for the file.
fn error(base: &Base, signals: &[Signal]) -> String {
    let each = jobs::parallel(signals, jobs::cores(), &|| false, &|signal| modulated(base, signal).1);
    let each: Vec<Metrics> = each.into_iter().flatten().collect();
    let outputs = each.first().map_or(0, |m| m.outputs.len());
    let join = |of: &dyn Fn(usize) -> f64| (0..outputs).map(|o| format!("{:.4e}", of(o))).collect::<Vec<_>>().join("|");
    let rmse = |o: usize| (each.iter().map(|m| m.outputs[o].rmse.powi(2)).sum::<f64>() / each.len() as f64).sqrt();
    let max = |o: usize| each.iter().map(|m| m.outputs[o].max).fold(0.0, f64::max);
    format!("signals={};rmse={};max={}", each.len(), join(&rmse), join(&max))
}
