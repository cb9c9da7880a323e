//! Derivatives of a network by its inputs, carried forward as Taylor coefficients beside the values, and one way back
//! from any function of them to what is trained. Hand-written like the rest of the engine, exact f32.

mod curve;
mod kernels;
#[cfg(test)]
mod tests;
mod tile;
mod wide;

use std::ops::Range;

use rayon::prelude::*;

use self::{tile::JetTile, wide::LANES};
use super::{
    FusedEngine, Waiting,
    panel::{PANEL, Row},
};
use crate::{
    engine::{
        StepReport,
        descent::{Descends, Descent, descend},
        jet::{Gather, JetEngine, JetObservation, Plan},
    },
    error::Result,
};

/// Rows of a tile: what it leaves behind fits the second cache.
const ROWS: usize = 256;
/// Parts the points are divided into, each with a gradient of its own; the sum over parts has a fixed order.
const PARTS: usize = 16;

/// Room for the points of one part.
#[derive(Debug)]
pub(super) struct Part {
    /// Rows of a tile, and points of one.
    shape: (usize, usize),
    tile: JetTile,
    x: Vec<f32>,
    turns: Vec<f32>,
    features: Vec<f32>,
    jets: Vec<f32>,
    cotangents: Vec<f32>,
    extra: Vec<f64>,
    sum: f64,
}

impl Part {
    /// Its gradient of all dense layers.
    pub(super) fn gradient(&self) -> &[Row] {
        &self.tile.gradient
    }
}

/// The mapping's growth along every direction, `[frequencies]` each.
type Slopes = Vec<Vec<f32>>;

impl JetEngine for FusedEngine {
    fn observe_jets(
        &mut self,
        plan: &Plan,
        x: &[f32],
        observation: &dyn JetObservation,
        weight: f64,
        extra: &mut [f64],
    ) -> Result<f64> {
        self.gather();
        let rooms = std::mem::take(&mut self.jets);
        let parts = self.run(rooms, plan, x, observation, Some(weight as f32), extra.len())?;
        for part in &parts {
            extra.iter_mut().zip(&part.extra).for_each(|(sum, g)| *sum += g);
        }
        let sum = parts.iter().map(|p| p.sum).sum();
        self.waiting = Waiting::Jets(parts.len());
        self.jets = parts;
        Ok(sum)
    }

    fn look(&mut self, plan: &Plan, x: &[f32], observation: &dyn JetObservation, extra: usize) -> Result<f64> {
        Ok(self.run(Vec::new(), plan, x, observation, None, extra)?.iter().map(|p| p.sum).sum())
    }

    fn descend(&mut self, function: u64, beside: &mut [f32], gather: &mut Gather<'_>) -> Result<Option<StepReport>> {
        descend(self, function, beside, gather)
    }
}

impl Descends for FusedEngine {
    fn descent(&mut self) -> &mut Descent {
        &mut self.descent
    }

    fn trained(&self) -> Result<Vec<f32>> {
        Ok(self.trained.clone())
    }

    fn place(&mut self, trained: &[f32]) -> Result<()> {
        self.trained.copy_from_slice(trained);
        self.materialize();
        Ok(())
    }

    fn gradient(&mut self) -> Result<Vec<f32>> {
        self.pull_back();
        Ok(self.gradient.clone())
    }
}

impl FusedEngine {
    /// `rooms` are those of an earlier run, where they fit.
    fn run(
        &self,
        mut rooms: Vec<Part>,
        plan: &Plan,
        x: &[f32],
        observation: &dyn JetObservation,
        back: Option<f32>,
        extra: usize,
    ) -> Result<Vec<Part>> {
        let inputs = self.network.architecture.inputs;
        plan.suits(inputs)?;
        let points = x.len() / inputs;
        let tile = (ROWS / plan.rows() / LANES * LANES).max(LANES);
        let count = points.div_ceil(tile).clamp(1, PARTS);
        let size = points.div_ceil(count).next_multiple_of(LANES);
        let slopes = self.network.mapping.as_ref().map_or(Vec::new(), |m| plan.growth(m));
        rooms.retain(|part| part.shape == (plan.rows(), tile) && part.extra.len() == extra);
        rooms.truncate(count);
        rooms.resize_with(count, || self.part(plan, tile, extra));
        let run = |(n, part): (usize, &mut Part)| {
            part.tile.gradient.fill([0.0; PANEL]);
            part.extra.fill(0.0);
            part.sum = 0.0;
            let (from, to) = ((n * size).min(points), ((n + 1) * size).min(points));
            for start in (from..to).step_by(tile) {
                let range = start..to.min(start + tile);
                self.tile(part, plan, &slopes, x, range, observation, back);
            }
        };
        if count == 1 || rayon::current_num_threads() == 1 {
            rooms.iter_mut().enumerate().for_each(run);
        } else {
            rooms.par_iter_mut().enumerate().with_max_len(1).for_each(run);
        }
        Ok(rooms)
    }

