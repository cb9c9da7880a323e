//! Safetensors with a metadata header in a fixed order, so that the same run writes the same bytes.

use std::collections::BTreeMap;

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::network::Parameter;

/// Words about a file, sorted by key.
pub type Words = BTreeMap<String, String>;

/// One tensor on its way into a file.
#[derive(Debug, Clone)]
pub struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    /// A tensor of f32 values.
    pub fn f32(name: impl Into<String>, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// A tensor of f16 values, each rounded to nearest even.
    pub fn f16(name: impl Into<String>, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        Self { name: name.into(), dtype: Dtype::F16, shape: shape.to_vec(), bytes }
    }

    /// A tensor of integers, as bytes little-endian.
    pub fn integers(name: impl Into<String>, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Self {
        Self { name: name.into(), dtype, shape: shape.to_vec(), bytes }
    }

    /// A tensor as another file holds it, byte for byte.
    pub fn raw(name: &str, view: &TensorView<'_>) -> Self {
        Self { name: name.to_owned(), dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() }
    }
}

/// The bytes of a safetensors file: the safetensors crate's own layout of `tensors`, with `words` in key order.
pub fn write(tensors: &[Stored], words: &Words) -> Vec<u8> {
    let views = tensors.iter().map(|t| {
        let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes).expect("bytes made from the shape");
        (t.name.as_str(), view)
    });
    let plain = safetensors::serialize(views, None).expect("names are unique and the header is small");
    // The crate keeps metadata in a hash map, whose order changes from run to run; so it is put in afterwards.
    let length = u64::from_le_bytes(plain[..8].try_into().expect("eight bytes")) as usize;
    let rest = std::str::from_utf8(&plain[9..8 + length]).expect("JSON is UTF-8").trim_end();
    let words = serde_json::to_string(words).expect("strings only");
    let comma = if rest == "}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{words}{comma}{rest}").into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut out = Vec::with_capacity(8 + header.len() + plain.len() - 8 - length);
    out.extend((header.len() as u64).to_le_bytes());
    out.extend(header);
    out.extend(&plain[8 + length..]);
    out
}

/// What a safetensors file holds: its words and its tensors widened or rounded to f32.
///
/// # Errors
/// A sentence about what is wrong: not safetensors, or a tensor that is not of floating point.
pub fn read(bytes: &[u8]) -> Result<(Words, Vec<Parameter>), String> {
    let words = words(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("not a safetensors file ({e})"))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let values = to_f32(view.dtype(), view.data())
            .ok_or_else(|| format!("tensor `{name}` is {:?}; expected F64, F32, F16 or BF16", view.dtype()))?;
        tensors.push(Parameter { name: name.to_owned(), shape: view.shape().to_vec(), values });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((words, tensors))
}

/// The words of a safetensors file without its tensors.
///
/// # Errors
/// A sentence saying that it is no safetensors file.
pub fn words(bytes: &[u8]) -> Result<Words, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| format!("not a safetensors file ({e})"))?;
    Ok(metadata.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect())
}

fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.chunks_exact(N).map(|c| f(c.try_into().expect("N bytes"))).collect()
    }
    Some(match dtype {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_safetensors_crate_reads_back_words_and_values() {
        let words = Words::from([("b".into(), "2 \"quoted\"".into()), ("a".into(), "1".into())]);
        let tensors = [Stored::f32("x", &[2, 1], &[1.5, -2.0]), Stored::f16("y", &[1], &[0.25])];
        let bytes = write(&tensors, &words);
        assert_eq!(bytes, write(&tensors, &words));
        let (found, tensors) = read(&bytes).unwrap();
        assert_eq!(found, words);
        assert_eq!(tensors[0].shape, [2, 1]);
        assert_eq!(tensors[0].values, [1.5, -2.0]);
        assert_eq!(tensors[1].values, [0.25]);
    }

    #[test]
    fn a_file_without_tensors_is_still_one() {
        let words = Words::from([("a".into(), "1".into())]);
        assert_eq!(read(&write(&[], &words)).unwrap().0, words);
    }

    #[test]
    fn foreign_bytes_are_named_as_such() {
        assert!(read(b"PNG").unwrap_err().contains("not a safetensors file"));
    }
}
