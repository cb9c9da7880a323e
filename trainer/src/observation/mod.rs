//! 4 From network output to what was measured: sums along rays, and back.

mod picture;
mod volume;

pub use picture::Picture;
pub use volume::{Background, Empty, Pixel, Rays, VALUES, composite};
