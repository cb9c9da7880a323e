//! Affine forms with a remainder, one for each neuron of a layer.

use std::f64::consts::{PI, TAU};

use rwf_runtime::format::{Activation, MathBackend};

use crate::{fold::activate, network::HostDense};

/// Half the spacing of f32 at 1, a little up, so that the f64 arithmetic here is covered as well.
const UNIT: f64 = 1.0001 / (1u32 << 24) as f64;
/// Above what products and sums lose below the least normal f32.
const UNDERFLOW: f64 = 1e-36;

/// Values of a layer over the box |x_j - c_j| <= h_j: neuron k lies within `rest[k]` of
/// `value[k]` + Σ_j `slope[j][k]`·(x_j - c_j).
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// At the centre, `[n]`.
    pub value: Vec<f64>,
    /// By each coordinate, `[inputs][n]`.
    pub slope: Vec<Vec<f64>>,
    /// Remainder, `[n]`, at least 0.
    pub rest: Vec<f64>,
}

impl Form {
    /// The coordinates themselves.
    pub fn coordinates(centre: &[f64]) -> Self {
        let n = centre.len();
        let unit = |j: usize| (0..n).map(|k| f64::from(u8::from(k == j))).collect();
        Self { value: centre.to_vec(), slope: (0..n).map(unit).collect(), rest: vec![0.0; n] }
    }

    /// Number of neurons.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// How far neuron `k` may be from its value over the box of half widths `half`.
    pub fn radius(&self, k: usize, half: &[f64]) -> f64 {
        self.rest[k] + self.slope.iter().zip(half).map(|(s, h)| s[k].abs() * h).sum::<f64>()
    }

    /// This layer's neurons, then the other's.
    pub fn join(mut self, other: Self) -> Self {
        self.value.extend(other.value);
        self.slope.iter_mut().zip(other.slope).for_each(|(s, o)| s.extend(o));
        self.rest.extend(other.rest);
        self
    }

    /// Behind a dense layer; `magnitude` holds |kernel|.
    pub fn dense(&self, layer: &HostDense, magnitude: &[f64], half: &[f64]) -> Self {
        let n = layer.outputs;
        let mut out =
            Self { value: layer.bias.clone(), slope: vec![vec![0.0; n]; self.slope.len()], rest: vec![0.0; n] };
        // Sum of the magnitudes of all that is added up, which bounds the rounding (Higham 2002, section 3.1).
        let mut size: Vec<f64> = layer.bias.iter().map(|b| b.abs()).collect();
        for i in 0..layer.inputs {
            let (row, absolute) = (&layer.kernel[i * n..][..n], &magnitude[i * n..][..n]);
            let (x, rest) = (self.value[i], self.rest[i]);
            let most = x.abs() + self.radius(i, half);
            for o in 0..n {
                out.value[o] += x * row[o];
                out.rest[o] += rest * absolute[o];
                size[o] += most * absolute[o];
            }
            for (from, to) in self.slope.iter().zip(&mut out.slope) {
                let slope = from[i];
                to.iter_mut().zip(row).for_each(|(to, w)| *to += slope * w);
            }
        }
        let roundings = (layer.inputs + 1) as f64 * UNIT;
        let gamma = roundings / (1.0 - roundings);
        out.rest.iter_mut().zip(size).for_each(|(r, s)| *r = *r * (1.0 + 1e-12) + gamma * s + UNDERFLOW);
        out
    }

    /// Behind an activation as the runtime computes it with `math`.
    pub fn activation(mut self, activation: Activation, math: MathBackend, half: &[f64]) -> Self {
        if activation == Activation::Identity {
            return self;
        }
        for k in 0..self.len() {
            let (z, rest, radius) = (self.value[k], self.rest[k], self.radius(k, half));
            let linear = if activation == Activation::Relu {
                relu(z, rest, radius)
            } else {
                let slope = derivative(activation, z);
                let curve = 0.5 * curvature(activation, z, radius) * radius * radius;
                Linear { value: activate(activation, z), factor: slope, rest: slope.abs() * rest + curve }
            };
            let affine = linear.rest + linear.factor.abs() * (radius - rest);
            // Where the box is large for the curve, what the activation can give at all says more than a tangent.
            let (lo, hi) = range(activation, z, radius);
            let Linear { value, factor, rest } = if 0.5 * (hi - lo) < affine {
                Linear { value: 0.5 * (lo + hi), factor: 0.0, rest: 0.5 * (hi - lo) }
            } else {
                linear
            };
            self.value[k] = value;
            self.slope.iter_mut().for_each(|s| s[k] *= factor);
            self.rest[k] = rest * (1.0 + 1e-12) + inaccuracy(activation, math, lo.abs().max(hi.abs()));
        }
        self
    }

    /// Twice the sine and cosine of a mapping's turns, as the runtime orders them: all sines, then all cosines.
    pub fn waves(self, math: MathBackend, half: &[f64]) -> Self {
        let mut shifted = self.clone();
        shifted.value.iter_mut().for_each(|t| *t += 0.25);
        self.activation(Activation::Sine, math, half).join(shifted.activation(Activation::Sine, math, half))
    }

