use super::*;
use crate::{
    config,
    engine::{AdamStep, EngineChoice, engine_of},
    export,
    observation::operator::terms,
    signal::operator::{GENERATORS, Generator, sensor_count},
    task::observed::networks,
};

fn open(generator: &dyn Generator, physics: bool, own: &str, folder: &std::path::Path) -> RunConfig<OperatorConfig> {
    let path = folder.join(format!("{}.safetensors", generator.name()));
    let own = format!(
        "[signal]\noperator = '{}'\ndata = '{}'\ntrain = 4\ntest = 2\nfunctions = 3\npoints = 20\nconditions = 6\n\
         [network]\nhidden = 8\ndepth = 2\n{own}",
        generator.name(),
        path.display()
    );
    config::resolve([defaults(Some(generator), sensor_count(generator), physics), own.parse().unwrap()]).unwrap()
}

/// Every generator, by values and by its equation, has defaults that resolve, survive the file, and lower the loss; the
/// error by the code that trains is that of the exported file.
#[test]
fn every_operator_learns_and_is_measured_alike_by_engine_and_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for generator in GENERATORS {
        for physics in [false, true] {
            if physics && terms(generator.name()).is_empty() {
                continue;
            }
            let config = open(*generator, physics, "", folder.path());
            assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
            let mut task = Operator::open(&config).unwrap();
            let normalization = task.subject.normalization.clone();
            let (networks, parameters) = networks(&config, &normalization).unwrap();
            let mut engine =
                engine_of(EngineChoice::Auto, &networks, &parameters, &crate::engine::Device::Cpu).unwrap();
            let mut losses = Vec::new();
            for step in 1..=30 {
                losses.push(task.gather(engine.as_mut(), step).unwrap());
                let adam = AdamStep {
                    learning_rate: 5e-3,
                    beta1: 0.9,
                    beta2: 0.999,
                    epsilon: 1e-8,
                    weight_decay: 0.0,
                    clip: None,
                    step,
                };
                engine.update(&adam).unwrap();
            }
            let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
            assert!(mean(&losses[25..]) < mean(&losses[..3]), "{} {physics}: {losses:?}", generator.name());
            let file = export::folded(
                &networks,
                &engine.parameters().unwrap(),
                (Activation::Identity, &normalization),
                &task.subject.description,
                config.export.precision,
                config.export.math,
            )
            .unwrap();
            let model = rwf_runtime::Operator::new(&file).unwrap();
            let found = task.findings(&model).unwrap();
            let by_engine = task.training.measure(engine.as_ref(), &task.training.unseen(9)).unwrap();
            assert_eq!(found.sizes.0, 2);
            assert!((found.mean / by_engine - 1.0).abs() < 1e-3, "{}: {} {by_engine}", generator.name(), found.mean);
        }
    }
}
