//! How every output moves with every pre-activation: one forward and one reverse pass in f64.

use nalgebra::DMatrix;
use rwf_runtime::format::{Activation, Mapping};

use crate::{
    fold::activate,
    network::{DenseNetwork, HostDense},
};

/// One dense layer at `m` = outputs · points rows, all points of the first output first.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    /// What came in, `[m, in]`.
    pub(super) x: DMatrix<f64>,
    /// Pre-activations, `[m, out]`.
    pub(super) z: DMatrix<f64>,
    /// d output / d pre-activation, `[m, out]`.
    pub(super) delta: DMatrix<f64>,
}

/// Traces of the encoders, then of the layers, at `points` `[n, inputs]`.
pub(super) fn traces(dense: &DenseNetwork, points: &[f64]) -> Vec<Trace> {
    let inputs = dense.architecture.inputs;
    let points = DMatrix::from_row_slice(points.len() / inputs, inputs, points);
    let features = features(dense, &points);
    let described: Vec<Activation> = dense.architecture.layers.iter().map(|l| l.activation).collect();
    let last = dense.layers.len() - 1;

    let gate = dense.architecture.gate.map(|activation| {
        let z: Vec<_> = dense.encoders.iter().map(|e| affine(e, &features)).collect();
        let value = |z: &DMatrix<f64>| z.map(|z| activate(activation, z));
        let (u, v) = (value(&z[0]), value(&z[1]));
        (activation, z, u - &v, v)
    });
    // What comes in, pre-activation and activation of every layer.
    let mut steps: Vec<(DMatrix<f64>, DMatrix<f64>, DMatrix<f64>)> = Vec::new();
    let mut h = features.clone();
    for (n, layer) in dense.layers.iter().enumerate() {
        let z = affine(layer, &h);
        let a = z.map(|z| activate(described[n], z));
        let next = match &gate {
            Some((_, _, difference, v)) if n < last => a.component_mul(difference) + v,
            _ => a.clone(),
        };
        steps.push((h, z, a));
        h = next;
    }

    let (n, outputs) = (points.nrows(), dense.architecture.outputs());
    let mut traces: Vec<Trace> = dense
        .encoders
        .iter()
        .map(|e| (&features, e))
        .chain(steps.iter().map(|(x, ..)| x).zip(&dense.layers))
        .map(|(x, layer)| {
            let tall = |width| DMatrix::zeros(n * outputs, width);
            let mut trace = Trace { x: tall(layer.inputs), z: tall(layer.outputs), delta: tall(layer.outputs) };
            (0..outputs).for_each(|k| trace.x.rows_mut(k * n, n).copy_from(x));
            trace
        })
        .collect();
    let encoders = dense.encoders.len();
    for k in 0..outputs {
        let rows = k * n;
        // d output k / d what the layer at hand hands on.
        let mut back = DMatrix::from_fn(n, outputs, |_, o| f64::from(u8::from(o == k)));
        let mut to_gate =
            gate.as_ref().map(|(_, _, d, _)| (DMatrix::zeros(n, d.ncols()), DMatrix::zeros(n, d.ncols())));
        for layer in (0..=last).rev() {
            let (_, z, a) = &steps[layer];
            if let (Some((_, _, difference, _)), Some((to_u, to_v)), true) = (&gate, &mut to_gate, layer < last) {
                // h = a·(u - v) + v
                let through = back.component_mul(a);
                *to_u += &through;
                *to_v += &back - through;
                back = back.component_mul(difference);
            }
            let delta = back.component_mul(&z.map(|z| slope(described[layer], z)));
            back = &delta * kernel(&dense.layers[layer]).transpose();
            let trace = &mut traces[encoders + layer];
            trace.z.rows_mut(rows, n).copy_from(z);
            trace.delta.rows_mut(rows, n).copy_from(&delta);
        }
        if let (Some((activation, z, ..)), Some((to_u, to_v))) = (&gate, to_gate) {
            for (e, to) in [to_u, to_v].into_iter().enumerate() {
                traces[e].z.rows_mut(rows, n).copy_from(&z[e]);
                traces[e].delta.rows_mut(rows, n).copy_from(&to.component_mul(&z[e].map(|z| slope(*activation, z))));
            }
        }
    }
    traces
}

/// Coordinates to features, `[n, inputs] -> [n, features]`.
fn features(dense: &DenseNetwork, points: &DMatrix<f64>) -> DMatrix<f64> {
    let (Some(mapping), Mapping::Fourier { raw, .. }) = (&dense.mapping, dense.architecture.mapping) else {
        return points.clone();
    };
    let turns = affine(mapping, points);
    let raw = if raw { points.ncols() } else { 0 };
    let m = turns.ncols();
    DMatrix::from_fn(points.nrows(), raw + 2 * m, |i, j| match j.checked_sub(raw) {
        None => points[(i, j)],
        Some(j) if j < m => (std::f64::consts::TAU * turns[(i, j)]).sin(),
        Some(j) => (std::f64::consts::TAU * turns[(i, j - m)]).cos(),
    })
}

/// The kernel as a matrix `[in, out]`.
pub(super) fn kernel(layer: &HostDense) -> DMatrix<f64> {
    DMatrix::from_row_slice(layer.inputs, layer.outputs, &layer.kernel)
}

fn affine(layer: &HostDense, x: &DMatrix<f64>) -> DMatrix<f64> {
    let mut z = x * kernel(layer);
    z.column_iter_mut().zip(&layer.bias).for_each(|(mut column, b)| column.add_scalar_mut(*b));
    z
}

/// The slope of an activation at `x`.
fn slope(activation: Activation, x: f64) -> f64 {
    let value = activate(activation, x);
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::Tanh => 1.0 - value * value,
        Activation::Sine => std::f64::consts::TAU * (std::f64::consts::TAU * x).cos(),
        Activation::Sigmoid => value * (1.0 - value),
        Activation::Gelu => {
            let k = (2.0 / std::f64::consts::PI).sqrt();
            let t = (k * (x + 0.044715 * x.powi(3))).tanh();
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * k * (1.0 + 3.0 * 0.044715 * x * x)
        }
        Activation::Swish => {
            let s = activate(Activation::Sigmoid, x);
            s * (1.0 + x * (1.0 - s))
        }
    }
}
