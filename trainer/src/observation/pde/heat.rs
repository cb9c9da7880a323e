//! Heat that flows out of a rod.

use std::f64::consts::PI;

use super::{Axis, Coefficient, Equation, Field, Place, Term};

/// u_t = a·u_xx between cold ends; two waves that decay at rates of their own.
#[derive(Debug)]
pub(super) struct Heat;

pub(super) fn exact(a: f64, t: f64, x: f64) -> f64 {
    let wave = |k: f64| (-a * (k * PI).powi(2) * t).exp() * (k * PI * x).sin();
    wave(1.0) + 0.5 * wave(3.0)
}

impl Equation for Heat {
    fn name(&self) -> &'static str {
        "heat"
    }

    fn formula(&self) -> &'static str {
        "u_t = a·u_xx, u(0, x) = sin(πx) + sin(3πx)/2, u(t, 0) = u(t, 1) = 0"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 1.0), Axis::new("x", 0.0, 1.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("a", 0.1)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u_t", "u_xx"], |p, [u_t, u_xx]| [u_t - p.c[0] * u_xx]),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| [u - exact(0.0, 0.0, p.x[1])]),
            Term::new("walls", Place::Ends(1), ["u"], |_, [u]| [u]),
        ]
    }

    fn reference(&self, c: &[f64]) -> Field {
        Field::of([(0.0, 1.0), (0.0, 1.0)], [101, 101], |t, x| exact(c[0], t, x))
    }
}
