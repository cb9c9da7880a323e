//! The simultaneous iterative reconstruction technique (Gilbert 1972): gradient steps on the weighted least squares of the
//! integrals, each ray weighted by one over its length and each pixel by one over the rays that pass it, values kept from
//! falling below 0.

use super::Projector;
use crate::{domain::Scanner, signal::scan::middle};

/// The picture of `side` x `side` pixels after `iterations` steps from nothing, each `relaxation` (0 to 2) times the full
/// one. It ends there, converged or not: fewer steps leave it smoother, more bring in what does not fit a picture of
/// pixels.
///
/// # Panics
/// When there are not as many values as rays.
pub fn sirt(scanner: &Scanner, values: &[f32], side: usize, iterations: usize, relaxation: f32) -> Vec<f32> {
    assert_eq!(values.len(), scanner.rays(), "an integral a ray");
    let projector = Projector { scanner, side };
    let inverse = |sums: Vec<f32>| -> Vec<f32> { sums.iter().map(|s| if *s > 1e-6 { 1.0 / s } else { 0.0 }).collect() };
    let rows = inverse(projector.forward(&vec![1.0; side * side]));
    let mut columns = inverse(projector.back(&vec![1.0; values.len()]));
    for (i, column) in columns.iter_mut().enumerate() {
        if !scanner.extent.holds(middle(side, i)) {
            *column = 0.0;
        }
    }
    let mut picture = vec![0.0f32; side * side];
    for _ in 0..iterations {
        let mut missing = projector.forward(&picture);
        for ((missing, value), row) in missing.iter_mut().zip(values).zip(&rows) {
            *missing = row * (value - *missing);
        }
        let step = projector.back(&missing);
        for ((pixel, step), column) in picture.iter_mut().zip(&step).zip(&columns) {
            *pixel = (*pixel + relaxation * column * step).max(0.0);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        baseline::filtered_back_projection,
        domain::{Beam, Extent},
        signal::scan::{Phantom, Sinogram, shepp_logan},
    };

    #[test]
    fn few_angles_are_better_explained_than_smeared_back() {
        let phantom = Phantom::of(shepp_logan(), "head", 64);
        for beam in [Beam::Parallel, Beam::Fan(3.0)] {
            let angles = Beam::evenly(20, beam.period());
            let scanner = Scanner { beam, extent: Extent::Disc, angles, detectors: 80 };
            let sinogram = Sinogram::of(&phantom, &scanner, 0.0, 0);
            let error = |picture: &[f32]| {
                let square = |(a, b): (&f32, &f32)| f64::from(a.clamp(0.0, 1.0) - b).powi(2);
                (picture.iter().zip(&phantom.values).map(square).sum::<f64>() / picture.len() as f64).sqrt()
            };
            let few = sirt(&scanner, &sinogram.values, 64, 5, 1.0);
            let many = sirt(&scanner, &sinogram.values, 64, 60, 1.0);
            let smeared = filtered_back_projection(&scanner, &sinogram.values, 64);
            assert!(error(&many) < error(&few) && error(&many) < 0.7 * error(&smeared), "{beam:?}");
            assert!(many.iter().all(|v| *v >= 0.0) && many[0] == 0.0);
            let apart = |picture: &[f32]| sinogram.apart(&Projector { scanner: &scanner, side: 64 }.forward(picture));
            assert!(apart(&many) < 0.07, "{}", apart(&many));
        }
    }
}
