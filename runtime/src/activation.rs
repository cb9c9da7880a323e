//! Activations over many values at once.

#[cfg(feature = "libm")]
use crate::math::Libm;
#[cfg(feature = "micromath")]
use crate::math::Micromath;
use crate::{
    format::{Activation, MathBackend},
    math::{Math, Polynomial},
};

/// Whether this build has the routines of `backend`.
pub const fn available(backend: MathBackend) -> bool {
    match backend {
        MathBackend::Polynomial => true,
        MathBackend::Libm => cfg!(feature = "libm"),
        MathBackend::Micromath => cfg!(feature = "micromath"),
    }
}

/// Applies `activation` to every value in place. A backend that is not built in acts as [`MathBackend::Polynomial`];
/// [`Model::new`](crate::Model::new) refuses a file that asks for one.
pub fn apply(backend: MathBackend, activation: Activation, values: &mut [f32]) {
    match backend {
        #[cfg(feature = "libm")]
        MathBackend::Libm => apply_with::<Libm>(activation, values),
        #[cfg(feature = "micromath")]
        MathBackend::Micromath => apply_with::<Micromath>(activation, values),
        _ => apply_with::<Polynomial>(activation, values),
    }
}

/// sin(2πt) of every value of `sin` in place, and cos(2πt) of the same values into `cos`.
pub fn sin_cos_turns(backend: MathBackend, sin: &mut [f32], cos: &mut [f32]) {
    match backend {
        #[cfg(feature = "libm")]
        MathBackend::Libm => sin_cos_with::<Libm>(sin, cos),
        #[cfg(feature = "micromath")]
        MathBackend::Micromath => sin_cos_with::<Micromath>(sin, cos),
        _ => sin_cos_with::<Polynomial>(sin, cos),
    }
}

fn apply_with<M: Math>(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => each(values, |x| if x < 0.0 { 0.0 } else { x }),
        Activation::Tanh => each(values, M::tanh),
        Activation::Sine => each(values, M::sin_turns),
        Activation::Sigmoid => each(values, M::sigmoid),
        Activation::Gelu => each(values, M::gelu),
        Activation::Swish => each(values, M::swish),
    }
}

#[inline(always)]
fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for v in values {
        *v = f(*v);
    }
}

fn sin_cos_with<M: Math>(sin: &mut [f32], cos: &mut [f32]) {
    for (s, c) in sin.iter_mut().zip(cos) {
        let t = *s;
        *s = M::sin_turns(t);
        *c = M::cos_turns(t);
    }
}
