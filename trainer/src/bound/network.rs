//! A model's dense layers, ready to be enclosed over boxes.

use rwf_runtime::format::{Activation, Architecture, Mapping, MathBackend, key};

use super::{
    Form,
    activation::inaccuracy,
    form::{HOST, Record, Slope, UNDERFLOW, UNIT, pairs},
};
use crate::{
    container, export,
    network::{DenseNetwork, HostDense},
};

/// Outputs whose remainder is led back by slopes; of more it would cost more than it brings.
const LED: usize = 8;

/// A model as the runtime evaluates it.
///
/// Every value the runtime computes is that of the real network of the same weights, but for a small error at each neuron:
/// of rounding, of the activation's routine, of the form that stands for it here. What these come to at an output is at most
/// the sum of each times the largest slope of the output by that neuron's value, over the box and all errors (mean value
/// theorem). Slopes keep the signs of weights, which magnitudes led from layer to layer lose; the smaller of the two counts.
#[derive(Debug, Clone)]
pub struct Network {
    pub(super) architecture: Architecture,
    /// Integers of the coordinates, where the model computes in such.
    pub(super) entry: Option<Vec<Entry>>,
    pub(super) mapping: Option<Layer>,
    pub(super) encoders: Vec<Layer>,
    pub(super) layers: Vec<Layer>,
    /// Of each hidden layer's gate: factor of the product, in integers.
    pub(super) gates: Option<Vec<Gate>>,
    /// Factors by the coordinates that make outputs vanish on walls, `[outputs, 4·inputs]`.
    pub(super) mask: Option<Vec<f64>>,
    /// Scale and offset behind the last layer, in f32.
    pub(super) output: Option<(Vec<f64>, Vec<f64>)>,
}

/// How a coordinate becomes an integer, in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub scale: f64,
    pub offset: f64,
}

/// A gate in integers, of steps of what leaves it: v + `factor`·h·(u - v).
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    pub factor: f64,
    /// Rounding of the product.
    pub noise: f64,
    /// Beyond this it is held.
    pub limit: f64,
}

/// A dense layer and its activation.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub dense: HostDense,
    pub magnitude: Vec<f64>,
    pub activation: Activation,
    pub gain: f64,
    pub arithmetic: Arithmetic,
}

/// What rounds.
#[derive(Debug, Clone)]
pub(super) enum Arithmetic {
    /// Sums in f32 from the bias on, in the order of the inputs.
    Float(MathBackend),
    /// Integers.
    Steps(Steps),
}

/// Roundings of a layer in integers.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// Of each neuron's argument.
    pub before: Vec<f64>,
    /// Where each argument is held.
    pub limit: Vec<f64>,
    /// Of a value.
    pub after: f64,
    /// Where a value is held.
    pub most: f64,
}

impl Layer {
    fn float(dense: &HostDense, activation: Activation, math: MathBackend) -> Self {
        Self::new(dense.clone(), activation, 1.0, Arithmetic::Float(math))
    }

    pub(super) fn new(dense: HostDense, activation: Activation, gain: f64, arithmetic: Arithmetic) -> Self {
        Self { magnitude: dense.kernel.iter().map(|w| w.abs()).collect(), dense, activation, gain, arithmetic }
    }

    /// The argument, and how far the runtime's is off by this layer's rounding.
    fn argument(&self, x: &Form) -> (Form, Vec<f64>) {
        let (mut z, products, sums) = x.dense(&self.dense, &self.magnitude);
        let before: Vec<f64> = match &self.arithmetic {
            Arithmetic::Float(_) => {
                // A product and a sum round once each (Higham 2002, section 3.1, with sums as they are).
                let grown = UNIT / (1.0 - 2.0 * (self.dense.inputs + 1) as f64 * UNIT);
                products.iter().zip(&sums).map(|(p, s)| grown * (p + s) + UNDERFLOW).collect()
            }
            Arithmetic::Steps(steps) => {
                let held = |k: usize| (z.value[k].abs() + z.radius(k) + steps.before[k] - steps.limit[k]).max(0.0);
                let host = |k: usize| HOST * (products[k] + self.dense.bias[k].abs()) + UNDERFLOW;
                (0..z.len()).map(|k| steps.before[k] + held(k) + host(k)).collect()
            }
        };
        z.rest.iter_mut().zip(&before).for_each(|(r, b)| *r += b);
        (z, before)
    }

