//! What a network may do between the samples: sound bounds by Taylor forms over boxes.
//!
//! A [`Form`] encloses the values of a layer over a box of coordinates: a quadratic function and a remainder, which takes in
//! what is beyond it of the activations and the rounding of the runtime's arithmetic, in f32 or in integers (Makino and Berz
//! 2003; Moore, Kearfott, Cloud 2009, chapter 9; Singh et al. 2018 for ReLU). [`Network`] carries one through a model and
//! leads the remainders back to the outputs, [`Cells`] compares the result with a signal that is taken to be multilinear
//! between its samples. A model in integers of one input has so few points that all are computed.

mod activation;
#[cfg(test)]
mod attained;
mod cells;
mod form;
mod integer;
mod network;
#[cfg(test)]
mod tests;

pub use cells::{Bounds, Cells, Effort};
pub use form::{Form, pairs};
pub use network::Network;
