//! The fast engine on the CPU: dense weights are made once a step, tiles of points go forward and back through all
//! layers while they stay in cache, and gradients, factors and moments live in flat buffers. For every network there
//! is; tested against the f64 oracle and [`CandleEngine`](super::CandleEngine).

mod activation;
mod factors;
mod layout;
mod matrix;
mod optimizer;
mod thin;
mod tile;

use std::time::{Duration, Instant};

use rayon::prelude::*;

use self::{
    factors::Dense,
    layout::Layout,
    tile::{Frequencies, Net, Tile},
};
use super::{AdamStep, Batch, Engine, Loss, StepReport};
use crate::{
    error::Result,
    network::{DenseNetwork, HostDense, Network, Parameter},
};

/// Points of a tile: what it leaves behind fits the second cache up to widths of 256.
const TILE: usize = 128;
/// Parts a batch is divided into, each with a gradient of its own; the sum over parts has a fixed order, so that the
/// result does not depend on the number of threads.
const PARTS: usize = 16;
/// Fewest points worth a part.
const PART: usize = 128;
/// Most values of features kept for the whole signal; beyond that they are made anew for every batch.
const CACHED_FEATURES: usize = 1 << 26;

/// A network trained by hand-written passes on the CPU.
#[derive(Debug)]
pub struct FusedEngine {
    network: Network,
    layout: Layout,
    frequencies: Option<Frequencies>,
    trained: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    gradient: Vec<f32>,
    dense: Vec<Dense>,
    data: Data,
    /// Workspaces of the parts of a batch.
    parts: Vec<Part>,
}

/// The samples trained on.
#[derive(Debug, Default)]
struct Data {
    /// Coordinates, or features where these are kept.
    x: Vec<f32>,
    /// Values a sample in `x`.
    width: usize,
    /// Whether `x` holds what goes into the first layer.
    mapped: bool,
    y: Vec<f32>,
    outputs: usize,
}

/// One part of a batch.
#[derive(Debug, Clone)]
struct Part {
    tile: Tile,
    gathered: Vec<f32>,
    features: Vec<f32>,
    turns: Vec<f32>,
    target: Vec<f32>,
}

/// The rate of f32 matrix products of this shape (m, k, n), each thread of the pool with its own, in 10^9 operations a
/// second: the best of many rounds within `time`.
pub fn peak((m, k, n): (usize, usize, usize), time: Duration) -> f64 {
    let threads = rayon::current_num_threads();
    let (a, b) = (vec![1.0f32; m * k], vec![1.0f32; k * n]);
    let mut c = vec![vec![0.0f32; m * n]; threads];
    let operations = (2 * m * k * n) as f64;
    // A round long enough that handing it out does not count.
    let repeat = (1e8 / operations).ceil().max(1.0) as usize;
    let (started, mut best) = (Instant::now(), f64::INFINITY);
    while started.elapsed() < time {
        let clock = Instant::now();
        c.par_iter_mut().with_max_len(1).for_each(|c| {
            (0..repeat).for_each(|_| matrix::product(c, &a, &b, (m, k, n)));
        });
        best = best.min(clock.elapsed().as_secs_f64());
    }
    1e-9 * operations * (repeat * threads) as f64 / best
}

impl FusedEngine {
    /// `network` with these trained numbers.
    ///
    /// # Errors
    /// A parameter that is missing or has another shape.
    pub fn new(network: &Network, parameters: &[Parameter]) -> Result<Self> {
        let layout = Layout::new(network);
        let zeros = || vec![0.0; layout.len];
        let specs = network.encoders.iter().chain(&network.layers);
        let mut engine = Self {
            frequencies: network.mapping.as_ref().map(|m| Frequencies::new(m, network.architecture.mapping)),
            trained: zeros(),
            first: zeros(),
            second: zeros(),
            gradient: zeros(),
            dense: specs.map(Dense::new).collect(),
            data: Data::default(),
            parts: Vec::new(),
            network: network.clone(),
            layout,
        };
        engine.set_parameters(parameters)?;
        Ok(engine)
    }

