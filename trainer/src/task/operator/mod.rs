//! Operators between functions: a branch and a trunk that learn from pairs of functions or from an equation, measured on
//! input functions that training does not see.

mod config;
mod physics;
mod pictures;
#[cfg(test)]
mod tests;
mod training;

use rwf_runtime::format::Activation;

pub use config::{OperatorConfig, defaults};
pub use training::Training;

use super::observed::{Findings, Measurement, Observed, Subject, hash};
use crate::{
    config::RunConfig,
    engine::Engine,
    error::{Error, Result},
    evaluate::{Evaluator, evaluate_operator},
    export::Description,
    signal::{Quantity, operator::OperatorData},
    train::{RunFolder, Score},
};

/// Most functions measured while training.
const MONITORED: usize = 16;

/// Pairs of functions on their way into an operator.
#[derive(Debug)]
pub struct Operator {
    pub(super) training: Training,
    record: OperatorConfig,
    subject: Subject,
}

/// How an operator does on input functions it has not seen.
#[derive(Debug, Clone)]
pub struct Generalized {
    /// Mean over functions of the relative L2 error.
    pub mean: f64,
    /// Largest of them.
    pub largest: f64,
    /// How many functions, and points of each.
    pub sizes: (usize, usize),
}

impl Findings for Generalized {
    fn score(&self) -> Score {
        digits(self.mean)
    }

    fn summary(&self) -> String {
        let (functions, points) = self.sizes;
        format!(
            "relative_l2={:.4e};max_relative_l2={:.4e};functions={functions};samples={points}",
            self.mean, self.largest
        )
    }

    fn table(&self) -> String {
        format!(
            "measured by the runtime on {} input functions that training did not see, {} points each: relative L2 error \
             {:.3e} in the mean, {:.3e} at most",
            self.sizes.0, self.sizes.1, self.mean, self.largest
        )
    }
}

/// More is better: correct decimal digits.
fn digits(relative_l2: f64) -> Score {
    Score::new("correct digits", -relative_l2.log10())
}

/// Makes the pairs of `record`, or finds them made, showing how that goes.
///
/// # Errors
/// As [`Training::new`].
pub fn prepare(record: &OperatorConfig, quiet: bool) -> Result<()> {
    training::pairs(record, quiet).map(drop)
}

impl Observed for Operator {
    type Record = OperatorConfig;
    type Findings = Generalized;
    const FILES: &'static [&'static str] = &[pictures::SOLUTION];

    fn open(config: &RunConfig<OperatorConfig>) -> Result<Self> {
        let record = config.signal.clone();
        let training = Training::new(config, true)?;
        let (data, sizes) = (&training.data, training.data.sizes);
        let generator = record.generator()?;
        let ends = |values: &mut dyn Iterator<Item = &f32>| {
            let (lo, hi) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
            (f64::from(lo), f64::from(if hi > lo { hi } else { lo + 1.0 }))
        };
        let quantity = |name: &str, (lo, hi): (f64, f64)| Quantity::new(name, "", lo, hi);
        let function = generator.map_or("u", |g| g.sensors().0);
        let mut inputs = vec![quantity(function, ends(&mut data.inputs.iter()))];
        for axis in 0..sizes.coordinates {
            let name = generator.map_or(format!("y{axis}"), |g| g.axes()[axis].0.to_owned());
            inputs.push(quantity(&name, ends(&mut data.points.iter().skip(axis).step_by(sizes.coordinates))));
        }
        let outputs: Vec<Quantity> = (0..sizes.outputs)
            .map(|o| {
                let name = generator.map_or(format!("s{o}"), |g| g.output().0.to_owned());
                quantity(&name, ends(&mut data.outputs.iter().skip(o).step_by(sizes.outputs)))
            })
            .collect();
        let title = record.operator.clone().unwrap_or_else(|| "operator".into());
        let (functions, points) = training.batch();
        let unseen = sizes.functions - training.train;
        let by = if record.physics { "by the equation alone" } else { "by values" };
        let what = generator.map_or_else(
            || {
                format!(
                    "{} pairs of functions, {} sensors, {} points each",
                    sizes.functions, sizes.sensors, sizes.points
                )
            },
            |g| g.formula().to_owned(),
        );
        let subject = Subject {
            headline: format!(
                "{title}: {what}\n{} input functions to learn from {by}, {unseen} unseen",
                training.train
            ),
            step: format!("{functions} functions at {points} points"),
            description: Description {
                signal: "operator".into(),
                inputs: Quantity::describe(&inputs),
                outputs: Quantity::describe(&outputs),
                grid: None,
                error: None,
                provenance: String::new(),
            },
            title,
            normalization: training.normalization.clone(),
            head: Activation::Identity,
            hash: hash(data.inputs.iter().chain(&data.points).chain(&data.outputs).copied()),
        };
        Ok(Self { training, record, subject })
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.training.gather(engine, step)
    }

    fn columns(&self) -> Vec<String> {
        let mut columns = vec!["correct_digits".to_owned(), "relative_l2".into()];
        if let Some(physics) = &self.training.physics {
            columns.extend(physics.terms.iter().map(|t| format!("loss_{}", t.name)));
        }
        columns
    }

    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement> {
        let errors = errors(&self.training, model, &self.training.unseen(MONITORED))?;
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let score = digits(mean);
        let mut columns = vec![score.value, mean];
        if self.training.physics.is_some() {
            columns.extend(&self.training.losses);
        }
        Ok(Measurement { score, columns, target_reached: false })
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Generalized> {
        let unseen = self.training.unseen(usize::MAX);
        let errors = errors(&self.training, model, &unseen)?;
        Ok(Generalized {
            mean: errors.iter().sum::<f64>() / errors.len() as f64,
            largest: errors.iter().copied().fold(0.0, f64::max),
            sizes: (errors.len(), self.training.data.sizes.points),
        })
    }

    fn pictures(&mut self, model: &dyn Evaluator, _: &Generalized, folder: &RunFolder) -> Result<()> {
        let generator = self.record.generator()?;
        let operator = operator(model)?;
        let values = |n: usize| values(operator, &self.training.data, n);
        pictures::solution(&self.training, generator, &values, &folder.file(pictures::SOLUTION))
    }
}

fn operator<'m>(model: &'m dyn Evaluator) -> Result<&'m rwf_runtime::Operator<'m>> {
    model.operator().ok_or_else(|| Error::Training("found a coordinate network, expected an operator".into()))
}

/// Values of pair `n` by the runtime.
fn values(operator: &rwf_runtime::Operator<'_>, data: &OperatorData, n: usize) -> Vec<f32> {
    evaluate_operator(operator, data.input(n), data.points_of(n))
}

/// Relative L2 errors of these pairs by the runtime.
fn errors(training: &Training, model: &dyn Evaluator, pairs: &[usize]) -> Result<Vec<f64>> {
    let operator = operator(model)?;
    Ok(training.errors(pairs, &|n| values(operator, &training.data, n)))
}
