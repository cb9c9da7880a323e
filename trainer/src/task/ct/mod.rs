//! Computed tomography: integrals along rays become a picture, beside filtered back-projection and SIRT of the same rays.

mod config;
mod rays;
mod scan;

use std::fmt::Write as _;

use rwf_runtime::format::Activation;

pub use config::{BeamKind, CtConfig, ScanKind};
pub use rays::Rays;
pub use scan::Scan;

use super::observed::{Findings, Measurement, Observed, Subject, hash};
use crate::{
    baseline::Projector,
    config::RunConfig,
    domain::{Beam, Extent},
    engine::Engine,
    error::Result,
    evaluate::Evaluator,
    export::Description,
    file::write_atomically,
    fold::Normalization,
    plot,
    signal::{self, Quantity},
    train::{RunFolder, Score},
};

/// The object and what is made of its scan.
const COMPARISON: &str = "comparison.png";
/// The scan, and what the network's picture would give.
const SINOGRAM: &str = "sinogram.png";
/// The same as numbers, for `rwf ct` and other programs.
const NUMBERS: &str = "sinogram.npy";
/// Its angles in degrees.
const ANGLES: &str = "angles.csv";

/// A scan on its way into a network.
#[derive(Debug)]
pub struct Ct {
    scan: Scan,
    rays: Rays,
    subject: Subject,
    iterations: usize,
    /// Pictures without a network, once they are made.
    baselines: Option<[Reconstruction; 2]>,
}

/// A picture made of a scan, and how good it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// By what.
    pub name: String,
    /// Shares of the range, clipped to it, `[side·side]`.
    pub picture: Vec<f32>,
    /// Its integrals, `[angles, detectors]`.
    pub integrals: Vec<f32>,
    /// Where the object is known: peak signal-to-noise ratio in dB, and structural similarity.
    pub likeness: Option<(f64, f64)>,
    /// Root mean square error of its integrals, over that of what was measured.
    pub apart: f64,
}

/// What a network and others make of a scan.
#[derive(Debug, Clone)]
pub struct Reconstructed {
    /// The model file, evaluated by the runtime.
    pub network: Reconstruction,
    /// Filtered back-projection and SIRT.
    pub baselines: [Reconstruction; 2],
}

impl Reconstruction {
    fn score(&self) -> Score {
        match self.likeness {
            Some((psnr, _)) => Score::psnr(psnr),
            None => Score { name: "SNR of projections", unit: "dB", value: -20.0 * self.apart.log10() },
        }
    }
}

impl Findings for Reconstructed {
    fn score(&self) -> Score {
        self.network.score()
    }

    fn summary(&self) -> String {
        let mut words = String::new();
        if let Some((psnr, ssim)) = self.network.likeness {
            words = format!("psnr_db={psnr:.2};ssim={ssim:.4};");
        }
        words + &format!("projection_error={:.5}", self.network.apart)
    }

    fn table(&self) -> String {
        let mut text =
            String::from("pictures, clipped to the range of values; the network's by the runtime, of the file:\n");
        for r in [&self.network].into_iter().chain(&self.baselines) {
            let _ = write!(text, "  {:<38}", r.name);
            if let Some((psnr, ssim)) = r.likeness {
                let _ = write!(text, "PSNR {psnr:6.2} dB   SSIM {ssim:.4}   ");
            }
            let _ = writeln!(text, "integrals off by {:6.3} %", 100.0 * r.apart);
        }
        text.trim_end().to_owned()
    }
}

impl Ct {
    fn reconstruction(&self, name: String, picture: Vec<f32>) -> Reconstruction {
        let picture = self.scan.clipped(picture);
        let integrals = Projector { scanner: &self.scan.scanner, side: self.scan.side }.forward(&picture);
        let psnr = self.scan.error(&picture).map(|e| -10.0 * e.log10());
        Reconstruction {
            likeness: psnr.zip(self.scan.ssim(&picture)),
            apart: self.scan.sinogram.apart(&integrals),
            name,
            picture,
            integrals,
        }
    }

    fn network(&self, model: &dyn Evaluator) -> Reconstruction {
        let (lo, hi) = self.scan.density.range;
        let (n, pixel) = (self.scan.side, self.scan.density.pixel);
        let place = |k: usize| (k as f64 * pixel) as f32;
        let x: Vec<f32> = (0..n * n).flat_map(|i| [place(i % n), place(i / n)]).collect();
        let share = |v: f32| ((f64::from(v) - lo) / (hi - lo)) as f32;
        self.reconstruction("network".into(), model.evaluate(&x).into_iter().map(share).collect())
    }

    fn baselines(&mut self) -> [Reconstruction; 2] {
        if let Some(made) = &self.baselines {
            return made.clone();
        }
        let smeared = self.reconstruction("filtered back-projection (Hann)".into(), self.scan.back_projected());
        let words = format!("SIRT ({} iterations, not below 0)", self.iterations);
        let iterated = self.reconstruction(words, self.scan.iterated(self.iterations));
        let made = [smeared, iterated];
        self.baselines = Some(made.clone());
        made
    }
}

