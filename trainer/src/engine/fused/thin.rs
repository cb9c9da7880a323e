//! Layers with few inputs or few outputs, where a general matrix product spends its time on packing.

use pulp::Arch;

/// Most inputs or outputs of a thin layer.
pub(super) const THIN: usize = 4;

/// Lanes a sum is spread over, so that it is vectorised and its order still fixed.
const LANES: usize = 16;

/// z `[m, n]` = x `[m, k]` · w `[k, n]` for k <= [`THIN`].
pub(super) fn few_inputs(z: &mut [f32], x: &[f32], w: &[f32], k: usize, n: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (z, x) in z.chunks_exact_mut(n).zip(x.chunks_exact(k)) {
                z.iter_mut().zip(&w[..n]).for_each(|(z, w)| *z = x[0] * w);
                for (x, w) in x.iter().zip(w.chunks_exact(n)).skip(1) {
                    z.iter_mut().zip(w).for_each(|(z, w)| *z += x * w);
                }
            }
        },
    );
}

/// dw `[k, n]` += x `[m, k]`ᵀ · g `[m, n]` for k <= [`THIN`].
pub(super) fn few_inputs_gradient(dw: &mut [f32], x: &[f32], g: &[f32], k: usize, n: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (x, g) in x.chunks_exact(k).zip(g.chunks_exact(n)) {
                for (x, dw) in x.iter().zip(dw.chunks_exact_mut(n)) {
                    dw.iter_mut().zip(g).for_each(|(d, g)| *d += x * g);
                }
            }
        },
    );
}

/// z `[m, n]` = x `[m, k]` · w `[k, n]` for n <= [`THIN`]; `columns` has room for w transposed, `[n, k]`.
pub(super) fn few_outputs(z: &mut [f32], x: &[f32], w: &[f32], columns: &mut [f32], k: usize, n: usize) {
    transpose(columns, w, k, n);
    let columns = &*columns;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (z, x) in z.chunks_exact_mut(n).zip(x.chunks_exact(k)) {
                for (z, w) in z.iter_mut().zip(columns.chunks_exact(k)) {
                    *z = dot(x, w);
                }
            }
        },
    );
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let mut sum: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().for_each(|l| sum += l);
    sum
}

/// The way back of [`few_outputs`]: dw `[k, n]` += xᵀ·g and dx `[m, k]` = g `[m, n]` · wᵀ; `columns` has room for
/// twice `[n, k]`.
pub(super) fn few_outputs_backward(
    dw: &mut [f32],
    dx: &mut [f32],
    (x, g, w): (&[f32], &[f32], &[f32]),
    columns: &mut [f32],
    (k, n): (usize, usize),
) {
    let (columns, sums) = columns.split_at_mut(n * k);
    let sums = &mut sums[..n * k];
    transpose(columns, w, k, n);
    sums.fill(0.0);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((x, g), dx) in x.chunks_exact(k).zip(g.chunks_exact(n)).zip(dx.chunks_exact_mut(k)) {
                dx.iter_mut().zip(&columns[..k]).for_each(|(d, w)| *d = g[0] * w);
                for (g, w) in g.iter().zip(columns.chunks_exact(k)).skip(1) {
                    dx.iter_mut().zip(w).for_each(|(d, w)| *d += g * w);
                }
                for (g, s) in g.iter().zip(sums.chunks_exact_mut(k)) {
                    s.iter_mut().zip(x).for_each(|(s, x)| *s += g * x);
                }
            }
        },
    );
    for (i, row) in dw.chunks_exact_mut(n).enumerate() {
        row.iter_mut().enumerate().for_each(|(o, d)| *d += sums[o * k + i]);
    }
}

/// w `[k, n]` as `[n, k]`.
fn transpose(out: &mut [f32], w: &[f32], k: usize, n: usize) {
    for (i, row) in w.chunks_exact(n).enumerate() {
        row.iter().enumerate().for_each(|(o, w)| out[o * k + i] = *w);
    }
}
