//! What a camera sees of a field of colours and densities.

use super::volume::{Pixel, VALUES, composite};
use crate::domain::{Bundle, Camera, Frame, March, Occupancy, Span};

/// Rays whose samples are evaluated together.
const TOGETHER: usize = 4096;

/// A picture of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Row by row from the top left.
    pub pixels: Vec<Pixel>,
}

impl Picture {
    /// What `camera` sees of the field that `evaluate` gives at points in world units, with directions behind them if
    /// `directions`: `[n, 3]` or `[n, 6] -> [n, 4]`, red, green, blue and density in 1/world unit. Samples lie in the
    /// middle of their steps, in occupied cells of `grid`.
    pub fn render(
        camera: &Camera,
        grid: &Occupancy,
        march: &March,
        directions: bool,
        evaluate: &dyn Fn(&[f32]) -> Vec<f32>,
    ) -> Self {
        let (count, frame) = (camera.pixels(), Frame::world(directions));
        let mut pixels = vec![Pixel::default(); count];
        for (part, pixels) in pixels.chunks_mut(TOGETHER).enumerate() {
            let span = |n: usize| {
                let ray = camera.ray(part * TOGETHER + n);
                let span = grid.region().cross(&ray).map(|(from, to)| Span { ray, from, to });
                (span, None)
            };
            let bundle = Bundle::collect(pixels.len(), span, grid, march, &frame);
            let y = evaluate(&bundle.points);
            for (ray, pair) in bundle.rays.iter().zip(bundle.offsets.windows(2)) {
                let (from, to) = (pair[0] as usize, pair[1] as usize);
                let places = bundle.distances[from..to].iter().copied().zip(bundle.lengths[from..to].iter().copied());
                pixels[*ray as usize] = composite(&y[VALUES * from..VALUES * to], places);
            }
        }
        Self { width: camera.width, height: camera.height, pixels }
    }

    /// Colours in front of a background, `[pixels, 3]`.
    pub fn over(&self, background: [f32; 3]) -> Vec<f32> {
        self.pixels.iter().flat_map(|p| p.over(background)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Region, tolerance};

    #[test]
    fn a_box_of_constant_density_is_seen_as_the_closed_form_says() {
        let region = Region { lo: [-0.5; 3], hi: [0.5, 0.5, 1.0] };
        let camera = Camera::look_at((32, 24), 0.5, [3.0, 1.0, 2.0], [0.0, 0.0, 0.2]).unwrap();
        let grid = Occupancy::new(region, 1, 0.0);
        let step = 0.001;
        let march = March { step, most: 0, depth: f32::MAX };
        let (density, background) = (1.3f32, [0.2, 0.9, 0.5]);
        let field = |x: &[f32]| -> Vec<f32> { x.chunks(3).flat_map(|_| [0.7, 0.2, 0.4, density]).collect() };
        let found = Picture::render(&camera, &grid, &march, false, &field).over(background);
        let mut met = 0;
        for index in 0..camera.pixels() {
            let length = region.cross(&camera.ray(index)).map_or(0.0, |(from, to)| to - from);
            met += usize::from(length > 0.0);
            let pass = (-f64::from(density * length)).exp();
            for (k, colour) in [0.7, 0.2, 0.4].into_iter().enumerate() {
                let expected = colour * (1.0 - pass) + pass * f64::from(background[k]);
                // The last step may reach out of the box.
                let bound = tolerance::RENDER + f64::from(density * step);
                assert!((f64::from(found[3 * index + k]) - expected).abs() < bound, "pixel {index}");
            }
        }
        assert!((100..700).contains(&met), "{met}");
    }
}
