//! Gaussian random fields.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::rng::Rng;

/// The Gaussian process with mean 0 and kernel exp(-(x - x')²/(2·length²)) at some points.
#[derive(Debug, Clone)]
pub struct GaussianField {
    /// Eigenvectors of the covariance, and the roots of their eigenvalues.
    modes: DMatrix<f64>,
    sizes: Vec<f64>,
}

impl GaussianField {
    /// At `points`, with this length.
    pub fn new(points: &[f64], length: f64) -> Self {
        let n = points.len();
        let covariance = DMatrix::from_fn(n, n, |i, j| (-0.5 * ((points[i] - points[j]) / length).powi(2)).exp());
        // Through eigenvectors: points close together make the kernel singular, and nothing need be added to it here.
        let eigen = SymmetricEigen::new(covariance);
        let sizes = eigen.eigenvalues.iter().map(|value| value.max(0.0).sqrt()).collect();
        Self { modes: eigen.eigenvectors, sizes }
    }

    /// One draw of its values at the points.
    pub fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        let amplitudes = DVector::from_fn(self.sizes.len(), |i, _| self.sizes[i] * rng.normal());
        (&self.modes * amplitudes).iter().copied().collect()
    }
}

/// A draw of the Gaussian process with mean 0 and kernel exp(-(x - x')²/(2·`length`²)) at `points`.
pub fn gaussian_field(points: &[f64], length: f64, rng: &mut Rng) -> Vec<f64> {
    GaussianField::new(points, length).draw(rng)
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
