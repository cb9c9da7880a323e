//! Bounds against what the runtime computes anywhere in the cells.

use proptest::prelude::*;
use rwf_runtime::{
    IntegerModel, Model,
    format::{MathBackend, Precision},
    integer::Bits,
};

use super::*;
use crate::{
    evaluate::{Evaluate, evaluate},
    export::{self, Description},
    network::{ActivationKind, ArchitectureKind, MappingConfig, Network as Trained, NetworkConfig},
    quantize,
    rng::Rng,
    signal::{Axis, Layout, Order, Quantity, Sampling, Signal, SignalKind},
};

fn grid(counts: [usize; 2], order: Order, rng: &mut Rng) -> Signal {
    let axis = |count, down: bool| {
        let step = 2.0 / (count - 1) as f64;
        if down { Axis { start: 1.0, step: -step, count } } else { Axis { start: -1.0, step, count } }
    };
    let quantity = || Quantity::new("q", "", -1.0, 1.0);
    Signal {
        kind: SignalKind::Array,
        name: String::new(),
        inputs: vec![quantity(), quantity()],
        outputs: vec![quantity()],
        layout: Layout::Grid {
            axes: vec![axis(counts[0], false), axis(counts[1], true)],
            sampling: Sampling::Node,
            order,
        },
        values: (0..counts[0] * counts[1]).map(|_| rng.symmetric(0.5) as f32).collect(),
    }
}

fn describe(inputs: usize) -> Description {
    Description {
        signal: "test".into(),
        inputs: vec!["x -1 1"; inputs].join(";"),
        outputs: "v -1 1".into(),
        grid: None,
        error: None,
        provenance: String::new(),
    }
}

fn file(config: &NetworkConfig, inputs: usize, rng: &mut Rng) -> Vec<u8> {
    let (network, start) = Trained::new(config, inputs, 1, rng).unwrap();
    export::model(&network.dense_f64(&start), &describe(inputs), Precision::F32, MathBackend::Polynomial).unwrap()
}

