//! Activations in place and their slopes, and the way back; vectorised for the widest registers the machine has.

use pulp::Arch;
use rwf_runtime::{
    format::Activation,
    math::{Math, Polynomial},
};

use super::{
    relu::{relu, relu_backward},
    sine::{sin_cos, sine},
};

/// Whether the slope follows from the value, so that none need be kept.
pub(super) fn slope_from_value(kind: Activation) -> bool {
    matches!(kind, Activation::Identity | Activation::Relu | Activation::Tanh | Activation::Sigmoid)
}

/// z <- act(z); `slope` <- act'(z) for activations whose slope does not follow from the value.
pub(super) fn forward(kind: Activation, z: &mut [f32], slope: Option<&mut [f32]>) {
    match kind {
        Activation::Sine => return sine(z, slope),
        Activation::Relu => return relu(z),
        _ => {}
    }
    Arch::new().dispatch(
        #[inline(always)]
        || match kind {
            Activation::Identity | Activation::Sine | Activation::Relu => {}
            Activation::Tanh => values(z, Polynomial::tanh),
            Activation::Sigmoid => values(z, Polynomial::sigmoid),
            Activation::Gelu => both(z, slope, Polynomial::gelu, |x, _| {
                const K: f32 = 0.797_884_6;
                let t = Polynomial::tanh(K * (x + 0.044_715 * (x * x * x)));
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * K * (1.0 + 3.0 * 0.044_715 * x * x)
            }),
            Activation::Swish => both(z, slope, Polynomial::swish, |x, y| {
                let s = Polynomial::sigmoid(x);
                s + y * (1.0 - s)
            }),
        },
    );
}

#[inline(always)]
fn values(z: &mut [f32], f: impl Fn(f32) -> f32) {
    z.iter_mut().for_each(|z| *z = f(*z));
}

#[inline(always)]
fn both(z: &mut [f32], slope: Option<&mut [f32]>, f: impl Fn(f32) -> f32, derivative: impl Fn(f32, f32) -> f32) {
    let Some(slope) = slope else { return values(z, f) };
    for (z, d) in z.iter_mut().zip(slope) {
        let x = *z;
        *z = f(x);
        *d = derivative(x, *z);
    }
}

/// g <- g·act'; `y` are the values, `slope` what [`forward`] kept.
pub(super) fn backward(kind: Activation, g: &mut [f32], y: &[f32], slope: &[f32]) {
    if kind == Activation::Relu {
        return relu_backward(g, y);
    }
    Arch::new().dispatch(
        #[inline(always)]
        || match kind {
            Activation::Identity | Activation::Relu => {}
            Activation::Tanh => back(g, y, |g, y| g * (1.0 - y * y)),
            Activation::Sigmoid => back(g, y, |g, y| g * (y * (1.0 - y))),
            Activation::Sine | Activation::Gelu | Activation::Swish => back(g, slope, |g, d| g * d),
        },
    );
}

#[inline(always)]
fn back(g: &mut [f32], with: &[f32], f: impl Fn(f32, f32) -> f32) {
    g.iter_mut().zip(with).for_each(|(g, with)| *g = f(*g, *with));
}

/// h <- h·(u - v) + v, the gate of a modified MLP (Wang et al. 2021), keeping the activation in `a`.
pub(super) fn gate(h: &mut [f32], a: &mut [f32], u: &[f32], v: &[f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (((h, a), u), v) in h.iter_mut().zip(a).zip(u).zip(v) {
                *a = *h;
                *h = *h * (u - v) + v;
            }
        },
    );
}

/// The way back through [`gate`]: `g` becomes the gradient of the activation, those of u and v are added to.
pub(super) fn gate_backward(g: &mut [f32], a: &[f32], (u, v): (&[f32], &[f32]), (du, dv): (&mut [f32], &mut [f32])) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (((((g, a), u), v), du), dv) in g.iter_mut().zip(a).zip(u).zip(v).zip(du).zip(dv) {
                let through = *g * a;
                *du += through;
                *dv += *g - through;
                *g *= u - v;
            }
        },
    );
}

/// sin(2πt) and cos(2πt) of every phase in turns, into a row's features behind its first `raw` ones.
pub(super) fn features(turns: &[f32], frequencies: usize, raw: usize, out: &mut [f32]) {
    for (t, out) in turns.chunks_exact(frequencies).zip(out.chunks_exact_mut(raw + 2 * frequencies)) {
        let (sin, cos) = out[raw..].split_at_mut(frequencies);
        sin_cos(t, sin, cos);
    }
}
