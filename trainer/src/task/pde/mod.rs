//! Differential equations: a network that satisfies one, measured against a reference.

mod balance;
mod config;
mod pictures;
#[cfg(test)]
mod tests;
mod training;

use rwf_runtime::format::Activation;

pub use config::{Balance, Curriculum, PdeConfig, defaults};
pub use training::Training;
use training::values;

use super::observed::{Findings, Measurement, Observed, Subject, hash};
use crate::{
    config::RunConfig,
    engine::{Engine, StepReport},
    error::{Error, Result},
    evaluate::Evaluator,
    export::Description,
    network::Parameter,
    observation::pde::{self, Equation, Field, equation},
    signal::Quantity,
    train::{RunFolder, Score, metrics::short},
};

/// Most points measured while training.
const MONITORED: usize = 4096;

/// A differential equation on its way into a network.
#[derive(Debug)]
pub struct Pde {
    training: Training,
    reference: Field,
    monitored: Field,
    subject: Subject,
    /// What is left of every term inside, over the plane of the pictures.
    residuals: Vec<(&'static str, Vec<f32>)>,
}

/// How a network's solution compares with the reference.
#[derive(Debug, Clone)]
pub struct Solved {
    /// Relative L2 error over the reference's points.
    pub relative_l2: f64,
    /// Largest error.
    pub largest: f64,
    points: usize,
    /// Name, value and truth of every coefficient that was sought.
    pub sought: Vec<(&'static str, f64, f64)>,
}

impl Findings for Solved {
    fn score(&self) -> Score {
        digits(self.relative_l2)
    }

    fn summary(&self) -> String {
        let sought: String = self.sought.iter().map(|(name, value, _)| format!(";{name}={value:.6e}")).collect();
        format!("relative_l2={:.4e};max={:.4e};samples={}{sought}", self.relative_l2, self.largest, self.points)
    }

    fn table(&self) -> String {
        let mut text = format!(
            "measured by the runtime: relative L2 error {:.3e}, largest error {}, over {} points of the reference",
            self.relative_l2,
            short(self.largest),
            self.points
        );
        for (name, value, truth) in &self.sought {
            let off = 100.0 * (value / truth - 1.0).abs();
            text += &format!("\n{name} = {value:.6e}, {off:.2} % from {truth:.6e}, with which the data were made");
        }
        text
    }
}

/// More is better: correct decimal digits.
fn digits(relative_l2: f64) -> Score {
    Score::new("correct digits", -relative_l2.log10())
}

/// The reference of a run: the file that the record names, else the equation's own.
///
/// # Errors
/// [`Error::Signal`] for a file that is none or leaves the domain.
pub(super) fn reference(equation: &dyn Equation, record: &PdeConfig) -> Result<Field> {
    let Some(path) = &record.reference else { return Ok(equation.reference(&values(equation, record))) };
    let field = pde::read(path)?;
    let bad = |message: String| Error::Signal { path: path.clone(), message };
    let axes = equation.axes();
    if axes.len() != 2 || axes[0].name != "t" || equation.outputs().len() != 1 {
        return Err(bad(format!("found a solution over t and x, expected none: `{}` has others", equation.name())));
    }
    for (k, axis) in axes.iter().enumerate() {
        let along = field.points.iter().skip(k).step_by(2);
        let (lo, hi) = along.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let room = 1e-6 * (axis.hi - axis.lo);
        if lo < axis.lo - room || hi > axis.hi + room {
            let expected = format!("{} to {}", axis.lo, axis.hi);
            return Err(bad(format!("found {} from {lo} to {hi}, expected within {expected}", axis.name)));
        }
    }
    Ok(field)
}

impl Observed for Pde {
    type Record = PdeConfig;
    type Findings = Solved;
    const FILES: &'static [&'static str] = &[pictures::SOLUTION, pictures::RESIDUAL, pictures::TERMS];
    const LBFGS: bool = true;

