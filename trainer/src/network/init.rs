//! Where weights start: W0 `[in, out]` and its bias, before any factorization.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// Distributions of initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialization {
    /// Normal of standard deviation sqrt(2/(in + out)) (Glorot and Bengio 2010); biases 0.
    GlorotNormal,
    /// The same deviation, truncated at ±2 of the normal drawn, as flax does; biases 0.
    GlorotTruncatedNormal,
    /// Uniform within ±sqrt(6/(in + out)); biases 0.
    GlorotUniform,
    /// SIREN's (Sitzmann et al. 2020): first layer ±1/in, others ±sqrt(6/in)/omega0, biases ±1/sqrt(in).
    Siren,
}

/// Standard deviation of a standard normal truncated at ±2.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initialization {
    /// Weights `[in, out]` and biases `[out]` of one layer.
    pub fn draw(self, inputs: usize, outputs: usize, first: bool, omega0: f64, rng: &mut Rng) -> (Vec<f64>, Vec<f64>) {
        let (n, m) = (inputs as f64, outputs as f64);
        let deviation = (2.0 / (n + m)).sqrt();
        let count = inputs * outputs;
        let weights = match self {
            Self::GlorotNormal => (0..count).map(|_| deviation * rng.normal()).collect(),
            Self::GlorotTruncatedNormal => {
                let scale = deviation / TRUNCATED_DEVIATION;
                (0..count).map(|_| scale * rng.truncated_normal()).collect()
            }
            Self::GlorotUniform => {
                let limit = (6.0 / (n + m)).sqrt();
                (0..count).map(|_| rng.symmetric(limit)).collect()
            }
            Self::Siren => {
                let limit = if first { 1.0 / n } else { (6.0 / n).sqrt() / omega0 };
                (0..count).map(|_| rng.symmetric(limit)).collect()
            }
        };
        let biases = match self {
            Self::Siren => (0..outputs).map(|_| rng.symmetric(1.0 / n.sqrt())).collect(),
            _ => vec![0.0; outputs],
        };
        (weights, biases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_glorots_and_limits_are_sirens() {
        let mut rng = Rng::new(1);
        let (n, m) = (200, 300);
        let expected = (2.0f64 / 500.0).sqrt();
        for init in [Initialization::GlorotNormal, Initialization::GlorotTruncatedNormal, Initialization::GlorotUniform]
        {
            let (w, b) = init.draw(n, m, false, 30.0, &mut rng);
            let deviation = (w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64).sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.01, "{init:?}: {deviation} {expected}");
            assert!(b.iter().all(|&b| b == 0.0));
        }
        let largest = |w: &[f64]| w.iter().fold(0.0f64, |a, w| a.max(w.abs()));
        let (w, b) = Initialization::Siren.draw(n, m, true, 30.0, &mut rng);
        assert!((largest(&w) * 200.0 - 1.0).abs() < 0.01);
        assert!((largest(&b) * 200f64.sqrt() - 1.0).abs() < 0.02);
        let (w, _) = Initialization::Siren.draw(n, m, false, 30.0, &mut rng);
        assert!((largest(&w) / ((6.0f64 / 200.0).sqrt() / 30.0) - 1.0).abs() < 0.01);
        let (w, _) = Initialization::GlorotTruncatedNormal.draw(n, m, false, 1.0, &mut rng);
        assert!(largest(&w) <= 2.0 * expected / TRUNCATED_DEVIATION);
    }
}
