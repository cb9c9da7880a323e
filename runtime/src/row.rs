//! What the points of one row of a grid share: they differ in one coordinate, the first or the last, so that of a dense
//! layer on coordinates everything but one product is known before.
//!
//! The order of a sum stays that of [`crate::dense`], and with it the bits: bias, products before the row's coordinate,
//! its product, products behind it.

use crate::{
    dense::{Dense, Values},
    model::Model,
    uses,
};

/// Points along one input.
#[derive(Default)]
pub(crate) struct Row<'x> {
    /// The input in which they differ.
    pub(crate) input: usize,
    /// Of the mapping or the first layer, and of the two encoders where they take coordinates.
    pub(crate) shared: [Shared<'x>; 3],
}

/// The mapping, and the first layer of a network without one, as a place in [`Row::shared`]; behind it the encoders.
pub(crate) const FIRST: usize = 0;

/// One layer's share; without rows there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shared<'s> {
    /// Biases and the products before, then the weights of the row's coordinate, then each product behind, `[out]` each.
    rows: &'s [f32],
    outputs: usize,
}

impl<'s> Shared<'s> {
    /// Takes what the points share of `dense` that differ from `point` in `input`, in `room`, which loses that much; nothing
    /// when it is too short.
    #[inline(never)]
    fn take(&mut self, dense: &Dense<'_>, point: &[f32], input: usize, room: &mut &'s mut [f32]) {
        // Where the kernels are assembly, they are quicker than what is added product by product.
        let assembly = cfg!(all(target_arch = "arm", target_abi = "eabihf"));
        if assembly && matches!(dense.kernel, Values::Aligned(_)) && input + 1 < point.len() {
            return;
        }
        let outputs = dense.bias.len();
        let length = (point.len() + 1).saturating_sub(input) * outputs;
        if length > room.len() {
            return;
        }
        let Some((rows, rest)) = core::mem::take(room).split_at_mut_checked(length) else { return };
        *room = rest;
        for (o, to) in rows.iter_mut().take(outputs).enumerate() {
            *to = dense.bias.get(o).unwrap_or(0.0);
        }
        for (i, x) in point.iter().enumerate() {
            let row = (i + 1).saturating_sub(input) * outputs;
            for (o, to) in rows.iter_mut().skip(row).take(outputs).enumerate() {
                let w = dense.kernel.get(i * outputs + o).unwrap_or(0.0);
                *to = match () {
                    () if i == input => w,
                    () if i < input => *to + w * *x,
                    () => w * *x,
                };
            }
        }
        *self = Self { rows, outputs };
    }

    /// The layer's sums at points with `x` as the row's coordinate; `false` when nothing is shared.
    #[inline(always)]
    pub(crate) fn forward<const L: usize>(&self, x: [f32; L], y: &mut [[f32; L]]) -> bool {
        let mut rows = self.rows.chunks_exact(self.outputs.max(1));
        let (Some(before), Some(weights)) = (rows.next(), rows.next()) else { return false };
        for (y, (w, before)) in y.iter_mut().zip(weights.iter().zip(before)) {
            *y = multiply_add(*before, *w, x);
        }
        for products in rows {
            for (y, product) in y.iter_mut().zip(products) {
                *y = add(*y, *product);
            }
        }
        true
    }
}

/// before + w·x
#[inline(always)]
fn multiply_add<const L: usize>(before: f32, w: f32, x: [f32; L]) -> [f32; L] {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if let Some(x) = crate::simd::fours(x) {
        return crate::simd::lanes(crate::simd::affine(x, w, before));
    }
    x.map(|x| before + w * x)
}

/// y + product
#[inline(always)]
fn add<const L: usize>(y: [f32; L], product: f32) -> [f32; L] {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if let Some(y) = crate::simd::fours(y) {
        return crate::simd::lanes((crate::simd::Four::from(y) + product).into());
    }
    y.map(|y| y + product)
}

impl<const USES: u32> Model<'_, USES> {
    /// Numbers of memory [`Model::share`] takes at most.
    pub(crate) fn row_len(&self) -> usize {
        // Encoders are as wide as the first layer.
        let layers = if self.architecture.gate.is_some() { 3 } else { 1 };
        let first = self.mapping.as_ref().or(self.layers.first()).map_or(0, |dense| dense.bias.len());
        (self.inputs() + 1) * layers * first
    }

    /// What the points of a row through `point` share, in `room`, as far as that goes.
    #[inline(never)]
    pub(crate) fn share<'s>(&self, row: &mut Row<'s>, point: &[f32], mut room: &'s mut [f32]) {
        let input = row.input;
        let [first, encoders @ ..] = &mut row.shared;
        if let Some(mapping) = self.mapping.as_ref().filter(|_| uses::has(USES, uses::MAPPING)) {
            return first.take(mapping, point, input, &mut room);
        }
        if let Some(dense) = self.layers.first() {
            first.take(dense, point, input, &mut room);
        }
        for (to, dense) in
            encoders.iter_mut().zip(self.encoders.iter().flatten().filter(|_| uses::has(USES, uses::GATE)))
        {
            to.take(dense, point, input, &mut room);
        }
    }
}
