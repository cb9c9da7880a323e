//! A tile of points through mapping and all layers and back, while everything it touches stays in cache.

use rwf_runtime::format::{Activation, Architecture, Mapping};

use super::{
    activation,
    factors::Dense,
    layout::Layout,
    matrix::{add_transposed_product, product, product_transposed},
    thin::{THIN, few_inputs, few_inputs_gradient, few_outputs, few_outputs_backward},
};
use crate::network::{HostDense, Network};

/// The fixed frequencies in f32.
#[derive(Debug, Clone)]
pub(super) struct Frequencies {
    kernel: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    raw: usize,
}

impl Frequencies {
    pub(super) fn new(mapping: &HostDense, described: Mapping) -> Self {
        let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        let raw = if matches!(described, Mapping::Fourier { raw: true, .. }) { mapping.inputs } else { 0 };
        Self { kernel: single(&mapping.kernel), bias: single(&mapping.bias), inputs: mapping.inputs, raw }
    }

    /// Features per point.
    pub(super) fn width(&self) -> usize {
        self.raw + 2 * self.bias.len()
    }

    /// Number of frequencies.
    pub(super) fn count(&self) -> usize {
        self.bias.len()
    }

    /// Coordinates that stay beside the waves.
    pub(super) fn raw(&self) -> usize {
        self.raw
    }

    /// Coordinates `[n, inputs]` to phases in turns `[n, frequencies]`.
    pub(super) fn phases(&self, x: &[f32], turns: &mut [f32]) {
        let m = self.bias.len();
        if self.inputs <= THIN {
            few_inputs(turns, x, &self.kernel, self.inputs, m);
        } else {
            product(turns, x, &self.kernel, (x.len() / self.inputs, self.inputs, m));
        }
        activation::forward(Activation::Identity, turns, &self.bias, None);
    }

    /// Coordinates `[n, inputs]` to features `[n, width]`; `turns` has room for `[n, frequencies]`.
    pub(super) fn apply(&self, x: &[f32], turns: &mut [f32], out: &mut [f32]) {
        let m = self.bias.len();
        let turns = &mut turns[..x.len() / self.inputs * m];
        self.phases(x, turns);
        activation::features(turns, m, self.raw, out);
        if self.raw > 0 {
            for (out, x) in out.chunks_exact_mut(self.width()).zip(x.chunks_exact(self.inputs)) {
                out[..self.raw].copy_from_slice(x);
            }
        }
    }
}

/// What one layer leaves behind for the way back, `[tile, out]` each.
#[derive(Debug, Clone)]
struct Kept {
    /// What it hands on.
    h: Vec<f32>,
    /// Its activation, where a gate changes it before it is handed on.
    a: Vec<f32>,
    /// Slope of the activation, where it does not follow from the value.
    slope: Vec<f32>,
}

/// Room for a tile, and the gradient of the points that passed through.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    encoders: Vec<Kept>,
    layers: Vec<Kept>,
    /// Gradient of a layer's output, and of its input.
    g: Vec<f32>,
    g_next: Vec<f32>,
    /// Gradients of the encoders' values.
    du: Vec<f32>,
    dv: Vec<f32>,
    /// Room for thin layers.
    columns: Vec<f32>,
    /// d loss / d dense kernels and biases, where these lie in the flat buffer.
    pub(super) gradient: Vec<f32>,
    /// Sum of what observations gave.
    pub(super) loss: f64,
}

/// What a network is, for a pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Net<'a> {
    /// Activations and gate.
    pub(super) architecture: &'a Architecture,
    /// Dense layers, encoders first.
    pub(super) dense: &'a [Dense],
    /// Where gradients go.
    pub(super) layout: &'a Layout,
}

impl Net<'_> {
    fn encoders(&self) -> usize {
        if self.architecture.gate.is_some() { 2 } else { 0 }
    }

    fn activation(&self, layer: usize) -> Activation {
        self.architecture.layers[layer].activation
    }
}

impl Tile {
    /// For up to `points` points of `network`; `train` makes room for the way back.
    pub(super) fn new(network: &Network, layout: &Layout, points: usize, train: bool) -> Self {
        let gated = network.architecture.gate;
        let last = network.layers.len() - 1;
        let room = |width: usize, needed: bool| vec![0.0; if needed { points * width } else { 0 }];
        let kept = |width, activation, gated| Kept {
            h: room(width, true),
            a: room(width, gated),
            slope: room(width, train && !activation::slope_from_value(activation)),
        };
        let layers: Vec<Kept> = network
            .layers
            .iter()
            .zip(&network.architecture.layers)
            .enumerate()
            .map(|(n, (spec, described))| kept(spec.outputs, described.activation, gated.is_some() && n < last))
            .collect();
        let encoders = network.encoders.iter().map(|e| kept(e.outputs, gated.expect("has a gate"), false)).collect();
        let specs = || network.encoders.iter().chain(&network.layers);
        let widest = specs().map(|s| s.inputs.max(s.outputs)).max().unwrap_or(0);
        let hidden = network.encoders.first().map_or(0, |e| e.outputs);
        let columns = specs().filter(|s| s.outputs <= THIN).map(|s| 2 * s.inputs * s.outputs).max().unwrap_or(0);
        Self {
            encoders,
            layers,
            g: room(widest, train),
            g_next: room(widest, train),
            du: room(hidden, train),
            dv: room(hidden, train),
            columns: vec![0.0; columns],
            gradient: vec![0.0; if train { layout.len } else { 0 }],
            loss: 0.0,
        }
    }

