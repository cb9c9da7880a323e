//! Volume rendering: colours and densities along a ray to what a pixel shows (Max 1995; Mildenhall et al. 2020,
//! equation 3), and its exact gradient back to every sample.
//!
//! A network gives red, green, blue and density at a sample, each in [0, 1] behind a sigmoid; the density in 1/world unit
//! is that times a largest one. Where it is small this is the exponential of the network's last layer, and it cannot
//! overflow.

use crate::engine::Observation;

/// Values of a sample: three colours and a density.
pub const VALUES: usize = 4;

/// What a pixel shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pixel {
    /// Red, green and blue times what they cover, nothing behind them.
    pub colour: [f32; 3],
    /// Share of the light from behind that is held back, 0 to 1.
    pub opacity: f32,
    /// Mean distance of what is seen, times the opacity.
    pub depth: f32,
}

impl Pixel {
    /// The colour in front of a background.
    pub fn over(&self, background: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|k| self.colour[k] + (1.0 - self.opacity) * background[k])
    }
}

/// The pixel that samples at distances `t` with these `lengths` make, from their values `y` `[n, 4]` with densities in
/// 1/world unit.
pub fn composite(y: &[f32], t: impl Iterator<Item = (f32, f32)>) -> Pixel {
    let mut pixel = Pixel::default();
    let mut light = 1.0f32;
    for (y, (t, length)) in y.chunks_exact(VALUES).zip(t) {
        let pass = libm::expf(-y[3] * length);
        let weight = light * (1.0 - pass);
        pixel.colour.iter_mut().zip(y).for_each(|(c, y)| *c += weight * y);
        pixel.depth += weight * t;
        light *= pass;
    }
    pixel.opacity = 1.0 - light;
    pixel
}

/// What stands behind a scene when a render is compared with a photograph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Background {
    /// This colour.
    Colour([f32; 3]),
    /// Every colour alike: the mean of the squared error over all colours of [0, 1]³ behind both. A photograph's
    /// transparency is then part of what is measured.
    Any,
}

/// Photographs along rays of different numbers of samples: the squared error of each pixel's colour.
#[derive(Debug, Clone, Copy)]
pub struct Rays<'a> {
    /// Where the samples of each ray begin, and where the last end, `[rays + 1]`.
    pub offsets: &'a [u32],
    /// Length of ray each sample stands for, in world units, `[samples]`.
    pub lengths: &'a [f32],
    /// Red, green and blue times what they cover, and how much that is, `[rays, 4]`.
    pub measured: &'a [f32],
    /// What stands behind.
    pub background: Background,
    /// Density of a value of 1, in 1/world unit.
    pub density: f32,
    /// Rays the mean is over; those without samples are not here.
    pub mean_over: usize,
}

impl Rays<'_> {
    /// One ray: the squared error of its pixel, and its gradient with respect to `y` `[samples, 4]`.
    fn ray(&self, y: &[f32], lengths: &[f32], measured: &[f32], dy: &mut [f32]) -> f64 {
        let (mut light, mut colour) = (1.0f32, [0.0f32; 3]);
        // On the way out dy holds each sample's weight and the light that is left behind it.
        for ((y, dy), length) in y.chunks_exact(VALUES).zip(dy.chunks_exact_mut(VALUES)).zip(lengths) {
            let pass = libm::expf(-self.density * y[3] * length);
            let weight = light * (1.0 - pass);
            colour.iter_mut().zip(y).for_each(|(c, y)| *c += weight * y);
            light *= pass;
            (dy[0], dy[1]) = (weight, light);
        }
        let opacity = 1.0 - light;
        let (loss, slope, slope_opacity) = self.background.error(colour, opacity, measured);
        let scale = 1.0 / self.mean_over as f32;
        let mut behind = 0.0f32;
        for ((y, dy), length) in y.chunks_exact(VALUES).zip(dy.chunks_exact_mut(VALUES)).zip(lengths).rev() {
            let (weight, left) = (dy[0], dy[1]);
            // What a unit of this sample's weight does to the loss.
            let worth = slope[0] * y[0] + slope[1] * y[1] + slope[2] * y[2] + slope_opacity;
            for (dy, slope) in dy.iter_mut().zip(slope) {
                *dy = scale * weight * slope;
            }
            // More density here: more of this sample, less of those behind it.
            dy[3] = scale * self.density * length * (left * worth - behind);
            behind += weight * worth;
        }
        f64::from(loss) * f64::from(scale)
    }
}

