//! What a network is, and the words the file uses for it.
//!
//! [`Architecture`] is the one description every evaluator reads: the trainer, the oracle in the tests and this
//! crate. Tensor names, activation codes and metadata keys have their one home here; `FORMAT.md` is the same as a
//! written promise.

use heapless::Vec;

use crate::header::position;

/// Value of [`key::FORMAT`] in a model file.
pub const FORMAT: &str = "rwf-model";
/// Value of [`key::FORMAT`] in a training checkpoint, which is not a model.
pub const CHECKPOINT_FORMAT: &str = "rwf-checkpoint";
/// Value of [`key::FORMAT`] in a file of two networks, for `Operator` (feature `operator`).
pub const OPERATOR_FORMAT: &str = "rwf-operator";
/// Version of files of operators.
pub const OPERATOR_VERSION: u32 = 1;
/// Version of the format written by this crate's trainer; older versions keep loading.
pub const VERSION: u32 = 1;

/// Version of files in integers, for [`IntegerModel`](crate::IntegerModel).
pub const INTEGER_VERSION: u32 = 2;

/// Most dense layers a network may have, the output layer included.
pub const MAX_LAYERS: usize = 16;
/// Most input coordinates.
pub const MAX_INPUTS: usize = 16;
/// Most values in one vector inside the network: inputs, features, a layer's width, outputs.
pub const MAX_WIDTH: usize = 4096;

/// Keys of the file's `__metadata__`.
pub mod key {
    /// Kind of file: [`super::FORMAT`] or [`super::CHECKPOINT_FORMAT`].
    pub const FORMAT: &str = "format";
    /// Version of the format, a decimal integer.
    pub const VERSION: &str = "format_version";
    /// Input mapping: `none`, `fourier` or `fourier+raw`.
    pub const MAPPING: &str = "mapping";
    /// Activation after each dense layer, in order, joined by commas.
    pub const ACTIVATIONS: &str = "activations";
    /// Activation of the two encoders of a gated (modified) MLP; absent when there is no gate.
    pub const GATE: &str = "gate";
    /// Which routines compute sine, tanh and exp: `polynomial`, `libm` or `micromath`.
    pub const MATH: &str = "math";
    /// Bits of each layer's weights in an integer model, joined by commas: 32 for a first layer on coordinates, else
    /// 4, 6, 8 or 16.
    pub const BITS: &str = "bits";
    /// Fraction bits of each layer's activations in an integer model, joined by commas.
    pub const FRACTIONS: &str = "fractions";
    /// How an operator's numbers are merged: `dot`, or the activation in front of its dense layer.
    pub const MERGE: &str = "merge";
    /// An operator's input function as `name[unit] lo hi`, in physical units.
    pub const FUNCTION: &str = "function";
    /// Kind of signal: `image`, `table`, `audio`, `array`, or a word of the user's.
    pub const SIGNAL: &str = "signal";
    /// Inputs as `name[unit] lo hi`, joined by `;`, in physical units.
    pub const INPUTS: &str = "inputs";
    /// Outputs as `name[unit] lo hi`, joined by `;`, in physical units.
    pub const OUTPUTS: &str = "outputs";
    /// Sampling of the signal, as `cell|node first|last N0 N1 ...`; absent for scattered samples.
    pub const GRID: &str = "grid";
    /// Training error as measured by this runtime, as `psnr_db=..;rmse=..;max=..;relative_l2=..`.
    pub const ERROR: &str = "error";
    /// Program and version that wrote the file.
    pub const CREATED_BY: &str = "created_by";
    /// Parameterization, seed and steps that produced the weights, for people.
    pub const PROVENANCE: &str = "provenance";
}