    /// The layer's values of an argument.
    fn value(&self, z: Form, before: &[f64]) -> (Form, Record) {
        match &self.arithmetic {
            Arithmetic::Float(math) => {
                z.activation(self.activation, self.gain, before, &|size| inaccuracy(self.activation, *math, size))
            }
            Arithmetic::Steps(steps) => z.activation(self.activation, self.gain, before, &|size| {
                steps.after + (size + steps.after - steps.most).max(0.0)
            }),
        }
    }

    fn pass(&self, x: &Form) -> (Form, Record) {
        let (z, before) = self.argument(x);
        self.value(z, &before)
    }

    /// From slopes by this layer's values to slopes by what comes in; what is noted of this layer goes into `total`.
    fn back(&self, by: &[Slope], record: &Record, total: &mut f64) -> Vec<Slope> {
        let mut middle = Vec::with_capacity(by.len());
        let mut off = Vec::with_capacity(by.len());
        for ((by, noise), own) in by.iter().zip(&record.noise).zip(&record.slope) {
            *total += by.most() * noise;
            let slope = by.times(*own);
            middle.push(slope.middle);
            off.push(slope.off);
        }
        let n = self.dense.outputs;
        let row = |all: &[f64], i: usize, by: &[f64]| dot(&all[i * n..][..n], by);
        (0..self.dense.inputs)
            .map(|i| Slope { middle: row(&self.dense.kernel, i, &middle), off: row(&self.magnitude, i, &off) })
            .collect()
    }
}

/// By eight lanes, so that it is one of vectors.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for l in 0..8 {
            lanes[l] += a[l] * b[l];
        }
    }
    lanes.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// What was noted on the way through a network.
#[derive(Default)]
struct Tape {
    waves: Option<Record>,
    encoders: Vec<Record>,
    layers: Vec<Record>,
    gates: Vec<Gated>,
    /// Of u - v.
    difference: Vec<f64>,
}

/// What was noted at a gate.
struct Gated {
    /// Slopes by h and by u - v.
    slopes: Vec<[Slope; 2]>,
    noise: Vec<f64>,
}

impl Network {
    /// Of the dense layers of a file ([`export::dense`](crate::export::dense)), evaluated with `math`.
    pub fn new(dense: DenseNetwork, math: MathBackend) -> Self {
        let gate = dense.architecture.gate.unwrap_or(Activation::Identity);
        let described = dense.architecture.layers.iter().map(|l| l.activation);
        Self {
            entry: None,
            mapping: dense.mapping.as_ref().map(|m| Layer::float(m, Activation::Sine, math)),
            encoders: dense.encoders.iter().map(|e| Layer::float(e, gate, math)).collect(),
            layers: dense.layers.iter().zip(described).map(|(l, a)| Layer::float(l, a, math)).collect(),
            gates: None,
            mask: dense.mask,
            output: dense.output,
            architecture: dense.architecture,
        }
    }

    /// Of a model file, in floats or in integers.
    ///
    /// # Errors
    /// A sentence when it is neither.
    pub fn of_file(file: &[u8]) -> Result<Self, String> {
        let Ok(dense) = export::dense(file) else { return Self::of_integers(file) };
        let words = container::words(file)?;
        let math = words.get(key::MATH).and_then(|word| MathBackend::from_name(word));
        Ok(Self::new(dense, math.unwrap_or(MathBackend::Polynomial)))
    }

    /// Number of coordinates.
    pub fn inputs(&self) -> usize {
        self.architecture.inputs
    }

    /// Number of values.
    pub fn outputs(&self) -> usize {
        self.architecture.outputs()
    }

    /// Multiply-adds in f64 of one enclosure, about.
    pub fn work(&self) -> u64 {
        let led = if self.outputs() <= LED { 2 * self.outputs() } else { 0 };
        (self.architecture.multiply_adds() * (6 + self.inputs() + pairs(self.inputs()).count() + led)) as u64
    }

