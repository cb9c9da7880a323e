//! Dense layers over weights in flash: aligned or not, f32 or f16.
//!
//! Every accumulator starts at the bias and adds w·x in input order, product and sum each rounded. Blocks run over
//! outputs (one point) or over points (a tile); neither changes that order, so the bits are the same.

use crate::{format::Precision, network::Algebra, uses};

/// A weight as stored.
pub(crate) trait Element: Copy {
    /// Its value, when finite.
    fn get(self) -> f32;

    /// The same slice, where elements are f32 already.
    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    fn as_floats(_: &[Self]) -> Option<&[f32]> {
        None
    }

    /// The values of sixteen of them.
    #[inline(always)]
    fn widen(from: &[Self; 16], to: &mut [f32; 16]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from.get();
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    fn as_floats(values: &[Self]) -> Option<&[f32]> {
        Some(values)
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

    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    #[inline(always)]
    fn widen(from: &[Self; 16], to: &mut [f32; 16]) {
        crate::arm::float::widen(from, to);
    }
}

/// A finite IEEE 754 half as f32, exactly. The loader refuses infinities and NaNs.
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

    /// The value there; 0 beyond the end.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn at(&self, i: usize) -> f32 {
        self.get(i).unwrap_or(0.0)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Aligned(v) => v.len(),
            Self::Single(v) => v.len(),
            Self::Half(v) => v.len(),
        }
    }

    /// Makes them aligned f32, in `memory` where they are not and it is long enough; the rest of it stays.
    #[inline(never)]
    pub(crate) fn widen(&mut self, memory: &mut &'a mut [f32]) {
        if self.len() > memory.len() || matches!(self, Self::Aligned(_)) {
            return;
        }
        let Some((to, rest)) = core::mem::take(memory).split_at_mut_checked(self.len()) else { return };
        for (i, to) in to.iter_mut().enumerate() {
            *to = self.get(i).unwrap_or(0.0);
        }
        (*self, *memory) = (Self::Aligned(to), rest);
    }
}

/// Whether no number of a file's is infinite or none.
#[inline(never)]
pub(crate) fn all_finite(bytes: &[u8], precision: Precision) -> bool {
    // Sign, exponent and some of the fraction are in the upper two bytes of either.
    let exponent = match precision {
        Precision::F32 => 0x7f80,
        Precision::F16 => 0x7c00,
    };
    let upper = |value: &[u8]| value.last_chunk().map_or(exponent, |upper| u16::from_le_bytes(*upper));
    bytes.chunks_exact(precision.bytes()).all(|value| upper(value) & exponent != exponent)
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
        if let Values::Aligned(bias) = self.bias {
            for (y, bias) in y.iter_mut().zip(bias) {
                *y = A::constant(*bias);
            }
        } else if uses::has(USES, uses::UNALIGNED | uses::precision(Precision::F16)) {
            for (o, y) in y.iter_mut().enumerate() {
                *y = A::constant(self.bias.get(o).unwrap_or(0.0));
            }
        }
        let any_address = ANY_ADDRESS && uses::has(USES, uses::UNALIGNED);
        let kernel = match self.kernel {
            Values::Aligned(kernel) if any_address => Values::Single(bytemuck::cast_slice(kernel)),
            kernel => kernel,
        };
        match kernel {
            Values::Aligned(kernel) if !any_address && uses::has(USES, uses::precision(Precision::F32)) => {
                accumulate(kernel, y.len(), x, y, A::FUSED);
            }
            kernel if PANELS && uses::has(USES, uses::UNALIGNED | uses::precision(Precision::F16)) => {
                widened(kernel, x, y, A::FUSED);
            }
            Values::Single(kernel) if uses::has(USES, uses::UNALIGNED) => {
                accumulate(kernel, y.len(), x, y, A::FUSED);
            }
            Values::Half(kernel) if uses::has(USES, uses::precision(Precision::F16)) => {
                accumulate(kernel, y.len(), x, y, A::FUSED);
            }
            _ => {}
        }
    }
}

/// Whether weights that are not aligned f32 are made so block by block, and one set of inner loops serves all: where
/// those are assembly.
const PANELS: bool = cfg!(all(target_arch = "arm", target_abi = "eabihf"));

/// Whether aligned f32 are read like others: where an access costs the same at any address, and code is to be small.
const ANY_ADDRESS: bool = cfg!(target_family = "wasm");

/// Adds x·kernel to what `y` holds, block by block of weights made f32 first.
#[inline(never)]
fn widened<const L: usize>(kernel: Values<'_>, x: &[[f32; L]], y: &mut [[f32; L]], fused: bool) {
    let outputs = y.len();
    let mut panel = [[0.0; COLUMNS]; ROWS];
    for (c, y) in y.chunks_mut(COLUMNS).enumerate() {
        for (r, x) in x.chunks(ROWS).enumerate() {
            for (i, row) in panel.iter_mut().take(x.len()).enumerate() {
                let start = (r * ROWS + i) * outputs + c * COLUMNS;
                match kernel {
                    Values::Aligned(_) => {}
                    Values::Single(kernel) => widen(kernel, start, row),
                    Values::Half(kernel) => widen(kernel, start, row),
                }
            }
            accumulate(panel.as_flattened(), COLUMNS, x, y, fused);
        }
    }
}

/// Inputs and outputs of a block of weights made f32.
const ROWS: usize = 8;
const COLUMNS: usize = 16;

