//! What a scan is of, where that is known: ellipses, a grey picture, a DICOM slice. Always square.

use std::path::Path;

use image::{ImageBuffer, Luma, imageops};

use super::{Ellipse, dicom, picture};
use crate::{
    domain::{Chord, Extent},
    error::{Error, Result},
    signal::{self, Layout, LoadOptions, Order, Signal, SignalKind, range, widened},
};

/// Points a pixel that the ray sums of a picture are taken at: finer than any of the reconstructions.
const POINTS: f64 = 4.0;

/// What is measured, and in which units.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// What it is called.
    pub name: String,
    /// Its unit; empty when there is none.
    pub unit: String,
    /// Smallest and largest value there can be.
    pub range: (f64, f64),
    /// Unit of lengths.
    pub length: String,
    /// Side of a pixel in that.
    pub pixel: f64,
}

/// A square picture with its units.
#[derive(Debug, Clone, PartialEq)]
pub struct Phantom {
    /// Name for people.
    pub name: String,
    /// Pixels along a side.
    pub side: usize,
    /// `[side·side]`, row by row from the top, as shares of the range: 0 to 1.
    pub values: Vec<f32>,
    /// What they are.
    pub density: Density,
    /// What was done to it, for people.
    pub notes: Vec<String>,
    /// Where it is made of these, its integrals are exact.
    parts: Option<Vec<Ellipse>>,
}

impl Phantom {
    /// Of ellipses, `side` pixels along a side, values in [0, 1].
    pub fn of(parts: Vec<Ellipse>, name: &str, side: usize) -> Self {
        let density = Density {
            name: "attenuation".into(),
            unit: String::new(),
            range: (0.0, 1.0),
            length: "px".into(),
            pixel: 1.0,
        };
        let values = picture(&parts, side);
        Self { name: name.into(), side, values, density, notes: Vec::new(), parts: Some(parts) }
    }

    /// A DICOM slice, or a picture or array as [`signal::load`] reads it; colours become grey, and what is not square is
    /// padded with its smallest value. `side`: pixels along a side to scale it to, 0 as it is.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Signal`] when it is no picture, or all of one value.
    pub fn load(path: &Path, side: usize) -> Result<Self> {
        let bad = |message: String| Error::Signal { path: path.into(), message };
        let raw = if is_dicom(path)? {
            let slice = dicom::load(path).map_err(bad)?;
            let (name, length) = match (&slice.unit[..], slice.spacing) {
                ("HU", spacing) => ("attenuation", spacing),
                (_, spacing) => ("value", spacing),
            };
            Raw {
                size: (slice.columns, slice.rows),
                range: widened(range(&slice.values, 0, 1)),
                values: slice.values,
                name,
                unit: slice.unit,
                pixel: length,
                notes: slice.notes,
            }
        } else {
            let options = LoadOptions::default();
            Raw::of(&signal::load(path, &options)?).map_err(bad)?
        };
        if let Some(v) = raw.values.iter().find(|v| !v.is_finite()) {
            return Err(bad(format!("found a value of {v}, expected finite values throughout")));
        }
        let (lo, hi) = range(&raw.values, 0, 1);
        if hi <= lo {
            return Err(bad(format!("found {lo} in every pixel, expected a picture of something")));
        }
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        raw.squared(name).scaled(side).map_err(bad)
    }

    /// The same, its integrals those of its pixels.
    #[cfg(test)]
    pub(crate) fn pixels_alone(self) -> Self {
        Self { parts: None, ..self }
    }

    /// Its integral along a ray, lengths in halves of its side.
    pub fn along(&self, chord: &Chord, extent: Extent) -> f64 {
        if let Some(parts) = &self.parts {
            return parts.iter().map(|part| part.along(chord)).sum();
        }
        let count = (chord.length() * 0.5 * self.side as f64 * POINTS).ceil().max(1.0);
        let step = chord.length() / count;
        let at = |k: usize| chord.at(chord.from + (k as f64 + 0.5) * step);
        let inside = (0..count as usize).map(at).filter(|p| extent.holds(*p));
        step * inside.map(|p| self.between(p)).sum::<f64>()
    }

    /// Linear between the middles of pixels, level beyond the outermost.
    fn between(&self, [x, y]: [f64; 2]) -> f64 {
        let last = (self.side - 1) as f64;
        let place = |v: f64| {
            let at = (0.5 * (v + 1.0) * self.side as f64 - 0.5).clamp(0.0, last);
            let cell = (at as usize).min(self.side.saturating_sub(2));
            (cell, at - cell as f64)
        };
        let ((i, u), (j, v)) = (place(x), place(y));
        let (right, below) = ((i + 1).min(self.side - 1), (j + 1).min(self.side - 1));
        let value = |i: usize, j: usize| f64::from(self.values[j * self.side + i]);
        (1.0 - v) * ((1.0 - u) * value(i, j) + u * value(right, j))
            + v * ((1.0 - u) * value(i, below) + u * value(right, below))
    }

    /// Everything out of the extent becomes 0; whether anything was there.
    pub fn confine(&mut self, extent: Extent) -> bool {
        let (side, mut lost) = (self.side, false);
        for (i, value) in self.values.iter_mut().enumerate() {
            if !extent.holds(middle(side, i)) {
                lost |= *value > 0.0;
                *value = 0.0;
            }
        }
        lost
    }
}

/// The middle of pixel number `i` of a picture, in halves of its side.
pub(crate) fn middle(side: usize, i: usize) -> [f64; 2] {
    let place = |k: usize| (2 * k + 1) as f64 / side as f64 - 1.0;
    [place(i % side), place(i / side)]
}