/// Names of the file's tensors; those of a layer carry its number.
pub mod tensor {
    /// Frequencies of the mapping in turns per unit of input, `[inputs, frequencies]`.
    pub const MAPPING_KERNEL: &str = "mapping.kernel";
    /// Phases of the mapping in turns, `[frequencies]`.
    pub const MAPPING_BIAS: &str = "mapping.bias";
    /// Prefix of dense layer N: `layers.N.kernel` is `[in, out]`, `layers.N.bias` is `[out]`.
    pub const LAYERS: &str = "layers.";
    /// Prefix of the two encoders of a gated network: `encoder.0.kernel`, ... `encoder.1.bias`.
    pub const ENCODER: &str = "encoder.";
    /// Prefix of words and tensors of an operator's branch.
    pub const BRANCH: &str = "branch.";
    /// Prefix of words and tensors of an operator's trunk.
    pub const TRUNK: &str = "trunk.";
    /// Weights behind an operator's activated product, `[latent, outputs]`.
    pub const HEAD_KERNEL: &str = "head.kernel";
    /// Bias of an operator, `[outputs]`.
    pub const HEAD_BIAS: &str = "head.bias";
    /// Input functions of an operator's self-test, `[n, sensors]`, f32.
    pub const SELF_TEST_FUNCTIONS: &str = "self_test.functions";
    /// Points of an operator's self-test, `[m, inputs]`, f32; its outputs are `[n·m, outputs]`.
    pub const SELF_TEST_POINTS: &str = "self_test.points";
    /// Suffix of a weight matrix.
    pub const KERNEL: &str = ".kernel";
    /// Suffix of a bias.
    pub const BIAS: &str = ".bias";
    /// Suffix of an integer layer's weights, `[out, in]` or `[out, bytes]`.
    pub const WEIGHT: &str = ".weight";
    /// Suffix of an integer layer's multipliers, `[out]`.
    pub const MULTIPLIER: &str = ".multiplier";
    /// Suffix of an integer layer's shifts, `[out]`.
    pub const SHIFT: &str = ".shift";
    /// Integers per physical unit of each input, `[inputs]`.
    pub const INPUT_SCALE: &str = "input.scale";
    /// Integer at 0 of each input, `[inputs]`.
    pub const INPUT_OFFSET: &str = "input.offset";
    /// Factors by coordinates that make outputs vanish on walls, `[outputs, 4·inputs]`, f32.
    pub const OUTPUT_MASK: &str = "output.mask";
    /// Scale behind an output activation, `[outputs]`.
    pub const OUTPUT_SCALE: &str = "output.scale";
    /// Offset behind an output activation, `[outputs]`.
    pub const OUTPUT_OFFSET: &str = "output.offset";
    /// Inputs of the self-test, `[n, inputs]`, f32.
    pub const SELF_TEST_INPUTS: &str = "self_test.inputs";
    /// Exact outputs of the self-test, `[n, outputs]`, f32.
    pub const SELF_TEST_OUTPUTS: &str = "self_test.outputs";
}

/// Function applied to every output of a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// y = x
    Identity,
    /// y = max(x, 0)
    Relu,
    /// y = tanh(x)
    Tanh,
    /// y = sin(2πx): the argument is in turns, so a SIREN's omega0/2π is folded into the layer before it.
    Sine,
    /// y = 1/(1 + exp(-x))
    Sigmoid,
    /// y = x/2·(1 + tanh(√(2/π)·(x + 0.044715x³))), the tanh form (Hendrycks and Gimpel 2016)
    Gelu,
    /// y = x·sigmoid(x) (Ramachandran et al. 2017), also called SiLU
    Swish,
}

impl Activation {
    /// Every activation, in the order of the format's table.
    pub const ALL: [Self; 7] =
        [Self::Identity, Self::Relu, Self::Tanh, Self::Sine, Self::Sigmoid, Self::Gelu, Self::Swish];

    /// The word the file uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Tanh => "tanh",
            Self::Sine => "sine",
            Self::Sigmoid => "sigmoid",
            Self::Gelu => "gelu",
            Self::Swish => "swish",
        }
    }

    /// The activation of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_bytes(name.as_bytes())
    }

    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.get(position("identity relu tanh sine sigmoid gelu swish", name)).copied()
    }
}

/// What happens to the input coordinates before the first dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// The coordinates themselves.
    None,
    /// `[x.. when raw], sin(2πt).., cos(2πt)..` with t = x·kernel + bias, `[inputs] -> [frequencies]`.
    /// Gaussian Fourier features and both forms of positional encoding (Tancik et al. 2020) are this.
    Fourier {
        /// Number of frequencies; each gives a sine and a cosine.
        frequencies: usize,
        /// Whether the coordinates come first among the features.
        raw: bool,
    },
}

impl Mapping {
    /// Number of features made from `inputs` coordinates.
    pub const fn features(self, inputs: usize) -> usize {
        match self {
            Self::None => inputs,
            Self::Fourier { frequencies, raw } => 2 * frequencies + if raw { inputs } else { 0 },
        }
    }

