//! Matrix products over panels. Each keeps a block of sums in registers while it goes through the inner dimension, with
//! the widest vectors the machine has (AVX-512, AVX2, NEON, or none), chosen at run time.

#![allow(clippy::needless_range_loop, clippy::manual_memcpy, reason = "registers go by their index")]

use pulp::{Arch, Simd, WithSimd};

use super::panel::{PANEL, Row};

/// Rows of weights gone through at a time, whole panels: they stay in the first cache while all rows of a tile pass.
const DEPTH: usize = 128;

/// One panel of z = x·w, each of the first `bias_rows` rows with the bias: x `[k/16][rows][16]`, w `[k][16]`,
/// z `[rows][16]`.
pub(super) fn product(z: &mut [Row], x: &[Row], w: &[Row], bias: &Row, bias_rows: usize) {
    Arch::new().dispatch(Product { z, x, w, bias, bias_rows });
}

/// One panel of dw += xᵀ·g: x `[k/16][rows][16]`, g `[rows][16]`, dw `[k/16·16][16]`.
pub(super) fn add_transposed_product(dw: &mut [Row], x: &[Row], g: &[Row]) {
    Arch::new().dispatch(TransposedProduct { dw, x, g });
}

/// A row as `V` vectors.
#[inline(always)]
pub(super) fn load<S: Simd, const V: usize>(row: &Row) -> [S::f32s; V] {
    let vectors = S::as_simd_f32s(row).0;
    let mut out = [vectors[0]; V];
    for v in 0..V {
        out[v] = vectors[v];
    }
    out
}

/// `V` vectors into a row.
#[inline(always)]
pub(super) fn store<S: Simd, const V: usize>(row: &mut Row, vectors: [S::f32s; V]) {
    let out = S::as_mut_simd_f32s(row).0;
    for v in 0..V {
        out[v] = vectors[v];
    }
}

struct Product<'a> {
    z: &'a mut [Row],
    x: &'a [Row],
    w: &'a [Row],
    bias: &'a Row,
    bias_rows: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // As many sums as registers hold beside the weights.
        match S::F32_LANES {
            16 => self.run::<S, 12, 1>(simd),
            8 => self.run::<S, 6, 2>(simd),
            4 => self.run::<S, 6, 4>(simd),
            _ => self.run::<S, 1, 16>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const M: usize, const V: usize>(&mut self, simd: S) {
        let rows = self.z.len();
        for (n, w) in self.w.chunks(DEPTH).enumerate() {
            let x = &self.x[n * (DEPTH / PANEL) * rows..];
            let mut r = 0;
            while r < rows {
                // The last rows go together, as one block takes hardly longer than a row of its own.
                r += match rows - r {
                    left if left >= M => self.block::<S, M, V>(simd, x, w, r, n == 0),
                    1 => self.block::<S, 1, V>(simd, x, w, r, n == 0),
                    2 => self.block::<S, 2, V>(simd, x, w, r, n == 0),
                    3 => self.block::<S, 3, V>(simd, x, w, r, n == 0),
                    4 => self.block::<S, 4, V>(simd, x, w, r, n == 0),
                    5 => self.block::<S, 5, V>(simd, x, w, r, n == 0),
                    _ => self.block::<S, 6, V>(simd, x, w, r, n == 0),
                };
            }
        }
    }

    /// Rows `r..r + M`, from the bias or what they hold.
    #[inline(always)]
    fn block<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        x: &[Row],
        w: &[Row],
        r: usize,
        first: bool,
    ) -> usize {
        let rows = self.z.len();
        let z = self.z[r..].first_chunk_mut::<M>().expect("blocks end with the rows");
        let bias = load::<S, V>(self.bias);
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        for m in 0..M {
            if !first {
                sums[m] = load::<S, V>(&z[m]);
            } else if r + m < self.bias_rows {
                sums[m] = bias;
            }
        }
        for (x, w) in x.chunks_exact(rows).zip(w.chunks(PANEL)) {
            let x = x[r..].first_chunk::<M>().expect("blocks end with the rows");
            for (c, w) in (0..PANEL).zip(w) {
                let w = load::<S, V>(w);
                for m in 0..M {
                    let x = simd.splat_f32s(x[m][c]);
                    for v in 0..V {
                        sums[m][v] = simd.mul_add_e_f32s(x, w[v], sums[m][v]);
                    }
                }
            }
        }
        for m in 0..M {
            store::<S, V>(&mut z[m], sums[m]);
        }
        M
    }
}

