//! The record of a tomography.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::{
    config::{SignalRecord, check_signal as check, defaults_with},
    domain::{Beam, Extent, Scanner},
    error::Result,
    observation::Along,
};

/// What is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScanKind {
    /// The head of Shepp and Logan
    SheppLogan,
    /// A picture or DICOM slice, scanned by the program
    Phantom,
    /// A measured sinogram
    Sinogram,
}

/// Kind of beam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BeamKind {
    /// All rays of an angle in one direction
    Parallel,
    /// All rays of an angle from one point
    Fan,
}

/// `[signal]` of a run of `rwf ct`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CtConfig {
    /// What is scanned.
    pub kind: ScanKind,
    /// Phantom or sinogram; none for a head of Shepp and Logan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Angles in degrees; none: evenly spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub angles_file: Option<PathBuf>,
    /// What a measured sinogram is of, to measure reconstructions by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// Seed of a randomised head; none: the published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub randomise: Option<u64>,
    /// Pixels along a side of the reconstruction; 0: those of the phantom, or one a detector.
    pub size: usize,
    /// Kind of beam.
    pub beam: BeamKind,
    /// Distance of a fan's source from the axis, in halves of the picture's side.
    pub source: f64,
    /// Where the object may be.
    pub extent: Extent,
    /// Number of angles; 0: as many as the sinogram or the file of angles has.
    pub angles: usize,
    /// Degrees they are spread over; 0: half a turn for parallel beams, a whole one for fans.
    pub arc: f64,
    /// Detectors in a row; 0: as many as the sinogram has, or one a pixel.
    pub detectors: usize,
    /// Distance of two detectors of a measured sinogram at the axis, in `unit`.
    pub pitch: f64,
    /// Unit of that.
    pub unit: String,
    /// Deviation of noise on simulated integrals, over the largest.
    pub noise: f64,
    /// Samples along a side of the picture; a ray has one in each such length.
    pub samples: usize,
    /// What of a ray is compared.
    pub along: Along,
    /// Iterations of SIRT.
    pub sirt: usize,
}

impl CtConfig {
    /// Defaults under the options of a run.
    pub fn defaults(kind: ScanKind) -> Table {
        let own = match kind {
            ScanKind::SheppLogan => "size = 256\nangles = 20\nextent = 'square'",
            ScanKind::Phantom => "size = 0\nangles = 20\nextent = 'square'",
            ScanKind::Sinogram => "size = 0\nangles = 0\nextent = 'disc'",
        };
        defaults_with(&format!(
            "
            [signal]
            beam = 'parallel'
            source = 3.0
            arc = 0.0
            detectors = 0
            pitch = 1.0
            unit = 'px'
            noise = 0.0
            samples = 160
            along = 'integral'
            sirt = 200
            {own}
            [network]
            architecture = 'mlp'
            hidden = 128
            depth = 3
            activation = 'relu'
            output_activation = 'sigmoid'
            [network.mapping]
            kind = 'gaussian'
            frequencies = 64
            scale = 2.0
            [training]
            steps = 2000
            batch = 256
            learning_rate = 2e-3
            evaluate_every = 250
            "
        ))
    }

    /// Where rays come from.
    pub fn beam(&self) -> Beam {
        match self.beam {
            BeamKind::Parallel => Beam::Parallel,
            BeamKind::Fan => Beam::Fan(self.source),
        }
    }

    /// Angles spread evenly, in radians.
    pub fn evenly(&self, count: usize) -> Vec<f64> {
        Beam::evenly(count, if self.arc > 0.0 { self.arc.to_radians() } else { self.beam().period() })
    }
}

impl SignalRecord for CtConfig {
    const TASK: &'static str = "ct";

    fn validate(&self) -> Result<()> {
        let number = |v: f64| v.to_string();
        let made = self.kind == ScanKind::SheppLogan;
        check(made != self.path.is_some(), "path", format!("{:?}", self.path), "a file, and none for shepp-logan")?;
        check(made || self.randomise.is_none(), "randomise", "a seed".into(), "one with shepp-logan only")?;
        let measured = self.kind == ScanKind::Sinogram;
        check(measured || self.reference.is_none(), "reference", "a file".into(), "one with a sinogram only")?;
        check(!measured || self.noise == 0.0, "noise", number(self.noise), "0 for what was measured")?;
        check(self.size == 0 || (8..=4096).contains(&self.size), "size", self.size.to_string(), "0, or 8 to 4096")?;
        check(!made || self.size > 0, "size", "0".into(), "8 to 4096 for shepp-logan")?;
        let given = measured || self.angles_file.is_some();
        check(self.angles > 0 || given, "angles", "0".into(), "at least 1")?;
        check(self.angles <= 100_000, "angles", self.angles.to_string(), "at most 100000")?;
        check((0.0..=360.0).contains(&self.arc), "arc", number(self.arc), "0 to 360 degrees")?;
        check(self.detectors != 1, "detectors", "1".into(), "0, or at least 2")?;
        check(self.detectors <= 100_000, "detectors", self.detectors.to_string(), "at most 100000")?;
        let nearest = Scanner::nearest_source(self.extent);
        check(
            self.beam == BeamKind::Parallel || (nearest..=1e6).contains(&self.source),
            "source",
            number(self.source),
            &format!("at least {nearest:.3}, so that rays open by less than a right angle"),
        )?;
        check(self.pitch > 0.0 && self.pitch.is_finite(), "pitch", number(self.pitch), "above 0")?;
        check((0.0..=1.0).contains(&self.noise), "noise", number(self.noise), "0 to 1")?;
        check((8..=8192).contains(&self.samples), "samples", self.samples.to_string(), "8 to 8192")?;
        check((1..=100_000).contains(&self.sirt), "sirt", self.sirt.to_string(), "1 to 100000")
    }
}
