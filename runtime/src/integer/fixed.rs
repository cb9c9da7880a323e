//! Integer models made at build time, as [`fixed`](crate::fixed) has them in floats.

use heapless::Vec;

use super::{
    Bits, Dense, IntegerModel,
    kernel::{Narrow, Wide},
};
use crate::{
    dense::Values,
    format::{Activation, Architecture, Layer, Layers, MAX_INPUTS, MAX_LAYERS, Mapping},
    uses,
};

/// Full-width weights: kernel `[in, out]` and bias `[out]`, i32, little-endian.
#[derive(Debug, Clone, Copy)]
pub struct WideBytes<'a> {
    /// Weights.
    pub kernel: &'a [u8],
    /// Biases.
    pub bias: &'a [u8],
}

/// One dense layer as its file holds it, tensor by tensor.
#[derive(Debug, Clone, Copy)]
pub enum LayerBytes<'a> {
    /// A first layer on the coordinates themselves.
    Wide(WideBytes<'a>),
    /// Every other.
    Narrow {
        /// Width of the weights.
        bits: Bits,
        /// Weights `[out, in]`, packed.
        weight: &'a [u8],
        /// i32 `[out]`, little-endian.
        bias: &'a [u8],
        /// i32 `[out]`, little-endian.
        multiplier: &'a [u8],
        /// i8 `[out]`.
        shift: &'a [u8],
    },
}

