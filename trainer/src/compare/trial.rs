//! One training of a comparison, and what it came to.

use std::{sync::atomic::AtomicBool, time::Instant};

use serde::{Deserialize, Serialize};

use super::{Problem, Scale};
use crate::{
    config::TrainingConfig,
    diagnose::{factors::weight_change, tangent},
    engine::{Device, Engine, EngineChoice, engine_of},
    error::{Error, Result},
    network::{DenseNetwork, NetworkConfig},
    rng::Rng,
    train::{self, Evaluation, Measured, Objective, Progress, Score, Stop},
};

/// What is trained, on what, from which seed: all that decides the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Which row of a table it belongs to: architecture and mapping, or a setting that is swept.
    pub row: String,
    /// Which data.
    pub problem: String,
    /// Learning rate relative to the row's own.
    pub rate_factor: f64,
    /// The network, parameterization and all.
    pub network: NetworkConfig,
    /// How it is trained; its seed is that of the initial weights too.
    pub training: TrainingConfig,
    /// What is kept beside the error.
    pub observe: Observe,
}

/// What is kept beside the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observe {
    /// Spectra of the tangent kernel before and after.
    pub kernel: bool,
    /// Values at the test points at the end.
    pub output: bool,
}

impl Trial {
    /// Short name of the parameterization.
    pub fn method(&self) -> &'static str {
        self.network.parameterization.name()
    }

    /// A name that no other trial has: what it is in words, and a hash of all that decides its result.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).expect("plain values");
        let hash =
            text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let words = format!("{}-{}-{}-x{}", self.row, self.problem, self.method(), self.rate_factor);
        let plain: String =
            words.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        format!("{plain}-seed{}-{hash:016x}", self.training.seed)
    }
}

/// The error along a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurveRow {
    /// Steps done.
    pub step: u64,
    /// The problem's error.
    pub error: f64,
    /// |W - W0|/|W0| of the dense weights.
    pub change: f64,
}

/// Eigenvalues of the tangent kernel, largest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spectra {
    /// In dense weights, before training.
    pub dense_start: Vec<f64>,
    /// In dense weights, after.
    pub dense_end: Vec<f64>,
    /// In what is trained, before.
    pub trained_start: Vec<f64>,
    /// In what is trained, after.
    pub trained_end: Vec<f64>,
}

/// What a trial came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The trial.
    pub trial: Trial,
    /// Engine and device it ran on.
    pub engine: String,
    /// The problem's error at the end: the median of the last [`LAST`] measurements, for at a constant
    /// rate Adam's error jumps from one step to the next. Of the last good ones if it diverged.
    pub error: f64,
    /// What the error is.
    pub scale: Scale,
    /// Step at which it diverged, if it did.
    pub diverged: Option<u64>,
    /// Milliseconds a step, measurements left out.
    pub step_ms: f64,
    /// The error along the training.
    pub curve: Vec<CurveRow>,
    /// Spectra, where they were asked for.
    pub kernel: Option<Spectra>,
    /// Values at the test points, where they were asked for.
    pub output: Option<Vec<f32>>,
}

impl Record {
    /// The number that is compared.
    pub fn score(&self) -> f64 {
        self.scale.score(self.error)
    }
}

impl Trial {
    /// Trains with the engine of `choice` on a device told as its name; `None` when interrupted.
    ///
    /// # Errors
    /// Those of the network and the engine.
    pub fn run(
        &self,
        problem: &mut dyn Problem,
        choice: EngineChoice,
        (device, device_name): (&Device, &str),
        interrupt: &AtomicBool,
        on_measured: &dyn Fn(u64),
    ) -> Result<Option<Record>> {
        let mut rng = Rng::new(self.training.seed).stream("network");
        let scale = problem.scale();
        let (networks, start) = problem.networks(self, &mut rng)?;
        let mut engine = engine_of(choice, &networks, &start, device)?;
        problem.prepare(engine.as_mut(), &self.training)?;
        let mut watch =
            Watch { problem, start: engine.dense()?, curve: Vec::new(), output: Vec::new(), seconds: 0.0, on_measured };
        watch.measure(engine.as_ref(), 0)?;
        let (clock, before) = (Instant::now(), watch.seconds);
        let quiet = &mut Progress::Quiet;
        let outcome = train::fit(engine.as_mut(), &self.training, 0, &mut watch, interrupt, quiet)?;
        let seconds = clock.elapsed().as_secs_f64() - (watch.seconds - before);
        let diverged = match outcome.stop {
            Stop::Interrupted => return Ok(None),
            Stop::Diverged { at, .. } => Some(at),
            Stop::Steps | Stop::Target | Stop::Settled => None,
        };
        if diverged.is_some() {
            watch.measure(engine.as_ref(), outcome.step)?;
        }
        let error = median(&watch.curve[watch.curve.len().saturating_sub(LAST)..])
            .ok_or_else(|| Error::Training(format!("trial {}: no finite error from the start", self.id())))?;
        let kernel = self.observe.kernel.then(|| -> Result<Spectra> {
            let network = networks.clone().one("spectra")?;
            let points: Vec<f64> = watch.problem.points().iter().map(|&x| f64::from(x)).collect();
            let at = |parameters: &[_]| {
                let kernel = tangent::tangent_kernel(&network, parameters, &points);
                (tangent::spectrum(kernel.dense), tangent::spectrum(kernel.trained))
            };
            let ((dense_start, trained_start), (dense_end, trained_end)) = (at(&start), at(&engine.parameters()?));
            Ok(Spectra { dense_start, dense_end, trained_start, trained_end })
        });
        Ok(Some(Record {
            trial: self.clone(),
            engine: format!("{} on {device_name}", engine.name()),
            error,
            scale,
            diverged,
            step_ms: 1e3 * seconds / diverged.unwrap_or(outcome.step).max(1) as f64,
            curve: watch.curve,
            kernel: kernel.transpose()?,
            output: self.observe.output.then_some(watch.output),
        }))
    }
}

/// Measurements at the end of a training that its error is taken from.
pub const LAST: usize = 5;

fn median(rows: &[CurveRow]) -> Option<f64> {
    let mut errors: Vec<f64> = rows.iter().map(|r| r.error).collect();
    errors.sort_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied()
}

/// Measures with the code that trains.
struct Watch<'a> {
    problem: &'a mut dyn Problem,
    start: DenseNetwork,
    curve: Vec<CurveRow>,
    output: Vec<f32>,
    seconds: f64,
    on_measured: &'a dyn Fn(u64),
}

impl Watch<'_> {
    /// A row of the curve; an error that is not finite is told but leaves no row.
    fn measure(&mut self, engine: &dyn Engine, step: u64) -> Result<f64> {
        let clock = Instant::now();
        let (error, output) = self.problem.measure(engine)?;
        if error.is_finite() {
            let change = weight_change(&engine.dense()?, &self.start);
            self.curve.push(CurveRow { step, error, change });
            self.output = output;
        }
        self.seconds += clock.elapsed().as_secs_f64();
        Ok(error)
    }
}

impl Objective for Watch<'_> {
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.problem.gather(engine, step)
    }

    fn evaluate(&mut self, engine: &dyn Engine, at: Evaluation) -> Result<Measured> {
        let error = self.measure(engine, at.step)?;
        (self.on_measured)(at.step);
        // What is not finite is not a state to come back to.
        let score = if error.is_finite() { self.problem.scale().score(error) } else { f64::NAN };
        Ok(Measured { score: Score::new("score", score), target_reached: false })
    }
}
