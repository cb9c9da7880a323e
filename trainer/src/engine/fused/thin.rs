//! Layers with few inputs or few outputs: these come row by row, the wide side in panels.

#![allow(clippy::needless_range_loop, clippy::manual_memcpy, reason = "registers go by their index")]

use pulp::{Arch, Simd, WithSimd};

use super::{
    kernel::{load, store},
    panel::Row,
};

/// Most inputs or outputs of a thin layer.
pub(super) const THIN: usize = 4;

/// Calls `$f::<K, ...>` for the number of thin columns.
macro_rules! by_columns {
    ($columns:expr, $op:ident $fields:tt) => {
        match $columns {
            1 => Arch::new().dispatch($op::<1> $fields),
            2 => Arch::new().dispatch($op::<2> $fields),
            3 => Arch::new().dispatch($op::<3> $fields),
            4 => Arch::new().dispatch($op::<4> $fields),
            other => unreachable!("a thin side has 1 to {THIN} columns, not {other}"),
        }
    };
}

/// Calls `$self.run::<S, V>(simd)` for the vectors of a row.
macro_rules! by_vectors {
    ($self:ident, $simd:ident) => {
        match S::F32_LANES {
            16 => $self.run::<S, 1>($simd),
            8 => $self.run::<S, 2>($simd),
            4 => $self.run::<S, 4>($simd),
            _ => $self.run::<S, 16>($simd),
        }
    };
}

/// One panel of z = x·w, each of the first `bias_rows` rows with the bias: x `[rows, k]`, w `[k][16]`, z `[rows][16]`.
pub(super) fn few_inputs(z: &mut [Row], x: &[f32], w: &[Row], bias: &Row, bias_rows: usize) {
    by_columns!(w.len(), FewInputs { z, x, w, bias, bias_rows });
}

struct FewInputs<'a, const K: usize> {
    z: &'a mut [Row],
    x: &'a [f32],
    w: &'a [Row],
    bias: &'a Row,
    bias_rows: usize,
}

impl<const K: usize> WithSimd for FewInputs<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_vectors!(self, simd);
    }
}

impl<const K: usize> FewInputs<'_, K> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let bias = load::<S, V>(self.bias);
        let mut w = [[simd.splat_f32s(0.0); V]; K];
        for k in 0..K {
            w[k] = load::<S, V>(&self.w[k]);
        }
        for (r, (z, x)) in self.z.iter_mut().zip(self.x.as_chunks::<K>().0).enumerate() {
            let mut sum = if r < self.bias_rows { bias } else { [simd.splat_f32s(0.0); V] };
            for k in 0..K {
                let x = simd.splat_f32s(x[k]);
                for v in 0..V {
                    sum[v] = simd.mul_add_e_f32s(x, w[k][v], sum[v]);
                }
            }
            store::<S, V>(z, sum);
        }
    }
}

/// One panel of dw += xᵀ·g: x `[rows, k]`, g `[rows][16]`, dw `[k][16]`.
pub(super) fn few_inputs_gradient(dw: &mut [Row], x: &[f32], g: &[Row]) {
    by_columns!(dw.len(), FewInputsGradient { dw, x, g });
}

struct FewInputsGradient<'a, const K: usize> {
    dw: &'a mut [Row],
    x: &'a [f32],
    g: &'a [Row],
}

impl<const K: usize> WithSimd for FewInputsGradient<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_vectors!(self, simd);
    }
}

impl<const K: usize> FewInputsGradient<'_, K> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let mut sums = [[simd.splat_f32s(0.0); V]; K];
        for k in 0..K {
            sums[k] = load::<S, V>(&self.dw[k]);
        }
        for (g, x) in self.g.iter().zip(self.x.as_chunks::<K>().0) {
            let g = load::<S, V>(g);
            for k in 0..K {
                let x = simd.splat_f32s(x[k]);
                for v in 0..V {
                    sums[k][v] = simd.mul_add_e_f32s(x, g[v], sums[k][v]);
                }
            }
        }
        for k in 0..K {
            store::<S, V>(&mut self.dw[k], sums[k]);
        }
    }
}

