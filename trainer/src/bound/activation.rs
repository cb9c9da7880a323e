//! What an activation can do over an interval: values, slopes, curvatures, and how far the runtime's routine is off.

use std::f64::consts::{PI, TAU};

use rwf_runtime::format::{Activation, MathBackend};

use crate::fold::activate;

/// Steepest slope of an activation.
pub(super) fn steepest(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Tanh => 1.0,
        Activation::Sine => TAU * (1.0 + 1e-15),
        Activation::Sigmoid => 0.25,
        Activation::Swish => 1.1,
        Activation::Gelu => 1.13,
    }
}

/// φ'(z) and φ''(z).
pub(super) fn derivatives(activation: Activation, z: f64) -> (f64, f64) {
    let logistic = |z: f64| 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Identity => (1.0, 0.0),
        Activation::Relu => (f64::from(u8::from(z > 0.0)), 0.0),
        Activation::Sine => (TAU * (TAU * z).cos(), -TAU * TAU * (TAU * z).sin()),
        Activation::Tanh => {
            let t = z.tanh();
            (1.0 - t * t, -2.0 * t * (1.0 - t * t))
        }
        Activation::Sigmoid => {
            let s = logistic(z);
            (s * (1.0 - s), s * (1.0 - s) * (1.0 - 2.0 * s))
        }
        Activation::Swish => {
            let s = logistic(z);
            let first = s * (1.0 - s);
            (s + z * first, first * (2.0 + z * (1.0 - 2.0 * s)))
        }
        Activation::Gelu => {
            let c = (2.0 / PI).sqrt();
            let t = (c * (z + 0.044715 * z.powi(3))).tanh();
            let (u1, u2) = (c * (1.0 + 3.0 * 0.044715 * z * z), 6.0 * 0.044715 * c * z);
            let s = 1.0 - t * t;
            (0.5 * (1.0 + t) + 0.5 * z * s * u1, s * u1 + 0.5 * z * s * (u2 - 2.0 * t * u1 * u1))
        }
    }
}

/// At least |φ''| over |x - z| <= `radius`.
pub(super) fn curvature(activation: Activation, z: f64, radius: f64) -> f64 {
    // |φ''| is even, rises to `peak` and falls behind it.
    let hump = |peak: f64, most: f64, f: &dyn Fn(f64) -> f64| {
        let (near, far) = ((z.abs() - radius).max(0.0), z.abs() + radius);
        if near <= peak && peak <= far { most } else { f(near).max(f(far)) }
    };
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sine => {
            let (lo, hi) = sine_range(z, radius);
            TAU * TAU * lo.abs().max(hi.abs())
        }
        Activation::Tanh => hump(0.658_478_948, 0.769_800_4, &|z| 2.0 * z.tanh() * (1.0 - z.tanh().powi(2))),
        Activation::Sigmoid => hump(1.316_957_897, 0.096_225_1, &|z| {
            let s = 1.0 / (1.0 + (-z).exp());
            s * (1.0 - s) * (2.0 * s - 1.0)
        }),
        Activation::Swish => 0.500_001,
        Activation::Gelu => 0.797_885,
    }
}

/// At least |φ'''| over |x - z| <= `radius`.
pub(super) fn third(activation: Activation, z: f64, radius: f64) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sine => {
            let (lo, hi) = sine_range(z + 0.25, radius);
            TAU.powi(3) * lo.abs().max(hi.abs())
        }
        // 2·(1 - t²)·|1 - 3t²|: the first factor is largest where |z| is least, the second at an end.
        Activation::Tanh => {
            let square = |z: f64| z.tanh().powi(2);
            let (near, far) = (square((z.abs() - radius).max(0.0)), square(z.abs() + radius));
            2.0 * (1.0 - near) * (1.0 - 3.0 * near).abs().max((1.0 - 3.0 * far).abs())
        }
        Activation::Sigmoid => 0.125_001,
        Activation::Swish => 0.308_2,
        Activation::Gelu => 0.776_8,
    }
}

/// Ends of φ over |x - z| <= `radius`, or beyond them.
pub(super) fn range(activation: Activation, z: f64, radius: f64) -> (f64, f64) {
    let y = activate(activation, z);
    match activation {
        Activation::Sine => sine_range(z, radius),
        // Neither falls below its least value.
        Activation::Swish => ((y - 1.1 * radius).max(-0.278_465), y + 1.1 * radius),
        Activation::Gelu => ((y - 1.13 * radius).max(-0.170_05), y + 1.13 * radius),
        Activation::Identity | Activation::Relu | Activation::Tanh | Activation::Sigmoid => {
            (activate(activation, z - radius), activate(activation, z + radius))
        }
    }
}

/// Ends of sin(2πx) over |x - z| <= `radius`.
fn sine_range(z: f64, radius: f64) -> (f64, f64) {
    if radius >= 0.5 {
        return (-1.0, 1.0);
    }
    let (lo, hi) = (z - radius, z + radius);
    let holds = |phase: f64| (lo - phase).ceil() + phase <= hi;
    let (a, b) = ((TAU * lo).sin(), (TAU * hi).sin());
    // A little out, for the sine of a large argument in f64.
    let margin = 1e-15 * (1.0 + TAU * z.abs());
    let least = if holds(0.75) { -1.0 } else { (a.min(b) - margin).max(-1.0) };
    let most = if holds(0.25) { 1.0 } else { (a.max(b) + margin).min(1.0) };
    (least, most)
}

/// Largest error of the runtime's routine in floats where its value is at most `size`: twice what its table of accuracy
/// allows.
pub(super) fn inaccuracy(activation: Activation, math: MathBackend, size: f64) -> f64 {
    let share = match math {
        MathBackend::Polynomial => 5e-7,
        MathBackend::Libm => 2.5e-6,
        MathBackend::Micromath => 0.1,
    };
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sine if math == MathBackend::Micromath => 0.01,
        Activation::Sine | Activation::Tanh | Activation::Sigmoid => share,
        Activation::Gelu | Activation::Swish => share * size.max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_and_curvatures_are_those_of_differences() {
        for activation in [Activation::Sine, Activation::Tanh, Activation::Sigmoid, Activation::Gelu, Activation::Swish]
        {
            for i in -120..=120 {
                let z = f64::from(i) * 0.05;
                let f = |x: f64| activate(activation, x);
                let (first, second) = derivatives(activation, z);
                let h = 1e-4;
                assert!(((f(z + h) - f(z - h)) / (2.0 * h) - first).abs() < 1e-5, "{activation:?} {z}");
                assert!(((f(z + h) - 2.0 * f(z) + f(z - h)) / (h * h) - second).abs() < 1e-4, "{activation:?} {z}");
                let h = 1e-5;
                let bend = |x: f64| derivatives(activation, x).1;
                let other = ((bend(z + h) - bend(z - h)) / (2.0 * h)).abs();
                assert!(first.abs() <= steepest(activation), "{activation:?} {z}");
                // At the point, and over a wider interval that it lies in.
                for (at, radius) in [(z, 1e-9), (z + 0.2, 0.2001), (z - 0.7, 0.7001)] {
                    let (two, three) = (curvature(activation, at, radius), third(activation, at, radius));
                    assert!(second.abs() <= two + 1e-6, "{activation:?} {z}: {second} {two}");
                    assert!(other <= three + 1e-5 * (1.0 + three), "{activation:?} {z}: {other} {three}");
                    let (lo, hi) = range(activation, at, radius);
                    assert!(f(z) >= lo - 1e-12 && f(z) <= hi + 1e-12, "{activation:?} {z}");
                }
            }
        }
    }
}
