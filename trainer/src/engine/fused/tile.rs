//! A tile of points through mapping and all layers and back, while everything it touches stays in cache.

use pulp::Arch;
use rwf_runtime::format::{Activation, Architecture, Mapping};

use super::{
    activation,
    factors::Dense,
    linear::{Features, Input, Output, Place, affine, input_gradient, weight_gradient},
    panel::{PANEL, Row, panels},
};
use crate::network::{DenseSpec, HostDense, Network};

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
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (turns, x) in turns.chunks_exact_mut(m).zip(x.chunks_exact(self.inputs)) {
                    turns.copy_from_slice(&self.bias);
                    for (x, kernel) in x.iter().zip(self.kernel.chunks_exact(m)) {
                        turns.iter_mut().zip(kernel).for_each(|(t, k)| *t += x * k);
                    }
                }
            },
        );
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

/// What one layer leaves behind for the way back, panels `[out/16][tile][16]`.
#[derive(Debug, Clone)]
struct Kept {
    /// What it hands on.
    h: Vec<Row>,
    /// Its activation, where a gate changes it before it is handed on.
    a: Vec<Row>,
    /// Slope of the activation, where it does not follow from the value.
    slope: Vec<Row>,
}

impl Kept {
    fn new(points: usize, width: usize, activation: Activation, gated: bool, train: bool) -> Self {
        let room = |needed: bool| vec![[0.0; PANEL]; if needed { points * panels(width) } else { 0 }];
        Self { h: room(true), a: room(gated), slope: room(train && !activation::slope_from_value(activation)) }
    }

    /// The affine part and activation of a layer.
    fn forward(&mut self, dense: &Dense, kind: Activation, x: Input<'_>, points: usize) {
        let (h, slope) = (&mut self.h[..panels(dense.outputs) * points], &mut self.slope);
        affine(dense, x, h, (points, points), |j, z| {
            let slope = (!slope.is_empty()).then(|| slope[j * points..(j + 1) * points].as_flattened_mut());
            activation::forward(kind, z.as_flattened_mut(), slope);
        });
    }

    /// From the gradient of the activation to that of its argument.
    fn backward(&self, kind: Activation, g: &mut [Row], gated: bool) {
        let y = if gated { &self.a } else { &self.h };
        activation::backward(kind, g.as_flattened_mut(), y.as_flattened(), self.slope.as_flattened());
    }
}

/// Room for a tile, and the gradient of the points that passed through.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    features: Features,
    encoders: Vec<Kept>,
    /// All layers but the last.
    hidden: Vec<Kept>,
    output: Output,
    /// Values `[points, outputs]`, slope of their activation and gradient.
    y: Vec<f32>,
    slope: Vec<f32>,
    dy: Vec<f32>,
    /// Gradient of a layer's output, and of its input.
    g: Vec<Row>,
    g_next: Vec<Row>,
    /// Gradients of the encoders' values.
    du: Vec<Row>,
    dv: Vec<Row>,
    /// d loss / d dense kernels and biases, in the places of their layers.
    pub(super) gradient: Vec<Row>,
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
    pub(super) places: &'a [Place],
}

impl Net<'_> {
    fn activation(&self, layer: usize) -> Activation {
        self.architecture.layers[layer].activation
    }
}

impl Tile {
    /// For up to `points` points of `network`; `gradient` rows make room for the way back.
    pub(super) fn new(network: &Network, points: usize, gradient: Option<usize>) -> Self {
        let gate = network.architecture.gate;
        let train = gradient.is_some();
        let (last, before) = network.layers.split_last().expect("a network has layers");
        let hidden = before.iter().zip(&network.architecture.layers);
        let specs = || network.encoders.iter().chain(before);
        let widest = specs().map(|s| panels(s.outputs)).max().unwrap_or(0);
        let encoded = network.encoders.first().map_or(0, |e| panels(e.outputs));
        let rows = |panels: usize| vec![[0.0; PANEL]; if train { points * panels } else { 0 }];
        let values = |needed: bool| vec![0.0; if needed { points * last.outputs } else { 0 }];
        let sloped = !activation::slope_from_value(network.architecture.layers[before.len()].activation);
        let encoder = |e: &DenseSpec| Kept::new(points, e.outputs, gate.expect("has a gate"), false, train);
        Self {
            features: Features::default(),
            encoders: network.encoders.iter().map(encoder).collect(),
            hidden: hidden.map(|(s, d)| Kept::new(points, s.outputs, d.activation, gate.is_some(), train)).collect(),
            output: Output::default(),
            y: values(true),
            slope: values(train && sloped),
            dy: values(train),
            g: rows(widest),
            g_next: rows(widest),
            du: rows(encoded),
            dv: rows(encoded),
            gradient: vec![[0.0; PANEL]; gradient.unwrap_or(0)],
            loss: 0.0,
        }
    }

