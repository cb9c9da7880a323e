//! Operators by the relative error on input functions that training did not see, on networks as those of `rwf operator`.

use toml::Table;

use super::{Options, Plan};
use crate::{
    compare::{Observe, Problem, Scale, Trial},
    config::{self, RunConfig, TrainingConfig},
    engine::Engine,
    error::{Error, Result},
    network::{DeepOnet, Networks, Parameter, Parameterization},
    rng::Rng,
    signal::operator::{generator, sensor_count},
    task::operator::{OperatorConfig, Training, defaults, prepare},
};

/// What belongs to operators alone.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorOptions {
    /// Names of the operators.
    pub operators: Vec<String>,
    /// Whether they are trained by their equations alone.
    pub physics: bool,
}

/// Most unseen functions measured.
const MEASURED: usize = 50;

struct Learning {
    training: Training,
    config: RunConfig<OperatorConfig>,
    unseen: Vec<usize>,
}

pub(super) fn plan<'a>(options: &Options, own: &OperatorOptions) -> Result<Plan<'a>> {
    if own.operators.is_empty() {
        return Err(Error::Config { field: "--operators".into(), message: "found nothing to compare".into() });
    }
    let seeds = options.seeds.unwrap_or(if options.quick { 1 } else { 3 });
    let (mut cases, mut trials, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    for name in &own.operators {
        let known = generator(name)?;
        // Another number of pairs is another file.
        let quick = if options.quick { "-quick" } else { "" };
        let path = options.folder.join(format!("{name}-data{quick}.safetensors"));
        let path = std::path::absolute(&path).map_err(|source| Error::Io { path, action: "find", source })?;
        let mut signal = Table::from_iter([("operator".to_owned(), name.as_str().into())]);
        signal.insert("data".into(), path.to_string_lossy().into_owned().into());
        let layer = Table::from_iter([("signal".to_owned(), signal.into())]);
        let mut config: RunConfig<OperatorConfig> =
            config::resolve([defaults(Some(known), sensor_count(known), own.physics), layer])?;
        if options.quick {
            (config.network.hidden, config.network.depth) = (32, 3);
            (config.signal.train, config.signal.test) = (100, 20);
        }
        config.training.steps = options.steps.unwrap_or(if options.quick { 1000 } else { config.training.steps });
        config.training.evaluate_every = (config.training.steps / 100).max(1);
        crate::file::make_folder(&options.folder)?;
        prepare(&config.signal, false)?;
        for seed in 0..seeds {
            for &rate_factor in &options.rate_factors {
                for &parameterization in &options.methods {
                    trials.push(trial(&config, seed, rate_factor, parameterization));
                }
            }
        }
        let (network, training, signal) = (&config.network, &config.training, &config.signal);
        settings.push(format!(
            "`{name}`: {}. {}. {} of {:?} layers of {} for branch and trunk, mapping {:?}, latent {}, {} pairs to learn from, \
             {} functions at {} points a step, {} steps at {} with {:?}",
            known.formula(),
            known.settings(),
            network.depth,
            network.architecture,
            network.hidden,
            network.mapping,
            signal.deeponet.latent,
            signal.train,
            signal.functions,
            signal.points,
            training.steps,
            training.learning_rate,
            training.schedule,
        ));
        cases.push(config);
    }
    let by = if own.physics { "the equation and its conditions alone" } else { "known values" };
    let about = format!(
        "DeepONets trained by {by}; functions and points of a step are the same for every parameterization. The error is the \
         mean over {MEASURED} unseen input functions of the relative L2 error, less is better.\n\n{}",
        settings.join("\n\n")
    );
    Ok(Plan {
        trials,
        problem: Box::new(move |trial: &Trial| {
            let name = Some(&trial.problem);
            let found = cases.iter().find(|c| c.signal.operator.as_ref() == name).expect("was put there");
            let mut config = found.clone();
            (config.network, config.training) = (trial.network.clone(), trial.training.clone());
            let training = Training::new(&config, true)?;
            let unseen = training.unseen(MEASURED);
            Ok(Box::new(Learning { training, config, unseen }))
        }),
        title: "Operators",
        about,
        figures: Box::new(|_| Ok(Vec::new())),
        tables: true,
    })
}

fn trial(config: &RunConfig<OperatorConfig>, seed: u64, rate_factor: f64, parameterization: Parameterization) -> Trial {
    let name = config.signal.operator.clone().expect("is one of a generator");
    let learning_rate = rate_factor * config.training.learning_rate;
    Trial {
        row: name.clone(),
        problem: name,
        rate_factor,
        network: crate::network::NetworkConfig { parameterization, ..config.network.clone() },
        training: TrainingConfig { seed, learning_rate, ..config.training.clone() },
        observe: Observe::default(),
    }
}

impl Problem for Learning {
    fn sizes(&self) -> (usize, usize) {
        (self.training.data.sizes.coordinates, self.training.data.sizes.outputs)
    }

    fn networks(&self, trial: &Trial, rng: &mut Rng) -> Result<(Networks, Vec<Parameter>)> {
        let (inputs, outputs) = self.sizes();
        let (deeponet, start) = DeepOnet::new(&self.config.signal.deeponet, &trial.network, inputs, outputs, rng)?;
        Ok((Networks::Operator(Box::new(deeponet)), start))
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
        Ok((self.training.measure(engine, &self.unseen)?, Vec::new()))
    }
}
