//! The fast engine on the CPU: dense weights are made once a step, tiles of points go forward and back through all
//! layers while they stay in cache, and gradients, factors and moments live in flat buffers. For every network there
//! is; tested against the f64 oracle and [`CandleEngine`](super::CandleEngine).

mod activation;
mod factors;
mod jet;
mod kernel;
mod linear;
mod optimizer;
mod panel;
mod peak;
mod relu;
mod sine;
mod thin;
mod tile;
mod update;
#[cfg(test)]
mod width;

use std::ops::Range;

pub(super) use self::optimizer::adam;
pub use self::peak::peak;

use rayon::prelude::*;

use self::{
    factors::Dense,
    linear::{Place, places},
    panel::PANEL,
    tile::{Frequencies, Net, Tile},
    update::{Added, Layers},
};
use super::{
    AdamStep, Batch, DenseGradient, Engine, JetEngine, Loss, Observation, Plan, check_dense, descent::Descent,
    layout::Layout, pieces, whole_groups,
};
use crate::{
    error::Result,
    network::{DenseNetwork, DenseSpec, HostDense, Network, Parameter},
};

/// Points of a tile: what it leaves behind fits the second cache up to widths of 256.
const TILE: usize = 96;
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
    /// Gradients gathered since the last update, with respect to dense layers, where weight and bias lie; those still to be
    /// added are in workspaces.
    gradient: Vec<f32>,
    /// Whether there are any.
    gathered: bool,
    waiting: Waiting,
    dense: Vec<Dense>,
    /// Where the gradients of dense layers lie in those of tiles, and how many rows those have.
    places: Vec<Place>,
    rows: usize,
    data: Data,
    /// Workspaces of the parts of a batch.
    parts: Vec<Part>,
    /// Those of jets.
    jets: Vec<jet::Part>,
    /// What L-BFGS knows.
    descent: Descent,
}

/// Workspaces, the first so many, whose gradients are to be added to what is gathered: with the next update, each layer by
/// itself, so that threads meet once less.
#[derive(Debug, Clone, Copy, Default)]
enum Waiting {
    #[default]
    Nothing,
    Points(usize),
    Jets(usize),
}

/// What a pass looks at.
#[derive(Clone, Copy)]
enum Look<'a> {
    /// Loaded samples.
    Loaded { batch: Batch<'a>, loss: Loss },
    /// These points `[n, inputs]`.
    Fresh { x: &'a [f32], inputs: usize, observation: &'a dyn Observation },
}

/// How a batch is cut into tiles of whole groups.
struct Tiles {
    /// Points of a group, where all have as many.
    group: usize,
    /// Points of the largest tile.
    largest: usize,
    /// Group and point at which each tile begins, and where the last ends, where groups differ.
    cuts: Option<Vec<(usize, usize)>>,
}

impl Tiles {
    fn new(points: usize, look: Look<'_>) -> Self {
        let equal = |group: usize| Self { group, largest: (TILE / group).max(1) * group, cuts: None };
        let Look::Fresh { observation, .. } = look else { return equal(1) };
        let Some(offsets) = observation.offsets() else { return equal(observation.group()) };
        let cuts = pieces(offsets, TILE);
        let largest = cuts.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or(points);
        Self { group: 1, largest, cuts: Some(cuts) }
    }

    fn parts(&self, points: usize) -> usize {
        let most = self.cuts.as_ref().map_or(PARTS, |cuts| PARTS.min(cuts.len() - 1));
        points.div_ceil(PART.max(self.largest)).clamp(1, most.max(1))
    }

    /// Hands the tiles of one part, first group and points, to `each`.
    fn of_part(&self, part: usize, parts: usize, points: usize, mut each: impl FnMut(usize, Range<usize>)) {
        if let Some(cuts) = &self.cuts {
            let tiles = cuts.len() - 1;
            for n in part * tiles / parts..(part + 1) * tiles / parts {
                each(cuts[n].0, cuts[n].1..cuts[n + 1].1);
            }
            return;
        }
        let step = if self.group == 1 { 16 } else { self.group };
        let size = points.div_ceil(parts).next_multiple_of(step);
        let (from, to) = ((part * size).min(points), ((part + 1) * size).min(points));
        for start in (from..to).step_by(self.largest) {
            each(start / self.group, start..to.min(start + self.largest));
        }
    }
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
    /// Most points of the tile.
    room: usize,
    gathered: Vec<f32>,
    features: Vec<f32>,
    turns: Vec<f32>,
    target: Vec<f32>,
}

