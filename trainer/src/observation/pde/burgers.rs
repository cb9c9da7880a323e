//! Burgers' equation with a shock in the middle.

use std::f64::consts::PI;

use rustfft::num_complex::Complex;

use super::{Axis, Coefficient, Equation, Evolution, Field, Place, Term, spectral::thin};

/// u_t + u·u_x = ν·u_xx from a sine between walls (Basdevant et al. 1986; Raissi, Perdikaris, Karniadakis 2019).
#[derive(Debug)]
pub(super) struct Burgers;

/// Viscosity as published.
pub(super) const NU: f64 = 0.01 / PI;

impl Equation for Burgers {
    fn name(&self) -> &'static str {
        "burgers"
    }

    fn formula(&self) -> &'static str {
        "u_t + u·u_x = nu·u_xx, u(0, x) = -sin(πx), u(t, ±1) = 0"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 1.0), Axis::new("x", -1.0, 1.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("nu", NU)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u", "u_t", "u_x", "u_xx"], |p, [u, u_t, u_x, u_xx]| {
                [u_t + u * u_x - p.c[0] * u_xx]
            }),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| [u + (PI * p.x[1]).sin()]),
            Term::new("walls", Place::Ends(1), ["u"], |_, [u]| [u]),
        ]
    }

    fn reference(&self, c: &[f64]) -> Field {
        solve(c[0], 256)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal]
        refine = 0.3
        [signal.weights]
        initial = 20.0
        walls = 20.0
        [training]
        steps = 30000
        learning_rate = 3e-3
        "
    }
}

/// The solution at 101 times and `places` + 1 places; the sine's odd continuation keeps the walls at 0.
pub(super) fn solve(nu: f64, places: usize) -> Field {
    let evolution = Evolution {
        ends: (-1.0, 1.0),
        start: &|x| -(PI * x).sin(),
        linear: &|k| Complex::new(-nu * k * k, 0.0),
        nonlinear: &|u| -0.5 * u * u,
        derivative: 1,
    };
    thin(&evolution.run(1024, 1.0, 101, 20), 1024, places)
}
