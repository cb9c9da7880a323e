//! Quadratic forms with a remainder, one for each neuron of a layer.

use rwf_runtime::format::Activation;

use super::activation::{curvature, derivatives, range, steepest, third};
use crate::{fold::activate, network::HostDense};

/// Half the spacing of f32 at 1, a little up, so that the f64 arithmetic here is covered as well.
pub(super) const UNIT: f64 = 1.0001 / (1u32 << 24) as f64;
/// Above what products and sums lose below the least normal f32.
pub(super) const UNDERFLOW: f64 = 1e-36;
/// Above what f64 loses here over a layer of the greatest width, relative to all that is added up.
pub(super) const HOST: f64 = 2e-12;

/// Values of a layer over the box x_j = c_j + h_j·t_j, |t_j| <= 1: neuron k lies within `rest[k]` of
/// `value[k]` + Σ_j `slope[j][k]`·t_j + Σ_{i<=j} `curve[ij][k]`·t_i·t_j.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// At the centre, `[n]`.
    pub value: Vec<f64>,
    /// By each coordinate, `[inputs][n]`.
    pub slope: Vec<Vec<f64>>,
    /// By each pair of coordinates, `[inputs·(inputs + 1)/2][n]`, as [`pairs`] orders them.
    pub curve: Vec<Vec<f64>>,
    /// Remainder, `[n]`, at least 0.
    pub rest: Vec<f64>,
}

/// An enclosure of a derivative: within `off` of `middle`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slope {
    pub middle: f64,
    pub off: f64,
}

impl Slope {
    /// Those of a product of two that are so enclosed.
    pub(super) fn times(self, other: Self) -> Self {
        let off = self.middle.abs() * other.off + self.off * (other.middle.abs() + other.off);
        Self { middle: self.middle * other.middle, off }
    }

    /// The largest magnitude.
    pub(super) fn most(self) -> f64 {
        self.middle.abs() + self.off
    }
}

/// What a layer of neurons adds to the remainder, to be led to the outputs by slopes instead of magnitudes.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// Slope of each neuron's value by its argument.
    pub slope: Vec<Slope>,
    /// How far the form of a neuron and what the runtime makes of the same argument may differ.
    pub noise: Vec<f64>,
}

/// Pairs i <= j of coordinates, in the order of [`Form::curve`].
pub fn pairs(inputs: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..inputs).flat_map(move |i| (i..inputs).map(move |j| (i, j)))
}

impl Form {
    /// No neurons over `inputs` coordinates.
    pub fn empty(inputs: usize) -> Self {
        Self {
            value: Vec::new(),
            slope: vec![Vec::new(); inputs],
            curve: vec![Vec::new(); inputs * (inputs + 1) / 2],
            rest: Vec::new(),
        }
    }

    /// Coordinates that are straight: `value` at the centre, `reach` away from it at t = 1.
    pub fn coordinates(value: Vec<f64>, reach: &[f64]) -> Self {
        let n = value.len();
        let unit = |j: usize| (0..n).map(|k| if k == j { reach[j] } else { 0.0 }).collect();
        Self {
            slope: (0..n).map(unit).collect(),
            curve: vec![vec![0.0; n]; n * (n + 1) / 2],
            rest: vec![0.0; n],
            value,
        }
    }

    /// Number of neurons.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// How far the affine and the quadratic part of neuron `k` may reach.
    pub(super) fn reach(&self, k: usize) -> (f64, f64) {
        let sum = |parts: &[Vec<f64>]| parts.iter().map(|p| p[k].abs()).sum::<f64>();
        (sum(&self.slope), sum(&self.curve))
    }

    /// How far neuron `k` may be from its value.
    pub fn radius(&self, k: usize) -> f64 {
        let (affine, quadratic) = self.reach(k);
        affine + quadratic + self.rest[k]
    }

    /// This layer's neurons, then the other's.
    pub fn join(mut self, other: Self) -> Self {
        let join = |a: &mut Vec<Vec<f64>>, b: Vec<Vec<f64>>| a.iter_mut().zip(b).for_each(|(a, b)| a.extend(b));
        self.value.extend(other.value);
        join(&mut self.slope, other.slope);
        join(&mut self.curve, other.curve);
        self.rest.extend(other.rest);
        self
    }

