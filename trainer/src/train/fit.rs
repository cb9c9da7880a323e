//! The one loop.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Batches, Progress, Score};
use crate::{
    config::{Optimizer, TrainingConfig},
    engine::{AdamStep, Batch, Engine, Loss, StepReport},
    error::{Error, Result},
    network::Parameter,
};

/// Share of a new loss in the smoothed one.
const SMOOTHING: f64 = 0.05;
/// A smoothed loss this many times the first one, or the best so far when that was worse, has diverged.
const DIVERGED: f64 = 1e3;

/// What the loop asks of whoever knows the signal.
pub trait Objective {
    /// Adds the gradients of `step` (from 1) to what `engine` gathers, by any of its `observe` methods, and gives the
    /// loss. A function of seed and step alone, so that a resumed run sees what the uninterrupted one saw.
    ///
    /// # Errors
    /// Those of the engine; training ends with them.
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64>;

    /// The batches of loaded samples whose loss is all that [`Objective::gather`] gathers, where that is so: an engine
    /// may then take many steps at once.
    fn loaded(&mut self) -> Option<(&mut Batches, Loss)> {
        None
    }

    /// `step` (from 1, those of Adam too) as one of L-BFGS on a loss that stays the same for many of them, where the plan
    /// has such steps; nothing where there is no lower place. A function of seed and step alone, as [`Objective::gather`].
    ///
    /// # Errors
    /// Those of the engine, and [`Error::Config`] where there is no such loss.
    fn settle(&mut self, _engine: &mut dyn Engine, _step: u64) -> Result<Option<StepReport>> {
        Err(no_lbfgs())
    }

    /// Measures the network after `step` and keeps what must outlive a kill.
    ///
    /// # Errors
    /// Whatever stops it from measuring or writing; training ends with it.
    fn evaluate(&mut self, engine: &dyn Engine, at: Evaluation) -> Result<Measured>;
}

/// What is told where a plan has steps of L-BFGS on a loss that changes from step to step.
pub fn no_lbfgs() -> Error {
    let message = "found some, expected 0: only `rwf pde` has a loss that stays the same from step to step";
    Error::Config { field: "training.lbfgs".into(), message: message.into() }
}

/// Where the loop stands when it asks for a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// Steps done.
    pub step: u64,
    /// Learning rate of the last one.
    pub learning_rate: f64,
    /// Its loss.
    pub loss: f64,
    /// Its gradient norm, before clipping.
    pub gradient_norm: f64,
}

/// What came out of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// How good it is, more is better; a NaN is what a broken network looks like.
    pub score: Score,
    /// Whether the whole signal is fitted well enough to end.
    pub target_reached: bool,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stop {
    /// All steps are done.
    Steps,
    /// L-BFGS finds nothing lower that f32 can tell.
    Settled,
    /// The target is reached.
    Target,
    /// Someone pressed Ctrl-C.
    Interrupted,
    /// The loss is not finite or far above where it began; the engine is back at the last good measurement.
    Diverged {
        /// Step at which it was seen.
        at: u64,
        /// Loss there.
        loss: f64,
    },
}

impl Stop {
    /// Whether training came to an end, rather than being interrupted.
    ///
    /// # Errors
    /// [`Error::Training`] where it diverged.
    pub fn ended(self) -> Result<bool> {
        match self {
            Self::Steps | Self::Settled | Self::Target => Ok(true),
            Self::Interrupted => Ok(false),
            Self::Diverged { at, loss } => {
                let message = format!("training diverged at step {at} (loss {loss:.3e}); try a smaller --lr");
                Err(Error::Training(message))
            }
        }
    }
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Step the engine stands at.
    pub step: u64,
    /// Why it ended.
    pub stop: Stop,
}

impl Batches {
    /// Gathers the squared error of the loaded samples that `step` looks at.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let batch = self.indices(step).map_or(Batch::Full, Batch::Indices);
        engine.observe_batch(batch, Loss::MeanSquaredError, 1.0)
    }
}

