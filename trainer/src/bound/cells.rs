//! Error of a model between the samples of a signal that is multilinear there.

use rayon::prelude::*;

use super::Network;
use crate::signal::{Axis, Layout, Order, Signal};

/// Arithmetic that may be spent, in multiply-adds.
#[derive(Debug, Clone, Copy)]
pub struct Effort(pub f64);

impl Default for Effort {
    /// Some ten seconds of a core.
    fn default() -> Self {
        Self(2e10)
    }
}

/// Most parts looked at, for memory's sake.
const MOST: f64 = 2e6;

/// The cells between a signal's samples: those of its grid, or of a single input the intervals between neighbours.
#[derive(Debug)]
pub struct Cells<'a> {
    signal: &'a Signal,
    /// Samples in the order of the only input, where they are scattered.
    sorted: Vec<usize>,
}

/// A part of a cell.
#[derive(Debug, Clone)]
struct Part {
    cell: usize,
    lo: Vec<f64>,
    hi: Vec<f64>,
    /// Bound of each output's error.
    bound: Vec<f64>,
}

impl<'a> Cells<'a> {
    /// None where samples are scattered over several inputs: nothing says what lies between them.
    pub fn new(signal: &'a Signal) -> Option<Self> {
        let sorted = match &signal.layout {
            Layout::Grid { .. } => Vec::new(),
            Layout::Scattered { coordinates } if signal.inputs.len() == 1 => {
                let mut order: Vec<usize> = (0..signal.len()).collect();
                order.sort_by(|&a, &b| coordinates[a].total_cmp(&coordinates[b]));
                order
            }
            Layout::Scattered { .. } => return None,
        };
        Some(Self { signal, sorted })
    }

