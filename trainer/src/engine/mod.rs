//! How a network is computed: values, gradients pulled back to what is trained, and Adam's step, on one device.

mod activation;
mod adam;
mod candle;
#[cfg(test)]
mod contract;
mod cuda;
mod deeponet;
mod descent;
mod device;
mod fallback;
mod fused;
mod jet;
mod layout;
mod lbfgs;
mod matmul;
mod observation;

pub use candle::CandleEngine;
pub use cuda::{CudaEngine, cuda, has_cuda_driver};
pub use deeponet::{DeepOnetEngine, OperatorLook, OperatorObservation, Pairs};
pub use device::{Device, DeviceChoice, device};
pub use fused::{FusedEngine, peak};
pub use jet::{Combination, Gather, JetEngine, JetObservation, MAX_ORDER, Plan, Wanted};
pub use matmul::MatmulPrecision;
pub use observation::{Observation, Samples};

use crate::{
    error::{Error, Result},
    network::{DenseNetwork, DenseSpec, Network, Networks, Parameter},
};

/// Which engine computes a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EngineChoice {
    /// The fastest for the device
    #[default]
    Auto,
    /// Hand-written passes on the CPU
    Fused,
    /// Hand-written kernels on a CUDA GPU
    Cuda,
    /// candle's autograd, on any device
    Candle,
}

/// The engine of `choice` for `network` with these trained numbers on `device`.
///
/// On a GPU that nobody insists on, what fails there goes on on the CPU, which is said once.
///
/// # Errors
/// [`Error::Config`] when the engine does not run on the device, and those of the engine.
pub fn engine(
    choice: EngineChoice,
    network: &Network,
    parameters: &[Parameter],
    device: &Device,
) -> Result<Box<dyn Engine>> {
    let wrong = |message: &str| Err(Error::Config { field: "--engine".into(), message: message.into() });
    if let (EngineChoice::Candle, Device::Cuda { matmul, .. }) = (choice, *device)
        && matmul != MatmulPrecision::F32
    {
        return Err(Error::Config {
            field: "--matmul-precision".into(),
            message: format!("found {} with --engine candle, expected `--engine cuda`", matmul.name()),
        });
    }
    match (choice, *device) {
        (EngineChoice::Candle, device) => Ok(Box::new(CandleEngine::new(network, parameters, &device.candle()?)?)),
        (EngineChoice::Auto | EngineChoice::Fused, Device::Cpu)
        | (EngineChoice::Fused, Device::Cuda { or_cpu: true, .. }) => {
            Ok(Box::new(FusedEngine::new(network, parameters)?))
        }
        (EngineChoice::Fused, Device::Cuda { .. }) => {
            wrong("found fused on a GPU, expected `--device cpu` with it, or `--engine cuda`")
        }
        (EngineChoice::Cuda, Device::Cpu) => {
            wrong("found cuda on the CPU, expected a GPU: `--device cuda` says what is missing for one")
        }
        (EngineChoice::Auto, Device::Cuda { ordinal, or_cpu: true, matmul }) => {
            fallback::engine(network, parameters, matmul, || CudaEngine::new(network, parameters, ordinal, matmul))
        }
        (EngineChoice::Auto | EngineChoice::Cuda, Device::Cuda { ordinal, matmul, .. }) => {
            Ok(Box::new(CudaEngine::new(network, parameters, ordinal, matmul)?))
        }
    }
}

/// [`engine`] for whatever a run trains.
///
/// # Errors
/// As [`engine`]; an operator is computed by the fused engine alone.
pub fn engine_of(
    choice: EngineChoice,
    networks: &Networks,
    parameters: &[Parameter],
    device: &Device,
) -> Result<Box<dyn Engine>> {
    match networks {
        Networks::One(network) => engine(choice, network, parameters, device),
        Networks::Operator(deeponet)
            if matches!(choice, EngineChoice::Auto | EngineChoice::Fused) && device.may_be_cpu() =>
        {
            Ok(Box::new(DeepOnetEngine::new(deeponet, parameters)?))
        }
        Networks::Operator(_) => Err(Error::Config {
            field: "--engine".into(),
            message: format!("found {choice:?}, expected auto or fused with `--device cpu`: operators are its alone"),
        }),
    }
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Mean over points and outputs of the squared error of normalised values.
    MeanSquaredError,
    /// Mean over points and outputs of the binary cross-entropy: values are logits of what lies between 0 and 1.
    BinaryCrossEntropy,
}