    /// Behind a dense layer without any rounding, and what rounding depends on, `[n]` each: the magnitudes of all products
    /// added up, and the magnitudes of all sums on the way, in the order of the inputs. `magnitude` holds |kernel|.
    pub fn dense(&self, layer: &HostDense, magnitude: &[f64]) -> (Self, Vec<f64>, Vec<f64>) {
        let n = layer.outputs;
        let zeros = |parts: &[Vec<f64>]| vec![vec![0.0; n]; parts.len()];
        let mut out = Self {
            value: layer.bias.clone(),
            slope: zeros(&self.slope),
            curve: zeros(&self.curve),
            rest: vec![0.0; n],
        };
        let (mut products, mut sums) = (vec![0.0; n], vec![0.0; n]);
        let mut reach = vec![0.0; n];
        for i in 0..layer.inputs {
            let (row, absolute) = (&layer.kernel[i * n..][..n], &magnitude[i * n..][..n]);
            let (x, rest, radius) = (self.value[i], self.rest[i], self.radius(i));
            let most = x.abs() + radius;
            for o in 0..n {
                out.value[o] += x * row[o];
                out.rest[o] += rest * absolute[o];
                products[o] += most * absolute[o];
                reach[o] += radius * absolute[o];
                sums[o] += out.value[o].abs() + reach[o];
            }
            let parts = self.slope.iter().zip(&mut out.slope).chain(self.curve.iter().zip(&mut out.curve));
            for (from, to) in parts {
                let by = from[i];
                to.iter_mut().zip(row).for_each(|(to, w)| *to += by * w);
            }
        }
        (out, products, sums)
    }

    /// Behind `gain`·φ, where the argument is off by `before` as well (already in the remainder) and `after` says how far
    /// the runtime's value is from `gain`·φ where that is at most so large. `gain` is above 0.
    pub(super) fn activation(
        mut self,
        activation: Activation,
        gain: f64,
        before: &[f64],
        after: &dyn Fn(f64) -> f64,
    ) -> (Self, Record) {
        let mut record = Record::default();
        let pairs: Vec<(usize, usize)> = pairs(self.slope.len()).collect();
        for k in 0..self.len() {
            let (affine, quadratic) = self.reach(k);
            let (z, own, rest) = (self.value[k], affine + quadratic, self.rest[k]);
            let radius = own + rest;
            // Whole turns are nothing, and exact here.
            let z = if activation == Activation::Sine { z - z.round() } else { z };
            let (lo, hi) = range(activation, z, radius);
            let step = Step::new(activation, z, [affine, quadratic, rest], (lo, hi));
            self.value[k] = gain * step.value;
            let slopes: Vec<f64> = self.slope.iter().map(|s| s[k]).collect();
            self.slope.iter_mut().for_each(|s| s[k] *= gain * step.first);
            for (c, &(i, j)) in self.curve.iter_mut().zip(&pairs) {
                // (Σ s_i t_i)² has every mixed term twice.
                let square = slopes[i] * slopes[j] * if i == j { 1.0 } else { 2.0 };
                c[k] = gain * (step.first * c[k] + 0.5 * step.second * square);
            }
            let size = gain * lo.abs().max(hi.abs());
            let routine = after(size) + HOST * size;
            self.rest[k] = gain * (step.spread * rest + step.off) + routine;
            record.noise.push(gain * (step.slope.most() * before[k] + step.off) + routine);
            record.slope.push(Slope { middle: gain * step.slope.middle, off: gain * step.slope.off });
        }
        (self, record)
    }

    /// The difference of two layers, neuron by neuron; `noise` is added to the remainder of each.
    pub(super) fn minus(&self, other: &Self, noise: &[f64]) -> Self {
        let mut out = self.clone();
        let less = |a: &mut [Vec<f64>], b: &[Vec<f64>]| {
            a.iter_mut().flatten().zip(b.iter().flatten()).for_each(|(a, b)| *a -= b);
        };
        less(&mut out.slope, &other.slope);
        less(&mut out.curve, &other.curve);
        out.value.iter_mut().zip(&other.value).for_each(|(a, b)| *a -= b);
        out.rest.iter_mut().zip(other.rest.iter().zip(noise)).for_each(|(a, (b, noise))| *a += b + noise);
        out
    }

