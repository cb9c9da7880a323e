//! What every engine that carries derivatives must do, checked against a slow twin in f64 and closed forms.

use std::ops::Range;

use super::{Combination, JetObservation, Plan, Wanted, taylor};
use crate::{
    engine::contract::{MAPPINGS, Make, samples},
    fold::forward_f64,
    network::{ActivationKind, ArchitectureKind, DenseNetwork, Network, NetworkConfig, Parameterization},
    rng::Rng,
    tolerance,
};

/// Every derivative by two inputs up to `order`, and the Laplacian.
pub(in crate::engine) fn everything(order: usize) -> Vec<Wanted> {
    let mut wanted = vec![Wanted::Laplacian(vec![0, 1])];
    for order in 0..=order {
        for second in 0..=order {
            wanted.push(Wanted::Partial([vec![0; order - second], vec![1; second]].concat()));
        }
    }
    wanted
}

/// The sum of fixed, arbitrary smooth functions of all derivatives asked for: weight·(d + d²/2).
pub(in crate::engine) struct Mixture {
    pub(in crate::engine) combinations: Vec<Combination>,
    pub(in crate::engine) outputs: usize,
}

impl Mixture {
    fn weight(n: usize) -> f64 {
        // Higher orders are larger; all should count alike.
        0.3 + 0.1 * (n % 7) as f64
    }

    pub(in crate::engine) fn values(&self, jets: &[f32], points: usize, p: usize, o: usize) -> Vec<f64> {
        let at = |row: usize| f64::from(jets[(row * points + p) * self.outputs + o]);
        self.combinations.iter().map(|c| c.iter().map(|&(row, f)| f * at(row)).sum()).collect()
    }

    fn of(values: &[f64], scale: &[f64]) -> f64 {
        values.iter().zip(scale).enumerate().map(|(n, (v, s))| Self::weight(n) * (v / s + 0.5 * (v / s).powi(2))).sum()
    }
}

/// A mixture with sizes to divide by.
pub(in crate::engine) struct Scaled<'a>(pub(in crate::engine) &'a Mixture, pub(in crate::engine) &'a [f64]);

impl JetObservation for Scaled<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32], extra: &mut [f64]) -> f64 {
        let (m, scale, count) = (self.0, self.1, points.len());
        let mut sum = 0.0;
        for p in 0..count {
            for o in 0..m.outputs {
                let values = m.values(jets, count, p, o);
                sum += Mixture::of(&values, scale);
                for (n, c) in m.combinations.iter().enumerate() {
                    let slope = Mixture::weight(n) * (1.0 + values[n] / scale[n]) / scale[n];
                    for &(row, f) in c {
                        cotangents[(row * count + p) * m.outputs + o] += (slope * f) as f32;
                    }
                }
            }
            extra[0] += 1.0;
        }
        sum
    }
}

/// All derivatives of every output at one point by the slow twin: polarization is checked apart, so lines will do.
fn slow(dense: &DenseNetwork, plan: &Plan, combinations: &[Combination], x: &[f64]) -> Vec<Vec<f64>> {
    let outputs = dense.architecture.outputs();
    let mut rows = vec![vec![0.0; outputs]; plan.rows()];
    for (o, value) in forward_f64(dense, x).into_iter().enumerate() {
        rows[0][o] = value;
    }
    let mut second = Vec::new();
    for direction in &plan.directions {
        let v: Vec<f64> = direction.vector.iter().map(|&v| f64::from(v)).collect();
        let series = taylor::along(dense, x, &v);
        for (o, c) in series.iter().enumerate() {
            for k in 1..=direction.order {
                rows[direction.first + k - 1][o] = c[k];
            }
        }
        second.push(series.iter().map(|c| c[2]).collect::<Vec<f64>>());
    }
    if let Some(l) = plan.laplacian_row() {
        for o in 0..outputs {
            rows[l][o] = plan.laplacian.iter().map(|&(d, w)| f64::from(w) * second[d][o]).sum();
        }
    }
    (0..outputs)
        .map(|o| combinations.iter().map(|c| c.iter().map(|&(row, f)| f * rows[row][o]).sum()).collect())
        .collect()
}

