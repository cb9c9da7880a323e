//! Models made at build time: constants in a program, written by `rwf_runtime::build` or `rwf export --rust`, without
//! a header to read. Same kernels, same bits as the file they were made from.
//!
//! The parts below are what such a program hands over in a `static`; what does not fit together does not compile.

use heapless::Vec;

use crate::{
    Model,
    dense::{self, Values},
    format::{
        Activation, Architecture, Layer, Layers, MAX_INPUTS, MAX_LAYERS, MAX_WIDTH, Mapping, MathBackend, Precision,
    },
    uses,
};

/// Bytes at a multiple of 4, which kernels read word by word.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
pub struct Aligned<T>(pub T);

/// Weights, typed.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// f32.
    F32(&'a [f32]),
    /// IEEE 754 halves, two bytes each, little-endian.
    F16(&'a [u8]),
}

/// One dense layer: kernel `[in, out]`, bias `[out]`, and what follows.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    /// Weights, `[in, out]`.
    pub kernel: Numbers<'a>,
    /// Bias, `[out]`.
    pub bias: Numbers<'a>,
    /// Applied to every output; of a mapping it is the sine, and the cosine comes along.
    pub activation: Activation,
}

/// A network of `LAYERS` dense layers in parts.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a, const LAYERS: usize> {
    /// Number of coordinates.
    pub inputs: usize,
    /// Routines for sine, tanh and exp.
    pub math: MathBackend,
    /// Sines and cosines of the coordinates, and whether the coordinates themselves come first.
    pub mapping: Option<(Dense<'a>, bool)>,
    /// The two encoders of a modified MLP.
    pub encoders: Option<[Dense<'a>; 2]>,
    /// Dense layers in order, the output layer last.
    pub layers: [Dense<'a>; LAYERS],
    /// Factors by coordinates that make outputs vanish on walls, `[outputs, 4·inputs]`.
    pub mask: Option<&'a [f32]>,
    /// Scale and offset behind the last activation, `[outputs]` each.
    pub output: Option<[Numbers<'a>; 2]>,
    /// Samples and their exact values, `[n, inputs]` and `[n, outputs]`.
    pub self_test: Option<[&'a [f32]; 2]>,
}

/// These as values of the kernels.
const fn finite(values: &[f32]) -> Values<'_> {
    let mut i = 0;
    while i < values.len() {
        assert!(values[i].is_finite(), "a weight that is not finite");
        i += 1;
    }
    Values::Aligned(values)
}

impl<'a> Numbers<'a> {
    const fn precision(self) -> Precision {
        match self {
            Self::F32(_) => Precision::F32,
            Self::F16(_) => Precision::F16,
        }
    }

    /// As `count` values of the kernels.
    const fn values<const USES: u32>(self, count: usize) -> Values<'a> {
        assert!(uses::has(USES, uses::precision(self.precision())), "USES lacks the precision of the weights");
        match self {
            Self::F32(values) => {
                assert!(values.len() == count, "weights that are not of the layer's shape");
                finite(values)
            }
            Self::F16(bytes) => {
                assert!(bytes.len() == 2 * count, "weights that are not of the layer's shape");
                let (values, _) = bytes.as_chunks::<2>();
                let mut i = 0;
                while i < values.len() {
                    assert!(u16::from_le_bytes(values[i]) & 0x7c00 != 0x7c00, "a weight that is not finite");
                    i += 1;
                }
                Values::Half(values)
            }
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(bytes) => bytes.len() / 2,
        }
    }
}

impl<const LAYERS: usize> Parts<'_, LAYERS> {
    const fn weight_bytes(&self) -> usize {
        const fn dense(dense: &Dense<'_>) -> usize {
            dense.kernel.len() + dense.bias.len()
        }
        let mut values = 0;
        let mut n = 0;
        while n < LAYERS {
            values += dense(&self.layers[n]);
            n += 1;
        }
        if let Some((mapping, _)) = &self.mapping {
            values += dense(mapping);
        }
        if let Some([first, second]) = &self.encoders {
            values += dense(first) + dense(second);
        }
        if let Some([scale, offset]) = &self.output {
            values += scale.len() + offset.len();
        }
        let mask = match self.mask {
            Some(mask) => 4 * mask.len(),
            None => 0,
        };
        values * self.layers[0].kernel.precision().bytes() + mask
    }
}

impl<'a> Dense<'a> {
    const fn outputs(&self) -> usize {
        self.bias.len()
    }

    const fn dense<const USES: u32>(&self, inputs: usize) -> dense::Dense<'a> {
        let outputs = self.outputs();
        assert!(outputs > 0 && outputs <= MAX_WIDTH, "a layer wider than the format allows, or empty");
        let needed = match self.activation {
            Activation::Identity => u32::MAX,
            activation => uses::activation(activation),
        };
        assert!(uses::has(USES, needed), "USES lacks an activation");
        dense::Dense { kernel: self.kernel.values::<USES>(inputs * outputs), bias: self.bias.values::<USES>(outputs) }
    }
}