    fn materialize(&mut self) {
        let specs = self.network.encoders.iter().chain(&self.network.layers);
        for ((dense, spec), slot) in self.dense.iter_mut().zip(specs).zip(&self.layout.slots) {
            dense.materialize(spec, slot, &self.trained);
        }
    }

    fn net(&self) -> Net<'_> {
        Net { architecture: &self.network.architecture, dense: &self.dense, layout: &self.layout }
    }

    fn new_part(&self) -> Part {
        let room = |width| vec![0.0; TILE * width];
        let features = self.network.architecture.features();
        let turns = self.frequencies.as_ref().map_or(0, Frequencies::width);
        Part {
            tile: Tile::new(&self.network, &self.layout, TILE, true),
            gathered: room(self.data.width),
            features: room(features),
            turns: room(turns),
            target: room(self.data.outputs),
        }
    }

    /// Loss, with its gradient pulled back into `self.gradient`.
    fn gradient(&mut self, batch: Batch<'_>, loss: Loss) -> f64 {
        let Loss::MeanSquaredError = loss;
        let points = match batch {
            Batch::Full => self.data.y.len() / self.data.outputs,
            Batch::Indices(indices) => indices.len(),
        };
        let parts = points.div_ceil(PART).clamp(1, PARTS);
        while self.parts.len() < parts {
            self.parts.push(self.new_part());
        }
        let mut work = std::mem::take(&mut self.parts);
        let size = points.div_ceil(parts).next_multiple_of(16);
        let count = (points * self.data.outputs) as f64;
        let weight = (2.0 / count) as f32;
        let (net, data, frequencies) = (self.net(), &self.data, self.frequencies.as_ref());
        let run = |(n, part): (usize, &mut Part)| {
            part.tile.loss = 0.0;
            part.tile.gradient.fill(0.0);
            let (from, to) = ((n * size).min(points), ((n + 1) * size).min(points));
            for start in (from..to).step_by(TILE) {
                part.train(net, data, frequencies, batch, start..to.min(start + TILE), weight);
            }
        };
        if parts == 1 || rayon::current_num_threads() == 1 {
            work[..parts].iter_mut().enumerate().for_each(run);
        } else {
            work[..parts].par_iter_mut().enumerate().with_max_len(1).for_each(run);
        }
        optimizer::sum(&mut self.gradient, parts, |n| &work[n].tile.gradient);
        let loss = work[..parts].iter().map(|p| p.tile.loss).sum::<f64>() / count;
        self.parts = work;

        let specs = self.network.encoders.iter().chain(&self.network.layers);
        for ((dense, spec), slot) in self.dense.iter_mut().zip(specs).zip(&self.layout.slots) {
            dense.pull_back(spec, slot, &self.trained, &mut self.gradient);
        }
        loss
    }
}

impl Part {
    /// The samples `range` of the batch, forward and back.
    fn train(
        &mut self,
        net: Net<'_>,
        data: &Data,
        frequencies: Option<&Frequencies>,
        batch: Batch<'_>,
        range: std::ops::Range<usize>,
        weight: f32,
    ) {
        let (points, w, k) = (range.len(), data.width, data.outputs);
        let (x, target) = match batch {
            Batch::Full => (&data.x[range.start * w..range.end * w], &data.y[range.start * k..range.end * k]),
            Batch::Indices(indices) => {
                for (row, &i) in indices[range].iter().enumerate() {
                    let i = i as usize;
                    self.gathered[row * w..(row + 1) * w].copy_from_slice(&data.x[i * w..(i + 1) * w]);
                    self.target[row * k..(row + 1) * k].copy_from_slice(&data.y[i * k..(i + 1) * k]);
                }
                (&self.gathered[..points * w], &self.target[..points * k])
            }
        };
        let features = match frequencies {
            Some(frequencies) if !data.mapped => {
                let features = &mut self.features[..points * frequencies.width()];
                frequencies.apply(x, &mut self.turns, features);
                &*features
            }
            _ => x,
        };
        self.tile.train(net, features, target, points, weight);
    }
}

