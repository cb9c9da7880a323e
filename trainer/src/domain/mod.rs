//! 2 Where we look: rays of a camera or a scanner, where space may be empty, and samples along rays; collocation
//! points of differential equations.

mod beam;
mod bundle;
mod camera;
mod collocation;
mod march;
mod occupancy;
mod region;

pub use beam::{Beam, Chord, Extent, Scanner};
pub use bundle::{Bundle, Frame, Span};
pub(crate) use camera::look_at;
pub use camera::{Camera, Ray};
pub use collocation::{Collocation, Sampler};
pub use march::{March, Sample};
pub use occupancy::Occupancy;
pub use region::Region;
