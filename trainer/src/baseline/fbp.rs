//! Filtered back-projection: each projection convolved with a ramp filter, and smeared back along its rays (Ramachandran
//! and Lakshminarayanan 1971; for fans Kak and Slaney 1988, section 3.4.2), windowed by Hann.

use std::f64::consts::{PI, TAU};

use rayon::prelude::*;
use rustfft::{FftPlanner, num_complex::Complex};

use crate::{
    domain::{Beam, Scanner},
    signal::scan::middle,
};

/// The picture of `side` x `side` pixels that `values` `[angles, detectors]` give. Fans are taken to go all the way round.
///
/// # Panics
/// When there are not as many values as rays.
pub fn filtered_back_projection(scanner: &Scanner, values: &[f32], side: usize) -> Vec<f32> {
    assert_eq!(values.len(), scanner.rays(), "an integral a ray");
    let filtered = filtered(scanner, values);
    let shares = scanner.shares();
    let (n, pitch) = (scanner.detectors, scanner.pitch());
    let axes: Vec<_> = (0..shares.len()).map(|angle| scanner.axes(angle)).collect();
    let pixel = |i: usize| {
        let p = middle(side, i);
        if !scanner.extent.holds(p) {
            return 0.0;
        }
        let mut sum = 0.0;
        for (angle, (along, forth)) in axes.iter().enumerate() {
            let (s, t) = (p[0] * along[0] + p[1] * along[1], p[0] * forth[0] + p[1] * forth[1]);
            let (s, weight) = match scanner.beam {
                Beam::Parallel => (s, 1.0),
                Beam::Fan(source) => {
                    let near = source / (source + t);
                    (s * near, near * near)
                }
            };
            let at = s / pitch + 0.5 * (n - 1) as f64;
            // Beyond the outermost detectors nothing was measured.
            if at < 0.0 || at > (n - 1) as f64 {
                continue;
            }
            let cell = (at as usize).min(n - 2);
            let row = &filtered[angle * n..(angle + 1) * n];
            let part = at - cell as f64;
            sum += shares[angle] * weight * ((1.0 - part) * row[cell] + part * row[cell + 1]);
        }
        sum as f32
    };
    (0..side * side).into_par_iter().map(pixel).collect()
}

/// Rows behind the filter.
fn filtered(scanner: &Scanner, values: &[f32]) -> Vec<f64> {
    let (n, pitch) = (scanner.detectors, scanner.pitch());
    // Room for all of a row on both sides, so that the ends do not meet.
    let size = (2 * n).next_power_of_two();
    let mut planner = FftPlanner::<f64>::new();
    let (forth, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    // The ramp by its samples in space, whose mean is right, unlike that of samples in frequency.
    let mut filter = vec![Complex::new(0.0, 0.0); size];
    filter[0].re = 0.25 / (pitch * pitch);
    for k in (1..=n).step_by(2) {
        let value = -1.0 / (PI * k as f64 * pitch).powi(2);
        (filter[k].re, filter[size - k].re) = (value, value);
    }
    forth.process(&mut filter);
    let scale = match scanner.beam {
        Beam::Parallel => pitch / size as f64,
        Beam::Fan(_) => 0.5 * pitch / size as f64,
    };
    for (k, f) in filter.iter_mut().enumerate() {
        let hann = 0.5 + 0.5 * libm::cos(TAU * k as f64 / size as f64);
        *f = Complex::new(f.re * hann * scale, 0.0);
    }
    let row = |row: &[f32]| -> Vec<f64> {
        let mut buffer = vec![Complex::new(0.0, 0.0); size];
        for (detector, (to, value)) in buffer.iter_mut().zip(row).enumerate() {
            let slant = match scanner.beam {
                Beam::Parallel => 1.0,
                Beam::Fan(source) => source / source.hypot(scanner.offset(detector)),
            };
            to.re = f64::from(*value) * slant;
        }
        forth.process(&mut buffer);
        buffer.iter_mut().zip(&filter).for_each(|(v, f)| *v *= f);
        back.process(&mut buffer);
        buffer[..n].iter().map(|v| v.re).collect()
    };
    values.par_chunks_exact(n).flat_map_iter(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Extent,
        signal::scan::{Ellipse, Phantom, Sinogram},
    };

    #[test]
    fn many_angles_give_back_the_values_of_discs() {
        let disc = |value, centre, axis: f64| Ellipse { value, centre, axes: [axis; 2], turn: 0.0 };
        let phantom = Phantom::of(vec![disc(0.8, [0.0; 2], 0.8), disc(-0.4, [0.3, -0.2], 0.25)], "discs", 64);
        for beam in [Beam::Parallel, Beam::Fan(2.5)] {
            for extent in [Extent::Disc, Extent::Square] {
                let scanner = Scanner {
                    beam,
                    extent,
                    angles: Beam::evenly(180, beam.period()),
                    detectors: Scanner::detectors_for(beam, extent, 64),
                };
                let sinogram = Sinogram::of(&phantom, &scanner, 0.0, 0);
                let found = filtered_back_projection(&scanner, &sinogram.values, 64);
                // Means well within each part.
                for (centre, radius, expected) in
                    [([0.3, -0.2], 0.15, 0.4), ([-0.4, 0.3], 0.15, 0.8), ([0.0, 0.0], 0.04, 0.8)]
                {
                    let near = |i: &usize| {
                        let p = middle(64, *i);
                        (p[0] - centre[0]).hypot(p[1] - centre[1]) < radius
                    };
                    let within: Vec<f64> = (0..64 * 64).filter(near).map(|i| f64::from(found[i])).collect();
                    let mean = within.iter().sum::<f64>() / within.len() as f64;
                    assert!((mean - expected).abs() < 0.01, "{beam:?} {extent:?} {centre:?}: {mean} {expected}");
                }
            }
        }
    }
}
