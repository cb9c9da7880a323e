//! The linear part of a dense layer over the rows of a tile, there and back. Values and jets share it: a row is a point,
//! or one Taylor coefficient of a point, and only the first `bias_rows` rows have a bias.

use std::ops::Range;

use pulp::Arch;

use super::{
    factors::Dense,
    kernel::{add_transposed_product, product},
    panel::{PANEL, Row, add_transposed, pack, panels, unpack},
    thin::{THIN, few_inputs, few_inputs_gradient, few_outputs, few_outputs_backward},
};

/// What goes into a layer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// Up to [`THIN`] columns, row by row `[rows, k]`.
    Thin(&'a [f32]),
    /// Panels `[k/16][rows][16]`.
    Panels(&'a [Row]),
}

/// Room for what goes into the first layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Features {
    panels: Vec<Row>,
}

impl Features {
    /// `features` `[rows, columns]` as an input.
    pub(super) fn input<'a>(&'a mut self, features: &'a [f32], columns: usize) -> Input<'a> {
        if columns <= THIN {
            return Input::Thin(features);
        }
        let len = panels(columns) * (features.len() / columns);
        if self.panels.len() < len {
            self.panels.resize(len, [0.0; PANEL]);
        }
        pack(&mut self.panels[..len], features, columns);
        self.again(features, columns)
    }

    /// The same input once more.
    pub(super) fn again<'a>(&'a self, features: &'a [f32], columns: usize) -> Input<'a> {
        match columns <= THIN {
            true => Input::Thin(features),
            false => Input::Panels(&self.panels[..panels(columns) * (features.len() / columns)]),
        }
    }
}

/// z = x·W + b, panel by panel `[out/16][rows][16]`; `then` is handed each panel while it is warm.
pub(super) fn affine(
    dense: &Dense,
    x: Input<'_>,
    z: &mut [Row],
    (rows, bias_rows): (usize, usize),
    mut then: impl FnMut(usize, &mut [Row]),
) {
    let weights = dense.panels.chunks_exact(dense.inputs).zip(&dense.bias_panels);
    for (j, (z, (w, bias))) in z.chunks_exact_mut(rows).zip(weights).enumerate() {
        match x {
            Input::Thin(x) => few_inputs(z, x, w, bias, bias_rows),
            Input::Panels(x) => product(z, x, w, bias, bias_rows),
        }
        then(j, z);
    }
}

/// dx = g·Wᵀ in panels `[in/16][rows][16]`.
pub(super) fn input_gradient(dense: &Dense, g: &[Row], dx: &mut [Row], rows: usize) {
    for (dx, w) in dx.chunks_exact_mut(rows).zip(dense.transposed.chunks_exact(dense.outputs)) {
        product(dx, g, w, &[0.0; PANEL], 0);
    }
}

/// dW += xᵀ·g, and db += the sum of the first `bias_rows` rows of g.
pub(super) fn weight_gradient(
    gradient: &mut [Row],
    place: &Place,
    x: Input<'_>,
    g: &[Row],
    (rows, bias_rows): (usize, usize),
) {
    let (weight, bias) = gradient[place.weight.start..place.bias.end].split_at_mut(place.weight.len());
    let each = weight.len() / bias.len();
    for ((dw, db), g) in weight.chunks_exact_mut(each).zip(bias).zip(g.chunks_exact(rows)) {
        for g in &g[..bias_rows] {
            db.iter_mut().zip(g).for_each(|(d, g)| *d += g);
        }
        match x {
            Input::Thin(x) => few_inputs_gradient(dw, x, g),
            Input::Panels(x) => add_transposed_product(dw, x, g),
        }
    }
}

/// The last layer: its outputs are wanted row by row.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    /// Panels, where there are more than a few outputs.
    panels: Vec<Row>,
}

impl Output {
    /// y `[rows, out]` = x·W + b.
    pub(super) fn affine(&mut self, dense: &Dense, x: Input<'_>, y: &mut [f32], (rows, bias_rows): (usize, usize)) {
        if let (true, Input::Panels(x)) = (is_thin(dense), x) {
            return few_outputs(y, x, &dense.transposed, &dense.bias, bias_rows);
        }
        let z = self.room(panels(dense.outputs) * rows);
        affine(dense, x, z, (rows, bias_rows), |_, _| ());
        unpack(y, z, dense.outputs);
    }

