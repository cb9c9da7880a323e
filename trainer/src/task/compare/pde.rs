//! Differential equations by the relative error of their solutions, on networks as those of `rwf pde`.

use toml::Table;

use super::{Options, Plan};
use crate::{
    compare::{Observe, Problem, Scale, Trial},
    config::{self, RunConfig, TrainingConfig},
    engine::Engine,
    error::{Error, Result},
    network::Parameterization,
    observation::pde::{Field, equation},
    task::pde::{PdeConfig, Training, defaults, reference},
};

/// What belongs to differential equations alone.
#[derive(Debug, Clone, PartialEq)]
pub struct PdeOptions {
    /// Names of the equations.
    pub equations: Vec<String>,
}

/// Most points of the reference measured.
const MEASURED: usize = 8192;

/// An equation with its settings and its reference.
struct Case {
    config: RunConfig<PdeConfig>,
    reference: Field,
}

struct Solving {
    training: Training,
    reference: Field,
    x: Vec<f32>,
}

pub(super) fn plan<'a>(options: &Options, pde: &PdeOptions) -> Result<Plan<'a>> {
    if pde.equations.is_empty() {
        return Err(Error::Config { field: "--equations".into(), message: "found nothing to compare".into() });
    }
    let seeds = options.seeds.unwrap_or(if options.quick { 1 } else { 3 });
    let (mut cases, mut trials, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    for name in &pde.equations {
        let known = equation(name)?;
        let own = format!("[signal]\nequation = '{name}'").parse::<Table>().expect("a word");
        let mut config: RunConfig<PdeConfig> = config::resolve([defaults(known, &[]), own])?;
        if options.quick {
            (config.network.hidden, config.network.depth, config.signal.points) = (32, 3, 512);
        }
        config.training.steps = options.steps.unwrap_or(if options.quick { 1000 } else { config.training.steps });
        // Adam alone: what L-BFGS makes of an end says more of it than of the way there.
        config.training.lbfgs = 0;
        config.training.evaluate_every = (config.training.steps / 100).max(1);
        for seed in 0..seeds {
            for &rate_factor in &options.rate_factors {
                for &parameterization in &options.methods {
                    trials.push(trial(&config, seed, rate_factor, parameterization));
                }
            }
        }
        let (network, training, signal) = (&config.network, &config.training, &config.signal);
        settings.push(format!(
            "`{name}`: {}; {} layers of {}, mapping {:?}, {} steps at {} with {:?}, {} points a step, {} for each \
             condition, weights {:?} {:?}",
            known.formula(),
            network.depth,
            network.hidden,
            network.mapping,
            training.steps,
            training.learning_rate,
            training.schedule,
            signal.points,
            signal.conditions,
            signal.balance,
            signal.weights,
        ));
        let field = reference(known, &config.signal)?;
        let reference = field.thinned(field.len().div_ceil(MEASURED) | 1);
        cases.push(Case { config, reference });
    }
    let about = format!(
        "Solutions of differential equations, the equation's residual and its conditions as the only loss; points drawn \
         anew every step, the same for every parameterization. The error is relative to the reference in L2, less is \
         better.\n\n{}",
        settings.join("\n\n")
    );
    Ok(Plan {
        trials,
        problem: Box::new(move |trial: &Trial| {
            let found = cases.iter().find(|c| c.config.signal.equation == trial.problem).expect("was put there");
            let mut config = found.config.clone();
            (config.network, config.training) = (trial.network.clone(), trial.training.clone());
            let training = Training::new(&config, &found.reference)?;
            let x = training.to_network(&found.reference.points);
            Ok(Box::new(Solving { training, reference: found.reference.clone(), x }))
        }),
        title: "Differential equations",
        about,
        figures: Box::new(|_| Ok(Vec::new())),
        tables: true,
    })
}

fn trial(config: &RunConfig<PdeConfig>, seed: u64, rate_factor: f64, parameterization: Parameterization) -> Trial {
    let name = &config.signal.equation;
    let learning_rate = rate_factor * config.training.learning_rate;
    Trial {
        row: name.clone(),
        problem: name.clone(),
        rate_factor,
        network: crate::network::NetworkConfig { parameterization, ..config.network.clone() },
        training: TrainingConfig { seed, learning_rate, ..config.training.clone() },
        observe: Observe::default(),
    }
}

impl Problem for Solving {
    fn sizes(&self) -> (usize, usize) {
        (self.training.axes.len(), self.reference.outputs)
    }

    fn scale(&self) -> Scale {
        Scale::Relative
    }

    fn prepare(&mut self, _engine: &mut dyn Engine, _plan: &TrainingConfig) -> Result<()> {
        Ok(())
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.training.gather(engine, step)
    }

    fn measure(&mut self, engine: &dyn Engine) -> Result<(f64, Vec<f32>)> {
        let n = &self.training.normalization;
        let width = self.reference.outputs;
        let mut values = engine.forward(&self.x)?;
        for (i, v) in values.iter_mut().enumerate() {
            *v = (n.output_centre[i % width] + n.output_half[i % width] * f64::from(*v)) as f32;
        }
        Ok((self.reference.relative_l2(&values), values))
    }
}