    /// Encloses the outputs over the box of half widths `half` around `centre`, in physical units.
    pub fn enclose(&self, centre: &[f64], half: &[f64]) -> Form {
        let Some(entry) = &self.entry else {
            let form = self.through(Form::coordinates(centre.to_vec(), half));
            let form = match &self.mask {
                Some(mask) => form.masked(mask, centre, half),
                None => form,
            };
            return self.scaled(form);
        };
        let (mut value, mut reach, mut slack) = (Vec::new(), Vec::new(), Vec::new());
        for ((e, c), h) in entry.iter().zip(centre).zip(half) {
            let at = e.scale * c + e.offset;
            let wide = (e.scale * h).abs();
            // x·scale, + offset and ± 0.5 round in f32; beyond the ends of the domain the integer is held.
            let size = (e.scale * c).abs() + wide;
            let rounding = 1.001 * UNIT * (size + 2.0 * (at.abs() + wide) + 1.0) + UNDERFLOW;
            let held = (at.abs() + wide - 32767.0).max(0.0);
            let off = 0.5 + rounding + held;
            value.push(at);
            reach.push(e.scale.signum() * (wide + off));
            slack.push(off / (wide + off));
        }
        let mut form = self.scaled(self.through(Form::coordinates(value, &reach)));
        let inputs = slack.len();
        // The form is one of the integers' box, which is wider than that of the coordinates; a coordinate's integer may be
        // anywhere within `slack` of its place, the same for all neurons.
        for k in 0..form.len() {
            for (j, slack) in slack.iter().enumerate() {
                let mut most = form.slope[j][k].abs();
                for (c, (a, b)) in pairs(inputs).enumerate() {
                    let times = f64::from(u8::from(a == j)) + f64::from(u8::from(b == j));
                    most += times * form.curve[c][k].abs();
                }
                form.rest[k] += slack * most;
            }
        }
        let share = |j: usize| 1.0 - slack[j];
        for (j, slope) in form.slope.iter_mut().enumerate() {
            slope.iter_mut().for_each(|s| *s *= share(j));
        }
        for (curve, (i, j)) in form.curve.iter_mut().zip(pairs(slack.len())) {
            curve.iter_mut().for_each(|c| *c *= share(i) * share(j));
        }
        form
    }

    /// Coordinates that may become the integer `x`, of a model in integers of one input; at its ends all beyond.
    pub(super) fn preimage(&self, x: i32) -> (f64, f64) {
        let Some(&Entry { scale, offset }) = self.entry.as_ref().and_then(|e| e.first()) else {
            return (f64::NEG_INFINITY, f64::INFINITY);
        };
        let x = f64::from(x);
        // As in `enclose`, and the coordinate's own rounding to f32.
        let off = 0.5 + 1.01 * UNIT * (2.0 * (x - offset).abs() + 2.0 * x.abs() + 4.0) + UNDERFLOW;
        let place = |x: f64| (x - offset) / scale;
        let (mut from, mut to) = (place(x - off), place(x + off));
        if x.abs() >= 32767.0 {
            let beyond = x.signum() * scale.signum() * f64::INFINITY;
            (from, to) = if beyond > 0.0 { (from.min(to), beyond) } else { (beyond, from.max(to)) };
        }
        (from.min(to), from.max(to))
    }

    /// In physical units.
    fn scaled(&self, form: Form) -> Form {
        match &self.output {
            Some((scale, offset)) => form.affine(scale, offset),
            None => form,
        }
    }

