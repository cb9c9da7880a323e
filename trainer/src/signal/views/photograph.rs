//! A photograph with what it leaves transparent, scaled down by area.

use std::path::Path;

use image::ImageReader;

use super::PIXEL;
use crate::error::{Error, Result};

/// Red, green and blue times what they cover, and how much that is, `[width·height, 4]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Photograph {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<f32>,
}

impl Photograph {
    /// Reads a picture; its longer side is scaled down to `size` pixels unless that is 0 or it has fewer.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Signal`] naming the file.
    pub(super) fn read(path: &Path, size: usize) -> Result<Self> {
        let bytes = crate::file::read(path)?;
        let bad = |message: String| Error::Signal { path: path.into(), message };
        let reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
        let image = reader.map_err(|e| bad(e.to_string()))?.decode();
        let image =
            image.map_err(|e| bad(format!("found no picture that can be read ({e}), expected RGBA or RGB PNG")))?;
        let image = image.to_rgba32f();
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut pixels = image.into_raw();
        for pixel in pixels.chunks_exact_mut(PIXEL) {
            let alpha = pixel[3];
            pixel[..3].iter_mut().for_each(|c| *c *= alpha);
        }
        let longer = width.max(height);
        if size == 0 || longer <= size {
            return Ok(Self { width, height, pixels });
        }
        let scaled = |side: usize| ((side * size) as f64 / longer as f64).round().max(1.0) as usize;
        let (w, h) = (scaled(width), scaled(height));
        let rows = averaged(&pixels, width, w, 1, PIXEL);
        Ok(Self { width: w, height: h, pixels: averaged(&rows, height, h, w, PIXEL) })
    }
}

/// Means over equal shares of one axis: `[.., from, inner·width]` to `[.., to, inner·width]`.
fn averaged(values: &[f32], from: usize, to: usize, inner: usize, width: usize) -> Vec<f32> {
    let line = inner * width;
    let share = from as f64 / to as f64;
    let mut out = Vec::with_capacity(values.len() / from * to);
    for block in values.chunks_exact(from * line) {
        for n in 0..to {
            let (begin, end) = (n as f64 * share, (n + 1) as f64 * share);
            let mut sum = vec![0.0f64; line];
            for k in begin as usize..(end.ceil() as usize).min(from) {
                let part = (end.min((k + 1) as f64) - begin.max(k as f64)) / share;
                sum.iter_mut().zip(&block[k * line..]).for_each(|(s, v)| *s += part * f64::from(*v));
            }
            out.extend(sum.iter().map(|&s| s as f32));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_means_of_what_they_cover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        // A transparent pixel's colour must not show.
        let picture = image::RgbaImage::from_fn(4, 2, |x, _| {
            if x == 0 { image::Rgba([255, 255, 255, 0]) } else { image::Rgba([0, 51 * x as u8, 255, 255]) }
        });
        picture.save(&path).unwrap();
        let found = Photograph::read(&path, 2).unwrap();
        assert_eq!((found.width, found.height), (2, 1));
        let expected = [0.0, 0.1, 0.5, 0.5, 0.0, 0.5, 1.0, 1.0];
        for (a, b) in found.pixels.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{:?}", found.pixels);
        }
        let whole = Photograph::read(&path, 0).unwrap();
        assert_eq!((whole.width, whole.pixels[0], whole.pixels[3]), (4, 0.0, 0.0));
    }

    #[test]
    fn shares_that_are_not_whole_keep_the_mean() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        let found = averaged(&values, 5, 2, 1, 1);
        assert!((found[0] - 1.8).abs() < 1e-6 && (found[1] - 4.2).abs() < 1e-6, "{found:?}");
    }
}