/// Trains from the end of step `from` to the end of the plan, a target, an interrupt or divergence. The engine
/// must stand at step `from`.
///
/// # Errors
/// Those of the engine and the objective.
pub fn fit(
    engine: &mut dyn Engine,
    plan: &TrainingConfig,
    from: u64,
    objective: &mut dyn Objective,
    interrupt: &AtomicBool,
    progress: &mut Progress,
) -> Result<Outcome> {
    let mut good = Snapshot::take(engine, from)?;
    let mut smooth: Option<f64> = None;
    let mut reference = f64::NAN;
    let mut score = None;
    let mut step = from;
    let all = plan.all_steps();
    // Steps the engine has done already.
    let mut done = VecDeque::new();
    while step < all {
        let adam_goes_on = step < plan.steps;
        // L-BFGS finds its own length of a step.
        let learning_rate = if adam_goes_on { rate(plan, step + 1) } else { 0.0 };
        if adam_goes_on && done.is_empty() {
            done.extend(together(engine, plan, step, objective)?);
        }
        let report = if let Some(report) = done.pop_front() {
            Some(report)
        } else if adam_goes_on {
            let loss = objective.gather(engine, step + 1)?;
            Some(StepReport { loss, gradient_norm: engine.update(&adam(plan, learning_rate, step + 1))? })
        } else {
            objective.settle(engine, step + 1)?
        };
        let Some(StepReport { loss, gradient_norm }) = report else {
            progress.finish();
            return Ok(Outcome { step, stop: Stop::Settled });
        };
        step += 1;

        let smoothed = smooth.map_or(loss, |s| s + SMOOTHING * (loss - s));
        smooth = Some(smoothed);
        reference = if reference.is_nan() { loss } else { reference };
        if !loss.is_finite() || smoothed > DIVERGED * reference {
            good.restore(engine)?;
            progress.finish();
            return Ok(Outcome { step: good.step, stop: Stop::Diverged { at: step, loss } });
        }
        progress.update(step, smoothed, score);

        // The engine stands where its last step is.
        let stopping = done.is_empty() && interrupt.load(Ordering::Relaxed);
        if stopping || step.is_multiple_of(plan.evaluate_every) || step == plan.steps || step == all {
            let at = Evaluation { step, learning_rate, loss, gradient_norm };
            let measured = objective.evaluate(engine, at)?;
            score = Some(measured.score);
            // The loss is that of the parameters before the last update, so a broken update shows here first.
            if !measured.score.value.is_nan() {
                good = Snapshot::take(engine, step)?;
            }
            if measured.target_reached || stopping {
                progress.finish();
                let stop = if measured.target_reached { Stop::Target } else { Stop::Interrupted };
                return Ok(Outcome { step, stop });
            }
        }
    }
    progress.finish();
    Ok(Outcome { step, stop: Stop::Steps })
}

/// The learning rate of `step`, from 1.
fn rate(plan: &TrainingConfig, step: u64) -> f64 {
    plan.learning_rate * plan.schedule.factor(step, plan.steps)
}

/// The steps behind `step` that the engine takes at once, up to the next measurement; none where it takes one at a time.
fn together(
    engine: &mut dyn Engine,
    plan: &TrainingConfig,
    step: u64,
    objective: &mut dyn Objective,
) -> Result<Vec<StepReport>> {
    let to_measurement = plan.evaluate_every - step % plan.evaluate_every;
    let count = (engine.steps_together() as u64).min(to_measurement).min(plan.steps - step);
    let Some((batches, loss)) = objective.loaded().filter(|_| count > 1) else { return Ok(Vec::new()) };
    let steps = step + 1..=step + count;
    let indices: Vec<Option<Vec<u32>>> = steps.clone().map(|s| batches.indices(s).map(<[u32]>::to_vec)).collect();
    let batches: Vec<Batch<'_>> = indices.iter().map(|i| i.as_deref().map_or(Batch::Full, Batch::Indices)).collect();
    let adam: Vec<AdamStep> = steps.map(|s| adam(plan, rate(plan, s), s)).collect();
    engine.steps(&batches, loss, &adam)
}

fn adam(plan: &TrainingConfig, learning_rate: f64, step: u64) -> AdamStep {
    AdamStep {
        learning_rate,
        beta1: plan.beta1,
        beta2: plan.beta2,
        epsilon: plan.epsilon,
        weight_decay: match plan.optimizer {
            Optimizer::Adam => 0.0,
            Optimizer::AdamW => plan.weight_decay,
        },
        clip: plan.clip,
        step,
    }
}

/// Parameters and moments at the end of a step.
struct Snapshot {
    step: u64,
    parameters: Vec<Parameter>,
    moments: Vec<Parameter>,
}

impl Snapshot {
    fn take(engine: &dyn Engine, step: u64) -> Result<Self> {
        Ok(Self { step, parameters: engine.parameters()?, moments: engine.moments()? })
    }

    fn restore(&self, engine: &mut dyn Engine) -> Result<()> {
        engine.set_parameters(&self.parameters)?;
        engine.set_moments(&self.moments)
    }
}
