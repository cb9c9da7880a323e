//! Activations, gates and features on jets, and the way back, by Faà di Bruno's formula on Taylor coefficients.
//!
//! A jet is a list of rows, `size` values each: row r of value i is `jet[r·size + i]`. Sizes are multiples of
//! [`LANES`].

#![allow(clippy::needless_range_loop, reason = "coefficients of a series go by their order")]

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rwf_runtime::{
    format::Activation,
    math::{Math, Polynomial},
};

use super::{
    Plan,
    curve::{Curve, Gelu, Identity, Relu, Sigmoid, Sine, Swish, Tanh, waves},
    wide::{LANES, Wide},
};

type Lanes = [f32; LANES];

#[inline(always)]
fn load(jet: &[f32], at: usize) -> Lanes {
    jet[at..at + LANES].try_into().expect("has this length")
}

#[inline(always)]
fn lanes(f: impl Fn(usize) -> f32) -> Lanes {
    let mut out = [0.0; LANES];
    for (i, o) in out.iter_mut().enumerate() {
        *o = f(i);
    }
    out
}

#[inline(always)]
fn store(jet: &mut [f32], at: usize, f: impl Fn(usize) -> f32) {
    for (i, o) in jet[at..at + LANES].iter_mut().enumerate() {
        *o = f(i);
    }
}

/// Calls `$f::<Curve, N>($args)` for the activation and the number of coefficients it needs.
macro_rules! dispatch {
    ($kind:expr, $count:expr, $f:ident($($arg:expr),*)) => {
        match $kind {
            Activation::Identity => dispatch!(@ Identity, $count, $f($($arg),*)),
            Activation::Relu => dispatch!(@ Relu, $count, $f($($arg),*)),
            Activation::Tanh => dispatch!(@ Tanh, $count, $f($($arg),*)),
            Activation::Sine => dispatch!(@ Sine, $count, $f($($arg),*)),
            Activation::Sigmoid => dispatch!(@ Sigmoid, $count, $f($($arg),*)),
            Activation::Gelu => dispatch!(@ Gelu, $count, $f($($arg),*)),
            Activation::Swish => dispatch!(@ Swish, $count, $f($($arg),*)),
        }
    };
    (@ $curve:ty, $count:expr, $f:ident($($arg:expr),*)) => {
        match $count {
            0 | 1 => $f::<$curve, 1>($($arg),*),
            2 => $f::<$curve, 2>($($arg),*),
            3 => $f::<$curve, 3>($($arg),*),
            4 => $f::<$curve, 4>($($arg),*),
            5 => $f::<$curve, 5>($($arg),*),
            _ => $f::<$curve, 6>($($arg),*),
        }
    };
}

/// h <- act(z) as jets.
pub(super) fn forward(kind: Activation, plan: &Plan, z: &[f32], h: &mut [f32], size: usize) {
    dispatch!(kind, plan.order() + 1, forward_by(plan, z, h, size));
}

fn forward_by<C: Curve, const N: usize>(plan: &Plan, z: &[f32], h: &mut [f32], size: usize) {
    Arch::new().dispatch(Forward::<C, N> { plan, z, h, size, curve: PhantomData });
}

/// [`forward`] for one activation and one number of coefficients, for all vectors. Closures would do as well, but large ones
/// are not compiled for the vectors they are called for.
struct Forward<'a, C, const N: usize> {
    plan: &'a Plan,
    z: &'a [f32],
    h: &'a mut [f32],
    size: usize,
    curve: PhantomData<C>,
}

impl<C: Curve, const N: usize> WithSimd for Forward<'_, C, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plan, z, h, size, .. } = self;
        for at in (0..size).step_by(LANES) {
            let row = |r: usize| load(z, r * size + at);
            let x = row(0);
            let y = lanes(|i| C::value(x[i]));
            let s = C::series::<N>(Wide(x), Wide(y)).map(|c| c.0);
            store(h, at, |i| y[i]);
            for direction in &plan.directions {
                let first = direction.first;
                let z1 = row(first);
                let out = |k: usize| (first + k - 1) * size + at;
                if N > 1 {
                    store(h, out(1), |i| s[1][i] * z1[i]);
                }
                if N > 2 && direction.order >= 2 {
                    let z2 = row(first + 1);
                    store(h, out(2), |i| s[1][i] * z2[i] + s[2][i] * (z1[i] * z1[i]));
                    if N > 3 && direction.order >= 3 {
                        let z3 = row(first + 2);
                        store(h, out(3), |i| {
                            s[1][i] * z3[i] + 2.0 * s[2][i] * (z1[i] * z2[i]) + s[3][i] * (z1[i] * z1[i] * z1[i])
                        });
                        if N > 4 && direction.order >= 4 {
                            let z4 = row(first + 3);
                            store(h, out(4), |i| {
                                let q = z1[i] * z1[i];
                                s[1][i] * z4[i]
                                    + s[2][i] * (2.0 * z1[i] * z3[i] + z2[i] * z2[i])
                                    + 3.0 * s[3][i] * (q * z2[i])
                                    + s[4][i] * (q * q)
                            });
                        }
                    }
                }
            }
            if let (true, Some(l)) = (N > 2, plan.laplacian_row()) {
                let mut squares = [0.0; LANES];
                for &(d, weight) in &plan.laplacian {
                    let z1 = row(plan.directions[d].first);
                    squares = lanes(|i| squares[i] + weight * (z1[i] * z1[i]));
                }
                let zl = row(l);
                store(h, l * size + at, |i| s[1][i] * zl[i] + s[2][i] * squares[i]);
            }
        }
    }
}

