//! Images: pixels at whole coordinates x, y over [-0.5, width - 0.5] x [-0.5, height - 0.5], values as stored.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageFormat, ImageReader};
use tiff::{
    ColorType,
    decoder::{Decoder, DecodingResult},
    encoder::{TiffEncoder, colortype},
};

use super::{Axis, Layout, Order, Quantity, Sampling, Signal, SignalKind, range, widened};

/// Reads PNG, JPEG or TIFF.
pub(super) fn load(bytes: &[u8], name: String) -> Result<Signal, String> {
    let is_tiff = bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*");
    let pixels = if is_tiff { read_tiff(bytes)? } else { read_common(bytes)? };
    let Pixels { width, height, channels, values, nominal } = pixels;
    if width == 0 || height == 0 {
        return Err(format!("found {width}x{height} pixels, expected at least one"));
    }
    let names: &[&str] = match channels {
        1 => &["grey"],
        2 => &["grey", "alpha"],
        3 => &["red", "green", "blue"],
        4 => &["red", "green", "blue", "alpha"],
        n => return Err(format!("found {n} channels, expected 1 to 4")),
    };
    let outputs = names
        .iter()
        .enumerate()
        .map(|(k, name)| {
            let (lo, hi) = nominal.map_or_else(|| widened(range(&values, k, channels)), |top| (0.0, top));
            Quantity::new(name, "", lo, hi)
        })
        .collect();
    let input = |name, count: usize| Quantity::new(name, "px", -0.5, count as f64 - 0.5);
    let axis = |count| Axis { start: 0.0, step: 1.0, count };
    Ok(Signal {
        kind: SignalKind::Image,
        name,
        inputs: vec![input("x", width), input("y", height)],
        outputs,
        layout: Layout::Grid {
            axes: vec![axis(width), axis(height)],
            sampling: Sampling::Cell,
            order: Order::FirstFastest,
        },
        values,
    })
}

struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    values: Vec<f32>,
    /// Largest value the file could hold; none for floating point.
    nominal: Option<f64>,
}

fn read_common(bytes: &[u8]) -> Result<Pixels, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err("found no image, expected PNG, JPEG or TIFF".into());
    }
    let image = reader.decode().map_err(|e| format!("the image is damaged or truncated: {e}"))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let channels = usize::from(image.color().channel_count());
    let wide = |v: Vec<u16>| (v.into_iter().map(f32::from).collect(), Some(65_535.0));
    let narrow = |v: Vec<u8>| (v.into_iter().map(f32::from).collect(), Some(255.0));
    let (values, nominal) = match image {
        DynamicImage::ImageLuma16(i) => wide(i.into_raw()),
        DynamicImage::ImageLumaA16(i) => wide(i.into_raw()),
        DynamicImage::ImageRgb16(i) => wide(i.into_raw()),
        DynamicImage::ImageRgba16(i) => wide(i.into_raw()),
        other => narrow(other.into_bytes()),
    };
    Ok(Pixels { width, height, channels, values, nominal })
}

fn read_tiff(bytes: &[u8]) -> Result<Pixels, String> {
    let damaged = |e: tiff::TiffError| format!("the TIFF is damaged or of an unknown form: {e}");
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let channels = match decoder.colortype().map_err(damaged)? {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) => 2,
        ColorType::RGB(_) => 3,
        ColorType::RGBA(_) => 4,
        other => return Err(format!("found colours {other:?}, expected grey, RGB or RGBA")),
    };
    let (values, nominal): (Vec<f32>, _) = match decoder.read_image().map_err(damaged)? {
        DecodingResult::U8(v) => (v.into_iter().map(f32::from).collect(), Some(255.0)),
        DecodingResult::U16(v) => (v.into_iter().map(f32::from).collect(), Some(65_535.0)),
        DecodingResult::I16(v) => (v.into_iter().map(f32::from).collect(), None),
        DecodingResult::F32(v) => (v, None),
        DecodingResult::F64(v) => (v.into_iter().map(|v| v as f32).collect(), None),
        _ => return Err("found samples of an unknown type, expected u8, u16, i16, f32 or f64".into()),
    };
    let (width, height) = (width as usize, height as usize);
    if values.len() != width * height * channels {
        return Err(format!("found {} values, expected {width}x{height}x{channels}", values.len()));
    }
    Ok(Pixels { width, height, channels, values, nominal })
}

