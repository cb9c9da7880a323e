//! From a checked header to layers: each tensor taken once, of the shape the architecture asks for.

use crate::{
    Model,
    dense::{Dense, Values, all_finite},
    error::{LoadError, TensorName, Word},
    format::{Activation, Layer, MAX_LAYERS, MAX_WIDTH, Mapping, Precision},
    header::{Dtype, Header, Key, Words},
    uses,
};

/// Whether a program may read what it has no code for: not where that is not among `USES`.
fn needs<const USES: u32, E: From<LoadError>>(what: u32) -> Result<(), E> {
    if uses::has(USES, what) { Ok(()) } else { Err(LoadError::NotInUses.into()) }
}

/// Takes tensors out of a header, each once, each of the shape the architecture asks for; what is not among `USES` is
/// refused. `WIDEN`: weights that are not aligned f32 are made so in `memory` as far as that goes.
pub(crate) struct Reader<'h, 'a, E, const USES: u32, const WIDEN: bool> {
    pub(crate) header: &'h Header<'h, 'a, E>,
    pub(crate) memory: &'a mut [f32],
    pub(crate) precision: Option<Precision>,
    pub(crate) taken: usize,
    pub(crate) weight_bytes: usize,
}

impl<'a, E: From<LoadError>, const USES: u32, const WIDEN: bool> Reader<'_, 'a, E, USES, WIDEN> {
    /// The weights of `name`, `[rows, columns]` or `[columns]`, within the format's limits, of one precision throughout,
    /// finite.
    #[inline(never)]
    pub(crate) fn weights(&mut self, name: TensorName, rank: u8) -> Result<(Values<'a>, [usize; 2]), E> {
        let span = self.header.span(name)?;
        if span.rank != rank || span.shape.iter().any(|n| !(1..=MAX_WIDTH).contains(n)) {
            return Err(LoadError::Shape(name).into());
        }
        let precision = span.dtype.precision().ok_or(LoadError::Dtype(name))?;
        if *self.precision.get_or_insert(precision) != precision {
            return Err(LoadError::Dtype(name).into());
        }
        let bytes = span.bytes(self.header.data);
        if !all_finite(bytes, precision) {
            return Err(LoadError::NotFinite(name).into());
        }
        let mut values = Values::new(bytes, precision);
        if WIDEN {
            values.widen(&mut self.memory);
        }
        match values {
            Values::Aligned(_) => needs::<USES, E>(uses::precision(Precision::F32))?,
            Values::Single(_) => needs::<USES, E>(uses::UNALIGNED)?,
            Values::Half(_) => needs::<USES, E>(uses::precision(Precision::F16))?,
        }
        self.taken += 1;
        self.weight_bytes += bytes.len();
        Ok((values, span.shape))
    }

    /// Kernel and bias, and the kernel's shape.
    #[inline(never)]
    fn dense(&mut self, kernel: TensorName, bias: TensorName) -> Result<(Dense<'a>, [usize; 2]), E> {
        let (kernel, shape) = self.weights(kernel, 2)?;
        let (values, [_, outputs]) = self.weights(bias, 1)?;
        if outputs != shape[1] {
            return Err(LoadError::Shape(bias).into());
        }
        Ok((Dense { kernel, bias: values }, shape))
    }

    /// The activation of that name, if it is among `USES`.
    #[inline(never)]
    fn activation(&self, name: &[u8], word: Word) -> Result<Activation, E> {
        let activation = Activation::from_bytes(name).ok_or(LoadError::UnknownWord(word))?;
        if activation != Activation::Identity {
            needs::<USES, E>(uses::activation(activation))?;
        }
        Ok(activation)
    }

    /// Fills `model`, which is empty, from words and shapes, with at most `MOST` inputs.
    pub(crate) fn read<const MOST: usize>(&mut self, words: &Words<'_>, model: &mut Model<'a, USES>) -> Result<(), E> {
        let Model { architecture, mapping, encoders, layers, mask, output, self_test, .. } = model;
        let raw = words.raw()?;
        if let Some(raw) = raw {
            needs::<USES, E>(uses::MAPPING)?;
            let (dense, [inputs, frequencies]) = self.dense(TensorName::MappingKernel, TensorName::MappingBias)?;
            (architecture.inputs, *mapping) = (inputs, Some(dense));
            architecture.mapping = Mapping::Fourier { frequencies, raw };
        }
        if let Some(word) = words.get(Key::Gate) {
            architecture.gate = Some(self.activation(word, Word::Gate)?);
            needs::<USES, E>(uses::GATE)?;
        }
        let activations = words.get(Key::Activations).ok_or(LoadError::MissingWord(Word::Activations))?;
        let (mut before, mut hidden) = (architecture.features(), 0);
        for (n, word) in activations.split(|b| *b == b',').enumerate() {
            if n >= MAX_LAYERS {
                return Err(LoadError::LayerCount.into());
            }
            let activation = self.activation(word, Word::Activations)?;
            let name = TensorName::LayerKernel(n as u8);
            let (dense, [inputs, outputs]) = self.dense(name, TensorName::LayerBias(n as u8))?;
            if n == 0 {
                hidden = outputs;
                if raw.is_none() {
                    (architecture.inputs, before) = (inputs, inputs);
                }
            } else if architecture.gate.is_some() && before != hidden {
                // Every hidden layer goes through the gate, so all have its width.
                return Err(LoadError::Shape(TensorName::LayerKernel(n as u8 - 1)).into());
            }
            if inputs != before || architecture.inputs > MOST {
                return Err(LoadError::Shape(name).into());
            }
            before = outputs;
            let layer = Layer { inputs, outputs, activation };
            architecture.layers.push(layer).map_err(|_| LoadError::LayerCount)?;
            layers.push(dense).map_err(|_| LoadError::LayerCount)?;
        }
        if architecture.gate.is_some() && uses::has(USES, uses::GATE) {
            if architecture.layers.len() < 2 {
                return Err(LoadError::LayerCount.into());
            }
            let mut encoder = |n| -> Result<Dense<'a>, E> {
                let (dense, shape) = self.dense(TensorName::EncoderKernel(n), TensorName::EncoderBias(n))?;
                if shape != [architecture.features(), hidden] {
                    return Err(LoadError::Shape(TensorName::EncoderKernel(n)).into());
                }
                Ok(dense)
            };
            *encoders = Some([encoder(0)?, encoder(1)?]);
        }
        // f32 whatever the weights are: walls are where they are said to be.
        if self.header.span(TensorName::OutputMask).is_ok() {
            needs::<USES, E>(uses::OUTPUT_MASK)?;
            architecture.output_mask = true;
            let of_weights = self.precision.replace(Precision::F32);
            let (values, shape) = self.weights(TensorName::OutputMask, 2)?;
            if shape != [before, 4 * architecture.inputs] {
                return Err(LoadError::Shape(TensorName::OutputMask).into());
            }
            (self.precision, *mask) = (of_weights, Some(values));
        }
        if self.header.span(TensorName::OutputScale).is_ok() {
            needs::<USES, E>(uses::OUTPUT_AFFINE)?;
            architecture.output_affine = true;
            let mut vector = |name| -> Result<Values<'a>, E> {
                let (values, [_, outputs]) = self.weights(name, 1)?;
                if outputs == before { Ok(values) } else { Err(LoadError::Shape(name).into()) }
            };
            *output = Some((vector(TensorName::OutputScale)?, vector(TensorName::OutputOffset)?));
        }
        // f32 whatever the weights are; the outputs may be anything, NaN included.
        if let Ok(inputs) = self.header.span(TensorName::SelfTestInputs) {
            let rows = inputs.shape[0];
            let mut samples = |name, width| self.samples(name, [rows, width]);
            let inputs = samples(TensorName::SelfTestInputs, architecture.inputs)?;
            *self_test = Some((inputs, samples(TensorName::SelfTestOutputs, before)?));
        }
        if self.taken != self.header.spans.len() { Err(LoadError::UnknownTensor.into()) } else { Ok(()) }
    }

    /// Samples of a self-test.
    pub(crate) fn samples(&mut self, name: TensorName, shape: [usize; 2]) -> Result<Values<'a>, E> {
        let span = self.header.span(name)?;
        if span.rank != 2 || span.shape != shape {
            return Err(LoadError::Shape(name).into());
        }
        if span.dtype != Dtype::F32 {
            return Err(LoadError::Dtype(name).into());
        }
        self.taken += 1;
        Ok(Values::new(span.bytes(self.header.data), Precision::F32))
    }
}
