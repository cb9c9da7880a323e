//! The Allen-Cahn equation, whose fronts sharpen.

use std::f64::consts::PI;

use rustfft::num_complex::Complex;

use super::{Axis, Coefficient, Equation, Evolution, Field, Place, Term, spectral::thin};

/// u_t = d·u_xx - 5u³ + 5u, periodic (Raissi, Perdikaris, Karniadakis 2019; the settings of arXiv 2308.08468).
#[derive(Debug)]
pub(super) struct AllenCahn;

impl Equation for AllenCahn {
    fn name(&self) -> &'static str {
        "allen-cahn"
    }

    fn formula(&self) -> &'static str {
        "u_t = d·u_xx - 5u³ + 5u, u(0, x) = x²·cos(πx), periodic in x"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 1.0), Axis::new("x", -1.0, 1.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("d", 1e-4)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u", "u_t", "u_xx"], |p, [u, u_t, u_xx]| {
                [u_t - p.c[0] * u_xx + 5.0 * u.cube() - 5.0 * u]
            }),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| {
                let x = p.x[1];
                [u - x * x * (PI * x).cos()]
            }),
        ]
    }

    fn periodic(&self) -> bool {
        true
    }

    fn reference(&self, c: &[f64]) -> Field {
        let d = c[0];
        let evolution = Evolution {
            ends: (-1.0, 1.0),
            start: &|x| x * x * (PI * x).cos(),
            linear: &|k| Complex::new(5.0 - d * k * k, 0.0),
            nonlinear: &|u| -5.0 * u * u * u,
            derivative: 0,
        };
        thin(&evolution.run(1024, 1.0, 101, 10), 1024, 256)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal]
        points = 1024
        refine = 0.2
        windows = 5
        [signal.weights]
        initial = 100.0
        [network.mapping]
        kind = 'periodic'
        harmonics = 4
        waves = 64
        scale = 0.2
        [training]
        steps = 30000
        "
    }
}
