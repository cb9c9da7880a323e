//! The simplest evaluator, in f64.

use super::{File, Tensor, from_half};

fn values(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype {
        "F16" => tensor.bytes.chunks_exact(2).map(|b| from_half(u16::from_le_bytes(b.try_into().unwrap()))).collect(),
        _ => tensor.bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
    }
}

fn activate(name: &str, x: f64) -> f64 {
    match name {
        "identity" => x,
        "relu" => x.max(0.0),
        "tanh" => x.tanh(),
        "sine" => (std::f64::consts::TAU * x).sin(),
        "sigmoid" => 1.0 / (1.0 + (-x).exp()),
        "gelu" => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
        "swish" => x / (1.0 + (-x).exp()),
        other => panic!("no activation {other}"),
    }
}

fn dense(file: &File, name: &str, x: &[f64], activation: &str) -> Vec<f64> {
    let find = |suffix: &str| {
        let name = format!("{name}.{suffix}");
        values(file.tensors.iter().find(|t| t.name == name).unwrap())
    };
    let (kernel, mut y) = (find("kernel"), find("bias"));
    let width = y.len();
    for (x, row) in x.iter().zip(kernel.chunks_exact(width)) {
        y.iter_mut().zip(row).for_each(|(y, w)| *y += w * x);
    }
    y.into_iter().map(|y| activate(activation, y)).collect()
}

/// Reads FORMAT.md's arithmetic aloud.
pub fn oracle(file: &mut File, x: &[f64]) -> Vec<f64> {
    let mapping = file.word("mapping").clone();
    let mut features = x.to_vec();
    if mapping != "none" {
        let turns = dense(file, "mapping", x, "identity");
        features = if mapping == "fourier+raw" { x.to_vec() } else { Vec::new() };
        features.extend(turns.iter().map(|t| activate("sine", *t)));
        features.extend(turns.iter().map(|t| (std::f64::consts::TAU * t).cos()));
    }
    let activations = file.word("activations").clone();
    let gate = file.words.iter().find(|w| w.0 == "gate").map(|w| w.1.clone());
    let gate = gate.map(|g| (dense(file, "encoder.0", &features, &g), dense(file, "encoder.1", &features, &g)));
    let mut h = features;
    let last = activations.split(',').count() - 1;
    for (n, activation) in activations.split(',').enumerate() {
        h = dense(file, &format!("layers.{n}"), &h, activation);
        if let Some((u, v)) = gate.as_ref().filter(|_| n < last) {
            h = h.iter().zip(u.iter().zip(v)).map(|(h, (u, v))| h * u + (1.0 - h) * v).collect();
        }
    }
    if let Some(mask) = file.tensors.iter().find(|t| t.name == "output.mask") {
        for (h, factors) in h.iter_mut().zip(values(mask).chunks_exact(4 * x.len())) {
            for (x, f) in x.iter().zip(factors.chunks_exact(4)) {
                *h *= (f[0] + f[1] * x) * (f[2] + f[3] * x);
            }
        }
    }
    if let Some(scale) = file.tensors.iter().find(|t| t.name == "output.scale") {
        let offset = file.tensors.iter().find(|t| t.name == "output.offset").unwrap();
        h = h.iter().zip(values(scale).iter().zip(values(offset))).map(|(h, (s, o))| h * s + o).collect();
    }
    h
}
