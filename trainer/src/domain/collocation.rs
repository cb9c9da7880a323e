//! Points at which an equation is asked to hold, drawn anew every step.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Each on its own
    Uniform,
    /// One in every slice of equal width, along every axis (a Latin hypercube)
    Latin,
}

/// Points in a box, a function of seed, name and step alone, so that a resumed run sees the same.
#[derive(Debug, Clone)]
pub struct Collocation {
    rng: Rng,
    sampler: Sampler,
}

impl Collocation {
    /// With this seed.
    pub fn new(seed: u64, sampler: Sampler) -> Self {
        Self { rng: Rng::new(seed), sampler }
    }

    /// `count` points `[count, axes]` of `name` at `step`, each axis between its ends.
    pub fn draw(&self, name: &str, step: u64, count: usize, ends: &[(f64, f64)]) -> Vec<f64> {
        let mut rng = self.rng.stream(&format!("collocation {name} {step}"));
        let mut points = vec![0.0; count * ends.len()];
        for (axis, (lo, hi)) in ends.iter().enumerate() {
            let order = match self.sampler {
                Sampler::Uniform => Vec::new(),
                Sampler::Latin => rng.permutation(count),
            };
            for (i, point) in points.chunks_exact_mut(ends.len()).enumerate() {
                let at = match self.sampler {
                    Sampler::Uniform => rng.uniform(),
                    Sampler::Latin => (f64::from(order[i]) + rng.uniform()) / count as f64,
                };
                point[axis] = lo + (hi - lo) * at;
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slice_has_its_point_and_every_step_its_own() {
        let ends = [(-1.0, 1.0), (0.0, 5.0)];
        let latin = Collocation::new(3, Sampler::Latin);
        let points = latin.draw("inside", 7, 64, &ends);
        for (axis, (lo, hi)) in ends.into_iter().enumerate() {
            let slice = |p: &[f64]| (64.0 * (p[axis] - lo) / (hi - lo)) as usize;
            let mut slices: Vec<usize> = points.chunks(2).map(slice).collect();
            slices.sort_unstable();
            assert_eq!(slices, (0..64).collect::<Vec<_>>());
        }
        assert_eq!(points, latin.draw("inside", 7, 64, &ends));
        assert_ne!(points, latin.draw("inside", 8, 64, &ends));
        let uniform = Collocation::new(3, Sampler::Uniform).draw("inside", 7, 1000, &ends);
        let mean = uniform.chunks(2).map(|p| p[1]).sum::<f64>() / 1000.0;
        assert!(uniform.chunks(2).all(|p| (-1.0..1.0).contains(&p[0])) && (mean - 2.5).abs() < 0.2, "{mean}");
    }
}
