//! Square colour pictures for comparisons: photographs cut and scaled, and words set in type.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::{ImageReader, Rgb32FImage, imageops};

use crate::{
    error::{Error, Result},
    plot::FONT,
    rng::Rng,
};

/// A picture of `side` x `side` pixels, red, green and blue in [0, 1], row by row from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct SquarePicture {
    /// What it shows.
    pub name: String,
    /// Pixels along a side.
    pub side: usize,
    /// `[side·side, 3]`
    pub values: Vec<f32>,
}

/// The largest square in the middle of a photograph, scaled down to `side`.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Signal`] when it is no image or smaller than that.
pub fn photograph(path: &Path, side: usize) -> Result<SquarePicture> {
    let bytes = crate::file::read(path)?;
    let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    photograph_from(&bytes, name, side).map_err(|message| Error::Signal { path: path.into(), message })
}

/// The same of the bytes of a file.
///
/// # Errors
/// What was found and what was expected.
pub fn photograph_from(bytes: &[u8], name: String, side: usize) -> std::result::Result<SquarePicture, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let image = reader.decode().map_err(|e| format!("found no PNG, JPEG or TIFF that can be read ({e})"))?;
    let short = image.width().min(image.height());
    if (short as usize) < side {
        return Err(format!(
            "found {}x{} pixels, expected at least {side} along each side",
            image.width(),
            image.height()
        ));
    }
    let (left, top) = ((image.width() - short) / 2, (image.height() - short) / 2);
    let square = image.crop_imm(left, top, short, short).to_rgb32f();
    let scaled = imageops::resize(&square, side as u32, side as u32, imageops::FilterType::Triangle);
    Ok(SquarePicture { name, side, values: clamped(scaled) })
}

fn clamped(image: Rgb32FImage) -> Vec<f32> {
    image.into_raw().into_iter().map(|v| v.clamp(0.0, 1.0)).collect()
}

/// The photographs in `paths`, files or folders of them, by name.
///
/// # Errors
/// [`Error::Signal`] when a folder holds none, [`Error::Io`] when one cannot be read.
pub fn photographs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let io = |source| Error::Io { path: path.clone(), action: "read folder", source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(io)? {
            let file = entry.map_err(io)?.path();
            let extension = file.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase());
            if ["png", "jpg", "jpeg", "tif", "tiff"].contains(&extension.as_str()) {
                found.push(file);
            }
        }
        if found.is_empty() {
            let message = "found no picture in the folder, expected PNG, JPEG or TIFF files".into();
            return Err(Error::Signal { path: path.clone(), message });
        }
        found.sort();
        all.extend(found);
    }
    Ok(all)
}

/// Words that text pictures are made of.
const WORDS: [&str; 48] = [
    "weight", "random", "factor", "signal", "network", "layer", "phase", "field", "sensor", "wave", "scale", "depth",
    "line", "small", "large", "bright", "river", "mountain", "orange", "window", "garden", "winter", "summer", "music",
    "table", "letter", "paper", "silver", "bridge", "harbour", "island", "forest", "stone", "yellow", "candle",
    "mirror", "basket", "feather", "copper", "violin", "anchor", "meadow", "lantern", "thunder", "velvet", "pepper",
    "quartz", "jigsaw",
];

/// Rows of random words in random sizes and dark colours on white, another picture for another seed.
pub fn words(seed: u64, side: usize) -> SquarePicture {
    let font = FontRef::try_from_slice(FONT).expect("the bundled font parses");
    let mut rng = Rng::new(seed).stream("words");
    let mut values = vec![1.0f32; side * side * 3];
    let unit = side as f64 / 16.0;
    let mut y = 0.2 * unit;
    while y < side as f64 - unit {
        let size = unit * (1.0 + 1.6 * rng.uniform());
        let scale = PxScale::from(size as f32);
        let scaled = font.as_scaled(scale);
        let mut x = (0.2 + 0.8 * rng.uniform()) * unit;
        while x < side as f64 - unit {
            let word = WORDS[rng.below(WORDS.len())];
            let ink: [f32; 3] = std::array::from_fn(|_| (0.6 * rng.uniform()) as f32);
            for letter in word.chars() {
                let glyph =
                    font.glyph_id(letter).with_scale_and_position(scale, point(x as f32, y as f32 + scaled.ascent()));
                x += f64::from(scaled.h_advance(font.glyph_id(letter)));
                let Some(outline) = font.outline_glyph(glyph) else { continue };
                let bounds = outline.px_bounds();
                outline.draw(|dx, dy, cover| {
                    let (px, py) = (bounds.min.x as i64 + i64::from(dx), bounds.min.y as i64 + i64::from(dy));
                    let inside = |v: i64| (0..side as i64).contains(&v);
                    if inside(px) && inside(py) {
                        let at = (py as usize * side + px as usize) * 3;
                        for (value, ink) in values[at..at + 3].iter_mut().zip(ink) {
                            *value += cover.clamp(0.0, 1.0) * (ink - *value);
                        }
                    }
                });
            }
            x += 0.4 * size;
        }
        y += 1.15 * size;
    }
    SquarePicture { name: format!("text{seed}"), side, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_there_and_another_seed_has_others() {
        let a = words(0, 96);
        assert_eq!(a, words(0, 96));
        assert_ne!(a.values, words(1, 96).values);
        let dark = a.values.iter().filter(|v| **v < 0.7).count() as f64 / a.values.len() as f64;
        assert!((0.08..0.5).contains(&dark), "{dark}");
        let font = FontRef::try_from_slice(FONT).unwrap();
        assert!(WORDS.iter().flat_map(|w| w.chars()).all(|c| font.glyph_id(c).0 != 0));
    }

    #[test]
    fn a_photograph_is_cut_to_its_middle() {
        let image =
            image::RgbImage::from_fn(40, 20, |x, _| image::Rgb([if (10..30).contains(&x) { 255 } else { 0 }, 0, 0]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let square = photograph_from(bytes.get_ref(), "p".into(), 10).unwrap();
        assert_eq!(square.values.len(), 300);
        assert!(square.values.chunks(3).all(|p| p[0] > 0.99 && p[1] == 0.0));
        assert!(photograph_from(bytes.get_ref(), "p".into(), 21).unwrap_err().contains("40x20"));
        assert!(photograph_from(b"no", "p".into(), 1).is_err());
    }

    #[test]
    fn an_empty_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = photographs(&[folder.path().to_path_buf()]).unwrap_err();
        assert!(error.to_string().contains("found no picture") && error.exit_code() == 2);
    }
}
