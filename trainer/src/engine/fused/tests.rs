use candle_core::Device;

use super::*;
use crate::{
    engine::{CandleEngine, contract},
    network::{ActivationKind, ArchitectureKind, NetworkConfig, Parameterization},
    rng::Rng,
    tolerance,
};

fn make(network: &Network, start: &[Parameter]) -> Result<Box<dyn Engine>> {
    Ok(Box::new(FusedEngine::new(network, start)?))
}

#[test]
fn gradients_equal_differences_for_every_network() {
    contract::gradients_of_every_network(make);
}

#[test]
fn gradients_equal_differences_for_every_activation() {
    contract::gradients_of_every_activation(make);
}

#[test]
fn dense_layers_equal_the_f64_twin() {
    contract::dense_layers(make);
}

#[test]
fn observations() {
    contract::observations(make);
}

#[test]
fn groups_of_different_sizes() {
    contract::uneven_groups(make);
}

#[test]
fn cross_entropy() {
    contract::cross_entropy(make);
}

#[test]
fn batches_and_clipping() {
    contract::batches_and_clipping(make);
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    contract::parameters_that_do_not_fit(make);
}

/// A network and both engines with the same samples.
fn pair(config: &NetworkConfig, points: usize) -> (FusedEngine, CandleEngine) {
    let (x, y) = contract::samples(points);
    let (network, start) = Network::new(config, 2, 2, &mut Rng::new(5)).unwrap();
    let mut fused = FusedEngine::new(&network, &start).unwrap();
    let mut candle = CandleEngine::new(&network, &start, &Device::Cpu).unwrap();
    fused.load(&x, &y).unwrap();
    candle.load(&x, &y).unwrap();
    (fused, candle)
}

/// Largest difference of two lists of tensors, each relative to the largest number of its tensor, or of its layer where
/// it is a sum over all of that.
fn difference(a: &[Parameter], b: &[Parameter]) -> f64 {
    let layers = contract::layers_of(a);
    let each = a.iter().zip(b).zip(&layers).map(|((a_one, b_one), layer)| {
        assert_eq!((&a_one.name, &a_one.shape), (&b_one.name, &b_one.shape));
        let scale = |n: usize| layers[n] == *layer && (a_one.values.len() == 1 || a[n].name == a_one.name);
        let of_scale = b.iter().enumerate().filter(|(n, _)| scale(*n)).flat_map(|(_, p)| &p.values);
        let largest = of_scale.fold(1e-6f32, |m, v| m.max(v.abs()));
        let pairs = a_one.values.iter().zip(&b_one.values);
        pairs.map(|(a, b)| f64::from((a - b).abs() / largest)).fold(0.0, f64::max)
    });
    each.fold(0.0, f64::max)
}

