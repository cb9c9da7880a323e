//! The safetensors header, read in place and checked: JSON in, words and tensor spans out.

use core::fmt;

use heapless::Vec;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    error::{LoadError, TensorName, Word},
    format::{MAX_LAYERS, Precision, key, tensor},
};

/// Longest header of a model; the format has at most 46 tensors of about 80 bytes each and a few lines of words.
const MAX_HEADER: usize = 64 * 1024;
/// Mapping, encoders, input, output, self-test: two tensors each; an integer layer has four.
const MAX_TENSORS: usize = 4 * MAX_LAYERS + 12;

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
    fn from_name(name: Option<&str>) -> Option<Self> {
        Some(match name? {
            "F32" => Self::F32,
            "F16" => Self::F16,
            "I32" => Self::I32,
            "I16" => Self::I16,
            "I8" => Self::I8,
            "U8" => Self::U8,
            _ => return None,
        })
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

/// The words that say what to compute.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Words<'a> {
    pub(crate) format: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    pub(crate) mapping: Option<&'a str>,
    pub(crate) activations: Option<&'a str>,
    pub(crate) gate: Option<&'a str>,
    pub(crate) math: Option<&'a str>,
    pub(crate) bits: Option<&'a str>,
    pub(crate) fractions: Option<&'a str>,
}

/// A checked header.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    /// The JSON itself.
    pub(crate) text: &'a [u8],
    /// The bytes behind it.
    pub(crate) data: &'a [u8],
    pub(crate) words: Words<'a>,
    pub(crate) spans: Vec<Span, MAX_TENSORS>,
}

impl<'a> Header<'a> {
    /// Reads the header of `file`; spans cover the data without gap or overlap only after
    /// [`Header::check_spans`], so that a foreign file is called that first.
    pub(crate) fn read(file: &'a [u8]) -> Result<Self, LoadError> {
        let (length, rest) = file.split_first_chunk::<8>().ok_or(LoadError::Truncated)?;
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER as u64 {
            return Err(LoadError::HeaderTooLong);
        }
        let (text, data) = rest.split_at_checked(length as usize).ok_or(LoadError::Truncated)?;
        let mut header = Self { text, data, words: Words::default(), spans: Vec::new() };
        let mut problem = None;
        let seed = Top { header: &mut header, problem: &mut problem };
        match parse(text, seed) {
            Ok(()) => Ok(header),
            // A file that names another format is foreign whatever its tensors are called.
            Err(Bad) => Err(match (problem, header.words.format) {
                (Some(problem), Some(crate::format::FORMAT)) => problem,
                (Some(_), Some(crate::format::CHECKPOINT_FORMAT)) => LoadError::Checkpoint,
                (Some(_), _) => LoadError::Foreign,
                (None, _) => LoadError::BadHeader,
            }),
        }
    }

    /// The version of a file of this format.
    pub(crate) fn version(&self) -> Result<u32, LoadError> {
        match self.words.format {
            Some(crate::format::FORMAT) => {}
            Some(crate::format::CHECKPOINT_FORMAT) => return Err(LoadError::Checkpoint),
            _ => return Err(LoadError::Foreign),
        }
        let version = self.words.version.ok_or(LoadError::MissingWord(Word::Version))?;
        version.parse().map_err(|_| LoadError::UnknownWord(Word::Version))
    }

    /// Every byte of the data belongs to exactly one tensor.
    pub(crate) fn check_spans(&self) -> Result<(), LoadError> {
        for (i, a) in self.spans.iter().enumerate() {
            for b in self.spans.iter().skip(i + 1) {
                if a.start < b.end && b.start < a.end {
                    return Err(LoadError::Overlap(b.name));
                }
            }
        }
        let mut cursor = 0;
        for _ in 0..self.spans.len() {
            match self.spans.iter().find(|s| s.start == cursor && s.end > cursor) {
                Some(span) => cursor = span.end,
                None => return Err(LoadError::Gap),
            }
        }
        match cursor.cmp(&self.data.len()) {
            core::cmp::Ordering::Less => Err(LoadError::TrailingBytes),
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Greater => Err(LoadError::Truncated),
        }
    }

    pub(crate) fn span(&self, name: TensorName) -> Result<&Span, LoadError> {
        self.spans.iter().find(|s| s.name == name).ok_or(LoadError::Missing(name))
    }
}

