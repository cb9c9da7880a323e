//! The safetensors header, read in place and checked: JSON in, words and tensor spans out.

use core::marker::PhantomData;

use heapless::Vec;

use crate::{
    error::{LoadError, TensorName, Word},
    format::{MAX_LAYERS, Precision, tensor},
    json::{Bad, Json, decimal},
};

/// Longest header of a model; the format has at most 46 tensors of about 80 bytes each and a few lines of words.
pub(crate) const MAX_HEADER: usize = 64 * 1024;
/// Mapping, encoders, input, output, self-test: two tensors each; an integer layer has four.
const MAX_TENSORS: usize = 4 * MAX_LAYERS + 16;

/// Type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    F32,
    F16,
    I32,
    I16,
    I8,
    U8,
}

impl Dtype {
    fn from_name(name: &[u8]) -> Option<Self> {
        const ALL: [Dtype; 6] = [Dtype::F32, Dtype::F16, Dtype::I32, Dtype::I16, Dtype::I8, Dtype::U8];
        ALL.get(position("F32 F16 I32 I16 I8 U8", name)).copied()
    }

    const fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// As a precision of weights that are floats.
    pub(crate) const fn precision(self) -> Option<Precision> {
        match self {
            Self::F32 => Some(Precision::F32),
            Self::F16 => Some(Precision::F16),
            _ => None,
        }
    }
}

/// Where a tensor lies in the data behind the header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) name: TensorName,
    pub(crate) dtype: Dtype,
    /// One or two sizes; a vector of n is `[1, n]` with `rank` 1.
    pub(crate) shape: [usize; 2],
    pub(crate) rank: u8,
    start: usize,
    end: usize,
}

impl Span {
    /// The tensor's bytes in `data`; empty when they lie outside, which [`Header::read`] has excluded.
    pub(crate) fn bytes<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data.get(self.start..self.end).unwrap_or(&[])
    }
}

/// The words that say what to compute, in the order of [`KEYS`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Words<'a>([Option<&'a [u8]>; 8]);

/// Place of a word.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    Format,
    Version,
    Mapping,
    Activations,
    Gate,
    Math,
    Bits,
    Fractions,
}

/// Tensors of a file in the order of its header.
pub(crate) type Spans = Vec<Span, MAX_TENSORS>;

/// A checked header; its spans are kept apart, as a kilobyte and a half should not be moved on a small stack.
#[derive(Debug)]
pub(crate) struct Header<'s, 'a, E> {
    /// The JSON itself.
    pub(crate) text: &'a [u8],
    /// The bytes behind it.
    pub(crate) data: &'a [u8],
    pub(crate) words: Words<'a>,
    pub(crate) spans: &'s mut Spans,
    problem: PhantomData<E>,
}

impl<'s, 'a, E: From<LoadError>> Header<'s, 'a, E> {
    /// Of these parts of a file, nothing read yet.
    #[inline(always)]
    pub(crate) fn over(text: &'a [u8], data: &'a [u8], spans: &'s mut Spans) -> Self {
        Self { text, data, words: Words::default(), spans, problem: PhantomData }
    }

    /// Reads the header of `file`; spans cover the data without gap or overlap only after
    /// [`Header::check_spans`], so that a foreign file is called that first.
    #[inline(never)]
    pub(crate) fn read(file: &'a [u8], spans: &'s mut Spans) -> Result<Self, E> {
        let (length, rest) = file.split_first_chunk::<8>().ok_or(LoadError::Truncated)?;
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER as u64 {
            return Err(LoadError::HeaderTooLong.into());
        }
        let (text, data) = rest.split_at_checked(length as usize).ok_or(LoadError::Truncated)?;
        let mut header = Self::over(text, data, spans);
        let mut problem = None;
        match header.parse(&mut problem) {
            Ok(()) if problem.is_none() => Ok(header),
            // A file that names another format is foreign whatever its tensors are called.
            _ => Err(match (problem, header.words.get(Key::Format)) {
                (Some(problem), Some(format)) if format == crate::format::FORMAT.as_bytes() => problem,
                (Some(_), Some(format)) if format == crate::format::CHECKPOINT_FORMAT.as_bytes() => {
                    LoadError::Checkpoint.into()
                }
                (Some(_), _) => LoadError::Foreign.into(),
                (None, _) => LoadError::BadHeader.into(),
            }),
        }
    }

    /// Words and spans; the first tensor that is wrong goes to `problem` and the rest is still read: the metadata may
    /// come later and say more.
    fn parse(&mut self, problem: &mut Option<E>) -> Result<(), Bad> {
        let mut json = Json::new(self.text);
        let mut metadata = false;
        json.object(&mut |json, name| {
            if name == METADATA {
                if metadata {
                    return Err(Bad);
                }
                metadata = true;
                return json.object(&mut |json, name| self.words.read(json, name));
            }
            let info = Info::read(json)?;
            if let Err(wrong) = self.add(name, &info) {
                problem.get_or_insert(wrong);
            }
            Ok(())
        })?;
        json.end()
    }

