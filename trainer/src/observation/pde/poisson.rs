//! Poisson's equation on a square.

use std::f64::consts::PI;

use super::{Axis, Equation, Field, Place, Term};

/// -Δu = f with u = 0 all around; f is that of a product of sines.
#[derive(Debug)]
pub(super) struct Poisson;

pub(super) fn exact(x: f64, y: f64) -> f64 {
    (PI * x).sin() * (2.0 * PI * y).sin()
}

impl Equation for Poisson {
    fn name(&self) -> &'static str {
        "poisson"
    }

    fn formula(&self) -> &'static str {
        "-Δu = 5π²·sin(πx)·sin(2πy), u = 0 all around"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("x", 0.0, 1.0), Axis::new("y", 0.0, 1.0)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["Δu"], |p, [laplacian]| {
                [laplacian + 5.0 * PI * PI * exact(p.x[0], p.x[1])]
            }),
            Term::new("walls-x", Place::Ends(0), ["u"], |_, [u]| [u]),
            Term::new("walls-y", Place::Ends(1), ["u"], |_, [u]| [u]),
        ]
    }

    fn reference(&self, _: &[f64]) -> Field {
        Field::of([(0.0, 1.0), (0.0, 1.0)], [101, 101], exact)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal.weights]
        walls-x = 1000.0
        walls-y = 1000.0
        "
    }
}
