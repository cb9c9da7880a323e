//! Small networks of constructed weights whose errors come close to what the bound allows, one cause at a time: a constant
//! that is too small lets an error out, one that is too large keeps them all far inside.

use rwf_runtime::{
    IntegerModel, Model,
    format::{Activation, Architecture, Layer, Mapping, MathBackend, Precision},
    integer::Bits,
};

use super::{network::Network, *};
use crate::{
    evaluate::Evaluate,
    export::{self, Description},
    network::{DenseNetwork, HostDense},
    quantize,
    rng::Rng,
    signal::{Axis, Layout, Order, Quantity, Sampling, Signal, SignalKind},
};

/// `[in, out]` weights and biases.
fn dense(kernel: &[f64], bias: &[f64]) -> HostDense {
    HostDense { inputs: kernel.len() / bias.len(), outputs: bias.len(), kernel: kernel.to_vec(), bias: bias.to_vec() }
}

fn network(layers: Vec<(HostDense, Activation)>) -> DenseNetwork {
    let described =
        layers.iter().map(|(l, activation)| Layer { inputs: l.inputs, outputs: l.outputs, activation: *activation });
    let architecture = Architecture {
        inputs: layers[0].0.inputs,
        mapping: Mapping::None,
        gate: None,
        layers: described.collect(),
        output_mask: false,
        output_affine: false,
    };
    let layers = layers.into_iter().map(|(l, _)| l).collect();
    DenseNetwork { architecture, mapping: None, encoders: vec![], layers, mask: None, output: None }
}

fn describe(inputs: &str) -> Description {
    Description {
        signal: String::new(),
        inputs: inputs.into(),
        outputs: "v -1 1".into(),
        grid: None,
        error: None,
        provenance: String::new(),
    }
}

/// In integers, calibrated at `points`, with 8 bits of weights.
fn integers(dense: &DenseNetwork, inputs: &str, points: &[f32]) -> Vec<u8> {
    quantize::model(dense, &describe(inputs), &vec![Bits::Eight; quantize::narrow_layers(dense)], points).unwrap()
}

/// How much of what the enclosure of a point allows is made use of at most, over integers of one input.
fn used(file: &[u8], points: impl Iterator<Item = i16>) -> f64 {
    let (network, model) = (Network::of_file(file).unwrap(), IntegerModel::new(file).unwrap());
    let (mut y, mut scratch) = ([0], vec![0; model.scratch_len()]);
    let mut most = 0.0f64;
    for x in points {
        model.eval_integers(&[x], &mut y, &mut scratch).unwrap();
        let form = network.through(Form::coordinates(vec![x.into()], &[0.0]));
        let off = (f64::from(y[0]) - form.value[0]).abs();
        assert!(off <= form.rest[0], "at {x}: {off} above {}", form.rest[0]);
        most = most.max(off / form.rest[0]);
    }
    most
}

/// Between two integers a coordinate becomes either: half a step of it, which the network makes larger.
#[test]
fn coordinates_are_rounded_by_half_a_step() {
    for inputs in 1..=2usize {
        let domain = vec!["x -1 1"; inputs].join(";");
        // A step of a coordinate is a hundred of the output.
        let steep = network(vec![(dense(&vec![100.0; inputs], &[0.0]), Activation::Sine)]);
        let file = integers(&steep, &domain, &vec![0.001; inputs]);
        let (network, model) = (Network::of_file(&file).unwrap(), IntegerModel::new(&file).unwrap());
        let mut most = 0.0f64;
        for k in -60..60 {
            for half in [2e-8, 1e-5] {
                let centre = vec![(f64::from(k) + 0.5) / 32767.0; inputs];
                let form = network.enclose(&centre, &vec![half; inputs]);
                for t in [-0.9, 0.9] {
                    let x: Vec<f32> = centre.iter().map(|c| (c + t * half) as f32).collect();
                    let place = |j: usize| (f64::from(x[j]) - centre[j]) / half;
                    let affine: f64 = (0..inputs).map(|j| form.slope[j][0] * place(j)).sum();
                    let off = (f64::from(model.values(&x)[0]) - form.value[0] - affine).abs();
                    assert!(off <= form.rest[0], "{inputs} {half}: {off} above {}", form.rest[0]);
                    most = most.max(off / form.rest[0]);
                }
            }
        }
        assert!(most > 0.9, "{inputs} inputs: {most}");
    }
}

