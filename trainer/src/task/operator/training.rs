//! Pairs of functions as something that trains an operator: batches of them, what is looked at in a step, the errors.

use rayon::prelude::*;

use super::{OperatorConfig, physics::Physics};
use crate::{
    config::RunConfig,
    engine::{Engine, OperatorLook, Pairs, Plan, Wanted},
    error::{Error, Result},
    fold::Normalization,
    observation::operator::KnownValues,
    rng::Rng,
    signal::operator::{OperatorData, load_or_make, read, sensor_count},
};

/// What an operator asks of its networks, step by step.
#[derive(Debug)]
pub struct Training {
    /// All pairs, those that are trained on first.
    pub data: OperatorData,
    /// How many of them are trained on.
    pub train: usize,
    /// Of sensors, then of coordinates, then of values.
    pub normalization: Normalization,
    /// What every term of the equation came to at the last step; of known values one.
    pub losses: Vec<f64>,
    pub(super) physics: Option<Physics>,
    functions: usize,
    points: usize,
    seed: u64,
    plan: Plan,
    /// One over the mean square of every function's values.
    weights: Vec<f32>,
}

/// The pairs of a record: generated, or one's own.
pub(super) fn pairs(record: &OperatorConfig, quiet: bool) -> Result<OperatorData> {
    match (record.generator()?, &record.data) {
        (Some(generator), Some(path)) => {
            Ok(load_or_make(path, generator, record.train + record.test, record.data_seed, quiet)?.0)
        }
        (Some(_), None) => Err(Error::Config {
            field: "signal.data".into(),
            message: "found none, expected the file where generated pairs are kept".into(),
        }),
        (None, _) => read(&record.source().expect("is validated")),
    }
}

impl Training {
    /// On the pairs of `config`.
    ///
    /// # Errors
    /// Bad input, naming the file.
    pub fn new(config: &RunConfig<OperatorConfig>, quiet: bool) -> Result<Self> {
        let record = &config.signal;
        let data = pairs(record, quiet)?;
        let sizes = data.sizes;
        let train = match record.operator {
            Some(_) => record.train,
            None => {
                let held = ((record.validation * sizes.functions as f64).round() as usize).max(1);
                sizes.functions - held.min(sizes.functions - 1)
            }
        };
        if sizes.sensors != record.deeponet.sensors {
            return Err(Error::Config {
                field: "signal.deeponet.sensors".into(),
                message: format!("found {}, expected {}, those of the data", record.deeponet.sensors, sizes.sensors),
            });
        }
        let generator = record.generator()?;
        debug_assert!(generator.is_none_or(|g| sensor_count(g) == sizes.sensors));
        let (centre, half) = spread(data.inputs[..train * sizes.sensors].iter());
        let mut normalization = Normalization {
            input_centre: vec![centre; sizes.sensors],
            input_half: vec![half; sizes.sensors],
            output_centre: Vec::new(),
            output_half: Vec::new(),
            mask: None,
        };
        let mut trunk = Normalization::identity(0, 0);
        for axis in 0..sizes.coordinates {
            let along = || data.points.iter().skip(axis).step_by(sizes.coordinates).map(|&v| f64::from(v));
            let (lo, hi) = (along().fold(f64::INFINITY, f64::min), along().fold(f64::NEG_INFINITY, f64::max));
            trunk.input_centre.push(short(0.5 * (lo + hi)));
            trunk.input_half.push(if hi > lo { short(0.5 * (hi - lo)) } else { 1.0 });
        }
        for o in 0..sizes.outputs {
            let (centre, half) = match generator.filter(|_| record.physics) {
                // Solutions are not known to a training by the equation.
                Some(generator) => (0.0, generator.output().1),
                None => {
                    spread(data.outputs[..train * sizes.points * sizes.outputs].iter().skip(o).step_by(sizes.outputs))
                }
            };
            trunk.output_centre.push(centre);
            trunk.output_half.push(half);
        }
        normalization.input_centre.extend(&trunk.input_centre);
        normalization.input_half.extend(&trunk.input_half);
        (normalization.output_centre, normalization.output_half) =
            (trunk.output_centre.clone(), trunk.output_half.clone());
        let seed = config.training.seed;
        let (plan, _) = Plan::new(&vec![1.0; sizes.coordinates], &[Wanted::Partial(Vec::new())])?;
        let physics = match generator.filter(|_| record.physics) {
            Some(generator) => Some(Physics::new(generator, record, trunk, seed)?),
            None => None,
        };
        let mut training = Self {
            losses: vec![f64::NAN; physics.as_ref().map_or(1, |p| p.terms.len())],
            train,
            physics,
            functions: record.functions.min(train),
            points: record.points.min(sizes.points),
            seed,
            plan,
            weights: Vec::new(),
            normalization,
            data,
        };
        training.weights = (0..train).map(|n| training.weight(n)).collect();
        Ok(training)
    }

    /// So that every function's error counts relative to its own size, as it is measured; one of nothing counts as one
    /// of a thousandth of the usual size.
    fn weight(&self, n: usize) -> f32 {
        let (half, width) = (&self.normalization.output_half, self.data.sizes.outputs);
        let square = |(i, v): (usize, &f32)| (f64::from(*v) / half[i % width]).powi(2);
        let values = self.data.output(n);
        let mean = values.iter().enumerate().map(square).sum::<f64>() / values.len() as f64;
        (1.0 / mean.max(1e-6)) as f32
    }