    /// How the signal is taken to run between its samples.
    pub fn assumption(&self) -> &'static str {
        if self.signal.inputs.len() == 1 { "linear" } else { "multilinear" }
    }

    /// Bounds of the largest error of `network` against the signal over all cells, `[outputs]`, never below `measured`,
    /// the largest errors at the samples. None when `effort` does not go once through all cells.
    ///
    /// Parts whose bound is largest are halved until it is within 2 % of what was measured, or `effort` is spent.
    pub fn bound(&self, network: &Network, measured: &[f64], effort: Effort) -> Option<Vec<f64>> {
        let target: Vec<f64> = measured.iter().map(|m| 1.02 * m).collect();
        let excess = |bound: &[f64]| bound.iter().zip(&target).map(|(b, t)| b / t.max(1e-300)).fold(0.0, f64::max);
        let affordable = (effort.0 / network.work() as f64).min(MOST);
        let count = self.count();
        if count as f64 > affordable {
            return None;
        }
        let mut left = affordable as usize - count;
        let mut found = measured.to_vec();
        let mut open: Vec<Part> = (0..count).into_par_iter().filter_map(|cell| self.whole(network, cell)).collect();
        loop {
            open.retain(|part| {
                let done = excess(&part.bound) <= 1.0;
                if done {
                    raise(&mut found, &part.bound);
                }
                !done
            });
            let worst = open.iter().map(|p| excess(&p.bound)).fold(0.0, f64::max);
            if open.is_empty() || left < 2 {
                break;
            }
            // The worst are halved first; a share of them at a time keeps both cores busy.
            let level = 1.0f64.max(0.7 * worst);
            let mut chosen: Vec<Part>;
            (chosen, open) = open.into_iter().partition(|p| excess(&p.bound) >= level);
            chosen.sort_by(|a, b| excess(&b.bound).total_cmp(&excess(&a.bound)));
            let keep = chosen.len().min(left / 2);
            open.extend(chosen.split_off(keep));
            left -= 2 * keep;
            open.par_extend(chosen.into_par_iter().flat_map_iter(|part| self.halves(network, &part)));
        }
        for part in &open {
            raise(&mut found, &part.bound);
        }
        Some(found)
    }

    fn count(&self) -> usize {
        match &self.signal.layout {
            Layout::Grid { axes, .. } => axes.iter().map(|a| a.count - 1).product(),
            Layout::Scattered { .. } => self.sorted.len() - 1,
        }
    }

    /// Ends of a cell, and the samples at its corners; corner `c` lies at the upper end of axis `j` where bit `j` is set.
    fn cell(&self, cell: usize) -> (Vec<f64>, Vec<f64>, Vec<usize>) {
        match &self.signal.layout {
            Layout::Scattered { coordinates } => {
                let pair = [self.sorted[cell], self.sorted[cell + 1]];
                (vec![coordinates[pair[0]]], vec![coordinates[pair[1]]], pair.to_vec())
            }
            Layout::Grid { axes, order, .. } => {
                let mut left = cell;
                let place: Vec<usize> = axes
                    .iter()
                    .map(|axis| {
                        let at = left % (axis.count - 1);
                        left /= axis.count - 1;
                        at
                    })
                    .collect();
                let corners = (0..1usize << axes.len()).map(|c| sample(axes, *order, |j| place[j] + (c >> j & 1)));
                let mut ends: Vec<(f64, f64)> = Vec::new();
                for (axis, at) in axes.iter().zip(&place) {
                    let x = |i: usize| axis.start + i as f64 * axis.step;
                    ends.push((x(*at).min(x(at + 1)), x(*at).max(x(at + 1))));
                }
                let mut corners: Vec<usize> = corners.collect();
                // A grid may run downwards.
                let flip = axes.iter().enumerate().filter(|(_, a)| a.step < 0.0).fold(0, |f, (j, _)| f | 1 << j);
                corners = (0..corners.len()).map(|c| corners[c ^ flip]).collect();
                (ends.iter().map(|e| e.0).collect(), ends.iter().map(|e| e.1).collect(), corners)
            }
        }
    }

    fn whole(&self, network: &Network, cell: usize) -> Option<Part> {
        let (lo, hi, _) = self.cell(cell);
        // Two samples at one place: their errors are measured, and nothing lies between them.
        lo.iter().zip(&hi).all(|(lo, hi)| lo < hi).then(|| self.part(network, cell, lo, hi))
    }

    /// Encloses the error over a part: an affine form less a multilinear signal is multilinear, so that its ends are at
    /// corners, and what remains of the form comes on top.
    fn part(&self, network: &Network, cell: usize, lo: Vec<f64>, hi: Vec<f64>) -> Part {
        let (low, high, corners) = self.cell(cell);
        let centre: Vec<f64> = lo.iter().zip(&hi).map(|(a, b)| 0.5 * (a + b)).collect();
        // Coordinates reach the device as f32.
        let half: Vec<f64> =
            lo.iter().zip(&hi).map(|(a, b)| 0.5 * (b - a) + a.abs().max(b.abs()) * f64::from(f32::EPSILON)).collect();
        let form = network.enclose(&centre, &half);
        let outputs = network.outputs();
        let mut bound = vec![0.0f64; outputs];
        for c in 0..corners.len() {
            let at: Vec<f64> = (0..centre.len())
                .map(|j| if c >> j & 1 == 1 { centre[j] + half[j] } else { centre[j] - half[j] })
                .collect();
            let share: Vec<f64> = (0..at.len()).map(|j| (at[j] - low[j]) / (high[j] - low[j])).collect();
            for (o, bound) in bound.iter_mut().enumerate() {
                let signal: f64 = corners
                    .iter()
                    .enumerate()
                    .map(|(k, &sample)| {
                        let weight: f64 =
                            share.iter().enumerate().map(|(j, s)| if k >> j & 1 == 1 { *s } else { 1.0 - s }).product();
                        weight * f64::from(self.signal.values[sample * outputs + o])
                    })
                    .sum();
                let model: f64 =
                    form.value[o] + (0..at.len()).map(|j| form.slope[j][o] * (at[j] - centre[j])).sum::<f64>();
                *bound = bound.max((model - signal).abs());
            }
        }
        bound.iter_mut().zip(&form.rest).for_each(|(b, r)| *b = (*b + r) * (1.0 + 1e-12));
        Part { cell, lo, hi, bound }
    }

    /// Both halves along the axis whose cell was halved least; a half is never worse than the whole.
    fn halves(&self, network: &Network, part: &Part) -> [Part; 2] {
        let (low, high, _) = self.cell(part.cell);
        let share = |j: usize| (part.hi[j] - part.lo[j]) / (high[j] - low[j]);
        let axis = (0..low.len()).max_by(|&a, &b| share(a).total_cmp(&share(b)).then(b.cmp(&a))).expect("an input");
        let middle = 0.5 * (part.lo[axis] + part.hi[axis]);
        [true, false].map(|lower| {
            let (mut lo, mut hi) = (part.lo.clone(), part.hi.clone());
            if lower {
                hi[axis] = middle;
            } else {
                lo[axis] = middle;
            }
            let mut half = self.part(network, part.cell, lo, hi);
            half.bound.iter_mut().zip(&part.bound).for_each(|(h, whole)| *h = h.min(*whole));
            half
        })
    }
}

