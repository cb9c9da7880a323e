//! The one loop.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Batches, Progress};
use crate::{
    config::{Optimizer, TrainingConfig},
    engine::{AdamStep, Batch, Engine, Loss},
    error::Result,
    network::Parameter,
};

/// Share of a new loss in the smoothed one.
const SMOOTHING: f64 = 0.05;
/// A smoothed loss this many times the first one, or the best so far when that was worse, has diverged.
const DIVERGED: f64 = 1e3;

/// What the loop asks of whoever knows the signal.
pub trait Monitor {
    /// Measures the network after `step` and keeps what must outlive a kill.
    ///
    /// # Errors
    /// Whatever stops it from measuring or writing; training ends with it.
    fn evaluate(&mut self, engine: &dyn Engine, at: Evaluation) -> Result<Measured>;
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
    /// PSNR in dB over the samples measured.
    pub psnr: f64,
    /// Whether the whole signal is fitted well enough to end.
    pub target_reached: bool,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stop {
    /// All steps are done.
    Steps,
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

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Step the engine stands at.
    pub step: u64,
    /// Why it ended.
    pub stop: Stop,
}

/// Trains from the end of step `from` to the end of the plan, a target, an interrupt or divergence. The engine
/// must hold the samples and stand at step `from`.
///
/// # Errors
/// Those of the engine and the monitor.
pub fn fit(
    engine: &mut dyn Engine,
    plan: &TrainingConfig,
    batches: &mut Batches,
    from: u64,
    monitor: &mut dyn Monitor,
    interrupt: &AtomicBool,
    progress: &mut Progress,
) -> Result<Outcome> {
    let mut good = Snapshot::take(engine, from)?;
    let mut smooth: Option<f64> = None;
    let mut reference = f64::NAN;
    let mut psnr = None;
    let mut step = from;
    while step < plan.steps {
        let learning_rate = plan.learning_rate * plan.schedule.factor(step + 1, plan.steps);
        let adam = adam(plan, learning_rate, step + 1);
        let batch = batches.indices(step + 1).map_or(Batch::Full, Batch::Indices);
        let report = engine.step(batch, Loss::MeanSquaredError, &adam)?;
        step += 1;

        let loss = report.loss;
        let smoothed = smooth.map_or(loss, |s| s + SMOOTHING * (loss - s));
        smooth = Some(smoothed);
        reference = if reference.is_nan() { loss } else { reference };
        if !loss.is_finite() || smoothed > DIVERGED * reference {
            good.restore(engine)?;
            progress.finish();
            return Ok(Outcome { step: good.step, stop: Stop::Diverged { at: step, loss } });
        }
        progress.update(step, smoothed, psnr);

        let stopping = interrupt.load(Ordering::Relaxed);
        if stopping || step.is_multiple_of(plan.evaluate_every) || step == plan.steps {
            let at = Evaluation { step, learning_rate, loss, gradient_norm: report.gradient_norm };
            let measured = monitor.evaluate(engine, at)?;
            psnr = Some(measured.psnr);
            // The loss is that of the parameters before the last update, so a broken update shows here first.
            if !measured.psnr.is_nan() {
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
