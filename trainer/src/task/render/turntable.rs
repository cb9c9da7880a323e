//! The scene from all around, as an animated GIF.

use std::path::Path;

use image::{
    DynamicImage, Frame,
    codecs::gif::{GifEncoder, Repeat},
};

use super::Field;
use crate::{
    domain::Camera,
    error::{Error, Result},
    evaluate::Evaluator,
    file::write_atomically,
    observation::Picture,
    plot,
};

/// Fewest pixels across.
const WIDTH: usize = 128;
/// Milliseconds of a full turn.
const TURN: u32 = 4000;

/// Writes `frames` pictures of a full turn around the middle of the scene's box, as high above it and as far away as the
/// photographs' cameras are on average.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write(
    field: &Field,
    frames: usize,
    background: [f32; 3],
    model: &dyn Evaluator,
    path: &Path,
) -> Result<()> {
    let failed = |e: image::ImageError| Error::Training(format!("cannot encode the turntable: {e}"));
    let mut bytes = Vec::new();
    {
        // 1 is the most careful choice of colours, 30 the fastest.
        let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
        encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
        let delay = image::Delay::from_numer_denom_ms(TURN, frames as u32);
        for camera in cameras(field, frames)? {
            let (march, directions) = (field.thorough(), field.directions());
            let picture = Picture::render(&camera, &field.grid, &march, directions, &|x| model.evaluate(x));
            let picture = plot::rgb(&picture.over(background), (picture.width, picture.height));
            let picture = DynamicImage::from(picture).into_rgba8();
            encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).map_err(failed)?;
        }
    }
    write_atomically(path, &bytes)
}

fn cameras(field: &Field, frames: usize) -> Result<Vec<Camera>> {
    let views = &field.views.training;
    let region = field.grid.region();
    let middle: [f64; 3] = std::array::from_fn(|k| f64::from(0.5 * (region.lo[k] + region.hi[k])));
    let (mut height, mut distance) = (0.0, 0.0);
    for view in views {
        let from: [f64; 3] = std::array::from_fn(|k| view.camera.position()[k] - middle[k]);
        distance += from[0].hypot(from[1]).hypot(from[2]) / views.len() as f64;
        height += from[2] / views.len() as f64;
    }
    // Not from straight above, where there is no up.
    let height = height.clamp(-0.95 * distance, 0.95 * distance);
    let flat = (distance * distance - height * height).sqrt();
    let camera = &views[0].camera;
    let camera = camera.resized(camera.width.max(WIDTH));
    let at = |n: usize| {
        let angle = std::f64::consts::TAU * n as f64 / frames as f64;
        let from = [middle[0] + flat * angle.cos(), middle[1] + flat * angle.sin(), middle[2] + height];
        Camera::look_at((camera.width, camera.height), camera.angle(), from, middle)
            .map_err(|e| Error::Training(format!("cannot turn around the scene: {e}")))
    };
    (0..frames).map(at).collect()
}