fn raise(found: &mut [f64], bound: &[f64]) {
    found.iter_mut().zip(bound).for_each(|(f, b)| *f = f.max(*b));
}

/// The sample at index `at(j)` along every axis j.
fn sample(axes: &[Axis], order: Order, at: impl Fn(usize) -> usize) -> usize {
    let place = |index: usize, j: usize| index * axes[j].count + at(j);
    match order {
        Order::FirstFastest => (0..axes.len()).rev().fold(0, place),
        Order::LastFastest => (0..axes.len()).fold(0, place),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rwf_runtime::{
        Model,
        format::{MathBackend, Precision},
    };

    use super::*;
    use crate::{
        evaluate::evaluate,
        export::{self, Description},
        network::{ArchitectureKind, MappingConfig, Network as Trained, NetworkConfig},
        rng::Rng,
        signal::{Quantity, Sampling, SignalKind},
    };

    fn grid(counts: [usize; 2], order: Order, rng: &mut Rng) -> Signal {
        let axis = |count, down: bool| {
            let step = 2.0 / (count - 1) as f64;
            if down { Axis { start: 1.0, step: -step, count } } else { Axis { start: -1.0, step, count } }
        };
        let quantity = || Quantity::new("q", "", -1.0, 1.0);
        Signal {
            kind: SignalKind::Array,
            name: String::new(),
            inputs: vec![quantity(), quantity()],
            outputs: vec![quantity()],
            layout: Layout::Grid {
                axes: vec![axis(counts[0], false), axis(counts[1], true)],
                sampling: Sampling::Node,
                order,
            },
            values: (0..counts[0] * counts[1]).map(|_| rng.symmetric(0.5) as f32).collect(),
        }
    }

    fn file(config: &NetworkConfig, inputs: usize, rng: &mut Rng) -> Vec<u8> {
        let (network, start) = Trained::new(config, inputs, 1, rng).unwrap();
        let description = Description {
            signal: "test".into(),
            inputs: vec!["x -1 1"; inputs].join(";"),
            outputs: "v -1 1".into(),
            grid: None,
            error: None,
            provenance: String::new(),
        };
        export::model(&network.dense_f64(&start), &description, Precision::F32, MathBackend::Polynomial).unwrap()
    }

    /// The multilinear signal at a point, the slow and obvious way.
    fn between(signal: &Signal, x: [f64; 2]) -> f64 {
        let Layout::Grid { axes, order, .. } = &signal.layout else { unreachable!() };
        let place: Vec<f64> = (0..2).map(|j| (x[j] - axes[j].start) / axes[j].step).collect();
        let low: Vec<usize> = (0..2).map(|j| (place[j].floor() as usize).min(axes[j].count - 2)).collect();
        let mut sum = 0.0;
        for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let weight = |j: usize, up: usize| {
                let s = place[j] - low[j] as f64;
                if up == 1 { s } else { 1.0 - s }
            };
            let at = [low[0] + a, low[1] + b];
            let index = match order {
                Order::FirstFastest => at[0] + axes[0].count * at[1],
                Order::LastFastest => at[0] * axes[1].count + at[1],
            };
            sum += weight(0, a) * weight(1, b) * f64::from(signal.values[index]);
        }
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        /// Over random networks and signals, no error the runtime makes anywhere in the cells is above the bound.
        #[test]
        fn no_error_is_above_the_bound(seed in any::<u64>(), kind in 0usize..3, mapped: bool, first: bool) {
            let mut rng = Rng::new(seed);
            let architecture = [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp][kind];
            let mut config = NetworkConfig::new(architecture, 3 + rng.below(6), 1 + rng.below(2));
            config.omega0 = 1.0 + 20.0 * rng.uniform();
            config.omega0_first = config.omega0;
            if mapped {
                config.mapping = MappingConfig::Gaussian { frequencies: 2, scale: 1.0 };
            }
            let order = if first { Order::FirstFastest } else { Order::LastFastest };
            let signal = grid([2 + rng.below(3), 2 + rng.below(3)], order, &mut rng);
            let bytes = file(&config, 2, &mut rng);
            let model = Model::new(&bytes).unwrap();
            let error = |x: &[f32]| f64::from(evaluate(&model, x)[0]) - between(&signal, [x[0].into(), x[1].into()]);
            let at_samples = evaluate(&model, &signal.coordinates_f32());
            let measured = at_samples.iter().zip(&signal.values).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            let network = Network::new(export::dense(&bytes).unwrap(), MathBackend::Polynomial);
            let bound = Cells::new(&signal).unwrap().bound(&network, &[measured], Effort(1e6)).unwrap()[0];
            prop_assert!(bound >= measured);
            for _ in 0..64 {
                let x = [rng.symmetric(1.0) as f32, rng.symmetric(1.0) as f32];
                prop_assert!(error(&x).abs() <= bound, "{} {bound}", error(&x));
            }
        }
    }

    #[test]
    fn more_effort_brings_the_bound_to_the_error() {
        let mut rng = Rng::new(3);
        let signal = grid([4, 5], Order::FirstFastest, &mut rng);
        let bytes = file(&NetworkConfig::new(ArchitectureKind::Siren, 12, 2), 2, &mut rng);
        let model = Model::new(&bytes).unwrap();
        let mut largest = 0.0f64;
        for i in 0..=200u32 {
            for j in 0..=200u32 {
                let x = [i, j].map(|i| -1.0 + 0.01 * i as f32);
                let truth = between(&signal, [f64::from(x[0]), f64::from(x[1])]);
                largest = largest.max((f64::from(evaluate(&model, &x)[0]) - truth).abs());
            }
        }
        let network = Network::new(export::dense(&bytes).unwrap(), MathBackend::Polynomial);
        let cells = Cells::new(&signal).unwrap();
        let [little, much] = [1e6, 1e9].map(|e| cells.bound(&network, &[0.1], Effort(e)).unwrap()[0]);
        assert!(much <= little && much >= largest, "{little} {much} {largest}");
        assert!(much < 1.05 * largest, "{much} {largest}");
        assert!(cells.bound(&network, &[0.1], Effort(10.0)).is_none());
    }

    #[test]
    fn scattered_points_have_cells_along_one_input_only() {
        let quantity = || Quantity::new("q", "", 0.0, 1.0);
        let mut signal = Signal {
            kind: SignalKind::Table,
            name: String::new(),
            inputs: vec![quantity()],
            outputs: vec![quantity()],
            layout: Layout::Scattered { coordinates: vec![0.5, -1.0, 0.5, 1.0] },
            values: vec![0.1, 0.2, 0.3, 0.4],
        };
        let bytes = file(&NetworkConfig::new(ArchitectureKind::Mlp, 4, 1), 1, &mut Rng::new(1));
        let network = Network::new(export::dense(&bytes).unwrap(), MathBackend::Polynomial);
        let bound = Cells::new(&signal).unwrap().bound(&network, &[0.0], Effort(1e6)).unwrap();
        assert!(bound[0] > 0.0 && bound[0] < 3.0, "{bound:?}");
        signal.inputs.push(quantity());
        assert!(Cells::new(&signal).is_none());
    }
}
