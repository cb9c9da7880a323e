//! Dense layers over weights in flash: aligned or not, f32 or f16.
//!
//! Every accumulator starts at the bias and adds w·x in input order, product and sum each rounded. Blocks run over
//! outputs (one point) or over points (a tile); neither changes that order, so the bits are the same.

use crate::{format::Precision, network::Algebra, uses};

/// A weight as stored.
pub(crate) trait Element: Copy {
    /// Its value, when finite.
    fn get(self) -> f32;

    /// Whether it has a value.
    fn is_finite(self) -> bool {
        self.get().is_finite()
    }
}

impl Element for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }
}

impl Element for [u8; 4] {
    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_le_bytes(self)
    }
}

impl Element for [u8; 2] {
    #[inline(always)]
    fn get(self) -> f32 {
        half(u16::from_le_bytes(self))
    }

    fn is_finite(self) -> bool {
        u16::from_le_bytes(self) & 0x7c00 != 0x7c00
    }
}

/// A finite IEEE 754 half as f32, exactly. The loader refuses infinities and NaNs by [`Element::is_finite`].
#[inline(always)]
pub(crate) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let shifted = u32::from(bits & 0x7fff) << 13;
    // Shifted into place the exponent is 112 too small; a multiplication by 2^112 puts that right and makes normal
    // numbers of subnormal ones.
    f32::from_bits(sign | shifted) * f32::from_bits(0x7780_0000)
}

/// Values of one tensor, borrowed from the file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    Aligned(&'a [f32]),
    Single(&'a [[u8; 4]]),
    Half(&'a [[u8; 2]]),
}

impl<'a> Values<'a> {
    pub(crate) fn new(bytes: &'a [u8], precision: Precision) -> Self {
        match precision {
            Precision::F16 => Self::Half(bytes.as_chunks().0),
            Precision::F32 => {
                if cfg!(target_endian = "little")
                    && let Ok(values) = bytemuck::try_cast_slice(bytes)
                {
                    return Self::Aligned(values);
                }
                Self::Single(bytes.as_chunks().0)
            }
        }
    }

    pub(crate) fn get(&self, i: usize) -> Option<f32> {
        match self {
            Self::Aligned(v) => v.get(i).map(|v| v.get()),
            Self::Single(v) => v.get(i).map(|v| v.get()),
            Self::Half(v) => v.get(i).map(|v| v.get()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Aligned(v) => v.len(),
            Self::Single(v) => v.len(),
            Self::Half(v) => v.len(),
        }
    }

    pub(crate) fn all_finite(&self) -> bool {
        fn check<E: Element>(values: &[E]) -> bool {
            values.iter().all(|v| v.is_finite())
        }
        match self {
            Self::Aligned(v) => check(v),
            Self::Single(v) => check(v),
            Self::Half(v) => check(v),
        }
    }
}

/// Kernel `[in, out]` and bias `[out]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dense<'a> {
    pub(crate) kernel: Values<'a>,
    pub(crate) bias: Values<'a>,
}

impl Dense<'_> {
    /// y = x·kernel + bias for L lanes side by side, `[in][L] -> [out][L]`.
    pub(crate) fn forward<A: Algebra<L>, const L: usize, const USES: u32>(&self, x: &[[f32; L]], y: &mut [[f32; L]]) {
        for (o, y) in y.iter_mut().enumerate() {
            *y = A::constant(self.bias.get(o).unwrap_or(0.0));
        }
        match self.kernel {
            Values::Aligned(kernel) if uses::has(USES, uses::precision(Precision::F32)) => accumulate(kernel, x, y),
            Values::Single(kernel) if uses::has(USES, uses::UNALIGNED) => accumulate(kernel, x, y),
            Values::Half(kernel) if uses::has(USES, uses::precision(Precision::F16)) => accumulate(kernel, x, y),
            _ => {}
        }
    }
}

/// Adds x·kernel to what `y` holds.
fn accumulate<E: Element, const L: usize>(kernel: &[E], x: &[[f32; L]], y: &mut [[f32; L]]) {
    let outputs = y.len();
    if outputs == 0 {
        return;
    }
    if L == 1 {
        blocked::<E, L, 8>(kernel, outputs, x, y);
    } else if L <= 4 {
        blocked::<E, L, 4>(kernel, outputs, x, y);
    } else {
        blocked::<E, L, 2>(kernel, outputs, x, y);
    }
}

/// `B` outputs at a time, so that what they add up stays in registers and a row's weights are read together.
#[inline(always)]
fn blocked<E: Element, const L: usize, const B: usize>(
    kernel: &[E],
    outputs: usize,
    x: &[[f32; L]],
    y: &mut [[f32; L]],
) {
    if outputs == 0 {
        return;
    }
    let (blocks, rest) = y.as_chunks_mut::<B>();
    let tail = outputs - rest.len();
    for (b, out) in blocks.iter_mut().enumerate() {
        let mut sum = *out;
        for (x, row) in x.iter().zip(kernel.chunks_exact(outputs)) {
            let Some(weights) = row.as_chunks::<B>().0.get(b) else { continue };
            for (sum, w) in sum.iter_mut().zip(weights) {
                let w = w.get();
                for (sum, x) in sum.iter_mut().zip(x) {
                    *sum += w * *x;
                }
            }
        }
        *out = sum;
    }
    for (x, row) in x.iter().zip(kernel.chunks_exact(outputs)) {
        let Some(weights) = row.get(tail..) else { continue };
        for (sum, w) in rest.iter_mut().zip(weights) {
            let w = w.get();
            for (sum, x) in sum.iter_mut().zip(x) {
                *sum += w * *x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_half_has_the_value_its_bits_stand_for() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = ((bits >> 10) & 31, f64::from(bits & 1023));
            assert_eq!(bits.to_le_bytes().is_finite(), exponent != 31, "{bits:04x}");
            let power = |e: i32| f64::from_bits(((1023 + e) as u64) << 52);
            let expected = match exponent {
                0 => fraction * power(-24),
                31 => continue,
                e => (1024.0 + fraction) * power(i32::from(e) - 25),
            };
            let found = half(bits);
            assert_eq!(f64::from(found.abs()), expected, "{bits:04x}");
            assert_eq!(found.is_sign_negative(), bits >> 15 == 1, "{bits:04x}");
        }
    }
}
