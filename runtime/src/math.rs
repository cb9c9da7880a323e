//! Sine, tanh and exp from additions and multiplications in a fixed order, so that every target gives the same bits.
//!
//! Trigonometry is in *turns*: sin_turns(t) = sin(2πt). Range reduction is then t - round(t), exact in f32.
//! Every routine is free of branches that would keep the compiler from doing many values at once.

use crate::lanes::Real;

/// Adding and taking away 1.5·2^23 rounds an f32 of magnitude below 2^22 to the nearest whole number, ties to even.
const ROUND: f32 = 12_582_912.0;
/// The f32 below 2^22, which is a quarter less, and from which on every one in turns is a whole or half turn.
const BELOW_WHOLE: f32 = 4_194_303.8;
/// The same as [`ROUND`] for half turns, up to a magnitude of 2^21; the last bit of the sum is then whether their number
/// is odd.
const ROUND_HALF: f32 = 6_291_456.0;
/// Values that are looked at together.
const SIDE: usize = if cfg!(feature = "host") { 64 } else { 8 };
/// Bits of 2^21.
const NEAR: u32 = 0x4a00_0000;
/// 2^42
const FAR_SQUARED: f32 = 4_398_046_511_104.0;

/// One set of routines; NaN in gives NaN out.
pub trait Math {
    /// sin(2πt) for |t| < 2^22; beyond that 0, and NaN for an infinity.
    fn sin_turns(t: f32) -> f32;
    /// cos(2πt) for |t| < 2^22; beyond that 1, and NaN for an infinity.
    fn cos_turns(t: f32) -> f32;
    /// exp(x), held at its values for -87 and 88 outside of them.
    fn exp(x: f32) -> f32;
    /// tanh(x).
    fn tanh(x: f32) -> f32;

    /// [`Math::sin_turns`] of every value in place.
    #[inline(always)]
    fn sines(values: &mut [f32]) {
        for v in values {
            *v = Self::sin_turns(*v);
        }
    }

    /// [`Math::exp`] as it is used by others: where nothing is done side by side, one copy for all of them.
    #[cfg_attr(any(target_os = "none", target_family = "wasm"), inline(never))]
    #[cfg_attr(not(any(target_os = "none", target_family = "wasm")), inline(always))]
    fn exp_apart(x: f32) -> f32 {
        Self::exp(x)
    }

    /// [`Math::tanh`] in the same way.
    #[cfg_attr(any(target_os = "none", target_family = "wasm"), inline(never))]
    #[cfg_attr(not(any(target_os = "none", target_family = "wasm")), inline(always))]
    fn tanh_apart(x: f32) -> f32 {
        Self::tanh(x)
    }

    /// 1/(1 + exp(-x)).
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        sigmoid(x, Self::exp_apart)
    }

    /// x/2·(1 + tanh(√(2/π)·(x + 0.044715x³))) (Hendrycks and Gimpel 2016).
    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        gelu(x, Self::tanh_apart)
    }

    /// x·sigmoid(x) (Ramachandran et al. 2017).
    #[inline(always)]
    fn swish(x: f32) -> f32 {
        swish(x, Self::sigmoid)
    }
}

/// t less the nearest whole number of turns, in [-0.5, 0.5].
#[inline(always)]
fn reduce<R: Real>(t: R) -> R {
    let r = t - ((t + ROUND) - ROUND);
    // Infinity times zero is the NaN an infinity deserves.
    t.abs().above(BELOW_WHOLE, t * 0.0, r)
}

/// sin(2πt) for |t| <= 2^21: of what is left to the nearest half turn, its sign changed where that is an odd one.
#[inline(always)]
fn sin_near<R: Real>(t: R) -> R {
    let shifted = t + ROUND_HALF;
    sin_quarter(t - (shifted - ROUND_HALF)).flip(shifted)
}

/// [`Polynomial::sin_turns`] of values one of which is far.
#[cold]
#[inline(never)]
fn far_sines(values: &mut [f32]) {
    #[inline(never)]
    fn far_sine(t: f32) -> f32 {
        sin_near(reduce(t))
    }
    for v in values {
        *v = far_sine(*v);
    }
}

/// Whether [`sin_near`] may be asked for all of them; `false` may mean that their squares add up to too much.
#[inline(always)]
fn all_near(values: &[f32; SIDE]) -> bool {
    if cfg!(target_abi = "eabihf") {
        values.iter().fold(0.0, |sum, t| sum + t * t) < FAR_SQUARED
    } else if cfg!(feature = "host") {
        // Without an end before the last, so that vectors can do it.
        values.iter().fold(true, |near, t| near & (t.to_bits() & 0x7fff_ffff < NEAR))
    } else {
        values.iter().all(|t| t.to_bits() & 0x7fff_ffff < NEAR)
    }
}