/// The way back through [`forward`]: `g`, the gradient of h, becomes that of z; `y` holds at least the values of h.
pub(super) fn backward(kind: Activation, plan: &Plan, g: &mut [f32], z: &[f32], y: &[f32], size: usize) {
    dispatch!(kind, plan.order() + 2, backward_by(plan, g, z, y, size));
}

fn backward_by<C: Curve, const N: usize>(plan: &Plan, g: &mut [f32], z: &[f32], y: &[f32], size: usize) {
    Arch::new().dispatch(Backward::<C, N> { plan, g, z, y, size, curve: PhantomData });
}

/// [`backward`] likewise.
struct Backward<'a, C, const N: usize> {
    plan: &'a Plan,
    g: &'a mut [f32],
    z: &'a [f32],
    y: &'a [f32],
    size: usize,
    curve: PhantomData<C>,
}

impl<C: Curve, const N: usize> WithSimd for Backward<'_, C, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plan, g, z, y, size, .. } = self;
        for at in (0..size).step_by(LANES) {
            let row = |r: usize| load(z, r * size + at);
            let s = C::series::<N>(Wide(row(0)), Wide(load(y, at))).map(|c| c.0);
            if N < 2 {
                continue;
            }
            // d cₙ / d z₀ = (n + 1)·cₙ₊₁
            let g0 = load(g, at);
            let mut g0 = lanes(|i| g0[i] * s[1][i]);
            for direction in &plan.directions {
                let first = direction.first;
                let place = |k: usize| (first + k - 1) * size + at;
                let z1 = row(first);
                let mut a = [[0.0; LANES]; 5];
                for k in 1..=direction.order {
                    a[k] = load(g, place(k));
                }
                let b1 = a[1];
                if N > 2 {
                    g0 = lanes(|i| g0[i] + 2.0 * s[2][i] * (b1[i] * z1[i]));
                    a[1] = lanes(|i| b1[i] * s[1][i]);
                }
                if N > 3 && direction.order >= 2 {
                    let (z2, b2) = (row(first + 1), a[2]);
                    g0 = lanes(|i| g0[i] + b2[i] * (2.0 * s[2][i] * z2[i] + 3.0 * s[3][i] * (z1[i] * z1[i])));
                    a[1] = lanes(|i| a[1][i] + 2.0 * b2[i] * (s[2][i] * z1[i]));
                    a[2] = lanes(|i| b2[i] * s[1][i]);
                    if N > 4 && direction.order >= 3 {
                        let (z3, b3) = (row(first + 2), a[3]);
                        let third = |i: usize| {
                            let q = z1[i] * z1[i];
                            2.0 * s[2][i] * z3[i] + 6.0 * s[3][i] * (z1[i] * z2[i]) + 4.0 * s[4][i] * (q * z1[i])
                        };
                        g0 = lanes(|i| g0[i] + b3[i] * third(i));
                        a[1] = lanes(|i| a[1][i] + b3[i] * (2.0 * s[2][i] * z2[i] + 3.0 * s[3][i] * (z1[i] * z1[i])));
                        a[2] = lanes(|i| a[2][i] + 2.0 * b3[i] * (s[2][i] * z1[i]));
                        a[3] = lanes(|i| b3[i] * s[1][i]);
                        if N > 5 && direction.order >= 4 {
                            let (z4, b4) = (row(first + 3), a[4]);
                            let square = |i: usize| z1[i] * z1[i];
                            g0 = lanes(|i| {
                                let q = square(i);
                                let sum = 2.0 * s[2][i] * z4[i]
                                    + 3.0 * s[3][i] * (2.0 * z1[i] * z3[i] + z2[i] * z2[i])
                                    + 12.0 * s[4][i] * (q * z2[i])
                                    + 5.0 * s[5][i] * (q * q);
                                g0[i] + b4[i] * sum
                            });
                            a[1] = lanes(|i| {
                                let sum = 2.0 * s[2][i] * z3[i]
                                    + 6.0 * s[3][i] * (z1[i] * z2[i])
                                    + 4.0 * s[4][i] * (square(i) * z1[i]);
                                a[1][i] + b4[i] * sum
                            });
                            a[2] = lanes(|i| a[2][i] + b4[i] * (2.0 * s[2][i] * z2[i] + 3.0 * s[3][i] * square(i)));
                            a[3] = lanes(|i| a[3][i] + 2.0 * b4[i] * (s[2][i] * z1[i]));
                            a[4] = lanes(|i| b4[i] * s[1][i]);
                        }
                    }
                }
                for k in 1..=direction.order {
                    store(g, place(k), |i| a[k][i]);
                }
            }
            if let (true, Some(l)) = (N > 3, plan.laplacian_row()) {
                let (zl, gl) = (row(l), load(g, l * size + at));
                let mut squares = [0.0; LANES];
                for &(d, weight) in &plan.laplacian {
                    let first = plan.directions[d].first;
                    let z1 = row(first);
                    squares = lanes(|i| squares[i] + weight * (z1[i] * z1[i]));
                    let before = load(g, first * size + at);
                    store(g, first * size + at, |i| before[i] + 2.0 * weight * gl[i] * (s[2][i] * z1[i]));
                }
                g0 = lanes(|i| g0[i] + gl[i] * (2.0 * s[2][i] * zl[i] + 3.0 * s[3][i] * squares[i]));
                store(g, l * size + at, |i| gl[i] * s[1][i]);
            }
            store(g, at, |i| g0[i]);
        }
    }
}

