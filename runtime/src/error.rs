//! One small error for each thing that can go wrong.

use core::fmt;

use crate::format::MathBackend;

/// A tensor of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorName {
    /// `mapping.kernel`
    MappingKernel,
    /// `mapping.bias`
    MappingBias,
    /// `encoder.N.kernel`
    EncoderKernel(u8),
    /// `encoder.N.bias`
    EncoderBias(u8),
    /// `encoder.N.weight`
    EncoderWeight(u8),
    /// `encoder.N.multiplier`
    EncoderMultiplier(u8),
    /// `encoder.N.shift`
    EncoderShift(u8),
    /// `layers.N.kernel`
    LayerKernel(u8),
    /// `layers.N.bias`
    LayerBias(u8),
    /// `layers.N.weight`
    LayerWeight(u8),
    /// `layers.N.multiplier`
    LayerMultiplier(u8),
    /// `layers.N.shift`
    LayerShift(u8),
    /// `input.scale`
    InputScale,
    /// `input.offset`
    InputOffset,
    /// `output.mask`
    OutputMask,
    /// `output.scale`
    OutputScale,
    /// `output.offset`
    OutputOffset,
    /// `self_test.inputs`
    SelfTestInputs,
    /// `self_test.outputs`
    SelfTestOutputs,
    /// `self_test.functions`, of an operator
    SelfTestFunctions,
    /// `self_test.points`, of an operator
    SelfTestPoints,
    /// `head.kernel`, of an operator
    HeadKernel,
    /// `head.bias`, of an operator
    HeadBias,
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MappingKernel => f.write_str("mapping.kernel"),
            Self::MappingBias => f.write_str("mapping.bias"),
            Self::EncoderKernel(n) => write!(f, "encoder.{n}.kernel"),
            Self::EncoderBias(n) => write!(f, "encoder.{n}.bias"),
            Self::EncoderWeight(n) => write!(f, "encoder.{n}.weight"),
            Self::EncoderMultiplier(n) => write!(f, "encoder.{n}.multiplier"),
            Self::EncoderShift(n) => write!(f, "encoder.{n}.shift"),
            Self::LayerKernel(n) => write!(f, "layers.{n}.kernel"),
            Self::LayerBias(n) => write!(f, "layers.{n}.bias"),
            Self::LayerWeight(n) => write!(f, "layers.{n}.weight"),
            Self::LayerMultiplier(n) => write!(f, "layers.{n}.multiplier"),
            Self::LayerShift(n) => write!(f, "layers.{n}.shift"),
            Self::InputScale => f.write_str("input.scale"),
            Self::InputOffset => f.write_str("input.offset"),
            Self::OutputMask => f.write_str("output.mask"),
            Self::OutputScale => f.write_str("output.scale"),
            Self::OutputOffset => f.write_str("output.offset"),
            Self::SelfTestInputs => f.write_str("self_test.inputs"),
            Self::SelfTestOutputs => f.write_str("self_test.outputs"),
            Self::SelfTestFunctions => f.write_str("self_test.functions"),
            Self::SelfTestPoints => f.write_str("self_test.points"),
            Self::HeadKernel => f.write_str("head.kernel"),
            Self::HeadBias => f.write_str("head.bias"),
        }
    }
}

/// A word of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Word {
    /// `format_version`
    Version,
    /// `mapping`
    Mapping,
    /// `activations`
    Activations,
    /// `gate`
    Gate,
    /// `math`
    Math,
    /// `bits`
    Bits,
    /// `fractions`
    Fractions,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "format_version",
            Self::Mapping => "mapping",
            Self::Activations => "activations",
            Self::Gate => "gate",
            Self::Math => "math",
            Self::Bits => "bits",
            Self::Fractions => "fractions",
        })
    }
}

