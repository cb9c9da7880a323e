//! A tile of jets through mapping and all layers and back, while everything it touches stays in cache. The linear part
//! of a layer is one matrix product over all rows of all points; only the value has a bias.

use rwf_runtime::format::Activation;

use super::{
    super::{
        factors::Dense,
        layout::Layout,
        matrix::{add_transposed_product, product, product_transposed},
        thin::{THIN, few_inputs, few_inputs_gradient, few_outputs, few_outputs_backward},
        tile::Net,
    },
    kernels::{self, LANES},
    plan::Plan,
};
use crate::network::Network;

/// Jets `[rows, points, width]` one layer leaves behind for the way back.
#[derive(Debug, Clone)]
struct Kept {
    /// Before the activation; empty where there is none.
    z: Vec<f32>,
    /// What it hands on.
    h: Vec<f32>,
    /// Its activation, where a gate changes it before it is handed on.
    a: Vec<f32>,
}

/// Room for a tile, and the gradient of the points that passed through.
#[derive(Debug, Clone)]
pub(super) struct JetTile {
    encoders: Vec<Kept>,
    layers: Vec<Kept>,
    /// Gradient of a layer's output, and of its input.
    g: Vec<f32>,
    g_next: Vec<f32>,
    du: Vec<f32>,
    dv: Vec<f32>,
    /// Room for thin layers.
    columns: Vec<f32>,
    /// d loss / d dense kernels and biases, where these lie in the flat buffer.
    pub(super) gradient: Vec<f32>,
}

impl JetTile {
    /// For up to `points` points, a multiple of 16, of `network`.
    pub(super) fn new(network: &Network, layout: &Layout, plan: &Plan, points: usize) -> Self {
        assert!(points.is_multiple_of(LANES), "tiles are of whole lanes");
        let rows = plan.rows() * points;
        let room = |width: usize, needed: bool| vec![0.0; if needed { rows * width } else { 0 }];
        let last = network.layers.len() - 1;
        let gate = network.architecture.gate;
        let kept = |width: usize, activation: Activation, gated: bool| Kept {
            z: room(width, activation != Activation::Identity),
            h: room(width, true),
            a: room(width, gated),
        };
        let layers = network
            .layers
            .iter()
            .zip(&network.architecture.layers)
            .enumerate()
            .map(|(n, (spec, described))| kept(spec.outputs, described.activation, gate.is_some() && n < last));
        let specs = || network.encoders.iter().chain(&network.layers);
        let widest = specs().map(|s| s.inputs.max(s.outputs)).max().unwrap_or(0);
        let hidden = network.encoders.first().map_or(0, |e| e.outputs);
        let columns = specs().filter(|s| s.outputs <= THIN).map(|s| 2 * s.inputs * s.outputs).max().unwrap_or(0);
        Self {
            encoders: network.encoders.iter().map(|e| kept(e.outputs, gate.expect("has a gate"), false)).collect(),
            layers: layers.collect(),
            g: room(widest, true),
            g_next: room(widest, true),
            du: room(hidden, true),
            dv: room(hidden, true),
            columns: vec![0.0; columns],
            gradient: vec![0.0; layout.len],
        }
    }

    /// Jets of the outputs, `[rows, points, outputs]`, from those of the features.
    pub(super) fn forward(&mut self, net: Net<'_>, plan: &Plan, features: &[f32], points: usize) -> &[f32] {
        let encoders = self.encoders.len();
        for (kept, dense) in self.encoders.iter_mut().zip(net.dense) {
            let gate = net.architecture.gate.expect("has encoders");
            dense_layer(kept, features, dense, gate, false, plan, points, &mut self.columns);
        }
        let last = self.layers.len() - 1;
        for n in 0..=last {
            let (before, now) = self.layers.split_at_mut(n);
            let dense = &net.dense[encoders + n];
            let x = before.last().map_or(features, |kept| &kept.h);
            let kept = &mut now[0];
            let gated = encoders > 0 && n < last;
            let kind = net.architecture.layers[n].activation;
            dense_layer(kept, x, dense, kind, gated, plan, points, &mut self.columns);
            if gated {
                let (u, v) = (&self.encoders[0].h, &self.encoders[1].h);
                kernels::gate(plan, &mut kept.h, &kept.a, u, v, points * dense.outputs);
            }
        }
        &self.layers[last].h[..plan.rows() * points * net.dense[encoders + last].outputs]
    }

    /// The gradient of the outputs' jets, to be filled before [`JetTile::backward`].
    pub(super) fn outputs_and_cotangents(&mut self, len: usize) -> (&[f32], &mut [f32]) {
        (&self.layers.last().expect("a network has layers").h[..len], &mut self.g[..len])
    }

