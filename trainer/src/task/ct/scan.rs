//! What a scan measured and what is known of the object, from whichever files the record names.

use std::path::Path;

use super::{CtConfig, ScanKind};
use crate::{
    baseline::{filtered_back_projection, sirt},
    domain::{Extent, Scanner},
    error::{Error, Result},
    signal::scan::{Density, Phantom, Sinogram, middle, randomised, read_angles, shepp_logan},
    train::ssim,
};

/// Room above the largest value that SIRT finds in a sinogram, whose object nobody knows.
const ROOM: f64 = 1.5;

/// A scan. Pictures are shares of the density's range, integrals these times halves of the picture's side.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Its rays.
    pub scanner: Scanner,
    /// Along them.
    pub sinogram: Sinogram,
    /// What is reconstructed.
    pub density: Density,
    /// Pixels along a side.
    pub side: usize,
    /// The object, where it is known, `[side·side]`.
    pub truth: Option<Vec<f32>>,
    /// Name for people.
    pub name: String,
    /// What was done to it, for people.
    pub notes: Vec<String>,
}

impl Scan {
    /// Reads, or makes, what `config` names; noise by `seed`.
    ///
    /// # Errors
    /// Bad input, naming the file or the field, what was found and what was expected.
    pub fn open(config: &CtConfig, seed: u64) -> Result<Self> {
        match (config.kind, &config.path) {
            (ScanKind::Sinogram, Some(path)) => Self::measured(config, path),
            (ScanKind::Phantom, Some(path)) => Self::simulated(config, Phantom::load(path, config.size)?, seed),
            _ => {
                let (parts, name) = match config.randomise {
                    Some(seed) => (randomised(seed), format!("Shepp-Logan randomised by {seed}")),
                    None => (shepp_logan(), "Shepp-Logan".to_owned()),
                };
                Self::simulated(config, Phantom::of(parts, &name, config.size), seed)
            }
        }
    }

    fn simulated(config: &CtConfig, mut phantom: Phantom, seed: u64) -> Result<Self> {
        let (beam, extent) = (config.beam(), config.extent);
        let angles = match &config.angles_file {
            None => config.evenly(config.angles),
            Some(path) => {
                let angles = read_angles(path)?;
                if config.angles > 0 && config.angles != angles.len() {
                    return Err(wrong("angles", config.angles, angles.len(), &format!("as `{}` has", path.display())));
                }
                angles
            }
        };
        let detectors =
            if config.detectors > 0 { config.detectors } else { Scanner::detectors_for(beam, extent, phantom.side) };
        let scanner = Scanner { beam, extent, angles, detectors };
        if phantom.confine(extent) {
            phantom.notes.push("what lies out of the disc left out".into());
        }
        let sinogram = Sinogram::of(&phantom, &scanner, config.noise, seed);
        let Phantom { name, side, values, density, notes, .. } = phantom;
        Ok(Self { scanner, sinogram, density, side, truth: Some(values), name, notes })
    }

    fn measured(config: &CtConfig, path: &Path) -> Result<Self> {
        let (beam, extent) = (config.beam(), config.extent);
        let mut sinogram = Sinogram::load(path)?;
        let (count, detectors) = (sinogram.angles, sinogram.detectors);
        let has = format!("as `{}` has", path.display());
        if config.detectors > 0 && config.detectors != detectors {
            return Err(wrong("detectors", config.detectors, detectors, &has));
        }
        if config.angles > 0 && config.angles != count {
            return Err(wrong("angles", config.angles, count, &has));
        }
        let angles = match &config.angles_file {
            None => config.evenly(count),
            Some(file) => {
                let angles = read_angles(file)?;
                if angles.len() != count {
                    let message = format!(
                        "found {} angles, expected {count}: one for every row of `{}`",
                        angles.len(),
                        path.display()
                    );
                    return Err(Error::Signal { path: file.clone(), message });
                }
                angles
            }
        };
        let scanner = Scanner { beam, extent, angles, detectors };
        let across = Scanner::half_width(beam, extent);
        let side = if config.size > 0 { config.size } else { (detectors as f64 / across + 1e-9) as usize };
        if side < 8 {
            let message = format!("found {detectors} detectors, expected some for a picture of at least 8 pixels");
            return Err(Error::Signal { path: path.into(), message });
        }
        let half = config.pitch / scanner.pitch();
        let mut notes = Vec::new();
        let lost = sinogram.confine(&scanner);
        if lost > 0.0 {
            notes.push(format!("rays beside the picture set to 0 (up to {lost})"));
        }
        // Lengths in halves of the side from here on.
        sinogram.values.iter_mut().for_each(|v| *v = (f64::from(*v) / half) as f32);
        let mut truth = config.reference.as_ref().map(|file| reference(file, side, extent)).transpose()?;
        let top = match &truth {
            Some((values, ..)) => values.iter().copied().fold(0.0, f32::max),
            None => {
                let found = sirt(&scanner, &sinogram.values, side, config.sirt.min(50), 1.0);
                ROOM as f32 * found.iter().copied().fold(0.0, f32::max)
            }
        };
        if top <= 0.0 {
            let message = "found nothing above 0 in what it is of, expected integrals of some attenuation".into();
            return Err(Error::Signal { path: path.into(), message });
        }
        let shares = |values: &mut Vec<f32>| values.iter_mut().for_each(|v| *v /= top);
        shares(&mut sinogram.values);
        truth.iter_mut().for_each(|(values, _)| shares(values));
        let unit = truth.as_ref().map_or_else(|| format!("1/{}", config.unit), |(_, unit)| unit.clone());
        let density = Density {
            name: "attenuation".into(),
            unit,
            range: (0.0, f64::from(top)),
            length: config.unit.clone(),
            pixel: 2.0 * half / side as f64,
        };
        let name = path.file_name().map_or_else(|| "sinogram".into(), |n| n.to_string_lossy().into_owned());
        Ok(Self { scanner, sinogram, density, side, truth: truth.map(|(values, _)| values), name, notes })
    }

