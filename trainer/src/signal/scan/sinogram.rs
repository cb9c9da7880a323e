//! What a scanner measures: the integral along every ray, angle by angle.

use std::path::Path;

use rayon::prelude::*;

use super::Phantom;
use crate::{
    domain::{Extent, Scanner},
    error::{Error, Result},
    rng::Rng,
    signal::{self, Axis, Layout, LoadOptions, Order, Quantity, Sampling, Signal, SignalKind},
};

/// Integrals along rays, a row an angle.
#[derive(Debug, Clone, PartialEq)]
pub struct Sinogram {
    /// Number of angles.
    pub angles: usize,
    /// Number of detectors.
    pub detectors: usize,
    /// `[angles, detectors]`
    pub values: Vec<f32>,
}

impl Sinogram {
    /// What `scanner` sees of a phantom, in shares of its range times halves of its side. `noise`: normal numbers of this
    /// share of the largest integral are added, by a seed.
    pub fn of(phantom: &Phantom, scanner: &Scanner, noise: f64, seed: u64) -> Self {
        let one = |ray: usize| scanner.chord(ray).map_or(0.0, |chord| phantom.along(&chord, scanner.extent) as f32);
        let mut values: Vec<f32> = (0..scanner.rays()).into_par_iter().map(one).collect();
        if noise > 0.0 {
            let mut rng = Rng::new(seed).stream("noise of the scanner");
            let deviation = noise * values.iter().map(|v| f64::from(v.abs())).fold(0.0, f64::max);
            values.iter_mut().for_each(|v| *v += (deviation * rng.normal()) as f32);
        }
        Self { angles: scanner.angles.len(), detectors: scanner.detectors, values }
    }

    /// Reads an NPY or a picture, a row an angle, or a CSV of numbers without a header.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Signal`] when it is no table of numbers.
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |message: String| Error::Signal { path: path.into(), message };
        if has_extension(path, &["csv", "tsv", "txt"]) {
            let rows = numbers(path)?;
            let detectors = rows[0].1.len();
            if let Some((line, row)) = rows.iter().find(|(_, row)| row.len() != detectors) {
                return Err(bad(format!("line {line}: found {} detectors, expected {detectors}", row.len())));
            }
            let values = rows.iter().flat_map(|(_, row)| row.iter().map(|v| *v as f32)).collect();
            return Self::new(rows.len(), detectors, values).map_err(bad);
        }
        let signal = signal::load(path, &LoadOptions::default())?;
        let (axes, order) = match (&signal.layout, signal.kind) {
            (Layout::Grid { axes, order, .. }, SignalKind::Image | SignalKind::Array) => (axes, *order),
            _ => return Err(bad(format!("found a signal of kind {}, expected angles x detectors", signal.kind))),
        };
        let [first, second] = axes[..] else {
            return Err(bad(format!("found {} axes, expected two: angles x detectors", axes.len())));
        };
        if signal.outputs.len() != 1 {
            return Err(bad(format!("found {} channels, expected grey", signal.outputs.len())));
        }
        let (angles, detectors, values) = match (signal.kind, order) {
            (SignalKind::Image, _) => (second.count, first.count, signal.values),
            (_, Order::LastFastest) => (first.count, second.count, signal.values),
            (_, Order::FirstFastest) => {
                let (rows, columns) = (first.count, second.count);
                let turned = (0..rows * columns).map(|i| signal.values[i % columns * rows + i / columns]).collect();
                (rows, columns, turned)
            }
        };
        Self::new(angles, detectors, values).map_err(bad)
    }

    fn new(angles: usize, detectors: usize, values: Vec<f32>) -> std::result::Result<Self, String> {
        if detectors < 2 {
            return Err(format!("found {angles} angles x {detectors} detectors, expected at least 2 detectors"));
        }
        if values.iter().all(|v| *v == 0.0) {
            return Err("found 0 on every detector, expected a scan of something".into());
        }
        Ok(Self { angles, detectors, values })
    }

    /// Times a factor, as an array for [`signal::save`].
    pub fn signal(&self, factor: f64) -> Signal {
        let axis = |count| Axis { start: 0.0, step: 1.0, count };
        let values: Vec<f32> = self.values.iter().map(|v| (f64::from(*v) * factor) as f32).collect();
        let (lo, hi) = signal::widened(signal::range(&values, 0, 1));
        let input = |name, count: usize| Quantity::new(name, "index", 0.0, (count - 1) as f64);
        Signal {
            kind: SignalKind::Array,
            name: "sinogram".into(),
            inputs: vec![input("angle", self.angles), input("detector", self.detectors)],
            outputs: vec![Quantity::new("integral", "", lo, hi)],
            layout: Layout::Grid {
                axes: vec![axis(self.angles), axis(self.detectors)],
                sampling: Sampling::Node,
                order: Order::LastFastest,
            },
            values,
        }
    }

    /// Root mean square of its difference from another, over its own.
    pub fn apart(&self, other: &[f32]) -> f64 {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let energy: f64 = self.values.iter().map(|v| f64::from(*v).powi(2)).sum();
        (self.values.iter().zip(other).map(square).sum::<f64>() / energy).sqrt()
    }

    /// Sets rays that miss the extent to 0: there is nothing on them. Largest integral that this takes away.
    pub fn confine(&mut self, scanner: &Scanner) -> f32 {
        let mut largest = 0.0f32;
        for (ray, value) in self.values.iter_mut().enumerate() {
            if scanner.extent == Extent::Square && scanner.chord(ray).is_none() {
                largest = largest.max(value.abs());
                *value = 0.0;
            }
        }
        largest
    }
}