/// Derivatives up to `order` and the gradient of a function of them all, for one network.
fn check(config: &NetworkConfig, order: usize, make: Make) {
    let (network, start) = Network::new(config, 2, 2, &mut Rng::new(3)).unwrap();
    let dense = network.dense_f64(&start);
    let scale = [1.5, 0.5];
    let wanted = everything(order);
    let (plan, combinations) = Plan::new(&scale, &wanted).unwrap();
    let (x, _) = samples(19);
    let wide: Vec<Vec<f64>> = x.chunks_exact(2).map(|x| x.iter().map(|&v| f64::from(v)).collect()).collect();
    let truth: Vec<Vec<Vec<f64>>> = wide.iter().map(|x| slow(&dense, &plan, &combinations, x)).collect();
    let sizes: Vec<f64> =
        (0..wanted.len()).map(|n| truth.iter().flatten().map(|o| o[n].abs()).fold(1e-3, f64::max)).collect();
    let mixture = Mixture { combinations: combinations.clone(), outputs: 2 };

    // Values: every derivative at every point.
    struct Keep<'a>(&'a Mixture, std::sync::Mutex<Vec<(usize, Vec<f64>)>>);
    impl JetObservation for Keep<'_> {
        fn observe(&self, points: Range<usize>, jets: &[f32], _: &mut [f32], _: &mut [f64]) -> f64 {
            let mut kept = self.1.lock().unwrap();
            for p in 0..points.len() {
                (0..2).for_each(|o| kept.push((points.start + p, self.0.values(jets, points.len(), p, o))));
            }
            0.0
        }
    }
    let mut engine = make(&network, &start).unwrap();
    let keep = Keep(&mixture, std::sync::Mutex::default());
    engine.jets(&[&plan]).unwrap().look(&plan, &x, &keep, 0).unwrap();
    let mut kept = keep.1.into_inner().unwrap();
    kept.sort_by_key(|k| k.0);
    for ((p, found), expected) in kept.iter().zip(truth.iter().flatten()) {
        for n in 0..wanted.len() {
            let error = (found[n] - expected[n]).abs() / sizes[n];
            assert!(error < tolerance::JET, "{config:?} {:?} at {p}: {} {}", wanted[n], found[n], expected[n]);
        }
    }

    // Gradients: central differences of the slow twin in single parameters of every tensor.
    let mut extra = [0.0];
    // In two calls, the second with a weight: gathered they are one and a half times the whole.
    for weight in [1.0, 0.5] {
        let jets = engine.jets(&[&plan]).unwrap();
        jets.observe_jets(&plan, &x, &Scaled(&mixture, &sizes), weight, &mut extra).unwrap();
    }
    assert_eq!(extra, [38.0]);
    let total = |parameters: &[crate::network::Parameter]| -> f64 {
        let dense = network.dense_f64(parameters);
        let each = wide.iter().flat_map(|x| slow(&dense, &plan, &combinations, x));
        1.5 * each.map(|values| Mixture::of(&values, &sizes)).sum::<f64>()
    };
    // Derivatives of a ReLU network jump where a neuron begins; a short step keeps off those places.
    let step = if config.activation == Some(ActivationKind::Relu) { 1e-5 } else { 1e-3 };
    let named = engine.take_gradients().unwrap();
    let mut rng = Rng::new(8);
    for (k, found) in named.iter().enumerate() {
        let largest = found.values.iter().fold(1e-2f32, |m, g| m.max(g.abs()));
        for _ in 0..2 {
            let i = rng.below(found.values.len());
            let mut moved = start.clone();
            let at = start[k].values[i];
            let mut sum = |by: f32| {
                moved[k].values[i] = at + by;
                (f64::from(at + by), total(&moved))
            };
            let ((hi, above), (lo, below)) = (sum(step), sum(-step));
            let expected = (above - below) / (hi - lo);
            let error = (f64::from(found.values[i]) - expected).abs() / f64::from(largest);
            assert!(error < tolerance::JET_GRADIENT, "{config:?} {}: {} {expected}", found.name, found.values[i]);
        }
    }
}

/// Networks of these architectures with every mapping and parameterization.
pub(in crate::engine) fn every_network(architectures: &[ArchitectureKind], order: usize, make: Make) {
    for &architecture in architectures {
        for (mapping, parameterization) in MAPPINGS.into_iter().zip(Parameterization::ALL.into_iter().cycle()) {
            let base = NetworkConfig::new(architecture, 7, 2);
            let config = NetworkConfig { mapping, parameterization, omega0: 2.0, omega0_first: 2.0, ..base };
            check(&config, order, make);
        }
    }
}

/// Every activation, in hidden layers and behind the last.
pub(in crate::engine) fn every_activation(order: usize, make: Make) {
    use ActivationKind::{Gelu, Identity, Relu, Sigmoid, Sine, Swish, Tanh};
    for activation in [Identity, Relu, Sigmoid, Sine, Swish, Tanh, Gelu] {
        for output_activation in [Identity, activation] {
            // The output of a ReLU has kinks that differences of parameters may meet.
            let output_activation = if activation == Relu { Identity } else { output_activation };
            let base = NetworkConfig::new(ArchitectureKind::Mlp, 7, 2);
            let activation = Some(activation);
            let config = NetworkConfig { activation, output_activation, omega0: 2.0, omega0_first: 2.0, ..base };
            check(&config, order, make);
        }
    }
}
