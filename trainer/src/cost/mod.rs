//! What a model takes on a device: flash, memory, arithmetic, and how long a point takes there, about.

mod target;

use rwf_runtime::format::{Activation, Mapping, tensor};
use safetensors::SafeTensors;

pub use target::{Clock, Estimate, Numbers, Target};

use crate::evaluate;

/// What a model file costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of flash as a module made at build time (`rwf export --rust`): weights, biases, self-test. Code and the
    /// module's few words of structure come on top, whatever the network.
    pub flash: usize,
    /// Bytes of the file.
    pub file: usize,
    /// Bytes of scratch for one point.
    pub ram: usize,
    /// Multiply-adds of one point.
    pub macs: usize,
    /// Sines, tanhs and the like of one point; a ReLU counts half.
    pub activations: usize,
    /// What it computes with.
    pub numbers: Numbers,
}

impl Cost {
    /// Of a model file.
    ///
    /// # Errors
    /// A sentence when it is none.
    pub fn of(file: &[u8]) -> Result<Self, String> {
        let model = evaluate::open(file).map_err(|e| e.to_string())?;
        let tensors = SafeTensors::deserialize(file).map_err(|e| e.to_string())?;
        let samples: usize = [tensor::SELF_TEST_INPUTS, tensor::SELF_TEST_OUTPUTS]
            .iter()
            .filter_map(|name| tensors.tensor(name).ok())
            .map(|view| view.data().len())
            .sum();
        let architecture = model.architecture();
        let waves = match architecture.mapping {
            Mapping::None => 0,
            Mapping::Fourier { frequencies, .. } => 2 * frequencies,
        };
        let halves = |activation: Activation, neurons: usize| match activation {
            Activation::Identity => 0,
            Activation::Relu => neurons,
            _ => 2 * neurons,
        };
        let layers: usize = architecture.layers.iter().map(|l| halves(l.activation, l.outputs)).sum();
        let encoders = architecture.gate.map_or(0, |activation| halves(activation, 2 * architecture.hidden()));
        Ok(Self {
            flash: model.weight_bytes() + samples,
            file: file.len(),
            ram: model.scratch_bytes()[0],
            macs: architecture.multiply_adds(),
            activations: waves + (layers + encoders).div_ceil(2),
            numbers: Numbers::of(model.as_ref()),
        })
    }
}