/// The reals that a coordinate's integer may stand for, against all floats that become it.
#[test]
fn no_coordinate_is_outside_the_preimage_of_its_integer() {
    // As integers in the order of the floats.
    let order = |x: f32| if x < 0.0 { -((x.to_bits() & 0x7fff_ffff) as i64) } else { i64::from(x.to_bits()) };
    let float = |n: i64| if n < 0 { -f32::from_bits((-n) as u32) } else { f32::from_bits(n as u32) };
    for (lo, hi, wide) in [(-1.0, 1.0, 1.02), (0.0, 3.0, 1.05), (5.0, 9.0, 1.1), (1000.0, 1001.0, 30.0)] {
        let line = network(vec![(dense(&[1.0], &[0.0]), Activation::Identity)]);
        let file = integers(&line, &format!("x {lo} {hi}"), &[lo, hi]);
        let (network, model) = (Network::of_file(&file).unwrap(), IntegerModel::new(&file).unwrap());
        // The first float of a larger integer than `x`, or of `x` itself.
        let first = |x: i32, above: bool| {
            let (mut from, mut to) = (order(lo - 2.0), order(hi + 2.0));
            while to - from > 1 {
                let middle = from + (to - from) / 2;
                let found = i32::from(model.to_integer(0, float(middle)));
                if found > x || (!above && found == x) { to = middle } else { from = middle }
            }
            to
        };
        let mut seen = 0;
        for x in (-32760..=32760).step_by(131).chain([-32766, 0, 32766]) {
            let (begin, end) = (first(x, false), first(x, true));
            if begin == end {
                // No float becomes this integer.
                continue;
            }
            seen += 1;
            // Reals go to the nearest float.
            let between = |a: i64| 0.5 * (f64::from(float(a - 1)) + f64::from(float(a)));
            let (least, most) = (between(begin), between(end));
            let (from, to) = network.preimage(x);
            assert!(from <= least && most <= to, "{x} in {lo}..{hi}: {from}..{to}, found {least}..{most}");
            assert!(to - from <= wide * (most - least), "{x} in {lo}..{hi}: {from}..{to}, found {least}..{most}");
        }
        assert!(seen > 100, "{seen}");
        let (least, most) = (network.preimage(-32767), network.preimage(32767));
        assert!(least.0 == f64::NEG_INFINITY && most.1 == f64::INFINITY);
        assert!(
            least.1 >= f64::from(float(first(-32767, true) - 1)) && most.0 <= f64::from(float(first(32767, false)))
        );
    }
}

/// What leaves 16 bits is held, and everything beyond is error.
#[test]
fn what_is_held_is_counted_whole() {
    use Activation::{Gelu, Identity, Relu, Swish};
    let all = || (-32767..=32767).step_by(7);
    // Calibrated near 0: outputs, hidden values and curves are held where coordinates are large.
    let near = [-0.1, 0.1];
    let one = |activation, factor| network(vec![(dense(&[factor], &[0.0]), activation)]);
    for activation in [Gelu, Swish] {
        let most = used(&integers(&one(activation, 4.0), "x -1 1", &near), all());
        assert!(most > 0.95, "{activation:?}: {most}");
    }
    // A second neuron that is always 1 keeps the first layer's steps coarse.
    let first = (dense(&[1.0, 0.0], &[0.0, 1.0]), Identity);
    let second = |activation| (dense(&[1.0, 0.0], &[0.0]), activation);
    let last = (dense(&[0.01], &[0.0]), Identity);
    for (name, layers) in [
        ("output", vec![first.clone(), second(Identity)]),
        ("hidden", vec![first.clone(), second(Identity), last.clone()]),
        ("hidden relu", vec![first, second(Relu), last]),
    ] {
        let most = used(&integers(&network(layers), "x -1 1", &near), all());
        assert!(most > 0.95, "{name}: {most}");
    }
    // A coordinate beyond the domain is held at its end.
    let file = integers(&one(Identity, 1.0), "x -1 1", &[-3.0, 3.0]);
    let (network, model) = (Network::of_file(&file).unwrap(), IntegerModel::new(&file).unwrap());
    for x in [-2.0, 1.5] {
        let form = network.enclose(&[x], &[1e-6]);
        let off = (f64::from(model.values(&[x as f32])[0]) - form.value[0]).abs();
        assert!(off <= form.rest[0] && off > 0.98 * form.rest[0], "{x}: {off} {}", form.rest[0]);
    }
}

