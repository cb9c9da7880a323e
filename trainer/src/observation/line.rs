//! Line integrals: values along a ray to what a detector measures (Radon 1917), and the gradient back to every sample.

use serde::{Deserialize, Serialize};

use crate::engine::Observation;

/// What of a ray is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Along {
    /// The integral, in halves of the picture's side: a mean along rays that are all as long as that
    /// (Tancik et al. 2020)
    Integral,
    /// The mean over the part of the ray that is in the picture: short rays count as much as long ones
    Mean,
}

/// Measured integrals along rays of different numbers of samples: half the mean over rays of the squared error.
#[derive(Debug, Clone, Copy)]
pub struct LineIntegrals<'a> {
    /// Where the samples of each ray begin, and where the last end, `[rays + 1]`.
    pub offsets: &'a [u32],
    /// Length that each sample of a ray stands for, `[rays]`.
    pub lengths: &'a [f32],
    /// Integrals, value times length, `[rays]`.
    pub measured: &'a [f32],
    /// What is compared.
    pub along: Along,
}

impl Observation for LineIntegrals<'_> {
    fn group(&self) -> usize {
        1
    }

    fn offsets(&self) -> Option<&[u32]> {
        Some(self.offsets)
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let (mut loss, mut at) = (0.0, 0);
        let weight = 1.0 / self.measured.len() as f32;
        for (ray, pair) in (first..).zip(self.offsets[first..].windows(2)) {
            if at == y.len() {
                break;
            }
            let count = (pair[1] - pair[0]) as usize;
            let (length, end) = (self.lengths[ray], at + count);
            let whole = match self.along {
                // A side's length is 2.
                Along::Integral => 2.0,
                Along::Mean => length * count as f32,
            };
            let error = (length * y[at..end].iter().sum::<f32>() - self.measured[ray]) / whole;
            loss += 0.5 * f64::from(weight) * f64::from(error) * f64::from(error);
            dy[at..end].fill(weight * error * length / whole);
            at = end;
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng::Rng, tolerance};

    #[test]
    fn gradients_equal_differences() {
        let mut rng = Rng::new(4);
        let offsets = [0u32, 1, 6, 9, 17];
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.uniform() as f32).collect() };
        let (y, measured, lengths) = (draw(17), draw(4), draw(4));
        for along in [Along::Integral, Along::Mean] {
            let rays = LineIntegrals { offsets: &offsets, lengths: &lengths, measured: &measured, along };
            let loss = |y: &[f64]| {
                let each = (0..4).map(|r| {
                    let (from, to) = (offsets[r] as usize, offsets[r + 1] as usize);
                    let length = f64::from(lengths[r]);
                    let whole = if along == Along::Mean { length * (to - from) as f64 } else { 2.0 };
                    ((length * y[from..to].iter().sum::<f64>() - f64::from(measured[r])) / whole).powi(2)
                });
                0.5 * each.sum::<f64>() / 4.0
            };
            let mut dy = [f32::NAN; 17];
            // In two pieces, as an engine asks for them.
            let found = rays.pull(0, &y[..6], &mut dy[..6]) + rays.pull(2, &y[6..], &mut dy[6..]);
            let mut at: Vec<f64> = y.iter().map(|&v| f64::from(v)).collect();
            assert!((found / loss(&at) - 1.0).abs() < tolerance::GRADIENT, "{found}");
            let largest = dy.iter().fold(0.0f32, |m, d| m.max(d.abs()));
            for i in 0..17 {
                let (h, here) = (1e-4, at[i]);
                let mut moved = |to| {
                    at[i] = to;
                    loss(&at)
                };
                let expected = (moved(here + h) - moved(here - h)) / (2.0 * h);
                at[i] = here;
                let error = (f64::from(dy[i]) - expected).abs() / f64::from(largest);
                assert!(error < tolerance::GRADIENT, "{along:?} {i}: {} {expected}", dy[i]);
            }
        }
    }
}
