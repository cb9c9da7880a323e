//! Numbers the routines of [`crate::math`] are written for: one f32, or where WebAssembly has vectors four side by side.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// One or several f32; every operation is that of f32, each lane by itself.
pub(crate) trait Real:
    Copy
    + Add<Output = Self>
    + Add<f32, Output = Self>
    + Sub<Output = Self>
    + Sub<f32, Output = Self>
    + Mul<Output = Self>
    + Mul<f32, Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The same number in every lane.
    fn of(value: f32) -> Self;
    /// Of degree 4, the highest coefficient first, by Horner's rule.
    fn polynomial(self, coefficients: &[f32; 5]) -> Self;
    /// Magnitude.
    fn abs(self) -> Self;
    /// `then` where this is above `limit`, else `otherwise`.
    fn above(self, limit: f32, then: Self, otherwise: Self) -> Self;
    /// `then` where this is below `limit`, else `otherwise`.
    fn below(self, limit: f32, then: Self, otherwise: Self) -> Self;
    /// Of the other sign where the last bit of `bits` is set.
    fn flip(self, bits: Self) -> Self;
    /// 2^n of n + `shift`, where that sum's last bits are n, from -126 to 127.
    fn power(self, shift: f32) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn polynomial(self, &[a, b, c, d, e]: &[f32; 5]) -> Self {
        (((a * self + b) * self + c) * self + d) * self + e
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn above(self, limit: f32, then: Self, otherwise: Self) -> Self {
        if self > limit { then } else { otherwise }
    }
    #[inline(always)]
    fn below(self, limit: f32, then: Self, otherwise: Self) -> Self {
        if self < limit { then } else { otherwise }
    }
    #[inline(always)]
    fn flip(self, bits: Self) -> Self {
        f32::from_bits(self.to_bits() ^ (bits.to_bits() << 31))
    }
    #[inline(always)]
    fn power(self, shift: f32) -> Self {
        f32::from_bits(self.to_bits().wrapping_sub(shift.to_bits()).wrapping_add(127) << 23)
    }
}
