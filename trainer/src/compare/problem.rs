//! What the trainings of a comparison are of.

use serde::{Deserialize, Serialize};

use super::Trial;
use crate::{
    config::TrainingConfig,
    engine::Engine,
    error::Result,
    network::{Network, Networks, Parameter},
    rng::Rng,
    train::Batches,
};

/// What a trial makes small and is measured by. One is made for every trial.
pub trait Problem {
    /// Numbers of coordinates and of values.
    fn sizes(&self) -> (usize, usize);

    /// The networks of `trial` and where they start; one coordinate network of [`Problem::sizes`] unless told otherwise.
    ///
    /// # Errors
    /// Networks that cannot be.
    fn networks(&self, trial: &Trial, rng: &mut Rng) -> Result<(Networks, Vec<Parameter>)> {
        let (inputs, outputs) = self.sizes();
        let (network, start) = Network::new(&trial.network, inputs, outputs, rng)?;
        Ok((Networks::One(Box::new(network)), start))
    }

    /// What its error is and how it is told.
    fn scale(&self) -> Scale;

    /// Before the first step, for what an engine keeps.
    ///
    /// # Errors
    /// Those of the engine.
    fn prepare(&mut self, engine: &mut dyn Engine, plan: &TrainingConfig) -> Result<()>;

    /// Gathers `step`, as [`Objective::gather`](crate::train::Objective::gather).
    ///
    /// # Errors
    /// Those of the engine.
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64>;

    /// Measures the network by the code that trains: its error, less is better, and the values behind it, for pictures.
    ///
    /// # Errors
    /// Those of the engine.
    fn measure(&mut self, engine: &dyn Engine) -> Result<(f64, Vec<f32>)>;

    /// Points of the tangent kernel, `[n, inputs]`.
    fn points(&self) -> &[f32] {
        &[]
    }
}

/// What an error is and how it is told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// A mean squared error, told as its logarithm to base 10.
    Logarithm,
    /// A mean squared error of values with a range of this width, told as PSNR in dB.
    Psnr {
        /// Largest less smallest value.
        range: f64,
    },
    /// One less the intersection over union, told as IoU in percent.
    Iou,
    /// A relative L2 error, told as its logarithm to base 10.
    Relative,
}

impl Scale {
    /// The number that is compared.
    pub fn score(self, error: f64) -> f64 {
        match self {
            Self::Logarithm | Self::Relative => error.log10(),
            Self::Psnr { range } => 10.0 * (range * range / error).log10(),
            Self::Iou => 100.0 * (1.0 - error),
        }
    }

    /// Whether a larger score is better.
    pub fn more_is_better(self) -> bool {
        !matches!(self, Self::Logarithm | Self::Relative)
    }

    /// What the scores are.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Logarithm => "log10 of the mean squared error",
            Self::Psnr { .. } => "PSNR [dB]",
            Self::Iou => "IoU [%]",
            Self::Relative => "log10 of the relative L2 error",
        }
    }
}

/// Values measured at points, in the network's units: trained and measured by the mean squared error.
#[derive(Debug)]
pub struct Sampled {
    /// Number of coordinates.
    pub inputs: usize,
    /// Number of values.
    pub outputs: usize,
    /// Points trained on, `[n, inputs]`.
    pub x: Vec<f32>,
    /// Values there, `[n, outputs]`.
    pub y: Vec<f32>,
    /// Points the error is measured at, `[m, inputs]`.
    pub test_x: Vec<f32>,
    /// Values there, `[m, outputs]`.
    pub test_y: Vec<f32>,
    /// Smallest and largest value there can be; what a network gives beyond is clipped. None: not clipped.
    pub range: Option<(f32, f32)>,
    /// Samples of each step, from [`Problem::prepare`] on.
    pub batches: Option<Batches>,
}

impl Problem for Sampled {
    fn sizes(&self) -> (usize, usize) {
        (self.inputs, self.outputs)
    }

    fn scale(&self) -> Scale {
        self.range.map_or(Scale::Logarithm, |(low, high)| Scale::Psnr { range: f64::from(high - low) })
    }

    fn prepare(&mut self, engine: &mut dyn Engine, plan: &TrainingConfig) -> Result<()> {
        self.batches = Some(Batches::new(plan.seed, self.x.len() / self.inputs, plan.batch));
        engine.load(&self.x, &self.y)
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.batches.as_mut().expect("prepared").gather(engine, step)
    }

    fn measure(&mut self, engine: &dyn Engine) -> Result<(f64, Vec<f32>)> {
        let mut output = engine.forward(&self.test_x)?;
        if let Some((low, high)) = self.range {
            // A NaN stays one.
            output.iter_mut().for_each(|v| *v = if v.is_nan() { *v } else { v.clamp(low, high) });
        }
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let error = output.iter().zip(&self.test_y).map(square).sum::<f64>() / output.len() as f64;
        Ok((error, output))
    }

    fn points(&self) -> &[f32] {
        &self.x
    }
}
