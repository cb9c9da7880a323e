//! Vectors of WebAssembly: four points side by side, each lane with the operations of one f32.

use core::{
    arch::wasm32::*,
    ops::{Add, Div, Mul, Neg, Sub},
};

use crate::{dense::Element, format::Activation, lanes::Real, math, uses};

/// Points of a vector.
pub(crate) const LANES: usize = 4;

/// Four f32.
#[derive(Clone, Copy)]
pub(crate) struct Four(v128);

impl From<[f32; LANES]> for Four {
    #[inline(always)]
    fn from(lanes: [f32; LANES]) -> Self {
        Self(bytemuck::cast(lanes))
    }
}

impl From<Four> for [f32; LANES] {
    #[inline(always)]
    fn from(four: Four) -> Self {
        bytemuck::cast(four.0)
    }
}

macro_rules! operators {
    ($($name:ident $method:ident $operation:ident),*) => {$(
        impl $name for Four {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($operation(self.0, other.0))
            }
        }
        impl $name<f32> for Four {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f32) -> Self {
                Self($operation(self.0, f32x4_splat(other)))
            }
        }
    )*};
}
operators!(Add add f32x4_add, Sub sub f32x4_sub, Mul mul f32x4_mul, Div div f32x4_div);

impl Neg for Four {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(f32x4_neg(self.0))
    }
}

impl Four {
    /// Magnitude of this, sign of the other.
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Self(v128_bitselect(sign.0, self.0, f32x4_splat(-0.0)))
    }
}

impl Real for Four {
    /// By a loop over the coefficients, each of which would cost 18 bytes of code.
    #[inline(never)]
    fn polynomial(self, coefficients: &[f32; 5]) -> Self {
        let [first, others @ ..] = core::hint::black_box(coefficients);
        others.iter().fold(Self::of(*first), |sum, coefficient| sum * self + *coefficient)
    }
    #[inline(always)]
    fn of(value: f32) -> Self {
        Self(f32x4_splat(value))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(f32x4_abs(self.0))
    }
    #[inline(always)]
    fn above(self, limit: f32, then: Self, otherwise: Self) -> Self {
        Self(v128_bitselect(then.0, otherwise.0, f32x4_gt(self.0, f32x4_splat(limit))))
    }
    #[inline(always)]
    fn below(self, limit: f32, then: Self, otherwise: Self) -> Self {
        Self(v128_bitselect(then.0, otherwise.0, f32x4_lt(self.0, f32x4_splat(limit))))
    }
    #[inline(always)]
    fn flip(self, bits: Self) -> Self {
        Self(v128_xor(self.0, i32x4_shl(bits.0, 31)))
    }
    #[inline(always)]
    fn power(self, shift: f32) -> Self {
        let offset = 127i32.wrapping_sub(shift.to_bits() as i32);
        Self(i32x4_shl(i32x4_add(self.0, i32x4_splat(offset)), 23))
    }
}

/// Adds x·kernel to what `y` holds, from output `done` on as many blocks of `B` outputs as there are.
#[inline(always)]
pub(crate) fn blocks<E: Element, const B: usize>(
    kernel: &[E],
    stride: usize,
    x: &[[f32; LANES]],
    y: &mut [[f32; LANES]],
    done: &mut usize,
) {
    while let Some(out) = y.get_mut(*done..).and_then(|y| y.first_chunk_mut::<B>()) {
        let mut sums = out.map(Four::from);
        let mut weights = kernel.get(*done..).unwrap_or(&[]);
        for x in x {
            let Some(w) = weights.first_chunk::<B>() else { break };
            let x = Four::from(*x);
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = *sum + x * w.get();
            }
            weights = weights.get(stride..).unwrap_or(&[]);
        }
        *out = sums.map(Into::into);
        *done += B;
    }
}

/// f of every value in place, four at a time.
#[inline(never)]
fn each(values: &mut [f32], f: fn(Four) -> Four) {
    let (fours, rest) = values.as_chunks_mut();
    for four in fours {
        *four = f(Four::from(*four)).into();
    }
    for value in rest {
        let [first, ..]: [f32; LANES] = f(Four::of(*value)).into();
        *value = first;
    }
}

/// Applies `activation` to every value in place, by this crate's own routines.
pub(crate) fn apply<const USES: u32>(activation: Activation, values: &mut [f32]) {
    // One loop for all.
    let f: fn(Four) -> Four = match activation {
        Activation::Relu if uses::has(USES, uses::activation(Activation::Relu)) => |x| x.below(0.0, Four::of(0.0), x),
        Activation::Tanh if uses::has(USES, uses::activation(Activation::Tanh)) => tanh,
        Activation::Sine if uses::has(USES, uses::activation(Activation::Sine)) => sine,
        Activation::Sigmoid if uses::has(USES, uses::activation(Activation::Sigmoid)) => sigmoid,
        Activation::Gelu if uses::has(USES, uses::activation(Activation::Gelu)) => |x| math::gelu(x, tanh),
        Activation::Swish if uses::has(USES, uses::activation(Activation::Swish)) => |x| math::swish(x, sigmoid),
        _ => return,
    };
    each(values, f);
}

/// sin(2πt) of every value of `sin` in place, cos(2πt) of the same into `cos`.
pub(crate) fn sin_cos(sin: &mut [f32], cos: &mut [f32]) {
    cos.iter_mut().zip(&*sin).for_each(|(cos, t)| *cos = *t);
    each(sin, sine);
    each(cos, math::cos_turns);
}

/// One copy for all that use it.
#[inline(never)]
fn exp(x: Four) -> Four {
    math::exp(x)
}

#[inline(never)]
fn tanh(x: Four) -> Four {
    let a = x.abs();
    a.above(math::TANH_NEAR, math::tanh_far(a, exp), math::tanh_near(a)).copysign(x)
}

#[inline(never)]
fn sigmoid(x: Four) -> Four {
    math::sigmoid(x, exp)
}

#[inline(never)]
fn sine(t: Four) -> Four {
    math::sin_turns(t)
}

/// What [`crate::network`] does with four lanes: v + h·d
#[inline(always)]
pub(crate) fn mix(h: [f32; LANES], d: [f32; LANES], v: [f32; LANES]) -> [f32; LANES] {
    (Four::from(v) + Four::from(h) * Four::from(d)).into()
}

/// h·scale + offset
#[inline(always)]
pub(crate) fn affine(h: [f32; LANES], scale: f32, offset: f32) -> [f32; LANES] {
    (Four::from(h) * scale + offset).into()
}

/// `nan` where a lane is not a number.
#[inline(always)]
pub(crate) fn one_nan(lanes: [f32; LANES], nan: f32) -> [f32; LANES] {
    let lanes = Four::from(lanes).0;
    Four(v128_bitselect(lanes, f32x4_splat(nan), f32x4_eq(lanes, lanes))).into()
}

/// The same array where it has the lanes of a vector.
#[inline(always)]
pub(crate) fn fours<const L: usize>(lanes: [f32; L]) -> Option<[f32; LANES]> {
    lanes.as_slice().try_into().ok()
}

/// And back.
#[inline(always)]
pub(crate) fn lanes<const L: usize>(four: [f32; LANES]) -> [f32; L] {
    core::array::from_fn(|lane| four.get(lane).copied().unwrap_or(0.0))
}