    /// The version of a file of this format.
    #[inline(never)]
    pub(crate) fn version(&self) -> Result<u32, E> {
        match self.words.get(Key::Format) {
            Some(format) if format == crate::format::FORMAT.as_bytes() => {}
            Some(format) if format == crate::format::CHECKPOINT_FORMAT.as_bytes() => {
                return Err(LoadError::Checkpoint.into());
            }
            _ => return Err(LoadError::Foreign.into()),
        }
        let version = self.words.get(Key::Version).ok_or(LoadError::MissingWord(Word::Version))?;
        Ok(decimal(version).ok_or(LoadError::UnknownWord(Word::Version))?)
    }

    /// Every byte of the data belongs to exactly one tensor.
    #[inline(never)]
    pub(crate) fn check_spans(&self) -> Result<(), E> {
        // Without overlap, bytes are missing in between where all spans together are shorter than they reach.
        let (mut total, mut reach) = (0, 0);
        let mut left = self.spans.as_slice();
        while let Some((a, rest)) = left.split_first() {
            for b in rest {
                if a.start < b.end && b.start < a.end {
                    return Err(LoadError::Overlap(b.name).into());
                }
            }
            if a.start >= a.end {
                return Err(LoadError::Gap.into());
            }
            total += a.end - a.start;
            reach = a.end.max(reach);
            left = rest;
        }
        match () {
            () if total != reach => Err(LoadError::Gap.into()),
            () if reach < self.data.len() => Err(LoadError::TrailingBytes.into()),
            () if reach > self.data.len() => Err(LoadError::Truncated.into()),
            () => Ok(()),
        }
    }

    #[inline(never)]
    pub(crate) fn span(&self, name: TensorName) -> Result<&Span, E> {
        Ok(self.spans.iter().find(|s| s.name == name).ok_or(LoadError::Missing(name))?)
    }
}

/// The word under `wanted` in the metadata of a header that has been read before.
pub(crate) fn find_word<'a>(text: &'a [u8], wanted: &str) -> Option<&'a str> {
    let mut found = None;
    Json::new(text)
        .object(&mut |json, name| {
            if name != METADATA {
                return Info::read(json).map(|_| ());
            }
            json.object(&mut |json, name| {
                let asked = name == wanted.as_bytes();
                let word = json.string(!asked)?;
                found = if asked { Some(word) } else { found };
                Ok(())
            })
        })
        .ok()?;
    core::str::from_utf8(found?).ok()
}

/// The one name in a header that is no tensor's.
pub(crate) const METADATA: &[u8] = b"__metadata__";

impl<E: From<LoadError>> Header<'_, '_, E> {
    #[inline(never)]
    pub(crate) fn add(&mut self, name: &[u8], info: &Info<'_>) -> Result<(), E> {
        self.insert(tensor_name(name).ok_or(LoadError::UnknownTensor)?, info)
    }

    /// The tensor that `info` describes as `name`.
    #[inline(always)]
    pub(crate) fn insert(&mut self, name: TensorName, info: &Info<'_>) -> Result<(), E> {
        if self.spans.iter().any(|s| s.name == name) {
            return Err(LoadError::Duplicate(name).into());
        }
        let dtype = info.dtype.and_then(Dtype::from_name).ok_or(LoadError::Dtype(name))?;
        let (shape, rank) = match info.shape {
            Some(([n, _], 1)) => ([1, n], 1),
            Some((shape, 2)) => (shape, 2),
            _ => return Err(LoadError::Shape(name).into()),
        };
        let Some(([start, end], 2)) = info.offsets else {
            return Err(LoadError::Offsets(name).into());
        };
        let bytes = shape[0].checked_mul(shape[1]).and_then(|n| n.checked_mul(dtype.bytes()));
        if bytes.is_none() || bytes != end.checked_sub(start) {
            return Err(LoadError::Offsets(name).into());
        }
        if end > self.data.len() {
            return Err(LoadError::Truncated.into());
        }
        let span = Span { name, dtype, shape, rank, start, end };
        Ok(self.spans.push(span).map_err(|_| LoadError::UnknownTensor)?)
    }
}

/// Names of [`tensor`] in the order below, as one text: less flash than a list of texts.
const SINGLE_NAMES: &str = "mapping.kernel mapping.bias input.scale input.offset output.mask output.scale \
                            output.offset self_test.inputs self_test.outputs";
/// What follows the number of a layer.
const SUFFIXES: &str = ".kernel .bias .weight .multiplier .shift";
/// The words of [`key`] that say what to compute.
const KEYS: &str = "format format_version mapping activations gate math bits fractions";