/// Odd minimax polynomial of degree 9 for sin(2πr), |r| <= 0.25; error 3.3e-9 before rounding.
#[allow(clippy::approx_constant, reason = "the best first coefficient is near 2π, not 2π")]
const SINE: [f32; 5] = [39.536_705, -76.549_78, 81.601_006, -41.341_656, 6.283_185];

/// sin(2πr) for |r| <= 0.25.
#[inline(always)]
fn sin_quarter<R: Real>(r: R) -> R {
    let q = r * r;
    q.polynomial(&SINE) * r
}

/// [`Polynomial::sines`] with product and sum rounded once: for vectors that can.
#[cfg(feature = "fma")]
#[inline(always)]
pub(crate) fn sines_fused(values: &mut [f32]) {
    let sine = |t: f32| {
        let shifted = t + ROUND_HALF;
        let r = t - (shifted - ROUND_HALF);
        let q = r * r;
        let [a, b, c, d, e] = SINE;
        let p = a.mul_add(q, b).mul_add(q, c).mul_add(q, d).mul_add(q, e);
        (p * r).flip(shifted)
    };
    let (together, rest) = values.as_chunks_mut();
    for some in together {
        if all_near(some) {
            some.iter_mut().for_each(|v| *v = sine(*v));
        } else {
            some.iter_mut().for_each(|v| *v = sine(reduce(*v)));
        }
    }
    // The same bits as in company: what is near is reduced already.
    rest.iter_mut().for_each(|v| *v = sine(reduce(*v)));
}

/// [`Math::sin_turns`] by additions and products.
#[inline(always)]
pub(crate) fn sin_turns<R: Real>(t: R) -> R {
    sin_near(reduce(t))
}

/// [`Math::cos_turns`] likewise.
#[inline(always)]
pub(crate) fn cos_turns<R: Real>(t: R) -> R {
    sin_quarter(R::of(0.25) - reduce(t).abs())
}

/// [`Math::exp`] likewise.
#[inline(always)]
pub(crate) fn exp<R: Real>(x: R) -> R {
    let x = x.above(88.0, R::of(88.0), x);
    let x = x.below(-87.0, R::of(-87.0), x);
    // x = n·ln 2 + r; the low bits of the shifted sum are n.
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = r.polynomial(&[1.394_111_3e-3, 8.363_175e-3, 4.166_637_4e-2, 0.166_665_76, 0.5]);
    let tail = p * (r * r) + r;
    let scale = shifted.power(ROUND);
    scale + scale * tail
}

/// Up to here [`tanh_near`] is tanh(a) of a magnitude a, beyond it [`tanh_far`].
pub(crate) const TANH_NEAR: f32 = 0.625;

#[inline(always)]
pub(crate) fn tanh_near<R: Real>(a: R) -> R {
    let q = a * a;
    let p = q.polynomial(&[-5.717_043_3e-3, 2.065_058_6e-2, -5.374_349_7e-2, 0.133_314_91, -0.333_332_84]);
    p * q * a + a
}

#[inline(always)]
pub(crate) fn tanh_far<R: Real>(a: R, exp: impl Fn(R) -> R) -> R {
    R::of(1.0) - R::of(2.0) / (exp(a * 2.0) + 1.0)
}

/// [`Math::sigmoid`] by way of an exp.
#[inline(always)]
pub(crate) fn sigmoid<R: Real>(x: R, exp: impl Fn(R) -> R) -> R {
    R::of(1.0) / (exp(-x) + 1.0)
}

/// [`Math::gelu`] by way of a tanh.
#[inline(always)]
pub(crate) fn gelu<R: Real>(x: R, tanh: impl Fn(R) -> R) -> R {
    let inner = (x + x * x * x * 0.044_715) * 0.797_884_6;
    x * 0.5 * (tanh(inner) + 1.0)
}

/// [`Math::swish`] by way of a sigmoid.
#[inline(always)]
pub(crate) fn swish<R: Real>(x: R, sigmoid: impl Fn(R) -> R) -> R {
    x * sigmoid(x)
}

/// This crate's own routines: sine and cosine to 2.1e-7 absolute over ±1024 turns, tanh to 1.5e-7 and exp to 0.9e-7
/// relative, each measured over every f32.
#[derive(Debug, Clone, Copy)]
pub struct Polynomial;

impl Math for Polynomial {
    #[inline(always)]
    fn sin_turns(t: f32) -> f32 {
        sin_turns(t)
    }

    #[inline(always)]
    fn sines(values: &mut [f32]) {
        // Arguments that are near are reduced already; a look at some of them costs less than the reduction.
        let looked_at = cfg!(any(target_os = "none", feature = "host"));
        let (together, rest) = if looked_at { values.as_chunks_mut() } else { (&mut [][..], values) };
        for some in together {
            let some: &mut [f32; SIDE] = some;
            if all_near(some) {
                for v in some {
                    *v = sin_near(*v);
                }
            } else {
                far_sines(some);
            }
        }
        if cfg!(target_os = "none") {
            return far_sines(rest);
        }
        for v in rest {
            *v = Self::sin_turns(*v);
        }
    }

