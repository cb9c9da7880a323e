//! A string that swings.

use std::f64::consts::PI;

use super::{Axis, Coefficient, Equation, Field, Place, Term};

/// u_tt = c²·u_xx between fixed ends, let go at rest; two standing waves (Wang, Yu, Perdikaris 2022).
#[derive(Debug)]
pub(super) struct Wave;

pub(super) fn exact(c: f64, t: f64, x: f64) -> f64 {
    let wave = |k: f64| (k * PI * x).sin() * (k * PI * c * t).cos();
    wave(1.0) + 0.5 * wave(2.0)
}

impl Equation for Wave {
    fn name(&self) -> &'static str {
        "wave"
    }

    fn formula(&self) -> &'static str {
        "u_tt = c²·u_xx, u(0, x) = sin(πx) + sin(2πx)/2, u_t(0, x) = 0, u(t, 0) = u(t, 1) = 0"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 1.0), Axis::new("x", 0.0, 1.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("c", 1.0)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u_tt", "u_xx"], |p, [u_tt, u_xx]| [u_tt - p.c[0].square() * u_xx]),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| [u - exact(0.0, 0.0, p.x[1])]),
            Term::new("at-rest", Place::Low(0), ["u_t"], |_, [u_t]| [u_t]),
            Term::new("walls", Place::Ends(1), ["u"], |_, [u]| [u]),
        ]
    }

    fn reference(&self, c: &[f64]) -> Field {
        Field::of([(0.0, 1.0), (0.0, 1.0)], [101, 101], |t, x| exact(c[0], t, x))
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal.weights]
        initial = 100.0
        at-rest = 10.0
        walls = 100.0
        "
    }
}