impl<'a, const USES: u32> Model<'a, USES> {
    /// A model of `parts`, for a `static` or a `const`, where what does not fit together is an error of the compiler. It
    /// has no metadata: names, units and grid are constants beside it.
    ///
    /// # Panics
    /// When sizes do not match, a weight is not finite, or `USES` lacks what occurs.
    pub const fn from_parts<const LAYERS: usize>(parts: Parts<'a, LAYERS>) -> Self {
        let inputs = parts.inputs;
        assert!(inputs > 0 && inputs <= MAX_INPUTS, "no coordinates, or more than the format allows");
        assert!(LAYERS > 0 && LAYERS <= MAX_LAYERS, "no layers, or more than the format allows");
        assert!(uses::has(USES, uses::math(parts.math)), "USES lacks the maths");
        assert!(crate::activation::available(parts.math), "the maths needs the feature of its name");

        let mut described_mapping = Mapping::None;
        let mut mapping = None;
        if let Some((dense, raw)) = parts.mapping {
            assert!(uses::has(USES, uses::MAPPING), "USES lacks the mapping");
            described_mapping = Mapping::Fourier { frequencies: dense.outputs(), raw };
            // Its sine is the mapping's own routine, not an activation of a layer.
            mapping = Some(Dense { activation: Activation::Identity, ..dense }.dense::<USES>(inputs));
        }
        let features = described_mapping.features(inputs);

        const EMPTY: Layer = Layer { inputs: 0, outputs: 0, activation: Activation::Identity };
        let mut described = [EMPTY; LAYERS];
        let mut layers = [parts.layers[0].dense::<USES>(features); LAYERS];
        let (mut n, mut before) = (0, features);
        while n < LAYERS {
            let layer = &parts.layers[n];
            layers[n] = layer.dense::<USES>(before);
            described[n] = Layer { inputs: before, outputs: layer.outputs(), activation: layer.activation };
            before = layer.outputs();
            n += 1;
        }

        let (mut gate, mut encoders) = (None, None);
        if let Some([first, second]) = &parts.encoders {
            assert!(uses::has(USES, uses::GATE), "USES lacks the gate");
            let hidden = parts.layers[0].outputs();
            let mut n = 0;
            while n + 1 < LAYERS {
                assert!(parts.layers[n].outputs() == hidden, "hidden layers behind a gate differ in width");
                n += 1;
            }
            assert!(LAYERS > 1 && first.outputs() == hidden && second.outputs() == hidden, "encoders of another width");
            assert!(first.activation as u8 == second.activation as u8, "encoders of different activations");
            gate = Some(first.activation);
            encoders = Some([first.dense::<USES>(features), second.dense::<USES>(features)]);
        }
        let mut mask = None;
        if let Some(values) = parts.mask {
            assert!(uses::has(USES, uses::OUTPUT_MASK), "USES lacks the output's mask");
            assert!(values.len() == 4 * inputs * before, "a mask that is not [outputs, 4·inputs]");
            mask = Some(finite(values));
        }
        let mut output = None;
        if let Some([scale, offset]) = parts.output {
            assert!(uses::has(USES, uses::OUTPUT_AFFINE), "USES lacks the output's scale");
            output = Some((scale.values::<USES>(before), offset.values::<USES>(before)));
        }
        let mut self_test = None;
        if let Some([x, y]) = parts.self_test {
            let fits = x.len().is_multiple_of(inputs) && y.len() == x.len() / inputs * before;
            assert!(fits, "self-test samples that are not of the network's shape");
            self_test = Some((Values::Aligned(x), Values::Aligned(y)));
        }
        Self {
            weight_bytes: parts.weight_bytes(),
            architecture: Architecture {
                inputs,
                mapping: described_mapping,
                gate,
                layers: Layers::from_array(described),
                output_mask: mask.is_some(),
                output_affine: output.is_some(),
            },
            precision: parts.layers[0].kernel.precision(),
            math: parts.math,
            header: &[],
            mapping,
            encoders,
            mask,
            layers: Vec::from_array(layers),
            output,
            self_test,
        }
    }
}
