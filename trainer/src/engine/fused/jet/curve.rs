//! Taylor coefficients of activations: f(x + h) = Σ cₙ·hⁿ, by the differential equation each satisfies.

#![allow(clippy::needless_range_loop, reason = "coefficients of a series go by their order")]

use rwf_runtime::math::{Math, Polynomial};

use super::wide::{Number, Wide};

/// An activation whose coefficients are known at every x.
pub(super) trait Curve {
    /// f(x).
    fn value(x: f32) -> f32;
    /// c₀ .. of f at every x, where `y` is f(x).
    fn series<const N: usize>(x: Wide, y: Wide) -> [Wide; N];
}

/// y = x
pub(super) struct Identity;
/// y = max(x, 0), with slope 0 at 0 and no curvature anywhere.
pub(super) struct Relu;
/// y' = 1 - y²
pub(super) struct Tanh;
/// y = sin(2πx)
pub(super) struct Sine;
/// y' = y - y²
pub(super) struct Sigmoid;
/// y = x·(1 + tanh(√(2/π)·(x + 0.044715x³)))/2
pub(super) struct Gelu;
/// y = x·sigmoid(x)
pub(super) struct Swish;

impl Curve for Identity {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn series<const N: usize>(x: Wide, _: Wide) -> [Wide; N] {
        line(x, Wide::splat(1.0))
    }
}

impl Curve for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        if x < 0.0 { 0.0 } else { x }
    }
    #[inline(always)]
    fn series<const N: usize>(_: Wide, y: Wide) -> [Wide; N] {
        line(y, y.map(|y| if y > 0.0 { 1.0 } else { 0.0 }))
    }
}

impl Curve for Tanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Polynomial::tanh(x)
    }
    #[inline(always)]
    fn series<const N: usize>(_: Wide, y: Wide) -> [Wide; N] {
        let mut c = [Wide::splat(0.0); N];
        c[0] = y;
        for n in 1..N {
            let start = Wide::splat(if n == 1 { 1.0 } else { 0.0 });
            c[n] = (start - square(&c, n - 1)) * Wide::splat(inverse(n));
        }
        c
    }
}

impl Curve for Sine {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Polynomial::sin_turns(x)
    }
    #[inline(always)]
    fn series<const N: usize>(x: Wide, y: Wide) -> [Wide; N] {
        waves(y, x.map(Polynomial::cos_turns))
    }
}

impl Curve for Sigmoid {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Polynomial::sigmoid(x)
    }
    #[inline(always)]
    fn series<const N: usize>(_: Wide, y: Wide) -> [Wide; N] {
        let mut c = [Wide::splat(0.0); N];
        c[0] = y;
        for n in 1..N {
            c[n] = (c[n - 1] - square(&c, n - 1)) * Wide::splat(inverse(n));
        }
        c
    }
}

impl Curve for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Polynomial::gelu(x)
    }
    #[inline(always)]
    fn series<const N: usize>(x: Wide, _: Wide) -> [Wide; N] {
        const K: f32 = 0.797_884_6;
        const A: f32 = 0.044_715;
        // The cubic inside, from its first derivative on, times n: Σ j·p_j is what the chain rule wants.
        let inner = [
            x.map(|x| K * (1.0 + 3.0 * A * (x * x))),
            x.map(|x| 2.0 * (K * (3.0 * A) * x)),
            Wide::splat(3.0 * (K * A)),
        ];
        let mut t = [Wide::splat(0.0); N];
        t[0] = x.map(|x| K * (x + A * (x * x * x))).map(Polynomial::tanh);
        for n in 1..N {
            let mut sum = Wide::splat(0.0);
            for j in 1..=n.min(3) {
                let start = Wide::splat(if n == j { 1.0 } else { 0.0 });
                sum = sum + inner[j - 1] * (start - square(&t, n - j));
            }
            t[n] = sum * Wide::splat(inverse(n));
        }
        let mut half = t.map(|t| Wide::splat(0.5) * t);
        half[0] = half[0] + Wide::splat(0.5);
        times_x(x, &half)
    }
}

impl Curve for Swish {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Polynomial::swish(x)
    }
    #[inline(always)]
    fn series<const N: usize>(x: Wide, _: Wide) -> [Wide; N] {
        times_x(x, &Sigmoid::series::<N>(x, x.map(Polynomial::sigmoid)))
    }
}

/// Coefficients of sin(2πx) from its sine and cosine; those of the cosine are `waves(cos, -sin)`.
#[inline(always)]
pub(super) fn waves<T: Number, const N: usize>(sin: T, cos: T) -> [T; N] {
    let mut c = [T::splat(0.0); N];
    let mut factor = 1.0;
    for n in 0..N {
        if n > 0 {
            factor *= std::f32::consts::TAU * inverse(n);
        }
        let wave = if n % 2 == 0 { sin } else { cos };
        c[n] = T::splat(factor) * if n % 4 >= 2 { -wave } else { wave };
    }
    c
}

#[inline(always)]
fn line<const N: usize>(y: Wide, slope: Wide) -> [Wide; N] {
    let mut c = [Wide::splat(0.0); N];
    c[0] = y;
    if N > 1 {
        c[1] = slope;
    }
    c
}

/// The n-th coefficient of c².
#[inline(always)]
fn square(c: &[Wide], n: usize) -> Wide {
    let mut sum = Wide::splat(0.0);
    for j in 0..=n {
        sum = sum + c[j] * c[n - j];
    }
    sum
}

/// The coefficients of x·f.
#[inline(always)]
fn times_x<const N: usize>(x: Wide, f: &[Wide; N]) -> [Wide; N] {
    let mut c = [Wide::splat(0.0); N];
    for n in 0..N {
        c[n] = x * f[n] + if n > 0 { f[n - 1] } else { Wide::splat(0.0) };
    }
    c
}

#[inline(always)]
const fn inverse(n: usize) -> f32 {
    [1.0, 1.0, 0.5, 1.0 / 3.0, 0.25, 0.2][n]
}
