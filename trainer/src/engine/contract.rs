//! What every engine must do, checked against the f64 oracle.

use super::{AdamStep, Batch, Engine, Loss};
use crate::{
    error::Result,
    fold::forward_f64,
    network::{ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig, Parameter, Parameterization},
    rng::Rng,
    tolerance,
};

/// Makes the engine under test.
pub(super) type Make = fn(&Network, &[Parameter]) -> Result<Box<dyn Engine>>;

pub(super) const MAPPINGS: [MappingConfig; 4] = [
    MappingConfig::None,
    MappingConfig::PositionalLog { max_power: 2.0, frequencies: 3 },
    MappingConfig::PositionalOctaves { levels: 2, raw: true },
    MappingConfig::Gaussian { frequencies: 4, scale: 1.0 },
];

/// Random points and values, both `[n, 2]`.
pub(super) fn samples(n: usize) -> (Vec<f32>, Vec<f32>) {
    let mut rng = Rng::new(11);
    let x: Vec<f32> = (0..2 * n).map(|_| rng.symmetric(1.0) as f32).collect();
    let y = (0..2 * n).map(|_| rng.symmetric(1.0) as f32).collect();
    (x, y)
}

/// The loss by the f64 oracle.
fn loss_f64(network: &Network, parameters: &[Parameter], x: &[f32], y: &[f32]) -> f64 {
    let dense = network.dense_f64(parameters);
    let mut sum = 0.0;
    for (x, y) in x.chunks_exact(2).zip(y.chunks_exact(2)) {
        let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let fit = forward_f64(&dense, &x);
        sum += fit.iter().zip(y).map(|(f, y)| (f - f64::from(*y)).powi(2)).sum::<f64>();
    }
    sum / y.len() as f64
}

/// Central differences; the step is taken in f32 numbers, so that the oracle sees exactly what it divides by.
fn differences(network: &Network, start: &[Parameter], x: &[f32], y: &[f32], k: usize) -> Vec<f64> {
    let mut moved = start.to_vec();
    (0..start[k].values.len())
        .map(|i| {
            let at = start[k].values[i];
            let mut loss = |by: f32| {
                moved[k].values[i] = at + by;
                (f64::from(at + by), loss_f64(network, &moved, x, y))
            };
            let ((hi, above), (lo, below)) = (loss(2e-4), loss(-2e-4));
            moved[k].values[i] = at;
            (above - below) / (hi - lo)
        })
        .collect()
}

fn check(make: Make, config: &NetworkConfig) {
    let (x, y) = samples(6);
    let (network, start) = Network::new(config, 2, 2, &mut Rng::new(3)).unwrap();
    let mut engine = make(&network, &start).unwrap();
    engine.load(&x, &y).unwrap();
    let (loss, gradients) = engine.loss_and_gradients(Batch::Full, Loss::MeanSquaredError).unwrap();
    let expected = loss_f64(&network, &start, &x, &y);
    assert!((loss - expected).abs() < tolerance::FORWARD * (1.0 + expected), "{config:?}: {loss} {expected}");
    for (k, gradient) in gradients.iter().enumerate() {
        let expected = differences(&network, &start, &x, &y, k);
        let largest = expected.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
        for (found, expected) in gradient.values.iter().zip(&expected) {
            let error = (f64::from(*found) - expected).abs() / largest;
            assert!(error < tolerance::GRADIENT, "{config:?} {}: {found} {expected}", gradient.name);
        }
    }
}

/// Every architecture, parameterization and mapping.
pub(super) fn gradients_of_every_network(make: Make) {
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
        for parameterization in Parameterization::ALL {
            for mapping in MAPPINGS {
                // A gentle omega0 keeps the differences' own error below the tolerance.
                check(
                    make,
                    &NetworkConfig {
                        parameterization,
                        mapping,
                        omega0: 3.0,
                        omega0_first: 3.0,
                        ..NetworkConfig::new(architecture, 5, 2)
                    },
                );
            }
        }
    }
}

/// Every activation, hidden and at the output; a ReLU's kinks are no matter for differences.
pub(super) fn gradients_of_every_activation(make: Make) {
    use ActivationKind::{Gelu, Identity, Sigmoid, Sine, Swish, Tanh};
    for activation in [Identity, Sigmoid, Sine, Swish, Tanh, Gelu] {
        for architecture in [ArchitectureKind::Mlp, ArchitectureKind::ModifiedMlp] {
            check(
                make,
                &NetworkConfig {
                    activation: Some(activation),
                    output_activation: activation,
                    omega0: 2.0,
                    omega0_first: 2.0,
                    ..NetworkConfig::new(architecture, 5, 2)
                },
            );
        }
    }
}

/// The dense layers an engine evaluates are those of its parameters.
pub(super) fn dense_layers(make: Make) {
    for parameterization in Parameterization::ALL {
        let config = NetworkConfig { parameterization, ..NetworkConfig::new(ArchitectureKind::Siren, 6, 2) };
        let (network, start) = Network::new(&config, 2, 1, &mut Rng::new(1)).unwrap();
        let engine = make(&network, &start).unwrap();
        let (found, expected) = (engine.dense().unwrap(), network.dense_f64(&start));
        for (found, expected) in found.layers.iter().zip(&expected.layers) {
            for (a, b) in found.kernel.iter().zip(&expected.kernel) {
                assert!((a - b).abs() < 10.0 * tolerance::EPS32 * (1e-3 + b.abs()), "{parameterization:?}");
            }
        }
    }
}

/// A batch of all indices is the full batch, and clipping shrinks the step.
pub(super) fn batches_and_clipping(make: Make) {
    let (x, y) = samples(8);
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 5, 1);
    let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
    let run = |batch: Batch<'_>| {
        let mut engine = make(&network, &start).unwrap();
        engine.load(&x, &y).unwrap();
        engine.loss_and_gradients(batch, Loss::MeanSquaredError).unwrap()
    };
    let all: Vec<u32> = (0..8).collect();
    assert_eq!(run(Batch::Full), run(Batch::Indices(&all)));
    assert_ne!(run(Batch::Full).0, run(Batch::Indices(&all[..3])).0);

    // Adam divides the size of a gradient out, so clipping shows in its moments.
    let moments = |clip| {
        let mut engine = make(&network, &start).unwrap();
        engine.load(&x, &y).unwrap();
        let adam =
            AdamStep { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip, step: 1 };
        let norm = engine.step(Batch::Full, Loss::MeanSquaredError, &adam).unwrap().gradient_norm;
        let first: f64 = engine
            .moments()
            .unwrap()
            .iter()
            .flat_map(|p| p.values[..p.values.len() / 2].iter().map(|&m| f64::from(m).powi(2)))
            .sum();
        (norm, first.sqrt())
    };
    let (norm, whole) = moments(None);
    let (_, clipped) = moments(Some(0.5 * norm));
    assert!((whole / (0.1 * norm) - 1.0).abs() < 1e-5 && (clipped / whole - 0.5).abs() < 1e-5);
}

/// A parameter of another shape is refused by name.
pub(super) fn parameters_that_do_not_fit(make: Make) {
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 5, 1);
    let (network, mut start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
    start[0].shape = vec![1, 10];
    let error = make(&network, &start).err().expect("is refused").to_string();
    assert!(error.contains("layers.0.v") && error.contains("[2, 5]"), "{error}");
}
