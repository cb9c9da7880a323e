//! Fisher's equation: a front that travels.

use super::{Axis, Equation, Field, Place, Term};

#[derive(Debug)]
pub(super) struct Fisher;

/// A front of speed 5/√6 (Ablowitz and Zeppetella 1979), for r = 1.
pub(super) fn exact(t: f64, x: f64) -> f64 {
    (1.0 + ((x - 5.0 / 6f64.sqrt() * t) / 6f64.sqrt()).exp()).powi(-2)
}

impl Equation for Fisher {
    fn name(&self) -> &'static str {
        "fisher"
    }

    fn formula(&self) -> &'static str {
        "u_t = u_xx + u·(1 - u), a front from the left"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 4.0), Axis::new("x", -10.0, 20.0)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u", "u_t", "u_xx"], |_, [u, u_t, u_xx]| {
                [u_t - u_xx - u * (1.0 - u)]
            }),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| [u - exact(0.0, p.x[1])]),
            Term::new("ends", Place::Ends(1), ["u"], |p, [u]| [u - exact(p.x[0], p.x[1])]),
        ]
    }

    fn reference(&self, _: &[f64]) -> Field {
        Field::of([(0.0, 4.0), (-10.0, 20.0)], [81, 201], exact)
    }
}