    pub(super) fn through(&self, coordinates: Form) -> Form {
        let mut tape = Tape::default();
        let inputs = coordinates.slope.len();
        let raw = matches!(self.architecture.mapping, Mapping::Fourier { raw: true, .. } | Mapping::None);
        let mut features = if raw { coordinates.clone() } else { Form::empty(inputs) };
        if let Some(mapping) = &self.mapping {
            let (turns, before) = mapping.argument(&coordinates);
            let mut shifted = turns.clone();
            shifted.value.iter_mut().for_each(|t| *t += 0.25);
            let (sin, mut record) = mapping.value(turns, &before);
            let (cos, other) = mapping.value(shifted, &before);
            record.noise.extend(other.noise);
            features = features.join(sin).join(cos);
            tape.waves = Some(record);
        }
        let gate = if let [first, second] = self.encoders.as_slice() {
            let ((u, of_u), (v, of_v)) = (first.pass(&features), second.pass(&features));
            tape.encoders = vec![of_u, of_v];
            let noise = |k: usize| match &self.gates {
                Some(_) => 0.5,
                None => UNIT * (u.value[k].abs() + u.radius(k) + v.value[k].abs() + v.radius(k)) + UNDERFLOW,
            };
            let noise: Vec<f64> = (0..u.len()).map(noise).collect();
            let mut difference = u.minus(&v, &noise);
            if self.gates.is_some() {
                // Halved downwards: odd ones lose a step.
                difference.value.iter_mut().for_each(|d| *d -= 0.5);
            }
            tape.difference = noise;
            Some((v, difference))
        } else {
            None
        };
        let mut h = features;
        for (n, layer) in self.layers.iter().enumerate() {
            let record;
            (h, record) = layer.pass(&h);
            tape.layers.push(record);
            if let Some((v, difference)) = gate.as_ref().filter(|_| n + 1 < self.layers.len()) {
                let gated;
                (h, gated) = self.gate(n, v, &h, difference);
                tape.gates.push(gated);
            }
        }
        if self.outputs() <= LED {
            for o in 0..self.outputs() {
                // Sums of slopes are rounded too, in f64.
                let led = self.led(&tape, o) + HOST * h.rest[o];
                h.rest[o] = h.rest[o].min(led);
            }
        }
        h
    }

    /// v + h·(u - v)
    fn gate(&self, n: usize, v: &Form, h: &Form, difference: &Form) -> (Form, Gated) {
        let gate = self.gates.as_ref().map(|g| g[n]);
        let factor = gate.map_or(1.0, |g| g.factor);
        let (mut out, mut noise) = v.plus_product(factor, h, difference);
        for (k, noise) in noise.iter_mut().enumerate() {
            let most = |f: &Form| f.value[k].abs() + f.radius(k);
            let rounding = match gate {
                Some(gate) => gate.noise + (most(&out) + gate.noise - gate.limit).max(0.0),
                None => 2.0 * UNIT * (2.0 * most(h) * most(difference) + most(v)) + UNDERFLOW,
            };
            out.rest[k] += rounding;
            *noise += rounding;
        }
        let slope = |f: &Form, k: usize| Slope { middle: factor * f.value[k], off: factor * f.radius(k) };
        let slopes = (0..h.len()).map(|k| [slope(difference, k), slope(h, k)]).collect();
        (out, Gated { slopes, noise })
    }

    /// What all errors on the tape may come to at output `o`, before its scale.
    fn led(&self, tape: &Tape, o: usize) -> f64 {
        let one = |k: usize| Slope { middle: f64::from(u8::from(k == o)), off: 0.0 };
        let mut by: Vec<Slope> = (0..self.outputs()).map(one).collect();
        let mut total = 0.0;
        let nothing = Slope { middle: 0.0, off: 0.0 };
        let add = |a: &mut Slope, b: Slope| *a = Slope { middle: a.middle + b.middle, off: a.off + b.off };
        let mut by_difference = vec![nothing; tape.difference.len()];
        let mut by_v = by_difference.clone();
        for (n, layer) in self.layers.iter().enumerate().rev() {
            if let Some(gate) = tape.gates.get(n) {
                for (k, by) in by.iter_mut().enumerate() {
                    let [by_h, by_d] = gate.slopes[k];
                    total += by.most() * gate.noise[k];
                    add(&mut by_v[k], *by);
                    add(&mut by_difference[k], by.times(by_d));
                    *by = by.times(by_h);
                }
            }
            by = layer.back(&by, &tape.layers[n], &mut total);
        }
        if let ([first, second], [of_u, of_v]) = (self.encoders.as_slice(), tape.encoders.as_slice()) {
            for (k, d) in by_difference.iter().enumerate() {
                total += d.most() * tape.difference[k];
                add(&mut by_v[k], Slope { middle: -d.middle, off: d.off });
            }
            let (u, v) = (first.back(&by_difference, of_u, &mut total), second.back(&by_v, of_v, &mut total));
            by.iter_mut().zip(u.into_iter().zip(v)).for_each(|(by, (u, v))| {
                add(by, u);
                add(by, v);
            });
        }
        if let Some(waves) = &tape.waves {
            let first = by.len() - waves.noise.len();
            total += by[first..].iter().zip(&waves.noise).map(|(by, noise)| by.most() * noise).sum::<f64>();
        }
        total * (1.0 + 1e-9) + UNDERFLOW
    }
}

