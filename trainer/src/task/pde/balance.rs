//! Weights of an equation's terms, found while training.

use super::{Balance, training::Training};
use crate::{engine::JetEngine, error::Result, network::Parameter, observation::pde::Dual, rng::Rng};

/// Random signs that the trace of a tangent kernel is estimated from.
const PROBES: usize = 4;

/// Moves the weights of `training` towards those at which all terms pull alike: the sum of all sizes over a term's own,
/// its size being the norm of its gradient or the trace of its tangent kernel over the number of its points
/// (arXiv 2308.08468, section 5).
pub(super) fn update(training: &mut Training, engine: &mut dyn JetEngine, step: u64, c: &[Dual]) -> Result<()> {
    let (balance, momentum) = training.balance();
    let mut sizes = Vec::with_capacity(training.terms.len());
    for k in 0..training.terms.len() {
        let size = match balance {
            Balance::Fixed => return Ok(()),
            Balance::GradientNorm => square(&training.gradient(engine, k, step, c, None)?).sqrt(),
            Balance::Ntk => {
                let mut rng = Rng::new(training.seed()).stream(&format!("signs {k} {step}"));
                let mut sum = 0.0;
                for _ in 0..PROBES {
                    sum += square(&training.gradient(engine, k, step, c, Some(&mut rng))?);
                }
                sum
            }
        };
        sizes.push(size);
    }
    let total: f64 = sizes.iter().sum();
    if !sizes.iter().all(|s| *s > 0.0 && (total / s).is_finite()) {
        // A term without a gradient says nothing of how it compares.
        return Ok(());
    }
    for (weight, size) in training.weights.iter_mut().zip(sizes) {
        *weight = momentum * *weight + (1.0 - momentum) * (total / size) as f32;
    }
    Ok(())
}

fn square(gradient: &[Parameter]) -> f64 {
    gradient.iter().flat_map(|p| &p.values).map(|v| f64::from(*v) * f64::from(*v)).sum()
}