/// d loss / d one dense layer, in the order and layout of [`HostDense`](crate::network::HostDense).
#[derive(Debug, Clone, PartialEq)]
pub struct DenseGradient {
    /// With respect to weights `[in, out]`.
    pub kernel: Vec<f32>,
    /// With respect to biases `[out]`.
    pub bias: Vec<f32>,
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

/// Whether `points` points are whole groups of `observation`.
fn whole_groups(observation: &dyn Observation, points: usize) -> Result<()> {
    if let Some(offsets) = observation.offsets() {
        let ends = (offsets.first().copied(), offsets.last().map(|&o| o as usize));
        if ends == (Some(0), Some(points)) && offsets.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        let message = format!("found groups from and to {ends:?}, expected offsets that rise from 0 to {points}");
        return Err(Error::Training(message));
    }
    let group = observation.group();
    if group == 0 || !points.is_multiple_of(group) {
        return Err(Error::Training(format!("found {points} points to observe, expected a multiple of {group}")));
    }
    Ok(())
}

/// Whole groups of different sizes in pieces of at most `most` points, or a single group: where each piece begins and
/// the last one ends, as group and as point.
fn pieces(offsets: &[u32], most: usize) -> Vec<(usize, usize)> {
    let mut cuts = vec![(0, 0)];
    let mut begin = 0;
    for (group, pair) in offsets.windows(2).enumerate() {
        if pair[1] as usize - begin > most && pair[0] as usize > begin {
            begin = pair[0] as usize;
            cuts.push((group, begin));
        }
    }
    if let [_, .., end] = offsets {
        cuts.push((offsets.len() - 1, *end as usize));
    }
    cuts
}

/// Whether `gradients` are those of these layers.
fn check_dense(specs: &[&DenseSpec], gradients: &[DenseGradient]) -> Result<()> {
    let expected: Vec<_> = specs.iter().map(|s| (s.inputs * s.outputs, s.outputs)).collect();
    let found: Vec<_> = gradients.iter().map(|g| (g.kernel.len(), g.bias.len())).collect();
    if found != expected {
        return Err(Error::Training(format!("found dense gradients of sizes {found:?}, expected {expected:?}")));
    }
    Ok(())
}

/// A network on a device with its samples, trained numbers and moments.
///
/// Gradients are gathered, by one or more of the `observe` methods, and [`Engine::update`] takes a step along their sum;
/// [`Engine::step`] is both for the loaded samples.
pub trait Engine {
    /// What it is, for people.
    fn name(&self) -> &'static str;

    /// The engine as one that carries the derivatives of these plans.
    ///
    /// # Errors
    /// [`Error::Config`] saying what carries them, where it does not.
    fn jets(&mut self, _plans: &[&Plan]) -> Result<&mut dyn JetEngine> {
        Err(Error::Config {
            field: "--engine".into(),
            message: format!("found {}, expected fused or cuda: derivatives by coordinates are theirs", self.name()),
        })
    }

    /// The engine of an operator, where this is one.
    fn operator(&mut self) -> Option<&mut DeepOnetEngine> {
        None
    }

    /// [`DeepOnetEngine::values`], where this is an operator's.
    ///
    /// # Errors
    /// Those of the device, and where it is no operator's.
    fn operator_values(&self, _functions: &[f32], _points: &[f32]) -> Result<Vec<f32>> {
        Err(Error::Training("found a coordinate network, expected an operator".into()))
    }

    /// Takes the training samples, `x` `[n, inputs]` and `y` `[n, outputs]`, both normalised.
    ///
    /// # Errors
    /// Those of the device.
    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()>;

    /// Adds `weight` times the gradient of `loss` over loaded samples to what is gathered; the loss comes back without
    /// the weight.
    ///
    /// # Errors
    /// Those of the device.
    fn observe_batch(&mut self, batch: Batch<'_>, loss: Loss, weight: f64) -> Result<f64>;

    /// Adds `weight` times the gradient of `observation`, which looks at these normalised points `[n, inputs]`, to what
    /// is gathered; the loss comes back without the weight. Neither depends on the number of threads.
    ///
    /// # Errors
    /// Points that are no whole number of groups, and those of the device.
    fn observe(&mut self, x: &[f32], observation: &dyn Observation, weight: f64) -> Result<f64>;

    /// Adds gradients with respect to the dense layers, encoders first, that another evaluator of [`Engine::dense`]
    /// made (of derivatives of the network, say) to what is gathered.
    ///
    /// # Errors
    /// Another number or other sizes of layers, and those of the device.
    fn observe_dense(&mut self, gradients: &[DenseGradient]) -> Result<()>;

    /// Takes what is gathered: the gradient with respect to every trained tensor, in the order of
    /// [`Engine::parameters`].
    ///
    /// # Errors
    /// Those of the device.
    fn take_gradients(&mut self) -> Result<Vec<Parameter>>;

    /// One optimizer step along what is gathered, which is nothing afterwards; gives the norm of the gradient before
    /// clipping.
    ///
    /// # Errors
    /// Those of the device.
    fn update(&mut self, adam: &AdamStep) -> Result<f64>;

    /// Loss over loaded samples and its gradient, added to what was gathered before.
    ///
    /// # Errors
    /// Those of the device.
    fn loss_and_gradients(&mut self, batch: Batch<'_>, loss: Loss) -> Result<(f64, Vec<Parameter>)> {
        let loss = self.observe_batch(batch, loss, 1.0)?;
        Ok((loss, self.take_gradients()?))
    }

    /// One optimizer step along the gradient of `loss` over loaded samples and what was gathered before.
    ///
    /// # Errors
    /// Those of the device.
    fn step(&mut self, batch: Batch<'_>, loss: Loss, adam: &AdamStep) -> Result<StepReport> {
        let loss = self.observe_batch(batch, loss, 1.0)?;
        Ok(StepReport { loss, gradient_norm: self.update(adam)? })
    }

    /// Steps that [`Engine::steps`] takes at once to advantage.
    fn steps_together(&self) -> usize {
        1
    }

    /// [`Engine::step`] for each of these batches with its `adam`; an engine on a GPU is asked once and answers once.
    ///
    /// # Errors
    /// Those of the device.
    fn steps(&mut self, batches: &[Batch<'_>], loss: Loss, adam: &[AdamStep]) -> Result<Vec<StepReport>> {
        batches.iter().zip(adam).map(|(&batch, adam)| self.step(batch, loss, adam)).collect()
    }

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

    /// Adam's moments, first and second, `adam.NAME` `[2, n]`, and what L-BFGS remembers.
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
