//! Scans: phantoms, which are known, and sinograms, which are what a scanner measures of them.

mod dicom;
mod ellipse;
mod phantom;
mod sinogram;

pub use ellipse::{Ellipse, picture, randomised, shepp_logan};
pub(crate) use phantom::middle;
pub use phantom::{Density, Phantom};
pub use sinogram::{Sinogram, read_angles};