/// y `[rows, n]` = x·w, each of the first `bias_rows` rows with the bias: x `[k/16][rows][16]`, w transposed
/// `[k/16][n][16]`.
pub(super) fn few_outputs(y: &mut [f32], x: &[Row], w: &[Row], bias: &[f32], bias_rows: usize) {
    by_columns!(bias.len(), FewOutputs { y, x, w, bias, bias_rows });
}

struct FewOutputs<'a, const N: usize> {
    y: &'a mut [f32],
    x: &'a [Row],
    w: &'a [Row],
    bias: &'a [f32],
    bias_rows: usize,
}

impl<const N: usize> WithSimd for FewOutputs<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_vectors!(self, simd);
    }
}

impl<const N: usize> FewOutputs<'_, N> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let y = self.y.as_chunks_mut::<N>().0;
        let rows = y.len();
        for (r, y) in y.iter_mut().enumerate() {
            let mut sums = [[simd.splat_f32s(0.0); V]; N];
            for (x, w) in self.x[r..].iter().step_by(rows).zip(self.w.as_chunks::<N>().0) {
                let x = load::<S, V>(x);
                for n in 0..N {
                    let w = load::<S, V>(&w[n]);
                    for v in 0..V {
                        sums[n][v] = simd.mul_add_e_f32s(x[v], w[v], sums[n][v]);
                    }
                }
            }
            for n in 0..N {
                let mut sum = sums[n][0];
                for v in 1..V {
                    sum = simd.add_f32s(sum, sums[n][v]);
                }
                let bias = if r < self.bias_rows { self.bias[n] } else { 0.0 };
                y[n] = bias + simd.reduce_sum_f32s(sum);
            }
        }
    }
}

/// The way back of [`few_outputs`]: dw, transposed as w, += and dx `[k/16][rows][16]` =, from g `[rows, n]`.
pub(super) fn few_outputs_backward(dw: &mut [Row], dx: &mut [Row], x: &[Row], g: &[f32], w: &[Row], n: usize) {
    by_columns!(n, FewOutputsBackward { dw, dx, x, g, w });
}

struct FewOutputsBackward<'a, const N: usize> {
    dw: &'a mut [Row],
    dx: &'a mut [Row],
    x: &'a [Row],
    g: &'a [f32],
    w: &'a [Row],
}

impl<const N: usize> WithSimd for FewOutputsBackward<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_vectors!(self, simd);
    }
}

