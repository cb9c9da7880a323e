//! Advection: a sine that travels fast.

use std::f64::consts::TAU;

use super::{Axis, Coefficient, Equation, Field, Place, Term};

/// u_t + c·u_x = 0, periodic; c = 30 and 80 are where networks begin to fail (Krishnapriyan et al. 2021; the settings of
/// arXiv 2308.08468).
#[derive(Debug)]
pub(super) struct Advection;

impl Equation for Advection {
    fn name(&self) -> &'static str {
        "advection"
    }

    fn formula(&self) -> &'static str {
        "u_t + c·u_x = 0, u(0, x) = sin(x), periodic in x"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 1.0), Axis::new("x", 0.0, TAU)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("c", 30.0)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u_t", "u_x"], |p, [u_t, u_x]| [u_t + p.c[0] * u_x]),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| [u - p.x[1].sin()]),
        ]
    }

    fn periodic(&self) -> bool {
        true
    }

    fn reference(&self, c: &[f64]) -> Field {
        Field::of([(0.0, 1.0), (0.0, TAU)], [201, 101], |t, x| (x - c[0] * t).sin())
    }

    fn defaults(&self, c: &[f64]) -> &'static str {
        // The plane waves' frequencies must reach the solution's own, c/4π turns a unit of the network's time.
        if c[0].abs() > 40.0 { FAST } else { SLOW }
    }
}

const SLOW: &str = "
    [signal]
    points = 1024
    [signal.weights]
    initial = 100.0
    [network.mapping]
    kind = 'periodic'
    waves = 48
    scale = 3.0
    [training]
    steps = 8000
    ";

const FAST: &str = "
    [signal]
    points = 1024
    [signal.weights]
    initial = 100.0
    [network.mapping]
    kind = 'periodic'
    waves = 64
    scale = 6.0
    [training]
    steps = 10000
    ";