impl Background {
    /// Mean over the three colours of the squared error of a pixel, and its slopes with respect to colour and opacity.
    pub fn error(self, colour: [f32; 3], opacity: f32, measured: &[f32]) -> (f32, [f32; 3], f32) {
        let cover = opacity - measured[3];
        // Behind both stands the same colour b: the difference is that of the colours less b times that of the opacities.
        // Over all b in [0, 1] its square has the mean (d - a/2)² + a²/12.
        let (middle, spread) = match self {
            Self::Colour(colour) => (colour, 0.0),
            Self::Any => ([0.5; 3], 1.0 / 12.0),
        };
        let (mut loss, mut slope, mut slope_opacity) = (0.0, [0.0; 3], 0.0);
        for k in 0..3 {
            let error = colour[k] - measured[k] - middle[k] * cover;
            loss += (error * error + spread * cover * cover) / 3.0;
            slope[k] = 2.0 / 3.0 * error;
            slope_opacity += 2.0 / 3.0 * (spread * cover - middle[k] * error);
        }
        (loss, slope, slope_opacity)
    }
}

impl Observation for Rays<'_> {
    fn group(&self) -> usize {
        1
    }

    fn offsets(&self) -> Option<&[u32]> {
        Some(self.offsets)
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let begin = self.offsets[first] as usize;
        let (mut loss, mut at) = (0.0, 0);
        for (ray, pair) in (first..).zip(self.offsets[first..].windows(2)) {
            if at == y.len() {
                break;
            }
            let end = VALUES * (pair[1] as usize - begin);
            let measured = &self.measured[ray * VALUES..(ray + 1) * VALUES];
            let lengths = &self.lengths[pair[0] as usize..pair[1] as usize];
            loss += self.ray(&y[at..end], lengths, measured, &mut dy[at..end]);
            at = end;
        }
        loss
    }
}

/// Points where nothing is: the mean of the densities there, values in [0, 1], so that a model holds no fog where no
/// ray looked for it.
#[derive(Debug, Clone, Copy)]
pub struct Empty {
    /// Number of points.
    pub points: usize,
}

impl Observation for Empty {
    fn group(&self) -> usize {
        1
    }