/// The word under `wanted` in the metadata of a header that has been read before.
pub(crate) fn find_word<'a>(text: &'a [u8], wanted: &str) -> Option<&'a str> {
    let mut found = None;
    parse(text, FindTop { wanted, found: &mut found }).ok()?;
    found
}

/// What serde's errors come to here; the reason is kept beside.
struct Bad;

fn parse<'a>(text: &'a [u8], seed: impl DeserializeSeed<'a, Value = ()>) -> Result<(), Bad> {
    let mut json = serde_json_core::de::Deserializer::new(text, None);
    seed.deserialize(&mut json).map_err(|_| Bad)?;
    json.end().map(|_| ()).map_err(|_| Bad)
}

/// The whole header: metadata and tensors by name.
struct Top<'h, 'a> {
    header: &'h mut Header<'a>,
    problem: &'h mut Option<LoadError>,
}

impl<'a> DeserializeSeed<'a> for Top<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Top<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a safetensors header")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let mut metadata = false;
        while let Some(name) = map.next_key::<&'a str>()? {
            if name == "__metadata__" {
                if metadata {
                    return Err(M::Error::custom("twice"));
                }
                metadata = true;
                map.next_value_seed(WordsSeed(&mut self.header.words))?;
                continue;
            }
            let info = map.next_value_seed(InfoSeed)?;
            // The first problem is kept and the rest is still read: the metadata may come later and say more.
            if let Err(problem) = self.header.add(name, info) {
                self.problem.get_or_insert(problem);
            }
        }
        if self.problem.is_some() { Err(M::Error::custom("tensor")) } else { Ok(()) }
    }
}

impl Header<'_> {
    fn add(&mut self, name: &str, info: Info<'_>) -> Result<(), LoadError> {
        let name = tensor_name(name).ok_or(LoadError::UnknownTensor)?;
        if self.spans.iter().any(|s| s.name == name) {
            return Err(LoadError::Duplicate(name));
        }
        let dtype = Dtype::from_name(info.dtype).ok_or(LoadError::Dtype(name))?;
        let (shape, rank) = match info.shape.as_deref() {
            Some(&[n]) => ([1, n], 1),
            Some(&[rows, columns]) => ([rows, columns], 2),
            _ => return Err(LoadError::Shape(name)),
        };
        let [start, end] = *info.offsets.as_deref().unwrap_or(&[]) else {
            return Err(LoadError::Offsets(name));
        };
        let bytes = shape[0].checked_mul(shape[1]).and_then(|n| n.checked_mul(dtype.bytes()));
        if bytes.is_none() || bytes != end.checked_sub(start) {
            return Err(LoadError::Offsets(name));
        }
        if end > self.data.len() {
            return Err(LoadError::Truncated);
        }
        let span = Span { name, dtype, shape, rank, start, end };
        self.spans.push(span).map_err(|_| LoadError::UnknownTensor)
    }
}

fn tensor_name(text: &str) -> Option<TensorName> {
    let numbered = |prefix: &str, suffix: &str, limit: usize| -> Option<u8> {
        let digits = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
        let canonical = digits.len() == 1 || !digits.starts_with('0');
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u8>().ok().filter(|&n| canonical && plain && usize::from(n) < limit)
    };
    Some(match text {
        tensor::MAPPING_KERNEL => TensorName::MappingKernel,
        tensor::MAPPING_BIAS => TensorName::MappingBias,
        tensor::INPUT_SCALE => TensorName::InputScale,
        tensor::INPUT_OFFSET => TensorName::InputOffset,
        tensor::OUTPUT_SCALE => TensorName::OutputScale,
        tensor::OUTPUT_OFFSET => TensorName::OutputOffset,
        tensor::SELF_TEST_INPUTS => TensorName::SelfTestInputs,
        tensor::SELF_TEST_OUTPUTS => TensorName::SelfTestOutputs,
        _ => {
            if let Some(n) = numbered(tensor::LAYERS, tensor::KERNEL, MAX_LAYERS) {
                TensorName::LayerKernel(n)
            } else if let Some(n) = numbered(tensor::LAYERS, tensor::BIAS, MAX_LAYERS) {
                TensorName::LayerBias(n)
            } else if let Some(n) = numbered(tensor::LAYERS, tensor::WEIGHT, MAX_LAYERS) {
                TensorName::LayerWeight(n)
            } else if let Some(n) = numbered(tensor::LAYERS, tensor::MULTIPLIER, MAX_LAYERS) {
                TensorName::LayerMultiplier(n)
            } else if let Some(n) = numbered(tensor::LAYERS, tensor::SHIFT, MAX_LAYERS) {
                TensorName::LayerShift(n)
            } else if let Some(n) = numbered(tensor::ENCODER, tensor::KERNEL, 2) {
                TensorName::EncoderKernel(n)
            } else {
                TensorName::EncoderBias(numbered(tensor::ENCODER, tensor::BIAS, 2)?)
            }
        }
    })
}

