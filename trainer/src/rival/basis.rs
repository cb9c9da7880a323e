//! Functions of one coordinate, scaled to 0 .. 1.

/// A family of `n` functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Constant in each of n cells.
    Nearest,
    /// Linear between n nodes.
    Linear,
    /// Cubic convolution between n nodes (Keys 1981, a = -1/2); beyond both ends the line through the last two goes on.
    Cubic,
    /// Cubic B-splines on n - 3 equal intervals (de Boor 1978).
    Spline,
    /// Chebyshev polynomials of degrees 0 to n - 1.
    Chebyshev,
}

impl Basis {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Nearest, Self::Linear, Self::Cubic, Self::Spline, Self::Chebyshev];

    /// What it is in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nearest => "table, nearest",
            Self::Linear => "table, linear",
            Self::Cubic => "table, cubic",
            Self::Spline => "cubic B-spline",
            Self::Chebyshev => "Chebyshev polynomial",
        }
    }

    /// Least number of functions an axis needs.
    pub const fn least(self) -> usize {
        match self {
            Self::Nearest | Self::Chebyshev => 1,
            Self::Linear | Self::Cubic => 2,
            Self::Spline => 4,
        }
    }

    /// Functions of `n` that are not 0 at `u`, with their values; an index may come twice.
    pub fn at(self, n: usize, u: f64, out: &mut Vec<(usize, f64)>) {
        out.clear();
        let u = u.clamp(0.0, 1.0);
        match self {
            Self::Nearest => out.push((((u * n as f64) as usize).min(n - 1), 1.0)),
            Self::Linear => {
                let (i, t) = interval(u, n - 1);
                out.extend([(i, 1.0 - t), (i + 1, t)]);
            }
            Self::Cubic => {
                let (i, t) = interval(u, n - 1);
                let (t2, t3) = (t * t, t * t * t);
                let weights = [
                    0.5 * (-t3 + 2.0 * t2 - t),
                    0.5 * (3.0 * t3 - 5.0 * t2 + 2.0),
                    0.5 * (-3.0 * t3 + 4.0 * t2 + t),
                    0.5 * (t3 - t2),
                ];
                for (k, w) in weights.into_iter().enumerate() {
                    match i + k {
                        0 => out.extend([(0, 2.0 * w), (1, -w)]),
                        node if node > n => out.extend([(n - 1, 2.0 * w), (n - 2, -w)]),
                        node => out.push((node - 1, w)),
                    }
                }
            }
            Self::Spline => {
                let (i, t) = interval(u, n - 3);
                let (t2, t3) = (t * t, t * t * t);
                let weights = [
                    (1.0 - t).powi(3) / 6.0,
                    (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
                    (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
                    t3 / 6.0,
                ];
                out.extend(weights.iter().enumerate().map(|(k, w)| (i + k, *w)));
            }
            Self::Chebyshev => {
                let x = 2.0 * u - 1.0;
                let (mut before, mut now) = (x, 1.0);
                for k in 0..n {
                    out.push((k, now));
                    (before, now) = (now, if k == 0 { x } else { 2.0 * x * now - before });
                }
            }
        }
    }

    /// Multiply-adds of one evaluation with `counts` functions along each axis, for `outputs`.
    pub fn operations(self, counts: &[usize], outputs: usize) -> usize {
        let axes = counts.len();
        // Place in the table, weights of the axis, then the sum of products.
        let (axis, terms): (usize, usize) = match self {
            Self::Nearest => (1, 0),
            Self::Linear => (2, 1 << axes),
            Self::Cubic | Self::Spline => (12, 1 << (2 * axes)),
            Self::Chebyshev => (0, counts.iter().product()),
        };
        let recurrences = if self == Self::Chebyshev { counts.iter().sum() } else { axis * axes };
        recurrences + terms * outputs
    }
}

/// Which of `n` equal intervals, and how far into it.
fn interval(u: f64, n: usize) -> (usize, f64) {
    let at = u * n as f64;
    let i = (at as usize).min(n - 1);
    (i, at - i as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(basis: Basis, n: usize, u: f64, coefficient: impl Fn(usize) -> f64) -> f64 {
        let mut terms = Vec::new();
        basis.at(n, u, &mut terms);
        terms.iter().map(|&(i, w)| w * coefficient(i)).sum()
    }

    #[test]
    fn tables_and_splines_reproduce_what_they_must() {
        for i in 0..=100 {
            let u = f64::from(i) / 100.0;
            for basis in [Basis::Nearest, Basis::Linear, Basis::Cubic, Basis::Spline] {
                let one = sum(basis, 7, u, |_| 1.0);
                assert!((one - 1.0).abs() < 1e-12, "{basis:?} {u}: {one}");
            }
            assert!((sum(Basis::Linear, 7, u, |i| i as f64 / 6.0) - u).abs() < 1e-12);
            // Away from the ends a cubic table gives parabolas, and lines everywhere; a spline its control points' line.
            assert!((sum(Basis::Cubic, 7, u, |i| i as f64 / 6.0) - u).abs() < 1e-12);
            if (0.2..0.8).contains(&u) {
                assert!((sum(Basis::Cubic, 7, u, |i| (i as f64 / 6.0).powi(2)) - u * u).abs() < 1e-12);
            }
            assert!((sum(Basis::Spline, 7, u, |i| (i as f64 - 1.0) / 4.0) - u).abs() < 1e-12);
            let x = 2.0 * u - 1.0;
            let cosine = (3.0 * x.acos()).cos();
            assert!((sum(Basis::Chebyshev, 5, u, |i| f64::from(u8::from(i == 3))) - cosine).abs() < 1e-12);
        }
    }
}
