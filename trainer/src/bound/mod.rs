//! What a network may do between the samples: sound bounds by Taylor forms over boxes.
//!
//! A [`Form`] encloses the values of a layer over a box of coordinates: an affine function and a remainder, which takes in
//! the curvature of activations and the rounding of the runtime's f32 arithmetic (Moore, Kearfott, Cloud 2009, chapter 9;
//! Singh et al. 2018 for ReLU). [`Network`] carries one through a model, [`Cells`] compares the result with a signal that
//! is taken to be multilinear between its samples.

mod cells;
mod form;
mod network;

pub use cells::{Cells, Effort};
pub use form::Form;
pub use network::Network;
