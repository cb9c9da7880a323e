//! Gaussian random fields.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::rng::Rng;

/// A draw of the Gaussian process with mean 0 and kernel exp(-(x - x')²/(2·`length`²)) at `points`.
pub fn gaussian_field(points: &[f64], length: f64, rng: &mut Rng) -> Vec<f64> {
    let n = points.len();
    let covariance = DMatrix::from_fn(n, n, |i, j| (-0.5 * ((points[i] - points[j]) / length).powi(2)).exp());
    // Through eigenvectors: points close together make the kernel singular, and nothing need be added to it here.
    let eigen = SymmetricEigen::new(covariance);
    let amplitudes = DVector::from_fn(n, |i, _| eigen.eigenvalues[i].max(0.0).sqrt() * rng.normal());
    (eigen.eigenvectors * amplitudes).iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_covariance_of_their_kernel() {
        let points = [0.0, 0.1, 0.2, 0.9];
        let (mut sums, n) = ([[0.0; 4]; 4], 20_000);
        let mut rng = Rng::new(1);
        for _ in 0..n {
            let f = gaussian_field(&points, 0.1, &mut rng);
            for i in 0..4 {
                for j in 0..4 {
                    sums[i][j] += f[i] * f[j] / f64::from(n);
                }
            }
        }
        for i in 0..4 {
            for j in 0..4 {
                let expected = (-0.5 * ((points[i] - points[j]) / 0.1f64).powi(2)).exp();
                assert!((sums[i][j] - expected).abs() < 0.04, "{i} {j}: {} {expected}", sums[i][j]);
            }
        }
    }
}