#[test]
fn gradients_and_values_equal_autograd_over_many_tiles() {
    // 700 points are several parts of more than a tile each, the last one short; widths on both sides of thin.
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
        for parameterization in Parameterization::ALL {
            for (mapping, hidden) in contract::MAPPINGS.into_iter().zip([24, 3, 40, 17]) {
                let activation = (architecture != ArchitectureKind::Siren).then_some(ActivationKind::Relu);
                let config = NetworkConfig {
                    parameterization,
                    mapping,
                    activation,
                    omega0: 5.0,
                    omega0_first: 5.0,
                    ..NetworkConfig::new(architecture, hidden, 3)
                };
                let (mut fused, mut candle) = pair(&config, 700);
                let batch: Vec<u32> = (0..700).step_by(3).chain([1, 1, 2]).collect();
                for batch in [Batch::Full, Batch::Indices(&batch)] {
                    let (a, from_fused) = fused.loss_and_gradients(batch, Loss::MeanSquaredError).unwrap();
                    let (b, from_candle) = candle.loss_and_gradients(batch, Loss::MeanSquaredError).unwrap();
                    assert!((a / b - 1.0).abs() < tolerance::FORWARD, "{config:?}: loss {a} {b}");
                    let error = difference(&from_fused, &from_candle);
                    assert!(error < tolerance::ENGINES, "{config:?}: {error:e}");
                }
                let (x, _) = contract::samples(1300);
                for (a, b) in fused.forward(&x).unwrap().iter().zip(candle.forward(&x).unwrap()) {
                    assert!(f64::from((a - b).abs()) < tolerance::FORWARD * 4.0, "{config:?}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_hundred_steps_go_the_same_way_and_checkpoints_are_shared() {
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
        let config = NetworkConfig { omega0: 5.0, omega0_first: 5.0, ..NetworkConfig::new(architecture, 24, 2) };
        let (mut fused, mut candle) = pair(&config, 300);
        for n in 1..=100 {
            let a = fused.step(Batch::Full, Loss::MeanSquaredError, &contract::step(n)).unwrap();
            let b = candle.step(Batch::Full, Loss::MeanSquaredError, &contract::step(n)).unwrap();
            assert!((a.loss / b.loss - 1.0).abs() < tolerance::TRAINING, "{architecture:?} {n}: {a:?} {b:?}");
        }
        // Either goes on from the other's state.
        fused.set_parameters(&candle.parameters().unwrap()).unwrap();
        fused.set_moments(&candle.moments().unwrap()).unwrap();
        assert_eq!(fused.parameters().unwrap(), candle.parameters().unwrap());
        assert_eq!(fused.moments().unwrap(), candle.moments().unwrap());
        let a = fused.step(Batch::Full, Loss::MeanSquaredError, &contract::step(101)).unwrap();
        let b = candle.step(Batch::Full, Loss::MeanSquaredError, &contract::step(101)).unwrap();
        assert!((a.loss / b.loss - 1.0).abs() < tolerance::FORWARD);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let config = NetworkConfig::new(ArchitectureKind::ModifiedMlp, 96, 3);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut fused, _) = pair(&config, 3000);
            for n in 1..=5 {
                fused.step(Batch::Full, Loss::MeanSquaredError, &contract::step(n)).unwrap();
            }
            (fused.parameters().unwrap(), fused.moments().unwrap())
        })
    };
    let one = run(1);
    assert!(run(2) == one && run(5) == one);
}

/// Squared error of the mean along groups of points.
struct Means(usize);

impl Observation for Means {
    fn group(&self) -> usize {
        self.0
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let groups = y.chunks(2 * self.0).zip(dy.chunks_mut(2 * self.0)).zip(first..);
        let each = groups.map(|((y, dy), n)| {
            let error = y.iter().sum::<f32>() / y.len() as f32 - 0.1 * n as f32;
            dy.fill(2.0 * error / y.len() as f32);
            f64::from(error * error)
        });
        each.sum()
    }
}

#[test]
fn observed_groups_of_any_length_equal_autograd_and_threads_change_no_bit() {
    let config = NetworkConfig { omega0: 5.0, omega0_first: 5.0, ..NetworkConfig::new(ArchitectureKind::Siren, 24, 2) };
    let (x, _) = contract::samples(2520);
    // Shorter than a tile, a tile is no whole number of them, longer than a tile, and all of the points.
    for group in [1, 7, 90, 360, 2520] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut fused, _) = pair(&config, 10);
                let loss = fused.observe(&x, &Means(group), 0.5).unwrap();
                (loss, fused.take_gradients().unwrap())
            })
        };
        let (loss, gradients) = run(1);
        assert_eq!(run(3), (loss, gradients.clone()), "group {group}");
        let (_, mut candle) = pair(&config, 10);
        let expected = candle.observe(&x, &Means(group), 0.5).unwrap();
        assert!((loss / expected - 1.0).abs() < tolerance::FORWARD, "group {group}: {loss} {expected}");
        let error = difference(&gradients, &candle.take_gradients().unwrap());
        assert!(error < tolerance::ENGINES, "group {group}: {error:e}");
    }
}

#[test]
fn features_are_the_same_kept_or_made_anew() {
    let config = NetworkConfig { mapping: contract::MAPPINGS[2], ..NetworkConfig::new(ArchitectureKind::Mlp, 9, 1) };
    let (mut fused, _) = pair(&config, 500);
    let batch: Vec<u32> = (0..400).rev().collect();
    let kept = fused.loss_and_gradients(Batch::Indices(&batch), Loss::MeanSquaredError).unwrap();
    let (x, _) = contract::samples(500);
    fused.data = Data { x, width: 2, mapped: false, ..std::mem::take(&mut fused.data) };
    fused.parts.clear();
    assert_eq!(fused.loss_and_gradients(Batch::Indices(&batch), Loss::MeanSquaredError).unwrap(), kept);
}