struct TransposedProduct<'a> {
    dw: &'a mut [Row],
    x: &'a [Row],
    g: &'a [Row],
}

impl WithSimd for TransposedProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (dw, x) in self.dw.as_chunks_mut::<PANEL>().0.iter_mut().zip(self.x.chunks_exact(self.g.len())) {
            match S::F32_LANES {
                16 => {
                    add::<S, 0, 8, 1>(simd, dw, x, self.g);
                    add::<S, 8, 8, 1>(simd, dw, x, self.g);
                }
                8 => {
                    add::<S, 0, 5, 2>(simd, dw, x, self.g);
                    add::<S, 5, 5, 2>(simd, dw, x, self.g);
                    add::<S, 10, 6, 2>(simd, dw, x, self.g);
                }
                4 => {
                    add::<S, 0, 5, 4>(simd, dw, x, self.g);
                    add::<S, 5, 5, 4>(simd, dw, x, self.g);
                    add::<S, 10, 6, 4>(simd, dw, x, self.g);
                }
                _ => {
                    for i in 0..PANEL {
                        for (x, g) in x.iter().zip(self.g) {
                            for (dw, g) in dw[i].iter_mut().zip(g) {
                                *dw += x[i] * g;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rows `I..I + M` of a block of dw.
#[inline(always)]
fn add<S: Simd, const I: usize, const M: usize, const V: usize>(simd: S, dw: &mut [Row; PANEL], x: &[Row], g: &[Row]) {
    let mut sums = [[simd.splat_f32s(0.0); V]; M];
    for m in 0..M {
        sums[m] = load::<S, V>(&dw[I + m]);
    }
    for (x, g) in x.iter().zip(g) {
        let g = load::<S, V>(g);
        for m in 0..M {
            let x = simd.splat_f32s(x[I + m]);
            for v in 0..V {
                sums[m][v] = simd.mul_add_e_f32s(x, g[v], sums[m][v]);
            }
        }
    }
    for m in 0..M {
        store::<S, V>(&mut dw[I + m], sums[m]);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            panel::{pack, panels, unpack},
            width::Width,
        },
        *,
    };
    use crate::rng::Rng;

    #[test]
    fn products_equal_sums_in_f64_at_every_width() {
        for width in Width::ALL {
            check(width);
        }
    }

    fn check(width: Width) {
        let mut rng = Rng::new(2);
        for (rows, k, n) in [(1, 1, 1), (5, 3, 7), (64, 33, 16), (17, 128, 40), (13, 300, 32)] {
            let mut draw = |len: usize| (0..len).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
            let (x, w, bias, g) = (draw(rows * k), draw(k * n), draw(n), draw(rows * n));
            let packed = |from: &[f32], columns: usize| {
                let mut out = vec![[0.0; PANEL]; panels(columns) * (from.len() / columns)];
                pack(&mut out, from, columns);
                out
            };
            let (xp, wp, gp) = (packed(&x, k), packed(&w, n), packed(&g, n));
            let bias_rows = rows / 2;
            let mut z = vec![[7.0; PANEL]; panels(n) * rows];
            for ((z, w), b) in z.chunks_exact_mut(rows).zip(wp.chunks_exact(k)).zip(packed(&bias, n)) {
                width.run(Product { z, x: &xp, w, bias: &b, bias_rows });
            }
            let mut found = vec![0.0; rows * n];
            unpack(&mut found, &z, n);
            for (i, found) in found.iter().enumerate() {
                let (r, o) = (i / n, i % n);
                let sum: f64 = (0..k).map(|j| f64::from(x[r * k + j]) * f64::from(w[j * n + o])).sum();
                let expected = sum + if r < bias_rows { f64::from(bias[o]) } else { 0.0 };
                assert!((f64::from(*found) - expected).abs() < 1e-4, "{width:?} {rows} {k} {n}: {found} {expected}");
            }
            let room = panels(k) * PANEL;
            let mut dw = vec![[1.0; PANEL]; panels(n) * room];
            for (dw, g) in dw.chunks_exact_mut(room).zip(gp.chunks_exact(rows)) {
                width.run(TransposedProduct { dw, x: &xp, g });
            }
            for i in 0..k * n {
                let (j, o) = (i / n, i % n);
                let sum: f64 = (0..rows).map(|r| f64::from(x[r * k + j]) * f64::from(g[r * n + o])).sum();
                let found = dw[o / PANEL * room + j][o % PANEL];
                assert!((f64::from(found) - sum - 1.0).abs() < 1e-4, "{width:?} {rows} {k} {n}: {found} {sum}");
            }
        }
    }
}