    /// `self` + `factor`·`a`·`b`, neuron by neuron, and what terms of third order and beyond may come to; they are in the
    /// remainder.
    pub(super) fn plus_product(&self, factor: f64, a: &Self, b: &Self) -> (Self, Vec<f64>) {
        let mut out = self.clone();
        let mut beyond = Vec::new();
        for k in 0..out.len() {
            let (x, y) = (factor * a.value[k], factor * b.value[k]);
            let ((la, qa), (lb, qb)) = (a.reach(k), b.reach(k));
            let size = factor.abs();
            out.value[k] += x * b.value[k];
            for (s, (sa, sb)) in out.slope.iter_mut().zip(a.slope.iter().zip(&b.slope)) {
                s[k] += x * sb[k] + y * sa[k];
            }
            for (c, (i, j)) in pairs(a.slope.len()).enumerate() {
                let mixed = a.slope[i][k] * b.slope[j][k];
                let other = if i == j { 0.0 } else { a.slope[j][k] * b.slope[i][k] };
                out.curve[c][k] += x * b.curve[c][k] + y * a.curve[c][k] + factor * (mixed + other);
            }
            let most = (a.value[k].abs() + a.radius(k)) * (b.value[k].abs() + b.radius(k));
            let high = size * (la * qb + qa * lb + qa * qb) + HOST * (size * most + out.value[k].abs());
            let (own_a, own_b) = (a.value[k].abs() + la + qa, b.value[k].abs() + lb + qb);
            out.rest[k] += size * (own_a * b.rest[k] + own_b * a.rest[k] + a.rest[k] * b.rest[k]) + high;
            beyond.push(high);
        }
        (out, beyond)
    }

    /// Times a mask's factors `[n, 4·inputs]` over the box of half widths `half` around `centre`, in f32.
    pub(super) fn masked(mut self, mask: &[f64], centre: &[f64], half: &[f64]) -> Self {
        let n = self.len();
        let zeros = |parts: &[Vec<f64>]| vec![vec![0.0; n]; parts.len()];
        let nothing =
            Self { value: vec![0.0; n], slope: zeros(&self.slope), curve: zeros(&self.curve), rest: vec![0.0; n] };
        for (axis, &c) in centre.iter().enumerate() {
            for pair in 0..2 {
                let number = |k: usize, which: usize| mask[4 * (k * centre.len() + axis) + 2 * pair + which];
                let mut factor = nothing.clone();
                for k in 0..n {
                    let (a, b) = (number(k, 0), number(k, 1));
                    factor.value[k] = a + b * c;
                    factor.slope[axis][k] = b * half[axis];
                    factor.rest[k] = 2.0 * UNIT * (a.abs() + b.abs() * (c.abs() + half[axis])) + UNDERFLOW;
                }
                let most = |f: &Self, k: usize| f.value[k].abs() + f.radius(k);
                let rounding: Vec<f64> = (0..n).map(|k| 2.0 * UNIT * most(&self, k) * most(&factor, k)).collect();
                (self, _) = nothing.plus_product(1.0, &self, &factor);
                self.rest.iter_mut().zip(rounding).for_each(|(r, rounding)| *r += rounding + UNDERFLOW);
            }
        }
        self
    }

    /// Scaled and shifted, neuron by neuron, in f32.
    pub(super) fn affine(mut self, scale: &[f64], offset: &[f64]) -> Self {
        for k in 0..self.len() {
            let size = (self.value[k].abs() + self.radius(k)) * scale[k].abs() + offset[k].abs();
            self.value[k] = self.value[k] * scale[k] + offset[k];
            self.slope.iter_mut().chain(&mut self.curve).for_each(|s| s[k] *= scale[k]);
            self.rest[k] = self.rest[k] * scale[k].abs() + 2.0 * UNIT * size + UNDERFLOW;
        }
        self
    }
}

/// One neuron's way through its activation.
struct Step {
    /// The form: `value` + `first`·p + ½·`second`·(affine part of p)².
    value: f64,
    first: f64,
    second: f64,
    /// How far φ(p) may be from that.
    off: f64,
    /// How much of the argument's remainder stays one.
    spread: f64,
    /// φ' over the whole interval.
    slope: Slope,
}

impl Step {
    /// For an argument around `z` whose affine part, quadratic part and remainder reach so far; `ends` are those of φ.
    fn new(activation: Activation, z: f64, [affine, quadratic, rest]: [f64; 3], ends: (f64, f64)) -> Self {
        let radius = affine + quadratic + rest;
        if activation == Activation::Identity {
            let slope = Slope { middle: 1.0, off: 0.0 };
            return Self { value: z, first: 1.0, second: 0.0, off: 0.0, spread: 1.0, slope };
        }
        if activation == Activation::Relu {
            return Self::relu(z, radius);
        }
        let own = affine + quadratic;
        let (first, second) = derivatives(activation, z);
        let bend = curvature(activation, z, radius);
        let slope = Slope { middle: first, off: bend * radius };
        let spread = slope.most().min(steepest(activation));
        // Taylor to second order, to first, or nothing but the middle of what can come out: what leaves least open. How far a
        // form reaches does not count: slopes and squares of neurons cancel further on, remainders never do.
        let high = 0.5 * second.abs() * (2.0 * affine + quadratic) * quadratic
            + third(activation, z, own) * own * own * own / 6.0;
        let low = 0.5 * bend * own * own;
        let middle = 0.5 * (ends.1 - ends.0);
        let value = activate(activation, z);
        let quadratic = Self { value, first, second, off: high, spread, slope };
        if middle < low.min(high) + spread * rest {
            return Self { value: 0.5 * (ends.0 + ends.1), first: 0.0, second: 0.0, off: middle, spread: 0.0, slope };
        }
        if low < high { Self { second: 0.0, off: low, ..quadratic } } else { quadratic }
    }

