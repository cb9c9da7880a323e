//! s_t + s s_x = ν s_xx, periodic, from the input function (Wang, Wang, Perdikaris 2021, section 4.5).

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;

use super::{Draw, Generator, Line, Nodes};
use crate::observation::pde::Evolution;

pub(super) struct Burgers;

const NU: f64 = 0.01;
const SENSORS: Line = Line { name: "x", lo: 0.0, hi: 1.0, count: 101 };
/// Waves of the input function; the amplitude of the last is 1e-6 of that of the first.
const WAVES: usize = 32;
/// Nodes of the solver, and steps between two kept times.
const NODES: usize = 200;
const STEPS: usize = 10;
const TIMES: usize = 41;
const PLACES: usize = 51;

/// A function Σ a_k cos(2πkx) + b_k sin(2πkx).
struct Waves(Vec<(f64, f64)>);

impl Waves {
    fn at(&self, x: f64) -> f64 {
        (1..)
            .zip(&self.0)
            .map(|(k, (a, b))| {
                let (sin, cos) = libm::sincos(TAU * f64::from(k) * x);
                a * cos + b * sin
            })
            .sum()
    }
}

fn solve(start: &dyn Fn(f64) -> f64, nodes: usize, times: usize, steps: usize) -> Vec<f64> {
    let evolution = Evolution {
        ends: (0.0, 1.0),
        start,
        linear: &|k| Complex::new(-NU * k * k, 0.0),
        nonlinear: &|u| -0.5 * u * u,
        derivative: 1,
    };
    evolution.run(nodes, 1.0, times, steps)
}

impl Generator for Burgers {
    fn name(&self) -> &'static str {
        "burgers"
    }

    fn formula(&self) -> &'static str {
        "u(x) -> s(t, x): s_t + s s_x = 0.01 s_xx, periodic in x, s = u at t = 0"
    }

    fn settings(&self) -> &'static str {
        "u: periodic Gaussian field of mean 0 with covariance sigma²(-Δ + 5²)^-4, sigma = 25² as in the authors' generator, \
         32 waves, 101 sensors; s: pseudo-spectral on 200 nodes, fourth order, 400 steps"
    }

    fn sensors(&self) -> (&'static str, Vec<Line>) {
        ("u", vec![SENSORS])
    }

    fn axes(&self) -> [Nodes; 2] {
        [("t", 0.0, 1.0, TIMES), ("x", 0.0, 1.0, PLACES)]
    }

    fn output(&self) -> (&'static str, f64) {
        ("s", 0.3)
    }

    fn draw(&self) -> Draw {
        Box::new(|rng| {
            let amplitude = |k: usize| 2f64.sqrt() * 625.0 * ((TAU * k as f64).powi(2) + 25.0).powi(-2);
            let waves =
                Waves((1..=WAVES).map(|k| (amplitude(k) * rng.normal(), amplitude(k) * rng.normal())).collect());
            let s = solve(&|x| waves.at(x), NODES, TIMES, STEPS);
            let every = NODES / (PLACES - 1);
            // The far end is the near one.
            let kept = s.chunks_exact(NODES).flat_map(|row| (0..PLACES).map(|i| row[i * every % NODES])).collect();
            ((0..SENSORS.count).map(|i| waves.at(SENSORS.at(i))).collect(), kept)
        })
    }

    fn defaults(&self) -> &'static str {
        "
        [network.mapping]
        kind = 'periodic'
        harmonics = 4
        "
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// The solver is tested against closed forms where it is; here, that nodes and steps are enough.
    #[test]
    fn twice_the_nodes_and_steps_change_nothing() {
        for seed in 0..4 {
            let mut rng = Rng::new(seed);
            let waves = Waves(
                (0..WAVES)
                    .map(|k| {
                        let size = 0.3 / (1 + k).pow(3) as f64;
                        (size * rng.normal(), size * rng.normal())
                    })
                    .collect(),
            );
            let start = |x: f64| waves.at(x);
            let (coarse, fine) = (solve(&start, NODES, 3, 20 * STEPS), solve(&start, 2 * NODES, 3, 40 * STEPS));
            for i in 0..NODES {
                let (a, b) = (coarse[2 * NODES + i], fine[4 * NODES + 2 * i]);
                assert!((a - b).abs() < crate::tolerance::SOLVER, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_kept_begins_as_the_input_and_is_periodic() {
        let (u, s) = Burgers.draw()(&mut Rng::new(5));
        for i in 0..PLACES {
            // Waves above two thirds of the solver's highest are not there.
            assert!((s[i] - u[2 * i]).abs() < 1e-6, "{} {}", s[i], u[2 * i]);
        }
        assert!(s.chunks_exact(PLACES).all(|row| row[0] == row[PLACES - 1]));
    }
}