/// h <- a·(u - v) + v as jets, the gate of a modified MLP (Wang et al. 2021).
pub(super) fn gate(plan: &Plan, h: &mut [f32], a: &[f32], u: &[f32], v: &[f32], size: usize) {
    Arch::new().dispatch(Gate { plan, h, a, u, v, size });
}

/// [`gate`] likewise.
struct Gate<'a> {
    plan: &'a Plan,
    h: &'a mut [f32],
    a: &'a [f32],
    u: &'a [f32],
    v: &'a [f32],
    size: usize,
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plan, h, a, u, v, size } = self;
        for at in (0..size).step_by(LANES) {
            let one = |jet: &[f32], r: usize| load(jet, r * size + at);
            let b = |r: usize| {
                let (u, v) = (one(u, r), one(v, r));
                lanes(|i| u[i] - v[i])
            };
            let (a0, b0, v0) = (one(a, 0), b(0), one(v, 0));
            store(h, at, |i| a0[i] * b0[i] + v0[i]);
            for direction in &plan.directions {
                let place = |k: usize| if k == 0 { 0 } else { direction.first + k - 1 };
                for k in 1..=direction.order {
                    let mut sum = one(v, place(k));
                    for j in 0..=k {
                        let (aj, bj) = (one(a, place(j)), b(place(k - j)));
                        sum = lanes(|i| sum[i] + aj[i] * bj[i]);
                    }
                    store(h, place(k) * size + at, |i| sum[i]);
                }
            }
            if let Some(l) = plan.laplacian_row() {
                let (al, bl, vl) = (one(a, l), b(l), one(v, l));
                let mut sum = lanes(|i| a0[i] * bl[i] + al[i] * b0[i] + vl[i]);
                for &(d, weight) in &plan.laplacian {
                    let first = plan.directions[d].first;
                    let (a1, b1) = (one(a, first), b(first));
                    sum = lanes(|i| sum[i] + weight * (a1[i] * b1[i]));
                }
                store(h, l * size + at, |i| sum[i]);
            }
        }
    }
}

/// The way back through [`gate`]: `g` becomes the gradient of a; those of u and v are added to.
pub(super) fn gate_backward(
    plan: &Plan,
    g: &mut [f32],
    a: &[f32],
    (u, v): (&[f32], &[f32]),
    (du, dv): (&mut [f32], &mut [f32]),
    size: usize,
) {
    Arch::new().dispatch(GateBackward { plan, g, a, u, v, du, dv, size });
}

/// [`gate_backward`] likewise.
struct GateBackward<'a> {
    plan: &'a Plan,
    g: &'a mut [f32],
    a: &'a [f32],
    u: &'a [f32],
    v: &'a [f32],
    du: &'a mut [f32],
    dv: &'a mut [f32],
    size: usize,
}