    /// Values of points with these features, `[points, features] -> [points, outputs]`.
    pub(super) fn forward(&mut self, net: Net<'_>, features: &[f32]) -> &[f32] {
        let (inputs, points) = shape(net, features);
        let x = self.features.input(features, inputs);
        let gate = net.architecture.gate;
        for (kept, dense) in self.encoders.iter_mut().zip(net.dense) {
            kept.forward(dense, gate.expect("has encoders"), x, points);
        }
        let encoders = self.encoders.len();
        for n in 0..self.hidden.len() {
            let (before, now) = self.hidden.split_at_mut(n);
            let dense = &net.dense[encoders + n];
            let size = panels(dense.outputs) * points;
            let x = input(x, before, dense, points);
            now[0].forward(dense, net.activation(n), x, points);
            if encoders > 0 {
                let Kept { h, a, .. } = &mut now[0];
                let (u, v) = (&self.encoders[0].h[..size], &self.encoders[1].h[..size]);
                let (h, a) = (&mut h[..size], &mut a[..size]);
                activation::gate(h.as_flattened_mut(), a.as_flattened_mut(), u.as_flattened(), v.as_flattened());
            }
        }
        let dense = &net.dense[encoders + self.hidden.len()];
        let x = input(x, &self.hidden, dense, points);
        let y = &mut self.y[..points * dense.outputs];
        self.output.affine(dense, x, y, (points, points));
        let slope = (!self.slope.is_empty()).then(|| &mut self.slope[..points * dense.outputs]);
        activation::forward(net.activation(self.hidden.len()), y, slope);
        y
    }

    /// Forward, `pull` from the values `[points, outputs]` to their gradient, and back: adds to [`Tile::loss`] what
    /// `pull` gives and to [`Tile::gradient`] the gradient of the points.
    pub(super) fn train(&mut self, net: Net<'_>, features: &[f32], pull: impl FnOnce(&[f32], &mut [f32]) -> f64) {
        self.forward(net, features);
        let (inputs, points) = shape(net, features);
        let encoders = self.encoders.len();
        let depth = self.hidden.len();
        let dense = &net.dense[encoders + depth];
        let (y, dy) = (&self.y[..points * dense.outputs], &mut self.dy[..points * dense.outputs]);
        self.loss += pull(y, dy);
        activation::backward(net.activation(depth), dy, y, &self.slope);
        let first = self.features.again(features, inputs);
        let dx = (depth > 0).then(|| &mut self.g[..panels(dense.inputs) * points]);
        let place = &net.places[encoders + depth];
        let x = input(first, &self.hidden[..depth], dense, points);
        self.output.backward(dense, x, dy, (&mut self.gradient, place), dx, (points, points));
        self.du.fill([0.0; PANEL]);
        self.dv.fill([0.0; PANEL]);
        for n in (0..depth).rev() {
            let (dense, place, kept) = (&net.dense[encoders + n], &net.places[encoders + n], &self.hidden[n]);
            let size = panels(dense.outputs) * points;
            let g = &mut self.g[..size];
            if encoders > 0 {
                let (u, v) = (&self.encoders[0].h[..size], &self.encoders[1].h[..size]);
                let into = (self.du[..size].as_flattened_mut(), self.dv[..size].as_flattened_mut());
                let uv = (u.as_flattened(), v.as_flattened());
                activation::gate_backward(g.as_flattened_mut(), kept.a[..size].as_flattened(), uv, into);
            }
            kept.backward(net.activation(n), g, encoders > 0);
            weight_gradient(
                &mut self.gradient,
                place,
                input(first, &self.hidden[..n], dense, points),
                g,
                (points, points),
            );
            if n > 0 {
                input_gradient(dense, g, &mut self.g_next[..panels(dense.inputs) * points], points);
                std::mem::swap(&mut self.g, &mut self.g_next);
            }
        }
        for (n, g) in [&mut self.du, &mut self.dv].into_iter().enumerate().take(encoders) {
            let g = &mut g[..panels(net.dense[n].outputs) * points];
            self.encoders[n].backward(net.architecture.gate.expect("has encoders"), g, false);
            weight_gradient(&mut self.gradient, &net.places[n], first, g, (points, points));
        }
    }
}

/// Columns and rows of what goes into the first layer.
fn shape(net: Net<'_>, features: &[f32]) -> (usize, usize) {
    let inputs = net.dense[0].inputs;
    (inputs, features.len() / inputs)
}

/// What a layer behind these was handed.
fn input<'a>(first: Input<'a>, before: &'a [Kept], dense: &Dense, rows: usize) -> Input<'a> {
    before.last().map_or(first, |kept| Input::Panels(&kept.h[..panels(dense.inputs) * rows]))
}