impl Engine for FusedEngine {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()> {
        let architecture = &self.network.architecture;
        let (inputs, features) = (architecture.inputs, architecture.features());
        let points = x.len() / inputs;
        // The mapping is not trained, so its features are those of the first step for ever.
        let mapped = points * features <= CACHED_FEATURES;
        let x = match &self.frequencies {
            Some(frequencies) if mapped => {
                let mut out = vec![0.0; points * features];
                out.par_chunks_mut(TILE * features).zip(x.par_chunks(TILE * inputs)).for_each(|(out, x)| {
                    let mut turns = vec![0.0; TILE * features];
                    frequencies.apply(x, &mut turns, out);
                });
                out
            }
            _ => x.to_vec(),
        };
        let width = x.len() / points.max(1);
        self.data = Data { x, width, mapped, y: y.to_vec(), outputs: architecture.outputs() };
        self.parts.clear();
        Ok(())
    }

    fn loss_and_gradients(&mut self, batch: Batch<'_>, loss: Loss) -> Result<(f64, Vec<Parameter>)> {
        let loss = self.gradient(batch, loss);
        Ok((loss, self.layout.name(&self.gradient)))
    }

    fn step(&mut self, batch: Batch<'_>, loss: Loss, adam: &AdamStep) -> Result<StepReport> {
        let loss = self.gradient(batch, loss);
        let gradient_norm = optimizer::norm(&self.gradient);
        let shrink = match adam.clip {
            Some(limit) if gradient_norm > limit => limit / gradient_norm,
            _ => 1.0,
        };
        optimizer::adam(&mut self.trained, &mut self.first, &mut self.second, &self.gradient, shrink as f32, adam);
        self.materialize();
        Ok(StepReport { loss, gradient_norm })
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let architecture = &self.network.architecture;
        let (inputs, outputs, width) = (architecture.inputs, architecture.outputs(), architecture.features());
        let mut out = vec![0.0; x.len() / inputs * outputs];
        // Few tiles a piece, so that rooms are made seldom.
        let piece = 8 * TILE;
        out.par_chunks_mut(piece * outputs).zip(x.par_chunks(piece * inputs)).for_each(|(out, x)| {
            let mut tile = Tile::new(&self.network, &self.layout, TILE, false);
            let (mut features, mut turns) = (vec![0.0; TILE * width], vec![0.0; TILE * width]);
            for (out, x) in out.chunks_mut(TILE * outputs).zip(x.chunks(TILE * inputs)) {
                let points = x.len() / inputs;
                let features = match &self.frequencies {
                    Some(frequencies) => {
                        let features = &mut features[..points * width];
                        frequencies.apply(x, &mut turns, features);
                        &*features
                    }
                    None => x,
                };
                out.copy_from_slice(tile.forward(self.net(), features, points));
            }
        });
        Ok(out)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(self.layout.name(&self.trained))
    }

    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        self.layout.fill(&mut self.trained, parameters)?;
        self.materialize();
        Ok(())
    }

    fn moments(&self) -> Result<Vec<Parameter>> {
        Ok(self.layout.name_moments(&self.first, &self.second))
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        self.layout.fill_moments(&mut self.first, &mut self.second, moments)
    }

    fn dense(&self) -> Result<DenseNetwork> {
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        let mut all: Vec<HostDense> = self
            .dense
            .iter()
            .map(|d| HostDense { kernel: wide(&d.kernel), bias: wide(&d.bias), inputs: d.inputs, outputs: d.outputs })
            .collect();
        let layers = all.split_off(self.network.encoders.len());
        Ok(DenseNetwork {
            architecture: self.network.architecture.clone(),
            mapping: self.network.mapping.clone(),
            encoders: all,
            layers,
            output: None,
        })
    }
}

#[cfg(test)]
mod tests;
