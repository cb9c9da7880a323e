//! Pictures in the bytes there are: JPEG at the quality that fits, PNG at the size that fits.

use image::{
    DynamicImage, ExtendedColorType, GenericImageView, GrayImage, ImageEncoder, RgbImage,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
    },
    imageops::FilterType as Resampling,
};
use rayon::prelude::*;

use super::Rival;
use crate::signal::{Layout, Signal, SignalKind};

/// Sizes that are tried, in parts of the picture's own.
const SCALES: [f64; 12] = [1.0, 0.84, 0.71, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25, 0.18, 0.125, 0.08];

/// Which codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Lossless at a smaller size.
    Png,
    /// Lossy, at a smaller size where that is better.
    Jpeg,
}

/// The best picture of at most `bytes` by `error`, brought back to full size; none when `signal` is no picture of one or
/// three channels of eight bits, or nothing fits.
pub fn picture(signal: &Signal, codec: Codec, bytes: usize, error: &(dyn Fn(&[f32]) -> f64 + Sync)) -> Option<Rival> {
    let whole = pixels(signal)?;
    let (width, height) = whole.dimensions();
    let tries = SCALES.into_par_iter().filter_map(|scale| {
        let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
        let small = match scale {
            1.0 => whole.clone(),
            _ => whole.resize_exact(side(width), side(height), Resampling::Lanczos3),
        };
        let (file, how) = match codec {
            Codec::Png => (png(&small)?, String::new()),
            Codec::Jpeg => jpeg(&small, bytes)?,
        };
        if file.len() > bytes {
            return None;
        }
        let back = image::load_from_memory(&file).ok()?;
        let back = if scale == 1.0 { back } else { back.resize_exact(width, height, Resampling::CatmullRom) };
        let raw = if signal.outputs.len() == 1 { back.into_luma8().into_raw() } else { back.into_rgb8().into_raw() };
        let values: Vec<f32> = raw.into_iter().map(f32::from).collect();
        let name = match codec {
            Codec::Png => "PNG",
            Codec::Jpeg => "JPEG",
        };
        let name = format!("{name} {}x{}{how}", small.width(), small.height());
        Some((error(&values), Rival { name, bytes: file.len(), operations: None, values }))
    });
    tries.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, rival)| rival)
}

/// Whether a picture can hold `signal`: one or three channels of eight bits.
pub fn is_picture(signal: &Signal) -> bool {
    pixels(signal).is_some()
}

fn pixels(signal: &Signal) -> Option<DynamicImage> {
    let Layout::Grid { axes, .. } = &signal.layout else { return None };
    if signal.kind != SignalKind::Image || signal.outputs.iter().any(|q| (q.lo, q.hi) != (0.0, 255.0)) {
        return None;
    }
    let (width, height) = (axes[0].count as u32, axes[1].count as u32);
    let raw: Vec<u8> = signal.values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
    match signal.outputs.len() {
        1 => GrayImage::from_raw(width, height, raw).map(DynamicImage::from),
        3 => RgbImage::from_raw(width, height, raw).map(DynamicImage::from),
        _ => None,
    }
}

fn png(picture: &DynamicImage) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive);
    let color: ExtendedColorType = picture.color().into();
    encoder.write_image(picture.as_bytes(), picture.width(), picture.height(), color).ok()?;
    Some(file)
}

/// At the best quality that fits.
fn jpeg(picture: &DynamicImage, bytes: usize) -> Option<(Vec<u8>, String)> {
    let encode = |quality: u8| -> Option<Vec<u8>> {
        let mut file = Vec::new();
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality)).ok()?;
        Some(file)
    };
    let (mut lo, mut hi) = (0u8, 101u8);
    let mut best = None;
    while hi - lo > 1 {
        let middle = lo + (hi - lo) / 2;
        let file = encode(middle)?;
        if file.len() <= bytes {
            best = Some((file, format!(" quality {middle}")));
            lo = middle;
        } else {
            hi = middle;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal;

    #[test]
    fn pictures_fit_their_bytes_and_more_bytes_are_better() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut rng = crate::rng::Rng::new(2);
        RgbImage::from_fn(64, 48, |x, y| image::Rgb([(4 * x) as u8, (5 * y) as u8, rng.below(64) as u8]))
            .save(&path)
            .unwrap();
        let signal = signal::load(&path, &signal::LoadOptions::default()).unwrap();
        let rmse = |fit: &[f32]| {
            let square: f64 = fit.iter().zip(&signal.values).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            (square / fit.len() as f64).sqrt()
        };
        for codec in [Codec::Png, Codec::Jpeg] {
            let errors = [1200, 4000].map(|bytes| {
                let rival = picture(&signal, codec, bytes, &rmse).unwrap();
                assert!(rival.bytes <= bytes && rival.values.len() == signal.values.len(), "{}", rival.name);
                rmse(&rival.values)
            });
            assert!(errors[1] < errors[0], "{codec:?} {errors:?}");
        }
        assert!(picture(&signal, Codec::Jpeg, 20, &rmse).is_none());
    }
}