    /// Factor from this scan's integrals to physical ones, above the smallest value.
    pub fn physical(&self) -> f64 {
        let (lo, hi) = self.density.range;
        (hi - lo) * 0.5 * self.side as f64 * self.density.pixel
    }

    /// The picture by filtered back-projection.
    pub fn back_projected(&self) -> Vec<f32> {
        filtered_back_projection(&self.scanner, &self.sinogram.values, self.side)
    }

    /// The picture by SIRT.
    pub fn iterated(&self, iterations: usize) -> Vec<f32> {
        sirt(&self.scanner, &self.sinogram.values, self.side, iterations, 1.0)
    }

    /// Coordinates of the middles of all pixels, in halves of the side, `[side·side, 2]`.
    pub fn places(&self) -> Vec<f32> {
        (0..self.side * self.side).flat_map(|i| middle(self.side, i).map(|v| v as f32)).collect()
    }

    /// A picture within the range and the extent; a NaN stays one.
    pub fn clipped(&self, mut picture: Vec<f32>) -> Vec<f32> {
        for (i, v) in picture.iter_mut().enumerate() {
            let within = self.scanner.extent.holds(middle(self.side, i));
            *v = if v.is_nan() { *v } else { v.clamp(0.0, 1.0) * f32::from(u8::from(within)) };
        }
        picture
    }

    /// Mean squared error of a clipped picture over the extent, where the object is known.
    pub fn error(&self, picture: &[f32]) -> Option<f64> {
        let truth = self.truth.as_ref()?;
        let within = (0..truth.len()).filter(|i| self.scanner.extent.holds(middle(self.side, *i)));
        let (sum, count) =
            within.fold((0.0, 0), |(sum, n), i| (sum + (f64::from(picture[i]) - f64::from(truth[i])).powi(2), n + 1));
        Some(sum / f64::from(count))
    }

    /// Structural similarity of a clipped picture, where the object is known.
    pub fn ssim(&self, picture: &[f32]) -> Option<f64> {
        let truth = self.truth.as_ref()?;
        Some(ssim(picture, truth, (self.side, self.side), 1, 1.0))
    }
}

fn wrong(field: &str, found: usize, expected: usize, why: &str) -> Error {
    Error::Config { field: format!("signal.{field}"), message: format!("found {found}, expected {expected} {why}") }
}

/// Values in their own unit, and that unit.
fn reference(path: &Path, side: usize, extent: Extent) -> Result<(Vec<f32>, String)> {
    let mut phantom = Phantom::load(path, 0)?;
    if phantom.side != side {
        let message =
            format!("found {0}x{0} pixels, expected {side}x{side} as the reconstruction has (`--size`)", phantom.side);
        return Err(Error::Signal { path: path.into(), message });
    }
    let (lo, hi) = phantom.density.range;
    phantom.confine(extent);
    Ok((phantom.values.iter().map(|v| (lo + f64::from(*v) * (hi - lo)) as f32).collect(), phantom.density.unit))
}