/// A tensor of the format from its name.
#[inline(never)]
fn tensor_name(text: &[u8]) -> Option<TensorName> {
    const NAMES: [TensorName; 9] = [
        TensorName::MappingKernel,
        TensorName::MappingBias,
        TensorName::InputScale,
        TensorName::InputOffset,
        TensorName::OutputMask,
        TensorName::OutputScale,
        TensorName::OutputOffset,
        TensorName::SelfTestInputs,
        TensorName::SelfTestOutputs,
    ];
    if let Some(name) = NAMES.get(position(SINGLE_NAMES, text)) {
        return Some(*name);
    }
    let (encoder, rest) = match text.strip_prefix(tensor::LAYERS.as_bytes()) {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix(tensor::ENCODER.as_bytes())?),
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, suffix) = rest.split_at_checked(digits)?;
    let limit = if encoder { 2 } else { MAX_LAYERS };
    let n = decimal(digits).filter(|&n| (n as usize) < limit)? as u8;
    let kind = position(SUFFIXES, suffix);
    Some(match (encoder, kind) {
        (false, 0) => TensorName::LayerKernel(n),
        (false, 1) => TensorName::LayerBias(n),
        (false, 2) => TensorName::LayerWeight(n),
        (false, 3) => TensorName::LayerMultiplier(n),
        (false, 4) => TensorName::LayerShift(n),
        (true, 0) => TensorName::EncoderKernel(n),
        (true, 1) => TensorName::EncoderBias(n),
        (true, 2) => TensorName::EncoderWeight(n),
        (true, 3) => TensorName::EncoderMultiplier(n),
        (true, 4) => TensorName::EncoderShift(n),
        _ => return None,
    })
}

/// Which of `words`, which have a space between each other, is `text`; for none beyond the end of any list, as an `Option`
/// would cost code wherever this is called.
#[inline(never)]
pub(crate) fn position(words: &str, text: &[u8]) -> usize {
    words.as_bytes().split(|b| *b == b' ').position(|word| word == text).unwrap_or(usize::MAX)
}

impl<'a> Words<'a> {
    pub(crate) fn get(&self, key: Key) -> Option<&'a [u8]> {
        self.0.get(key as usize).copied().flatten()
    }

    /// Whether there is a mapping, and the coordinates come first among its features.
    pub(crate) fn raw<E: From<LoadError>>(&self) -> Result<Option<bool>, E> {
        let mapping = self.get(Key::Mapping).ok_or(LoadError::MissingWord(Word::Mapping))?;
        // Not by patterns, which the compiler would compare byte by byte.
        match position("none fourier fourier+raw", mapping) {
            0 => Ok(None),
            n @ (1 | 2) => Ok(Some(n > 1)),
            _ => Err(LoadError::UnknownWord(Word::Mapping).into()),
        }
    }

    /// The word under `name`; those that are not looked at may hold escapes, as a checkpoint's do.
    pub(crate) fn read(&mut self, json: &mut Json<'a>, name: &'a [u8]) -> Result<(), Bad> {
        let Some(slot) = self.0.get_mut(position(KEYS, name)) else {
            return json.string(true).map(|_| ());
        };
        match slot.replace(json.string(false)?) {
            Some(_) => Err(Bad),
            None => Ok(()),
        }
    }
}

/// The first two of a list, and how many there are.
pub(crate) type Pair = ([usize; 2], usize);

/// What the header says of one tensor.
#[derive(Default)]
pub(crate) struct Info<'a> {
    dtype: Option<&'a [u8]>,
    shape: Option<Pair>,
    pub(crate) offsets: Option<Pair>,
}

impl<'a> Info<'a> {
    pub(crate) fn read(json: &mut Json<'a>) -> Result<Self, Bad> {
        let mut info = Self::default();
        json.object(&mut |json, name| {
            let pair = match position("dtype shape data_offsets", name) {
                0 if info.dtype.is_none() => {
                    info.dtype = Some(json.string(false)?);
                    return Ok(());
                }
                1 => &mut info.shape,
                2 => &mut info.offsets,
                _ => return Err(Bad),
            };
            match pair.replace(json.numbers()?) {
                Some(_) => Err(Bad),
                None => Ok(()),
            }
        })?;
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::format::{Activation, MathBackend, key};

    #[test]
    fn texts_of_words_are_those_of_the_format() {
        let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        let single = [
            tensor::MAPPING_KERNEL,
            tensor::MAPPING_BIAS,
            tensor::INPUT_SCALE,
            tensor::INPUT_OFFSET,
            tensor::OUTPUT_MASK,
            tensor::OUTPUT_SCALE,
            tensor::OUTPUT_OFFSET,
            tensor::SELF_TEST_INPUTS,
            tensor::SELF_TEST_OUTPUTS,
        ];
        assert_eq!(words(SINGLE_NAMES), single);
        let suffixes = [tensor::KERNEL, tensor::BIAS, tensor::WEIGHT, tensor::MULTIPLIER, tensor::SHIFT];
        assert_eq!(words(SUFFIXES), suffixes);
        let keys = [
            key::FORMAT,
            key::VERSION,
            key::MAPPING,
            key::ACTIVATIONS,
            key::GATE,
            key::MATH,
            key::BITS,
            key::FRACTIONS,
        ];
        assert_eq!(words(KEYS), keys);
        assert!(Activation::ALL.into_iter().all(|a| Activation::from_name(a.name()) == Some(a)));
        assert!(MathBackend::ALL.into_iter().all(|m| MathBackend::from_name(m.name()) == Some(m)));
        for none in ["", " ", "relu tanh", "rel", "relux"] {
            assert_eq!(Activation::from_name(none), None, "{none}");
        }
    }
}