    /// The narrowest band around a ReLU over an interval that holds its kink (Singh et al. 2018).
    fn relu(z: f64, radius: f64) -> Self {
        let (lo, hi) = (z - radius, z + radius);
        let straight = |factor: f64| Self {
            value: factor * z,
            first: factor,
            second: 0.0,
            off: 0.0,
            spread: factor,
            slope: Slope { middle: factor, off: 0.0 },
        };
        if lo >= 0.0 {
            return straight(1.0);
        }
        if hi <= 0.0 {
            return straight(0.0);
        }
        let factor = hi / (hi - lo);
        let off = -0.5 * factor * lo;
        Self { value: factor * z + off, off, slope: Slope { middle: 0.5, off: 0.5 }, ..straight(factor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn activations_stay_within_their_forms() {
        let mut rng = Rng::new(5);
        for activation in [
            Activation::Sine,
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Gelu,
            Activation::Swish,
            Activation::Relu,
            Activation::Identity,
        ] {
            for round in 0..2000 {
                let size = 10f64.powf(-3.0 * rng.uniform());
                let mut one = |most: f64| vec![rng.symmetric(most * size)];
                let form = Form {
                    slope: vec![one(0.5), one(0.5)],
                    curve: vec![one(0.1), one(0.1), one(0.1)],
                    rest: vec![one(0.1)[0].abs()],
                    value: vec![one(3.0)[0] / size],
                };
                let gain = [1.0, 32768.0][round % 2];
                let (out, record) = form.clone().activation(activation, gain, &[0.0], &|_| 0.0);
                for _ in 0..8 {
                    let t = [rng.symmetric(1.0), rng.symmetric(1.0)];
                    let z = at(&form, t) + rng.symmetric(form.rest[0]);
                    let error = (gain * activate(activation, z) - at(&out, t)).abs();
                    assert!(error <= out.rest[0], "{activation:?}: {error} {}", out.rest[0]);
                    // Without a remainder in the argument, what is noted for the way by slopes is enough.
                    let own = (gain * activate(activation, at(&form, t)) - at(&out, t)).abs();
                    assert!(own <= record.noise[0], "{activation:?}: {own} {}", record.noise[0]);
                    let h = 1e-6;
                    let slope = (activate(activation, z + h) - activate(activation, z - h)) / (2.0 * h);
                    let Slope { middle, off } = record.slope[0];
                    let known = (gain * slope - middle).abs() <= off + 1e-5 * gain;
                    assert!(known, "{activation:?}: {slope} {middle} {off}");
                }
            }
        }
    }

    /// What a form of one neuron over two coordinates says at `t`, without its remainder.
    fn at(f: &Form, t: [f64; 2]) -> f64 {
        let squares = [t[0] * t[0], t[0] * t[1], t[1] * t[1]];
        let affine = f.value[0] + f.slope[0][0] * t[0] + f.slope[1][0] * t[1];
        affine + squares.iter().zip(&f.curve).map(|(s, c)| s * c[0]).sum::<f64>()
    }

    #[test]
    fn a_product_stays_within_its_form() {
        let mut rng = Rng::new(6);
        for _ in 0..2000 {
            let mut form = || Form {
                value: vec![rng.symmetric(1.0)],
                slope: vec![vec![rng.symmetric(0.5)], vec![rng.symmetric(0.5)]],
                curve: (0..3).map(|_| vec![rng.symmetric(0.2)]).collect(),
                rest: vec![0.1 * rng.uniform()],
            };
            let (v, a, b) = (form(), form(), form());
            let (out, _) = v.plus_product(0.5, &a, &b);
            for _ in 0..8 {
                let t = [rng.symmetric(1.0), rng.symmetric(1.0)];
                let near = |f: &Form, rng: &mut Rng| at(f, t) + rng.symmetric(f.rest[0]);
                let truth = near(&v, &mut rng) + 0.5 * near(&a, &mut rng) * near(&b, &mut rng);
                assert!((truth - at(&out, t)).abs() <= out.rest[0] + 1e-12);
            }
        }
    }
}