    fn open(config: &RunConfig<PdeConfig>) -> Result<Self> {
        let record = &config.signal;
        let equation = equation(&record.equation)?;
        let reference = reference(equation, record)?;
        let training = Training::new(config, &reference)?;
        let known = equation.coefficients();
        let coefficients: Vec<String> = known
            .iter()
            .zip(values(equation, record))
            .map(
                |(c, value)| {
                    if c.sought.is_some() { format!("{} sought", c.name) } else { format!("{} = {value}", c.name) }
                },
            )
            .collect();
        let title = [equation.name().to_owned()].into_iter().chain(coefficients.clone()).collect::<Vec<_>>().join(", ");
        let inputs: Vec<Quantity> = training.axes.iter().map(|a| Quantity::new(a.name, "", a.lo, a.hi)).collect();
        let outputs: Vec<Quantity> = equation
            .outputs()
            .iter()
            .enumerate()
            .map(|(k, (name, size))| {
                let known = reference.values.iter().skip(k).step_by(reference.outputs).filter(|v| v.is_finite());
                let largest = known.fold(*size, |most, v| most.max(v.abs()));
                Quantity::new(name, "", -largest, largest)
            })
            .collect();
        let conditions = training.terms.len() - 1;
        let subject = Subject {
            headline: format!("{}: {}", title, equation.formula()),
            title,
            step: format!("{} points, {} for each of {conditions} other terms", record.points, record.conditions),
            description: Description {
                signal: equation.name().into(),
                inputs: Quantity::describe(&inputs),
                outputs: Quantity::describe(&outputs),
                grid: None,
                error: None,
                provenance: String::new(),
            },
            normalization: training.normalization.clone(),
            head: Activation::Identity,
            hash: hash(reference.points.iter().chain(&reference.values).map(|&v| v as f32)),
        };
        let monitored = reference.thinned(reference.len().div_ceil(MONITORED) | 1);
        Ok(Self { training, reference, monitored, subject, residuals: Vec::new() })
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn prepare(&mut self, engine: &mut dyn Engine) -> Result<()> {
        self.training.jets(engine).map(drop)
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.training.gather(engine, step)
    }

    fn settle(&mut self, engine: &mut dyn Engine, step: u64) -> Result<Option<StepReport>> {
        self.training.settle(engine, step)
    }

    fn finish(&mut self, engine: &mut dyn Engine) -> Result<()> {
        self.residuals = self.training.residuals(engine, &pictures::points(&self.training))?;
        Ok(())
    }

    fn columns(&self) -> Vec<String> {
        let own = ["digits", "relative_l2"].map(String::from);
        let of =
            |what: &str| -> Vec<String> { self.training.terms.iter().map(|t| format!("{what}_{}", t.name)).collect() };
        let sought = self.training.found().into_iter().map(|(name, ..)| name.to_owned());
        own.into_iter().chain(of("loss")).chain(of("weight")).chain(sought).collect()
    }

    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement> {
        let relative_l2 = self.monitored.relative_l2(&evaluate(model, &self.monitored.points));
        let score = digits(relative_l2);
        let mut columns = vec![score.value, relative_l2];
        columns.extend(&self.training.losses);
        columns.extend(self.training.weights.iter().map(|w| f64::from(*w)));
        columns.extend(self.training.found().iter().map(|(_, value, _)| value));
        Ok(Measurement { score, columns, target_reached: false })
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Solved> {
        let found = evaluate(model, &self.reference.points);
        let errors = found.iter().zip(&self.reference.values).map(|(f, v)| (f64::from(*f) - v).abs());
        Ok(Solved {
            relative_l2: self.reference.relative_l2(&found),
            largest: errors.filter(|e| !e.is_nan()).fold(0.0, f64::max),
            points: self.reference.len(),
            sought: self.training.found(),
        })
    }

    fn pictures(&mut self, model: &dyn Evaluator, found: &Solved, folder: &RunFolder) -> Result<()> {
        pictures::solution(&self.training, &self.reference, model, found, &folder.file(pictures::SOLUTION))?;
        pictures::residual(&self.training, &self.residuals, &folder.file(pictures::RESIDUAL))?;
        pictures::terms(&self.training, super::observed::columns(self), folder)
    }

    fn state(&self) -> Vec<Parameter> {
        self.training.state()
    }

    fn restore(&mut self, state: &[Parameter]) -> Result<()> {
        self.training.restore(state)
    }
}

/// Values `[n, outputs]` at these points `[n, inputs]`, physical.
fn evaluate(model: &dyn Evaluator, points: &[f64]) -> Vec<f32> {
    model.evaluate(&points.iter().map(|&x| x as f32).collect::<Vec<f32>>())
}