/// An integer network of `LAYERS` dense layers in parts.
#[derive(Debug, Clone, Copy)]
pub struct IntegerParts<'a, const LAYERS: usize> {
    /// Number of coordinates.
    pub inputs: usize,
    /// Sines and cosines of the coordinates, and whether the coordinates themselves come first.
    pub mapping: Option<(WideBytes<'a>, bool)>,
    /// The two encoders of a modified MLP, their activation, and the fraction bits of what they give.
    pub encoders: Option<([LayerBytes<'a>; 2], Activation, i32)>,
    /// Dense layers in order, each with its activation and the fraction bits of that.
    pub layers: [(LayerBytes<'a>, Activation, i32); LAYERS],
    /// Scale and offset from physical units, `[inputs]` each.
    pub input: [&'a [f32]; 2],
    /// Scale and offset to physical units, `[outputs]` each.
    pub output: [&'a [f32]; 2],
    /// Samples and their exact values, i16, little-endian, `[n, inputs]` and `[n, outputs]`.
    pub self_test: Option<[&'a [u8]; 2]>,
}

impl<'a> WideBytes<'a> {
    /// As the kernels have it, and the number of outputs.
    const fn wide(self, inputs: usize) -> (Wide<'a>, usize) {
        let wide = Wide { kernel: self.kernel.as_chunks().0, bias: self.bias.as_chunks().0 };
        let outputs = wide.bias.len();
        assert!(outputs > 0 && self.bias.len() == 4 * outputs, "biases that are not i32");
        assert!(self.kernel.len() == 4 * inputs * outputs, "weights that are not of the layer's shape");
        (wide, outputs)
    }
}

impl<'a> LayerBytes<'a> {
    const fn bytes(&self) -> usize {
        match self {
            Self::Wide(wide) => wide.kernel.len() + wide.bias.len(),
            Self::Narrow { weight, bias, multiplier, shift, .. } => {
                weight.len() + bias.len() + multiplier.len() + shift.len()
            }
        }
    }

    /// As the kernels have it, and the number of outputs; at full width where it stands on the coordinates.
    const fn dense<const USES: u32>(
        self,
        activation: Activation,
        inputs: usize,
        coordinates: bool,
    ) -> (Dense<'a>, usize) {
        let needed = match activation {
            Activation::Identity => u32::MAX,
            activation => uses::activation(activation),
        };
        assert!(uses::has(USES, needed), "USES lacks an activation");
        match self {
            Self::Wide(wide) => {
                assert!(coordinates, "only a layer on the coordinates is at full width");
                let (wide, outputs) = wide.wide(inputs);
                (Dense::Wide(wide), outputs)
            }
            Self::Narrow { bits, weight, bias, multiplier, shift } => {
                assert!(!coordinates, "a layer on the coordinates is at full width");
                let outputs = shift.len();
                assert!(bias.len() == 4 * outputs && multiplier.len() == 4 * outputs, "biases that are not i32");
                let row = bits.row(inputs);
                assert!(weight.len() == outputs * row, "weights that are not of the layer's shape");
                let (bias, multiplier) = (bias.as_chunks().0, multiplier.as_chunks().0);
                (Dense::Narrow(Narrow { bits, inputs, row, weight, bias, multiplier, shift }), outputs)
            }
        }
    }
}

impl<'a, const USES: u32> IntegerModel<'a, USES> {
    /// A model of `parts`, for a `static` or a `const`, where what does not fit together is an error of the compiler.
    /// That no accumulator can overflow is what the loader checked when the parts were written.
    ///
    /// # Panics
    /// When sizes do not match or `USES` lacks what occurs.
    pub const fn from_parts<const LAYERS: usize>(parts: IntegerParts<'a, LAYERS>) -> Self {
        let inputs = parts.inputs;
        assert!(inputs > 0 && inputs <= MAX_INPUTS, "no coordinates, or more than the format allows");
        assert!(LAYERS > 0 && LAYERS <= MAX_LAYERS, "no layers, or more than the format allows");
        let (mut mapping, mut described) = (None, Mapping::None);
        let mut bytes = 0;
        if let Some((wide, raw)) = parts.mapping {
            assert!(uses::has(USES, uses::MAPPING), "USES lacks the mapping");
            bytes += wide.kernel.len() + wide.bias.len();
            let (wide, frequencies) = wide.wide(inputs);
            (mapping, described) = (Some(wide), Mapping::Fourier { frequencies, raw });
        }
        const EMPTY: Layer = Layer { inputs: 0, outputs: 0, activation: Activation::Identity };
        let none = Dense::Wide(Wide { kernel: &[], bias: &[] });
        let features = described.features(inputs);
        let (mut layers, mut shapes, mut fractions) = ([none; LAYERS], [EMPTY; LAYERS], [0; LAYERS]);
        let (mut n, mut before) = (0, features);
        while n < LAYERS {
            let (layer, activation, fraction) = parts.layers[n];
            let (dense, outputs) = layer.dense::<USES>(activation, before, n == 0 && mapping.is_none());
            bytes += layer.bytes();
            layers[n] = dense;
            shapes[n] = Layer { inputs: before, outputs, activation };
            fractions[n] = fraction;
            before = outputs;
            n += 1;
        }
        let (mut gate, mut encoders, mut gate_fraction) = (None, None, 0);
        if let Some(([first, second], activation, fraction)) = &parts.encoders {
            assert!(uses::has(USES, uses::GATE), "USES lacks the gate");
            let (u, width) = first.dense::<USES>(*activation, features, mapping.is_none());
            let (v, other) = second.dense::<USES>(*activation, features, mapping.is_none());
            let mut n = 0;
            while n + 1 < LAYERS {
                assert!(shapes[n].outputs == width, "hidden layers behind a gate differ in width");
                n += 1;
            }
            assert!(LAYERS > 1 && width == other, "encoders of another width");
            bytes += first.bytes() + second.bytes();
            (gate, encoders, gate_fraction) = (Some(*activation), Some([u, v]), *fraction);
        }
        let [input_scale, input_offset] = parts.input;
        assert!(input_scale.len() == inputs && input_offset.len() == inputs, "input scales are not [inputs]");
        let [output_scale, output_offset] = parts.output;
        assert!(output_scale.len() == before && output_offset.len() == before, "output scales are not [outputs]");
        let mut self_test = None;
        if let Some([x, y]) = parts.self_test {
            assert!(x.len() / inputs * before == y.len(), "self-test samples that are not of the network's shape");
            self_test = Some((x.as_chunks().0, y.as_chunks().0));
        }
        Self {
            architecture: Architecture {
                inputs,
                mapping: described,
                gate,
                layers: Layers::from_array(shapes),
                output_mask: false,
                output_affine: true,
            },
            header: &[],
            weight_bytes: bytes + 8 * (inputs + before),
            mapping,
            layers: Vec::from_array(layers),
            fractions: Vec::from_array(fractions),
            encoders,
            gate_fraction,
            input: (Values::Aligned(input_scale), Values::Aligned(input_offset)),
            output: (Values::Aligned(output_scale), Values::Aligned(output_offset)),
            self_test,
        }
    }
}
