//! The loss over a weight and over its factors (Wang et al. 2022, Fig. 1), and the distance of two functions among
//! their factorizations (Theorem 1).

use crate::network::{Network, Parameter, Parameterization, Scale};

/// Mean squared error of one sine neuron sin(w·x) against sin(target·x) over points x: many minima in w, the one at
/// the target and those where the neuron beats against it.
#[derive(Debug, Clone, PartialEq)]
pub struct SineNeuron {
    /// Weight that fits exactly.
    pub target: f64,
    /// Points in [-1, 1].
    pub points: Vec<f64>,
}

impl SineNeuron {
    /// With 200 points, evenly spread.
    pub fn new(target: f64) -> Self {
        Self { target, points: (0..200).map(|i| (f64::from(i) + 0.5) / 100.0 - 1.0).collect() }
    }

    /// The loss at `w`.
    pub fn loss(&self, w: f64) -> f64 {
        let error = |x: &f64| ((w * x).sin() - (self.target * x).sin()).powi(2);
        self.points.iter().map(error).sum::<f64>() / self.points.len() as f64
    }

    /// The minima between `low` and `high`, found on a grid and narrowed down.
    pub fn minima(&self, low: f64, high: f64) -> Vec<f64> {
        let count = 2000;
        let at = |i: usize| low + (high - low) * i as f64 / count as f64;
        let loss: Vec<f64> = (0..=count).map(|i| self.loss(at(i))).collect();
        let inner = (1..count).filter(|&i| loss[i] < loss[i - 1] && loss[i] <= loss[i + 1]);
        inner.map(|i| narrow(at(i - 1), at(i + 1), |w| self.loss(w))).collect()
    }
}

/// Distance in the plane (g, v) from the factorization g·v = `w1` at scale `g` > 0 to the nearest one of `w2` with a
/// positive scale. It is at most |w1 - w2|/g, the distance at equal scales, and so goes to 0 as the scale grows
/// (Theorem 1).
pub fn factor_distance(w1: f64, w2: f64, g: f64) -> f64 {
    let distance = |other: f64| (g - other).hypot(w1 / g - w2 / other);
    // A grid finds the basin, thirds its floor. Nothing nearer lies further away than the point at the same scale.
    let reach = (w1 - w2).abs() / g;
    let (low, high) = ((g - reach).max(1e-6 * g), g + reach);
    let count = 2000;
    let at = |i: usize| low + (high - low) * i as f64 / count as f64;
    let best = (0..=count).min_by(|&i, &j| distance(at(i)).total_cmp(&distance(at(j)))).expect("a grid has points");
    let (a, b) = (at(best.saturating_sub(1)), at((best + 1).min(count)));
    distance(narrow(a, b, distance))
}

/// The minimum of `f` in a bracket, by thirds.
fn narrow(mut a: f64, mut b: f64, f: impl Fn(f64) -> f64) -> f64 {
    while b - a > 1e-10 * b.abs().max(1.0) {
        let (c, d) = (a + (b - a) / 3.0, b - (b - a) / 3.0);
        if f(c) < f(d) { b = d } else { a = c }
    }
    0.5 * (a + b)
}

/// |V_a - V_b| of two networks of the same shape that are factorized anew with every log scale equal to `s`: their
/// dense weights stay, their factorizations approach each other as e^-s (Theorem 1). Biases are not factorized and
/// left out.
pub fn network_distance(network: &Network, a: &[Parameter], b: &[Parameter], s: f64) -> f64 {
    let (a, b) = (network.dense_f64(a), network.dense_f64(b));
    let form = Parameterization::RandomWeightFactorization { scale: Scale::Log, mu: s, sigma: 0.0 };
    // No number is drawn: sigma is 0.
    let v = |kernel: &[f64], outputs| form.factorize(kernel, outputs, &mut crate::rng::Rng::new(0)).0;
    let layers = a.layers.iter().chain(&a.encoders).zip(b.layers.iter().chain(&b.encoders));
    let square: f64 = layers
        .flat_map(|(a, b)| {
            let (va, vb) = (v(&a.kernel, a.outputs), v(&b.kernel, b.outputs));
            va.into_iter().zip(vb).map(|(a, b)| (a - b) * (a - b))
        })
        .sum();
    square.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::{ArchitectureKind, NetworkConfig},
        rng::Rng,
    };

    #[test]
    fn the_deepest_minimum_is_the_target_and_others_are_where_the_slope_ends() {
        let neuron = SineNeuron::new(8.0);
        let minima = neuron.minima(0.5, 20.0);
        assert!(minima.len() >= 2, "{minima:?}");
        let deepest = minima.iter().copied().min_by(|a, b| neuron.loss(*a).total_cmp(&neuron.loss(*b))).unwrap();
        assert!((deepest - 8.0).abs() < 1e-6, "{minima:?}");
        assert_eq!(neuron.loss(8.0), 0.0);
        for w in &minima {
            let slope = (neuron.loss(w + 1e-5) - neuron.loss(w - 1e-5)) / 2e-5;
            assert!(slope.abs() < 1e-5, "{w}: {slope}");
        }
        // The mean over points goes to an integral: 1/2·∫(sin wx - sin 8x)² dx over [-1, 1], in closed form.
        let w = 5.0f64;
        let sinc = |k: f64| k.sin() / k;
        let integral = 1.0 - 0.5 * sinc(2.0 * w) - 0.5 * sinc(16.0) - sinc(w - 8.0) + sinc(w + 8.0);
        assert!((neuron.loss(w) - integral).abs() < 1e-3, "{} {integral}", neuron.loss(w));
    }

    #[test]
    fn two_hyperbolas_approach_each_other_as_the_scale_grows() {
        let (w1, w2) = (8.0, 12.5);
        let mut before = f64::INFINITY;
        for g in [4.0, 8.0, 16.0, 64.0, 256.0] {
            let found = factor_distance(w1, w2, g);
            let bound = (w2 - w1) / g;
            assert!(found <= bound && found < before, "{g}: {found} {bound}");
            // By exhaustion along the other curve: nothing is nearer.
            for i in 1..100_000 {
                let other = f64::from(i) * 0.005;
                let d = (g - other).hypot(w1 / g - w2 / other);
                assert!(d >= found - 1e-9, "{g}: {d} at {other}");
            }
            before = found;
        }
        // Far out the curves are flat, and the bound is the distance.
        assert!((factor_distance(w1, w2, 256.0) / (4.5 / 256.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn two_networks_approach_each_other_as_theorem_one_says() {
        let config = NetworkConfig::new(ArchitectureKind::ModifiedMlp, 8, 2);
        let make = |seed| Network::new(&config, 2, 1, &mut Rng::new(seed)).unwrap();
        let ((network, a), (_, b)) = (make(0), make(1));
        let at_zero = network_distance(&network, &a, &b, 0.0);
        assert!(at_zero > 1.0);
        for s in [0.5, 2.0, 6.0] {
            let ratio = network_distance(&network, &a, &b, s) / (at_zero * (-s).exp());
            assert!((ratio - 1.0).abs() < 1e-12, "{s}: {ratio}");
        }
    }
}
