//! From a checked header to integer layers; overflow of an accumulator is excluded here once more.

use heapless::Vec;

use super::{
    Dense, IntegerModel,
    kernel::{Bits, Narrow, Wide},
};
use crate::{
    dense::{Values, all_finite},
    error::{LoadError, TensorName, Word},
    format::{self, Activation, Architecture, Layer, Layers, MAX_INPUTS, MAX_LAYERS, MAX_WIDTH, Mapping, Precision},
    header::{Dtype, Header, Key, Spans},
    json::decimal,
};

impl<'a> IntegerModel<'a> {
    /// Reads a model file in place; `bytes` may start at any address.
    ///
    /// # Errors
    /// Everything that is not exactly as FORMAT.md says: see [`LoadError`]. Afterwards only a slice of the wrong
    /// length can fail.
    pub fn new(bytes: &'a [u8]) -> Result<Self, LoadError> {
        Self::load_or(bytes)
    }

    /// [`IntegerModel::new`] with an error of the caller's: one that does not keep the reason costs no code for reasons.
    ///
    /// # Errors
    /// What `E` makes of the [`LoadError`].
    pub fn load_or<E: From<LoadError>>(bytes: &'a [u8]) -> Result<Self, E> {
        let mut spans = Spans::new();
        let header = Header::<E>::read(bytes, &mut spans)?;
        match header.version()? {
            format::INTEGER_VERSION => {}
            version if version < format::INTEGER_VERSION && version > 0 => return Err(LoadError::NotInteger.into()),
            version => return Err(LoadError::UnsupportedVersion(version).into()),
        }
        header.check_spans()?;
        let architecture = Architecture {
            inputs: 0,
            mapping: Mapping::None,
            gate: None,
            layers: Layers::new(),
            output_mask: false,
            output_affine: true,
        };
        let none = Values::Aligned(&[]);
        let mut model = Self {
            architecture,
            header: header.text,
            weight_bytes: 0,
            mapping: None,
            layers: Vec::new(),
            fractions: Vec::new(),
            encoders: None,
            gate_fraction: 0,
            input: (none, none),
            output: (none, none),
            self_test: None,
        };
        Reader { header: &header, taken: 0, bytes: 0 }.read(&mut model)?;
        Ok(model)
    }
}

/// The next of words joined by commas; `None` behind the last.
#[inline(never)]
fn next<'w>(words: &mut Option<&'w [u8]>) -> Option<&'w [u8]> {
    let all = words.take()?;
    let end = all.iter().position(|b| *b == b',').unwrap_or(all.len());
    let (word, rest) = all.split_at_checked(end)?;
    *words = rest.split_first().map(|(_, rest)| rest);
    Some(word)
}

/// The next of numbers of fraction bits, maybe with a minus.
#[inline(never)]
fn fraction(words: &mut Option<&[u8]>) -> Option<i32> {
    let word = next(words)?;
    let (sign, digits) = word.strip_prefix(b"-").map_or((1, word), |digits| (-1, digits));
    Some(sign * decimal(digits).filter(|n| *n <= 32)? as i32)
}

/// Kernel at full width, bias, packed weights, multipliers and shifts of a layer or an encoder.
const fn names(encoder: bool, n: u8) -> [TensorName; 5] {
    if encoder {
        [
            TensorName::EncoderKernel(n),
            TensorName::EncoderBias(n),
            TensorName::EncoderWeight(n),
            TensorName::EncoderMultiplier(n),
            TensorName::EncoderShift(n),
        ]
    } else {
        [
            TensorName::LayerKernel(n),
            TensorName::LayerBias(n),
            TensorName::LayerWeight(n),
            TensorName::LayerMultiplier(n),
            TensorName::LayerShift(n),
        ]
    }
}

/// A layer that is not read yet.
const NONE: Dense<'_> = Dense::Wide(Wide { kernel: &[], bias: &[] });

/// Takes tensors out of a header, each once, each of the shape the architecture asks for.
struct Reader<'h, 'a, E> {
    header: &'h Header<'h, 'a, E>,
    taken: usize,
    bytes: usize,
}