    /// The way back of the last [`JetTile::forward`]; adds to [`JetTile::gradient`].
    pub(super) fn backward(&mut self, net: Net<'_>, plan: &Plan, features: &[f32], points: usize) {
        let (rows, encoders, last) = (plan.rows() * points, self.encoders.len(), self.layers.len() - 1);
        self.du.fill(0.0);
        self.dv.fill(0.0);
        for n in (0..=last).rev() {
            let dense = &net.dense[encoders + n];
            let (before, now) = self.layers.split_at_mut(n);
            let kept = &now[0];
            let size = points * dense.outputs;
            let g = &mut self.g[..rows * dense.outputs];
            let gated = encoders > 0 && n < last;
            if gated {
                let uv = (&self.encoders[0].h[..], &self.encoders[1].h[..]);
                kernels::gate_backward(plan, g, &kept.a, uv, (&mut self.du, &mut self.dv), size);
            }
            let kind = net.architecture.layers[n].activation;
            if kind != Activation::Identity {
                kernels::backward(kind, plan, g, &kept.z, if gated { &kept.a } else { &kept.h }, size);
            }
            let slot = &net.layout.slots[encoders + n];
            add_rows(&mut self.gradient[slot.bias.clone()], &g[..size]);
            let x = before.last().map_or(features, |kept| &kept.h);
            let x = &x[..rows * dense.inputs];
            let dw = &mut self.gradient[slot.weight.clone()];
            if n == 0 {
                weight_gradient(dw, x, g, dense, rows);
            } else {
                let dx = &mut self.g_next[..rows * dense.inputs];
                if dense.outputs <= THIN {
                    let shape = (dense.inputs, dense.outputs);
                    few_outputs_backward(dw, dx, (x, g, &dense.kernel), &mut self.columns, shape);
                } else {
                    weight_gradient(dw, x, g, dense, rows);
                    product_transposed(dx, g, &dense.kernel, (rows, dense.outputs, dense.inputs));
                }
                std::mem::swap(&mut self.g, &mut self.g_next);
            }
        }
        for (n, g) in [&mut self.du, &mut self.dv].into_iter().enumerate().take(encoders) {
            let (dense, kept, slot) = (&net.dense[n], &self.encoders[n], &net.layout.slots[n]);
            let size = points * dense.outputs;
            let g = &mut g[..rows * dense.outputs];
            let gate = net.architecture.gate.expect("has encoders");
            if gate != Activation::Identity {
                kernels::backward(gate, plan, g, &kept.z, &kept.h, size);
            }
            add_rows(&mut self.gradient[slot.bias.clone()], &g[..size]);
            let x = &features[..rows * dense.inputs];
            weight_gradient(&mut self.gradient[slot.weight.clone()], x, g, dense, rows);
        }
    }
}

/// Matrix product, bias and activation into `kept`.
#[allow(clippy::too_many_arguments, reason = "one place, all of them needed")]
fn dense_layer(
    kept: &mut Kept,
    x: &[f32],
    dense: &Dense,
    kind: Activation,
    gated: bool,
    plan: &Plan,
    points: usize,
    columns: &mut [f32],
) {
    let (rows, k, n) = (plan.rows() * points, dense.inputs, dense.outputs);
    let out = if gated { &mut kept.a } else { &mut kept.h };
    let linear = kind == Activation::Identity;
    let z = if linear { &mut *out } else { &mut kept.z };
    let (z, x) = (&mut z[..rows * n], &x[..rows * k]);
    if n <= THIN {
        few_outputs(z, x, &dense.kernel, &mut columns[..n * k], k, n);
    } else if k <= THIN {
        few_inputs(z, x, &dense.kernel, k, n);
    } else {
        product(z, x, &dense.kernel, (rows, k, n));
    }
    for row in z[..points * n].chunks_exact_mut(n) {
        row.iter_mut().zip(&dense.bias).for_each(|(z, b)| *z += b);
    }
    if !linear {
        kernels::forward(kind, plan, &kept.z, out, points * n);
    }
}

/// sum `[n]` += Σ of the rows of g `[m, n]`
fn add_rows(sum: &mut [f32], g: &[f32]) {
    for row in g.chunks_exact(sum.len()) {
        sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
    }
}

/// dW += xᵀ·g
fn weight_gradient(dw: &mut [f32], x: &[f32], g: &[f32], dense: &Dense, rows: usize) {
    if dense.inputs <= THIN {
        few_inputs_gradient(dw, x, g, dense.inputs, dense.outputs);
    } else {
        add_transposed_product(dw, x, g, (dense.inputs, rows, dense.outputs));
    }
}
