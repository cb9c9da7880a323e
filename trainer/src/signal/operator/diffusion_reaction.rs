//! s_t = D s_xx + k s² + u(x) from nothing between walls of nothing, the source being the input function (Wang, Wang,
//! Perdikaris 2021, section 4.3).

use super::{Draw, Generator, Line, Nodes};
use crate::signal::random_field::GaussianField;

pub(super) struct DiffusionReaction;

/// Diffusion and reaction.
const D: f64 = 0.01;
const K: f64 = 0.01;
const SENSORS: Line = Line { name: "x", lo: 0.0, hi: 1.0, count: 100 };
/// Nodes and steps of the solver for one of what is kept.
const FINER: usize = 4;
const KEPT: usize = 51;

/// s `[times, nodes]` at `times` evenly spaced times from 0 to 1, `every` steps between two, for a source at the nodes of
/// [0, 1]. Second order in both: the rule of Crank and Nicolson (1947), the reaction by its mean over a step.
fn solve(u: &[f64], (d, k): (f64, f64), times: usize, every: usize) -> Vec<f64> {
    let n = u.len();
    let dt = 1.0 / ((times - 1) * every) as f64;
    let r = 0.5 * dt * d * ((n - 1) as f64).powi(2);
    let mut s = vec![0.0; n];
    let mut out = s.clone();
    let (mut right, mut upper) = (vec![0.0; n], vec![0.0; n]);
    for _ in 1..times {
        for _ in 0..every {
            let mut next = s.clone();
            // The reaction is weak: three rounds bring its mean to rounding.
            for _ in 0..3 {
                for i in 1..n - 1 {
                    let mean = 0.5 * (s[i] + next[i]);
                    right[i] = s[i] + r * (s[i - 1] - 2.0 * s[i] + s[i + 1]) + dt * (u[i] + k * mean * mean);
                }
                // Elimination down (Thomas 1949), and back up.
                for i in 1..n - 1 {
                    let below = if i > 1 { upper[i - 1] } else { 0.0 };
                    let pivot = 1.0 + 2.0 * r + r * below;
                    upper[i] = -r / pivot;
                    let before = if i > 1 { right[i - 1] } else { 0.0 };
                    right[i] = (right[i] + r * before) / pivot;
                }
                for i in (1..n - 1).rev() {
                    next[i] = right[i] - upper[i] * next[i + 1];
                }
            }
            s = next;
        }
        out.extend_from_slice(&s);
    }
    out
}

impl Generator for DiffusionReaction {
    fn name(&self) -> &'static str {
        "diffusion-reaction"
    }

    fn formula(&self) -> &'static str {
        "u(x) -> s(t, x): s_t = 0.01 s_xx + 0.01 s² + u, s = 0 at t = 0, x = 0, x = 1"
    }

    fn settings(&self) -> &'static str {
        "u: Gaussian process, mean 0, squared-exponential kernel of length 0.2, 100 sensors; s: Crank-Nicolson on 201 nodes, \
         200 steps"
    }

    fn sensors(&self) -> (&'static str, Vec<Line>) {
        ("u", vec![SENSORS])
    }

    fn axes(&self) -> [Nodes; 2] {
        [("t", 0.0, 1.0, KEPT), ("x", 0.0, 1.0, KEPT)]
    }

    fn output(&self) -> (&'static str, f64) {
        ("s", 0.5)
    }

    fn draw(&self) -> Draw {
        let places: Vec<f64> = (0..SENSORS.count).map(|i| SENSORS.at(i)).collect();
        let field = GaussianField::new(&places, 0.2);
        let nodes = (KEPT - 1) * FINER + 1;
        Box::new(move |rng| {
            let u = field.draw(rng);
            let source: Vec<f64> = (0..nodes).map(|i| SENSORS.interpolate(&u, i as f64 / (nodes - 1) as f64)).collect();
            let s = solve(&source, (D, K), KEPT, FINER);
            let kept = s.chunks_exact(nodes).flat_map(|row| row.iter().step_by(FINER).copied()).collect();
            (u, kept)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn source(n: usize) -> Vec<f64> {
        (0..n).map(|i| (PI * i as f64 / (n - 1) as f64).sin()).collect()
    }

    /// Without reaction a sine stays one: s = (1 - exp(-D π² t))/(D π²)·sin(πx).
    #[test]
    fn a_sine_grows_as_the_closed_form_says() {
        let s = solve(&source(201), (0.1, 0.0), 11, 20);
        let rate = 0.1 * PI * PI;
        for (t, row) in s.chunks_exact(201).enumerate() {
            let amplitude = (1.0 - (-rate * t as f64 / 10.0).exp()) / rate;
            for (i, s) in row.iter().enumerate() {
                let expected = amplitude * (PI * i as f64 / 200.0).sin();
                assert!((s - expected).abs() < crate::tolerance::SOLVER, "{t} {i}: {s} {expected}");
            }
        }
    }

    /// Half the distances, a quarter of the error, with a strong reaction.
    #[test]
    fn the_error_falls_by_the_square_of_the_distances() {
        let end = |n: usize, steps: usize| solve(&source(n), (0.1, 1.0), 2, steps)[n + n / 2];
        let (coarse, middle, fine) = (end(21, 10), end(41, 20), end(81, 40));
        let order = ((coarse - middle) / (middle - fine)).abs().log2();
        assert!((order - 2.0).abs() < 0.2, "{order}");
    }
}
