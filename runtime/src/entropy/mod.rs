//! Packed model files: the bytes of a model file, shorter, and back.
//!
//! A packed file decodes into memory of the caller's to exactly the bytes of the model file it was made of, which is then
//! loaded like any other: same loader, same bits, same hash. What makes it short is a binary range coder whose
//! probabilities learn as they go, so that there are no tables in the file; a header that every reader knows; and for each
//! type of tensor what its numbers are made of. FORMAT.md has the form.
//!
//! Decoding allocates nothing, uses integers alone, takes about 3.5 KB of stack and time in proportion to the file.

mod coder;
#[cfg(feature = "build")]
mod encode;
mod header;
mod text;
mod values;

use core::fmt;

use coder::{Bit, Coder, Decoder};
#[cfg(feature = "build")]
pub use encode::encode;
use header::{Kind, Tensor, Tensors};

/// The first bytes of a packed file.
pub const MAGIC: [u8; 4] = *b"rwfz";
/// Version of the form.
pub const VERSION: u8 = 1;
/// Bytes before what the coder wrote: magic, version, length of the model file, checksum.
const PREFIX: usize = 13;
/// Bytes of a safetensors file's length of header.
const LENGTH: usize = 8;
/// Probabilities in memory, as many as the header or a tensor needs.
const STATE: usize = if text::STATE > values::STATE { text::STATE } else { values::STATE };

/// Why bytes were not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UnpackError {
    /// Not a packed file.
    NotPacked,
    /// Packed by a later version.
    UnsupportedVersion(u8),
    /// The memory is shorter than the model file, whose bytes are these.
    MemoryLength(usize),
    /// Bytes follow the packed ones.
    TrailingBytes,
    /// The bytes are not those that were packed: truncated or changed.
    Checksum,
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPacked => f.write_str("not a packed model: it does not begin with `rwfz`"),
            Self::UnsupportedVersion(v) => write!(f, "packed by version {v}, which is newer than this runtime reads"),
            Self::MemoryLength(n) => write!(f, "unpacks to {n} bytes, more than there is memory"),
            Self::TrailingBytes => f.write_str("has bytes after its packed ones"),
            Self::Checksum => f.write_str("truncated or changed: its checksum is another"),
        }
    }
}

impl core::error::Error for UnpackError {}

/// Whether `bytes` begin as a packed file does.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Bytes of the model file in `packed`: the memory that [`decode_into`] needs.
///
/// # Errors
/// [`UnpackError::NotPacked`], [`UnpackError::UnsupportedVersion`].
pub const fn decoded_len(packed: &[u8]) -> Result<usize, UnpackError> {
    match packed {
        [b'r', b'w', b'f', b'z', VERSION, a, b, c, d, _, _, _, _, ..] => {
            Ok(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        [b'r', b'w', b'f', b'z', version, ..] if *version != VERSION => Err(UnpackError::UnsupportedVersion(*version)),
        _ => Err(UnpackError::NotPacked),
    }
}

/// The model file in `packed`, at the start of `memory`. Weights are read faster where `memory` begins at a multiple of 4.
///
/// # Errors
/// [`UnpackError`]; what `memory` holds is then without meaning.
pub fn decode_into<'m>(packed: &[u8], memory: &'m mut [u8]) -> Result<&'m [u8], UnpackError> {
    let length = decoded_len(packed)?;
    let file = memory.get_mut(..length).ok_or(UnpackError::MemoryLength(length))?;
    // First of all: no time is spent on what was changed on its way.
    let (prefix, coded) = packed.split_at_checked(PREFIX).ok_or(UnpackError::NotPacked)?;
    if !prefix.ends_with(&checksum(prefix, coded)) {
        return Err(UnpackError::Checksum);
    }
    let mut decoder = Decoder::new(coded);
    model_file(&mut decoder, file);
    if decoder.read() < coded.len() {
        return Err(UnpackError::TrailingBytes);
    }
    Ok(file)
}

/// Codes a whole file: its header, then its tensors as that says. A file that is not safetensors, or whose tensors do not
/// follow each other, is coded too, but less well.
fn model_file<C: Coder>(coder: &mut C, file: &mut [u8]) {
    let mut state = [Bit::NEW; STATE];
    let given = file.first_chunk::<LENGTH>().map_or(u64::MAX, |&n| u64::from_le_bytes(n));
    let fits = given <= file.len().saturating_sub(LENGTH).min(crate::header::MAX_HEADER) as u64;
    let mut rest = file;
    let is_safetensors = coder.even(1, fits.into()) == 1 && rest.len() >= LENGTH;
    if is_safetensors {
        let (length, after) = rest.split_at_mut_checked(LENGTH).unwrap_or_default();
        let header = coder.even(17, given as u32) as usize;
        length.copy_from_slice(&(header as u64).to_le_bytes());
        let (header, mut data) = after.split_at_mut_checked(header).unwrap_or_default();
        text::code(coder, &mut state, header);
        let (mut at, mut kind) = (0, None);
        for tensor in Tensors::new(header) {
            let size = tensor.end.saturating_sub(at);
            if size > data.len() {
                break;
            }
            let (now, later) = data.split_at_mut_checked(size).unwrap_or_default();
            // Numbers of another type have other lengths.
            if kind.replace(tensor.kind) != Some(tensor.kind) {
                state = [Bit::NEW; STATE];
            }
            values::code(coder, &mut state, tensor, now);
            (data, at) = (later, tensor.end);
        }
        rest = data;
    }
    if !rest.is_empty() {
        state = [Bit::NEW; STATE];
        values::code(coder, &mut state, Tensor { kind: Kind::Bytes, set: 0, end: 0 }, rest);
    }
}

/// CRC-32 of ISO 3309 over what stands before it in `prefix`, and `coded`; bit by bit, as a table would take a kilobyte of
/// flash.
fn checksum(prefix: &[u8], coded: &[u8]) -> [u8; 4] {
    let turn = |crc: u32| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    let bytes = prefix.iter().take(PREFIX - 4).chain(coded);
    let crc = bytes.fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| turn(crc)));
    (!crc).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(checksum(b"12345", b"6789"), 0xcbf4_3926u32.to_le_bytes());
    }
}
