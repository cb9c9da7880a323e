//! Means, deviations and paired tests over few runs.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Of a list of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Standard deviation with n - 1; `NaN` for a single score.
    pub deviation: f64,
    /// How many.
    pub count: usize,
}

/// Mean and standard deviation of `scores`.
pub fn summary(scores: &[f64]) -> Summary {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let square: f64 = scores.iter().map(|s| (s - mean) * (s - mean)).sum();
    Summary { mean, deviation: (square / (n - 1.0)).sqrt(), count: scores.len() }
}

/// Two-sided p of Student's paired t-test (Student 1908): how likely differences at least this consistent are between
/// runs of the same seeds if neither side is better. `None` with fewer than two pairs or when all differences are equal.
pub fn paired_p(a: &[f64], b: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    if differences.len() < 2 {
        return None;
    }
    let s = summary(&differences);
    if s.deviation == 0.0 {
        return None;
    }
    let n = differences.len() as f64;
    let t = s.mean / (s.deviation / n.sqrt());
    let distribution = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    Some(2.0 * distribution.cdf(-t.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_equal_those_worked_out_by_hand() {
        let s = summary(&[1.0, 2.0, 4.0, 5.0]);
        assert_eq!((s.mean, s.count), (3.0, 4));
        assert!((s.deviation - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(summary(&[1.0]).deviation.is_nan());
        // Differences 1, 2, 3: t = 2/(1/√3) = 3.4641 with 2 degrees of freedom; there p = 1 - t/√(t² + 2).
        let t = 12f64.sqrt();
        let p = paired_p(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((p - (1.0 - t / (t * t + 2.0).sqrt())).abs() < 1e-9, "{p}");
        assert_eq!(paired_p(&[1.0], &[2.0]), None);
        assert_eq!(paired_p(&[1.0, 2.0], &[0.0, 1.0]), None);
    }
}
