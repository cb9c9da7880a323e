//! The loops of [`crate::dense`] for the host: compiled for each width of vectors, the widest there is chosen at run time.
//!
//! A block keeps its sums in registers: of 64 outputs for one point, of 4 outputs for two vectors of points. The order of a sum stays.

use core::ops::Deref;
use std::{vec, vec::Vec};

use pulp::{Arch, Simd, WithSimd};

use crate::dense::Element;

/// Bytes of the cache lines that [`Aligned`] begins tensors at.
const LINE: usize = 64;

/// A model file placed in memory so that its tensors begin at cache lines, as far as their sizes let them: one point at a time
/// is evaluated by vectors of weights, which take about a sixth longer across lines. Values do not depend on it.
#[derive(Debug)]
pub struct Aligned {
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// A copy of `file`; tensors of a file of safetensors begin behind a header whose length stands first.
    pub fn new(file: &[u8]) -> Self {
        let header = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
        let mut room = vec![0; file.len() + LINE];
        let start = room.as_ptr().addr().wrapping_add(8).wrapping_add(header).wrapping_neg() % LINE;
        if let Some(to) = room.get_mut(start..).and_then(|to| to.get_mut(..file.len())) {
            to.copy_from_slice(file);
        }
        Self { room, start, len: file.len() }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.room.get(self.start..).and_then(|file| file.get(..self.len)).unwrap_or(&[])
    }
}

/// Something that is compiled for each width of vectors.
pub(crate) trait Work {
    /// Does it by the vectors of `S`. To be `#[inline(always)]`, with all that is to be vectorised.
    fn work<S: Simd>(self, simd: S);
}

/// [`Work`] as vectors are chosen for it.
struct Chosen<W>(W);

impl<W: Work> WithSimd for Chosen<W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.work(simd);
    }
}

/// Does `work` by the widest vectors of this machine.
#[inline(always)]
pub(crate) fn widest(work: impl Work) {
    Arch::new().dispatch(Chosen(work));
}

/// Adds x·kernel to what `y` holds; rows of the kernel are `stride` apart. `fused`: product and sum may be rounded once.
#[inline(always)]
pub(crate) fn accumulate<E: Element, const L: usize>(
    kernel: &[E],
    stride: usize,
    x: &[[f32; L]],
    y: &mut [[f32; L]],
    fused: bool,
) {
    let product = Product { kernel, stride, x, y };
    if cfg!(feature = "fma") && fused { widest(Fused(product)) } else { widest(product) }
}

struct Product<'a, E, const L: usize> {
    kernel: &'a [E],
    stride: usize,
    x: &'a [[f32; L]],
    y: &'a mut [[f32; L]],
}

/// The same, rounded once where the vectors can.
struct Fused<P>(P);

impl<E: Element, const L: usize> Work for Product<'_, E, L> {
    #[inline(always)]
    fn work<S: Simd>(self, simd: S) {
        self.all::<S, false>(simd);
    }
}

impl<E: Element, const L: usize> Work for Fused<Product<'_, E, L>> {
    #[inline(always)]
    fn work<S: Simd>(self, simd: S) {
        // Without vectors there may be no instruction for it.
        if S::IS_SCALAR { self.0.all::<S, false>(simd) } else { self.0.all::<S, true>(simd) }
    }
}

/// Outputs and vectors of points of a block: as many sums as the registers hold beside what is multiplied.
const OUTPUTS: usize = 4;
const VECTORS: usize = 2;

