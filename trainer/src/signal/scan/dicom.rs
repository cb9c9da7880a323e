//! One slice of a DICOM file, in the unit its rescale slope and intercept give: Hounsfield units for a CT.

use std::path::Path;

use dicom_object::{DefaultDicomObject, Tag, open_file};
use dicom_pixeldata::PixelDecoder;

const MODALITY: Tag = Tag(0x0008, 0x0060);
const PIXEL_SPACING: Tag = Tag(0x0028, 0x0030);
const RESCALE_TYPE: Tag = Tag(0x0028, 0x1054);

/// What is below the value of nothing at all, in HU: scanners mark so what they did not see.
const NOTHING: f32 = -1024.0;

/// A slice, row by row from the top.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) values: Vec<f32>,
    /// HU, or what the file says; empty when it says nothing.
    pub(super) unit: String,
    /// Millimetres between two pixels, where the file tells.
    pub(super) spacing: Option<f64>,
    pub(super) notes: Vec<String>,
}

/// Reads the first frame of a file.
pub(super) fn load(path: &Path) -> Result<Slice, String> {
    let object = open_file(path).map_err(|e| format!("found no DICOM that can be read: {}", causes(&e)))?;
    let modality = text(&object, MODALITY).unwrap_or_default();
    let pixels =
        object.decode_pixel_data().map_err(|e| format!("found no pixel data that can be read: {}", causes(&e)))?;
    if pixels.samples_per_pixel() != 1 {
        return Err(format!("found {} samples a pixel, expected 1 (grey)", pixels.samples_per_pixel()));
    }
    let mut notes = Vec::new();
    if pixels.number_of_frames() > 1 {
        notes.push(format!("the first of {} frames", pixels.number_of_frames()));
    }
    let mut values: Vec<f32> =
        pixels.to_vec_frame(0).map_err(|e| format!("found pixel data that cannot be converted: {}", causes(&e)))?;
    let (columns, rows) = (pixels.columns() as usize, pixels.rows() as usize);
    if values.len() != columns * rows {
        return Err(format!("found {} pixels, expected {columns}x{rows}", values.len()));
    }
    let unit = match text(&object, RESCALE_TYPE) {
        Some(unit) if !unit.is_empty() && unit != "US" => unit,
        _ if modality == "CT" => "HU".to_owned(),
        _ => String::new(),
    };
    if unit == "HU" {
        let marked = values.iter().filter(|v| **v < NOTHING).count();
        if marked > 0 {
            values.iter_mut().for_each(|v| *v = v.max(NOTHING));
            notes.push(format!("{marked} pixels below {NOTHING} HU raised to that"));
        }
    }
    Ok(Slice { columns, rows, values, unit, spacing: spacing(&object)?, notes })
}

fn text(object: &DefaultDicomObject, tag: Tag) -> Option<String> {
    let element = object.element_opt(tag).ok()??;
    Some(element.to_str().ok()?.trim().to_owned())
}

fn spacing(object: &DefaultDicomObject) -> Result<Option<f64>, String> {
    let Ok(Some(element)) = object.element_opt(PIXEL_SPACING) else { return Ok(None) };
    let both = element.to_multi_float64().map_err(|e| format!("found a pixel spacing that is no number: {e}"))?;
    let [down, across] = both[..] else {
        return Err(format!("found {} pixel spacings, expected 2", both.len()));
    };
    if !(down > 0.0 && (down / across - 1.0).abs() < 1e-3) {
        return Err(format!("found pixels of {across} x {down} mm, expected square ones"));
    }
    Ok(Some(across))
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