/// A picture as its file has it.
struct Raw {
    size: (usize, usize),
    values: Vec<f32>,
    range: (f64, f64),
    name: &'static str,
    unit: String,
    /// Millimetres between pixels, where that is known.
    pixel: Option<f64>,
    notes: Vec<String>,
}

impl Raw {
    fn of(signal: &Signal) -> std::result::Result<Self, String> {
        let found =
            |what: String| Err(format!("found {what}, expected a picture, an array of two axes or a DICOM slice"));
        let (Layout::Grid { axes, order, .. }, SignalKind::Image | SignalKind::Array) = (&signal.layout, signal.kind)
        else {
            return found(format!("a signal of kind {}", signal.kind));
        };
        let [first, second] = axes[..] else { return found(format!("an array of {} axes", axes.len())) };
        let channels = signal.outputs.len();
        let grey = |p: &[f32]| if channels >= 3 { 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] } else { p[0] };
        let values: Vec<f32> = signal.values.chunks_exact(channels).map(grey).collect();
        let (columns, rows, values) = match (signal.kind, order) {
            (SignalKind::Image, _) => (first.count, second.count, values),
            (_, Order::LastFastest) => (second.count, first.count, values),
            (_, Order::FirstFastest) => {
                let (rows, columns) = (first.count, second.count);
                let turned = (0..rows * columns).map(|i| values[i % columns * rows + i / columns]).collect();
                (columns, rows, turned)
            }
        };
        Ok(Self {
            size: (columns, rows),
            values,
            range: (signal.outputs[0].lo, signal.outputs[0].hi),
            name: "value",
            unit: String::new(),
            pixel: None,
            notes: if channels >= 3 { vec!["colours made grey".into()] } else { Vec::new() },
        })
    }

    /// With what is missing to a square on both sides of its shorter axis.
    fn squared(mut self, name: String) -> Phantom {
        let (columns, rows) = self.size;
        let side = columns.max(rows);
        let (lo, hi) = self.range;
        let share = |v: f32| ((f64::from(v) - lo) / (hi - lo)) as f32;
        let lowest = share(self.values.iter().copied().fold(f32::INFINITY, f32::min));
        let (left, top) = ((side - columns) / 2, (side - rows) / 2);
        let mut values = vec![lowest; side * side];
        for (row, line) in self.values.chunks_exact(columns).enumerate() {
            let at = (row + top) * side + left;
            values[at..at + columns].iter_mut().zip(line).for_each(|(to, v)| *to = share(*v));
        }
        if columns != rows {
            self.notes.push(format!("{columns}x{rows} pixels padded to {side}x{side}"));
        }
        let density = Density {
            name: self.name.into(),
            unit: self.unit,
            range: self.range,
            length: if self.pixel.is_some() { "mm".into() } else { "px".into() },
            pixel: self.pixel.unwrap_or(1.0),
        };
        Phantom { name, side, values, density, notes: self.notes, parts: None }
    }
}

impl Phantom {
    fn scaled(mut self, side: usize) -> std::result::Result<Self, String> {
        if side == 0 || side == self.side {
            return Ok(self);
        }
        if side > self.side {
            return Err(format!("found {0}x{0} pixels, expected at least {side} along a side (`--size`)", self.side));
        }
        let whole = ImageBuffer::<Luma<f32>, _>::from_raw(self.side as u32, self.side as u32, self.values)
            .expect("as many values as pixels");
        self.values = imageops::resize(&whole, side as u32, side as u32, imageops::FilterType::Triangle).into_raw();
        self.notes.push(format!("scaled from {} pixels along a side", self.side));
        self.density.pixel *= self.side as f64 / side as f64;
        self.side = side;
        Ok(self)
    }
}

/// Whether a file is DICOM, by its extension or the mark behind the preamble.
fn is_dicom(path: &Path) -> Result<bool> {
    let extension = path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase());
    if ["dcm", "dicom", "ima"].contains(&extension.as_str()) {
        return Ok(true);
    }
    let bytes = crate::file::read(path)?;
    Ok(bytes.get(128..132) == Some(&b"DICM"[..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::scan::shepp_logan;

    #[test]
    fn a_picture_is_padded_scaled_and_told_about() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.png");
        image::GrayImage::from_fn(8, 4, |x, _| image::Luma([if x < 4 { 51 } else { 255 }])).save(&path).unwrap();
        let phantom = Phantom::load(&path, 0).unwrap();
        assert_eq!((phantom.side, phantom.density.range), (8, (0.0, 255.0)));
        // Padded by the smallest value; shares of the range.
        assert_eq!(phantom.values[0], 0.2);
        assert_eq!(phantom.values[3 * 8 + 5], 1.0);
        assert!(phantom.notes[0].contains("8x4"));
        let half = Phantom::load(&path, 4).unwrap();
        assert_eq!((half.side, half.density.pixel), (4, 2.0));
        assert!(Phantom::load(&path, 16).unwrap_err().to_string().contains("--size"));
        image::GrayImage::new(5, 5).save(&path).unwrap();
        assert!(Phantom::load(&path, 0).unwrap_err().to_string().contains("every pixel"));
    }

    #[test]
    fn a_disc_loses_what_is_out_of_it() {
        let mut phantom = Phantom::of(shepp_logan(), "head", 32);
        assert!(!phantom.confine(Extent::Disc), "a head lies within the disc");
        phantom.values.fill(1.0);
        assert!(phantom.confine(Extent::Disc));
        assert_eq!((phantom.values[0], phantom.values[16 * 32 + 16]), (0.0, 1.0));
    }
}