/// Values from `start` on, as many as there are.
#[inline(always)]
fn widen<E: Element>(kernel: &[E], start: usize, row: &mut [f32; COLUMNS]) {
    let from = kernel.get(start..).unwrap_or(&[]);
    if let Some(from) = from.first_chunk() {
        E::widen(from, row);
    } else {
        for (to, from) in row.iter_mut().zip(from) {
            *to = from.get();
        }
    }
}

/// Adds x·kernel to what `y` holds; rows of the kernel are `stride` apart.
#[inline(never)]
fn accumulate<E: Element, const L: usize>(
    kernel: &[E],
    stride: usize,
    x: &[[f32; L]],
    y: &mut [[f32; L]],
    fused: bool,
) {
    #[cfg(feature = "host")]
    crate::host::accumulate(kernel, stride, x, y, fused);
    #[cfg(not(feature = "host"))]
    narrow(kernel, stride, x, y, fused);
}

/// The same where there is no choosing of vectors.
#[cfg(not(feature = "host"))]
#[inline(always)]
fn narrow<E: Element, const L: usize>(kernel: &[E], stride: usize, x: &[[f32; L]], y: &mut [[f32; L]], _: bool) {
    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    let (done, y) = arm(kernel, stride, x, y);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if let Some((x, y)) = fours(x, y) {
        let mut done = 0;
        crate::simd::blocks::<E, 4>(kernel, stride, x, y, &mut done);
        crate::simd::blocks::<E, 1>(kernel, stride, x, y, &mut done);
        return;
    }
    #[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
    let (done, y) = match L {
        1 => blocked::<E, L, 8>(kernel, stride, x, y),
        2..=4 => blocked::<E, L, 4>(kernel, stride, x, y),
        _ => blocked::<E, L, 2>(kernel, stride, x, y),
    };
    for (sum, at) in y.iter_mut().zip(done..stride) {
        let mut now = *sum;
        for (x, row) in x.iter().zip(kernel.chunks_exact(stride.max(1))) {
            let Some(w) = row.get(at) else { break };
            let w = w.get();
            for (sum, x) in now.iter_mut().zip(x) {
                *sum += w * *x;
            }
        }
        *sum = now;
    }
}

/// The same slices where points lie in fours.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
fn fours<'x, 'y, const L: usize>(
    x: &'x [[f32; L]],
    y: &'y mut [[f32; L]],
) -> Option<(&'x [[f32; 4]], &'y mut [[f32; 4]])> {
    (L == 4).then(|| (x.as_flattened().as_chunks().0, y.as_flattened_mut().as_chunks_mut().0))
}

/// As many outputs as the kernels of [`crate::arm::float`] do; how many, and what is left.
#[cfg(all(not(feature = "host"), target_arch = "arm", target_abi = "eabihf"))]
#[inline(always)]
fn arm<'y, E: Element, const L: usize>(
    kernel: &[E],
    stride: usize,
    x: &[[f32; L]],
    y: &'y mut [[f32; L]],
) -> (usize, &'y mut [[f32; L]]) {
    use crate::arm::float as arm;
    let step = match L {
        1 => arm::ONE,
        arm::FOUR => arm::FOUR,
        _ => return (0, y),
    };
    let Some(kernel) = E::as_floats(kernel) else { return (0, y) };
    let x = x.as_flattened();
    let (mut done, outputs) = (0, y.len());
    // A block is 16 outputs of one point, or 4 of four.
    let (blocks, rest) = y.as_flattened_mut().as_chunks_mut::<16>();
    for out in blocks {
        let w = kernel.get(done..).unwrap_or(&[]);
        if L == 1 {
            arm::one_point(w, stride, x, out);
        } else if let ([out], _) = out.as_chunks_mut().0.as_chunks_mut() {
            arm::four_points(w, stride, x.as_chunks().0, out);
        }
        done += step;
    }
    for out in rest.as_chunks_mut::<L>().0 {
        let w = kernel.get(done..).unwrap_or(&[]);
        if L == 1 {
            out.iter_mut().for_each(|out| arm::one_point_one_output(w, stride, x, out));
        } else if let Some(out) = out.first_chunk_mut() {
            arm::four_points_one_output(w, stride, x.as_chunks().0, out);
        }
        done += 1;
    }
    (outputs, &mut [])
}

/// `B` outputs at a time, so that what they add up stays in registers and a row's weights are read together; how many
/// are done, and what is left.
#[cfg(not(any(feature = "host", all(target_arch = "arm", target_abi = "eabihf"))))]
#[inline(always)]
fn blocked<'y, E: Element, const L: usize, const B: usize>(
    kernel: &[E],
    stride: usize,
    x: &[[f32; L]],
    y: &'y mut [[f32; L]],
) -> (usize, &'y mut [[f32; L]]) {
    let (blocks, rest) = y.as_chunks_mut::<B>();
    let done = blocks.len() * B;
    for (b, out) in blocks.iter_mut().enumerate() {
        let mut sum = *out;
        for (x, row) in x.iter().zip(kernel.chunks_exact(stride.max(1))) {
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
    (done, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_half_has_the_value_its_bits_stand_for() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = ((bits >> 10) & 31, f64::from(bits & 1023));
            let bytes = [bits.to_le_bytes()];
            assert_eq!(all_finite(bytes.as_flattened(), Precision::F16), exponent != 31, "{bits:04x}");
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