    /// The way back from g `[rows, out]`: adds to the gradient of the layer, and writes dx `[in/16][rows][16]` where
    /// there is a layer before.
    pub(super) fn backward(
        &mut self,
        dense: &Dense,
        x: Input<'_>,
        g: &[f32],
        (gradient, place): (&mut [Row], &Place),
        dx: Option<&mut [Row]>,
        (rows, bias_rows): (usize, usize),
    ) {
        if let (true, Input::Panels(x)) = (is_thin(dense), x) {
            let bias = &mut gradient[place.bias.start];
            for g in g.chunks_exact(dense.outputs).take(bias_rows) {
                bias.iter_mut().zip(g).for_each(|(b, g)| *b += g);
            }
            let dw = &mut gradient[place.weight.clone()];
            let dx = match dx {
                Some(dx) => dx,
                None => self.room(x.len()),
            };
            return few_outputs_backward(dw, dx, x, g, &dense.transposed, dense.outputs);
        }
        let packed = self.room(panels(dense.outputs) * rows);
        pack(packed, g, dense.outputs);
        weight_gradient(gradient, place, x, packed, (rows, bias_rows));
        if let Some(dx) = dx {
            input_gradient(dense, packed, dx, rows);
        }
    }

    fn room(&mut self, len: usize) -> &mut [Row] {
        if self.panels.len() < len {
            self.panels.resize(len, [0.0; PANEL]);
        }
        &mut self.panels[..len]
    }
}

/// Whether a last layer has few outputs beside its inputs.
fn is_thin(dense: &Dense) -> bool {
    dense.outputs <= THIN && dense.inputs > THIN
}

/// Where the gradient of one dense layer lies among the panels of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Weights: `[out/16][in][16]`, inputs up to whole panels unless they are few, or transposed `[in/16][out][16]` for a
    /// last layer with few outputs.
    pub(super) weight: Range<usize>,
    /// Biases `[out/16][16]`, right behind.
    pub(super) bias: Range<usize>,
    /// Whether the weights are transposed.
    transposed: bool,
}

/// The places of all layers, of which the first `encoders` are encoders, and how many rows they have together.
pub(super) fn places(dense: &[Dense], encoders: usize) -> (Vec<Place>, usize) {
    let mut end = 0;
    let mut take = |rows: usize| {
        end += rows;
        end - rows..end
    };
    let last = dense.len() - 1;
    let each = dense.iter().enumerate().map(|(n, dense)| {
        let (inputs, outputs) = (dense.inputs, dense.outputs);
        // What comes from another layer is in panels, however narrow.
        let thin = n <= encoders && inputs <= THIN;
        let transposed = n == last && is_thin(dense);
        let weights = match transposed {
            true => panels(inputs) * outputs,
            false if thin => panels(outputs) * inputs,
            false => panels(outputs) * panels(inputs) * PANEL,
        };
        Place { weight: take(weights), bias: take(panels(outputs)), transposed }
    });
    (each.collect(), end)
}

/// Adds the gradient of one layer to its kernel's `[in, out]` and bias's.
pub(super) fn add_to(gradient: &[Row], place: &Place, kernel: &mut [f32], bias: &mut [f32]) {
    let (weights, outputs) = (&gradient[place.weight.clone()], bias.len());
    bias.iter_mut().zip(gradient[place.bias.clone()].as_flattened()).for_each(|(b, g)| *b += g);
    if place.transposed {
        return add_transposed(kernel, weights, outputs);
    }
    let each = weights.len() / panels(outputs);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (row, kernel) in kernel.chunks_exact_mut(outputs).enumerate() {
                for (from, kernel) in weights[row..].iter().step_by(each).zip(kernel.chunks_mut(PANEL)) {
                    match kernel.first_chunk_mut::<PANEL>() {
                        Some(whole) => whole.iter_mut().zip(from).for_each(|(k, g)| *k += g),
                        None => kernel.iter_mut().zip(from).for_each(|(k, g)| *k += g),
                    }
                }
            }
        },
    );
}
