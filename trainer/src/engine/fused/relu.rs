//! ReLU and its way back without a choice: of one, in place, compilers make masked stores, which take ten times as long as
//! the arithmetic on some processors.

use pulp::{Arch, Simd, WithSimd};

/// z <- max(z, 0); what is not a number stays so.
pub(super) fn relu(z: &mut [f32]) {
    Arch::new().dispatch(Relu(z));
}

/// g <- g where y, a value of [`relu`], is not 0.
pub(super) fn relu_backward(g: &mut [f32], y: &[f32]) {
    Arch::new().dispatch(Backward { g, y });
}

struct Relu<'a>(&'a mut [f32]);

impl WithSimd for Relu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Exact below half the largest number; of a NaN the maximum of two is 0 on some machines.
        let half = simd.splat_f32s(0.5);
        let relu = |z: S::f32s| simd.mul_f32s(half, simd.add_f32s(z, simd.abs_f32s(z)));
        let (whole, rest) = S::as_mut_simd_f32s(self.0);
        whole.iter_mut().for_each(|z| *z = relu(*z));
        if !rest.is_empty() {
            simd.partial_store_f32s(rest, relu(simd.partial_load_f32s(rest)));
        }
    }
}

struct Backward<'a> {
    g: &'a mut [f32],
    y: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, last) = (simd.splat_u32s(0), simd.splat_u32s(31));
        // The bits of y are 0 or, as a number, positive: taken from 0 their first bit tells which.
        let back = |g: S::f32s, y: S::f32s| {
            let first = simd.wrapping_dyn_shr_u32s(simd.sub_u32s(zero, simd.transmute_u32s_f32s(y)), last);
            let mask = simd.sub_u32s(zero, first);
            simd.transmute_f32s_u32s(simd.and_u32s(simd.transmute_u32s_f32s(g), mask))
        };
        let (g, g_rest) = S::as_mut_simd_f32s(self.g);
        let (y, y_rest) = S::as_simd_f32s(&self.y[..g.len() * S::F32_LANES + g_rest.len()]);
        g.iter_mut().zip(y).for_each(|(g, y)| *g = back(*g, *y));
        if !g_rest.is_empty() {
            let both = back(simd.partial_load_f32s(g_rest), simd.partial_load_f32s(y_rest));
            simd.partial_store_f32s(g_rest, both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::width::Width, *};

    #[test]
    fn both_equal_the_plain_rule() {
        let y: Vec<f32> = (0..37).map(|i| (i as f32 - 18.0) * 0.25).collect();
        for width in Width::ALL {
            let (mut z, mut g) = (y.clone(), vec![3.0; 37]);
            z[18] = -0.0;
            width.run(Relu(&mut z));
            width.run(Backward { g: &mut g, y: &z });
            for i in 0..37 {
                assert_eq!((z[i], g[i]), if y[i] > 0.0 { (y[i], 3.0) } else { (0.0, 0.0) }, "{width:?}");
            }
            let mut lost = [f32::NAN, -f32::NAN];
            width.run(Relu(&mut lost));
            assert!(lost.iter().all(|v| v.is_nan()), "{width:?}");
        }
    }
}
