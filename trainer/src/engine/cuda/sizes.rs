//! What the kernels are compiled for: the sizes of a network and where its dense layers lie.

use rwf_runtime::format::{Activation, Mapping};

use crate::{
    error::{Error, Result},
    network::{DenseSpec, Network, Parameterization},
};

/// Widths in memory are multiples of this.
const PAD: usize = 4;

/// `n` or the next width a layer has in memory.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(PAD)
}

/// Whether an activation's slope follows from its value, as the kernels have it.
fn slope_from_value(kind: Activation) -> bool {
    matches!(kind, Activation::Identity | Activation::Relu | Activation::Tanh | Activation::Sigmoid)
}

/// A network in numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sizes {
    pub(super) inputs: usize,
    /// Coordinates that go into the first layer as they are.
    pub(super) raw: usize,
    pub(super) frequencies: usize,
    pub(super) features: usize,
    pub(super) hidden: usize,
    /// Hidden layers.
    pub(super) depth: usize,
    pub(super) outputs: usize,
    pub(super) gate: Option<Activation>,
    pub(super) activation: Activation,
    pub(super) output_activation: Activation,
    pub(super) parameterization: Parameterization,
    /// Factor on weights and biases, one a dense layer, encoders first.
    pub(super) gains: Vec<f32>,
}

impl Sizes {
    /// # Errors
    /// [`Error::Config`] for hidden layers that differ.
    pub(super) fn new(network: &Network) -> Result<Self> {
        let architecture = &network.architecture;
        let (last, hidden) = architecture.layers.split_last().expect("a network has layers");
        let differ = |what: &str| Error::Config {
            field: "network".into(),
            message: format!("found hidden layers of several {what}, expected one: use `--engine fused --device cpu`"),
        };
        let first = hidden.first().ok_or_else(|| differ("numbers, 0 among them"))?;
        if hidden.iter().any(|l| l.outputs != first.outputs) {
            return Err(differ("widths"));
        }
        if hidden.iter().any(|l| l.activation != first.activation) {
            return Err(differ("activations"));
        }
        let specs: Vec<&DenseSpec> = network.encoders.iter().chain(&network.layers).collect();
        if specs.iter().any(|s| s.parameterization.name() != specs[0].parameterization.name()) {
            return Err(differ("parameterizations"));
        }
        let (raw, frequencies) = match (architecture.mapping, &network.mapping) {
            (Mapping::Fourier { raw, .. }, Some(mapping)) => {
                (if raw { architecture.inputs } else { 0 }, mapping.outputs)
            }
            _ => (architecture.inputs, 0),
        };
        Ok(Self {
            inputs: architecture.inputs,
            raw,
            frequencies,
            features: architecture.features(),
            hidden: first.outputs,
            depth: hidden.len(),
            outputs: last.outputs,
            gate: architecture.gate,
            activation: first.activation,
            output_activation: last.activation,
            parameterization: specs[0].parameterization,
            gains: specs.iter().map(|s| s.gain as f32).collect(),
        })
    }

    fn encoders(&self) -> usize {
        if self.gate.is_some() { 2 } else { 0 }
    }

    /// Dense layers, encoders and all.
    pub(super) fn layers(&self) -> usize {
        self.encoders() + self.depth + 1
    }

    /// Inputs and outputs of a dense layer, encoders first.
    pub(super) fn layer(&self, layer: usize) -> (usize, usize) {
        let inputs = if layer <= self.encoders() { self.features } else { self.hidden };
        (inputs, if layer + 1 == self.layers() { self.outputs } else { self.hidden })
    }

    /// Where a layer's weights `[in, out]`, padded, begin among dense layers; biases are behind them.
    pub(super) fn dense_at(&self, layer: usize) -> usize {
        let size = |l| {
            let (inputs, outputs) = self.layer(l);
            (padded(inputs) + 1) * padded(outputs)
        };
        (0..layer).map(size).sum()
    }

    /// Numbers of all dense layers in memory.
    pub(super) fn dense(&self) -> usize {
        self.dense_at(self.layers())
    }

    /// Neurons of all layers.
    pub(super) fn neurons(&self) -> usize {
        (0..self.layers()).map(|l| self.layer(l).1).sum()
    }

    /// Blocks that go from trained numbers to dense layers and back, 32 neurons each.
    pub(super) fn neuron_blocks(&self) -> usize {
        (0..self.layers()).map(|l| self.layer(l).1.div_ceil(32)).sum()
    }

    /// Rows of what a tile keeps: features, encoders, layers, and gradients.
    pub(super) fn kept_rows(&self) -> usize {
        let hidden = padded(self.hidden);
        let slope = |kind| usize::from(!slope_from_value(kind));
        let encoder = self.gate.map_or(0, |kind| hidden * (1 + slope(kind)));
        let layer = hidden * (1 + usize::from(self.gate.is_some()) + slope(self.activation));
        let gradients = 2 * hidden.max(padded(self.outputs)) + self.encoders() * hidden;
        padded(self.features) + self.encoders() * encoder + self.depth * layer + gradients
    }

    /// Rows of what a tile of jets keeps: features, arguments of layers, gradients, and the jets of one layer.
    pub(super) fn kept_rows_of_jets(&self) -> usize {
        let hidden = padded(self.hidden);
        padded(self.features) + self.depth * hidden + 3 * hidden.max(padded(self.outputs))
    }

    /// Whether a slope is shared by a layer, which takes a sum over its neurons.
    pub(super) fn shared_slopes(&self) -> bool {
        use crate::network::Per;
        self.parameterization == Parameterization::AdaptiveActivation { per: Per::Layer }
    }
}