/// The metadata: a flat map of strings.
struct WordsSeed<'h, 'a>(&'h mut Words<'a>);

impl<'a> DeserializeSeed<'a> for WordsSeed<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for WordsSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strings by name")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<&'a str>()? {
            let slot = match name {
                key::FORMAT => &mut self.0.format,
                key::VERSION => &mut self.0.version,
                key::MAPPING => &mut self.0.mapping,
                key::ACTIVATIONS => &mut self.0.activations,
                key::GATE => &mut self.0.gate,
                key::MATH => &mut self.0.math,
                key::BITS => &mut self.0.bits,
                key::FRACTIONS => &mut self.0.fractions,
                _ => {
                    map.next_value_seed(AnyString)?;
                    continue;
                }
            };
            if slot.replace(map.next_value::<&'a str>()?).is_some() {
                return Err(M::Error::custom("twice"));
            }
        }
        Ok(())
    }
}

/// A string that is not looked at; it may hold escapes, as a checkpoint's do.
struct AnyString;

impl<'a> DeserializeSeed<'a> for AnyString {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_ignored_any(IgnoredAny).map(|_| ())
    }
}

/// What the header says of one tensor.
#[derive(Default)]
struct Info<'a> {
    dtype: Option<&'a str>,
    shape: Option<Vec<usize, 2>>,
    offsets: Option<Vec<usize, 2>>,
}

struct InfoSeed;

impl<'a> DeserializeSeed<'a> for InfoSeed {
    type Value = Info<'a>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Info<'a>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for InfoSeed {
    type Value = Info<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dtype, shape and data_offsets")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Info<'a>, M::Error> {
        let mut info = Info::default();
        while let Some(name) = map.next_key::<&'a str>()? {
            let twice = match name {
                "dtype" => info.dtype.replace(map.next_value()?).is_some(),
                "shape" => info.shape.replace(map.next_value_seed(Pair)?).is_some(),
                "data_offsets" => info.offsets.replace(map.next_value_seed(Pair)?).is_some(),
                _ => true,
            };
            if twice {
                return Err(M::Error::custom("twice"));
            }
        }
        Ok(info)
    }
}

/// At most two whole numbers; more of them leave an empty list, which no tensor of the format has.
struct Pair;

impl<'a> DeserializeSeed<'a> for Pair {
    type Value = Vec<usize, 2>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Pair {
    type Value = Vec<usize, 2>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of whole numbers")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut pair = Vec::new();
        let mut more = false;
        while let Some(n) = seq.next_element::<u32>()? {
            more |= pair.push(n as usize).is_err();
        }
        if more {
            pair.clear();
        }
        Ok(pair)
    }
}

/// Looks for one word and passes over everything else.
struct FindTop<'h, 'a> {
    wanted: &'h str,
    found: &'h mut Option<&'a str>,
}

impl<'a> DeserializeSeed<'a> for FindTop<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for FindTop<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a safetensors header")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<&'a str>()? {
            if name == "__metadata__" {
                map.next_value_seed(FindWord { wanted: self.wanted, found: &mut *self.found })?;
            } else {
                map.next_value_seed(InfoSeed)?;
            }
        }
        Ok(())
    }
}

struct FindWord<'h, 'a> {
    wanted: &'h str,
    found: &'h mut Option<&'a str>,
}

impl<'a> DeserializeSeed<'a> for FindWord<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for FindWord<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strings by name")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<&'a str>()? {
            if name == self.wanted {
                *self.found = Some(map.next_value()?);
            } else {
                map.next_value_seed(AnyString)?;
            }
        }
        Ok(())
    }
}
