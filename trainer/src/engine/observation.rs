//! What stands between network values and a loss: the interface by which anything that can be measured trains a
//! network.
//!
//! An engine takes points through the network, hands their values to an [`Observation`] group by group, and takes the
//! gradient it gives for them back to what is trained:
//!
//! ```text
//! x [n, inputs] -> network -> y [n, outputs] -> pull -> loss, dy = d loss / d y -> back -> gathered gradient
//! ```
//!
//! A group is the points that one measurement looks at: the samples along a ray, or a single point. Several
//! observations may be gathered before one [`Engine::update`](super::Engine::update):
//!
//! ```
//! # use rwf_trainer::{engine::*, network::*, rng::Rng, error::Result};
//! /// Squared error of the mean of the values along each ray.
//! struct Rays<'a> { samples: usize, measured: &'a [f32] }
//!
//! impl Observation for Rays<'_> {
//!     fn group(&self) -> usize { self.samples }
//!
//!     fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
//!         let mut loss = 0.0;
//!         let rays = y.chunks(self.samples).zip(dy.chunks_mut(self.samples));
//!         for ((y, dy), measured) in rays.zip(&self.measured[first..]) {
//!             let error = y.iter().sum::<f32>() / y.len() as f32 - measured;
//!             loss += f64::from(error * error);
//!             dy.fill(2.0 * error / y.len() as f32);
//!         }
//!         loss
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! # let (network, start) = Network::new(&NetworkConfig::new(ArchitectureKind::Siren, 8, 1), 2, 1, &mut Rng::new(0))?;
//! # let adam = AdamStep { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0,
//! #     clip: None, step: 1 };
//! # let (x, measured, edge, zero) = ([0.5f32; 2 * 64 * 3], [1.0f32; 3], [0.0f32; 2 * 5], [0.0f32; 5]);
//! let mut engine = FusedEngine::new(&network, &start)?;
//! let rays = engine.observe(&x, &Rays { samples: 64, measured: &measured }, 1.0)?;
//! // A second term with a weight of its own: values at points.
//! let edge = engine.observe(&edge, &Samples::new(Loss::MeanSquaredError, &zero, 1), 10.0)?;
//! let norm = engine.update(&adam)?;
//! # assert!(rays > 0.0 && edge > 0.0 && norm > 0.0);
//! # Ok(())
//! # }
//! ```

use super::Loss;

/// From the values of groups of points to a loss, and back.
///
/// It is asked for disjoint ranges of groups, from several threads at once and in any order; what it gives for a group
/// must depend on that group alone.
pub trait Observation: Sync {
    /// Points a group has, at least 1; the network is evaluated at a whole number of groups.
    fn group(&self) -> usize;

    /// Where groups of different sizes lie: group i has points `offsets[i]..offsets[i + 1]`, at least one.
    /// Without it every group has [`Observation::group`] points.
    fn offsets(&self) -> Option<&[u32]> {
        None
    }

    /// The part of the loss that groups `first..` have, from their values `y` `[groups·group, outputs]`; writes its
    /// gradient with respect to these to `dy`, every entry (on entry it holds anything).
    ///
    /// The loss of an observation is the sum over all groups: a mean divides here.
    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64;
}

/// Values measured at the points themselves: a [`Loss`] of network values against `target` `[n, outputs]`.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    loss: Loss,
    target: &'a [f32],
    outputs: usize,
}

impl<'a> Samples<'a> {
    /// Targets of `outputs` values a point.
    pub fn new(loss: Loss, target: &'a [f32], outputs: usize) -> Self {
        Self { loss, target, outputs }
    }
}

impl Observation for Samples<'_> {
    fn group(&self) -> usize {
        1
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let from = first * self.outputs;
        let weight = 1.0 / self.target.len() as f64;
        weight * self.loss.pull(y, &self.target[from..from + y.len()], weight as f32, dy)
    }
}

impl Loss {
    /// Sum of the loss over values `y` with these targets; `dy` becomes its gradient times `weight`.
    pub(super) fn pull(self, y: &[f32], target: &[f32], weight: f32, dy: &mut [f32]) -> f64 {
        let mut sum = 0.0;
        match self {
            Self::MeanSquaredError => {
                for ((dy, y), t) in dy.iter_mut().zip(y).zip(target) {
                    let error = y - t;
                    sum += f64::from(error) * f64::from(error);
                    *dy = 2.0 * weight * error;
                }
            }
            Self::BinaryCrossEntropy => {
                // With e = exp(-|z|), of which neither part overflows: the loss is max(z, 0) - z·t + ln(1 + e), its
                // slope sigmoid(z) - t.
                for ((dy, &z), t) in dy.iter_mut().zip(y).zip(target) {
                    let e = libm::expf(-z.abs());
                    sum += f64::from(z.max(0.0) - z * t) + f64::from(libm::log1pf(e));
                    let sigmoid = if z > 0.0 { 1.0 } else { e } / (1.0 + e);
                    *dy = weight * (sigmoid - t);
                }
            }
        }
        sum
    }
}
