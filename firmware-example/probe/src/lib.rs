//! What every target and the host run, so that one number says whether their bits are the same.
#![no_std]
#![deny(unsafe_code)]

mod integers;
mod report;
pub mod stack;

pub use integers::hash_integers;
pub use report::{Platform, report};

use rwf_runtime::{Axis, EvalError, GridDecoder, Model, describe::Order, describe::Sampling};

/// Samples along each input of a model whose file tells of no grid.
pub const SAMPLES: usize = 17;
/// Values decoded at a time.
const BLOCK: usize = 64;

/// Weights at a multiple of 4 are read faster, so the bytes are aligned.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);

/// Name and file of every embedded model: those in `models/`, or what `RWF_MODEL` named at build time.
pub static MODELS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// Of [`MODELS`] those in floats.
pub fn floats() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    MODELS.iter().copied().filter(|(_, file)| Model::new(file).err() != Some(rwf_runtime::LoadError::Integer))
}

/// Hash of all output bits, and over how many samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash {
    /// Samples of the grid.
    pub samples: usize,
    /// FNV-1a, 64 bits, over the little-endian bytes of every output.
    pub hash: u64,
}

/// The grid a model is hashed over: the one it was fitted on, else evenly spaced samples of its domain.
pub fn decoder<'m, 'a>(model: &'m Model<'a>) -> Option<GridDecoder<'m, 'a>> {
    if let Some(native) = GridDecoder::native(model) {
        return Some(native);
    }
    let mut axes = [Axis { start: 0.0, step: 0.0, count: 1 }; rwf_runtime::format::MAX_INPUTS];
    let axes = axes.get_mut(..model.inputs())?;
    for (i, axis) in axes.iter_mut().enumerate() {
        let domain = model.input(i)?;
        *axis = Axis::over(domain.lo, domain.hi, SAMPLES, Sampling::Node);
    }
    GridDecoder::new(model, axes, Order::LastFastest)
}

/// Decodes the whole grid, as fast as `scratch` allows, and hashes it; `None` when the file does not describe its
/// inputs or a sample has more than 64 outputs.
///
/// # Errors
/// [`EvalError`] when `scratch` is too short.
pub fn hash(model: &Model<'_>, scratch: &mut [f32]) -> Option<Result<Hash, EvalError>> {
    let mut decoder = decoder(model)?;
    let mut values = [0.0; BLOCK];
    let mut total = Hash { samples: 0, hash: HASH_START };
    loop {
        let n = match decoder.fill(&mut values, scratch) {
            Ok(n) => n,
            Err(error) => return Some(Err(error)),
        };
        if n == 0 {
            return (decoder.remaining() == 0).then_some(Ok(total));
        }
        total.samples += n;
        total.hash = hash_values(total.hash, values.get(..n * model.outputs()).unwrap_or(&[]));
    }
}

/// The hash of no values.
pub const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash `before` went on with the bits of `values`.
pub fn hash_values(before: u64, values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(before, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
