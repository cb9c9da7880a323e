//! A scan in training: the rays of a step, and samples along them.

use super::{CtConfig, Scan};
use crate::{
    domain::{Chord, Extent},
    engine::{Engine, Loss, Samples},
    error::Result,
    observation::{Along, LineIntegrals},
    rng::Rng,
    train::Batches,
};

/// Fraction of the golden ratio: its multiples spread evenly over a unit interval, so one random number a ray is enough.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Points a step in the corners that no ray of a disc sees, and the weight of the squares of the values there.
const CORNERS: usize = 64;
const CORNER_WEIGHT: f64 = 0.01;

/// See the module. Coordinates of the network are halves of the picture's side.
#[derive(Debug)]
pub struct Rays {
    chords: Vec<Chord>,
    measured: Vec<f32>,
    step: f64,
    along: Along,
    corners: bool,
    batches: Batches,
    rng: Rng,
}

impl Rays {
    /// Of a scan, by a seed; `batch` rays a step.
    pub fn new(scan: &Scan, config: &CtConfig, seed: u64, batch: usize) -> Self {
        let met =
            (0..scan.scanner.rays()).filter_map(|ray| Some((scan.scanner.chord(ray)?, scan.sinogram.values[ray])));
        let (chords, measured): (Vec<Chord>, Vec<f32>) = met.unzip();
        Self {
            step: 2.0 / config.samples as f64,
            along: config.along,
            corners: config.extent == Extent::Disc,
            batches: Batches::new(seed, chords.len(), batch),
            rng: Rng::new(seed),
            chords,
            measured,
        }
    }

    /// Rays that meet the picture, and rays of a step.
    pub fn counts(&self) -> (usize, usize) {
        (self.chords.len(), self.batches.size())
    }

    /// Gathers the integrals along the rays of `step`, each by stratified samples.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let mut rng = self.rng.stream(&format!("rays {step}"));
        let count = self.batches.size();
        let indices = self.batches.indices(step);
        let (mut offsets, mut lengths) = (vec![0u32], Vec::with_capacity(count));
        let (mut measured, mut x) = (Vec::with_capacity(count), Vec::new());
        for n in 0..count {
            let ray = indices.map_or(n, |indices| indices[n] as usize);
            let (chord, jitter) = (&self.chords[ray], rng.uniform());
            let samples = (chord.length() / self.step).ceil().max(1.0);
            let length = chord.length() / samples;
            for k in 0..samples as usize {
                let within = (jitter + k as f64 * GOLDEN).fract();
                x.extend(chord.at(chord.from + (k as f64 + within) * length).map(|v| v as f32));
            }
            offsets.push((x.len() / 2) as u32);
            lengths.push(length as f32);
            measured.push(self.measured[ray]);
        }
        let observation =
            LineIntegrals { offsets: &offsets, lengths: &lengths, measured: &measured, along: self.along };
        let loss = engine.observe(&x, &observation, 1.0)?;
        if self.corners {
            // Nothing is there by assumption; without being told so the file would hold anything.
            let mut points = Vec::with_capacity(2 * CORNERS);
            while points.len() < 2 * CORNERS {
                let point = [rng.symmetric(1.0), rng.symmetric(1.0)];
                if !Extent::Disc.holds(point) {
                    points.extend(point.map(|v| v as f32));
                }
            }
            let nothing = [0.0; CORNERS];
            engine.observe(&points, &Samples::new(Loss::MeanSquaredError, &nothing, 1), CORNER_WEIGHT)?;
        }
        Ok(loss)
    }
}