impl<const N: usize> FewOutputsBackward<'_, N> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let g = self.g.as_chunks::<N>().0;
        let panels = self.dx.chunks_exact_mut(g.len()).zip(self.x.chunks_exact(g.len()));
        let weights = self.dw.as_chunks_mut::<N>().0.iter_mut().zip(self.w.as_chunks::<N>().0);
        for ((dx, x), (dw, w)) in panels.zip(weights) {
            let mut sums = [[simd.splat_f32s(0.0); V]; N];
            let mut wide = sums;
            for n in 0..N {
                sums[n] = load::<S, V>(&dw[n]);
                wide[n] = load::<S, V>(&w[n]);
            }
            for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
                let x = load::<S, V>(x);
                let mut back = [simd.splat_f32s(0.0); V];
                for n in 0..N {
                    let g = simd.splat_f32s(g[n]);
                    for v in 0..V {
                        back[v] = simd.mul_add_e_f32s(g, wide[n][v], back[v]);
                        sums[n][v] = simd.mul_add_e_f32s(g, x[v], sums[n][v]);
                    }
                }
                store::<S, V>(dx, back);
            }
            for n in 0..N {
                store::<S, V>(&mut dw[n], sums[n]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            panel::{PANEL, add_transposed, pack, pack_transposed, panels, unpack},
            width::Width,
        },
        *,
    };
    use crate::rng::Rng;

    fn near(found: &[f32], expected: impl Fn(usize) -> f32, what: &str) {
        for (i, found) in found.iter().enumerate() {
            assert!((found - expected(i)).abs() < 1e-4, "{what} {i}: {found} {}", expected(i));
        }
    }

    #[test]
    fn thin_products_equal_plain_sums_at_every_width() {
        let (rows, wide, thin) = (7, 21, 3);
        let mut rng = Rng::new(6);
        let mut draw = |len: usize| (0..len).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
        let (x, w, y) = (draw(rows * thin), draw(thin * wide), draw(rows * wide));
        let packed = |from: &[f32], columns: usize| {
            let mut out = vec![[0.0; PANEL]; panels(columns) * (from.len() / columns)];
            pack(&mut out, from, columns);
            out
        };
        let (w_panels, y_panels) = (packed(&w, wide), packed(&y, wide));
        let sum = |n: usize, f: &dyn Fn(usize) -> f32| (0..n).map(f).sum::<f32>();
        for width in Width::ALL {
            let what = |name: &str| format!("{width:?} {name}");
            // x [rows, thin] · w [thin, wide], with a bias of 1 in the first two rows.
            let mut z = vec![[0.0; PANEL]; panels(wide) * rows];
            for (z, w) in z.chunks_exact_mut(rows).zip(w_panels.chunks_exact(thin)) {
                width.run(FewInputs::<3> { z, x: &x, w, bias: &[1.0; PANEL], bias_rows: 2 });
            }
            let mut found = vec![0.0; rows * wide];
            unpack(&mut found, &z, wide);
            let one = |r: usize| if r < 2 { 1.0 } else { 0.0 };
            let product = |i: usize| {
                let (r, o) = (i / wide, i % wide);
                one(r) + sum(thin, &|k| x[r * thin + k] * w[k * wide + o])
            };
            near(&found, product, &what("few inputs"));
            // xᵀ · y
            let mut dw = vec![[0.0; PANEL]; panels(wide) * thin];
            for (dw, g) in dw.chunks_exact_mut(thin).zip(y_panels.chunks_exact(rows)) {
                width.run(FewInputsGradient::<3> { dw, x: &x, g });
            }
            let mut found = vec![0.0; thin * wide];
            unpack(&mut found, &dw, wide);
            let gradient = |i: usize| sum(rows, &|r| x[r * thin + i / wide] * y[r * wide + i % wide]);
            near(&found, gradient, &what("few inputs' gradient"));
            // y [rows, wide] · v [wide, thin], with the same bias.
            let v: Vec<f32> = (0..wide * thin).map(|i| w[i % thin * wide + i / thin]).collect();
            let mut v_panels = vec![[0.0; PANEL]; panels(wide) * thin];
            pack_transposed(&mut v_panels, &v, thin);
            let mut found = vec![0.0; rows * thin];
            width.run(FewOutputs::<3> { y: &mut found, x: &y_panels, w: &v_panels, bias: &[1.0; 3], bias_rows: 2 });
            let product = |i: usize| {
                let (r, o) = (i / thin, i % thin);
                one(r) + sum(wide, &|k| y[r * wide + k] * v[k * thin + o])
            };
            near(&found, product, &what("few outputs"));
            // dv = yᵀ · x and dy = x · vᵀ
            let (mut dv, mut dy) = (vec![[0.0; PANEL]; panels(wide) * thin], vec![[0.0; PANEL]; panels(wide) * rows]);
            width.run(FewOutputsBackward::<3> { dw: &mut dv, dx: &mut dy, x: &y_panels, g: &x, w: &v_panels });
            let (mut found_dv, mut found_dy) = (vec![0.0; wide * thin], vec![0.0; rows * wide]);
            add_transposed(&mut found_dv, &dv, thin);
            unpack(&mut found_dy, &dy, wide);
            let dv = |i: usize| sum(rows, &|r| y[r * wide + i / thin] * x[r * thin + i % thin]);
            near(&found_dv, dv, &what("few outputs' weights"));
            let dy = |i: usize| sum(thin, &|k| x[i / wide * thin + k] * v[i % wide * thin + k]);
            near(&found_dy, dy, &what("few outputs' inputs"));
        }
    }
}
