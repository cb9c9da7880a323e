//! What every engine must do, checked against the f64 oracle.

use super::{AdamStep, Batch, DenseGradient, Engine, Loss, Observation, Samples};
use crate::{
    error::Result,
    fold::forward_f64,
    network::{
        ActivationKind, ArchitectureKind, HostDense, MappingConfig, Network, NetworkConfig, Parameter,
        Parameterization, materialize_from,
    },
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

/// Trained numbers in f64, tensor by tensor.
type Wide = Vec<(String, Vec<f64>)>;

/// Values `[n, outputs]` by the f64 oracle.
fn values_f64(network: &Network, trained: &Wide, x: &[f32]) -> Vec<f64> {
    let find = |name: &str| trained.iter().find(|(n, _)| n == name).expect("a tensor of the network").1.clone();
    let dense = network.dense_by(&|spec| materialize_from(spec, &find));
    let point = |x: &[f32]| forward_f64(&dense, &x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    x.chunks_exact(2).flat_map(point).collect()
}

/// A loss of values by the f64 oracle.
type LossF64<'a> = &'a dyn Fn(&[f64]) -> f64;

/// The loss, and its gradient by central differences in f64, extrapolated to a step of nothing (Richardson 1911).
fn oracle(network: &Network, start: &[Parameter], x: &[f32], loss: LossF64<'_>) -> (f64, Vec<Vec<f64>>) {
    let mut trained: Wide =
        start.iter().map(|p| (p.name.clone(), p.values.iter().map(|&v| f64::from(v)).collect())).collect();
    let mut gradients = Vec::new();
    for k in 0..trained.len() {
        let mut slope = |i: usize| {
            let at = trained[k].1[i];
            let mut central = |h: f64| {
                let mut moved = |to| {
                    trained[k].1[i] = to;
                    loss(&values_f64(network, &trained, x))
                };
                (moved(at + h) - moved(at - h)) / (2.0 * h)
            };
            let extrapolated = (4.0 * central(5e-4) - central(1e-3)) / 3.0;
            trained[k].1[i] = at;
            extrapolated
        };
        gradients.push((0..start[k].values.len()).map(&mut slope).collect());
    }
    (loss(&values_f64(network, &trained, x)), gradients)
}

/// Loss and gradients of an engine against the oracle's.
fn compare(what: &str, found: &(f64, Vec<Parameter>), expected: &(f64, Vec<Vec<f64>>)) {
    let (loss, expected_loss) = (found.0, expected.0);
    assert!(
        (loss - expected_loss).abs() < tolerance::FORWARD * (1.0 + expected_loss),
        "{what}: {loss} {expected_loss}"
    );
    let layers = layers_of(&found.1);
    for ((gradient, layer), each) in found.1.iter().zip(&layers).zip(&expected.1) {
        // A slope that a whole layer shares gathers a sum over all of it, which may cancel: its scale is the layer's.
        let scale = |n: usize| layers[n] == *layer && (each.len() == 1 || found.1[n].name == gradient.name);
        let of_scale = expected.1.iter().enumerate().filter(|(n, _)| scale(*n)).flat_map(|(_, values)| values);
        let largest = of_scale.fold(1e-3f64, |m, g| m.max(g.abs()));
        let expected = each;
        for (found, expected) in gradient.values.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs() / largest;
            assert!(error < tolerance::GRADIENT, "{what} {}: {found} {expected}, off by {error:e}", gradient.name);
        }
    }
}

/// The layer each tensor is of.
pub(super) fn layers_of(parameters: &[Parameter]) -> Vec<String> {
    let layer = |p: &Parameter| p.name.rsplit_once('.').expect("LAYER.TENSOR").0.to_owned();
    parameters.iter().map(layer).collect()
}

fn mean_squared(y: &[f32]) -> impl Fn(&[f64]) -> f64 {
    move |fit| fit.iter().zip(y).map(|(f, y)| (f - f64::from(*y)).powi(2)).sum::<f64>() / y.len() as f64
}

fn check(make: Make, config: &NetworkConfig) {
    let (x, y) = samples(6);
    let (network, start) = Network::new(config, 2, 2, &mut Rng::new(3)).unwrap();
    let mut engine = make(&network, &start).unwrap();
    engine.load(&x, &y).unwrap();
    let found = engine.loss_and_gradients(Batch::Full, Loss::MeanSquaredError).unwrap();
    compare(&format!("{config:?}"), &found, &oracle(&network, &start, &x, &mean_squared(&y)));
}

/// Cross-entropy of logits near and far from 0, and targets between 0 and 1.
pub(super) fn cross_entropy(make: Make) {
    let (x, y) = samples(6);
    let y: Vec<f32> = y.iter().map(|y| 0.5 + 0.5 * y).collect();
    for gain in [1.0, 30.0] {
        let config = NetworkConfig { activation: Some(ActivationKind::Tanh), ..small(ArchitectureKind::Mlp) };
        let (network, mut start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
        let last = start.iter_mut().filter(|p| p.name.starts_with("layers.2") && p.name.ends_with('v'));
        last.flat_map(|p| &mut p.values).for_each(|w| *w *= gain);
        let loss = |fit: &[f64]| {
            let each = fit.iter().zip(&y).map(|(z, y)| {
                let (p, y) = (1.0 / (1.0 + (-z).exp()), f64::from(*y));
                -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
            });
            each.sum::<f64>() / y.len() as f64
        };
        let mut engine = make(&network, &start).unwrap();
        engine.load(&x, &y).unwrap();
        let found = engine.loss_and_gradients(Batch::Full, Loss::BinaryCrossEntropy).unwrap();
        compare(&format!("cross-entropy, gain {gain}"), &found, &oracle(&network, &start, &x, &loss));
    }
}

fn small(architecture: ArchitectureKind) -> NetworkConfig {
    NetworkConfig { omega0: 3.0, omega0_first: 3.0, ..NetworkConfig::new(architecture, 5, 2) }
}

/// Along a group of points: the squared error of the product of exp(-y) of the first output, times what the second sums
/// up to; the order of points and their group matter.
struct Transmission<'a> {
    group: usize,
    measured: &'a [f32],
}

impl Observation for Transmission<'_> {
    fn group(&self) -> usize {
        self.group
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let groups = y.chunks_exact(2 * self.group).zip(dy.chunks_exact_mut(2 * self.group));
        let each = groups.zip(&self.measured[first..]).map(|((y, dy), measured)| {
            let depth: f32 = y.iter().step_by(2).sum();
            let light: f32 = y.iter().skip(1).step_by(2).zip(1..).map(|(c, at)| c * at as f32).sum();
            let error = (-depth).exp() * light - measured;
            for (at, dy) in (1..).zip(dy.chunks_exact_mut(2)) {
                dy[0] = -2.0 * error * (-depth).exp() * light;
                dy[1] = 2.0 * error * (-depth).exp() * at as f32;
            }
            f64::from(error * error)
        });
        each.sum()
    }
}

