//! Looks inside a run: what the factors became, how far the weights went, what the tangent kernel says.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::fit::{network_units, open_checkpoint};
use crate::{
    diagnose::{
        factors::{LayerFactors, factors, weight_change},
        tangent::{spectrum, tangent_kernel},
    },
    engine::{Batch, Device, EngineChoice, Loss, engine},
    error::{Error, Result},
    network::{Network, Parameter},
    plot::{Chart, Line, Spacing, Stroke, mosaic},
    rng::Rng,
    train::RunFolder,
};

/// Most rows of a tangent kernel: its eigenvalues take a time that grows with their cube.
const ROWS: usize = 2048;
/// Bars of a histogram.
const BINS: usize = 24;

/// What is inside a run.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The run folder.
    pub folder: PathBuf,
    /// Steps done.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// How dense weights are made.
    pub parameterization: &'static str,
    /// Every layer, encoders first.
    pub layers: Vec<LayerFactors>,
    /// |W - W0|/|W0| over all dense weights.
    pub change: f64,
    /// Loss over the samples.
    pub loss: f64,
    /// Norm of its gradient with respect to every trained tensor.
    pub gradients: Vec<(String, f64)>,
    /// Samples behind loss and gradients.
    pub samples: usize,
    /// Samples behind the kernel.
    pub points: usize,
    /// Eigenvalues at the start and now, in dense weights and in trained numbers, largest first.
    spectra: [(&'static str, Vec<f64>); 4],
}

/// Looks inside the run in `path`, a run folder or the checkpoint in it; the kernel is computed at up to `points`
/// samples spread over the signal.
///
/// # Errors
/// What [`crate::train::Checkpoint::read`] and the signal's file give, and [`Error::Config`] for a number of points
/// that is 0 or too large.
pub fn inspect(path: &Path, points: usize) -> Result<Inspection> {
    let folder = if path.is_file() {
        path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
    } else {
        RunFolder::open(path)?.path().to_path_buf()
    };
    let file = if path.is_file() { path.to_path_buf() } else { RunFolder::open(path)?.checkpoint() };
    let (checkpoint, signal) = open_checkpoint(&file)?;
    let outputs = signal.outputs.len();
    if points == 0 || points * outputs > ROWS {
        return Err(Error::Config {
            field: "--points".into(),
            message: format!("found {points}, expected 1 to {} for {outputs} output(s)", ROWS / outputs),
        });
    }
    let config = &checkpoint.config;
    // The start is made again from the seed.
    let mut rng = Rng::new(config.training.seed).stream("network");
    let (network, start) = Network::new(&config.network, signal.inputs.len(), outputs, &mut rng)?;
    let now = &checkpoint.parameters;

    let every: Vec<usize> = (0..signal.len()).collect();
    let (x, y) = network_units(&signal, &checkpoint.normalization, &every);
    let mut engine = engine(EngineChoice::Auto, &network, now, &Device::Cpu)?;
    engine.load(&x, &y)?;
    let (loss, gradients) = engine.loss_and_gradients(Batch::Full, Loss::MeanSquaredError)?;
    let norm = |p: &Parameter| p.values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();

    // Random samples: regular ones would fall in step with the rows of a raster.
    let mut chosen = Rng::new(config.training.seed).stream("inspect").permutation(signal.len());
    chosen.truncate(points);
    let chosen: Vec<usize> = chosen.into_iter().map(|i| i as usize).collect();
    let (at, _) = network_units(&signal, &checkpoint.normalization, &chosen);
    let at: Vec<f64> = at.into_iter().map(f64::from).collect();
    let spectra = |parameters: &[Parameter]| {
        let kernel = tangent_kernel(&network, parameters, &at);
        (spectrum(kernel.dense), spectrum(kernel.trained))
    };
    let ((dense_start, trained_start), (dense_now, trained_now)) = (spectra(&start), spectra(now));
    Ok(Inspection {
        folder,
        step: checkpoint.step,
        steps: config.training.steps,
        parameterization: config.network.parameterization.name(),
        layers: factors(&network, now, &start),
        change: weight_change(&network.dense_f64(now), &network.dense_f64(&start)),
        loss,
        gradients: gradients.iter().map(|p| (p.name.clone(), norm(p))).collect(),
        samples: signal.len(),
        points: chosen.len(),
        spectra: [
            ("dense, start", dense_start),
            ("dense, now", dense_now),
            ("trained, start", trained_start),
            ("trained, now", trained_now),
        ],
    })
}

impl Inspection {
    /// Name and eigenvalues of each spectrum.
    pub fn spectra(&self) -> impl Iterator<Item = (&'static str, &[f64])> {
        self.spectra.iter().map(|(name, values)| (*name, values.as_slice()))
    }

    /// Four charts: histogram of the scales, spectra, change of weights a layer, rates of every neuron.
    ///
    /// # Errors
    /// Those of drawing.
    pub fn picture(&self) -> Result<RgbImage> {
        let layers = || self.layers.iter().enumerate();
        let chart = |title: &str, x: (&str, Spacing), y: (&str, Spacing), lines| Chart {
            title: title.into(),
            x: (x.0.into(), x.1),
            y: (y.0.into(), y.1),
            lines,
        };
        let all = self.layers.iter().flat_map(|l| &l.scale);
        let low = all.clone().copied().fold(f64::INFINITY, f64::min);
        let high = all.copied().fold(f64::NEG_INFINITY, f64::max).max(low + 1e-9);
        let histograms = layers().map(|(n, layer)| Line {
            name: layer.name.clone(),
            points: histogram(&layer.scale, low, high),
            colour: n,
            stroke: Stroke::Solid,
        });
        let spectra = self.spectra().enumerate().map(|(n, (name, values))| Line {
            name: name.into(),
            points: (1..).map(f64::from).zip(values.iter().map(|v| v / values[0])).filter(|p| p.1 > 1e-12).collect(),
            colour: if n < 2 { 6 } else { 3 },
            stroke: if n % 2 == 0 { Stroke::Dashed } else { Stroke::Solid },
        });
        let change = layers().map(|(n, layer)| Line {
            name: layer.name.clone(),
            points: vec![(n as f64, 0.0), (n as f64, layer.change)],
            colour: n,
            stroke: Stroke::Solid,
        });
        let rates = layers().map(|(n, layer)| Line {
            name: layer.name.clone(),
            points: layer.rate_across.iter().copied().zip(layer.rate_along.iter().copied()).collect(),
            colour: n,
            stroke: Stroke::Points,
        });
        let (linear, log) = (Spacing::Linear, Spacing::Logarithmic);
        let charts = [
            chart(
                "Scales",
                ("scale of a neuron", linear),
                ("share of the layer's neurons", linear),
                histograms.collect(),
            ),
            chart(
                "Tangent kernel (dashed: at the start)",
                ("index of the eigenvalue", log),
                ("eigenvalue / largest", log),
                spectra.collect(),
            ),
            chart("Change of the dense weights", ("layer", linear), ("|W - W0| / |W0|", linear), change.collect()),
            chart("Effective rates", ("across the weights", log), ("along the weights", log), rates.collect()),
        ];
        let drawn = charts.iter().map(Chart::draw).collect::<Result<Vec<_>>>()?;
        Ok(mosaic(&drawn, 2))
    }
}

/// Outline of a histogram, shares over the middle of steps.
fn histogram(values: &[f64], low: f64, high: f64) -> Vec<(f64, f64)> {
    let mut counts = [0usize; BINS];
    for v in values {
        counts[(((v - low) / (high - low) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let edge = |i: usize| low + (high - low) * i as f64 / BINS as f64;
    (0..BINS)
        .flat_map(|i| {
            let share = counts[i] as f64 / values.len() as f64;
            [(edge(i), share), (edge(i + 1), share)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_holds_every_value_once() {
        let outline = histogram(&[1.0, 1.0, 2.0, 3.0], 1.0, 3.0);
        assert_eq!(outline.len(), 2 * BINS);
        assert_eq!(outline.iter().step_by(2).map(|p| p.1).sum::<f64>(), 1.0);
        assert_eq!((outline[0].1, outline[2 * BINS - 1].1), (0.5, 0.25));
    }
}