impl Observed for Ct {
    type Record = CtConfig;
    type Findings = Reconstructed;
    const FILES: &'static [&'static str] = &[COMPARISON, SINOGRAM, NUMBERS, ANGLES];

    fn open(config: &RunConfig<CtConfig>) -> Result<Self> {
        let scan = Scan::open(&config.signal, config.training.seed)?;
        let rays = Rays::new(&scan, &config.signal, config.training.seed, config.training.batch);
        let subject = subject(&scan, &rays);
        Ok(Self { scan, rays, subject, iterations: config.signal.sirt, baselines: None })
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.rays.gather(engine, step)
    }

    fn columns(&self) -> Vec<String> {
        let known: &[&str] = &["psnr_db", "ssim", "projection_error"];
        let unknown: &[&str] = &["projection_snr_db", "projection_error"];
        let names = if self.scan.truth.is_some() { known } else { unknown };
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement> {
        let found = self.network(model);
        let score = found.score();
        let columns = match found.likeness {
            Some((psnr, ssim)) => vec![psnr, ssim, found.apart],
            None => vec![score.value, found.apart],
        };
        Ok(Measurement { score, columns, target_reached: false })
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Reconstructed> {
        Ok(Reconstructed { network: self.network(model), baselines: self.baselines() })
    }

    fn pictures(&mut self, _: &dyn Evaluator, found: &Reconstructed, folder: &RunFolder) -> Result<()> {
        let (scan, [smeared, iterated]) = (&self.scan, &found.baselines);
        let size = (scan.side, scan.side);
        let all = [smeared, iterated, &found.network];
        let words = |r: &Reconstruction| {
            let name = r.name.split(" (").next().unwrap_or_default();
            r.likeness.map_or_else(|| name.to_owned(), |(psnr, _)| format!("{name}: {psnr:.2} dB"))
        };
        let shown = |r: &&Reconstruction| (words(r), plot::grey(&r.picture, size, (0.0, 1.0)));
        let mut rows: Vec<Vec<_>> = vec![all.iter().map(shown).collect()];
        if let Some(truth) = &scan.truth {
            rows[0].insert(0, (scan.name.clone(), plot::grey(truth, size, (0.0, 1.0))));
            let limit = 0.25;
            let off = |r: &&Reconstruction| {
                let difference: Vec<f32> = r.picture.iter().zip(truth).map(|(a, b)| a - b).collect();
                (format!("error, up to {:.0} %", 100.0 * limit), plot::signed(&difference, size, limit))
            };
            let scanned =
                plot::grey(&scan.sinogram.values, (scan.scanner.detectors, scan.scanner.angles.len()), ends(scan));
            let mut errors: Vec<_> = all.iter().map(off).collect();
            errors.insert(0, (format!("{} angles", scan.scanner.angles.len()), scanned));
            rows.push(errors);
        }
        plot::save_png(&folder.file(COMPARISON), &plot::sheet(&rows)?)?;
        let size = (scan.scanner.detectors, scan.scanner.angles.len());
        let network = &found.network.integrals;
        let difference: Vec<f32> = network.iter().zip(&scan.sinogram.values).map(|(a, b)| a - b).collect();
        let limit = 0.05 * ends(scan).1;
        let row = vec![
            ("measured".to_owned(), plot::grey(&scan.sinogram.values, size, ends(scan))),
            ("the network's".to_owned(), plot::grey(network, size, ends(scan))),
            ("difference, up to 5 %".to_owned(), plot::signed(&difference, size, limit)),
        ];
        plot::save_png(&folder.file(SINOGRAM), &plot::sheet(&[row])?)?;
        signal::save(&folder.file(NUMBERS), &scan.sinogram.signal(scan.physical()))?;
        let mut text = String::from("angle[degrees]\n");
        scan.scanner.angles.iter().for_each(|a| text += &format!("{}\n", a.to_degrees()));
        write_atomically(&folder.file(ANGLES), text.as_bytes())
    }
}

/// Smallest and largest integral.
fn ends(scan: &Scan) -> (f32, f32) {
    scan.sinogram.values.iter().fold((0.0, 0.0), |(lo, hi), &v| (f32::min(lo, v), f32::max(hi, v)))
}

fn subject(scan: &Scan, rays: &Rays) -> Subject {
    let (density, n) = (&scan.density, scan.side);
    let (pixel, (lo, hi)) = (density.pixel, density.range);
    let axis = |name| Quantity::new(name, &density.length, -0.5 * pixel, (n as f64 - 0.5) * pixel);
    let angles = &scan.scanner.angles;
    let beam = match scan.scanner.beam {
        Beam::Parallel => "parallel beams".to_owned(),
        Beam::Fan(source) => format!("fans from {source} half sides"),
    };
    let extent = match scan.scanner.extent {
        Extent::Disc => "the disc within",
        Extent::Square => "",
    };
    let notes: String = scan.notes.iter().map(|n| format!("; {n}")).collect();
    let (met, batch) = rays.counts();
    Subject {
        headline: format!(
            "scan: {}{notes}\n{} angles of {} detectors, {beam}, {met} rays through {extent}{}{n}x{n} pixels of {:.4} {}, \
             values of {lo} to {hi} {}",
            scan.name,
            angles.len(),
            scan.scanner.detectors,
            if extent.is_empty() { "" } else { " " },
            pixel,
            density.length,
            density.unit,
        )
        .trim_end()
        .to_owned(),
        title: format!("{} ({} angles)", scan.name, angles.len()),
        step: format!("{batch} of {met} rays"),
        description: Description {
            signal: "tomography".into(),
            inputs: Quantity::describe(&[axis("x"), axis("y")]),
            outputs: Quantity::describe(&[Quantity::new(&density.name, &density.unit, lo, hi)]),
            grid: Some(format!("cell first {n} {n}")),
            error: None,
            provenance: String::new(),
        },
        normalization: Normalization {
            input_centre: vec![0.5 * (n - 1) as f64 * pixel; 2],
            input_half: vec![0.5 * n as f64 * pixel; 2],
            output_centre: vec![lo],
            output_half: vec![hi - lo],
            mask: None,
        },
        head: Activation::Identity,
        hash: hash(
            scan.sinogram
                .values
                .iter()
                .copied()
                .chain(scan.truth.iter().flatten().copied())
                .chain(angles.iter().map(|a| *a as f32)),
        ),
    }
}
