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
        Reader { header: &header, taken: 0, bytes: 0 }.model()
    }
}

/// A whole number, maybe with a minus.
fn signed(word: &[u8]) -> Option<i32> {
    match word.strip_prefix(b"-") {
        Some(digits) => decimal(digits).and_then(|n| 0i32.checked_sub_unsigned(n)),
        None => decimal(word).and_then(|n| i32::try_from(n).ok()),
    }
}

struct Reader<'h, 'a, E> {
    header: &'h Header<'h, 'a, E>,
    taken: usize,
    bytes: usize,
}

impl<'a, E: From<LoadError>> Reader<'_, 'a, E> {
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

    fn floats(&mut self, name: TensorName, count: usize) -> Result<Values<'a>, E> {
        let bytes = self.take(name, Dtype::F32, 1, [1, count])?;
        let values = Values::new(bytes, Precision::F32);
        if all_finite(bytes, Precision::F32) { Ok(values) } else { Err(LoadError::NotFinite(name).into()) }
    }

    fn wide(&mut self, kernel: TensorName, bias: TensorName) -> Result<(Wide<'a>, [usize; 2]), E> {
        let span = self.header.span(kernel)?;
        let [inputs, outputs] = span.shape;
        if span.rank != 2 || !(1..=MAX_INPUTS).contains(&inputs) || !(1..=MAX_WIDTH).contains(&outputs) {
            return Err(LoadError::Shape(kernel).into());
        }
        let wide = Wide {
            kernel: self.take(kernel, Dtype::I32, 2, [inputs, outputs])?.as_chunks().0,
            bias: self.take(bias, Dtype::I32, 1, [1, outputs])?.as_chunks().0,
        };
        Ok((wide, [inputs, outputs]))
    }

    fn narrow(
        &mut self,
        [name, bias, multiplier, shift]: [TensorName; 4],
        bits: Bits,
        inputs: usize,
    ) -> Result<(Narrow<'a>, usize), E> {
        let outputs = self.header.span(name)?.shape[0];
        if inputs > MAX_WIDTH || outputs > MAX_WIDTH {
            return Err(LoadError::Shape(name).into());
        }
        let (dtype, width) = match bits {
            Bits::Four | Bits::Six => (Dtype::U8, bits.row(inputs)),
            Bits::Eight => (Dtype::I8, inputs),
            Bits::Sixteen => (Dtype::I16, inputs),
        };
        let narrow = Narrow {
            bits,
            inputs,
            weight: self.take(name, dtype, 2, [outputs, width])?,
            bias: self.take(bias, Dtype::I32, 1, [1, outputs])?.as_chunks().0,
            multiplier: self.take(multiplier, Dtype::I32, 1, [1, outputs])?.as_chunks().0,
            shift: self.take(shift, Dtype::I8, 1, [1, outputs])?,
        };
        let fine = narrow.multiplier.iter().all(|m| (0..1 << 16).contains(&i32::from_le_bytes(*m)))
            && narrow.shift.iter().all(|s| (-31..=31).contains(&(*s as i8)));
        if !fine || !narrow.is_bounded() {
            return Err(LoadError::Overflow(name).into());
        }
        Ok((narrow, outputs))
    }

    /// Encoder `n` of a gated network, at full width where there is no mapping.
    fn encoder(
        &mut self,
        n: u8,
        bits: &[u8],
        mapped: bool,
        shape: [usize; 2],
        gate: Activation,
    ) -> Result<Dense<'a>, E> {
        if !mapped {
            let name = TensorName::EncoderKernel(n);
            let (wide, found) = self.wide(name, TensorName::EncoderBias(n))?;
            if bits != b"32" {
                return Err(LoadError::UnknownWord(Word::Bits).into());
            }
            if found != shape {
                return Err(LoadError::Shape(name).into());
            }
            if gate != Activation::Sine && !wide.is_bounded() {
                return Err(LoadError::Overflow(name).into());
            }
            return Ok(Dense::Wide(wide));
        }
        let bits = Bits::from_bytes(bits).ok_or(LoadError::UnknownWord(Word::Bits))?;
        let names = [
            TensorName::EncoderWeight(n),
            TensorName::EncoderBias(n),
            TensorName::EncoderMultiplier(n),
            TensorName::EncoderShift(n),
        ];
        let [features, hidden] = shape;
        let (narrow, outputs) = self.narrow(names, bits, features)?;
        if outputs != hidden {
            return Err(LoadError::Shape(names[0]).into());
        }
        Ok(Dense::Narrow(narrow))
    }

    fn model(mut self) -> Result<IntegerModel<'a>, E> {
        let words = self.header.words;
        let raw = words.raw()?;
        let gate = match words.get(Key::Gate) {
            None => None,
            Some(word) => Some(Activation::from_bytes(word).ok_or(LoadError::UnknownWord(Word::Gate))?),
        };
        let (mut inputs, mut mapping, mut described) = (0, None, Mapping::None);
        if let Some(raw) = raw {
            let (wide, [coordinates, frequencies]) = self.wide(TensorName::MappingKernel, TensorName::MappingBias)?;
            (inputs, mapping) = (coordinates, Some(wide));
            described = Mapping::Fourier { frequencies, raw };
        }
        let (mut layers, mut shapes, mut fractions) = (Vec::new(), Layers::new(), Vec::new());
        let activations = words.get(Key::Activations).ok_or(LoadError::MissingWord(Word::Activations))?;
        let mut bits = words.get(Key::Bits).ok_or(LoadError::MissingWord(Word::Bits))?.split(|b| *b == b',');
        let mut parts = words.get(Key::Fractions).ok_or(LoadError::MissingWord(Word::Fractions))?.split(|b| *b == b',');
        let mut before = described.features(inputs);
        for (n, word) in activations.split(|b| *b == b',').enumerate() {
            let activation = Activation::from_bytes(word).ok_or(LoadError::UnknownWord(Word::Activations))?;
            let number = u8::try_from(n).ok().filter(|_| n < MAX_LAYERS).ok_or(LoadError::LayerCount)?;
            let bits = bits.next().ok_or(LoadError::UnknownWord(Word::Bits))?;
            let fraction = parts.next().and_then(signed);
            let fraction =
                fraction.filter(|f| (-32..=32).contains(f)).ok_or(LoadError::UnknownWord(Word::Fractions))?;
            let (dense, outputs) = if n == 0 && raw.is_none() {
                let name = TensorName::LayerKernel(0);
                let (wide, [coordinates, outputs]) = self.wide(name, TensorName::LayerBias(0))?;
                if bits != b"32" {
                    return Err(LoadError::UnknownWord(Word::Bits).into());
                }
                if activation != Activation::Sine && !wide.is_bounded() {
                    return Err(LoadError::Overflow(name).into());
                }
                (inputs, before) = (coordinates, coordinates);
                (Dense::Wide(wide), outputs)
            } else {
                let bits = Bits::from_bytes(bits).ok_or(LoadError::UnknownWord(Word::Bits))?;
                let names = [
                    TensorName::LayerWeight(number),
                    TensorName::LayerBias(number),
                    TensorName::LayerMultiplier(number),
                    TensorName::LayerShift(number),
                ];
                let (narrow, outputs) = self.narrow(names, bits, before)?;
                (Dense::Narrow(narrow), outputs)
            };
            layers.push(dense).map_err(|_| LoadError::LayerCount)?;
            fractions.push(fraction).map_err(|_| LoadError::LayerCount)?;
            shapes.push(Layer { inputs: before, outputs, activation }).map_err(|_| LoadError::LayerCount)?;
            before = outputs;
        }
        let (mut encoders, mut gate_fraction) = (None, 0);
        if let Some(gate) = gate {
            let hidden = shapes.first().map_or(0, |s| s.outputs);
            for (n, shape) in shapes.iter().enumerate().take(shapes.len().saturating_sub(1)) {
                if shape.outputs != hidden {
                    return Err(LoadError::Shape(TensorName::LayerWeight(n as u8)).into());
                }
            }
            if shapes.len() < 2 {
                return Err(LoadError::LayerCount.into());
            }
            let word = bits.next().ok_or(LoadError::UnknownWord(Word::Bits))?;
            let fraction = parts.next().and_then(signed);
            gate_fraction =
                fraction.filter(|f| (-32..=32).contains(f)).ok_or(LoadError::UnknownWord(Word::Fractions))?;
            let features = described.features(inputs);
            let mut encoder = |n: u8| self.encoder(n, word, raw.is_some(), [features, hidden], gate);
            encoders = Some([encoder(0)?, encoder(1)?]);
        }
        if bits.next().is_some() {
            return Err(LoadError::UnknownWord(Word::Bits).into());
        }
        if parts.next().is_some() {
            return Err(LoadError::UnknownWord(Word::Fractions).into());
        }
        let input = (self.floats(TensorName::InputScale, inputs)?, self.floats(TensorName::InputOffset, inputs)?);
        let output = (self.floats(TensorName::OutputScale, before)?, self.floats(TensorName::OutputOffset, before)?);
        let weight_bytes = self.bytes;
        let self_test = match self.header.span(TensorName::SelfTestInputs) {
            Err(_) => None,
            Ok(span) => {
                let rows = span.shape[0];
                let x = self.take(TensorName::SelfTestInputs, Dtype::I16, 2, [rows, inputs])?;
                let y = self.take(TensorName::SelfTestOutputs, Dtype::I16, 2, [rows, before])?;
                Some((x.as_chunks().0, y.as_chunks().0))
            }
        };
        if self.taken != self.header.spans.len() {
            return Err(LoadError::UnknownTensor.into());
        }
        let architecture =
            Architecture { inputs, mapping: described, gate, layers: shapes, output_mask: false, output_affine: true };
        Ok(IntegerModel {
            architecture,
            header: self.header.text,
            weight_bytes,
            mapping,
            layers,
            fractions,
            encoders,
            gate_fraction,
            input,
            output,
            self_test,
        })
    }
}