impl FusedEngine {
    /// `network` with these trained numbers.
    ///
    /// # Errors
    /// A parameter that is missing or has another shape.
    pub fn new(network: &Network, parameters: &[Parameter]) -> Result<Self> {
        let layout = Layout::new(network);
        let zeros = || vec![0.0; layout.len];
        let dense: Vec<Dense> = network.encoders.iter().chain(&network.layers).map(Dense::new).collect();
        let (places, rows) = places(&dense, network.encoders.len());
        let mut engine = Self {
            frequencies: network.mapping.as_ref().map(|m| Frequencies::new(m, network.architecture.mapping)),
            trained: zeros(),
            first: zeros(),
            second: zeros(),
            gradient: zeros(),
            gathered: false,
            waiting: Waiting::Nothing,
            dense,
            places,
            rows,
            data: Data::default(),
            parts: Vec::new(),
            jets: Vec::new(),
            descent: Descent::default(),
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
        Net { architecture: &self.network.architecture, dense: &self.dense, places: &self.places }
    }

    fn new_part(&self, points: usize) -> Part {
        let room = |width| vec![0.0; points * width];
        let architecture = &self.network.architecture;
        let turns = self.frequencies.as_ref().map_or(0, Frequencies::width);
        Part {
            tile: Tile::new(&self.network, points, Some(self.rows)),
            room: points,
            gathered: room(self.data.width),
            features: room(architecture.features()),
            turns: room(turns),
            target: room(self.data.outputs),
        }
    }

    fn specs(&self) -> impl Iterator<Item = &DenseSpec> {
        self.network.encoders.iter().chain(&self.network.layers)
    }

    /// Takes `points` points, whole groups, through and back, times `weight`; their gradient is added to what is
    /// gathered.
    fn pass(&mut self, points: usize, weight: f32, look: Look<'_>) -> f64 {
        self.gather();
        let tiles = Tiles::new(points, look);
        let parts = tiles.parts(points);
        self.parts.retain(|p| p.room >= tiles.largest);
        while self.parts.len() < parts {
            self.parts.push(self.new_part(tiles.largest.max(TILE)));
        }
        let mut work = std::mem::take(&mut self.parts);
        let (net, data, frequencies) = (self.net(), &self.data, self.frequencies.as_ref());
        let run = |(n, part): (usize, &mut Part)| {
            part.tile.loss = 0.0;
            part.tile.gradient.fill([0.0; PANEL]);
            tiles.of_part(n, parts, points, |first, range| {
                part.train(net, data, frequencies, look, first, range, weight);
            });
        };
        if parts == 1 || rayon::current_num_threads() == 1 {
            work[..parts].iter_mut().enumerate().for_each(run);
        } else {
            work[..parts].par_iter_mut().enumerate().with_max_len(1).for_each(run);
        }
        let loss = work[..parts].iter().map(|p| p.tile.loss).sum();
        self.parts = work;
        self.waiting = Waiting::Points(parts);
        loss
    }

    /// Adds to what is gathered what waits in workspaces, which something else is about to use.
    fn gather(&mut self) {
        if !matches!(self.waiting, Waiting::Nothing) {
            self.layers().gather();
            self.gathered = true;
        }
    }

    /// Turns what is gathered into the gradient of what is trained, the sum of whose squares it gives; afterwards nothing
    /// is gathered.
    fn pull_back(&mut self) -> f64 {
        self.layers().pull_back()
    }

    /// All layers, what is trained of them and their gradients, of which then nothing is gathered and nothing waits.
    fn layers(&mut self) -> Layers<'_> {
        let (gathered, waiting) = (std::mem::take(&mut self.gathered), std::mem::take(&mut self.waiting));
        Layers {
            network: &self.network,
            first: 0,
            dense: &mut self.dense,
            slots: &self.layout.slots,
            places: &self.places,
            trained: &mut self.trained,
            moments: [&mut self.first, &mut self.second],
            gradient: &mut self.gradient,
            gathered,
            added: match waiting {
                Waiting::Nothing => Added::Nothing,
                Waiting::Points(parts) => Added::Points(&self.parts[..parts]),
                Waiting::Jets(parts) => Added::Jets(&self.jets[..parts]),
            },
        }
    }
}

