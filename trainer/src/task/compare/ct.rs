//! Computed tomography by the protocol of Tancik et al. 2020: few parallel angles, the picture measured by its pixels.

use std::{path::PathBuf, sync::Arc};

use image::RgbImage;

use super::{Options, Plan, Row, rows::Sizes, rows_of_outputs};
use crate::{
    compare::{Block, Observe, Problem, Results, Scale, Trial},
    config::{self, TrainingConfig},
    engine::Engine,
    error::{Error, Result},
    plot::{grey, sheet},
    task::ct::{CtConfig, Rays, Scan, ScanKind},
};

/// What belongs to tomography alone.
#[derive(Debug, Clone, PartialEq)]
pub struct CtOptions {
    /// Picture or DICOM slice; none: another head of Shepp and Logan for every seed.
    pub phantom: Option<PathBuf>,
    /// Pixels along a side; none: 128, or 64 if quick.
    pub size: Option<usize>,
    /// Number of parallel angles.
    pub angles: usize,
    /// Architectures and mappings.
    pub rows: Vec<Row>,
}

/// Rays a step.
const RAYS: usize = 256;
/// Power of positional encoding over coordinates in [-1, 1]: up to 2^3 - 1 = 7 turns across the picture, as published.
const POWER: f64 = 2.17;

struct Scanned {
    scan: Arc<Scan>,
    config: CtConfig,
    /// From [`Problem::prepare`] on.
    rays: Option<Rays>,
}

pub(super) fn plan<'a>(options: &Options, ct: &'a CtOptions) -> Result<Plan<'a>> {
    if ct.rows.is_empty() {
        return Err(Error::Config { field: "--rows".into(), message: "found nothing to compare".into() });
    }
    let side = ct.size.unwrap_or(if options.quick { 64 } else { 128 });
    let size = if options.quick { (1, 300) } else { (3, 1000) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    let mut scans = Vec::new();
    for seed in 0..size.0 {
        let config = config_of(ct, side, seed)?;
        scans.push((Arc::new(Scan::open(&config, seed)?), config));
    }
    let (smeared, iterated) = mean_scores(&scans);
    let name = |seed: u64| scans[seed as usize].0.name.clone();
    let hidden = if options.quick { 64 } else { 128 };
    let sizes = Sizes {
        hidden,
        depth: 3,
        frequencies: 64,
        scale: 2.0,
        max_power: POWER,
        sigmoid: true,
        rate: 1e-3,
        siren_rate: 3e-4,
    };
    let mut trials = Vec::new();
    for row in ct.rows.iter().filter(|row| row.sigmoid()) {
        let observe = |seed| Observe { output: seed == 0, kernel: false };
        trials.extend(options.trials(row.name(), &name, &row.preset(&sizes), size, &observe));
    }
    trials.iter_mut().for_each(|t| t.training.batch = RAYS);
    let scanner = &scans[0].0.scanner;
    let about = format!(
        "{}; {side}x{side} pixels from {} parallel angles of {} detectors, PSNR of the clipped picture. {RAYS} rays a step, \
         half the mean squared error of their integrals over the picture's side, a stratified sample in each {:.4} of that; \
         3 hidden layers of {hidden} ReLUs, sigmoid; Gaussian mapping of 64 frequencies with scale 2, positional encoding up \
         to 2^{POWER} - 1 (coordinates in [-1, 1]: 4 and 2^3 over the side, as published); learning rate 1e-3. From the \
         same integrals, mean over what was scanned: filtered back-projection {smeared:.2} dB, SIRT after {} iterations \
         {iterated:.2} dB.",
        if ct.phantom.is_some() {
            format!("A scan of `{}`", name(0))
        } else {
            "Randomised heads of Shepp and Logan".into()
        },
        ct.angles,
        scanner.detectors,
        1.0 / scans[0].1.samples as f64,
        scans[0].1.sirt,
    );
    let shown = Arc::clone(&scans[0].0);
    Ok(Plan {
        trials,
        problem: Box::new(move |trial: &Trial| {
            let (scan, config) = &scans[trial.training.seed as usize];
            Ok(Box::new(Scanned { scan: Arc::clone(scan), config: config.clone(), rays: None }))
        }),
        title: "Computed tomography",
        about,
        figures: Box::new(move |results| figures(results, &shown)),
        tables: true,
    })
}

/// The defaults of `rwf ct`, but for what is compared.
fn config_of(ct: &CtOptions, side: usize, seed: u64) -> Result<CtConfig> {
    let kind = if ct.phantom.is_some() { ScanKind::Phantom } else { ScanKind::SheppLogan };
    let mut signal = toml::Table::new();
    signal.insert("kind".into(), toml::Value::try_from(kind).expect("a word"));
    signal.insert("size".into(), (side as i64).into());
    signal.insert("angles".into(), (ct.angles as i64).into());
    // A ray needs no more samples than there are pixels.
    signal.insert("samples".into(), (side.max(8) as i64).into());
    match &ct.phantom {
        Some(path) => signal.insert("path".into(), path.to_string_lossy().into_owned().into()),
        None => signal.insert("randomise".into(), (seed as i64).into()),
    };
    let known = toml::Table::from_iter([("signal".to_owned(), signal.into())]);
    Ok(config::resolve::<CtConfig>([CtConfig::defaults(kind), known])?.signal)
}

/// Mean PSNR of filtered back-projection and of SIRT.
fn mean_scores(scans: &[(Arc<Scan>, CtConfig)]) -> (f64, f64) {
    let (mut smeared, mut iterated) = (0.0, 0.0);
    for (scan, config) in scans {
        let score = |picture| -10.0 * scan.error(&scan.clipped(picture)).unwrap_or(f64::NAN).log10();
        smeared += score(scan.back_projected()) / scans.len() as f64;
        iterated += score(scan.iterated(config.sirt)) / scans.len() as f64;
    }
    (smeared, iterated)
}

impl Problem for Scanned {
    fn sizes(&self) -> (usize, usize) {
        (2, 1)
    }

    fn scale(&self) -> Scale {
        Scale::Psnr { range: 1.0 }
    }

    fn prepare(&mut self, _: &mut dyn Engine, plan: &TrainingConfig) -> Result<()> {
        self.rays = Some(Rays::new(&self.scan, &self.config, plan.seed, plan.batch));
        Ok(())
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.rays.as_mut().expect("prepared").gather(engine, step)
    }

    fn measure(&mut self, engine: &dyn Engine) -> Result<(f64, Vec<f32>)> {
        let picture = self.scan.clipped(engine.forward(&self.scan.places())?);
        Ok((self.scan.error(&picture).unwrap_or(f64::NAN), picture))
    }
}

/// What each method made of the first scan, a row of the table a line.
fn figures(results: &Results<'_>, scan: &Scan) -> Result<Vec<Block>> {
    let panel = |values: &[f32]| -> RgbImage { grey(values, (scan.side, scan.side), (0.0, 1.0)) };
    let mut lines = rows_of_outputs(results, &panel);
    let mut last = vec![(scan.name.clone(), panel(scan.truth.as_deref().unwrap_or_default()))];
    last.push(("filtered back-projection".into(), panel(&scan.clipped(scan.back_projected()))));
    lines.push(last);
    Ok(vec![Block::Figure(
        "slices".into(),
        format!("{}: what the networks made of it, seed 0, at the same rate; last: the phantom.", scan.name),
        sheet(&lines)?,
    )])
}
