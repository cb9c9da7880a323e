//! Sine, tanh and exp from additions and multiplications in a fixed order, so that every target gives the same bits.
//!
//! Trigonometry is in *turns*: sin_turns(t) = sin(2πt). Range reduction is then t - round(t), exact in f32.
//! Every routine is free of branches that would keep the compiler from doing many values at once.

/// Adding and taking away 1.5·2^23 rounds an f32 of magnitude below 2^22 to the nearest whole number, ties to even.
const ROUND: f32 = 12_582_912.0;
/// From this magnitude on every f32 in turns is a whole or half turn.
const WHOLE: f32 = 4_194_304.0;

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

    /// 1/(1 + exp(-x)).
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + Self::exp(-x))
    }

    /// x/2·(1 + tanh(√(2/π)·(x + 0.044715x³))) (Hendrycks and Gimpel 2016).
    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        let inner = 0.797_884_6 * (x + 0.044_715 * (x * x * x));
        0.5 * x * (1.0 + Self::tanh(inner))
    }

    /// x·sigmoid(x) (Ramachandran et al. 2017).
    #[inline(always)]
    fn swish(x: f32) -> f32 {
        x * Self::sigmoid(x)
    }
}

/// t less the nearest whole number of turns, in [-0.5, 0.5].
#[inline(always)]
fn reduce(t: f32) -> f32 {
    let r = t - ((t + ROUND) - ROUND);
    // Infinity times zero is the NaN an infinity deserves.
    if t.abs() >= WHOLE { t * 0.0 } else { r }
}

/// sin(2πr) for |r| <= 0.25; odd minimax polynomial of degree 9, error 3.3e-9 before rounding.
#[inline(always)]
#[allow(clippy::approx_constant, reason = "the best first coefficient is near 2π, not 2π")]
fn sin_quarter(r: f32) -> f32 {
    let q = r * r;
    let p = 39.536_705;
    let p = p * q + -76.549_78;
    let p = p * q + 81.601_006;
    let p = p * q + -41.341_656;
    let p = p * q + 6.283_185;
    p * r
}

/// This crate's own routines: sine and cosine to 2.1e-7 absolute over ±1024 turns, tanh to 1.5e-7 and exp to 0.9e-7
/// relative, each measured over every f32.
#[derive(Debug, Clone, Copy)]
pub struct Polynomial;

impl Math for Polynomial {
    #[inline(always)]
    fn sin_turns(t: f32) -> f32 {
        let r = reduce(t);
        let a = r.abs();
        let folded = if a > 0.25 { 0.5 - a } else { a };
        sin_quarter(folded.copysign(r))
    }

    #[inline(always)]
    fn cos_turns(t: f32) -> f32 {
        sin_quarter(0.25 - reduce(t).abs())
    }

    #[inline(always)]
    fn exp(x: f32) -> f32 {
        let x = if x > 88.0 { 88.0 } else { x };
        let x = if x < -87.0 { -87.0 } else { x };
        // x = n·ln 2 + r; the low bits of the shifted sum are n.
        let shifted = x * core::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
        let p = 1.394_111_3e-3;
        let p = p * r + 8.363_175e-3;
        let p = p * r + 4.166_637_4e-2;
        let p = p * r + 0.166_665_76;
        let p = p * r + 0.5;
        let tail = p * (r * r) + r;
        let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
        let scale = f32::from_bits(bits);
        scale + scale * tail
    }

    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        let a = x.abs();
        let q = a * a;
        let p = -5.717_043_3e-3;
        let p = p * q + 2.065_058_6e-2;
        let p = p * q + -5.374_349_7e-2;
        let p = p * q + 0.133_314_91;
        let p = p * q + -0.333_332_84;
        let near = p * q * a + a;
        let far = 1.0 - 2.0 / (Self::exp(2.0 * a) + 1.0);
        let y = if a > 0.625 { far } else { near };
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

#[cfg(feature = "micromath")]
impl Math for Micromath {
    fn sin_turns(t: f32) -> f32 {
        micromath::F32(core::f32::consts::TAU * reduce(t)).sin().0
    }
    fn cos_turns(t: f32) -> f32 {
        micromath::F32(core::f32::consts::TAU * reduce(t)).cos().0
    }
    fn exp(x: f32) -> f32 {
        let x = if x > 88.0 { 88.0 } else { x };
        micromath::F32(if x < -87.0 { -87.0 } else { x }).exp().0
    }
    fn tanh(x: f32) -> f32 {
        // The crate has no tanh; this is the identity that gives one from its exp.
        let a = x.abs();
        let y = 1.0 - 2.0 / (Self::exp(2.0 * a) + 1.0);
        y.copysign(x)
    }
}
