//! An operator trained by its equation and conditions alone, at points drawn anew every step.

use crate::{
    domain::{Collocation, Sampler},
    engine::{DeepOnetEngine, OperatorLook, Pairs},
    error::Result,
    fold::Normalization,
    observation::{
        operator::{Residuals, terms},
        pde::{Place, Prepared, Term},
    },
    signal::operator::{Generator, Line, Nodes},
};

use super::OperatorConfig;

/// Terms of an equation and where they are looked at.
#[derive(Debug)]
pub(super) struct Physics {
    pub(super) terms: Vec<Term>,
    prepared: Vec<Prepared>,
    weights: Vec<f64>,
    axes: [Nodes; 2],
    /// Where the input function is known, and which coordinate of a point that is along.
    line: Line,
    along: usize,
    points: usize,
    conditions: usize,
    collocation: Collocation,
    /// Between physical points and the network's.
    normalization: Normalization,
}

impl Physics {
    /// `trunk` is the normalization of points and values alone.
    pub(super) fn new(
        generator: &dyn Generator,
        record: &OperatorConfig,
        trunk: Normalization,
        seed: u64,
    ) -> Result<Self> {
        let (terms, axes) = (terms(generator.name()), generator.axes());
        let line = generator.sensors().1[0];
        let inputs = [axes[0].0, axes[1].0];
        let prepare = |term: &Term| term.prepare(&inputs, &[generator.output().0], &trunk, 0);
        Ok(Self {
            prepared: terms.iter().map(prepare).collect::<Result<_>>()?,
            weights: terms.iter().map(|t| record.weights.get(t.name).copied().unwrap_or(1.0)).collect(),
            along: inputs.iter().position(|name| *name == line.name).expect("sensors lie along a coordinate"),
            line,
            terms,
            axes,
            points: record.points,
            conditions: record.conditions,
            collocation: Collocation::new(seed, Sampler::Latin),
            normalization: trunk,
        })
    }

    /// Points of term `k` at `step`, `[n, 2]`, physical.
    fn draw(&self, k: usize, step: u64) -> Vec<f64> {
        let term = &self.terms[k];
        let mut ends = self.axes.map(|(_, lo, hi, _)| (lo, hi));
        let (mut far, mut count) = (None, self.conditions);
        match term.place {
            Place::Inside | Place::Data => count = self.points,
            Place::Low(axis) => ends[axis].1 = ends[axis].0,
            Place::High(axis) => ends[axis].0 = ends[axis].1,
            Place::Ends(axis) => {
                far = Some((axis, ends[axis].1));
                ends[axis].1 = ends[axis].0;
            }
        }
        let mut x = self.collocation.draw(term.name, step, count, &ends);
        if let Some((axis, hi)) = far {
            x.chunks_exact_mut(2).skip(1).step_by(2).for_each(|point| point[axis] = hi);
        }
        x
    }

    /// Gathers all terms at `step` for the functions `physical` `[n, sensors]`, whose normalised values are `functions`;
    /// each term's loss, without its weight.
    pub(super) fn gather(
        &self,
        engine: &mut DeepOnetEngine,
        (physical, functions): (&[&[f32]], &[f32]),
        step: u64,
    ) -> Result<Vec<f64>> {
        let n = &self.normalization;
        let drawn: Vec<_> = (0..self.terms.len())
            .map(|k| {
                let x = self.draw(k, step);
                let network: Vec<f32> = x
                    .iter()
                    .enumerate()
                    .map(|(i, x)| ((x - n.input_centre[i % 2]) / n.input_half[i % 2]) as f32)
                    .collect();
                let mut u = Vec::with_capacity(x.len() / 2 * physical.len());
                for point in x.chunks_exact(2) {
                    let (first, weights) = self.line.weights(point[self.along]);
                    let at = |f: &&[f32]| weights.iter().zip(&f[first..]).map(|(w, v)| w * f64::from(*v)).sum::<f64>();
                    u.extend(physical.iter().map(at));
                }
                (x, network, u)
            })
            .collect();
        let residuals: Vec<Residuals<'_>> = drawn
            .iter()
            .zip(&self.terms)
            .zip(&self.prepared)
            .map(|(((x, _, u), term), prepared)| Residuals { term, prepared, x, u, functions: physical.len() })
            .collect();
        let looks: Vec<OperatorLook<'_>> = residuals
            .iter()
            .zip(&drawn)
            .zip(&self.weights)
            .map(|((observation, (_, points, _)), &weight)| OperatorLook {
                points,
                pairs: Pairs::All,
                plan: &observation.prepared.plan,
                observation,
                weight,
            })
            .collect();
        engine.observe_operator(functions, &looks)
    }
}