fn transmission_f64(fit: &[f64], group: usize, measured: &[f32]) -> f64 {
    let each = fit.chunks_exact(2 * group).zip(measured).map(|(y, measured)| {
        let depth: f64 = y.iter().step_by(2).sum();
        let light: f64 = y.iter().skip(1).step_by(2).zip(1..).map(|(c, at)| c * f64::from(at)).sum();
        ((-depth).exp() * light - f64::from(*measured)).powi(2)
    });
    each.sum()
}

/// Observations of groups, weighted and gathered with others, against differences of the whole sum.
pub(super) fn observations(make: Make) {
    let (x, y) = samples(12);
    for (architecture, mapping) in
        [(ArchitectureKind::ModifiedMlp, MAPPINGS[2]), (ArchitectureKind::Siren, MAPPINGS[0])]
    {
        let config = NetworkConfig { mapping, ..small(architecture) };
        let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
        let mut engine = make(&network, &start).unwrap();
        engine.load(&x[..8], &y[..8]).unwrap();
        let rays = Transmission { group: 3, measured: &y[..4] };
        let (ray_loss, batch_loss, sample_loss) = (
            engine.observe(&x, &rays, 0.3).unwrap(),
            engine.observe_batch(Batch::Full, Loss::MeanSquaredError, 2.0).unwrap(),
            engine.observe(&x, &Samples::new(Loss::MeanSquaredError, &y, 2), 1.0).unwrap(),
        );
        let gathered = (0.3 * ray_loss + 2.0 * batch_loss + sample_loss, engine.take_gradients().unwrap());
        let (part, all) = (mean_squared(&y[..8]), mean_squared(&y));
        let loss = |fit: &[f64]| 0.3 * transmission_f64(fit, 3, &y[..4]) + 2.0 * part(&fit[..8]) + all(fit);
        compare(&format!("{config:?}"), &gathered, &oracle(&network, &start, &x, &loss));

        // Taken is taken, and groups must be whole.
        assert!(engine.take_gradients().unwrap().iter().all(|p| p.values.iter().all(|&v| v == 0.0)));
        let error = engine.observe(&x[2..], &rays, 1.0).unwrap_err().to_string();
        assert!(error.contains("found 11 points") && error.contains("multiple of 3"), "{error}");

        // A gradient with respect to dense layers is what the same observation gives to a plain network.
        let plain = NetworkConfig { parameterization: Parameterization::Plain, ..config.clone() };
        let (plain_network, mut dense) = Network::new(&plain, 2, 2, &mut Rng::new(3)).unwrap();
        let made = engine.dense().unwrap();
        let specs = plain_network.encoders.iter().chain(&plain_network.layers);
        let gains: Vec<f64> = specs.map(|s| s.gain).collect();
        let made: Vec<&HostDense> = made.encoders.iter().chain(&made.layers).collect();
        for ((pair, made), gain) in dense.chunks_mut(2).zip(&made).zip(&gains) {
            for (tensor, values) in pair.iter_mut().zip([&made.kernel, &made.bias]) {
                tensor.values = values.iter().map(|v| (v / gain) as f32).collect();
            }
        }
        let mut other = make(&plain_network, &dense).unwrap();
        other.observe(&x, &rays, 1.0).unwrap();
        let from = other.take_gradients().unwrap();
        let gradients: Vec<DenseGradient> = from
            .chunks(2)
            .zip(&gains)
            .map(|(pair, gain)| {
                let over = |p: &Parameter| p.values.iter().map(|v| v / *gain as f32).collect();
                DenseGradient { kernel: over(&pair[0]), bias: over(&pair[1]) }
            })
            .collect();
        engine.observe_dense(&gradients).unwrap();
        let found = (0.0, engine.take_gradients().unwrap());
        let loss = |fit: &[f64]| transmission_f64(fit, 3, &y[..4]);
        let expected = (0.0, oracle(&network, &start, &x, &loss).1);
        compare("dense gradients", &found, &expected);
        assert!(engine.observe_dense(&gradients[1..]).is_err());
    }
}