    /// The word the file uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fourier { raw: false, .. } => "fourier",
            Self::Fourier { raw: true, .. } => "fourier+raw",
        }
    }
}

/// One dense layer, `[n, inputs] -> [n, outputs]`: activation(x·kernel + bias).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Width of what comes in.
    pub inputs: usize,
    /// Width of what goes out.
    pub outputs: usize,
    /// Applied to every output.
    pub activation: Activation,
}

/// Routines for sine, tanh and exp; the file says which one its bits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MathBackend {
    /// This crate's own, always there.
    #[default]
    Polynomial,
    /// The `libm` crate; feature `libm`.
    Libm,
    /// The `micromath` crate; feature `micromath`.
    Micromath,
}

impl MathBackend {
    /// Every backend of the format, built in or not.
    pub const ALL: [Self; 3] = [Self::Polynomial, Self::Libm, Self::Micromath];

    /// The word the file uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polynomial => "polynomial",
            Self::Libm => "libm",
            Self::Micromath => "micromath",
        }
    }

    /// The backend of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_bytes(name.as_bytes())
    }

    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.get(position("polynomial libm micromath", name)).copied()
    }
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Precision {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// IEEE 754 half precision; widened to f32 exactly before use.
    F16,
}

impl Precision {
    /// Every precision of the format.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// The word for people and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// The precision of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// Bytes of one weight.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// Dense layers in order, without an allocator.
pub type Layers = Vec<Layer, MAX_LAYERS>;

/// What a network is, without its weights, `[n, inputs] -> [n, outputs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Number of input coordinates.
    pub inputs: usize,
    /// From coordinates to features.
    pub mapping: Mapping,
    /// Activation of the two encoders U, V of a modified MLP (Wang, Teng, Perdikaris 2021): after every hidden
    /// layer h becomes V + h·(U - V). `None` for a plain network.
    pub gate: Option<Activation>,
    /// Dense layers, the output layer last.
    pub layers: Layers,
    /// Whether outputs are multiplied by factors that vanish on walls, before scale and offset.
    pub output_mask: bool,
    /// Whether a scale and an offset follow the last activation.
    pub output_affine: bool,
}

impl Architecture {
    /// Width of the features that enter the first layer and the encoders.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub fn features(&self) -> usize {
        self.mapping.features(self.inputs)
    }

    /// Number of output values; 0 when there are no layers.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |l| l.outputs)
    }

    /// Width of the hidden layers behind the gate; 0 without hidden layers.
    pub fn hidden(&self) -> usize {
        if self.layers.len() > 1 { self.layers[0].outputs } else { 0 }
    }

    /// Multiply-adds for one point: mapping, encoders, dense layers, gates, the output's mask and scale.
    pub fn multiply_adds(&self) -> usize {
        let mut all = match self.mapping {
            Mapping::None => 0,
            Mapping::Fourier { frequencies, .. } => self.inputs * frequencies,
        };
        for (n, layer) in self.layers.iter().enumerate() {
            all += layer.inputs * layer.outputs;
            // Encoders beside the first layer, and a gate before each but that.
            if self.gate.is_some() && self.layers.len() > 1 {
                all += if n == 0 { 2 * layer.inputs * layer.outputs } else { self.hidden() };
            }
        }
        let mask = if self.output_mask { 4 * self.inputs * self.outputs() } else { 0 };
        all + mask + if self.output_affine { self.outputs() } else { 0 }
    }

    /// Number of weights, biases, frequencies, phases and numbers of the mask.
    pub fn parameters(&self) -> usize {
        let mapping = match self.mapping {
            Mapping::None => 0,
            Mapping::Fourier { frequencies, .. } => (self.inputs + 1) * frequencies,
        };
        let dense: usize = self.layers.iter().map(|l| (l.inputs + 1) * l.outputs).sum();
        let gate = match self.gate {
            None => 0,
            Some(_) => 2 * (self.features() + 1) * self.hidden(),
        };
        let affine = if self.output_affine { 2 * self.outputs() } else { 0 };
        let mask = if self.output_mask { 4 * self.inputs * self.outputs() } else { 0 };
        mapping + dense + gate + mask + affine
    }
}
