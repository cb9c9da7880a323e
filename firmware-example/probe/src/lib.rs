//! What firmware and host both run, so that one number says whether their bits are the same.
#![no_std]
#![forbid(unsafe_code)]

use rwf_runtime::{Axis, EvalError, GridDecoder, Model, describe::Order, describe::Sampling};

/// Samples along each input of a model whose file tells of no grid.
pub const SAMPLES: usize = 33;
/// Values decoded at a time.
const BLOCK: usize = 64;

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
    let mut total = Hash { samples: 0, hash: 0xcbf2_9ce4_8422_2325 };
    loop {
        let n = match decoder.fill(&mut values, scratch) {
            Ok(n) => n,
            Err(error) => return Some(Err(error)),
        };
        if n == 0 {
            return (decoder.remaining() == 0).then_some(Ok(total));
        }
        total.samples += n;
        for value in values.iter().take(n * model.outputs()) {
            for byte in value.to_bits().to_le_bytes() {
                total.hash = (total.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}
