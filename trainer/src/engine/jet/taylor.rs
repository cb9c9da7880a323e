//! The slow twin: a network on truncated Taylor series along a line, in f64, every function by the differential equation
//! it satisfies. Knows nothing of Faà di Bruno.

use rwf_runtime::format::{Activation, Mapping};

use crate::network::{DenseNetwork, HostDense};

/// Coefficients kept: up to the fourth power.
pub(super) const N: usize = 5;

/// c₀ + c₁h + .. + c₄h⁴
pub(super) type Series = [f64; N];

fn times(a: &Series, b: &Series) -> Series {
    std::array::from_fn(|n| (0..=n).map(|j| a[j] * b[n - j]).sum())
}

/// y with y' = slope(y, x)·x', slope being known to as many terms as y.
fn integrate(x: &Series, start: f64, slope: impl Fn(&Series) -> Series) -> Series {
    let mut y = [0.0; N];
    y[0] = start;
    for n in 1..N {
        let s = slope(&y);
        y[n] = (1..=n).map(|j| j as f64 * x[j] * s[n - j]).sum::<f64>() / n as f64;
    }
    y
}

fn tanh(x: &Series) -> Series {
    integrate(x, x[0].tanh(), |y| {
        let mut s = times(y, y).map(|v| -v);
        s[0] += 1.0;
        s
    })
}

fn sigmoid(x: &Series) -> Series {
    let mut y = tanh(&x.map(|v| 0.5 * v)).map(|v| 0.5 * v);
    y[0] += 0.5;
    y
}

/// sin and cos of 2πx.
fn waves(x: &Series) -> (Series, Series) {
    let x = x.map(|v| v * std::f64::consts::TAU);
    let (mut s, mut c) = ([0.0; N], [0.0; N]);
    (s[0], c[0]) = x[0].sin_cos();
    for n in 1..N {
        let sum = |of: &Series| (1..=n).map(|j| j as f64 * x[j] * of[n - j]).sum::<f64>() / n as f64;
        (s[n], c[n]) = (sum(&c), -sum(&s));
    }
    (s, c)
}

fn activate(kind: Activation, x: &Series) -> Series {
    match kind {
        Activation::Identity => *x,
        Activation::Relu if x[0] > 0.0 => *x,
        Activation::Relu => [0.0; N],
        Activation::Tanh => tanh(x),
        Activation::Sine => waves(x).0,
        Activation::Sigmoid => sigmoid(x),
        Activation::Swish => times(x, &sigmoid(x)),
        Activation::Gelu => {
            let cube = times(x, &times(x, x));
            let k = (2.0 / std::f64::consts::PI).sqrt();
            let inner = std::array::from_fn(|n| k * (x[n] + 0.044715 * cube[n]));
            let mut half = tanh(&inner).map(|v| 0.5 * v);
            half[0] += 0.5;
            times(x, &half)
        }
    }
}

fn dense(layer: &HostDense, x: &[Series]) -> Vec<Series> {
    (0..layer.outputs)
        .map(|o| {
            let mut y = [0.0; N];
            y[0] = layer.bias[o];
            for (i, x) in x.iter().enumerate() {
                (0..N).for_each(|n| y[n] += layer.kernel[i * layer.outputs + o] * x[n]);
            }
            y
        })
        .collect()
}

/// The outputs of `network` at x + h·v as series in h.
pub(super) fn along(network: &DenseNetwork, x: &[f64], v: &[f64]) -> Vec<Series> {
    let line: Vec<Series> = x.iter().zip(v).map(|(&x, &v)| [x, v, 0.0, 0.0, 0.0]).collect();
    let architecture = &network.architecture;
    let features = match (&network.mapping, architecture.mapping) {
        (Some(mapping), Mapping::Fourier { raw, .. }) => {
            let pairs: Vec<(Series, Series)> = dense(mapping, &line).iter().map(waves).collect();
            let mut features = if raw { line } else { Vec::new() };
            features.extend(pairs.iter().map(|p| p.0));
            features.extend(pairs.iter().map(|p| p.1));
            features
        }
        _ => line,
    };
    let act = |layer: &HostDense, x: &[Series], kind| -> Vec<Series> {
        dense(layer, x).iter().map(|z| activate(kind, z)).collect()
    };
    let gate = architecture
        .gate
        .map(|kind| (act(&network.encoders[0], &features, kind), act(&network.encoders[1], &features, kind)));
    let mut h = features;
    for (n, (layer, described)) in network.layers.iter().zip(&architecture.layers).enumerate() {
        h = act(layer, &h, described.activation);
        if let Some((u, v)) = gate.as_ref().filter(|_| n + 1 < network.layers.len()) {
            for (h, (u, v)) in h.iter_mut().zip(u.iter().zip(v)) {
                let difference = std::array::from_fn(|n| u[n] - v[n]);
                let product = times(h, &difference);
                *h = std::array::from_fn(|n| product[n] + v[n]);
            }
        }
    }
    h
}