impl<'a, E: From<LoadError>> Reader<'_, 'a, E> {
    #[inline(never)]
    fn take(&mut self, name: TensorName, dtype: Dtype, rank: u8, shape: [usize; 2]) -> Result<&'a [u8], E> {
        let span = self.header.span(name)?;
        if span.dtype != dtype {
            return Err(LoadError::Dtype(name).into());
        }
        if span.rank != rank || span.shape != shape || shape.contains(&0) {
            return Err(LoadError::Shape(name).into());
        }
        let bytes = span.bytes(self.header.data);
        self.taken += 1;
        self.bytes += bytes.len();
        Ok(bytes)
    }

    /// A vector of i32.
    fn words(&mut self, name: TensorName, count: usize) -> Result<&'a [[u8; 4]], E> {
        Ok(self.take(name, Dtype::I32, 1, [1, count])?.as_chunks().0)
    }

    #[inline(never)]
    fn floats(&mut self, name: TensorName, count: usize) -> Result<Values<'a>, E> {
        let bytes = self.take(name, Dtype::F32, 1, [1, count])?;
        let values = Values::new(bytes, Precision::F32);
        if all_finite(bytes, Precision::F32) { Ok(values) } else { Err(LoadError::NotFinite(name).into()) }
    }

    /// A layer on coordinates.
    #[inline(never)]
    fn wide(&mut self, kernel: TensorName, bias: TensorName) -> Result<Wide<'a>, E> {
        let span = self.header.span(kernel)?;
        let (shape, [inputs, outputs]) = (span.shape, span.shape);
        if span.rank != 2 || !(1..=MAX_INPUTS).contains(&inputs) || !(1..=MAX_WIDTH).contains(&outputs) {
            return Err(LoadError::Shape(kernel).into());
        }
        let kernel = self.take(kernel, Dtype::I32, 2, shape)?.as_chunks().0;
        Ok(Wide { kernel, bias: self.words(bias, outputs)? })
    }

    /// A dense layer or encoder that ends in `activation`: at full width on coordinates, else on `inputs` values.
    #[inline(never)]
    fn dense(
        &mut self,
        (encoder, n): (bool, u8),
        bits: &[u8],
        inputs: Option<usize>,
        activation: Activation,
        dense: &mut Dense<'a>,
    ) -> Result<(), E> {
        let [kernel, bias, weight, multiplier, shift] = names(encoder, n);
        let Some(inputs) = inputs else {
            let wide = self.wide(kernel, bias)?;
            if bits != b"32" {
                return Err(LoadError::UnknownWord(Word::Bits).into());
            }
            if activation != Activation::Sine && !wide.is_bounded() {
                return Err(LoadError::Overflow(kernel).into());
            }
            *dense = Dense::Wide(wide);
            return Ok(());
        };
        let bits = Bits::from_bytes(bits).ok_or(LoadError::UnknownWord(Word::Bits))?;
        let [outputs, _] = self.header.span(weight)?.shape;
        if inputs > MAX_WIDTH || outputs > MAX_WIDTH {
            return Err(LoadError::Shape(weight).into());
        }
        let row = bits.row(inputs);
        let (dtype, width) = match bits {
            Bits::Four | Bits::Six => (Dtype::U8, row),
            Bits::Eight => (Dtype::I8, inputs),
            Bits::Sixteen => (Dtype::I16, inputs),
        };
        let narrow = Narrow {
            bits,
            inputs,
            row,
            weight: self.take(weight, dtype, 2, [outputs, width])?,
            bias: self.words(bias, outputs)?,
            multiplier: self.words(multiplier, outputs)?,
            shift: self.take(shift, Dtype::I8, 1, [1, outputs])?,
        };
        if !narrow.is_bounded() {
            return Err(LoadError::Overflow(weight).into());
        }
        *dense = Dense::Narrow(narrow);
        Ok(())
    }

    /// Fills `model`, which is empty, from words and shapes.
    fn read(&mut self, model: &mut IntegerModel<'a>) -> Result<(), E> {
        let IntegerModel { architecture, mapping, layers, fractions, encoders, gate_fraction, .. } = model;
        let words = &self.header.words;
        let raw = words.raw()?;
        if let Some(word) = words.get(Key::Gate) {
            architecture.gate = Some(Activation::from_bytes(word).ok_or(LoadError::UnknownWord(Word::Gate))?);
        }
        if let Some(raw) = raw {
            let wide = self.wide(TensorName::MappingKernel, TensorName::MappingBias)?;
            let [inputs, frequencies] = wide.shape();
            (architecture.inputs, *mapping) = (inputs, Some(wide));
            architecture.mapping = Mapping::Fourier { frequencies, raw };
        }
        let list = |key, word| words.get(key).ok_or(LoadError::MissingWord(word)).map(Some);
        let mut activations = list(Key::Activations, Word::Activations)?;
        let mut bits = list(Key::Bits, Word::Bits)?;
        let mut parts = list(Key::Fractions, Word::Fractions)?;
        let (mut before, mut hidden) = (architecture.features(), 0);
        while let Some(word) = next(&mut activations) {
            let activation = Activation::from_bytes(word).ok_or(LoadError::UnknownWord(Word::Activations))?;
            let n = layers.len();
            if n >= MAX_LAYERS {
                return Err(LoadError::LayerCount.into());
            }
            let bits = next(&mut bits).ok_or(LoadError::UnknownWord(Word::Bits))?;
            let fraction = fraction(&mut parts).ok_or(LoadError::UnknownWord(Word::Fractions))?;
            let on = (n > 0 || raw.is_some()).then_some(before);
            let mut dense = NONE;
            self.dense((false, n as u8), bits, on, activation, &mut dense)?;
            let [inputs, outputs] = dense.shape();
            if on.is_none() {
                architecture.inputs = inputs;
            }
            if n == 0 {
                hidden = outputs;
            } else if architecture.gate.is_some() && before != hidden {
                // Every hidden layer goes through the gate, so all have its width.
                return Err(LoadError::Shape(TensorName::LayerWeight(n as u8 - 1)).into());
            }
            before = outputs;
            let layer = Layer { inputs, outputs, activation };
            architecture.layers.push(layer).map_err(|_| LoadError::LayerCount)?;
            layers.push(dense).map_err(|_| LoadError::LayerCount)?;
            fractions.push(fraction).map_err(|_| LoadError::LayerCount)?;
        }
        if let Some(gate) = architecture.gate {
            if layers.len() < 2 {
                return Err(LoadError::LayerCount.into());
            }
            let word = next(&mut bits).ok_or(LoadError::UnknownWord(Word::Bits))?;
            *gate_fraction = fraction(&mut parts).ok_or(LoadError::UnknownWord(Word::Fractions))?;
            let features = architecture.features();
            let both = encoders.insert([NONE; 2]);
            for (n, encoder) in both.iter_mut().enumerate() {
                self.dense((true, n as u8), word, raw.map(|_| features), gate, encoder)?;
                if encoder.shape() != [features, hidden] {
                    let [kernel, _, weight, ..] = names(true, n as u8);
                    return Err(LoadError::Shape(if raw.is_some() { weight } else { kernel }).into());
                }
            }
        }
        if bits.is_some() {
            return Err(LoadError::UnknownWord(Word::Bits).into());
        }
        if parts.is_some() {
            return Err(LoadError::UnknownWord(Word::Fractions).into());
        }
        let inputs = architecture.inputs;
        let mut pair =
            |scale, offset, count| -> Result<_, E> { Ok((self.floats(scale, count)?, self.floats(offset, count)?)) };
        model.input = pair(TensorName::InputScale, TensorName::InputOffset, inputs)?;
        model.output = pair(TensorName::OutputScale, TensorName::OutputOffset, before)?;
        model.weight_bytes = self.bytes;
        if let Ok(span) = self.header.span(TensorName::SelfTestInputs) {
            let [rows, _] = span.shape;
            let mut samples =
                |name, width| -> Result<_, E> { Ok(self.take(name, Dtype::I16, 2, [rows, width])?.as_chunks().0) };
            let x = samples(TensorName::SelfTestInputs, inputs)?;
            model.self_test = Some((x, samples(TensorName::SelfTestOutputs, before)?));
        }
        if self.taken == self.header.spans.len() { Ok(()) } else { Err(LoadError::UnknownTensor.into()) }
    }
}
