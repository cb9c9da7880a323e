//! Derivatives of a network by its inputs, carried forward as Taylor coefficients beside the values: which of them travel,
//! and what looks at them and trains by them.

#[cfg(test)]
pub(super) mod contract;
mod plan;
#[cfg(test)]
mod taylor;

use std::ops::Range;

pub(super) use self::plan::Direction;
pub use self::plan::{Combination, MAX_ORDER, Plan, Wanted};
use super::{Engine, StepReport};
use crate::error::Result;

/// A function of the jets of a network's outputs that is made small.
pub trait JetObservation: Sync {
    /// The sum of the function over the points `points` of all, and its derivatives.
    ///
    /// `jets` are `[rows, points, outputs]`, rows as the [`Plan`] says; `cotangents` has the same shape, is 0 and takes
    /// d sum / d jets. `extra` takes what is added to d sum / d whatever else is trained; its length is that given to
    /// [`JetEngine::observe_jets`].
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32], extra: &mut [f64]) -> f64;
}

/// Gathers gradients, and gives the loss they are of with its slopes by the numbers beside.
pub type Gather<'a> = dyn FnMut(&mut dyn JetEngine, &[f32]) -> Result<(f64, Vec<f32>)> + 'a;

/// An engine that carries derivatives by inputs; exact f32, in an order that does not change.
pub trait JetEngine: Engine {
    /// The sum `observation` makes of the jets at `x` `[n, inputs]`, normalised coordinates. Its gradient times `weight`
    /// is gathered as that of [`Engine::observe`] is, until [`Engine::update`]; that by anything else, not weighted, is
    /// added to `extra`.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for a plan made for another number of inputs, and those of the device.
    fn observe_jets(
        &mut self,
        plan: &Plan,
        x: &[f32],
        observation: &dyn JetObservation,
        weight: f64,
        extra: &mut [f64],
    ) -> Result<f64>;

    /// The sum alone, without the way back.
    ///
    /// # Errors
    /// As [`JetEngine::observe_jets`].
    fn look(&mut self, plan: &Plan, x: &[f32], observation: &dyn JetObservation, extra: usize) -> Result<f64>;

    /// One step of L-BFGS over the trained numbers and those `beside` them. `gather` gathers gradients as the `observe`
    /// methods do and gives the loss they are of, with its slopes by the numbers beside; it must be the same function as
    /// long as `function` is the same number, and is asked for the place that is taken last. What is known of the curvature
    /// outlives a change of function, so it should be a small one. Nothing where f32 can tell no lower place.
    ///
    /// # Errors
    /// Those of `gather`, and those of the device.
    fn descend(&mut self, function: u64, beside: &mut [f32], gather: &mut Gather<'_>) -> Result<Option<StepReport>>;
}
