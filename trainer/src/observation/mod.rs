//! 4 From network output to what was measured, one file each: sums along rays, distances and slopes, differential
//! equations, combinations of a common basis, and back. Values at the points themselves are
//! [`Samples`](crate::engine::Samples).

mod distance;
mod line;
pub mod operator;
pub mod pde;
mod picture;
mod projection;
mod volume;

pub use distance::SignedDistance;
pub use line::{Along, LineIntegrals};
pub use picture::Picture;
pub use projection::Projection;
pub use volume::{Background, Empty, Pixel, Rays, VALUES, composite};
