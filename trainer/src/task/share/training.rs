//! Trains the basis: every step looks at some signals, at some samples of each; the last ones, of L-BFGS, at the same.

use std::path::Path;

use rwf_runtime::format::Activation;

use super::{Sampled, config::ShareConfig};
use crate::{
    config::{RunConfig, SignalRecord},
    engine::{Engine, StepReport},
    error::Result,
    export::Description,
    fold::Normalization,
    observation::Projection,
    rng::Rng,
    train::{Checkpoint, Evaluation, Measured, Objective, RunFolder, Score, run_folder::MetricsLog},
};

/// What keeps coefficients of order 1, beside a mean squared error of values of order 1.
pub(super) const RIDGE: f64 = 1e-7;
/// Samples of a signal in a step, as a share of the batch, unless it has fewer.
const SHARE: usize = 16;
/// Samples of a signal in a step for each of its numbers, at least.
const LEAST: usize = 8;

/// Batches that steps of L-BFGS look at together.
const SETTLING: usize = 8;

/// Columns of `metrics.csv`.
pub(super) const COLUMNS: [&str; 3] = ["learning_rate", "loss", "gradient_norm"];

/// What is trained on, and where that is kept.
pub(super) struct Training<'a> {
    pub(super) signals: &'a [Sampled],
    pub(super) config: &'a RunConfig<ShareConfig>,
    pub(super) normalization: &'a Normalization,
    pub(super) description: &'a Description,
    pub(super) hash: u64,
    pub(super) folder: &'a RunFolder,
    pub(super) log: MetricsLog,
    /// What L-BFGS looks at, once it does.
    pub(super) settling: Option<Drawn>,
}

/// Samples of some signals.
pub(super) struct Drawn {
    x: Vec<f32>,
    y: Vec<f32>,
    offsets: Vec<u32>,
}

impl Training<'_> {
    /// About `batch` samples for a step, 0: all; a function of seed and step.
    fn draw(&self, step: u64, batch: usize) -> Drawn {
        let (inputs, outputs) = (self.normalization.input_centre.len(), self.normalization.output_centre.len());
        let mut rng = Rng::new(self.config.training.seed).stream(&format!("share {step}"));
        let most = match batch {
            0 => usize::MAX,
            batch => (batch / SHARE).max(LEAST * self.config.signal.components),
        };
        let samples: usize = self.signals.iter().map(|s| (s.y.len() / outputs).min(most)).sum();
        let mean = samples.div_ceil(self.signals.len());
        let count = match batch {
            0 => self.signals.len(),
            batch => (batch / mean).clamp(1, self.signals.len()),
        };
        let (mut x, mut y, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        for n in 0..count {
            let signal = &self.signals[if count == self.signals.len() { n } else { rng.below(self.signals.len()) }];
            let all = signal.y.len() / outputs;
            if all <= most {
                x.extend_from_slice(&signal.x);
                y.extend_from_slice(&signal.y);
            } else {
                for _ in 0..most {
                    let i = rng.below(all);
                    x.extend_from_slice(&signal.x[i * inputs..(i + 1) * inputs]);
                    y.extend_from_slice(&signal.y[i * outputs..(i + 1) * outputs]);
                }
            }
            offsets.push((y.len() / outputs) as u32);
        }
        Drawn { x, y, offsets }
    }

    fn observe(&self, engine: &mut dyn Engine, of: &Drawn) -> Result<f64> {
        let projection = Projection {
            target: &of.y,
            offsets: &of.offsets,
            outputs: self.normalization.output_centre.len(),
            components: self.config.signal.components,
            ridge: RIDGE,
        };
        engine.observe(&of.x, &projection, 1.0)
    }

    fn checkpoint(&self, engine: &dyn Engine, step: u64, to: &Path) -> Result<()> {
        let checkpoint = Checkpoint {
            task: ShareConfig::TASK.into(),
            head: Activation::Identity,
            step,
            config: self.config.clone(),
            normalization: self.normalization.clone(),
            description: self.description.clone(),
            signal_hash: self.hash,
            parameters: engine.parameters()?,
            moments: engine.moments()?,
            state: Vec::new(),
        };
        checkpoint.write(to)
    }
}

impl Objective for Training<'_> {
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let drawn = self.draw(step, self.config.training.batch);
        self.observe(engine, &drawn)
    }

    fn settle(&mut self, engine: &mut dyn Engine, _step: u64) -> Result<Option<StepReport>> {
        // Engines without L-BFGS end where Adam does.
        let Ok(engine) = engine.jets(&[]) else { return Ok(None) };
        let drawn = self.settling.take().unwrap_or_else(|| self.draw(0, SETTLING * self.config.training.batch));
        let report = engine.descend(0, &mut [], &mut |engine, _| Ok((self.observe(engine, &drawn)?, Vec::new())));
        self.settling = Some(drawn);
        report
    }

    fn evaluate(&mut self, engine: &dyn Engine, at: Evaluation) -> Result<Measured> {
        // Values go from -1 to 1. What counts is measured at the end, with integers and by the runtime.
        let broken = engine.forward(&self.signals[0].x)?.iter().any(|v| !v.is_finite());
        let value = if broken { f64::NAN } else { -10.0 * (at.loss / 4.0).log10() };
        if !broken {
            self.log.push(at.step, vec![at.learning_rate, at.loss, at.gradient_norm])?;
            self.checkpoint(engine, at.step, &self.folder.checkpoint())?;
        }
        Ok(Measured { score: Score::psnr(value), target_reached: false })
    }
}
