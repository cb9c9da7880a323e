//! From trained numbers to dense layers, and dense gradients back to trained numbers, in place.

use super::panel::{PANEL, Row, pack, pack_transposed, padded, panels};
use crate::{
    engine::layout::Slot,
    network::{DenseSpec, Parameterization, Per, Scale},
};

/// A dense layer in f32.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    /// Width of what comes in.
    pub(super) inputs: usize,
    /// Width of what goes out.
    pub(super) outputs: usize,
    /// Weights `[in, out]`.
    pub(super) kernel: Vec<f32>,
    /// Biases `[out]`.
    pub(super) bias: Vec<f32>,
    /// The kernel in panels `[out/16][in][16]`.
    pub(super) panels: Vec<Row>,
    /// Its transpose in panels `[in/16][out][16]`.
    pub(super) transposed: Vec<Row>,
    /// The biases in panels `[out/16][16]`.
    pub(super) bias_panels: Vec<Row>,
    /// What multiplies each column of the trained weights, gain and all, `[out]`.
    column: Vec<f32>,
    /// Length of each column of the trained weights, for weight normalization, `[out]`.
    length: Vec<f32>,
    /// Room for sums over columns `[out]`.
    sums: Vec<f32>,
}

impl Dense {
    pub(super) fn new(spec: &DenseSpec) -> Self {
        let (inputs, outputs) = (spec.inputs, spec.outputs);
        let zeros = |n| vec![0.0; n];
        let rows = |n| vec![[0.0; PANEL]; n];
        Self {
            panels: rows(panels(outputs) * inputs),
            transposed: rows(panels(inputs) * outputs),
            bias_panels: rows(panels(outputs)),
            inputs,
            outputs,
            kernel: zeros(inputs * outputs),
            bias: zeros(outputs),
            column: zeros(outputs),
            length: zeros(outputs),
            sums: zeros(outputs),
        }
    }

    /// The dense layer that `trained`, the flat buffer, stands for.
    pub(super) fn materialize(&mut self, spec: &DenseSpec, slot: &Slot, trained: &[f32]) {
        let gain = spec.gain as f32;
        let weight = &trained[slot.weight.clone()];
        let bias = &trained[slot.bias.clone()];
        let extra = slot.extra.clone().map_or(&[][..], |range| &trained[range]);
        match spec.parameterization {
            Parameterization::Plain => self.column.fill(gain),
            Parameterization::AdaptiveActivation { .. } => {
                self.column.iter_mut().enumerate().for_each(|(o, c)| *c = gain * extra[o % extra.len()]);
            }
            Parameterization::WeightNorm => {
                self.length.fill(0.0);
                for row in weight.chunks_exact(self.outputs) {
                    self.length.iter_mut().zip(row).for_each(|(l, v)| *l += v * v);
                }
                for ((c, l), g) in self.column.iter_mut().zip(&mut self.length).zip(extra) {
                    *l = l.sqrt();
                    *c = gain * (g / *l);
                }
            }
            Parameterization::RandomWeightFactorization { scale, .. } => {
                for (c, s) in self.column.iter_mut().zip(extra) {
                    *c = gain * if scale == Scale::Log { s.exp() } else { *s };
                }
            }
        }
        for (kernel, row) in self.kernel.chunks_exact_mut(self.outputs).zip(weight.chunks_exact(self.outputs)) {
            for ((k, w), c) in kernel.iter_mut().zip(row).zip(&self.column) {
                *k = w * c;
            }
        }
        let slope = matches!(spec.parameterization, Parameterization::AdaptiveActivation { .. });
        for ((b, raw), c) in self.bias.iter_mut().zip(bias).zip(&self.column) {
            *b = raw * if slope { *c } else { gain };
        }
        pack(&mut self.panels, &self.kernel, self.outputs);
        pack_transposed(&mut self.transposed, &self.kernel, self.outputs);
        self.bias_panels.iter_mut().zip(self.bias.chunks(PANEL)).for_each(|(p, b)| *p = padded(b));
    }

    /// Turns the gradient of the dense kernel and bias, written where weight and bias lie in `gradient`, into that of
    /// the trained numbers.
    pub(super) fn pull_back(&mut self, spec: &DenseSpec, slot: &Slot, trained: &[f32], gradient: &mut [f32]) {
        let gain = spec.gain as f32;
        let n = self.outputs;
        let weight = &trained[slot.weight.clone()];
        if let Some(range) = slot.extra.clone() {
            self.sum_columns(&gradient[slot.weight.clone()], weight);
            match spec.parameterization {
                Parameterization::Plain => {}
                Parameterization::AdaptiveActivation { per } => {
                    // da = gain·(Σ dW·w + db·b), summed over the neurons that share it.
                    let bias = &trained[slot.bias.clone()];
                    for ((s, db), b) in self.sums.iter_mut().zip(&gradient[slot.bias.clone()]).zip(bias) {
                        *s = gain * (*s + db * b);
                    }
                    match per {
                        Per::Neuron => gradient[range].copy_from_slice(&self.sums),
                        Per::Layer => gradient[range.start] = self.sums.iter().sum(),
                    }
                }
                Parameterization::WeightNorm => {
                    // dg = dW·v/|v|, and what lies along v is taken out of dv = g/|v|·(dW - dg/|v|·v).
                    self.sums.iter_mut().zip(&self.length).for_each(|(s, l)| *s /= l);
                    gradient[range].iter_mut().zip(&self.sums).for_each(|(g, s)| *g = gain * s);
                    self.sums.iter_mut().zip(&self.length).for_each(|(s, l)| *s /= l);
                    for (row, v) in gradient[slot.weight.clone()].chunks_exact_mut(n).zip(weight.chunks_exact(n)) {
                        for ((d, v), s) in row.iter_mut().zip(v).zip(&self.sums) {
                            *d -= s * v;
                        }
                    }
                }
                Parameterization::RandomWeightFactorization { scale, .. } => {
                    // Log scale: ds = Σ dW·w. Direct: dg = gain·Σ dW·v. Here the sums are over dW·v.
                    for ((s, sum), c) in gradient[range].iter_mut().zip(&self.sums).zip(&self.column) {
                        *s = sum * if scale == Scale::Log { *c } else { gain };
                    }
                }
            }
        }
        for row in gradient[slot.weight.clone()].chunks_exact_mut(n) {
            row.iter_mut().zip(&self.column).for_each(|(g, c)| *g *= c);
        }
        let slope = matches!(spec.parameterization, Parameterization::AdaptiveActivation { .. });
        for (db, c) in gradient[slot.bias.clone()].iter_mut().zip(&self.column) {
            *db *= if slope { *c } else { gain };
        }
    }

    /// Σ over inputs of dW∘w, a column a sum.
    fn sum_columns(&mut self, gradient: &[f32], weight: &[f32]) {
        self.sums.fill(0.0);
        for (g, w) in gradient.chunks_exact(self.outputs).zip(weight.chunks_exact(self.outputs)) {
            for ((s, g), w) in self.sums.iter_mut().zip(g).zip(w) {
                *s += g * w;
            }
        }
    }
}
