//! Integrals along rays of a picture of pixels, and the transpose: linear between the two pixels a ray passes in each
//! column or row, whichever it crosses more of (Joseph 1982).

use rayon::prelude::*;

use crate::domain::Scanner;

/// Pieces the transpose is summed up in, so that sums do not depend on the number of threads.
const PIECES: usize = 8;

/// From pictures to sinograms and back.
#[derive(Debug, Clone, Copy)]
pub struct Projector<'a> {
    /// Its rays.
    pub scanner: &'a Scanner,
    /// Pixels along a side.
    pub side: usize,
}

impl Projector<'_> {
    /// Hands every pixel a ray passes to `visit`, with the length of ray that the pixel's value stands for.
    fn pass(&self, ray: usize, mut visit: impl FnMut(usize, f32)) {
        let Some(chord) = self.scanner.chord(ray) else { return };
        let n = self.side as f64;
        let pixels = |v: f64| 0.5 * (v + 1.0) * n - 0.5;
        let ([px, py], [dx, dy]) = (chord.origin.map(pixels), chord.direction);
        // Along the axis the ray goes more of; strides of that axis and of the other.
        let (p, q, d, e, stride, across) =
            if dx.abs() >= dy.abs() { (px, py, dx, dy, 1, self.side) } else { (py, px, dy, dx, self.side, 1) };
        let length = (2.0 / (n * d.abs())) as f32;
        // The part of the line in the extent, in pixels along that axis.
        let (a, b) = (p + 0.5 * n * d * chord.from, p + 0.5 * n * d * chord.to);
        let (first, last) = (a.min(b).ceil().max(0.0), a.max(b).floor().min(n - 1.0));
        if last < first {
            return;
        }
        for i in first as usize..=last as usize {
            let at = q + (i as f64 - p) * e / d;
            let low = at.floor();
            let part = (at - low) as f32;
            for (j, weight) in [(low, 1.0 - part), (low + 1.0, part)] {
                if j >= 0.0 && j < n {
                    visit(i * stride + j as usize * across, weight * length);
                }
            }
        }
    }

    /// Integrals of a picture, `[side·side] -> [rays]`.
    pub fn forward(&self, picture: &[f32]) -> Vec<f32> {
        let one = |ray| {
            let mut sum = 0.0;
            self.pass(ray, |pixel, weight| sum += weight * picture[pixel]);
            sum
        };
        (0..self.scanner.rays()).into_par_iter().with_min_len(64).map(one).collect()
    }

    /// The transpose, `[rays] -> [side·side]`.
    pub fn back(&self, integrals: &[f32]) -> Vec<f32> {
        let rays = integrals.len();
        let piece = |k: usize| {
            let mut picture = vec![0.0f32; self.side * self.side];
            let (from, to) = (rays * k / PIECES, rays * (k + 1) / PIECES);
            for (ray, value) in (from..).zip(&integrals[from..to]).filter(|(_, value)| **value != 0.0) {
                self.pass(ray, |pixel, weight| picture[pixel] += weight * value);
            }
            picture
        };
        let pieces: Vec<Vec<f32>> = (0..PIECES).into_par_iter().map(piece).collect();
        (0..self.side * self.side).map(|i| pieces.iter().map(|p| p[i]).sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Beam, Extent},
        rng::Rng,
        signal::scan::{Phantom, Sinogram, shepp_logan},
        tolerance,
    };

    #[test]
    fn back_is_the_transpose_of_forward() {
        for beam in [Beam::Parallel, Beam::Fan(3.0)] {
            let angles = Beam::evenly(15, beam.period());
            let scanner = Scanner { beam, extent: Extent::Square, angles, detectors: 61 };
            let projector = Projector { scanner: &scanner, side: 48 };
            let mut rng = Rng::new(0);
            let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.uniform() as f32).collect() };
            let (picture, integrals) = (draw(48 * 48), draw(scanner.rays()));
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let (one, other) =
                (dot(&projector.forward(&picture), &integrals), dot(&picture, &projector.back(&integrals)));
            assert!((one / other - 1.0).abs() < 1e-5, "{one} {other}");
        }
    }

    #[test]
    fn integrals_of_pixels_are_those_of_what_they_show() {
        let side = 256;
        let exact = Phantom::of(shepp_logan(), "head", side);
        for beam in [Beam::Parallel, Beam::Fan(3.0)] {
            let angles = Beam::evenly(9, beam.period());
            let scanner = Scanner { beam, extent: Extent::Square, angles, detectors: 401 };
            let truth = Sinogram::of(&exact, &scanner, 0.0, 0);
            let sampled = Sinogram::of(&exact.clone().pixels_alone(), &scanner, 0.0, 0);
            let joseph = Projector { scanner: &scanner, side }.forward(&exact.values);
            // A shift of the grid by half a pixel moves the centre of every projection.
            let centre = |row: &[f32]| {
                let mass: f64 = row.iter().map(|v| f64::from(*v)).sum();
                let moment = row.iter().enumerate().map(|(k, v)| f64::from(*v) * scanner.offset(k));
                moment.sum::<f64>() / mass * 0.5 * side as f64
            };
            for found in [&sampled.values, &joseph] {
                assert!(truth.apart(found) < tolerance::PROJECTION, "{beam:?}: {}", truth.apart(found));
                for (found, row) in found.chunks(401).zip(truth.values.chunks(401)) {
                    let off = (centre(found) - centre(row)).abs();
                    assert!(off < tolerance::PROJECTION_CENTRE, "{beam:?}: {off}");
                }
            }
        }
    }
}
