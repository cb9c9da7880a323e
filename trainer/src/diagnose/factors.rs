//! What the factors do to each neuron: their size, the learning rate they make of one, and how far its weights went.

use crate::network::{DenseNetwork, DenseSpec, HostDense, Network, Parameter, Parameterization, Per, Scale, norms};

/// One dense layer, numbers per neuron `[out]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerFactors {
    /// `layers.N` or `encoder.N`.
    pub name: String,
    /// What multiplies the neuron's trained weights: exp(s), g, g/|v|, a; 1 for plain weights.
    pub scale: Vec<f64>,
    /// Rate, in units of the learning rate, at which gradient descent moves the dense weights across themselves:
    /// the smaller eigenvalue of Theorem 2's matrix (Wang et al. 2022), e^2s for the log scale.
    pub rate_across: Vec<f64>,
    /// The same along the trained weights: e^2s·(1 + |v|²) for the log scale, s² + |v|² for the direct one.
    pub rate_along: Vec<f64>,
    /// |W - W0|/|W0| of the whole layer.
    pub change: f64,
}

/// Every layer of `network`, encoders first, at `now` and against the parameters it started from.
pub fn factors(network: &Network, now: &[Parameter], start: &[Parameter]) -> Vec<LayerFactors> {
    let (dense, dense_start) = (network.dense_f64(now), network.dense_f64(start));
    let layers = |d: &DenseNetwork| -> Vec<HostDense> { d.encoders.iter().chain(&d.layers).cloned().collect() };
    let specs = network.encoders.iter().chain(&network.layers);
    specs
        .zip(layers(&dense).iter().zip(&layers(&dense_start)))
        .map(|(spec, (dense, start))| {
            let (scale, rate_across, rate_along) = rates(spec, now);
            LayerFactors { name: spec.name.clone(), scale, rate_across, rate_along, change: change([(dense, start)]) }
        })
        .collect()
}

/// |W - W0|/|W0| over all dense weights of a network, its mapping and biases left out.
pub fn weight_change(now: &DenseNetwork, start: &DenseNetwork) -> f64 {
    let layers = |d| -> Vec<_> {
        let d: &DenseNetwork = d;
        d.encoders.iter().chain(&d.layers).cloned().collect()
    };
    let (now, start): (Vec<HostDense>, Vec<HostDense>) = (layers(now), layers(start));
    change(now.iter().zip(&start))
}

fn change<'a>(pairs: impl IntoIterator<Item = (&'a HostDense, &'a HostDense)>) -> f64 {
    let (mut moved, mut size) = (0.0, 0.0);
    for (now, start) in pairs {
        for (w, w0) in now.kernel.iter().zip(&start.kernel) {
            moved += (w - w0) * (w - w0);
            size += w0 * w0;
        }
    }
    (moved / size).sqrt()
}