impl WithSimd for GateBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plan, g, a, u, v, du, dv, size } = self;
        for at in (0..size).step_by(LANES) {
            let one = |jet: &[f32], r: usize| load(jet, r * size + at);
            let b = |r: usize| {
                let (u, v) = (one(u, r), one(v, r));
                lanes(|i| u[i] - v[i])
            };
            let mut add = |r: usize, through: &Lanes, g: Option<&Lanes>| {
                let (u, v) = (one(du, r), one(dv, r));
                store(du, r * size + at, |i| u[i] + through[i]);
                store(dv, r * size + at, |i| v[i] - through[i] + g.map_or(0.0, |g| g[i]));
            };
            let (g0, a0, b0) = (one(g, 0), one(a, 0), b(0));
            let mut ga0 = lanes(|i| g0[i] * b0[i]);
            let mut gb0 = lanes(|i| g0[i] * a0[i]);
            let gl = plan.laplacian_row().map(|l| one(g, l));
            for (d, direction) in plan.directions.iter().enumerate() {
                let place = |k: usize| if k == 0 { 0 } else { direction.first + k - 1 };
                let gk: [Lanes; 5] =
                    std::array::from_fn(|k| if k <= direction.order { one(g, place(k)) } else { [0.0; LANES] });
                for j in 0..=direction.order {
                    let (mut ga, mut gb) = ([0.0; LANES], [0.0; LANES]);
                    for k in j.max(1)..=direction.order {
                        let (ak, bk) = (one(a, place(k - j)), b(place(k - j)));
                        ga = lanes(|i| ga[i] + gk[k][i] * bk[i]);
                        gb = lanes(|i| gb[i] + gk[k][i] * ak[i]);
                    }
                    if let (1, Some(gl)) = (j, &gl) {
                        for &(_, weight) in plan.laplacian.iter().filter(|(of, _)| *of == d) {
                            let (a1, b1) = (one(a, place(1)), b(place(1)));
                            ga = lanes(|i| ga[i] + weight * gl[i] * b1[i]);
                            gb = lanes(|i| gb[i] + weight * gl[i] * a1[i]);
                        }
                    }
                    if j == 0 {
                        ga0 = lanes(|i| ga0[i] + ga[i]);
                        gb0 = lanes(|i| gb0[i] + gb[i]);
                    } else {
                        add(place(j), &gb, Some(&gk[j]));
                        store(g, place(j) * size + at, |i| ga[i]);
                    }
                }
            }
            if let (Some(l), Some(gl)) = (plan.laplacian_row(), gl) {
                let (al, bl) = (one(a, l), b(l));
                ga0 = lanes(|i| ga0[i] + gl[i] * bl[i]);
                gb0 = lanes(|i| gb0[i] + gl[i] * al[i]);
                add(l, &lanes(|i| gl[i] * a0[i]), Some(&gl));
                store(g, l * size + at, |i| gl[i] * b0[i]);
            }
            add(0, &gb0, Some(&g0));
            store(g, at, |i| ga0[i]);
        }
    }
}

/// Jets of sin(2πt) and cos(2πt), `[rows, points, width]` behind the first `raw` columns, for phases `turns`
/// `[points, frequencies]` that grow along the n-th direction by `slopes[n]` `[frequencies]`.
pub(super) fn features(plan: &Plan, (turns, m): (&[f32], usize), slopes: &[Vec<f32>], raw: usize, out: &mut [f32]) {
    let width = raw + 2 * m;
    let size = turns.len() / m * width;
    Arch::new().dispatch(Features { plan, turns, slopes, raw, out, m, width, size });
}

/// [`features`] likewise.
struct Features<'a> {
    plan: &'a Plan,
    turns: &'a [f32],
    slopes: &'a [Vec<f32>],
    raw: usize,
    out: &'a mut [f32],
    m: usize,
    width: usize,
    size: usize,
}

impl WithSimd for Features<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plan, turns, slopes, raw, out, m, width, size } = self;
        for (p, turns) in turns.chunks_exact(m).enumerate() {
            for (f, &t) in turns.iter().enumerate() {
                let (sin, cos) = (Polynomial::sin_turns(t), Polynomial::cos_turns(t));
                for (wave, at) in [(waves::<_, 5>(sin, cos), f), (waves::<_, 5>(cos, -sin), m + f)] {
                    let at = p * width + raw + at;
                    out[at] = wave[0];
                    for (direction, slope) in plan.directions.iter().zip(slopes) {
                        let mut power = 1.0;
                        for k in 1..=direction.order {
                            power *= slope[f];
                            out[(direction.first + k - 1) * size + at] = wave[k] * power;
                        }
                    }
                    if let Some(l) = plan.laplacian_row() {
                        let squares = plan.laplacian.iter().map(|&(d, w)| w * (slopes[d][f] * slopes[d][f]));
                        out[l * size + at] = wave[2] * squares.sum::<f32>();
                    }
                }
            }
        }
    }
}
