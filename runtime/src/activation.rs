//! Activations over many values at once.
#![cfg_attr(
    all(target_arch = "wasm32", target_feature = "simd128"),
    allow(dead_code, unused_imports, reason = "crate::simd does by four what is here for this crate's own routines")
)]

#[cfg(feature = "libm")]
use crate::math::Libm;
#[cfg(feature = "micromath")]
use crate::math::Micromath;
use crate::{
    format::{Activation, MathBackend},
    math::{Math, Polynomial},
    uses,
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
    apply_of::<{ uses::ALL }>(backend, activation, values);
}

/// [`apply`] in a model where only `USES` may occur.
pub(crate) fn apply_of<const USES: u32>(backend: MathBackend, activation: Activation, values: &mut [f32]) {
    match backend {
        #[cfg(feature = "libm")]
        MathBackend::Libm if uses::has(USES, uses::math(MathBackend::Libm)) => {
            apply_with::<Libm, USES>(activation, values);
        }
        #[cfg(feature = "micromath")]
        MathBackend::Micromath if uses::has(USES, uses::math(MathBackend::Micromath)) => {
            apply_with::<Micromath, USES>(activation, values);
        }
        #[cfg(feature = "host")]
        _ => crate::host::widest(Apply::<USES> { activation, values }),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        _ => crate::simd::apply::<USES>(activation, values),
        #[cfg(not(any(feature = "host", all(target_arch = "wasm32", target_feature = "simd128"))))]
        _ => apply_with::<Polynomial, USES>(activation, values),
    }
}

/// Sines with product and sum rounded once, where the machine can.
#[cfg(feature = "fma")]
pub(crate) fn sines_fused(values: &mut [f32]) {
    crate::host::widest(FusedSines(values));
}

/// sin(2πt) of every value of `sin` in place, and cos(2πt) of the same values into `cos`.
pub fn sin_cos_turns(backend: MathBackend, sin: &mut [f32], cos: &mut [f32]) {
    match backend {
        #[cfg(feature = "libm")]
        MathBackend::Libm => sin_cos_with::<Libm>(sin, cos),
        #[cfg(feature = "micromath")]
        MathBackend::Micromath => sin_cos_with::<Micromath>(sin, cos),
        #[cfg(feature = "host")]
        _ => crate::host::widest(SinCos { sin, cos }),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        _ => crate::simd::sin_cos(sin, cos),
        #[cfg(not(any(feature = "host", all(target_arch = "wasm32", target_feature = "simd128"))))]
        _ => sin_cos_with::<Polynomial>(sin, cos),
    }
}

/// This crate's own routines by the widest vectors.
#[cfg(feature = "host")]
struct Apply<'a, const USES: u32> {
    activation: Activation,
    values: &'a mut [f32],
}

#[cfg(feature = "host")]
impl<const USES: u32> crate::host::Work for Apply<'_, USES> {
    #[inline(always)]
    fn work<S: pulp::Simd>(self, _: S) {
        apply_with::<Polynomial, USES>(self.activation, self.values);
    }
}

/// The sine alone, of products and sums rounded once.
#[cfg(feature = "fma")]
struct FusedSines<'a>(&'a mut [f32]);

#[cfg(feature = "fma")]
impl crate::host::Work for FusedSines<'_> {
    #[inline(always)]
    fn work<S: pulp::Simd>(self, _: S) {
        // Without vectors there may be no instruction for it.
        if S::IS_SCALAR { Polynomial::sines(self.0) } else { crate::math::sines_fused(self.0) }
    }
}

/// Sines and cosines likewise.
#[cfg(feature = "host")]
struct SinCos<'a> {
    sin: &'a mut [f32],
    cos: &'a mut [f32],
}

#[cfg(feature = "host")]
impl crate::host::Work for SinCos<'_> {
    #[inline(always)]
    fn work<S: pulp::Simd>(self, _: S) {
        sin_cos_with::<Polynomial>(self.sin, self.cos);
    }
}

#[cfg_attr(feature = "host", inline(always))]
fn apply_with<M: Math, const USES: u32>(activation: Activation, values: &mut [f32]) {
    // Where code is to be small, one loop for all that take long anyway.
    let long: Option<fn(f32) -> f32> = match activation {
        _ if !cfg!(target_family = "wasm") => None,
        Activation::Tanh if uses::has(USES, uses::activation(activation)) => Some(M::tanh_apart),
        Activation::Sigmoid if uses::has(USES, uses::activation(activation)) => Some(M::sigmoid),
        Activation::Gelu if uses::has(USES, uses::activation(activation)) => Some(M::gelu),
        Activation::Swish if uses::has(USES, uses::activation(activation)) => Some(M::swish),
        _ => None,
    };
    if let Some(long) = long {
        return each(values, long);
    }
    match activation {
        Activation::Relu if uses::has(USES, uses::activation(Activation::Relu)) => {
            each(values, |x| if x < 0.0 { 0.0 } else { x });
        }
        Activation::Tanh if uses::has(USES, uses::activation(Activation::Tanh)) => each(values, M::tanh),
        Activation::Sine if uses::has(USES, uses::activation(Activation::Sine)) => M::sines(values),
        Activation::Sigmoid if uses::has(USES, uses::activation(Activation::Sigmoid)) => each(values, M::sigmoid),
        Activation::Gelu if uses::has(USES, uses::activation(Activation::Gelu)) => each(values, M::gelu),
        Activation::Swish if uses::has(USES, uses::activation(Activation::Swish)) => each(values, M::swish),
        _ => {}
    }
}

#[inline(always)]
fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for v in values {
        *v = f(*v);
    }
}

#[cfg_attr(feature = "host", inline(always))]
fn sin_cos_with<M: Math>(sin: &mut [f32], cos: &mut [f32]) {
    for (s, c) in sin.iter_mut().zip(cos) {
        let t = *s;
        *s = M::sin_turns(t);
        *c = M::cos_turns(t);
    }
}
