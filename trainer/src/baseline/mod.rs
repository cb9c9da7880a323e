//! Reconstructions without a network, to compare with: filtered back-projection and SIRT.
//!
//! Pictures are `[side·side]`, row by row from the top, over [-1, 1]²; integrals `[angles, detectors]` in units of value
//! times half a side.

mod fbp;
mod projector;
mod sirt;

pub use fbp::filtered_back_projection;
pub use projector::Projector;
pub use sirt::sirt;
