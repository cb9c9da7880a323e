//! Products of row-major matrices. The only unsafe code of the engine: the call of the library that does them, behind
//! checks of every length.

use gemm::{Parallelism, gemm};

/// c `[m, n]` = a `[m, k]` · b `[k, n]`
pub(super) fn product(c: &mut [f32], a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) {
    run(c, false, (a, k, 1), (b, n, 1), (m, k, n));
}

/// c `[m, n]` = a `[m, k]` · b `[n, k]`ᵀ
pub(super) fn product_transposed(c: &mut [f32], a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) {
    run(c, false, (a, k, 1), (b, 1, k), (m, k, n));
}

/// c `[m, n]` += a `[k, m]`ᵀ · b `[k, n]`
pub(super) fn add_transposed_product(c: &mut [f32], a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) {
    run(c, true, (a, 1, m), (b, n, 1), (m, k, n));
}

/// A matrix with the distance of two rows and of two columns.
type Strided<'a> = (&'a [f32], usize, usize);

fn run(c: &mut [f32], add: bool, a: Strided<'_>, b: Strided<'_>, (m, k, n): (usize, usize, usize)) {
    let (a, a_row, a_column) = a;
    let (b, b_row, b_column) = b;
    assert!(c.len() == m * n && a.len() == m * k && b.len() == k * n, "matrices have the sizes they say");
    // SAFETY: every element that is read or written has an index below the length checked above, as the strides are
    // those of a dense matrix, plain or transposed; `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
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
    use crate::rng::Rng;

    #[test]
    fn products_equal_sums_in_f64() {
        let mut rng = Rng::new(2);
        for (m, k, n) in [(1, 1, 1), (5, 3, 7), (64, 33, 16), (17, 128, 40)] {
            let mut draw = |len| (0..len).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
            let (a, b) = (draw(m * k), draw(k * n));
            let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
            };
            let expected: Vec<f64> = (0..m * n)
                .map(|i| (0..k).map(|j| f64::from(a[i / n * k + j]) * f64::from(b[j * n + i % n])).sum())
                .collect();
            let check = |c: &[f32], times: f64| {
                for (c, e) in c.iter().zip(&expected) {
                    assert!((f64::from(*c) - times * e).abs() < 1e-4, "{m} {k} {n}: {c} {e}");
                }
            };
            let mut c = vec![9.0; m * n];
            product(&mut c, &a, &b, (m, k, n));
            check(&c, 1.0);
            add_transposed_product(&mut c, &transpose(&a, m, k), &b, (m, k, n));
            check(&c, 2.0);
            product_transposed(&mut c, &a, &transpose(&b, k, n), (m, k, n));
            check(&c, 1.0);
        }
    }
}
