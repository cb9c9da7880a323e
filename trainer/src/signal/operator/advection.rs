//! s_t + a(x) s_x = 0 with s(0, x) = sin(πx) and s(t, 0) = sin(πt/2), the speed being the input function (Wang, Wang,
//! Perdikaris 2021, section 4.4). Solved along its characteristics, exactly but for one integral.

use std::f64::consts::PI;

use super::{Draw, Generator, Line, Nodes};
use crate::signal::random_field::GaussianField;

pub(super) struct Advection;

const SENSORS: Line = Line { name: "x", lo: 0.0, hi: 1.0, count: 100 };
/// Pieces of the integral between two kept nodes.
const FINER: usize = 20;
const KEPT: usize = 51;

/// s `[times, nodes]` over t and x in [0, 1], for a speed `a` above 0 everywhere.
fn solve(a: impl Fn(f64) -> f64, times: usize, nodes: usize) -> Vec<f64> {
    // Time from the wall to x, by Simpson's rule.
    let pieces = (nodes - 1) * FINER;
    let h = 1.0 / pieces as f64;
    let mut arrival = vec![0.0];
    for i in 0..pieces {
        let x = i as f64 * h;
        let piece = h / 6.0 * (1.0 / a(x) + 4.0 / a(x + 0.5 * h) + 1.0 / a(x + h));
        arrival.push(arrival[i] + piece);
    }
    // Where a particle is that passed the wall at time -`age`: between two nodes by Newton's method on the integral.
    let place = |age: f64| {
        let i = arrival.partition_point(|t| *t <= age).clamp(1, pieces) - 1;
        let mut x = i as f64 * h;
        for _ in 0..4 {
            let from = i as f64 * h;
            let d = x - from;
            let t = arrival[i] + d / 6.0 * (1.0 / a(from) + 4.0 / a(from + 0.5 * d) + 1.0 / a(x));
            x += (age - t) * a(x);
        }
        x
    };
    let value = |t: f64, n: usize| {
        let age = arrival[n * FINER] - t;
        if age >= 0.0 { (PI * place(age)).sin() } else { (-0.5 * PI * age).sin() }
    };
    (0..times)
        .flat_map(|i| (0..nodes).map(move |n| (i, n)))
        .map(|(i, n)| value(i as f64 / (times - 1) as f64, n))
        .collect()
}

impl Generator for Advection {
    fn name(&self) -> &'static str {
        "advection"
    }

    fn formula(&self) -> &'static str {
        "a(x) -> s(t, x): s_t + a s_x = 0, s = sin(πx) at t = 0, s = sin(πt/2) at x = 0"
    }

    fn settings(&self) -> &'static str {
        "a = v - min v + 1, v: Gaussian process, mean 0, squared-exponential kernel of length 0.2, 100 sensors; s: along \
         characteristics"
    }

    fn sensors(&self) -> (&'static str, Vec<Line>) {
        ("a", vec![SENSORS])
    }

    fn axes(&self) -> [Nodes; 2] {
        [("t", 0.0, 1.0, KEPT), ("x", 0.0, 1.0, KEPT)]
    }

    fn output(&self) -> (&'static str, f64) {
        ("s", 1.0)
    }

    fn draw(&self) -> Draw {
        let places: Vec<f64> = (0..SENSORS.count).map(|i| SENSORS.at(i)).collect();
        let field = GaussianField::new(&places, 0.2);
        Box::new(move |rng| {
            let v = field.draw(rng);
            let least = v.iter().copied().fold(f64::INFINITY, f64::min);
            let a: Vec<f64> = v.iter().map(|v| v - least + 1.0).collect();
            let s = solve(|x| SENSORS.interpolate(&a, x), KEPT, KEPT);
            (a, s)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a = 1 + x a particle that starts at x0 is at (1 + x0)·exp(t) - 1.
    #[test]
    fn a_growing_speed_gives_the_closed_form() {
        let s = solve(|x| 1.0 + x, 11, 21);
        for (i, s) in s.iter().enumerate() {
            let (t, x) = ((i / 21) as f64 / 10.0, (i % 21) as f64 / 20.0);
            let from = (1.0 + x) * (-t).exp() - 1.0;
            let expected = if from >= 0.0 { (PI * from).sin() } else { (0.5 * PI * (t - (1.0 + x).ln())).sin() };
            assert!((s - expected).abs() < crate::tolerance::SPECTRAL, "{t} {x}: {s} {expected}");
        }
    }
}