    /// Values of `points` points with these features, `[points, features] -> [points, outputs]`.
    pub(super) fn forward(&mut self, net: Net<'_>, features: &[f32], points: usize) -> &[f32] {
        let encoders = net.encoders();
        for (kept, dense) in self.encoders.iter_mut().zip(net.dense) {
            let gate = net.architecture.gate.expect("has encoders");
            affine(&mut kept.h, features, dense, points, &mut self.columns);
            act(gate, kept, dense, points);
        }
        let last = self.layers.len() - 1;
        for n in 0..=last {
            let (before, now) = self.layers.split_at_mut(n);
            let dense = &net.dense[encoders + n];
            let x = before.last().map_or(features, |kept| &kept.h);
            let kept = &mut now[0];
            affine(&mut kept.h, x, dense, points, &mut self.columns);
            act(net.activation(n), kept, dense, points);
            if encoders > 0 && n < last {
                let size = points * dense.outputs;
                let (u, v) = (&self.encoders[0].h[..size], &self.encoders[1].h[..size]);
                activation::gate(&mut kept.h[..size], &mut kept.a[..size], u, v);
            }
        }
        &self.layers[last].h[..points * net.dense[encoders + last].outputs]
    }

    /// Forward, `pull` from the values `[points, outputs]` to their gradient, and back: adds to [`Tile::loss`] what
    /// `pull` gives and to [`Tile::gradient`] the gradient of the points.
    pub(super) fn train(
        &mut self,
        net: Net<'_>,
        features: &[f32],
        points: usize,
        pull: impl FnOnce(&[f32], &mut [f32]) -> f64,
    ) {
        self.forward(net, features, points);
        let last = self.layers.len() - 1;
        let size = points * net.dense[net.encoders() + last].outputs;
        self.loss += pull(&self.layers[last].h[..size], &mut self.g[..size]);
        let encoders = net.encoders();
        self.du.fill(0.0);
        self.dv.fill(0.0);
        for n in (0..=last).rev() {
            let dense = &net.dense[encoders + n];
            let (before, now) = self.layers.split_at_mut(n);
            let kept = &now[0];
            let size = points * dense.outputs;
            let g = &mut self.g[..size];
            let gated = encoders > 0 && n < last;
            if gated {
                let (u, v) = (&self.encoders[0].h[..size], &self.encoders[1].h[..size]);
                let into = (&mut self.du[..size], &mut self.dv[..size]);
                activation::gate_backward(g, &kept.a[..size], (u, v), into);
            }
            let y = if gated { &kept.a } else { &kept.h };
            let slot = &net.layout.slots[encoders + n];
            activation::backward(net.activation(n), g, y, &kept.slope, &mut self.gradient[slot.bias.clone()]);
            let x = before.last().map_or(features, |kept| &kept.h);
            let x = &x[..points * dense.inputs];
            let dw = &mut self.gradient[slot.weight.clone()];
            if n == 0 {
                weight_gradient(dw, x, g, dense, points);
            } else {
                let dx = &mut self.g_next[..points * dense.inputs];
                if dense.outputs <= THIN {
                    let shape = (dense.inputs, dense.outputs);
                    few_outputs_backward(dw, dx, (x, g, &dense.kernel), &mut self.columns, shape);
                } else {
                    weight_gradient(dw, x, g, dense, points);
                    product_transposed(dx, g, &dense.kernel, (points, dense.outputs, dense.inputs));
                }
                std::mem::swap(&mut self.g, &mut self.g_next);
            }
        }
        for (n, g) in [&mut self.du, &mut self.dv].into_iter().enumerate().take(encoders) {
            let (dense, kept, slot) = (&net.dense[n], &self.encoders[n], &net.layout.slots[n]);
            let g = &mut g[..points * dense.outputs];
            let gate = net.architecture.gate.expect("has encoders");
            activation::backward(gate, g, &kept.h, &kept.slope, &mut self.gradient[slot.bias.clone()]);
            let x = &features[..points * dense.inputs];
            weight_gradient(&mut self.gradient[slot.weight.clone()], x, g, dense, points);
        }
    }
}

/// z = x·W, without the bias.
fn affine(z: &mut [f32], x: &[f32], dense: &Dense, points: usize, columns: &mut [f32]) {
    let (k, n) = (dense.inputs, dense.outputs);
    let (z, x) = (&mut z[..points * n], &x[..points * k]);
    if n <= THIN {
        few_outputs(z, x, &dense.kernel, &mut columns[..n * k], k, n);
    } else if k <= THIN {
        few_inputs(z, x, &dense.kernel, k, n);
    } else {
        product(z, x, &dense.kernel, (points, k, n));
    }
}

/// Bias and activation in place.
fn act(kind: Activation, kept: &mut Kept, dense: &Dense, points: usize) {
    let size = points * dense.outputs;
    let slope = (!kept.slope.is_empty()).then(|| &mut kept.slope[..size]);
    activation::forward(kind, &mut kept.h[..size], &dense.bias, slope);
}

/// dW += xᵀ·g
fn weight_gradient(dw: &mut [f32], x: &[f32], g: &[f32], dense: &Dense, points: usize) {
    if dense.inputs <= THIN {
        few_inputs_gradient(dw, x, g, dense.inputs, dense.outputs);
    } else {
        add_transposed_product(dw, x, g, (dense.inputs, points, dense.outputs));
    }
}