/// Scale, rate across and rate along of every neuron. The gain of a sine is the architecture's and left out.
fn rates(spec: &DenseSpec, parameters: &[Parameter]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let get = |suffix: &str| -> Vec<f64> {
        let name = format!("{}.{suffix}", spec.name);
        let found = parameters.iter().find(|p| p.name == name).expect("a parameter of the network");
        found.values.iter().map(|&v| f64::from(v)).collect()
    };
    let lengths = norms(&get(spec.parameterization.weight()), spec.outputs);
    let each = |f: &dyn Fn(usize) -> (f64, f64, f64)| -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let all: Vec<_> = (0..spec.outputs).map(f).collect();
        (all.iter().map(|r| r.0).collect(), all.iter().map(|r| r.1).collect(), all.iter().map(|r| r.2).collect())
    };
    match spec.parameterization {
        Parameterization::Plain => each(&|_| (1.0, 1.0, 1.0)),
        Parameterization::AdaptiveActivation { per } => {
            let a = get("a");
            // A slope shared by a layer is moved by all of its weights.
            let whole = lengths.iter().map(|l| l * l).sum::<f64>();
            each(&|o| {
                let a = a[o % a.len()];
                let own = if per == Per::Layer { whole } else { lengths[o] * lengths[o] };
                (a, a * a, a * a + own)
            })
        }
        Parameterization::WeightNorm => {
            let g = get("g");
            each(&|o| {
                let ratio = g[o] / lengths[o];
                (ratio, ratio * ratio, 1.0)
            })
        }
        Parameterization::RandomWeightFactorization { scale: Scale::Log, .. } => {
            let s = get("s");
            each(&|o| {
                let square = (2.0 * s[o]).exp();
                (s[o].exp(), square, square * (1.0 + lengths[o] * lengths[o]))
            })
        }
        Parameterization::RandomWeightFactorization { scale: Scale::Direct, .. } => {
            let g = get("g");
            each(&|o| (g[o], g[o] * g[o], g[o] * g[o] + lengths[o] * lengths[o]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::{ArchitectureKind, NetworkConfig, materialize_from},
        rng::Rng,
        tolerance,
    };

    /// Moves one neuron's trained numbers a tiny step along their gradients for a given dL/dw and measures how fast
    /// w moved across and along what is trained.
    #[test]
    fn rates_are_those_of_a_small_gradient_step() {
        let eta = 1e-7;
        for parameterization in Parameterization::ALL {
            if parameterization == (Parameterization::AdaptiveActivation { per: Per::Layer }) {
                continue; // one slope a layer: its rate along is that of the layer, tested with one neuron below
            }
            check(parameterization, 3, eta);
        }
        check(Parameterization::AdaptiveActivation { per: Per::Layer }, 1, eta);
    }

    fn check(parameterization: Parameterization, neurons: usize, eta: f64) {
        let config = NetworkConfig { parameterization, depth: 0, ..NetworkConfig::new(ArchitectureKind::Mlp, 4, 1) };
        let (network, start) = Network::new(&config, 4, neurons, &mut Rng::new(6)).unwrap();
        let spec = &network.layers[0];
        let found = &factors(&network, &start, &start)[0];
        let wide = |name: &str| -> Vec<f64> {
            start.iter().find(|p| p.name == name).unwrap().values.iter().map(|&v| f64::from(v)).collect()
        };
        let column = |values: &[f64]| -> Vec<f64> { (0..4).map(|i| values[i * neurons]).collect() };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let weight = format!("layers.0.{}", parameterization.weight());
        let unit: Vec<f64> = {
            let v = column(&wide(&weight));
            v.iter().map(|x| x / dot(&v, &v).sqrt()).collect()
        };
        let across: Vec<f64> = {
            let any = [0.3, -1.0, 0.7, 0.2];
            let part = dot(&any, &unit);
            let left: Vec<f64> = any.iter().zip(&unit).map(|(a, u)| a - part * u).collect();
            left.iter().map(|x| x / dot(&left, &left).sqrt()).collect()
        };
        let before = column(&materialize_from(spec, &wide).kernel);
        for (direction, expected) in [(&across, found.rate_across[0]), (&unit, found.rate_along[0])] {
            // dL/dθ by differences of w, in f64: dL = <direction, dw>.
            let pull = |name: &str, i: usize| -> f64 {
                let moved = |by: f64| {
                    column(
                        &materialize_from(spec, &|n| {
                            let mut values = wide(n);
                            if n == name {
                                values[i] += by;
                            }
                            values
                        })
                        .kernel,
                    )
                };
                let (above, below) = (moved(1e-5), moved(-1e-5));
                dot(direction, &above.iter().zip(&below).map(|(a, b)| (a - b) / 2e-5).collect::<Vec<_>>())
            };
            let after = column(
                &materialize_from(spec, &|name| {
                    let mut values = wide(name);
                    let gradient: Vec<f64> = (0..values.len()).map(|i| pull(name, i)).collect();
                    values.iter_mut().zip(gradient).for_each(|(v, g)| *v -= eta * g);
                    values
                })
                .kernel,
            );
            let speed = before.iter().zip(&after).zip(direction).map(|((b, a), d)| (b - a) / eta * d).sum::<f64>();
            assert!((speed / expected - 1.0).abs() < tolerance::RATE, "{parameterization:?}: {speed} {expected}");
        }
    }

    #[test]
    fn change_is_the_distance_over_the_length() {
        let layer = |kernel: Vec<f64>| HostDense { kernel, bias: vec![9.0], inputs: 2, outputs: 1 };
        assert_eq!(change([(&layer(vec![3.0, 8.0]), &layer(vec![3.0, 4.0]))]), 0.8);
    }
}
