//! A tile of jets through mapping and all layers and back, while everything it touches stays in cache. The linear part
//! of a layer is one matrix product over all rows of all points; only the value has a bias.

use rwf_runtime::format::Activation;

use super::{
    super::{
        factors::Dense,
        linear::{Features, Input, Output, affine, input_gradient, weight_gradient},
        panel::{PANEL, Row, panels},
        tile::Net,
    },
    Plan, kernels,
    wide::LANES,
};
use crate::network::{DenseSpec, Network};

/// Jets one layer leaves behind for the way back, panels `[out/16][rows·points][16]`.
#[derive(Debug, Clone)]
struct Kept {
    /// Before the activation; empty where there is none.
    z: Vec<Row>,
    /// What it hands on.
    h: Vec<Row>,
    /// Its activation, where a gate changes it before it is handed on.
    a: Vec<Row>,
}

impl Kept {
    fn new(rows: usize, width: usize, activation: Activation, gated: bool) -> Self {
        let room = |needed: bool| vec![[0.0; PANEL]; if needed { rows * panels(width) } else { 0 }];
        Self { z: room(activation != Activation::Identity), h: room(true), a: room(gated) }
    }

    /// The affine part and activation of a layer.
    fn forward(&mut self, dense: &Dense, kind: Activation, x: Input<'_>, plan: &Plan, points: usize) {
        let rows = plan.rows() * points;
        let out = if self.a.is_empty() { &mut self.h } else { &mut self.a };
        let size = panels(dense.outputs) * rows;
        if kind == Activation::Identity {
            return affine(dense, x, &mut out[..size], (rows, points), |_, _| ());
        }
        affine(dense, x, &mut self.z[..size], (rows, points), |j, z| {
            let out = out[j * rows..(j + 1) * rows].as_flattened_mut();
            kernels::forward(kind, plan, z.as_flattened(), out, points * PANEL);
        });
    }

    /// From the gradient of the activation to that of its argument.
    fn backward(&self, kind: Activation, g: &mut [Row], plan: &Plan, points: usize) {
        if kind == Activation::Identity {
            return;
        }
        let y = if self.a.is_empty() { &self.h } else { &self.a };
        let rows = plan.rows() * points;
        for ((g, z), y) in g.chunks_exact_mut(rows).zip(self.z.chunks_exact(rows)).zip(y.chunks_exact(rows)) {
            let (g, z, y) = (g.as_flattened_mut(), z.as_flattened(), y.as_flattened());
            kernels::backward(kind, plan, g, z, y, points * PANEL);
        }
    }
}

/// Room for a tile, and the gradient of the points that passed through.
#[derive(Debug, Clone)]
pub(super) struct JetTile {
    features: Features,
    encoders: Vec<Kept>,
    /// All layers but the last.
    hidden: Vec<Kept>,
    output: Output,
    /// Jets of the outputs, before and after their activation, and their gradient, `[rows, points, outputs]`.
    z: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    /// Gradient of a layer's output, and of its input.
    g: Vec<Row>,
    g_next: Vec<Row>,
    du: Vec<Row>,
    dv: Vec<Row>,
    /// d loss / d dense kernels and biases, in the places of their layers.
    pub(super) gradient: Vec<Row>,
}

impl JetTile {
    /// For up to `points` points, a multiple of 16, of `network`, with a gradient of so many rows.
    pub(super) fn new(network: &Network, plan: &Plan, points: usize, gradient: usize) -> Self {
        assert!(points.is_multiple_of(LANES), "tiles are of whole lanes");
        let rows = plan.rows() * points;
        let gate = network.architecture.gate;
        let (last, before) = network.layers.split_last().expect("a network has layers");
        let hidden = before.iter().zip(&network.architecture.layers);
        let widest = network.encoders.iter().chain(before).map(|s| panels(s.outputs)).max().unwrap_or(0);
        let encoded = network.encoders.first().map_or(0, |e| panels(e.outputs));
        let room = |panels: usize| vec![[0.0; PANEL]; rows * panels];
        let values = || vec![0.0; rows * last.outputs];
        let encoder = |e: &DenseSpec| Kept::new(rows, e.outputs, gate.expect("has a gate"), false);
        Self {
            features: Features::default(),
            encoders: network.encoders.iter().map(encoder).collect(),
            hidden: hidden.map(|(s, d)| Kept::new(rows, s.outputs, d.activation, gate.is_some())).collect(),
            output: Output::default(),
            z: values(),
            y: values(),
            dy: values(),
            g: room(widest),
            g_next: room(widest),
            du: room(encoded),
            dv: room(encoded),
            gradient: vec![[0.0; PANEL]; gradient],
        }
    }

