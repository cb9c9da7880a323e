//! Pictures where people look rather than read.

mod chart;
mod colour;
mod comparison;
mod heat;
mod loss;
mod scan;
mod solid;
mod views;

use std::{io::Cursor, path::Path, sync::Once};

use image::{ImageFormat, RgbImage};
use plotters::{
    coord::Shift,
    prelude::{BitMapBackend, DrawingArea, IntoDrawingArea, WHITE},
    style::{FontStyle, register_font},
};

pub use chart::{Chart, Line, Spacing, Stroke, mosaic};
pub use comparison::{comparison, sheet};
pub use heat::{HeatMap, Surface};
pub use loss::{CurvePoint, loss_curve};
pub use scan::{grey, signed};
pub use solid::{Field, March, View};
pub use views::{ViewPanels, rgb, views};

use crate::{
    error::{Error, Result},
    file::write_atomically,
};

/// A subset of DejaVu Sans; its licence lies beside it.
pub(crate) const FONT: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// A white picture of this size, drawn on by `draw`.
fn canvas(width: u32, height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<RgbImage> {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // The only failure is a font that does not parse, and this one is bundled.
        let _ = register_font("sans-serif", FontStyle::Normal, FONT);
    });
    let mut buffer = vec![0; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut buffer, (width, height)).into_drawing_area();
        let failed = |e: Box<dyn std::error::Error>| Error::Training(format!("cannot draw: {e}"));
        area.fill(&WHITE).map_err(|e| failed(e.into()))?;
        draw(&area).map_err(failed)?;
        area.present().map_err(|e| failed(e.into()))?;
    }
    Ok(RgbImage::from_raw(width, height, buffer).expect("the buffer has this size"))
}

/// A picture as the bytes of a PNG.
///
/// # Errors
/// Those of the encoder.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Error::Training(format!("cannot encode a picture: {e}")))?;
    Ok(bytes.into_inner())
}

/// Writes a picture as PNG, whole or not at all.
///
/// # Errors
/// [`Error::Io`] when it cannot be written.
pub fn save_png(path: &Path, picture: &RgbImage) -> Result<()> {
    write_atomically(path, &png(picture)?)
}

/// Ends of a set of numbers, widened a little so that marks do not sit on the frame.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (lo, hi) =
        values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo > hi {
        return (0.0, 1.0);
    }
    let margin = if hi > lo { 0.05 * (hi - lo) } else { 0.5 };
    (lo - margin, hi + margin)
}
