//! -∇·(a ∇s) = 1 on the unit square, s = 0 along its edge, the logarithm of the permeability being the input function: the
//! permeability itself spans decades. No published setting was to be had: field, sensors and grid are our own.

use std::f64::consts::PI;

use super::{Draw, Generator, Line, Nodes};

pub(super) struct Darcy;

/// Waves of the logarithm of the permeability along an axis, the constant one among them.
const WAVES: usize = 6;
const SENSORS: usize = 21;
/// Nodes of the solver along an axis; every other one is kept.
const NODES: usize = 41;
const KEPT: usize = 21;

/// s `[n, n]` for the permeability `a` `[n, n]` at the nodes: flows between neighbours by the harmonic mean of theirs
/// (five points, second order), solved by a banded Cholesky factorization.
fn solve(a: &[f64], n: usize) -> Vec<f64> {
    let inner = n - 2;
    let size = inner * inner;
    let scale = ((n - 1) as f64).powi(2);
    let face = |p: usize, q: usize| 2.0 * scale * a[p] * a[q] / (a[p] + a[q]);
    // Rows of the lower factor, `[size][inner + 1]`, the diagonal last.
    let band = inner + 1;
    let mut lower = vec![0.0; size * band];
    let mut s = vec![1.0; size];
    for row in 0..size {
        let (i, j) = (row / inner, row % inner);
        let at = (i + 1) * n + j + 1;
        let entry = &mut lower[row * band..][..band];
        entry[band - 1] = [at - 1, at + 1, at - n, at + n].iter().map(|&other| face(at, other)).sum();
        if j > 0 {
            entry[band - 2] = -face(at, at - 1);
        }
        if i > 0 {
            entry[0] = -face(at, at - n);
        }
        for column in row.saturating_sub(inner)..=row {
            // Entry (row, column) is at column - row + inner of the row's band.
            let first = row.saturating_sub(inner);
            let (mine, other) = (&lower[row * band..][..band], &lower[column * band..][..band]);
            let from = first.max(column.saturating_sub(inner));
            let sum: f64 = (from..column).map(|k| mine[k + inner - row] * other[k + inner - column]).sum();
            let left = mine[column + inner - row] - sum;
            lower[row * band + column + inner - row] =
                if column == row { left.sqrt() } else { left / lower[column * band + inner] };
        }
        let first = row.saturating_sub(inner);
        let sum: f64 = (first..row).map(|k| lower[row * band + k + inner - row] * s[k]).sum();
        s[row] = (s[row] - sum) / lower[row * band + inner];
    }
    for row in (0..size).rev() {
        s[row] /= lower[row * band + inner];
        let value = s[row];
        for k in row.saturating_sub(inner)..row {
            s[k] -= lower[row * band + k + inner - row] * value;
        }
    }
    let mut out = vec![0.0; n * n];
    for (row, s) in s.into_iter().enumerate() {
        out[(row / inner + 1) * n + row % inner + 1] = s;
    }
    out
}

impl Generator for Darcy {
    fn name(&self) -> &'static str {
        "darcy"
    }

    fn formula(&self) -> &'static str {
        "log a(x, y) -> s(x, y): -∇·(a ∇s) = 1, s = 0 along the edge of the unit square"
    }

    fn settings(&self) -> &'static str {
        "our own: log a = Σ over i, j < 6 of 9/(π²(i² + j²) + 9)·N(0, 1)·cos(πix)cos(πjy), seen at 21x21 sensors; s: five-point \
         differences on 41x41 nodes, banded Cholesky"
    }

    fn sensors(&self) -> (&'static str, Vec<Line>) {
        let line = |name| Line { name, lo: 0.0, hi: 1.0, count: SENSORS };
        ("log_a", vec![line("x"), line("y")])
    }

    fn axes(&self) -> [Nodes; 2] {
        [("x", 0.0, 1.0, KEPT), ("y", 0.0, 1.0, KEPT)]
    }

    fn output(&self) -> (&'static str, f64) {
        ("s", 0.1)
    }

    fn draw(&self) -> Draw {
        let cosines: Vec<Vec<f64>> = (0..WAVES)
            .map(|i| (0..NODES).map(|n| libm::cos(PI * i as f64 * n as f64 / (NODES - 1) as f64)).collect())
            .collect();
        Box::new(move |rng| {
            let mut log = vec![0.0; NODES * NODES];
            for (i, x) in cosines.iter().enumerate() {
                for (j, y) in cosines.iter().enumerate() {
                    let size = 9.0 / (PI * PI * (i * i + j * j) as f64 + 9.0) * rng.normal();
                    for (row, x) in log.chunks_exact_mut(NODES).zip(x) {
                        row.iter_mut().zip(y).for_each(|(l, y)| *l += size * x * y);
                    }
                }
            }
            let a: Vec<f64> = log.iter().copied().map(libm::exp).collect();
            let every = |values: &[f64], step: usize| -> Vec<f64> {
                values.chunks_exact(NODES).step_by(step).flat_map(|row| row.iter().step_by(step).copied()).collect()
            };
            let s = solve(&a, NODES);
            (every(&log, (NODES - 1) / (SENSORS - 1)), every(&s, (NODES - 1) / (KEPT - 1)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: usize, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let at = |i: usize| i as f64 / (n - 1) as f64;
        (0..n * n).map(|i| f(at(i / n), at(i % n))).collect()
    }

    /// Uniform permeability: s at the middle by the double sine series, 0.0736713.../a.
    #[test]
    fn uniform_ground_gives_the_series() {
        let mut middle = 0.0;
        for i in (1..400).step_by(2) {
            for j in (1..400).step_by(2) {
                let (i, j) = (f64::from(i), f64::from(j));
                let sign = if (i as u32 / 2 + j as u32 / 2).is_multiple_of(2) { 1.0 } else { -1.0 };
                middle += sign * 16.0 / (PI.powi(4) * i * j * (i * i + j * j));
            }
        }
        let s = solve(&of(41, |_, _| 2.0), 41);
        assert!((2.0 * s[20 * 41 + 20] - middle).abs() < 1e-4, "{} {middle}", 2.0 * s[20 * 41 + 20]);
    }

    /// Half the distance, a quarter of the error, with permeability that varies; and flow through no edge but the walls'.
    #[test]
    fn the_error_falls_by_the_square_of_the_distance() {
        let a = |x: f64, y: f64| (1.5 * (3.0 * x).sin() + (2.0 * y + x).cos()).exp();
        let end = |n: usize| solve(&of(n, a), n)[n / 4 * n + n / 2];
        let (coarse, middle, fine) = (end(9), end(17), end(33));
        let order = ((coarse - middle) / (middle - fine)).abs().log2();
        assert!((order - 2.0).abs() < 0.4, "{order}");
    }
}
