//! The lid-driven cavity: a square of fluid that its lid drags along.

use super::{Axis, Coefficient, Equation, Field, Place, Term};

/// The steady Navier-Stokes equations in a square whose lid slides, against the values along the centre lines of Ghia,
/// Ghia and Shin 1982, tables I and II.
#[derive(Debug)]
pub(super) struct Cavity;

/// Residuals fade within this distance of the lid's ends, where the velocity jumps and no residual is finite.
const CORNER: f64 = 0.1;

fn fade(x: &[f64]) -> f64 {
    let to = |end: f64| (x[0] - end).hypot(x[1] - 1.0);
    (to(0.0).min(to(1.0)) / CORNER).min(1.0)
}

impl Equation for Cavity {
    fn name(&self) -> &'static str {
        "cavity"
    }

    fn formula(&self) -> &'static str {
        "(u, v)·∇(u, v) = -∇p + Δ(u, v)/re, u_x + v_y = 0, (u, v) = (1, 0) on the lid, 0 on the walls"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("x", 0.0, 1.0), Axis::new("y", 0.0, 1.0)]
    }

    fn outputs(&self) -> Vec<(&'static str, f64)> {
        vec![("u", 1.0), ("v", 0.5), ("p", 0.5)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("re", 100.0)]
    }

    fn problem(&self, c: &[f64]) -> Option<&'static str> {
        table(c[0]).is_none().then_some("re of 100 or 400, which the tables are for")
    }

    fn terms(&self) -> Vec<Term> {
        let derivatives = ["u", "v", "u_x", "u_y", "v_x", "v_y", "p_x", "p_y", "Δu", "Δv"];
        vec![
            Term::new("equation", Place::Inside, derivatives, |p, [u, v, u_x, u_y, v_x, v_y, p_x, p_y, lu, lv]| {
                let fade = fade(p.x);
                [
                    fade * (u * u_x + v * u_y + p_x - lu / p.c[0]),
                    fade * (u * v_x + v * v_y + p_y - lv / p.c[0]),
                    fade * (u_x + v_y),
                ]
            }),
            Term::new("lid", Place::High(1), ["u", "v"], |p, [u, v]| [fade(p.x) * (u - 1.0), fade(p.x) * v]),
            Term::new("sides", Place::Ends(0), ["u", "v"], |p, [u, v]| [fade(p.x) * u, fade(p.x) * v]),
            Term::new("floor", Place::Low(1), ["u", "v"], |_, [u, v]| [u, v]),
        ]
    }

    fn reference(&self, c: &[f64]) -> Field {
        let (u, v) = table(c[0]).unwrap_or(([f64::NAN; 17], [f64::NAN; 17]));
        let mut field = Field { points: Vec::new(), values: Vec::new(), outputs: 3, shape: Vec::new() };
        for (y, u) in Y.into_iter().zip(u) {
            field.points.extend([0.5, y]);
            field.values.extend([u, f64::NAN, f64::NAN]);
        }
        for (x, v) in X.into_iter().zip(v) {
            field.points.extend([x, 0.5]);
            field.values.extend([f64::NAN, v, f64::NAN]);
        }
        field
    }

    fn defaults(&self, c: &[f64]) -> &'static str {
        if c[0] > 100.0 { FAST } else { SLOW }
    }
}

const SLOW: &str = "
    [signal]
    points = 1024
    [signal.weights]
    lid = 20.0
    sides = 20.0
    floor = 20.0
    [training]
    steps = 6000
    lbfgs = 10000
    ";

/// From the start, training would end near a flow that is none: it has to come from a slower one.
const FAST: &str = "
    [signal]
    points = 1024
    [signal.weights]
    lid = 5.0
    sides = 5.0
    floor = 5.0
    [signal.curriculum]
    coefficient = 're'
    from = 100.0
    start = 0.3
    share = 0.6
    [training]
    steps = 6000
    lbfgs = 24000
    ";

/// Heights of table I, along x = 1/2.
#[rustfmt::skip]
const Y: [f64; 17] = [
    1.0, 0.9766, 0.9688, 0.9609, 0.9531, 0.8516, 0.7344, 0.6172, 0.5, 0.4531, 0.2813, 0.1719, 0.1016, 0.0703, 0.0625,
    0.0547, 0.0,
];

/// Places of table II, along y = 1/2.
#[rustfmt::skip]
const X: [f64; 17] = [
    1.0, 0.9688, 0.9609, 0.9531, 0.9453, 0.9063, 0.8594, 0.8047, 0.5, 0.2344, 0.2266, 0.1563, 0.0938, 0.0781, 0.0703,
    0.0625, 0.0,
];

/// u at [`Y`] and v at [`X`]. Of Re = 400, v at x = 0.9063 is left out: the -0.23827 printed there does not lie on a curve
/// with its neighbours.
#[rustfmt::skip]
fn table(re: f64) -> Option<([f64; 17], [f64; 17])> {
    if re == 100.0 {
        Some((
            [
                1.0, 0.84123, 0.78871, 0.73722, 0.68717, 0.23151, 0.00332, -0.13641, -0.20581, -0.21090, -0.15662,
                -0.10150, -0.06434, -0.04775, -0.04192, -0.03717, 0.0,
            ],
            [
                0.0, -0.05906, -0.07391, -0.08864, -0.10313, -0.16914, -0.22445, -0.24533, 0.05454, 0.17527, 0.17507,
                0.16077, 0.12317, 0.10890, 0.10091, 0.09233, 0.0,
            ],
        ))
    } else if re == 400.0 {
        Some((
            [
                1.0, 0.75837, 0.68439, 0.61756, 0.55892, 0.29093, 0.16256, 0.02135, -0.11477, -0.17119, -0.32726,
                -0.24299, -0.14612, -0.10338, -0.09266, -0.08186, 0.0,
            ],
            [
                0.0, -0.12146, -0.15663, -0.19254, -0.22847, f64::NAN, -0.44993, -0.38598, 0.05186, 0.30174, 0.30203,
                0.28124, 0.22965, 0.20920, 0.19713, 0.18360, 0.0,
            ],
        ))
    } else {
        None
    }
}
