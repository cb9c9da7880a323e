//! Helmholtz' equation on a square.

use std::f64::consts::PI;

use super::{Axis, Coefficient, Equation, Field, Place, Term};

/// Δu + k²·u = q with u = 0 all around; q is that of sin(πx)·sin(4πy) (Wang, Teng, Perdikaris 2021).
#[derive(Debug)]
pub(super) struct Helmholtz;

pub(super) fn exact(x: f64, y: f64) -> f64 {
    (PI * x).sin() * (4.0 * PI * y).sin()
}

impl Equation for Helmholtz {
    fn name(&self) -> &'static str {
        "helmholtz"
    }

    fn formula(&self) -> &'static str {
        "Δu + k²·u = (k² - 17π²)·sin(πx)·sin(4πy), u = 0 all around"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("x", -1.0, 1.0), Axis::new("y", -1.0, 1.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("k", 1.0)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u", "Δu"], |p, [u, laplacian]| {
                let source = (p.c[0].square() - 17.0 * PI * PI) * exact(p.x[0], p.x[1]);
                [laplacian + p.c[0].square() * u - source]
            }),
            Term::new("walls-x", Place::Ends(0), ["u"], |_, [u]| [u]),
            Term::new("walls-y", Place::Ends(1), ["u"], |_, [u]| [u]),
        ]
    }

    fn reference(&self, _: &[f64]) -> Field {
        Field::of([(-1.0, 1.0), (-1.0, 1.0)], [101, 101], exact)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal.weights]
        walls-x = 1000.0
        walls-y = 1000.0
        "
    }
}
