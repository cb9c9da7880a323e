//! Where a step looks: points of every term, drawn, held or measured.

use super::Training;
use crate::{
    engine::JetEngine,
    error::Result,
    observation::pde::{Axis, Dual, Field, Place},
    rng::Rng,
};

/// Candidates for every point that is held where the residual is large.
const CANDIDATES: usize = 8;
/// Share of all steps after which all of time is open.
const OPEN: f64 = 0.5;

impl Training {
    /// Values of `reference` at random points of it, with noise.
    pub(super) fn measure(&mut self, reference: &Field) {
        let mut rng = Rng::new(self.seed).stream("measurements");
        let (inputs, width) = (self.axes.len(), reference.outputs);
        let size = (reference.values.iter().map(|v| v * v).sum::<f64>() / reference.values.len() as f64).sqrt();
        for _ in 0..self.config.measurements {
            let at = rng.below(reference.len());
            self.data.0.extend(self.to_network(&reference.points[at * inputs..][..inputs]));
            let noise = self.config.noise * size;
            self.data.1.extend(reference.values[at * width..][..width].iter().map(|v| v + noise * rng.normal()));
        }
    }

    /// Ends of the domain at `step`, as much of time as is open.
    pub(super) fn ends(&self, step: u64) -> Vec<(f64, f64)> {
        let mut ends: Vec<(f64, f64)> = self.axes.iter().map(|a| (a.lo, a.hi)).collect();
        let windows = self.config.windows as f64;
        if windows > 1.0 {
            let open = ((self.done(step) / OPEN * windows).floor() + 1.0).min(windows);
            ends[0].1 = ends[0].0 + (ends[0].1 - ends[0].0) * open / windows;
        }
        ends
    }

    /// Points of term `k` at `step`, in the network's units, `denser` times as many as usual.
    pub(super) fn points(&self, k: usize, step: u64, denser: usize) -> Vec<f32> {
        let (term, mut ends) = (&self.terms[k], self.ends(step));
        let hold = |ends: &mut Vec<(f64, f64)>, axis: usize, at: f64| ends[axis] = (at, at);
        let count = denser * self.config.conditions;
        let draw = |name: &str, count, ends: &[(f64, f64)]| self.collocation.draw(name, step, count, ends);
        let x = match term.place {
            Place::Data => return self.data.0.clone(),
            Place::Inside => {
                let held = self.refined.len() / self.axes.len();
                let mut x = self.to_network(&draw(term.name, denser * self.config.points - held, &ends));
                x.extend_from_slice(&self.refined);
                return x;
            }
            Place::Low(axis) => {
                let at = self.axes[axis].lo;
                hold(&mut ends, axis, at);
                draw(term.name, count, &ends)
            }
            Place::High(axis) => {
                let at = self.axes[axis].hi;
                hold(&mut ends, axis, at);
                draw(term.name, count, &ends)
            }
            Place::Ends(axis) => {
                let Axis { lo, hi, .. } = self.axes[axis];
                hold(&mut ends, axis, lo);
                let mut x = draw(term.name, count, &ends);
                // Every other one at the far end.
                x.chunks_exact_mut(self.axes.len()).skip(1).step_by(2).for_each(|p| p[axis] = hi);
                x
            }
        };
        self.to_network(&x)
    }

    /// Puts the held points where the residual is largest now, among many candidates.
    pub(super) fn refine(&mut self, engine: &mut dyn JetEngine, step: u64, c: &[Dual]) -> Result<()> {
        let inside = self.terms.iter().position(|t| t.place == Place::Inside).expect("an equation holds somewhere");
        let count = (self.config.refine * self.config.points as f64) as usize;
        let axes = self.axes.len();
        let candidates = self.collocation.draw("candidates", step, count * CANDIDATES, &self.ends(step));
        let x = self.to_network(&candidates);
        let sizes = self.sizes(engine, inside, &x, c)?;
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]).then(a.cmp(&b)));
        self.refined = order[..count].iter().flat_map(|&i| x[i * axes..(i + 1) * axes].iter().copied()).collect();
        Ok(())
    }
}
