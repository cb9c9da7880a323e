use super::*;
use crate::{
    config,
    engine::{AdamStep, EngineChoice, engine},
    observation::pde::EQUATIONS,
    task::observed::start,
};

fn open(name: &str, own: &str) -> (RunConfig<PdeConfig>, Pde) {
    let known = equation(name).unwrap();
    let own = format!("[signal]\nequation = '{name}'\npoints = 64\nconditions = 16\n{own}").parse().unwrap();
    let config = config::resolve([defaults(known), own]).unwrap();
    let pde = Pde::open(&config).unwrap();
    (config, pde)
}

fn engine_of(config: &RunConfig<PdeConfig>, pde: &Pde) -> Box<dyn Engine> {
    let (network, parameters) = start(config, &pde.subject.normalization).unwrap();
    engine(EngineChoice::Fused, &network, &parameters, &candle_core::Device::Cpu).unwrap()
}

#[test]
fn every_equation_has_defaults_that_resolve_and_a_first_step() {
    for known in EQUATIONS {
        let (config, mut pde) = open(known.name(), "[network]\nhidden = 8\ndepth = 2");
        assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
        let mut engine = engine_of(&config, &pde);
        let loss = pde.gather(engine.as_mut(), 1).unwrap();
        assert!(loss.is_finite() && loss > 0.0, "{}: {loss}", known.name());
    }
}

/// With weights at the norms' balance every term's weighted gradient is as large.
#[test]
fn balanced_terms_pull_alike() {
    for balance in ["gradient-norm", "ntk"] {
        let own = format!("balance = '{balance}'\nmomentum = 0.0\n[network]\nhidden = 8\ndepth = 2");
        let (config, mut pde) = open("wave", &own);
        let mut engine = engine_of(&config, &pde);
        pde.gather(engine.as_mut(), 1).unwrap();
        engine.take_gradients().unwrap();
        let weights = pde.training.weights.clone();
        let share: f64 = weights.iter().map(|w| 1.0 / f64::from(*w)).sum();
        // Weights are the sum of sizes over each.
        assert!((share - 1.0).abs() < 1e-3, "{balance}: {weights:?}");
        assert!(weights.iter().any(|w| (w / weights[0] - 1.0).abs() > 0.1), "{balance}: {weights:?}");
        if balance == "gradient-norm" {
            let fused = training::fused(engine.as_mut()).unwrap();
            let norms: Vec<f64> = (0..weights.len())
                .map(|k| {
                    let g = pde.training.gradient(fused, k, 1, &[pde::Dual::constant(1.0)], None).unwrap();
                    let square = g.iter().flat_map(|p| &p.values).map(|v| f64::from(v * v)).sum::<f64>();
                    f64::from(weights[k]) * square.sqrt()
                })
                .collect();
            assert!(norms.iter().all(|n| (n / norms[0] - 1.0).abs() < 1e-2), "{norms:?}");
        }
    }
}

/// Windows open one after the other, a ramp ends at the coefficient's own value, held points are within.
#[test]
fn time_opens_and_coefficients_arrive() {
    let own = "windows = 4\nrefine = 0.25\n[signal.curriculum]\ncoefficient = 'c'\nfrom = 1.0\nshare = 0.5\n\
               [network]\nhidden = 8\ndepth = 1\n[training]\nsteps = 80";
    let (config, mut pde) = open("advection", own);
    let mut engine = engine_of(&config, &pde);
    let adam = |step| AdamStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        clip: None,
        step,
    };
    for step in 1..=41 {
        pde.gather(engine.as_mut(), step).unwrap();
        engine.update(&adam(step)).unwrap();
    }
    assert_eq!(pde.training.open_until(1), 0.25);
    assert_eq!(pde.training.open_until(11), 0.5);
    assert_eq!(pde.training.open_until(41), 1.0);
    assert_eq!(pde.training.coefficient_at(1), 1.0);
    assert!((pde.training.coefficient_at(21) - 15.5).abs() < 1e-4);
    assert_eq!(pde.training.coefficient_at(41), 30.0);
    let state = pde.state();
    let refined = state.iter().find(|p| p.name == "refined").unwrap();
    assert_eq!(refined.shape, [16, 2]);
    assert!(refined.values.iter().all(|x| (-1.0..=1.0).contains(x)));
    let (_, mut other) = open("advection", own);
    other.restore(&state).unwrap();
    assert_eq!(other.state(), state);
}
