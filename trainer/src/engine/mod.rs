//! How a network is computed: values, gradients pulled back to what is trained, and Adam's step, on one device.

mod activation;
mod adam;
mod candle;
#[cfg(test)]
mod contract;
mod device;
mod fused;

pub use candle::CandleEngine;
pub use device::{DeviceChoice, device};
pub use fused::{FusedEngine, peak};

use candle_core::Device;

use crate::{
    error::{Error, Result},
    network::{DenseNetwork, Network, Parameter},
};

/// Which engine computes a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EngineChoice {
    /// The fastest for the device
    #[default]
    Auto,
    /// Hand-written passes on the CPU
    Fused,
    /// candle's autograd, on any device
    Candle,
}

/// The engine of `choice` for `network` with these trained numbers on `device`.
///
/// # Errors
/// [`Error::Config`] when the engine does not run on the device, and those of the engine.
pub fn engine(
    choice: EngineChoice,
    network: &Network,
    parameters: &[Parameter],
    device: &Device,
) -> Result<Box<dyn Engine>> {
    match (choice, device.is_cpu()) {
        (EngineChoice::Auto | EngineChoice::Fused, true) => Ok(Box::new(FusedEngine::new(network, parameters)?)),
        (EngineChoice::Fused, false) => Err(Error::Config {
            field: "--engine".into(),
            message: "found fused on a GPU, expected `--device cpu` with it, or `--engine candle`".into(),
        }),
        (EngineChoice::Candle, _) | (EngineChoice::Auto, false) => {
            Ok(Box::new(CandleEngine::new(network, parameters, device)?))
        }
    }
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Mean over points and outputs of the squared error of normalised values.
    MeanSquaredError,
}

/// Which of the loaded samples a step looks at.
#[derive(Debug, Clone, Copy)]
pub enum Batch<'a> {
    /// All.
    Full,
    /// These.
    Indices(&'a [u32]),
}

/// One step of Adam (Kingma and Ba 2015), with decoupled decay where `weight_decay` is not 0 (Loshchilov and
/// Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of the parameters taken away, times the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient.
    pub clip: Option<f64>,
    /// Number of this step, from 1.
    pub step: u64,
}

/// What a step saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Loss before the step.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
}

/// A network on a device with its samples, trained numbers and moments.
pub trait Engine {
    /// What it is, for people.
    fn name(&self) -> &'static str;

    /// Takes the training samples, `x` `[n, inputs]` and `y` `[n, outputs]`, both normalised.
    ///
    /// # Errors
    /// Those of the device.
    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()>;

    /// Loss and its gradient with respect to every trained tensor, in the order of [`Engine::parameters`].
    ///
    /// # Errors
    /// Those of the device.
    fn loss_and_gradients(&mut self, batch: Batch<'_>, loss: Loss) -> Result<(f64, Vec<Parameter>)>;

    /// One optimizer step.
    ///
    /// # Errors
    /// Those of the device.
    fn step(&mut self, batch: Batch<'_>, loss: Loss, adam: &AdamStep) -> Result<StepReport>;

    /// Normalised values at normalised points, `[n, inputs] -> [n, outputs]`, by the code that trains.
    ///
    /// # Errors
    /// Those of the device.
    fn forward(&self, x: &[f32]) -> Result<Vec<f32>>;

    /// The trained tensors.
    ///
    /// # Errors
    /// Those of the device.
    fn parameters(&self) -> Result<Vec<Parameter>>;

    /// Replaces the trained tensors, all of them, found by name.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()>;

    /// Adam's moments, first and second, `adam.NAME` `[2, n]`.
    ///
    /// # Errors
    /// Those of the device.
    fn moments(&self) -> Result<Vec<Parameter>>;

    /// Replaces the moments.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()>;

    /// The dense layers that [`Engine::forward`] evaluates, value for value.
    ///
    /// # Errors
    /// Those of the device.
    fn dense(&self) -> Result<DenseNetwork>;
}
