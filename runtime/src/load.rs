//! From a checked header to layers: each tensor taken once, of the shape the architecture asks for.

use heapless::Vec;

use crate::{
    dense::{Dense, Values},
    error::{LoadError, TensorName, Word},
    format::{Activation, Architecture, Layer, Layers, MAX_LAYERS, MAX_WIDTH, Mapping, Precision},
    header::{Dtype, Header, Words},
    uses,
};

/// Whether a program may read what it has no code for: not where that is not among `USES`.
fn needs<const USES: u32>(what: u32) -> Result<(), LoadError> {
    if uses::has(USES, what) { Ok(()) } else { Err(LoadError::NotInUses) }
}

/// Takes tensors out of a header, each once, each of the shape the architecture asks for; what is not among `USES` is
/// refused.
pub(crate) struct Reader<'h, 'a, const USES: u32> {
    header: &'h Header<'h, 'a>,
    pub(crate) precision: Option<Precision>,
    pub(crate) taken: usize,
    pub(crate) weight_bytes: usize,
}

impl<'h, 'a, const USES: u32> Reader<'h, 'a, USES> {
    pub(crate) fn new(header: &'h Header<'h, 'a>) -> Self {
        Self { header, precision: None, taken: 0, weight_bytes: 0 }
    }

    /// The tensor `name`, `[rows, columns]` or `[columns]`, which nobody has taken yet.
    #[inline(never)]
    pub(crate) fn tensor(
        &mut self,
        name: TensorName,
        rank: u8,
        shape: [usize; 2],
    ) -> Result<(&'a [u8], Dtype), LoadError> {
        let span = self.header.span(name)?;
        if span.rank != rank || span.shape != shape {
            return Err(LoadError::Shape(name));
        }
        self.taken += 1;
        Ok((span.bytes(self.header.data), span.dtype))
    }

