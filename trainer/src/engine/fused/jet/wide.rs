//! Sixteen numbers that are one: arithmetic by whole vectors, in the order it is written down.

use std::{
    array,
    ops::{Add, Mul, Neg, Sub},
};

/// Values worked on together.
pub(super) const LANES: usize = 16;

/// A number or many side by side.
pub(super) trait Number:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Neg<Output = Self>
{
    /// The same everywhere.
    fn splat(value: f32) -> Self;
}

/// Numbers side by side. Loops over lanes around a formula of many steps are left scalar by the compiler, one loop a step
/// is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wide(pub(super) [f32; LANES]);

impl Wide {
    /// `f` of each.
    #[inline(always)]
    pub(super) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let mut out = self;
        for v in &mut out.0 {
            *v = f(*v);
        }
        out
    }
}

impl Number for f32 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }
}

impl Number for Wide {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
}

impl Add for Wide {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl Sub for Wide {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl Mul for Wide {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(array::from_fn(|i| self.0[i] * other.0[i]))
    }
}

impl Neg for Wide {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(array::from_fn(|i| -self.0[i]))
    }
}