    /// The difference of two layers, neuron by neuron.
    pub fn minus(&self, other: &Self, half: &[f64]) -> Self {
        let mut out = self.clone();
        for k in 0..out.len() {
            let size = self.value[k].abs() + self.radius(k, half) + other.value[k].abs() + other.radius(k, half);
            out.value[k] -= other.value[k];
            out.rest[k] += other.rest[k] + UNIT * size;
            out.slope.iter_mut().zip(&other.slope).for_each(|(s, o)| s[k] -= o[k]);
        }
        out
    }

    /// `self` + `a`·`b`, neuron by neuron: a gate.
    pub fn plus_product(&self, a: &Self, b: &Self, half: &[f64]) -> Self {
        let mut out = self.clone();
        for k in 0..out.len() {
            let (x, y) = (a.value[k], b.value[k]);
            let (rx, ry) = (a.radius(k, half), b.radius(k, half));
            let product = (x.abs() + rx) * (y.abs() + ry);
            let size = 2.0 * product + self.value[k].abs() + self.radius(k, half);
            out.value[k] += x * y;
            for (s, (sa, sb)) in out.slope.iter_mut().zip(a.slope.iter().zip(&b.slope)) {
                s[k] += x * sb[k] + y * sa[k];
            }
            out.rest[k] += x.abs() * b.rest[k] + y.abs() * a.rest[k] + rx * ry + 2.0 * UNIT * size + UNDERFLOW;
        }
        out
    }

    /// Times a mask's factors `[n, 4·inputs]` over the box around `centre`.
    pub fn masked(mut self, mask: &[f64], centre: &[f64], half: &[f64]) -> Self {
        let n = self.len();
        let zeros = || vec![0.0; n];
        let nothing = Self { value: zeros(), slope: vec![zeros(); centre.len()], rest: zeros() };
        for (axis, &c) in centre.iter().enumerate() {
            for pair in 0..2 {
                let number = |k: usize, which: usize| mask[4 * (k * centre.len() + axis) + 2 * pair + which];
                let mut factor = nothing.clone();
                for k in 0..n {
                    let (a, b) = (number(k, 0), number(k, 1));
                    factor.value[k] = a + b * c;
                    factor.slope[axis][k] = b;
                    factor.rest[k] = 2.0 * UNIT * (a.abs() + b.abs() * (c.abs() + half[axis])) + UNDERFLOW;
                }
                self = nothing.plus_product(&self, &factor, half);
            }
        }
        self
    }

    /// Scaled and shifted, neuron by neuron.
    pub fn affine(mut self, scale: &[f64], offset: &[f64], half: &[f64]) -> Self {
        for k in 0..self.len() {
            let size = (self.value[k].abs() + self.radius(k, half)) * scale[k].abs() + offset[k].abs();
            self.value[k] = self.value[k] * scale[k] + offset[k];
            self.slope.iter_mut().for_each(|s| s[k] *= scale[k]);
            self.rest[k] = self.rest[k] * scale[k].abs() + 2.0 * UNIT * size + UNDERFLOW;
        }
        self
    }
}

/// y within `rest` of `value` + `factor`·(z - centre).
struct Linear {
    value: f64,
    factor: f64,
    rest: f64,
}

/// The narrowest band around a ReLU over an interval that holds its kink (Singh et al. 2018).
fn relu(z: f64, rest: f64, radius: f64) -> Linear {
    let (lo, hi) = (z - radius, z + radius);
    if lo >= 0.0 {
        return Linear { value: z, factor: 1.0, rest };
    }
    if hi <= 0.0 {
        return Linear { value: 0.0, factor: 0.0, rest: 0.0 };
    }
    let factor = hi / (hi - lo);
    let band = -0.5 * factor * lo;
    Linear { value: factor * z + band, factor, rest: factor * rest + band }
}

/// φ'(z)
fn derivative(activation: Activation, z: f64) -> f64 {
    let logistic = |z: f64| 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => f64::from(u8::from(z > 0.0)),
        Activation::Sine => TAU * (TAU * z).cos(),
        Activation::Tanh => 1.0 - z.tanh().powi(2),
        Activation::Sigmoid => logistic(z) * (1.0 - logistic(z)),
        Activation::Swish => logistic(z) * (1.0 + z * (1.0 - logistic(z))),
        Activation::Gelu => {
            let c = (2.0 / PI).sqrt();
            let t = (c * (z + 0.044715 * z.powi(3))).tanh();
            0.5 * (1.0 + t) + 0.5 * z * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * z * z)
        }
    }
}

