//! One short training of a candidate.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{Candidate, Goal, until};
use crate::{
    config::{self, RunConfig},
    cost::Cost,
    engine::{Device, EngineChoice, engine},
    error::{Error, Result},
    evaluate,
    network::{Network, Parameter},
    quantize,
    signal::Signal,
    task::{
        fit::{Blind, Fit},
        observed::{Observed, start},
    },
    train::{self, Progress, Stop},
};

/// What is searched for, and the configuration under every candidate's own.
#[derive(Debug)]
pub struct Study<'a> {
    /// The signal.
    pub signal: &'a Signal,
    /// Defaults, config file, command line.
    pub layers: &'a [Table],
    /// What is made small.
    pub goal: Goal,
}

/// What a trial came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The candidate.
    pub candidate: Candidate,
    /// Which round it was tried in.
    pub rung: usize,
    /// Steps it was given.
    pub steps: u64,
    /// Seconds it took, of one thread.
    pub seconds: f64,
    /// The goal's error, infinite for a network that broke.
    #[serde(with = "infinite")]
    pub error: f64,
    /// Bytes of flash.
    pub flash: usize,
    /// Bytes of memory.
    pub ram: usize,
    /// Multiply-adds.
    pub macs: usize,
}

/// JSON knows no infinity.
mod infinite {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { to.serialize_some(value) } else { to.serialize_none() }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}

impl Study<'_> {
    /// The run of a candidate.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that cannot be.
    pub fn config(&self, candidate: &Candidate, steps: u64, evaluate_every: u64) -> Result<RunConfig> {
        let network = Value::try_from(&candidate.network).map_err(|e| Error::Training(e.to_string()))?;
        let mut training = Table::new();
        let whole = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
        training.insert("steps".into(), whole(steps));
        training.insert("evaluate_every".into(), whole(evaluate_every.max(1)));
        training.insert("learning_rate".into(), candidate.learning_rate.into());
        let mut layer = Table::from_iter([("network".to_owned(), network), ("training".to_owned(), training.into())]);
        if let quantize::Weights::Float(precision) = candidate.weights()? {
            layer.insert("export".into(), Table::from_iter([("precision".to_owned(), precision.name().into())]).into());
        }
        config::resolve(self.layers.iter().cloned().chain([layer]))
    }

    /// Trains for `steps`, or until `limit` is over, and measures the file the runtime would get, which comes along, empty of
    /// a network that broke; none when interrupted.
    ///
    /// # Errors
    /// Those of the engine. A network that diverges or overflows is no error but a bad candidate.
    pub fn run(
        &self,
        candidate: &Candidate,
        (rung, steps): (usize, u64),
        limit: Duration,
        interrupt: &AtomicBool,
    ) -> Result<Option<(Outcome, Vec<u8>)>> {
        let started = Instant::now();
        let config = self.config(candidate, steps, steps.div_ceil(20))?;
        let mut task = Fit::new(self.signal.clone(), &config)?;
        let normalization = task.subject().normalization.clone();
        let (network, parameters) = start(&config, &normalization)?;
        let mut engine = engine(EngineChoice::Auto, &network, &parameters, &Device::Cpu)?;
        task.prepare(engine.as_mut())?;
        let outcome = until(limit, interrupt, |stop| {
            train::fit(engine.as_mut(), &config.training, 0, &mut Blind(&mut task), stop, &mut Progress::Quiet)
        })?;
        // Either the time is over, which leaves what there is, or somebody does not want it.
        if outcome.stop == Stop::Interrupted && interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let broken = || Outcome {
            candidate: candidate.clone(),
            rung,
            steps,
            seconds: started.elapsed().as_secs_f64(),
            error: f64::INFINITY,
            flash: 0,
            ram: 0,
            macs: 0,
        };
        let Ok((error, cost, file)) = self.measure(&task, candidate, &network, &engine.parameters()?) else {
            return Ok(Some((broken(), Vec::new())));
        };
        Ok(Some((Outcome { error, flash: cost.flash, ram: cost.ram, macs: cost.macs, ..broken() }, file)))
    }

    fn measure(
        &self,
        task: &Fit,
        candidate: &Candidate,
        network: &Network,
        trained: &[Parameter],
    ) -> Result<(f64, Cost, Vec<u8>)> {
        let subject = task.subject();
        let points =
            quantize::calibration(&subject.description, self.signal.inputs.len(), task.calibration().as_deref());
        let file = candidate.file((network, trained), &subject.normalization, &subject.description, &points)?;
        let model = evaluate::open(&file).map_err(|e| Error::Training(e.to_string()))?;
        let cost = Cost::of(&file).map_err(Error::Training)?;
        let error = self.goal.error(&task.quick(model.as_ref()));
        drop(model);
        Ok((error, cost, file))
    }

    /// Seconds of a training step of one thread.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn pace(&self, candidate: &Candidate) -> Result<f64> {
        let config = self.config(candidate, 1 << 20, 1 << 20)?;
        let mut task = Fit::new(self.signal.clone(), &config)?;
        let (network, parameters) = start(&config, &task.subject().normalization.clone())?;
        let mut engine = engine(EngineChoice::Auto, &network, &parameters, &Device::Cpu)?;
        task.prepare(engine.as_mut())?;
        let mut times = Vec::new();
        let begun = Instant::now();
        // The first step makes rooms and is left out.
        for step in 1..=40 {
            let now = Instant::now();
            task.gather(engine.as_mut(), step)?;
            engine.take_gradients()?;
            if step > 1 {
                times.push(now.elapsed().as_secs_f64());
            }
            if step > 3 && begun.elapsed() > Duration::from_millis(150) {
                break;
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}