/// The multilinear signal at a point, the slow and obvious way.
fn between(signal: &Signal, x: [f64; 2]) -> f64 {
    let Layout::Grid { axes, order, .. } = &signal.layout else { unreachable!() };
    let place: Vec<f64> = (0..2).map(|j| (x[j] - axes[j].start) / axes[j].step).collect();
    let low: Vec<usize> = (0..2).map(|j| (place[j].floor() as usize).min(axes[j].count - 2)).collect();
    let mut sum = 0.0;
    for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let weight = |j: usize, up: usize| {
            let s = place[j] - low[j] as f64;
            if up == 1 { s } else { 1.0 - s }
        };
        let at = [low[0] + a, low[1] + b];
        let index = match order {
            Order::FirstFastest => at[0] + axes[0].count * at[1],
            Order::LastFastest => at[0] * axes[1].count + at[1],
        };
        sum += weight(0, a) * weight(1, b) * f64::from(signal.values[index]);
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Over random networks and signals, no error the runtime makes anywhere in the cells is above the bound.
    #[test]
    fn no_error_is_above_the_bound(seed in any::<u64>(), kind in 0usize..3, mapped: bool, first: bool) {
        let mut rng = Rng::new(seed);
        let architecture = [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp][kind];
        let mut config = NetworkConfig::new(architecture, 3 + rng.below(6), 1 + rng.below(2));
        config.omega0 = 1.0 + 20.0 * rng.uniform();
        config.omega0_first = config.omega0;
        if mapped {
            config.mapping = MappingConfig::Gaussian { frequencies: 2, scale: 1.0 };
        }
        let order = if first { Order::FirstFastest } else { Order::LastFastest };
        let signal = grid([2 + rng.below(3), 2 + rng.below(3)], order, &mut rng);
        let bytes = file(&config, 2, &mut rng);
        let model = Model::new(&bytes).unwrap();
        let error = |x: &[f32]| f64::from(evaluate(&model, x)[0]) - between(&signal, [x[0].into(), x[1].into()]);
        let at_samples = evaluate(&model, &signal.coordinates_f32());
        let measured = at_samples.iter().zip(&signal.values).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        let network = Network::new(export::dense(&bytes).unwrap(), MathBackend::Polynomial);
        let bound = Cells::new(&signal).unwrap().bound(&network, &[measured], Effort::new(1e6)).unwrap().outputs[0];
        prop_assert!(bound >= measured);
        for _ in 0..64 {
            let x = [rng.symmetric(1.0) as f32, rng.symmetric(1.0) as f32];
            prop_assert!(error(&x).abs() <= bound, "{} {bound}", error(&x));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The same of models in integers, of every width, activation and architecture, calibrated well or badly.
    #[test]
    fn no_error_of_integers_is_above_the_bound(
        seed in any::<u64>(), kind in 0usize..3, mapped: bool, raw: bool, line: bool, activation in 0usize..5,
    ) {
        let mut rng = Rng::new(seed);
        let inputs = if line { 1 } else { 2 };
        let architecture = [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp][kind];
        let mut config = NetworkConfig::new(architecture, 2 + rng.below(6), 1 + rng.below(2));
        config.omega0 = 1.0 + 10.0 * rng.uniform();
        config.omega0_first = config.omega0;
        if architecture != ArchitectureKind::Siren {
            use ActivationKind::{Gelu, Relu, Sigmoid, Swish, Tanh};
            config.activation = Some([Relu, Tanh, Gelu, Swish, Sigmoid][activation]);
        }
        if mapped {
            config.mapping = if raw {
                MappingConfig::PositionalOctaves { levels: 2, raw: true }
            } else {
                MappingConfig::Gaussian { frequencies: 2, scale: 1.0 }
            };
        }
        let made = of_integers(&config, inputs, &mut rng);
            // Ranges from very few points may ask for more than accumulators hold, and then there is no such model.
            prop_assume!(made.is_some());
            let (bytes, signal) = made.unwrap();
        let model = IntegerModel::new(&bytes).unwrap();
        let at_samples = model.values(&signal.coordinates_f32());
        let measured = at_samples.iter().zip(&signal.values).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        let network = Network::of_file(&bytes).unwrap();
        let cells = Cells::new(&signal).unwrap();
        let bound = cells.bound(&network, &[measured], Effort::new(1e6)).unwrap().outputs[0];
        let all = cells.all_points(&network, &model, Effort::new(1e12)).map_or(bound, |b| b.outputs[0]);
        prop_assert!(bound >= measured);
        prop_assert_eq!(cells.all_points(&network, &model, Effort::new(1e12)).is_some(), line);
        for _ in 0..64 {
            let x: Vec<f32> = (0..inputs).map(|_| rng.symmetric(1.0) as f32).collect();
            let truth = match *x.as_slice() {
                [x] => {
                    let place = 0.5 * (f64::from(x) + 1.0) * (signal.len() - 1) as f64;
                    let at = (place as usize).min(signal.len() - 2);
                    let value = |i: usize| f64::from(signal.values[i]);
                    value(at) + (place - at as f64) * (value(at + 1) - value(at))
                }
                _ => between(&signal, [x[0].into(), x[1].into()]),
            };
            let error = (f64::from(model.values(&x)[0]) - truth).abs();
            prop_assert!(error <= bound, "{} {}", error, bound);
            prop_assert!(error <= all + 1e-9, "of all points: {} {}", error, all);
        }
    }
}

/// A random model in integers and a random signal over -1 to 1.
fn of_integers(config: &NetworkConfig, inputs: usize, rng: &mut Rng) -> Option<(Vec<u8>, Signal)> {
    let (network, mut start) = Trained::new(config, inputs, 1, rng).unwrap();
    for p in &mut start {
        p.values.iter_mut().for_each(|v| *v += 0.2 * rng.normal() as f32);
    }
    let description = describe(inputs);
    let dense = network.dense_f64(&start);
    // Few points leave ranges that are too small, so that values are held at their ends.
    let points: Vec<f32> = (0..inputs * (2 + rng.below(60))).map(|_| rng.symmetric(1.0) as f32).collect();
    let width = |rng: &mut Rng| Bits::ALL[rng.below(4)];
    let bits: Vec<Bits> = (0..quantize::narrow_layers(&dense)).map(|_| width(rng)).collect();
    let bytes = quantize::model(&dense, &description, &bits, &points).ok()?;
    let mut signal = grid([2 + rng.below(3), 2 + rng.below(3)], Order::FirstFastest, rng);
    if inputs == 1 {
        signal.inputs.pop();
        let count = 2 + rng.below(5);
        let axis = Axis { start: -1.0, step: 2.0 / (count - 1) as f64, count };
        signal.layout = Layout::Grid { axes: vec![axis], sampling: Sampling::Node, order: Order::FirstFastest };
        signal.values = (0..count).map(|_| rng.symmetric(0.5) as f32).collect();
    }
    Some((bytes, signal))
}

#[test]
fn more_effort_brings_the_bound_to_the_error() {
    let mut rng = Rng::new(3);
    let signal = grid([4, 5], Order::FirstFastest, &mut rng);
    let bytes = file(&NetworkConfig::new(ArchitectureKind::Siren, 12, 2), 2, &mut rng);
    let model = Model::new(&bytes).unwrap();
    let mut largest = 0.0f64;
    for i in 0..=200u32 {
        for j in 0..=200u32 {
            let x = [i, j].map(|i| -1.0 + 0.01 * i as f32);
            let truth = between(&signal, [f64::from(x[0]), f64::from(x[1])]);
            largest = largest.max((f64::from(evaluate(&model, &x)[0]) - truth).abs());
        }
    }
    let network = Network::new(export::dense(&bytes).unwrap(), MathBackend::Polynomial);
    let cells = Cells::new(&signal).unwrap();
    let [little, much] = [1e6, 1e9].map(|e| cells.bound(&network, &[0.1], Effort::new(e)).unwrap().outputs[0]);
    assert!(much <= little && much >= largest, "{little} {much} {largest}");
    assert!(much < 1.05 * largest, "{much} {largest}");
    assert!(cells.bound(&network, &[0.1], Effort::new(10.0)).is_none());
}

#[test]
fn scattered_points_have_cells_along_one_input_only() {
    let quantity = || Quantity::new("q", "", 0.0, 1.0);
    let mut signal = Signal {
        kind: SignalKind::Table,
        name: String::new(),
        inputs: vec![quantity()],
        outputs: vec![quantity()],
        layout: Layout::Scattered { coordinates: vec![0.5, -1.0, 0.5, 1.0] },
        values: vec![0.1, 0.2, 0.3, 0.4],
    };
    let bytes = file(&NetworkConfig::new(ArchitectureKind::Mlp, 4, 1), 1, &mut Rng::new(1));
    let network = Network::new(export::dense(&bytes).unwrap(), MathBackend::Polynomial);
    let bound = Cells::new(&signal).unwrap().bound(&network, &[0.0], Effort::new(1e6)).unwrap();
    assert!(bound.outputs[0] > 0.0 && bound.outputs[0] < 3.0, "{bound:?}");
    signal.inputs.push(quantity());
    assert!(Cells::new(&signal).is_none());
}
