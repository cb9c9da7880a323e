//! What of a network lives on the device.

use std::rc::Rc;

use super::{TOGETHER, buffer::Buffer, machine::Machine, sizes::Sizes};
use crate::{engine::AdamStep, error::Result};

/// Floats of a step in the schedule.
const ROW: usize = 8;

/// Trained numbers and all that is made from them.
pub(super) struct State {
    pub(super) trained: Buffer<f32>,
    pub(super) first: Buffer<f32>,
    pub(super) second: Buffer<f32>,
    /// With respect to trained numbers.
    pub(super) gradient: Buffer<f32>,
    /// Dense layers, their transposes, and gathered gradients with respect to them.
    pub(super) dense: Buffer<f32>,
    pub(super) across: Buffer<f32>,
    pub(super) dense_gradient: Buffer<f32>,
    /// What multiplies each neuron's weights, their length, and its part of a shared slope's gradient.
    pub(super) factor: Buffer<f32>,
    pub(super) length: Buffer<f32>,
    pub(super) slopes: Buffer<f32>,
    /// Sums of squares of the gradient, a block each.
    pub(super) squares: Buffer<f64>,
    /// Step within what was handed over, and the optimizer's numbers, loss and norm of each.
    pub(super) step: Buffer<i32>,
    pub(super) schedule: Buffer<f32>,
    pub(super) reports: Buffer<f64>,
}

impl State {
    pub(super) fn new(machine: &Rc<dyn Machine>, sizes: &Sizes, trained: usize) -> Result<Self> {
        let zeros = |n| Buffer::zeros(machine, n);
        let shared = if sizes.shared_slopes() { sizes.layers() } else { 0 };
        Ok(Self {
            trained: zeros(trained)?,
            first: zeros(trained)?,
            second: zeros(trained)?,
            gradient: zeros(trained)?,
            dense: zeros(sizes.dense())?,
            across: zeros(sizes.dense())?,
            dense_gradient: zeros(sizes.dense())?,
            factor: zeros(sizes.neurons())?,
            length: zeros(sizes.neurons())?,
            slopes: zeros(sizes.neurons())?,
            squares: Buffer::zeros(machine, sizes.neuron_blocks() + shared)?,
            step: Buffer::zeros(machine, 1)?,
            schedule: zeros(ROW * TOGETHER)?,
            reports: Buffer::zeros(machine, 2 * TOGETHER)?,
        })
    }
}

/// A step's row of the schedule.
pub(super) fn row(adam: &AdamStep) -> [f32; ROW] {
    let step = adam.step as f64;
    let (c1, c2) = (1.0 - adam.beta1.powf(step), 1.0 - adam.beta2.powf(step));
    let rate = adam.learning_rate / c1;
    let keep = 1.0 - adam.learning_rate * adam.weight_decay;
    let limit = adam.clip.unwrap_or(-1.0);
    [rate, 1.0 / c2.sqrt(), keep, adam.beta1, adam.beta2, adam.epsilon, limit, 0.0].map(|v| v as f32)
}