    /// Jets of the outputs, `[rows, points, outputs]`, from those of the features; they stay for
    /// [`JetTile::outputs_and_cotangents`].
    pub(super) fn forward(&mut self, net: Net<'_>, plan: &Plan, features: &[f32], points: usize) {
        let rows = plan.rows() * points;
        let x = self.features.input(&features[..rows * net.dense[0].inputs], net.dense[0].inputs);
        for (kept, dense) in self.encoders.iter_mut().zip(net.dense) {
            kept.forward(dense, net.architecture.gate.expect("has encoders"), x, plan, points);
        }
        let (encoders, depth) = (self.encoders.len(), self.hidden.len());
        for n in 0..depth {
            let (before, now) = self.hidden.split_at_mut(n);
            let dense = &net.dense[encoders + n];
            let x = input(x, before, dense, rows);
            now[0].forward(dense, net.architecture.layers[n].activation, x, plan, points);
            if encoders > 0 {
                let Kept { h, a, .. } = &mut now[0];
                let uv = self.encoders[0].h.chunks_exact(rows).zip(self.encoders[1].h.chunks_exact(rows));
                let each = h.chunks_exact_mut(rows).zip(a.chunks_exact(rows)).zip(uv);
                for ((h, a), (u, v)) in each {
                    let (a, u, v) = (a.as_flattened(), u.as_flattened(), v.as_flattened());
                    kernels::gate(plan, h.as_flattened_mut(), a, u, v, points * PANEL);
                }
            }
        }
        let dense = &net.dense[encoders + depth];
        let x = input(x, &self.hidden, dense, rows);
        let kind = net.architecture.layers[depth].activation;
        let size = rows * dense.outputs;
        let z = if kind == Activation::Identity { &mut self.y } else { &mut self.z };
        self.output.affine(dense, x, &mut z[..size], (rows, points));
        if kind != Activation::Identity {
            kernels::forward(kind, plan, &self.z, &mut self.y, points * dense.outputs);
        }
    }

    /// The outputs' jets, and their gradient, to be filled before [`JetTile::backward`].
    pub(super) fn outputs_and_cotangents(&mut self, len: usize) -> (&[f32], &mut [f32]) {
        (&self.y[..len], &mut self.dy[..len])
    }

    /// The way back of the last [`JetTile::forward`]; adds to [`JetTile::gradient`].
    pub(super) fn backward(&mut self, net: Net<'_>, plan: &Plan, features: &[f32], points: usize) {
        let rows = plan.rows() * points;
        let both = (rows, points);
        let (encoders, depth) = (self.encoders.len(), self.hidden.len());
        let first = self.features.again(&features[..rows * net.dense[0].inputs], net.dense[0].inputs);
        let (dense, place) = (&net.dense[encoders + depth], &net.places[encoders + depth]);
        let dy = &mut self.dy[..rows * dense.outputs];
        let kind = net.architecture.layers[depth].activation;
        if kind != Activation::Identity {
            kernels::backward(kind, plan, dy, &self.z, &self.y, points * dense.outputs);
        }
        let dx = (depth > 0).then(|| &mut self.g[..panels(dense.inputs) * rows]);
        let x = input(first, &self.hidden[..depth], dense, rows);
        self.output.backward(dense, x, dy, (&mut self.gradient, place), dx, both);
        self.du.fill([0.0; PANEL]);
        self.dv.fill([0.0; PANEL]);
        for n in (0..depth).rev() {
            let (dense, place, kept) = (&net.dense[encoders + n], &net.places[encoders + n], &self.hidden[n]);
            let g = &mut self.g[..panels(dense.outputs) * rows];
            if encoders > 0 {
                let uv = self.encoders[0].h.chunks_exact(rows).zip(self.encoders[1].h.chunks_exact(rows));
                let into = self.du.chunks_exact_mut(rows).zip(self.dv.chunks_exact_mut(rows));
                let each = g.chunks_exact_mut(rows).zip(kept.a.chunks_exact(rows));
                for ((g, a), ((u, v), (du, dv))) in each.zip(uv.zip(into)) {
                    let uv = (u.as_flattened(), v.as_flattened());
                    let into = (du.as_flattened_mut(), dv.as_flattened_mut());
                    kernels::gate_backward(plan, g.as_flattened_mut(), a.as_flattened(), uv, into, points * PANEL);
                }
            }
            kept.backward(net.architecture.layers[n].activation, g, plan, points);
            weight_gradient(&mut self.gradient, place, input(first, &self.hidden[..n], dense, rows), g, both);
            if n > 0 {
                input_gradient(dense, g, &mut self.g_next[..panels(dense.inputs) * rows], rows);
                std::mem::swap(&mut self.g, &mut self.g_next);
            }
        }
        for (n, g) in [&mut self.du, &mut self.dv].into_iter().enumerate().take(encoders) {
            let g = &mut g[..panels(net.dense[n].outputs) * rows];
            self.encoders[n].backward(net.architecture.gate.expect("has encoders"), g, plan, points);
            weight_gradient(&mut self.gradient, &net.places[n], first, g, both);
        }
    }
}

/// What a layer behind these was handed.
fn input<'a>(first: Input<'a>, before: &'a [Kept], dense: &Dense, rows: usize) -> Input<'a> {
    before.last().map_or(first, |kept| Input::Panels(&kept.h[..panels(dense.inputs) * rows]))
}