/// At least |φ''| over |x - z| <= `radius`.
fn curvature(activation: Activation, z: f64, radius: f64) -> f64 {
    // |φ''| is even, rises to `peak` and falls behind it.
    let hump = |peak: f64, most: f64, f: &dyn Fn(f64) -> f64| {
        let (near, far) = ((z.abs() - radius).max(0.0), z.abs() + radius);
        if near <= peak && peak <= far { most } else { f(near).max(f(far)) }
    };
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sine => {
            let (lo, hi) = sine_range(z, radius);
            TAU * TAU * lo.abs().max(hi.abs())
        }
        Activation::Tanh => hump(0.658_478_948, 0.769_800_4, &|z| 2.0 * z.tanh() * (1.0 - z.tanh().powi(2))),
        Activation::Sigmoid => hump(1.316_957_897, 0.096_225_1, &|z| {
            let s = 1.0 / (1.0 + (-z).exp());
            s * (1.0 - s) * (2.0 * s - 1.0)
        }),
        Activation::Swish => 0.500_001,
        Activation::Gelu => 0.797_885,
    }
}

/// Ends of φ over |x - z| <= `radius`, or beyond them.
fn range(activation: Activation, z: f64, radius: f64) -> (f64, f64) {
    let y = activate(activation, z);
    match activation {
        Activation::Sine => sine_range(z, radius),
        // Steepest slopes 1.0998 and 1.1290; neither falls below its least value.
        Activation::Swish => ((y - 1.1 * radius).max(-0.278_465), y + 1.1 * radius),
        Activation::Gelu => ((y - 1.13 * radius).max(-0.170_05), y + 1.13 * radius),
        Activation::Identity | Activation::Relu | Activation::Tanh | Activation::Sigmoid => {
            (activate(activation, z - radius), activate(activation, z + radius))
        }
    }
}

/// Ends of sin(2πx) over |x - z| <= `radius`.
fn sine_range(z: f64, radius: f64) -> (f64, f64) {
    if radius >= 0.5 {
        return (-1.0, 1.0);
    }
    let (lo, hi) = (z - radius, z + radius);
    let holds = |phase: f64| (lo - phase).ceil() + phase <= hi;
    let (a, b) = ((TAU * lo).sin(), (TAU * hi).sin());
    // A little out, for the sine of a large argument in f64.
    let margin = 1e-15 * (1.0 + TAU * z.abs());
    let least = if holds(0.75) { -1.0 } else { (a.min(b) - margin).max(-1.0) };
    let most = if holds(0.25) { 1.0 } else { (a.max(b) + margin).min(1.0) };
    (least, most)
}

/// Largest error of the runtime's routine where its value is at most `size`: twice what its table of accuracy allows.
fn inaccuracy(activation: Activation, math: MathBackend, size: f64) -> f64 {
    let share = match math {
        MathBackend::Polynomial => 5e-7,
        MathBackend::Libm => 2.5e-6,
        MathBackend::Micromath => 0.1,
    };
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sine if math == MathBackend::Micromath => 0.01,
        Activation::Sine | Activation::Tanh | Activation::Sigmoid => share,
        Activation::Gelu | Activation::Swish => share * size.max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const SMOOTH: [Activation; 5] =
        [Activation::Sine, Activation::Tanh, Activation::Sigmoid, Activation::Gelu, Activation::Swish];

    #[test]
    fn slopes_and_curvatures_are_those_of_differences() {
        for activation in SMOOTH {
            for i in -120..=120 {
                let z = f64::from(i) * 0.05;
                let f = |x: f64| activate(activation, x);
                let h = 1e-4;
                let slope = (f(z + h) - f(z - h)) / (2.0 * h);
                assert!((slope - derivative(activation, z)).abs() < 1e-5, "{activation:?} {z}");
                let second = ((f(z + h) - 2.0 * f(z) + f(z - h)) / (h * h)).abs();
                let bound = curvature(activation, z, 1e-9);
                assert!(second <= bound + 1e-5, "{activation:?} {z}: {second} {bound}");
                // Over a wider interval the bound must hold at every point of it.
                assert!(second <= curvature(activation, z + 0.2, 0.2001) + 1e-5, "{activation:?} {z}");
            }
        }
    }

    #[test]
    fn activations_stay_within_their_forms() {
        let mut rng = Rng::new(5);
        for activation in SMOOTH.into_iter().chain([Activation::Relu]) {
            for _ in 0..2000 {
                let half = [0.5 * rng.uniform(), 0.5 * rng.uniform()];
                let form = Form {
                    value: vec![rng.symmetric(3.0)],
                    slope: vec![vec![rng.symmetric(1.0)], vec![rng.symmetric(1.0)]],
                    rest: vec![0.1 * rng.uniform()],
                };
                let out = form.clone().activation(activation, MathBackend::Polynomial, &half);
                for _ in 0..8 {
                    let x = half.map(|h| rng.symmetric(h));
                    let at = |f: &Form| f.value[0] + f.slope[0][0] * x[0] + f.slope[1][0] * x[1];
                    let z = at(&form) + rng.symmetric(form.rest[0]);
                    let error = (activate(activation, z) - at(&out)).abs();
                    assert!(error <= out.rest[0], "{activation:?}: {error} {}", out.rest[0]);
                }
            }
        }
    }
}