impl<E: Element, const L: usize> Product<'_, E, L> {
    #[inline(always)]
    fn all<S: Simd, const FMA: bool>(mut self, simd: S) {
        let mut done = 0;
        if L == 1 {
            self.outputs::<64, FMA>(&mut done);
            self.outputs::<32, FMA>(&mut done);
            self.outputs::<16, FMA>(&mut done);
            self.outputs::<8, FMA>(&mut done);
            self.outputs::<4, FMA>(&mut done);
            self.outputs::<3, FMA>(&mut done);
        } else if !S::IS_SCALAR && L.is_multiple_of(VECTORS * S::F32_LANES) {
            if S::REGISTER_COUNT > 16 {
                self.points::<S, { 2 * OUTPUTS }, FMA>(simd, &mut done);
            }
            self.points::<S, OUTPUTS, FMA>(simd, &mut done);
            self.points::<S, 3, FMA>(simd, &mut done);
            self.points::<S, 1, FMA>(simd, &mut done);
        }
        self.outputs::<2, FMA>(&mut done);
        self.outputs::<1, FMA>(&mut done);
    }

    /// From output `done` on as many blocks of `B` outputs as there are, vectors over points.
    #[inline(always)]
    fn points<S: Simd, const B: usize, const FMA: bool>(&mut self, simd: S, done: &mut usize) {
        while let Some(out) = self.y.get_mut(*done..).and_then(|y| y.first_chunk_mut::<B>()) {
            for first in (0..L).step_by(VECTORS * S::F32_LANES) {
                let mut sum = [[simd.splat_f32s(0.0); VECTORS]; B];
                for (sum, out) in sum.iter_mut().zip(&*out) {
                    *sum = vectors::<S>(out, first).copied().unwrap_or(*sum);
                }
                for (x, row) in self.x.iter().zip(self.kernel.chunks_exact(self.stride.max(1))) {
                    let weights = row.get(*done..).and_then(|row| row.first_chunk::<B>());
                    let (Some(x), Some(weights)) = (vectors::<S>(x, first), weights) else { break };
                    for (sum, w) in sum.iter_mut().zip(weights) {
                        let w = simd.splat_f32s(w.get());
                        for (sum, x) in sum.iter_mut().zip(x) {
                            *sum = if FMA {
                                simd.mul_add_f32s(w, *x, *sum)
                            } else {
                                simd.add_f32s(*sum, simd.mul_f32s(w, *x))
                            };
                        }
                    }
                }
                for (out, sum) in out.iter_mut().zip(&sum) {
                    let lanes = out.get_mut(first..).unwrap_or(&mut []);
                    for (out, sum) in S::as_mut_simd_f32s(lanes).0.iter_mut().zip(sum) {
                        *out = *sum;
                    }
                }
            }
            *done += B;
        }
    }

    /// The same, vectors over outputs or left to the compiler.
    #[inline(always)]
    fn outputs<const B: usize, const FMA: bool>(&mut self, done: &mut usize) {
        while let Some(out) = self.y.get_mut(*done..).and_then(|y| y.first_chunk_mut::<B>()) {
            let mut sum = *out;
            for (x, row) in self.x.iter().zip(self.kernel.chunks_exact(self.stride.max(1))) {
                let Some(weights) = row.get(*done..).and_then(|row| row.first_chunk::<B>()) else { break };
                for (sum, w) in sum.iter_mut().zip(weights) {
                    let w = w.get();
                    for (sum, x) in sum.iter_mut().zip(x) {
                        *sum = if FMA { w.mul_add(*x, *sum) } else { *sum + w * *x };
                    }
                }
            }
            *out = sum;
            *done += B;
        }
    }
}

/// Points `first..` of a row.
#[inline(always)]
fn vectors<S: Simd>(row: &[f32], first: usize) -> Option<&[S::f32s; VECTORS]> {
    S::as_simd_f32s(row.get(first..)?).0.first_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[inputs][L]` times `[inputs, outputs]` in the plainest way.
    fn plain<const L: usize>(kernel: &[f32], stride: usize, x: &[[f32; L]], y: &mut [[f32; L]]) {
        for (o, y) in y.iter_mut().enumerate() {
            for (lane, y) in y.iter_mut().enumerate() {
                *y = x.iter().enumerate().fold(*y, |sum, (i, x)| sum + kernel[i * stride + o] * x[lane]);
            }
        }
    }

    fn check<const L: usize>() {
        let mut seed = 1u32;
        let mut number = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for outputs in 1..=67 {
            let kernel: Vec<f32> = (0..5 * outputs).map(|_| number()).collect();
            let x: [[f32; L]; 5] = core::array::from_fn(|_| core::array::from_fn(|_| number()));
            let start: Vec<[f32; L]> = (0..outputs).map(|_| core::array::from_fn(|_| number())).collect();
            let mut expected = start.clone();
            plain(&kernel, outputs, &x, &mut expected);
            let bits = |y: &[[f32; L]]| y.as_flattened().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let by = |run: &dyn Fn(Product<'_, f32, L>)| {
                let mut y = start.clone();
                run(Product { kernel: &kernel, stride: outputs, x: &x, y: &mut y });
                y
            };
            let exact = |run: &dyn Fn(Product<'_, f32, L>), what: &str| {
                assert_eq!(bits(&by(run)), bits(&expected), "{what}, {outputs} outputs of {L}");
            };
            exact(&|p| widest(p), "widest");
            exact(&|p| Simd::vectorize(pulp::Scalar::new(), Chosen(p)), "scalar");
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                exact(&|p| Simd::vectorize(simd, Chosen(p)), "AVX2");
            }
            for (fused, expected) in by(&|p| widest(Fused(p))).as_flattened().iter().zip(expected.as_flattened()) {
                assert!((fused - expected).abs() <= 1e-6, "{fused} {expected}");
            }
        }
    }

    #[test]
    fn tensors_are_placed_at_cache_lines() {
        for header in [0u64, 8, 56, 1000, u64::MAX] {
            for len in [0, 5, 8, 2000] {
                let mut file: Vec<u8> = (0..len).map(|i| i as u8).collect();
                file.iter_mut().zip(header.to_le_bytes()).for_each(|(to, from)| *to = from);
                let placed = Aligned::new(&file);
                assert_eq!(*placed, *file);
                if len >= 8 {
                    let tensors = placed.as_ptr().addr().wrapping_add(8).wrapping_add(header as usize);
                    assert_eq!(tensors % 64, 0, "{header}");
                }
            }
        }
    }

    #[test]
    fn every_width_of_vectors_gives_the_bits_of_the_plainest_loop() {
        check::<1>();
        check::<4>();
        check::<32>();
    }
}
