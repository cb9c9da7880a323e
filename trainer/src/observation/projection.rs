//! Many signals on one basis: each is the best combination of the network's outputs, whatever these are.
//!
//! The coefficients are no parameters: they are solved for in every step, and the gradient holds them (variable projection:
//! Golub and Pereyra 1973). That is exact for the projected loss, since its derivative by the coefficients is zero.

use nalgebra::{DMatrix, DVector};

use crate::engine::Observation;

/// Mean over signals of the squared error of the nearest t0 + Σ c_k·t_k, plus `ridge`·|c|². The network gives
/// `[outputs, 1 + components]` at a point, t0 before the t_k; a group is the samples of a signal.
#[derive(Debug, Clone, Copy)]
pub struct Projection<'a> {
    /// What was measured, `[n, outputs]`, signal after signal.
    pub target: &'a [f32],
    /// Signal i has samples `offsets[i]..offsets[i + 1]`, at least one.
    pub offsets: &'a [u32],
    /// Values at a point.
    pub outputs: usize,
    /// Functions that are combined.
    pub components: usize,
    /// What keeps coefficients finite, beside a mean squared error.
    pub ridge: f64,
}

impl Observation for Projection<'_> {
    fn group(&self) -> usize {
        1
    }

    fn offsets(&self) -> Option<&[u32]> {
        Some(self.offsets)
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let weight = 1.0 / (self.offsets.len() - 1) as f64;
        let width = self.outputs * (1 + self.components);
        let (mut loss, mut done) = (0.0, 0);
        for signal in self.offsets[first..].windows(2) {
            let [begin, end] = [signal[0], signal[1]].map(|at| at as usize * self.outputs);
            let part = done..done + (end - begin) / self.outputs * width;
            if part.end > y.len() {
                break;
            }
            done = part.end;
            let (own, slope) = projected(&wide(&y[part.clone()]), &wide(&self.target[begin..end]), self);
            loss += weight * own;
            dy[part].iter_mut().zip(slope).for_each(|(to, slope)| *to = (weight * slope) as f32);
        }
        loss
    }
}

impl Projection<'_> {
    /// Coefficients `[components]` of the signal with these basis values `[n, outputs, 1 + components]` and measurements
    /// `[n, outputs]`; none where they are not finite.
    pub fn coefficients(&self, basis: &[f64], target: &[f64]) -> Option<DVector<f64>> {
        let (components, count) = (self.components, target.len() as f64);
        let mut normal = DMatrix::zeros(components, components);
        let mut right = DVector::zeros(components);
        for (row, value) in basis.chunks_exact(1 + components).zip(target) {
            let (mean, row) = (row[0], &row[1..]);
            for (k, t) in row.iter().enumerate() {
                right[k] += t * (value - mean) / count;
                for (l, u) in row[..=k].iter().enumerate() {
                    normal[(k, l)] += t * u / count;
                }
            }
        }
        for k in 0..components {
            normal[(k, k)] += self.ridge;
        }
        // Reads the lower triangle alone.
        Some(normal.cholesky()?.solve(&right)).filter(|c: &DVector<f64>| c.iter().all(|c| c.is_finite()))
    }
}

/// Loss of one signal and its gradient by the basis values, shapes as in [`Projection::coefficients`].
fn projected(basis: &[f64], target: &[f64], of: &Projection<'_>) -> (f64, Vec<f64>) {
    let Some(c) = of.coefficients(basis, target) else {
        // What a broken network looks like.
        return (f64::NAN, vec![f64::NAN; basis.len()]);
    };
    let count = target.len() as f64;
    let mut loss = of.ridge * c.norm_squared();
    let mut slopes = Vec::with_capacity(basis.len());
    for (row, value) in basis.chunks_exact(1 + of.components).zip(target) {
        let error = row[0] + row[1..].iter().zip(&c).map(|(t, c)| t * c).sum::<f64>() - value;
        loss += error * error / count;
        let slope = 2.0 * error / count;
        slopes.push(slope);
        slopes.extend(c.iter().map(|c| slope * c));
    }
    (loss, slopes)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Engine, FusedEngine},
        network::{ArchitectureKind, Network, NetworkConfig},
        rng::Rng,
        tolerance,
    };

    fn draw(rng: &mut Rng, n: usize) -> Vec<f64> {
        (0..n).map(|_| rng.normal()).collect()
    }

    /// The coefficients are solved for again at every moved value.
    #[test]
    fn the_gradient_with_coefficients_held_is_that_of_the_projected_loss() {
        let mut rng = Rng::new(5);
        for (outputs, components, ridge) in [(1, 3, 1e-7), (2, 4, 1e-2), (3, 1, 0.5)] {
            let of = Projection { target: &[], offsets: &[], outputs, components, ridge };
            let n = 9;
            let mut basis = draw(&mut rng, n * outputs * (1 + components));
            let target = draw(&mut rng, n * outputs);
            let (loss, slopes) = projected(&basis, &target, &of);
            assert!(loss > 0.0);
            for i in 0..basis.len() {
                let at = basis[i];
                let mut moved = |to: f64| {
                    basis[i] = to;
                    projected(&basis, &target, &of).0
                };
                let expected = (moved(at + 1e-5) - moved(at - 1e-5)) / 2e-5;
                basis[i] = at;
                assert!((slopes[i] - expected).abs() < tolerance::PROJECTED, "{i}: {} {expected}", slopes[i]);
            }
        }
    }

    #[test]
    fn signals_of_different_lengths_each_have_their_share_through_an_engine() {
        let mut rng = Rng::new(2);
        let (outputs, components, offsets) = (2, 3, [0u32, 70, 75, 275]);
        let network = NetworkConfig::new(ArchitectureKind::Mlp, 7, 2);
        let (network, start) = Network::new(&network, 1, outputs * (1 + components), &mut rng).unwrap();
        let x: Vec<f32> = (0..275).map(|_| rng.symmetric(1.0) as f32).collect();
        let target: Vec<f32> = draw(&mut rng, 275 * outputs).iter().map(|&v| v as f32).collect();
        let whole = Projection { target: &target, offsets: &offsets, outputs, components, ridge: 1e-6 };
        let mut engine = FusedEngine::new(&network, &start).unwrap();
        let loss = engine.observe(&x, &whole, 1.0).unwrap();
        let found = engine.take_gradients().unwrap();
        // One signal at a time, a third each.
        let mut sum = 0.0;
        for pair in offsets.windows(2) {
            let (a, b) = (pair[0] as usize, pair[1] as usize);
            let own = Projection { target: &target[a * outputs..b * outputs], offsets: &[0, (b - a) as u32], ..whole };
            sum += engine.observe(&x[a..b], &own, 1.0 / 3.0).unwrap() / 3.0;
        }
        let expected = engine.take_gradients().unwrap();
        assert!((loss - sum).abs() < 1e-6 * sum, "{loss} {sum}");
        for (found, expected) in found.iter().zip(&expected) {
            let largest = expected.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(largest > 0.0);
            for (a, b) in found.values.iter().zip(&expected.values) {
                assert!(f64::from((a - b).abs()) < tolerance::ENGINES * f64::from(largest), "{}: {a} {b}", found.name);
            }
        }
    }
}