/// Why bytes are not a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LoadError {
    /// Fewer bytes than the header or the tensors need.
    Truncated,
    /// The header says it is longer than the format allows.
    HeaderTooLong,
    /// The header is not the JSON of a safetensors file, or says a thing twice.
    BadHeader,
    /// A safetensors file, but not one of this format.
    Foreign,
    /// A training checkpoint, not a model.
    Checkpoint,
    /// Written by a later version of the format.
    UnsupportedVersion(u32),
    /// A word of the metadata is missing.
    MissingWord(Word),
    /// A word of the metadata is none the format knows.
    UnknownWord(Word),
    /// The maths the file asks for is not built in; the feature of that name brings it.
    MathNotBuiltIn(MathBackend),
    /// Holds what is not among the `USES` of the [`Model`](crate::Model) that reads it.
    NotInUses,
    /// More layers than [`MAX_LAYERS`](crate::format::MAX_LAYERS), or none.
    LayerCount,
    /// A tensor the architecture needs is missing.
    Missing(TensorName),
    /// A tensor appears twice.
    Duplicate(TensorName),
    /// A tensor is not one of the format, or not one of this architecture.
    UnknownTensor,
    /// A tensor is neither F32 nor F16, or not of the precision of the others.
    Dtype(TensorName),
    /// A tensor's shape is not what the architecture needs, or beyond the format's limits.
    Shape(TensorName),
    /// A tensor's bytes do not match its shape, or lie outside the file.
    Offsets(TensorName),
    /// A tensor's bytes overlap another's.
    Overlap(TensorName),
    /// Bytes between tensors belong to none.
    Gap,
    /// Bytes follow the last tensor.
    TrailingBytes,
    /// A weight is infinite or not a number.
    NotFinite(TensorName),
    /// A model in integers, which `IntegerModel` reads.
    Integer,
    /// A model in floats, which `Model` reads.
    NotInteger,
    /// An integer layer whose sums could leave 32 bits, or whose scales are beyond the format's.
    Overflow(TensorName),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the file is truncated: it ends before its tensors do"),
            Self::HeaderTooLong => f.write_str("not a model: the header's length is beyond the format's limit"),
            Self::BadHeader => f.write_str("not a model: the header is not that of a safetensors file"),
            Self::Foreign => f.write_str("a safetensors file, but not an rwf-model (`rwf import` reads PyTorch's)"),
            Self::Checkpoint => f.write_str("a training checkpoint, not a model (`rwf export` makes one of it)"),
            Self::UnsupportedVersion(v) => write!(f, "format version {v} is newer than this runtime reads"),
            Self::MissingWord(w) => write!(f, "metadata `{w}` is missing"),
            Self::UnknownWord(w) => write!(f, "metadata `{w}` holds an unknown word"),
            Self::MathNotBuiltIn(m) => write!(f, "needs the maths of `{0}`: build with the feature `{0}`", m.name()),
            Self::NotInUses => f.write_str("holds what this program was built without: see its `USES`"),
            Self::LayerCount => f.write_str("has no layers, or more than the format allows"),
            Self::Missing(t) => write!(f, "tensor `{t}` is missing"),
            Self::Duplicate(t) => write!(f, "tensor `{t}` appears twice"),
            Self::UnknownTensor => f.write_str("has a tensor that its architecture does not have"),
            Self::Dtype(t) => write!(f, "tensor `{t}` has the wrong type, expected F32 or F16 throughout"),
            Self::Shape(t) => write!(f, "tensor `{t}` has the wrong shape"),
            Self::Offsets(t) => write!(f, "tensor `{t}` has offsets that do not match its shape"),
            Self::Overlap(t) => write!(f, "tensor `{t}` overlaps another"),
            Self::Gap => f.write_str("has bytes that belong to no tensor"),
            Self::TrailingBytes => f.write_str("has bytes after its last tensor"),
            Self::Integer => f.write_str("a model in integers: load it as an IntegerModel"),
            Self::NotInteger => f.write_str("a model in floats: load it as a Model"),
            Self::Overflow(t) => write!(f, "tensor `{t}`: sums could overflow 32 bits, or a scale is out of range"),
            Self::NotFinite(t) => write!(f, "tensor `{t}` has a weight that is infinite or not a number"),
        }
    }
}

impl core::error::Error for LoadError {}

/// Why a model was not evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EvalError {
    /// The inputs are not a whole number of points, or not one point.
    InputLength,
    /// The outputs are not as many as the points ask for.
    OutputLength,
    /// The scratch is shorter than [`Model::scratch_len`](crate::Model::scratch_len).
    ScratchLength,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputLength => "the inputs are not [n, inputs]",
            Self::OutputLength => "the outputs are not [n, outputs]",
            Self::ScratchLength => "the scratch is shorter than scratch_len()",
        })
    }
}

impl core::error::Error for EvalError {}

/// Why a self-test did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SelfTestError {
    /// The file has no self-test.
    Missing,
    /// The model has more outputs than the scratch leaves room for.
    ScratchLength,
    /// The bits differ.
    Mismatch {
        /// Sample of the self-test.
        sample: usize,
        /// Output of that sample.
        output: usize,
        /// Bits computed here.
        found: u32,
        /// Bits in the file.
        expected: u32,
    },
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file has no self-test"),
            Self::ScratchLength => f.write_str("the scratch is shorter than scratch_len()"),
            Self::Mismatch { sample, output, found, expected } => {
                write!(f, "sample {sample}, output {output}: found bits {found:08x}, expected {expected:08x}")
            }
        }
    }
}

impl core::error::Error for SelfTestError {}
