//! What may occur in a model, as a set of bits the compiler knows: code for what may not is not linked.
//!
//! A model read from a file may hold anything ([`ALL`]); one made at build time says what it holds.

use crate::format::{Activation, MathBackend, Precision};

/// Everything the format has.
pub const ALL: u32 = u32::MAX;
/// Sines and cosines of the coordinates before the first layer.
pub const MAPPING: u32 = 1 << 12;
/// The encoders and gates of a modified MLP.
pub const GATE: u32 = 1 << 13;
/// A scale and an offset behind the last activation.
pub const OUTPUT_AFFINE: u32 = 1 << 14;
/// Factors that make outputs vanish on walls; in a file they are f32, which must be among what is used too.
pub const OUTPUT_MASK: u32 = 1 << 15;
/// f32 weights at any address, as in a file; those of a build-time model are aligned.
pub const UNALIGNED: u32 = 1 << 18;

/// A SIREN in f32 whose file lies at a multiple of 8, so that its weights are aligned: see
/// [`Aligned`](crate::fixed::Aligned).
pub const SIREN: u32 = activation(Activation::Sine) | math(MathBackend::Polynomial) | precision(Precision::F32);

/// A layer that ends in `activation`.
pub const fn activation(activation: Activation) -> u32 {
    1 << activation as u32
}

/// The routines of `backend`.
pub const fn math(backend: MathBackend) -> u32 {
    1 << (8 + backend as u32)
}

/// Weights of `precision`.
pub const fn precision(precision: Precision) -> u32 {
    1 << (16 + precision as u32)
}

/// Whether `what` may occur.
pub(crate) const fn has(uses: u32, what: u32) -> bool {
    uses & what != 0
}