impl Part {
    /// The points `range` of what is looked at, whose first group is `first`, forward and back.
    #[expect(clippy::too_many_arguments, reason = "what a pass has in common, and where it stands")]
    fn train(
        &mut self,
        net: Net<'_>,
        data: &Data,
        frequencies: Option<&Frequencies>,
        look: Look<'_>,
        first: usize,
        range: Range<usize>,
        weight: f32,
    ) {
        let points = range.len();
        let (x, mapped) = match look {
            Look::Loaded { batch, .. } => {
                let (w, k) = (data.width, data.outputs);
                let x = match batch {
                    Batch::Full => {
                        self.target[..points * k].copy_from_slice(&data.y[range.start * k..range.end * k]);
                        &data.x[range.start * w..range.end * w]
                    }
                    Batch::Indices(indices) => {
                        for (row, &i) in indices[range.clone()].iter().enumerate() {
                            let i = i as usize;
                            self.gathered[row * w..(row + 1) * w].copy_from_slice(&data.x[i * w..(i + 1) * w]);
                            self.target[row * k..(row + 1) * k].copy_from_slice(&data.y[i * k..(i + 1) * k]);
                        }
                        &self.gathered[..points * w]
                    }
                };
                (x, data.mapped)
            }
            Look::Fresh { x, inputs, .. } => (&x[range.start * inputs..range.end * inputs], false),
        };
        let features = match frequencies {
            Some(frequencies) if !mapped => {
                let features = &mut self.features[..points * frequencies.width()];
                frequencies.apply(x, &mut self.turns, features);
                &*features
            }
            _ => x,
        };
        let target = &self.target;
        self.tile.train(net, features, |y, dy| match look {
            Look::Loaded { loss, .. } => loss.pull(y, &target[..y.len()], weight, dy),
            Look::Fresh { observation, .. } => {
                let loss = observation.pull(first, y, dy);
                if weight != 1.0 {
                    dy.iter_mut().for_each(|d| *d *= weight);
                }
                loss
            }
        });
    }
}

impl Engine for FusedEngine {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn jets(&mut self, _: &[&Plan]) -> Result<&mut dyn JetEngine> {
        Ok(self)
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
        // Their rooms are for samples of another width.
        self.parts.clear();
        Ok(())
    }

    fn observe_batch(&mut self, batch: Batch<'_>, loss: Loss, weight: f64) -> Result<f64> {
        let points = match batch {
            Batch::Full => self.data.y.len() / self.data.outputs,
            Batch::Indices(indices) => indices.len(),
        };
        let count = (points * self.data.outputs) as f64;
        Ok(self.pass(points, (weight / count) as f32, Look::Loaded { batch, loss }) / count)
    }

    fn observe(&mut self, x: &[f32], observation: &dyn Observation, weight: f64) -> Result<f64> {
        let inputs = self.network.architecture.inputs;
        let points = x.len() / inputs;
        whole_groups(observation, points)?;
        Ok(self.pass(points, weight as f32, Look::Fresh { x, inputs, observation }))
    }

    fn observe_dense(&mut self, gradients: &[DenseGradient]) -> Result<()> {
        check_dense(&self.specs().collect::<Vec<_>>(), gradients)?;
        self.gather();
        if !std::mem::replace(&mut self.gathered, true) {
            self.gradient.fill(0.0);
        }
        for (slot, gradient) in self.layout.slots.iter().zip(gradients) {
            let both = [(slot.weight.clone(), &gradient.kernel), (slot.bias.clone(), &gradient.bias)];
            for (range, values) in both {
                self.gradient[range].iter_mut().zip(values).for_each(|(g, v)| *g += v);
            }
        }
        Ok(())
    }

    fn take_gradients(&mut self) -> Result<Vec<Parameter>> {
        self.pull_back();
        Ok(self.layout.name(&self.gradient))
    }

    fn update(&mut self, adam: &AdamStep) -> Result<f64> {
        let Some(limit) = adam.clip else {
            return Ok(self.layers().pull_back_and_step(adam).sqrt());
        };
        let norm = self.pull_back().sqrt();
        let shrink = if norm > limit { limit / norm } else { 1.0 };
        self.layers().step(shrink as f32, adam);
        Ok(norm)
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let architecture = &self.network.architecture;
        let (inputs, outputs, width) = (architecture.inputs, architecture.outputs(), architecture.features());
        let mut out = vec![0.0; x.len() / inputs * outputs];
        // Few tiles a piece, so that rooms are made seldom.
        let piece = 8 * TILE;
        out.par_chunks_mut(piece * outputs).zip(x.par_chunks(piece * inputs)).for_each(|(out, x)| {
            let mut tile = Tile::new(&self.network, TILE, None);
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
                out.copy_from_slice(tile.forward(self.net(), features));
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
        let mut moments = self.layout.name_moments(&self.first, &self.second);
        moments.extend(self.descent.memory());
        Ok(moments)
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        self.layout.fill_moments(&mut self.first, &mut self.second, moments)?;
        self.descent.set_memory(moments, self.trained.len())
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
            mask: None,
            output: None,
        })
    }
}

#[cfg(test)]
mod tests;
