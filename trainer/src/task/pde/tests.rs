use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    config,
    engine::{AdamStep, EngineChoice, engine},
    observation::pde::EQUATIONS,
    task::observed::{self, Report, Request, start},
};

fn open(name: &str, own: &str) -> (RunConfig<PdeConfig>, Pde) {
    let known = equation(name).unwrap();
    let own: toml::Table =
        format!("[signal]\nequation = '{name}'\npoints = 64\nconditions = 16\n{own}").parse().unwrap();
    let config = config::resolve([defaults(known, std::slice::from_ref(&own)), own]).unwrap();
    let pde = Pde::open(&config).unwrap();
    (config, pde)
}

fn engine_of(config: &RunConfig<PdeConfig>, pde: &Pde) -> Box<dyn Engine> {
    let (network, parameters) = start(config, &pde.subject.normalization).unwrap();
    engine(EngineChoice::Fused, &network, &parameters, &crate::engine::Device::Cpu).unwrap()
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
            let engine = pde.training.jets(engine.as_mut()).unwrap();
            let norms: Vec<f64> = (0..weights.len())
                .map(|k| {
                    let g = pde.training.gradient(engine, k, 1, &[pde::Dual::constant(1.0)], None).unwrap();
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
    assert_eq!(pde.training.coefficient_at(1), 1.0);
    assert!((pde.training.coefficient_at(21) - 15.5).abs() < 1e-4);
    assert_eq!(pde.training.coefficient_at(41), 30.0);
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
    let state = pde.state();
    let refined = state.iter().find(|p| p.name == "refined").unwrap();
    assert_eq!(refined.shape, [16, 2]);
    assert!(refined.values.iter().all(|x| (-1.0..=1.0).contains(x)));
    let (_, mut other) = open("advection", own);
    other.restore(&state).unwrap();
    assert_eq!(other.state(), state);
}

/// Within L-BFGS a coefficient moves as well, but stays for a while.
#[test]
fn a_coefficient_arrives_within_lbfgs() {
    let own = "[signal.curriculum]\ncoefficient = 'c'\nfrom = 10.0\nstart = 0.25\nshare = 0.75\n\
               [network]\nhidden = 8\ndepth = 1\n[training]\nsteps = 500\nlbfgs = 1500";
    let (config, mut pde) = open("advection", own);
    let at = |step| pde.training.coefficient_at(step);
    assert_eq!((at(1), at(501), at(750)), (10.0, 10.0, 10.0));
    assert_eq!((at(751), at(1001), at(1250), at(1251)), (15.0, 20.0, 20.0, 25.0));
    assert_eq!((at(1501), at(2000), at(u64::MAX)), (30.0, 30.0, 30.0));
    // Where it moves the loss does, at the same place.
    let mut engine = engine_of(&config, &pde);
    let mut loss = |step| pde.settle(engine.as_mut(), step).unwrap().unwrap().loss;
    let (low, next) = ((501..530).map(&mut loss).last().unwrap(), loss(1501));
    assert!(next > 1.2 * low, "{low} {next}");
    // Nothing lower at one stage is no end before the last one.
    let own = own.replace("hidden = 8", "hidden = 2");
    let (config, mut small) = open("advection", &own);
    let mut engine = engine_of(&config, &small);
    let mut settle = |step| small.settle(engine.as_mut(), step).unwrap();
    let rests = (0..20_000).find(|_| settle(501).unwrap().gradient_norm == 0.0);
    let (last, next) = (settle(750).unwrap(), settle(1001).unwrap());
    assert!(rests.is_some() && last.gradient_norm == 0.0 && next.gradient_norm > 0.0, "{rests:?} {last:?} {next:?}");
    // There it stays, though the run grows longer.
    let (_, mut longer) = open("advection", &own.replace("lbfgs = 1500", "lbfgs = 15000"));
    assert_eq!(longer.training.coefficient_at(2001), 10.0);
    longer.restore(&pde.state()).unwrap();
    assert_eq!(longer.training.coefficient_at(2001), 30.0);
    for (start, share) in [(0.75, 0.25), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)] {
        let own = format!("[signal]\nequation = 'advection'\n{own}")
            .replace("start = 0.25\nshare = 0.75", &format!("start = {start:?}\nshare = {share:?}"));
        let layers = [defaults(equation("advection").unwrap(), &[]), own.parse().unwrap()];
        let error = config::resolve::<PdeConfig>(layers).unwrap_err().to_string();
        assert!(error.contains("curriculum.share") && error.contains(&format!("{share:?}")), "{error}");
    }
}

/// Runs in a folder of their own, small and quick.
struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn fit(&self, name: &str, equation: &str, own: &str) -> Report<Solved> {
        let own = format!("{own}\n[network]\nhidden = 10\ndepth = 2");
        let (config, task) = open(equation, &own);
        let out = self.0.path().join(name).with_extension("safetensors");
        self.run(Request::New { task: Box::new(task), config: Box::new(config), out, force: false })
    }

    fn resume(&self, name: &str, lbfgs: u64) -> Report<Solved> {
        let folder = self.0.path().join(name).with_extension("run");
        self.run(Request::Resume { folder, steps: None, lbfgs: Some(lbfgs) })
    }

    fn run(&self, request: Request<Pde>) -> Report<Solved> {
        let place = observed::Place { engine: EngineChoice::Fused, device: &crate::engine::Device::Cpu, name: "cpu" };
        observed::run(request, place, &AtomicBool::new(false), true).unwrap()
    }
}