/// Angles in degrees, one a line or several with commas between, as radians.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Signal`] when it holds no numbers.
pub fn read_angles(path: &Path) -> Result<Vec<f64>> {
    Ok(numbers(path)?.into_iter().flat_map(|(_, row)| row).map(f64::to_radians).collect())
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension().is_some_and(|e| known.contains(&e.to_string_lossy().to_lowercase().as_str()))
}

/// Rows of finite numbers with their lines; a first line without any is a header.
fn numbers(path: &Path) -> Result<Vec<(usize, Vec<f64>)>> {
    let bad = |message: String| Error::Signal { path: path.into(), message };
    let bytes = crate::file::read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| bad("found bytes that are not text, expected numbers".into()))?;
    let mut rows = Vec::new();
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let mut lines = lines.filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')).peekable();
    let fields = |line: &str| -> Vec<String> {
        line.trim().split([',', ';', '\t', ' ']).filter(|f| !f.is_empty()).map(String::from).collect()
    };
    lines.next_if(|(_, l)| fields(l).iter().all(|f| f.parse::<f64>().is_err()));
    for (line, text) in lines {
        let mut row = Vec::new();
        for field in fields(text) {
            let value: Option<f64> = field.parse().ok();
            let value = value.filter(|v| v.is_finite());
            row.push(
                value.ok_or_else(|| bad(format!("line {}: found `{field}`, expected a finite number", line + 1)))?,
            );
        }
        rows.push((line + 1, row));
    }
    if rows.is_empty() {
        return Err(bad("found no numbers, expected some".into()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Beam, signal::scan::shepp_logan};

    #[test]
    fn every_form_of_a_sinogram_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let whole = Sinogram { angles: 2, detectors: 3, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        signal::save(&path("s.npy"), &whole.signal(1.0)).unwrap();
        std::fs::write(path("s.csv"), "# of a test\n1,2,3\n4;5 6\n").unwrap();
        image::GrayImage::from_raw(3, 2, vec![1, 2, 3, 4, 5, 6]).unwrap().save(path("s.png")).unwrap();
        for name in ["s.npy", "s.csv", "s.png"] {
            assert_eq!(Sinogram::load(&path(name)).unwrap(), whole, "{name}");
        }
        for (text, word) in [("1,2\n3\n", "line 2"), ("1,2\n3,x\n", "`x`"), ("1,nan\n", "nan"), ("\n", "no numbers")] {
            std::fs::write(path("s.csv"), text).unwrap();
            let error = Sinogram::load(&path("s.csv")).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("s.csv"), "{error}");
        }
        std::fs::write(path("a.csv"), "angle[degrees]\n0\n90\n").unwrap();
        assert_eq!(read_angles(&path("a.csv")).unwrap(), [0.0, std::f64::consts::FRAC_PI_2]);
    }

    #[test]
    fn every_projection_of_parallel_beams_has_the_same_mass() {
        let phantom = Phantom::of(shepp_logan(), "head", 64);
        let scanner =
            Scanner { beam: Beam::Parallel, extent: Extent::Disc, angles: Beam::evenly(8, 3.0), detectors: 400 };
        let sinogram = Sinogram::of(&phantom, &scanner, 0.0, 0);
        let area = phantom.values.iter().map(|v| f64::from(*v)).sum::<f64>() * 4.0 / (64.0 * 64.0);
        for row in sinogram.values.chunks(400) {
            let mass = row.iter().map(|v| f64::from(*v)).sum::<f64>() * scanner.pitch();
            assert!((mass / area - 1.0).abs() < 2e-3, "{mass} {area}");
        }
        let noisy = Sinogram::of(&phantom, &scanner, 0.05, 1);
        let apart = sinogram.apart(&noisy.values);
        assert!((0.05..0.2).contains(&apart), "{apart}");
        assert_eq!(noisy, Sinogram::of(&phantom, &scanner, 0.05, 1));
    }
}