/// Outputs much finer than what they are made of: the product is cut off downwards before it is shifted to the left.
#[test]
fn floors_lose_a_step_downwards() {
    // A hidden neuron that is always off takes the 8 bits, so that the other one's weight is a single step; a third,
    // always on, keeps the hidden steps coarse.
    let hidden = dense(&[0.0, 1.0, 0.0], &[-1.0, 0.0, 1.0]);
    for bias in [0.0, -0.0004, -0.0009] {
        let file = integers(
            &network(vec![
                (hidden.clone(), Activation::Relu),
                (dense(&[127.0, 1.0, 0.0], &[bias]), Activation::Identity),
            ]),
            "x -1 1",
            &[0.0, 0.002],
        );
        let most = used(&file, 0..=60);
        assert!(most > 0.8, "{bias}: {most}");
    }
}

/// The halved difference of both encoders is cut off downwards as well.
#[test]
fn a_gate_halves_downwards() {
    let mut most = 0.0f64;
    for h in [0.7, 0.61, 0.93] {
        let mut gated =
            network(vec![(dense(&[0.0], &[h]), Activation::Identity), (dense(&[1.0], &[0.0]), Activation::Identity)]);
        // Both stand for 2 at most, in steps of 2^-13; the second is almost half a step above one.
        gated.architecture.gate = Some(Activation::Relu);
        gated.encoders = vec![dense(&[1.0], &[1.0]), dense(&[0.0], &[0.25 + 0.49 / 8192.0])];
        let file = integers(&gated, "x -1 1", &[-1.0, 0.9]);
        most = most.max(used(&file, -32767..=0));
    }
    assert!(most > 0.85, "{most}");
}

/// Over a whole cell around a crest the error is largest in the middle, where squares end and not at corners.
#[test]
fn squares_count_between_the_corners() {
    let quantity = || Quantity::new("q", "", -1.0, 1.0);
    for (inputs, sign) in [(1usize, 1.0), (1, -1.0), (2, 1.0), (2, -1.0)] {
        // A crest (or trough) along each coordinate, which the signal has nothing of.
        let mut kernel = vec![0.0; inputs * inputs];
        (0..inputs).for_each(|j| kernel[j * inputs + j] = 0.05 + 0.02 * j as f64);
        let waves = dense(&kernel, &vec![0.25 * sign; inputs]);
        let sum = dense(&vec![1.0; inputs], &[0.0]);
        let network = network(vec![(waves, Activation::Sine), (sum, Activation::Identity)]);
        let domain = vec!["x -1 1"; inputs].join(";");
        let file = export::model(&network, &describe(&domain), Precision::F32, MathBackend::Polynomial).unwrap();
        let axes = vec![Axis { start: -1.0, step: 2.0, count: 2 }; inputs];
        let signal = Signal {
            kind: SignalKind::Array,
            name: String::new(),
            inputs: (0..inputs).map(|_| quantity()).collect(),
            outputs: vec![quantity()],
            layout: Layout::Grid { axes, sampling: Sampling::Node, order: Order::FirstFastest },
            values: vec![0.0; 1 << inputs],
        };
        let model = Model::new(&file).unwrap();
        let at_samples = f64::from(model.values(&vec![1.0; inputs])[0].abs());
        let middle = f64::from(model.values(&vec![0.0; inputs])[0].abs());
        assert!(middle > 1.04 * at_samples, "{middle} {at_samples}");
        let enclosed = Network::of_file(&file).unwrap();
        // Once through the cell, and no part of it.
        let effort = Effort::new(1.5 * enclosed.work() as f64);
        let bound = Cells::new(&signal).unwrap().bound(&enclosed, &[at_samples], effort).unwrap().outputs[0];
        assert!(bound >= middle && bound < 1.02 * middle, "{inputs} {sign}: {bound} {middle}");
    }
}

/// Slopes and squares are kept along the way: what a form leaves open is of third order.
#[test]
fn remainders_fall_with_the_cube_of_the_box() {
    let mut rng = Rng::new(7);
    for _ in 0..20 {
        let mut layer = |inputs: usize, outputs: usize, most: f64| {
            let mut numbers = |n: usize| (0..n).map(|_| rng.symmetric(most)).collect::<Vec<f64>>();
            dense(&numbers(inputs * outputs), &numbers(outputs))
        };
        let layers = vec![
            (layer(2, 6, 0.5), Activation::Sine),
            (layer(6, 6, 0.15), Activation::Sine),
            (layer(6, 1, 1.0), Activation::Identity),
        ];
        let file = export::model(&network(layers), &describe("x -1 1;y -1 1"), Precision::F32, MathBackend::Polynomial);
        let network = Network::of_file(&file.unwrap()).unwrap();
        let centre = [rng.symmetric(0.9), rng.symmetric(0.9)];
        let [wide, narrow] = [0.04, 0.02].map(|half| network.enclose(&centre, &[half; 2]).rest[0]);
        assert!(wide > 6.0 * narrow && wide < 0.3, "{wide} {narrow}");
    }
}