    /// Functions trained on in a step, and points.
    pub fn batch(&self) -> (usize, usize) {
        (self.functions, self.points)
    }

    /// Normalised input functions of these pairs, `[n, sensors]`.
    pub fn functions(&self, pairs: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let (centre, half) = (self.normalization.input_centre[0], self.normalization.input_half[0]);
        let of =
            |n: usize| self.data.input(n).iter().map(|v| ((f64::from(*v) - centre) / half) as f32).collect::<Vec<_>>();
        pairs.into_iter().flat_map(of).collect()
    }

    /// Points in the network's units.
    pub fn to_network(&self, points: &[f32]) -> Vec<f32> {
        let (n, m, d) = (&self.normalization, self.data.sizes.sensors, self.data.sizes.coordinates);
        let normal =
            |(i, x): (usize, &f32)| ((f64::from(*x) - n.input_centre[m + i % d]) / n.input_half[m + i % d]) as f32;
        points.iter().enumerate().map(normal).collect()
    }

    fn normal(&self, value: f32, o: usize) -> f32 {
        ((f64::from(value) - self.normalization.output_centre[o]) / self.normalization.output_half[o]) as f32
    }

    /// Gathers `step` (from 1): some functions at some points; the sum of the losses, not weighted.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let engine = engine.operator().ok_or_else(|| Error::Training("found a coordinate network".into()))?;
        let rng = Rng::new(self.seed);
        let mut chosen = rng.stream(&format!("functions {step}")).permutation(self.train);
        chosen.truncate(self.functions);
        let pairs = chosen.iter().map(|&n| n as usize);
        let functions = self.functions(pairs.clone());
        if let Some(physics) = &self.physics {
            let physical: Vec<&[f32]> = pairs.map(|n| self.data.input(n)).collect();
            self.losses = physics.gather(engine, (&physical, &functions), step)?;
            return Ok(self.losses.iter().sum());
        }
        let (sizes, shared) = (self.data.sizes, self.data.shared);
        let (d, c) = (sizes.coordinates, sizes.outputs);
        let draw = |name: String| {
            let mut at = rng.stream(&name).permutation(sizes.points);
            at.truncate(self.points);
            at
        };
        // Pairs of function and number of its point, points first where functions share them.
        let places: Vec<(usize, usize)> = if shared {
            let at = draw(format!("points {step}"));
            at.iter().flat_map(|&q| pairs.clone().map(move |n| (n, q as usize))).collect()
        } else {
            let of = |n: usize| draw(format!("points {step} {n}")).into_iter().map(move |q| (n, q as usize));
            pairs.clone().flat_map(of).collect()
        };
        let step_by = if shared { self.functions } else { 1 };
        let points: Vec<f32> = places
            .iter()
            .step_by(step_by)
            .flat_map(|&(n, q)| self.data.points_of(n)[q * d..(q + 1) * d].to_vec())
            .collect();
        let target: Vec<f32> = places
            .iter()
            .flat_map(|&(n, q)| (0..c).map(move |o| (n, q, o)))
            .map(|(n, q, o)| self.normal(self.data.output(n)[q * c + o], o))
            .collect();
        let share = 1.0 / places.len() as f32;
        let weights: Vec<f32> = places.iter().map(|&(n, _)| share * self.weights[n]).collect();
        let observation = KnownValues { target: &target, weights: &weights, outputs: c };
        let look = OperatorLook {
            points: &self.to_network(&points),
            pairs: if shared { Pairs::All } else { Pairs::Own },
            plan: &self.plan,
            observation: &observation,
            weight: 1.0,
        };
        self.losses = engine.observe_operator(&functions, &[look])?;
        Ok(self.losses[0])
    }

    /// Relative L2 error of every pair numbered in `pairs`, by `values`, which gives those of a pair in physical units.
    pub fn errors(&self, pairs: &[usize], values: &(dyn Fn(usize) -> Vec<f32> + Sync)) -> Vec<f64> {
        pairs.par_iter().map(|&n| self.data.relative_l2(n, &values(n))).collect()
    }

    /// Pairs that training does not see, at most `most` of them.
    pub fn unseen(&self, most: usize) -> Vec<usize> {
        (self.train..self.data.sizes.functions).take(most).collect()
    }

    /// Mean relative L2 error over these pairs, by the engine that trains.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn measure(&self, engine: &dyn Engine, pairs: &[usize]) -> Result<f64> {
        let n = &self.normalization;
        let mut sum = 0.0;
        for &pair in pairs {
            let points = self.to_network(self.data.points_of(pair));
            let mut values = engine.operator_values(&self.functions([pair]), &points)?;
            let outputs = n.output_half.len();
            for (i, v) in values.iter_mut().enumerate() {
                *v = (n.output_centre[i % outputs] + n.output_half[i % outputs] * f64::from(*v)) as f32;
            }
            sum += self.data.relative_l2(pair, &values);
        }
        Ok(sum / pairs.len() as f64)
    }
}

/// Mean and standard deviation; 1 where all are the same.
fn spread<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().map(|&v| f64::from(v)).sum::<f64>() / count;
    let deviation = (values.map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
    (short(mean), if deviation > 0.0 { short(deviation) } else { 1.0 })
}

/// Seven digits of it: a decimal that every reader of text takes for the same number, as a run that goes on compares them.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().expect("a number")
}