/// Width and height of a signal that can be a picture.
fn size(signal: &Signal) -> Result<(u32, u32), String> {
    match &signal.layout {
        Layout::Grid { axes, order, .. } if axes.len() == 2 && signal.outputs.len() <= 4 => {
            let (first, second) = (axes[0].count as u32, axes[1].count as u32);
            Ok(match order {
                Order::FirstFastest => (first, second),
                Order::LastFastest => (second, first),
            })
        }
        _ => Err("found no picture, expected 2 inputs on a grid and at most 4 outputs (npy and csv hold any)".into()),
    }
}

/// PNG of 16 bits where the signal's range says so, else of 8 bits; values in other units are stretched to them.
pub(super) fn png(signal: &Signal) -> Result<Vec<u8>, String> {
    let (width, height) = size(signal)?;
    let channels = signal.outputs.len();
    let deep = signal.outputs.iter().all(|o| o.lo == 0.0 && o.hi == 65_535.0);
    let top = if deep { 65_535.0 } else { 255.0 };
    let levels = signal.values.iter().enumerate().map(|(i, &v)| {
        let o = &signal.outputs[i % channels];
        (top * (f64::from(v) - o.lo) / (o.hi - o.lo)).round().clamp(0.0, top)
    });
    let image = if deep {
        let levels: Vec<u16> = levels.map(|v| v as u16).collect();
        match channels {
            1 => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLuma16),
            2 => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLumaA16),
            3 => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgb16),
            _ => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgba16),
        }
    } else {
        let levels: Vec<u8> = levels.map(|v| v as u8).collect();
        match channels {
            1 => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLuma8),
            2 => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLumaA8),
            3 => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgb8),
            _ => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgba8),
        }
    };
    let mut bytes = Cursor::new(Vec::new());
    let image = image.ok_or("the values do not fill the picture")?;
    image.write_to(&mut bytes, ImageFormat::Png).map_err(|e| e.to_string())?;
    Ok(bytes.into_inner())
}

/// TIFF of f32 values as they are.
pub(super) fn tiff(signal: &Signal) -> Result<Vec<u8>, String> {
    let (width, height) = size(signal)?;
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).map_err(|e| e.to_string())?;
    let values = &signal.values;
    match signal.outputs.len() {
        1 => encoder.write_image::<colortype::Gray32Float>(width, height, values),
        3 => encoder.write_image::<colortype::RGB32Float>(width, height, values),
        4 => encoder.write_image::<colortype::RGBA32Float>(width, height, values),
        n => return Err(format!("found {n} outputs, expected 1, 3 or 4 for a TIFF")),
    }
    .map_err(|e| e.to_string())?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(channels: usize, top: f64) -> Signal {
        let (w, h) = (5, 3);
        let pixels = Pixels {
            width: w,
            height: h,
            channels,
            values: (0..w * h * channels).map(|i| (i * 4) as f32).collect(),
            nominal: Some(top),
        };
        let names = ["a", "b", "c", "d"];
        let axis = |count| Axis { start: 0.0, step: 1.0, count };
        Signal {
            kind: SignalKind::Image,
            name: "g".into(),
            inputs: vec![Quantity::new("x", "px", -0.5, 4.5), Quantity::new("y", "px", -0.5, 2.5)],
            outputs: names[..channels].iter().map(|n| Quantity::new(n, "", 0.0, top)).collect(),
            layout: Layout::Grid { axes: vec![axis(w), axis(h)], sampling: Sampling::Cell, order: Order::FirstFastest },
            values: pixels.values,
        }
    }

    #[test]
    fn png_keeps_8_and_16_bits_of_every_number_of_channels() {
        for channels in 1..=4 {
            for top in [255.0, 65_535.0] {
                let signal = gradient(channels, top);
                let back = load(&png(&signal).unwrap(), "g".into()).unwrap();
                assert_eq!((back.values, back.layout, back.inputs), (signal.values, signal.layout, signal.inputs));
                assert_eq!(back.outputs[0].hi, top);
            }
        }
    }

    #[test]
    fn tiff_keeps_floats() {
        for channels in [1, 3, 4] {
            let mut signal = gradient(channels, 1.0);
            signal.values.iter_mut().for_each(|v| *v = *v * 0.37 - 5.5);
            let back = load(&tiff(&signal).unwrap(), "g".into()).unwrap();
            assert_eq!(back.values, signal.values);
            assert_eq!(back.outputs[0].lo, -5.5);
        }
    }

    #[test]
    fn damaged_images_say_so() {
        let whole = png(&gradient(3, 255.0)).unwrap();
        assert!(load(&whole[..whole.len() / 2], String::new()).unwrap_err().contains("truncated"));
        assert!(load(b"hello", String::new()).unwrap_err().contains("expected PNG"));
        assert!(load(b"II*\0xxxx", String::new()).unwrap_err().contains("TIFF"));
    }
}