    fn part(&self, plan: &Plan, points: usize, extra: usize) -> Part {
        let architecture = &self.network.architecture;
        let rows = plan.rows() * points;
        let frequencies = self.network.mapping.as_ref().map_or(0, |m| m.outputs);
        Part {
            shape: (plan.rows(), points),
            tile: JetTile::new(&self.network, plan, points, self.rows),
            x: vec![0.0; points * architecture.inputs],
            turns: vec![0.0; points * frequencies],
            features: vec![0.0; rows * architecture.features()],
            jets: Vec::new(),
            cotangents: Vec::new(),
            extra: vec![0.0; extra],
            sum: 0.0,
        }
    }

    /// The jets of the features of `points` points, `[rows, points, features]`.
    fn features(&self, part: &mut Part, plan: &Plan, slopes: &Slopes, points: usize) {
        let inputs = self.network.architecture.inputs;
        let width = self.network.architecture.features();
        let (size, x) = (points * width, &part.x[..points * inputs]);
        let features = &mut part.features[..plan.rows() * size];
        let raw = match &self.frequencies {
            None => inputs,
            Some(frequencies) => {
                let turns = &mut part.turns[..points * frequencies.count()];
                frequencies.phases(x, turns);
                let raw = frequencies.raw();
                kernels::features(plan, (turns, frequencies.count()), slopes, raw, features);
                raw
            }
        };
        if raw == 0 {
            return;
        }
        let columns = |features: &mut [f32], row: usize, f: &dyn Fn(usize, usize) -> f32| {
            for (p, out) in features[Plan::block(row, size)].chunks_exact_mut(width).enumerate() {
                out[..raw].iter_mut().enumerate().for_each(|(i, o)| *o = f(p, i));
            }
        };
        for row in 1..plan.rows() {
            columns(features, row, &|_, _| 0.0);
        }
        columns(features, 0, &|p, i| x[p * inputs + i]);
        for direction in &plan.directions {
            columns(features, direction.first, &|_, i| direction.vector[i]);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one place, all of them needed")]
    fn tile(
        &self,
        part: &mut Part,
        plan: &Plan,
        slopes: &Slopes,
        x: &[f32],
        range: Range<usize>,
        observation: &dyn JetObservation,
        back: Option<f32>,
    ) {
        let (inputs, outputs) = (self.network.architecture.inputs, self.network.architecture.outputs());
        let (real, rows) = (range.len(), plan.rows());
        // Points up to whole lanes repeat the last one; nothing comes back from them.
        let points = real.next_multiple_of(LANES);
        part.x[..real * inputs].copy_from_slice(&x[range.start * inputs..range.end * inputs]);
        for p in real..points {
            part.x.copy_within((real - 1) * inputs..real * inputs, p * inputs);
        }
        self.features(part, plan, slopes, points);
        part.tile.forward(self.net(), plan, &part.features, points);
        let (jets, cotangents) = part.tile.outputs_and_cotangents(rows * points * outputs);
        cotangents.fill(0.0);
        if real == points {
            part.sum += observation.observe(range, jets, cotangents, &mut part.extra);
        } else {
            part.jets.clear();
            for row in 0..rows {
                part.jets.extend_from_slice(&jets[row * points * outputs..][..real * outputs]);
            }
            part.cotangents.clear();
            part.cotangents.resize(part.jets.len(), 0.0);
            part.sum += observation.observe(range, &part.jets, &mut part.cotangents, &mut part.extra);
            for (row, from) in part.cotangents.chunks_exact(real * outputs).enumerate() {
                cotangents[row * points * outputs..][..real * outputs].copy_from_slice(from);
            }
        }
        if let Some(weight) = back {
            let (_, cotangents) = part.tile.outputs_and_cotangents(rows * points * outputs);
            cotangents.iter_mut().for_each(|g| *g *= weight);
            part.tile.backward(self.net(), plan, &part.features, points);
        }
    }
}
