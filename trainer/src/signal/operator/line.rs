//! Sensors evenly spaced along a line, and the function between them.

/// Where the values of a function are known along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Name of the axis.
    pub name: &'static str,
    /// First place.
    pub lo: f64,
    /// Last place.
    pub hi: f64,
    /// Number of places, both ends among them, at least 4.
    pub count: usize,
}

impl Line {
    /// The i-th place.
    pub fn at(&self, i: usize) -> f64 {
        self.lo + (self.hi - self.lo) * i as f64 / (self.count - 1) as f64
    }

    /// First of four places around `x`, and their weights in the cubic through them.
    pub fn weights(&self, x: f64) -> (usize, [f64; 4]) {
        let at = (x - self.lo) / (self.hi - self.lo) * (self.count - 1) as f64;
        let first = (at.floor() as isize - 1).clamp(0, self.count as isize - 4) as usize;
        let s = at - first as f64;
        let lagrange = |k: usize| {
            let others = (0..4).filter(|&j| j != k);
            others.map(|j| (s - j as f64) / (k as f64 - j as f64)).product()
        };
        (first, [lagrange(0), lagrange(1), lagrange(2), lagrange(3)])
    }

    /// The function with these `values` at `x`, by the cubic through the four places around it.
    pub fn interpolate(&self, values: &[f64], x: f64) -> f64 {
        let (first, weights) = self.weights(x);
        weights.iter().zip(&values[first..]).map(|(w, v)| w * v).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_come_back_at_ends_between_and_beyond() {
        let line = Line { name: "x", lo: -1.0, hi: 3.0, count: 9 };
        let f = |x: f64| 2.0 - x + 0.5 * x.powi(3);
        let values: Vec<f64> = (0..9).map(|i| f(line.at(i))).collect();
        for x in [-1.0, -0.9, 0.3, 0.5, 2.99, 3.0] {
            assert!((line.interpolate(&values, x) - f(x)).abs() < 1e-12, "{x}");
        }
    }
}
