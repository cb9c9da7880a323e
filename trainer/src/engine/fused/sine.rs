//! Sine and cosine of many phases in turns at once, both from the sine and cosine of half the angle: sin 2a = 2·sin a·cos a,
//! cos 2a = 1 - 2·sin² a, so that there is no choice between the two and no table.
//!
//! Within 2.5e-7 of the truth for |t| < 2^20; the routines of the runtime, other ones to the same accuracy, decide what a
//! file means.

use pulp::{Arch, Simd, WithSimd};

/// z <- sin(2πz), and 2π·cos(2πz) of what z was, if wanted.
pub(super) fn sine(z: &mut [f32], slope: Option<&mut [f32]>) {
    match slope {
        Some(slope) => Arch::new().dispatch(Both { z, other: slope, scale: std::f32::consts::TAU }),
        None => Arch::new().dispatch(Sine(z)),
    }
}

/// sin(2πt) and cos(2πt) of phases `turns` `[n]`.
pub(super) fn sin_cos(turns: &[f32], sin: &mut [f32], cos: &mut [f32]) {
    sin.copy_from_slice(turns);
    Arch::new().dispatch(Both { z: sin, other: cos, scale: 1.0 });
}

/// 2·sin(πr), cos(πr), and the sign bit of sin(2πt) and cos(2πt) against those of 2πr, for r = t less the nearest half;
/// minimax polynomials on |r| <= 1/4, relative error 3.3e-9 and absolute error 6e-11 before rounding.
#[inline(always)]
fn half<S: Simd>(simd: S, t: S::f32s) -> (S::f32s, S::f32s, S::u32s) {
    // Adding and taking away 1.5·2^23 rounds to the nearest whole number; the last bit of the sum is its last bit.
    let round = simd.splat_f32s(12_582_912.0);
    let shifted = simd.mul_add_f32s(t, simd.splat_f32s(2.0), round);
    let r = simd.mul_add_f32s(simd.sub_f32s(shifted, round), simd.splat_f32s(-0.5), t);
    let sign = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(31));
    let q = simd.mul_f32s(r, r);
    let [s1, s2, s3, s4] = [-1.178_024_3, 5.099_522, -10.335_416, std::f32::consts::TAU].map(|c| simd.splat_f32s(c));
    let sin = simd.mul_add_e_f32s(simd.mul_add_e_f32s(simd.mul_add_e_f32s(s1, q, s2), q, s3), q, s4);
    let [c1, c2, c3, c4, c5] = [0.231_429_55, -1.335_058_5, 4.058_707_7, -4.934_802, 1.0].map(|c| simd.splat_f32s(c));
    let cos = simd.mul_add_e_f32s(simd.mul_add_e_f32s(simd.mul_add_e_f32s(c1, q, c2), q, c3), q, c4);
    (simd.mul_f32s(sin, r), simd.mul_add_e_f32s(cos, q, c5), sign)
}

/// x with its sign flipped where `sign` has the first bit.
#[inline(always)]
fn flip<S: Simd>(simd: S, x: S::f32s, sign: S::u32s) -> S::f32s {
    simd.transmute_f32s_u32s(simd.xor_u32s(simd.transmute_u32s_f32s(x), sign))
}

#[inline(always)]
fn sin<S: Simd>(simd: S, t: S::f32s) -> S::f32s {
    let (s, c, sign) = half(simd, t);
    flip(simd, simd.mul_f32s(s, c), sign)
}

/// sin(2πt) and scale·cos(2πt), from the scale and minus half of it.
#[inline(always)]
fn both<S: Simd>(simd: S, t: S::f32s, scale: S::f32s, less: S::f32s) -> (S::f32s, S::f32s) {
    let (s, c, sign) = half(simd, t);
    let other = simd.mul_add_e_f32s(simd.mul_f32s(s, s), less, scale);
    (flip(simd, simd.mul_f32s(s, c), sign), flip(simd, other, sign))
}

struct Sine<'a>(&'a mut [f32]);

impl WithSimd for Sine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (whole, rest) = S::as_mut_simd_f32s(self.0);
        for z in whole {
            *z = sin(simd, *z);
        }
        if !rest.is_empty() {
            simd.partial_store_f32s(rest, sin(simd, simd.partial_load_f32s(rest)));
        }
    }
}

/// z <- sin(2πz), other <- scale·cos(2πz).
struct Both<'a> {
    z: &'a mut [f32],
    other: &'a mut [f32],
    scale: f32,
}

impl WithSimd for Both<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scale, less) = (simd.splat_f32s(self.scale), simd.splat_f32s(-0.5 * self.scale));
        let (z, z_rest) = S::as_mut_simd_f32s(self.z);
        let (other, other_rest) = S::as_mut_simd_f32s(self.other);
        for (z, other) in z.iter_mut().zip(other) {
            (*z, *other) = both(simd, *z, scale, less);
        }
        if !z_rest.is_empty() {
            let (sin, cos) = both(simd, simd.partial_load_f32s(z_rest), scale, less);
            simd.partial_store_f32s(z_rest, sin);
            simd.partial_store_f32s(other_rest, cos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::width::Width, *};
    use crate::{rng::Rng, tolerance};

    #[test]
    fn both_equal_those_of_f64() {
        let mut rng = Rng::new(4);
        for range in [0.5, 3.0, 1e3, 1e6] {
            let t: Vec<f32> = (0..20_003).map(|_| rng.symmetric(range) as f32).collect();
            let (mut sin, mut cos) = (vec![0.0; t.len()], vec![0.0; t.len()]);
            sin_cos(&t, &mut sin, &mut cos);
            let (mut alone, mut kept, mut slope) = (t.clone(), t.clone(), vec![0.0; t.len()]);
            sine(&mut alone, None);
            sine(&mut kept, Some(&mut slope));
            for width in Width::ALL {
                let (mut z, mut other) = (t.clone(), vec![0.0; t.len()]);
                width.run(Both { z: &mut z, other: &mut other, scale: 1.0 });
                let far = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 2e-7);
                assert!(!far(&z, &sin) && !far(&other, &cos), "{width:?}");
            }
            for (i, t) in t.iter().enumerate() {
                let angle = std::f64::consts::TAU * (f64::from(*t) - f64::from(*t).round());
                let error = (f64::from(sin[i]) - angle.sin()).abs().max((f64::from(cos[i]) - angle.cos()).abs());
                assert!(error < tolerance::SINE, "{t}: {error:e}");
                assert_eq!((alone[i], kept[i]), (sin[i], sin[i]));
                assert!((slope[i] - std::f32::consts::TAU * cos[i]).abs() < 2e-6);
            }
        }
        let mut lost = [f32::NAN, f32::INFINITY];
        sine(&mut lost, None);
        assert!(lost.iter().all(|v| v.is_nan()));
    }
}
