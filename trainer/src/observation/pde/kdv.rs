//! The equation of Korteweg and de Vries: a wave that breaks up into solitons.

use std::f64::consts::PI;

use rustfft::num_complex::Complex;

use super::{Axis, Coefficient, Equation, Evolution, Field, Place, Term, spectral::thin};

/// u_t + u·u_x + d·u_xxx = 0 from a cosine, periodic (Zabusky and Kruskal 1965; Raissi et al. 2019).
#[derive(Debug)]
pub(super) struct KortewegDeVries;

impl Equation for KortewegDeVries {
    fn name(&self) -> &'static str {
        "kdv"
    }

    fn formula(&self) -> &'static str {
        "u_t + u·u_x + d·u_xxx = 0, u(0, x) = cos(πx), periodic in x"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, 1.0), Axis::new("x", -1.0, 1.0)]
    }

    fn outputs(&self) -> Vec<(&'static str, f64)> {
        vec![("u", 2.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("d", 0.0025)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u", "u_t", "u_x", "u_xxx"], |p, [u, u_t, u_x, u_xxx]| {
                [u_t + u * u_x + p.c[0] * u_xxx]
            }),
            Term::new("initial", Place::Low(0), ["u"], |p, [u]| [u - (PI * p.x[1]).cos()]),
        ]
    }

    fn periodic(&self) -> bool {
        true
    }

    fn reference(&self, c: &[f64]) -> Field {
        let d = c[0];
        let evolution = Evolution {
            ends: (-1.0, 1.0),
            start: &|x| (PI * x).cos(),
            linear: &|k| Complex::new(0.0, d * k * k * k),
            nonlinear: &|u| -0.5 * u * u,
            derivative: 1,
        };
        thin(&evolution.run(512, 1.0, 101, 100), 512, 256)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal]
        points = 1024
        windows = 5
        [signal.weights]
        initial = 100.0
        [network]
        architecture = 'modified-mlp'
        [network.mapping]
        kind = 'periodic'
        harmonics = 4
        waves = 48
        scale = 0.2
        [training]
        steps = 12000
        lbfgs = 3000
        "
    }
}