/// [`Transmission`] along groups of different sizes.
struct Uneven<'a> {
    offsets: &'a [u32],
    measured: &'a [f32],
}

impl Observation for Uneven<'_> {
    fn group(&self) -> usize {
        1
    }

    fn offsets(&self) -> Option<&[u32]> {
        Some(self.offsets)
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let begin = self.offsets[first];
        let mut loss = 0.0;
        for (at, pair) in (first..).zip(self.offsets[first..].windows(2)) {
            let (from, to) = (2 * (pair[0] - begin) as usize, 2 * (pair[1] - begin) as usize);
            if from == y.len() {
                break;
            }
            let one = Transmission { group: (to - from) / 2, measured: &self.measured[at..=at] };
            loss += one.pull(0, &y[from..to], &mut dy[from..to]);
        }
        loss
    }
}

/// Groups of 1 to 400 points, more than a tile, against the f64 oracle of the sum and against groups one at a time.
pub(super) fn uneven_groups(make: Make) {
    let offsets = [0, 5, 6, 8, 12];
    let (x, y) = samples(12);
    let config = small(ArchitectureKind::Siren);
    let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
    let mut engine = make(&network, &start).unwrap();
    let rays = Uneven { offsets: &offsets, measured: &y };
    let found = (engine.observe(&x, &rays, 0.5).unwrap() * 0.5, engine.take_gradients().unwrap());
    let loss = |fit: &[f64]| {
        let each = offsets.windows(2).zip(&y).map(|(pair, y)| {
            let (from, to) = (pair[0] as usize, pair[1] as usize);
            transmission_f64(&fit[2 * from..2 * to], to - from, &[*y])
        });
        0.5 * each.sum::<f64>()
    };
    compare("uneven groups", &found, &oracle(&network, &start, &x, &loss));

    let mut offsets = vec![0];
    for size in [3, 400, 1, 1, 130, 90, 60, 2, 128, 250, 7] {
        offsets.push(offsets[offsets.len() - 1] + size);
    }
    let (x, y) = samples(offsets[offsets.len() - 1] as usize);
    // Small values, so that the light of hundreds of them stays finite.
    let mut faint = start;
    let last = faint.iter_mut().filter(|p| p.name.starts_with("layers.2") && !p.name.ends_with(".s"));
    last.flat_map(|p| &mut p.values).for_each(|w| *w *= 1e-2);
    engine.set_parameters(&faint).unwrap();
    let all = engine.observe(&x, &Uneven { offsets: &offsets, measured: &y }, 1.0).unwrap();
    let whole = engine.take_gradients().unwrap();
    let mut sum = 0.0;
    for (pair, y) in offsets.windows(2).zip(&y) {
        let x = &x[2 * pair[0] as usize..2 * pair[1] as usize];
        sum += engine.observe(x, &Transmission { group: x.len() / 2, measured: &[*y] }, 1.0).unwrap();
    }
    assert!((all - sum).abs() < tolerance::FORWARD * sum, "{all} {sum}");
    for (whole, one) in whole.iter().zip(&engine.take_gradients().unwrap()) {
        let largest = one.values.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
        for (a, b) in whole.values.iter().zip(&one.values) {
            assert!(f64::from((a - b).abs() / largest) < tolerance::ENGINES, "{}: {a} {b}", one.name);
        }
    }
    let error = engine.observe(&x[2..], &Uneven { offsets: &offsets, measured: &y }, 1.0).unwrap_err().to_string();
    assert!(error.contains("rise from 0 to 1071"), "{error}");
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

/// Step `n` of Adam with all there is to it, for engines that are to agree.
pub(crate) fn step(n: u64) -> AdamStep {
    AdamStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        clip: Some(0.5),
        step: n,
    }
}