/// L-BFGS takes the error of a solution down, a run that goes on in the middle of it ends with the same bits, and a
/// coefficient that is sought moves with the network.
#[test]
fn lbfgs_lowers_the_error_and_goes_on_to_the_same_bits() {
    let runs = Runs::new();
    let training = |lbfgs: u64| format!("[training]\nsteps = 150\nlearning_rate = 5e-3\nlbfgs = {lbfgs}");
    let adam = runs.fit("adam", "poisson", &training(0));
    let whole = runs.fit("whole", "poisson", &training(80));
    runs.fit("halved", "poisson", &training(31));
    let halved = runs.resume("halved", 80);
    assert!(whole.findings.relative_l2 < 0.5 * adam.findings.relative_l2, "{:?} {:?}", whole.findings, adam.findings);
    assert_eq!(whole.outcome.step, 230);
    let tensors = |report: &Report<Solved>| {
        let bytes = std::fs::read(&report.out).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(tensors(&whole), tensors(&halved));
    assert_ne!(tensors(&whole), tensors(&adam));
    let sought =
        |lbfgs: u64| runs.fit(&format!("nu{lbfgs}"), "burgers-viscosity", &training(lbfgs)).findings.sought[0].1;
    assert!((sought(40) / sought(0) - 1.0).abs() > 1e-3);
}

/// Fields of one and of several outputs, over two and three inputs, on a grid and on lines.
#[test]
fn every_kind_of_solution_has_its_pictures() {
    let runs = Runs::new();
    for equation in ["burgers", "cavity", "navier-stokes"] {
        let report = runs.fit(equation, equation, "[training]\nsteps = 2\nlbfgs = 0");
        for file in Pde::FILES {
            let picture = image::open(report.folder.join(file)).unwrap().to_rgb8();
            let colours: std::collections::BTreeSet<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
            assert!(colours.len() > 20, "{equation} {file}");
        }
    }
}

#[test]
fn defaults_follow_coefficients_and_what_has_no_reference_is_refused() {
    let known = equation("advection").unwrap();
    let waves = |c: &str| {
        let own: toml::Table = format!("[signal.coefficients]\nc = {c}").parse().unwrap();
        defaults(known, &[own])["network"]["mapping"]["waves"].as_integer().unwrap()
    };
    assert_eq!((waves("30"), waves("80.0"), waves("-80")), (48, 64, 64));
    let own: toml::Table = "[signal]\nequation = 'cavity'\n[signal.coefficients]\nre = 250.0".parse().unwrap();
    let layers = [defaults(equation("cavity").unwrap(), std::slice::from_ref(&own)), own];
    let error = config::resolve::<PdeConfig>(layers).unwrap_err();
    assert!(error.to_string().contains("250") && error.to_string().contains("100 or 400"), "{error}");
    assert_eq!(error.exit_code(), 2);
}