#[cfg(test)]
mod tests {
    use rwf_runtime::{Model, format::Precision};

    use super::*;
    use crate::{
        evaluate::evaluate,
        export::{self, Description},
        network::{ActivationKind, ArchitectureKind, MappingConfig, Network as Trained, NetworkConfig},
        rng::Rng,
    };

    /// The form's middle at a point of its box.
    fn at(form: &Form, x: &[f32], centre: &[f64], half: &[f64]) -> f64 {
        let t: Vec<f64> = (0..x.len()).map(|j| (f64::from(x[j]) - centre[j]) / half[j]).collect();
        let affine: f64 = form.slope.iter().zip(&t).map(|(s, t)| s[0] * t).sum();
        let curved: f64 = pairs(t.len()).zip(&form.curve).map(|((i, j), c)| c[0] * t[i] * t[j]).sum();
        form.value[0] + affine + curved
    }

    /// Over random networks of every kind and random boxes, what the runtime computes lies in the form.
    #[test]
    fn what_the_runtime_computes_lies_in_the_form() {
        let mut rng = Rng::new(1);
        let description = Description {
            signal: "test".into(),
            inputs: "x -1 1;y -1 1".into(),
            outputs: "v 0 1".into(),
            grid: None,
            error: None,
            provenance: String::new(),
        };
        let mut tight = 0;
        for round in 0..400 {
            let architecture =
                [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp][round % 3];
            let mut config = NetworkConfig::new(architecture, 4 + rng.below(8), 1 + rng.below(3));
            if architecture != ArchitectureKind::Siren {
                let all = [
                    ActivationKind::Relu,
                    ActivationKind::Tanh,
                    ActivationKind::Gelu,
                    ActivationKind::Swish,
                    ActivationKind::Sigmoid,
                ];
                config.activation = Some(all[rng.below(all.len())]);
            }
            config.mapping = match rng.below(3) {
                0 => MappingConfig::None,
                1 => MappingConfig::Gaussian { frequencies: 3, scale: 1.0 },
                _ => MappingConfig::PositionalOctaves { levels: 2, raw: true },
            };
            if rng.below(2) == 0 {
                config.output_activation = ActivationKind::Sigmoid;
            }
            config.omega0 = 5.0 + 20.0 * rng.uniform();
            config.omega0_first = config.omega0;
            let (network, mut start) = Trained::new(&config, 2, 1, &mut rng.stream(&round.to_string())).unwrap();
            for p in &mut start {
                p.values.iter_mut().for_each(|v| *v += 0.3 * rng.normal() as f32);
            }
            let precision = [Precision::F32, Precision::F16][rng.below(2)];
            let math = [MathBackend::Polynomial, MathBackend::Libm][rng.below(2)];
            let mut dense = network.dense_f64(&start);
            if rng.below(3) == 0 {
                dense.mask = Some((0..8).map(|_| rng.normal()).collect());
                dense.architecture.output_mask = true;
            }
            let file = export::model(&dense, &description, precision, math).unwrap();
            let enclosed = Network::new(export::dense(&file).unwrap(), math);
            let centre = [rng.symmetric(1.0), rng.symmetric(1.0)];
            let half = [0, 1].map(|_| 10f64.powf(-4.0 * rng.uniform()) * 0.3);
            let form = enclosed.enclose(&centre, &half);
            let points: Vec<f32> =
                (0..128).map(|i| (centre[i % 2] + rng.symmetric(0.9999 * half[i % 2])) as f32).collect();
            let values = evaluate(&Model::new(&file).unwrap(), &points);
            let mut off = 0.0f64;
            for (x, v) in points.chunks_exact(2).zip(&values) {
                off = off.max((f64::from(*v) - at(&form, x, &centre, &half)).abs());
            }
            assert!(off <= form.rest[0], "{config:?} {half:?}: {off} {}", form.rest[0]);
            tight += usize::from(off > 0.01 * form.rest[0]);
        }
        // A form that is wide without need would be no help to anyone.
        assert!(tight > 200, "{tight} of 400 remainders within 100 times what was seen");
    }
}
