//! The rate of the best matrix products at hand, those of the `gemm` crate or of the engine's own kernels: what a step of
//! the engine is measured against. The only unsafe code of the engine: the call of that library, behind checks of every
//! length.

use std::time::{Duration, Instant};

use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::{
    kernel,
    panel::{PANEL, Row, panels},
};

/// The rate of f32 matrix products of this shape (m, k, n), each thread of the pool with its own, in 10^9 operations a
/// second: the best of many rounds within `time`, half of it for the library's and half for our own kernels.
pub fn peak((m, k, n): (usize, usize, usize), time: Duration) -> f64 {
    let operations = (2 * m * k * n) as f64;
    let (a, b) = (vec![1.0f32; m * k], vec![1.0f32; k * n]);
    let library = rate(operations, time / 2, vec![0.0f32; m * n], |c| product(c, &a, &b, (m, k, n)));
    let (x, w) = (vec![[1.0; PANEL]; panels(k) * m], vec![[1.0; PANEL]; panels(n) * k]);
    let own = rate(operations, time / 2, vec![[0.0; PANEL]; panels(n) * m], |z: &mut Vec<Row>| {
        for (z, w) in z.chunks_exact_mut(m).zip(w.chunks_exact(k)) {
            kernel::product(z, &x, w, &[0.0; PANEL], m);
        }
    });
    library.max(own)
}

/// 10^9 operations a second of `work` with `operations` of them, each thread with an `out` of its own.
fn rate<T: Clone + Send>(operations: f64, time: Duration, out: T, work: impl Fn(&mut T) + Sync) -> f64 {
    let threads = rayon::current_num_threads();
    let mut out = vec![out; threads];
    // A round long enough that handing it out does not count.
    let repeat = (1e8 / operations).ceil().max(1.0) as usize;
    let (started, mut best) = (Instant::now(), f64::INFINITY);
    while started.elapsed() < time {
        let clock = Instant::now();
        out.par_iter_mut().with_max_len(1).for_each(|out| (0..repeat).for_each(|_| work(out)));
        best = best.min(clock.elapsed().as_secs_f64());
    }
    1e-9 * operations * (repeat * threads) as f64 / best
}

/// c `[m, n]` = a `[m, k]` · b `[k, n]`, row by row.
fn product(c: &mut [f32], a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) {
    assert!(c.len() == m * n && a.len() == m * k && b.len() == k * n, "matrices have the sizes they say");
    let (row, column) = (|width: usize| width as isize, 1);
    // SAFETY: every element that is read or written has an index below the lengths checked above; `c` is borrowed
    // mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            column,
            row(n),
            false,
            a.as_ptr(),
            column,
            row(k),
            b.as_ptr(),
            column,
            row(n),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_timed_is_the_product() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, 1.0, 0.0, 3.0]);
        let mut c = [9.0; 4];
        product(&mut c, &a, &b, (2, 3, 2));
        assert_eq!(c, [5.0, 11.0, 14.0, 23.0]);
    }
}