    /// The weights of `name`, of one precision throughout, finite.
    pub(crate) fn weights(&mut self, name: TensorName, rank: u8, shape: [usize; 2]) -> Result<Values<'a>, LoadError> {
        let (bytes, dtype) = self.tensor(name, rank, shape)?;
        let precision = dtype.precision().ok_or(LoadError::Dtype(name))?;
        if *self.precision.get_or_insert(precision) != precision {
            return Err(LoadError::Dtype(name));
        }
        let values = Values::new(bytes, precision);
        needs::<USES>(uses::precision(precision))?;
        if matches!(values, Values::Single(_)) {
            needs::<USES>(uses::UNALIGNED)?;
        }
        if !values.all_finite() {
            return Err(LoadError::NotFinite(name));
        }
        self.weight_bytes += bytes.len();
        Ok(values)
    }

    pub(crate) fn dense(
        &mut self,
        (kernel, bias): (TensorName, TensorName),
        [inputs, outputs]: [usize; 2],
    ) -> Result<Dense<'a>, LoadError> {
        Ok(Dense { kernel: self.weights(kernel, 2, [inputs, outputs])?, bias: self.weights(bias, 1, [1, outputs])? })
    }

    /// The shape of a matrix, within the format's limits.
    fn matrix(&self, name: TensorName) -> Result<[usize; 2], LoadError> {
        let span = self.header.span(name)?;
        let fine = span.rank == 2 && span.shape.iter().all(|n| (1..=MAX_WIDTH).contains(n));
        if fine { Ok(span.shape) } else { Err(LoadError::Shape(name)) }
    }

    /// The architecture from words and shapes, with at most `MOST` inputs, and the mapping's tensors.
    pub(crate) fn architecture<const MOST: usize>(
        &mut self,
        words: &Words<'_>,
    ) -> Result<(Architecture, Option<Dense<'a>>), LoadError> {
        let mut layers = Layers::new();
        let activations = words.activations.ok_or(LoadError::MissingWord(Word::Activations))?;
        for (n, word) in activations.split(|b| *b == b',').enumerate() {
            let activation = Activation::from_bytes(word).ok_or(LoadError::UnknownWord(Word::Activations))?;
            if activation != Activation::Identity {
                needs::<USES>(uses::activation(activation))?;
            }
            if n >= MAX_LAYERS {
                return Err(LoadError::LayerCount);
            }
            let [inputs, outputs] = self.matrix(TensorName::LayerKernel(n as u8))?;
            layers.push(Layer { inputs, outputs, activation }).map_err(|_| LoadError::LayerCount)?;
        }
        let first = layers.first().ok_or(LoadError::LayerCount)?.inputs;
        let raw = match words.mapping.ok_or(LoadError::MissingWord(Word::Mapping))? {
            b"none" => None,
            b"fourier" => Some(false),
            b"fourier+raw" => Some(true),
            _ => return Err(LoadError::UnknownWord(Word::Mapping)),
        };
        let (inputs, mapping, dense) = match raw {
            None => (first, Mapping::None, None),
            Some(_) if !uses::has(USES, uses::MAPPING) => return Err(LoadError::NotInUses),
            Some(raw) => {
                let [inputs, frequencies] = self.matrix(TensorName::MappingKernel)?;
                let names = (TensorName::MappingKernel, TensorName::MappingBias);
                let dense = self.dense(names, [inputs, frequencies])?;
                (inputs, Mapping::Fourier { frequencies, raw }, Some(dense))
            }
        };
        let gate = match words.gate {
            None => None,
            Some(word) => {
                let gate = Activation::from_bytes(word).ok_or(LoadError::UnknownWord(Word::Gate))?;
                needs::<USES>(uses::GATE)?;
                if gate != Activation::Identity {
                    needs::<USES>(uses::activation(gate))?;
                }
                Some(gate)
            }
        };
        let output_affine = self.header.span(TensorName::OutputScale).is_ok();
        if output_affine {
            needs::<USES>(uses::OUTPUT_AFFINE)?;
        }
        let architecture = Architecture { inputs, mapping, gate, layers, output_affine };
        if inputs > MOST || architecture.features() != first {
            return Err(LoadError::Shape(TensorName::LayerKernel(0)));
        }
        Ok((architecture, dense))
    }

    pub(crate) fn layers(&mut self, architecture: &Architecture) -> Result<Vec<Dense<'a>, MAX_LAYERS>, LoadError> {
        let mut layers = Vec::new();
        let mut before = architecture.features();
        let last = architecture.layers.len().saturating_sub(1);
        for (n, layer) in architecture.layers.iter().enumerate() {
            let names = (TensorName::LayerKernel(n as u8), TensorName::LayerBias(n as u8));
            // Every hidden layer goes through the gate, so all have its width.
            let gated = architecture.gate.is_some() && n < last;
            if layer.inputs != before || (gated && layer.outputs != architecture.hidden()) {
                return Err(LoadError::Shape(names.0));
            }
            let dense = self.dense(names, [layer.inputs, layer.outputs])?;
            layers.push(dense).map_err(|_| LoadError::LayerCount)?;
            before = layer.outputs;
        }
        Ok(layers)
    }

    pub(crate) fn encoders(&mut self, architecture: &Architecture) -> Result<Option<[Dense<'a>; 2]>, LoadError> {
        if architecture.gate.is_none() || !uses::has(USES, uses::GATE) {
            return Ok(None);
        }
        if architecture.layers.len() < 2 {
            return Err(LoadError::LayerCount);
        }
        let shape = [architecture.features(), architecture.hidden()];
        let mut encoder = |n| self.dense((TensorName::EncoderKernel(n), TensorName::EncoderBias(n)), shape);
        Ok(Some([encoder(0)?, encoder(1)?]))
    }

    pub(crate) fn output(
        &mut self,
        architecture: &Architecture,
    ) -> Result<Option<(Values<'a>, Values<'a>)>, LoadError> {
        if !architecture.output_affine || !uses::has(USES, uses::OUTPUT_AFFINE) {
            return Ok(None);
        }
        let shape = [1, architecture.outputs()];
        let scale = self.weights(TensorName::OutputScale, 1, shape)?;
        Ok(Some((scale, self.weights(TensorName::OutputOffset, 1, shape)?)))
    }

    /// The self-test's samples: f32 whatever the weights are; the outputs may be anything, NaN included.
    pub(crate) fn self_test(
        &mut self,
        architecture: &Architecture,
    ) -> Result<Option<(Values<'a>, Values<'a>)>, LoadError> {
        let Ok(inputs) = self.header.span(TensorName::SelfTestInputs) else { return Ok(None) };
        let rows = inputs.shape[0];
        let mut samples = |name, width| match self.tensor(name, 2, [rows, width])? {
            (bytes, Dtype::F32) => Ok(Values::new(bytes, Precision::F32)),
            _ => Err(LoadError::Dtype(name)),
        };
        let inputs = samples(TensorName::SelfTestInputs, architecture.inputs)?;
        Ok(Some((inputs, samples(TensorName::SelfTestOutputs, architecture.outputs())?)))
    }
}