    fn pull(&self, _: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let weight = 1.0 / self.points as f32;
        let mut sum = 0.0;
        for (y, dy) in y.chunks_exact(VALUES).zip(dy.chunks_exact_mut(VALUES)) {
            sum += f64::from(y[3]);
            dy.copy_from_slice(&[0.0, 0.0, 0.0, weight]);
        }
        sum * f64::from(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng::Rng, tolerance};

    #[test]
    fn a_box_of_constant_density_is_as_opaque_as_the_closed_form_says() {
        let (density, length, colour) = (1.7f32, 2.0f32, [0.9f32, 0.3, 0.1]);
        let expected = 1.0 - (-f64::from(density * length)).exp();
        for samples in [1, 7, 64] {
            let step = length / samples as f32;
            let y: Vec<f32> = (0..samples).flat_map(|_| [colour[0], colour[1], colour[2], density]).collect();
            let pixel = composite(&y, (0..samples).map(|n| (3.0 + (n as f32 + 0.5) * step, step)));
            assert!((f64::from(pixel.opacity) - expected).abs() < tolerance::RENDER, "{samples}: {pixel:?}");
            for (found, colour) in pixel.over([1.0; 3]).into_iter().zip(colour) {
                let expected = f64::from(colour) * expected + 1.0 - expected;
                assert!((f64::from(found) - expected).abs() < tolerance::RENDER, "{samples}: {found} {expected}");
            }
        }
        // The mean distance of an exponential distribution cut off at the box's end.
        let (samples, sigma, end) = (4000, f64::from(density), f64::from(length));
        let step = length / samples as f32;
        let y = [colour[0], colour[1], colour[2], density].repeat(samples);
        let pixel = composite(&y, (0..samples).map(|n| (3.0 + (n as f32 + 0.5) * step, step)));
        let mean = 1.0 / sigma - end * (-sigma * end).exp() / expected;
        assert!((f64::from(pixel.depth) / expected - 3.0 - mean).abs() < 1e-4, "{pixel:?} {mean}");
    }

    #[test]
    fn any_background_is_the_mean_over_backgrounds() {
        let (colour, opacity, measured) = ([0.2, 0.5, 0.1], 0.6, [0.1, 0.3, 0.2, 0.9]);
        let (found, ..) = Background::Any.error(colour, opacity, &measured);
        let mut rng = Rng::new(3);
        let n = 100_000;
        let mean = (0..n).map(|_| {
            let b = std::array::from_fn(|_| rng.uniform() as f32);
            f64::from(Background::Colour(b).error(colour, opacity, &measured).0)
        });
        let mean = mean.sum::<f64>() / f64::from(n);
        assert!((mean / f64::from(found) - 1.0).abs() < 0.01, "{mean} {found}");
    }

    /// The loss of one ray in f64, from scratch.
    fn loss_f64(y: &[f64], lengths: &[f32], measured: &[f32], background: Background, density: f64) -> f64 {
        let (mut light, mut colour) = (1.0, [0.0; 3]);
        for (y, length) in y.chunks(4).zip(lengths) {
            let pass = (-density * y[3] * f64::from(*length)).exp();
            (0..3).for_each(|k| colour[k] += light * (1.0 - pass) * y[k]);
            light *= pass;
        }
        let cover = 1.0 - light - f64::from(measured[3]);
        let each = (0..3).map(|k| {
            let d = colour[k] - f64::from(measured[k]);
            match background {
                Background::Colour(b) => (d - f64::from(b[k]) * cover).powi(2),
                // The integral over b of (d - b·cover)².
                Background::Any => d * d - d * cover + cover * cover / 3.0,
            }
        });
        each.sum::<f64>() / 3.0
    }

    #[test]
    fn gradients_equal_differences() {
        let mut rng = Rng::new(1);
        let offsets = [0u32, 1, 6, 9];
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.uniform() as f32).collect() };
        let (y, measured) = (draw(36), draw(12));
        let lengths: Vec<f32> = draw(9).iter().map(|l| 0.1 + 0.2 * l).collect();
        for background in [Background::Any, Background::Colour([1.0, 0.5, 0.0])] {
            let rays = Rays {
                offsets: &offsets,
                lengths: &lengths,
                measured: &measured,
                background,
                density: 8.0,
                mean_over: 5,
            };
            let loss = |y: &[f64]| {
                let each = (0..3).map(|r| {
                    let (from, to) = (offsets[r] as usize, offsets[r + 1] as usize);
                    let measured = &measured[4 * r..4 * r + 4];
                    loss_f64(&y[4 * from..4 * to], &lengths[from..to], measured, background, 8.0)
                });
                each.sum::<f64>() / 5.0
            };
            let mut dy = [f32::NAN; 36];
            // In two pieces, as an engine asks for them.
            let found = rays.pull(0, &y[..4], &mut dy[..4]) + rays.pull(1, &y[4..], &mut dy[4..]);
            let mut at: Vec<f64> = y.iter().map(|&v| f64::from(v)).collect();
            assert!((found - loss(&at)).abs() < tolerance::RENDER, "{found}");
            let largest = dy.iter().fold(0.0f32, |m, d| m.max(d.abs()));
            for i in 0..36 {
                let (h, here) = (1e-5, at[i]);
                let mut moved = |to| {
                    at[i] = to;
                    loss(&at)
                };
                let expected = (moved(here + h) - moved(here - h)) / (2.0 * h);
                at[i] = here;
                let error = (f64::from(dy[i]) - expected).abs() / f64::from(largest);
                assert!(error < tolerance::GRADIENT, "{background:?} {i}: {} {expected}", dy[i]);
            }
        }
    }

    #[test]
    fn empty_points_pull_densities_down_and_nothing_else() {
        let mut dy = [f32::NAN; 8];
        let loss = Empty { points: 2 }.pull(0, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], &mut dy);
        assert!((loss - 0.6).abs() < 1e-6);
        assert_eq!(dy, [0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5]);
    }
}
