//! The whole numbers nearest to a neuron's weights.

use rwf_runtime::integer::{Bits, bounded};

/// Weights of one neuron on their grid: weight = scale·integer.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The integers.
    pub weights: Vec<i32>,
    /// Their unit.
    pub scale: f64,
    /// Bias in the same unit.
    pub bias: i32,
}

/// The grid of `weights` and `bias` that is nearest in the mean square, of those on which no accumulator can overflow;
/// `None` when there is none with enough steps.
pub fn grid(weights: &[f64], bias: f64, bits: Bits) -> Option<Grid> {
    let largest = weights.iter().fold(0.0f64, |a, w| a.max(w.abs()));
    // A bias far above the weights sets the unit: it may take half of the accumulator.
    let least = (bias.abs() / f64::from(1 << 30)).max(f64::MIN_POSITIVE);
    let at = |scale: f64| -> Grid {
        let limit = f64::from(bits.limit());
        let weights = weights.iter().map(|w| (w / scale).round().clamp(-limit, limit) as i32).collect();
        Grid { weights, scale, bias: (bias / scale).round() as i32 }
    };
    let fits = |g: &Grid| bounded(g.weights.iter().map(|w| w.unsigned_abs()).sum(), g.bias);
    let full = (largest / f64::from(bits.limit())).max(least);
    if bits == Bits::Sixteen {
        // Sums, not the width of a weight, are what limits these.
        let mut grid = at(full);
        while !fits(&grid) {
            grid = at(grid.scale * 1.1);
            if grid.weights.iter().all(|w| w.abs() < 127) {
                return None;
            }
        }
        return Some(grid);
    }
    let error =
        |g: &Grid| -> f64 { weights.iter().zip(&g.weights).map(|(w, q)| (w - g.scale * f64::from(*q)).powi(2)).sum() };
    let candidates = (0..20).map(|k| at((full * (1.0 - 0.02 * f64::from(k))).max(least)));
    candidates.filter(fits).min_by(|a, b| error(a).total_cmp(&error(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_within_half_a_step_or_held_at_the_end() {
        let weights: Vec<f64> = (0..40).map(|i| f64::from(i * 37 % 41) / 20.0 - 1.0).collect();
        for bits in Bits::ALL {
            let grid = grid(&weights, 0.3, bits).unwrap();
            let square: f64 =
                weights.iter().zip(&grid.weights).map(|(w, q)| (w - grid.scale * f64::from(*q)).powi(2)).sum();
            let step = 1.0 / f64::from(bits.limit());
            assert!((square / 40.0).sqrt() < 0.6 * step.max(1e-3), "{bits:?}");
            assert!((f64::from(grid.bias) * grid.scale - 0.3).abs() <= 0.5 * grid.scale);
        }
    }

    #[test]
    fn sums_that_could_overflow_are_refused_or_shrunk() {
        // 4,096 weights of the same size at 8 bits: 127·4096·2^15 is beyond 32 bits.
        assert_eq!(grid(&vec![1.0; 4096], 0.0, Bits::Eight), None);
        let grid = grid(&vec![1.0; 256], 0.0, Bits::Sixteen).unwrap();
        assert!(grid.weights[0] < 256 && grid.weights[0] > 200, "{}", grid.weights[0]);
    }
}
