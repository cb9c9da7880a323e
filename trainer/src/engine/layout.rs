//! Where every trained tensor lies in one flat buffer.

use std::ops::Range;

use crate::{
    error::Result,
    network::{DenseSpec, Network, Parameter, find},
};

/// The tensors of one dense layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// Weights, or their direction, `[in, out]`.
    pub(super) weight: Range<usize>,
    /// Slopes, lengths or scales, where there are any.
    pub(super) extra: Option<Range<usize>>,
    /// Biases `[out]`.
    pub(super) bias: Range<usize>,
}

impl Slot {
    /// The same in a buffer that begins at `start` of this one's.
    pub(super) fn from(&self, start: usize) -> Self {
        let moved = |range: &Range<usize>| range.start - start..range.end - start;
        Self { weight: moved(&self.weight), extra: self.extra.as_ref().map(moved), bias: moved(&self.bias) }
    }
}

/// All tensors in the order of [`Engine::parameters`](super::Engine::parameters).
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// One per dense layer, encoders first.
    pub(super) slots: Vec<Slot>,
    /// Name, shape and place of every tensor.
    tensors: Vec<(String, Vec<usize>, Range<usize>)>,
    /// Numbers in all.
    pub(super) len: usize,
}

impl Layout {
    pub(super) fn new(network: &Network) -> Self {
        let (mut tensors, mut len) = (Vec::new(), 0);
        let mut push = |spec: &DenseSpec, suffix: &str, shape: Vec<usize>| {
            let range = len..len + shape.iter().product::<usize>();
            len = range.end;
            tensors.push((format!("{}.{suffix}", spec.name), shape, range.clone()));
            range
        };
        let slots = network
            .encoders
            .iter()
            .chain(&network.layers)
            .map(|spec| Slot {
                weight: push(spec, spec.parameterization.weight(), vec![spec.inputs, spec.outputs]),
                extra: spec.parameterization.extra(spec.outputs).map(|(name, n)| push(spec, name, vec![n])),
                bias: push(spec, "bias", vec![spec.outputs]),
            })
            .collect();
        Self { slots, tensors, len }
    }

    /// A flat buffer as named tensors.
    pub(super) fn name(&self, flat: &[f32]) -> Vec<Parameter> {
        let each = self.tensors.iter().map(|(name, shape, range)| Parameter {
            name: name.clone(),
            shape: shape.clone(),
            values: flat[range.clone()].to_vec(),
        });
        each.collect()
    }

    /// Two flat buffers, Adam's first and second moments, as tensors `adam.NAME` `[2, n]`.
    pub(super) fn name_moments(&self, first: &[f32], second: &[f32]) -> Vec<Parameter> {
        let each = self.tensors.iter().map(|(name, _, range)| Parameter {
            name: format!("adam.{name}"),
            shape: vec![2, range.len()],
            values: [&first[range.clone()], &second[range.clone()]].concat(),
        });
        each.collect()
    }

    /// Named tensors into a flat buffer.
    pub(super) fn fill(&self, flat: &mut [f32], from: &[Parameter]) -> Result<()> {
        for (name, shape, range) in &self.tensors {
            flat[range.clone()].copy_from_slice(find(from, name, shape)?);
        }
        Ok(())
    }

    /// Named moments into two flat buffers.
    pub(super) fn fill_moments(&self, first: &mut [f32], second: &mut [f32], from: &[Parameter]) -> Result<()> {
        for (name, _, range) in &self.tensors {
            let both = find(from, &format!("adam.{name}"), &[2, range.len()])?;
            let (a, b) = both.split_at(range.len());
            first[range.clone()].copy_from_slice(a);
            second[range.clone()].copy_from_slice(b);
        }
        Ok(())
    }
}