    #[inline(always)]
    fn cos_turns(t: f32) -> f32 {
        cos_turns(t)
    }

    #[inline(always)]
    fn exp(x: f32) -> f32 {
        exp(x)
    }

    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        let a = x.abs();
        let y = if cfg!(target_os = "none") {
            // A core without vectors computes one of them.
            if a > TANH_NEAR { tanh_far(a, exp) } else { tanh_near(a) }
        } else {
            a.above(TANH_NEAR, tanh_far(a, exp), tanh_near(a))
        };
        y.copysign(x)
    }
}

/// The routines of the `libm` crate.
#[cfg(feature = "libm")]
#[derive(Debug, Clone, Copy)]
pub struct Libm;

#[cfg(feature = "libm")]
impl Math for Libm {
    fn sin_turns(t: f32) -> f32 {
        libm::sinf(core::f32::consts::TAU * reduce(t))
    }
    fn cos_turns(t: f32) -> f32 {
        libm::cosf(core::f32::consts::TAU * reduce(t))
    }
    fn exp(x: f32) -> f32 {
        let x = if x > 88.0 { 88.0 } else { x };
        libm::expf(if x < -87.0 { -87.0 } else { x })
    }
    fn tanh(x: f32) -> f32 {
        libm::tanhf(x)
    }
}

/// The routines of the `micromath` crate: sine to about 2e-3, too coarse for a SIREN's hidden layers.
#[cfg(feature = "micromath")]
#[derive(Debug, Clone, Copy)]
pub struct Micromath;

/// f(x), or the NaN that x is: the crate makes numbers of it that depend on its sign, which differs from target to
/// target and with the number of points evaluated together.
#[cfg(feature = "micromath")]
#[inline(always)]
fn number(x: f32, f: impl Fn(micromath::F32) -> micromath::F32) -> f32 {
    if x.is_nan() { x } else { f(micromath::F32(x)).0 }
}

#[cfg(feature = "micromath")]
impl Math for Micromath {
    fn sin_turns(t: f32) -> f32 {
        number(core::f32::consts::TAU * reduce(t), |x| x.sin())
    }
    fn cos_turns(t: f32) -> f32 {
        number(core::f32::consts::TAU * reduce(t), |x| x.cos())
    }
    fn exp(x: f32) -> f32 {
        let x = if x > 88.0 { 88.0 } else { x };
        number(if x < -87.0 { -87.0 } else { x }, |x| x.exp())
    }
    fn tanh(x: f32) -> f32 {
        // The crate has no tanh; this is the identity that gives one from its exp.
        let a = x.abs();
        let y = 1.0 - 2.0 / (Self::exp(2.0 * a) + 1.0);
        y.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "fma")]
    #[test]
    fn fused_sines_are_as_exact() {
        // Near and far in one call, and some that fill no vector.
        let start: std::vec::Vec<f32> =
            (0..100_003).map(|k| (k - 50_000) as f32 * 0.020_47).chain([3e6, 2.5e9]).collect();
        let mut values = start.clone();
        crate::activation::sines_fused(&mut values);
        let mut alone = start.clone();
        alone.chunks_mut(1).for_each(crate::activation::sines_fused);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<std::vec::Vec<_>>();
        assert!(bits(&values) == bits(&alone), "company changes a bit");
        for (t, s) in start.iter().zip(&values) {
            let exact = (core::f64::consts::TAU * (f64::from(*t) % 1.0)).sin();
            let found = if t.abs() < 4_194_303.0 { exact } else { 0.0 };
            assert!((f64::from(*s) - found).abs() < 2.1e-7, "{t} {s} {found}");
        }
    }

    #[test]
    fn what_is_near_needs_no_reduction() {
        let mut state = 1u32;
        for k in 0..2_000_000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Quarters and halves of turns, where rounding has ties, and numbers of every exponent.
            let t = match k % 4 {
                0 => (k as i32 - 1_000_000) as f32 * 0.25,
                1 => 2_097_151.8 - k as f32,
                _ => f32::from_bits((state % (NEAR << 1)) ^ (state & 0x8000_0000)),
            };
            if t.abs() < 2_097_152.0 {
                assert_eq!(sin_near(t).to_bits(), Polynomial::sin_turns(t).to_bits(), "{t:e}");
                let mut values = [0.0; SIDE];
                values[0] = t;
                assert!(all_near(&values), "{t:e}");
            }
        }
        for far in [2_097_152.0, -3e6, 1e30, f32::INFINITY, f32::NAN] {
            let mut values = [0.0; SIDE];
            values[SIDE - 1] = far;
            assert!(!all_near(&values), "{far}");
        }
        let peaks = [0.25f32, -0.25, 0.75, 1.0, -0.5].map(Polynomial::sin_turns);
        assert_eq!(peaks, [0.999_999_94, -0.999_999_94, -0.999_999_94, 0.0, 0.0]);
    }
}
