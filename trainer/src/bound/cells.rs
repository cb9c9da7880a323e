//! Error of a model between the samples of a signal that is multilinear there.

use std::time::Instant;

use rayon::prelude::*;
use rwf_runtime::IntegerModel;

use super::{Network, pairs};
use crate::signal::{Axis, Layout, Order, Signal};

/// Arithmetic that may be spent.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// In multiply-adds.
    pub work: f64,
    /// No more is begun after this.
    pub until: Option<Instant>,
}

impl Effort {
    /// This many multiply-adds, however long they take.
    pub const fn new(work: f64) -> Self {
        Self { work, until: None }
    }
}

impl Default for Effort {
    /// Some ten seconds of a core.
    fn default() -> Self {
        Self::new(2e10)
    }
}

/// What was found, and by how much arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// No error of output k anywhere in the cells is above `outputs[k]`.
    pub outputs: Vec<f64>,
    /// [`Effort::work`] that comes to the same bounds again.
    pub work: f64,
}

/// Most parts looked at, for memory's sake.
const MOST: f64 = 2e6;
/// Parts that are halved before the clock is looked at.
const BATCH: usize = 4096;
/// Bounds within this of what was measured are close enough.
const CLOSE: f64 = 1.02;

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

    /// Bounds of the largest error of `network` against the signal over all cells, never below `measured`, the largest
    /// errors at the samples. None when `effort` does not go once through all cells.
    ///
    /// Parts whose bound is largest are halved until it is within 2 % of what was measured, or `effort` is spent.
    pub fn bound(&self, network: &Network, measured: &[f64], effort: Effort) -> Option<Bounds> {
        let excess =
            |bound: &[f64]| bound.iter().zip(measured).map(|(b, m)| b / (CLOSE * m).max(1e-300)).fold(0.0, f64::max);
        let each = network.work() as f64;
        let affordable = (effort.work / each).min(MOST);
        let count = self.count();
        if count as f64 > affordable {
            return None;
        }
        let mut left = affordable as usize - count;
        let mut found = measured.to_vec();
        let mut work = effort.work;
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
            if effort.until.is_some_and(|until| Instant::now() >= until) {
                work = (affordable as usize - left) as f64 * each + 0.5 * each;
                break;
            }
            // The worst are halved first; a share of them at a time keeps both cores busy.
            let level = 1.0f64.max(0.7 * worst);
            let mut chosen: Vec<Part>;
            (chosen, open) = open.into_iter().partition(|p| excess(&p.bound) >= level);
            chosen.sort_by(|a, b| excess(&b.bound).total_cmp(&excess(&a.bound)));
            let keep = chosen.len().min(left / 2).min(BATCH);
            open.extend(chosen.split_off(keep));
            left -= 2 * keep;
            open.par_extend(chosen.into_par_iter().flat_map_iter(|part| self.halves(network, &part)));
        }
        for part in &open {
            raise(&mut found, &part.bound);
        }
        Some(Bounds { outputs: found, work })
    }

    /// Bounds of a model in integers of one input: it knows no more than 65,535 coordinates, and all are computed. None
    /// when `effort` does not suffice for that, or there are more inputs.
    pub fn all_points(&self, network: &Network, model: &IntegerModel<'_>, effort: Effort) -> Option<Bounds> {
        const END: i32 = 32767;
        let outputs = model.outputs();
        let work = (2 * END + 1) as f64 * model.architecture().multiply_adds() as f64;
        if model.inputs() != 1 || work > effort.work {
            return None;
        }
        let points: Vec<i16> = (-END..=END).map(|x| x as i16).collect();
        let values: Vec<f64> = points
            .par_chunks(1024)
            .flat_map_iter(|x| {
                let (mut y, mut scratch) = (vec![0; x.len() * outputs], vec![0; model.scratch_len()]);
                model.eval_integers(x, &mut y, &mut scratch).expect("lengths come from the model");
                y.into_iter().enumerate().map(|(i, y)| f64::from(model.to_physical(i % outputs, y)))
            })
            .collect();
        let cell = |cell: usize| {
            let (lo, hi, corners) = self.cell(cell);
            let (lo, hi) = (lo[0], hi[0]);
            let mut bound = vec![0.0f64; outputs];
            let ends = [lo, hi].map(|x| i32::from(model.to_integer(0, x as f32)));
            for x in (ends[0].min(ends[1]) - 1).max(-END)..=(ends[0].max(ends[1]) + 1).min(END) {
                let (from, to) = network.preimage(x);
                let (from, to) = (from.max(lo), to.min(hi));
                // A coordinate that none of this cell becomes.
                if from > to || hi <= lo {
                    continue;
                }
                for at in [from, to] {
                    let share = (at - lo) / (hi - lo);
                    for (o, bound) in bound.iter_mut().enumerate() {
                        let signal = |c: usize| f64::from(self.signal.values[corners[c] * outputs + o]);
                        let truth = signal(0) + share * (signal(1) - signal(0));
                        let model = values[(x + END) as usize * outputs + o];
                        let size = signal(0).abs() + signal(1).abs() + model.abs();
                        *bound = bound.max((model - truth).abs() + 1e-12 * size);
                    }
                }
            }
            bound
        };
        let most = |mut a: Vec<f64>, b: Vec<f64>| {
            raise(&mut a, &b);
            a
        };
        let outputs = (0..self.count()).into_par_iter().map(cell).reduce(|| vec![0.0; outputs], most);
        Some(Bounds { outputs, work: effort.work })
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

    /// Encloses the error over a part: what is affine or mixed in a form less a multilinear signal is multilinear, so that
    /// its ends are at corners; squares lie between 0 and their factor, and the remainder comes on top.
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
            let t: Vec<f64> = (0..centre.len()).map(|j| if c >> j & 1 == 1 { 1.0 } else { -1.0 }).collect();
            let share: Vec<f64> =
                (0..t.len()).map(|j| (centre[j] + half[j] * t[j] - low[j]) / (high[j] - low[j])).collect();
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
                let affine: f64 = form.slope.iter().zip(&t).map(|(s, t)| s[o] * t).sum();
                let mixed =
                    |((i, j), c): ((usize, usize), &Vec<f64>)| if i == j { 0.5 * c[o] } else { c[o] * t[i] * t[j] };
                let curved: f64 = pairs(t.len()).zip(&form.curve).map(mixed).sum();
                *bound = bound.max((form.value[o] + affine + curved - signal).abs());
            }
        }
        for (o, bound) in bound.iter_mut().enumerate() {
            let squares = pairs(centre.len()).zip(&form.curve).filter(|((i, j), _)| i == j);
            let squares: f64 = squares.map(|(_, c)| 0.5 * c[o].abs()).sum();
            *bound = (*bound + squares + form.rest[o] + 1e-13 * form.value[o].abs()) * (1.0 + 1e-12);
        }
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
