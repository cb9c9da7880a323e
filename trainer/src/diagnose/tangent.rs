//! The neural tangent kernel (Jacot, Gabriel, Hongler 2018): K_ij = <d f(x_i)/dθ, d f(x_j)/dθ>.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::sensitivity::{Trace, traces};
use crate::network::{DenseSpec, Network, Parameter, Parameterization, Per, Scale, materialize_from, norms};

/// One kernel in two coordinate systems of the same function, `[m, m]` with m = outputs · points, all points of the
/// first output first.
#[derive(Debug, Clone, PartialEq)]
pub struct TangentKernel {
    /// θ: the dense weights and biases.
    pub dense: DMatrix<f64>,
    /// θ: what is trained, factors and all.
    pub trained: DMatrix<f64>,
}

/// The kernel of `network` with these `parameters` at `points` `[n, inputs]` in the network's coordinates.
pub fn tangent_kernel(network: &Network, parameters: &[Parameter], points: &[f64]) -> TangentKernel {
    kernel_from(network, points, &|name| {
        let found = parameters.iter().find(|p| p.name == name).expect("a parameter of the network");
        found.values.iter().map(|&v| f64::from(v)).collect()
    })
}

fn kernel_from(network: &Network, points: &[f64], trained: &dyn Fn(&str) -> Vec<f64>) -> TangentKernel {
    let dense = network.dense_by(&|spec| materialize_from(spec, trained));
    let traces = traces(&dense, points);
    let m = traces[0].x.nrows();
    let mut kernel = TangentKernel { dense: DMatrix::zeros(m, m), trained: DMatrix::zeros(m, m) };
    for (spec, trace) in network.encoders.iter().chain(&network.layers).zip(&traces) {
        let gram = &trace.x * trace.x.transpose();
        let scaled = &trace.delta * spec.gain;
        let delta_gram = &scaled * scaled.transpose();
        // dW = x·deltaᵀ and db = delta, so the layer's part is (delta·delta)(x·x + 1).
        kernel.dense += delta_gram.component_mul(&gram.add_scalar(1.0));
        kernel.trained += pulled_back(spec, trace, &gram, &delta_gram, trained);
    }
    kernel
}

/// A layer's part of the kernel in the numbers that are trained. With w the dense weight, a row of the Jacobian is
/// J_w·dw/dθ, and dw/dθ is diagonal but for one direction a neuron; so nothing larger than `[m, m]` is built.
fn pulled_back(
    spec: &DenseSpec,
    trace: &Trace,
    gram: &DMatrix<f64>,
    delta_gram: &DMatrix<f64>,
    trained: &dyn Fn(&str) -> Vec<f64>,
) -> DMatrix<f64> {
    let get = |suffix: &str| trained(&format!("{}.{suffix}", spec.name));
    let scaled = &trace.delta * spec.gain;
    // Columns of delta, each times its neuron's factor.
    let columns = |factor: &dyn Fn(usize) -> f64| {
        let mut out = scaled.clone();
        out.column_iter_mut().enumerate().for_each(|(o, mut c)| c *= factor(o));
        out
    };
    let square = |m: &DMatrix<f64>| m * m.transpose();
    let bias = dense_bias(spec, trained);
    // x·w for every neuron, before gain and bias.
    let product = DMatrix::from_fn(trace.z.nrows(), spec.outputs, |i, o| trace.z[(i, o)] / spec.gain - bias[o]);
    match spec.parameterization {
        Parameterization::Plain => delta_gram.component_mul(&gram.add_scalar(1.0)),
        Parameterization::AdaptiveActivation { per } => {
            let a = get("a");
            let a = |o: usize| a[o % a.len()];
            // df/da = delta·(x·w + b)/a, summed over the neurons that share it.
            let each = columns(&|o| 1.0 / a(o)).component_mul(&(trace.z.clone() / spec.gain));
            let slopes = match per {
                Per::Neuron => square(&each),
                Per::Layer => {
                    let sum: DVector<f64> = each.column_sum();
                    &sum * sum.transpose()
                }
            };
            square(&columns(&a)).component_mul(&gram.add_scalar(1.0)) + slopes
        }
        Parameterization::WeightNorm => {
            let (g, norm) = (get("g"), norms(&get("v"), spec.outputs));
            // w = g·v/|v|: dv is g/|v| times what is left of dw across v, dg what lies along it.
            let along = DMatrix::from_fn(product.nrows(), spec.outputs, |i, o| product[(i, o)] / g[o]);
            let ratio = columns(&|o| g[o] / norm[o]);
            square(&ratio).component_mul(gram) - square(&ratio.component_mul(&along))
                + square(&scaled.component_mul(&along))
                + delta_gram
        }
        Parameterization::RandomWeightFactorization { scale, .. } => {
            let raw = get(if scale == Scale::Log { "s" } else { "g" });
            let factor = |o: usize| if scale == Scale::Log { raw[o].exp() } else { raw[o] };
            // Log scale: dw/ds = w. Direct: dw/dg = w/g.
            let per_scale = match scale {
                Scale::Log => scaled.component_mul(&product),
                Scale::Direct => columns(&|o| 1.0 / raw[o]).component_mul(&product),
            };
            square(&columns(&factor)).component_mul(gram) + square(&per_scale) + delta_gram
        }
    }
}

/// The dense bias without the gain.
fn dense_bias(spec: &DenseSpec, trained: &dyn Fn(&str) -> Vec<f64>) -> Vec<f64> {
    materialize_from(spec, trained).bias.into_iter().map(|b| b / spec.gain).collect()
}

/// Eigenvalues of a symmetric matrix, largest first; those that rounding made negative are 0.
pub fn spectrum(kernel: DMatrix<f64>) -> Vec<f64> {
    let mut values: Vec<f64> = SymmetricEigen::new(kernel).eigenvalues.iter().map(|v| v.max(0.0)).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// How many directions a spectrum effectively has, (Σλ)²/Σλ² (participation ratio), 1 to the number of eigenvalues.
pub fn participation(spectrum: &[f64]) -> f64 {
    let sum: f64 = spectrum.iter().sum();
    sum * sum / spectrum.iter().map(|v| v * v).sum::<f64>()
}

/// Share of the eigenvalues that are at least `fraction` of the largest, 0 to 1: how flat a spectrum is.
pub fn share_above(spectrum: &[f64], fraction: f64) -> f64 {
    let largest = spectrum.iter().copied().fold(0.0, f64::max);
    spectrum.iter().filter(|v| **v >= fraction * largest).count() as f64 / spectrum.len() as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        fold::forward_f64,
        network::{ActivationKind, ArchitectureKind, MappingConfig, NetworkConfig},
        rng::Rng,
        tolerance,
    };

    type Trained = BTreeMap<String, Vec<f64>>;

    fn outputs(
        network: &Network,
        trained: &Trained,
        points: &[f64],
        change: &dyn Fn(&mut crate::network::HostDense, &str),
    ) -> Vec<f64> {
        let dense = network.dense_by(&|spec| {
            let mut dense = materialize_from(spec, &|name| trained[name].clone());
            change(&mut dense, &spec.name);
            dense
        });
        let each: Vec<Vec<f64>> = points.chunks(2).map(|x| forward_f64(&dense, x)).collect();
        (0..each[0].len()).flat_map(|k| each.iter().map(move |y| y[k])).collect()
    }

    /// Every derivative by central differences, in f64: a column of the Jacobian for each trained number.
    fn brute_force(network: &Network, trained: &Trained, points: &[f64]) -> TangentKernel {
        let h = 1e-5;
        let column = |above: Vec<f64>, below: Vec<f64>, by: f64| -> DVector<f64> {
            DVector::from_iterator(above.len(), above.iter().zip(&below).map(|(a, b)| (a - b) / by))
        };
        let m = outputs(network, trained, points, &|_, _| {}).len();
        let mut kernel = TangentKernel { dense: DMatrix::zeros(m, m), trained: DMatrix::zeros(m, m) };
        for (name, values) in trained {
            for i in 0..values.len() {
                let moved = |by: f64| {
                    let mut trained = trained.clone();
                    trained.get_mut(name).unwrap()[i] += by;
                    outputs(network, &trained, points, &|_, _| {})
                };
                let j = column(moved(h), moved(-h), 2.0 * h);
                kernel.trained += &j * j.transpose();
            }
        }
        for spec in network.encoders.iter().chain(&network.layers) {
            for i in 0..spec.inputs * spec.outputs + spec.outputs {
                let moved = |by: f64| {
                    outputs(network, trained, points, &|dense, name| {
                        if name == spec.name {
                            let weights = dense.kernel.len();
                            let at = if i < weights { &mut dense.kernel[i] } else { &mut dense.bias[i - weights] };
                            // omega0 belongs to the architecture: a dense weight is what it multiplies.
                            *at += by * spec.gain;
                        }
                    })
                };
                let j = column(moved(h), moved(-h), 2.0 * h);
                kernel.dense += &j * j.transpose();
            }
        }
        kernel
    }

    #[test]
    fn the_kernel_equals_a_brute_force_jacobian_in_both_coordinates() {
        let mappings = [MappingConfig::None, MappingConfig::PositionalOctaves { levels: 2, raw: true }];
        for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
            for parameterization in Parameterization::ALL {
                for mapping in mappings {
                    let config = NetworkConfig {
                        parameterization,
                        mapping,
                        omega0: 3.0,
                        omega0_first: 3.0,
                        ..NetworkConfig::new(architecture, 5, 2)
                    };
                    check(&config);
                }
            }
        }
        for activation in [ActivationKind::Sigmoid, ActivationKind::Gelu, ActivationKind::Swish] {
            let activation = Some(activation);
            check(&NetworkConfig { activation, ..NetworkConfig::new(ArchitectureKind::Mlp, 4, 2) });
            let output_activation = ActivationKind::Sigmoid;
            check(&NetworkConfig { activation, output_activation, ..NetworkConfig::new(ArchitectureKind::Mlp, 4, 1) });
        }
    }

    fn check(config: &NetworkConfig) {
        let mut rng = Rng::new(8);
        let (network, start) = Network::new(config, 2, 2, &mut rng).unwrap();
        // Away from the start, where an adaptive activation's slope is not 1 and no bias 0.
        let trained: Trained = start
            .iter()
            .map(|p| (p.name.clone(), p.values.iter().map(|v| f64::from(*v) * 1.1 + 0.05 * rng.normal()).collect()))
            .collect();
        let points: Vec<f64> = (0..10).map(|_| rng.symmetric(1.0)).collect();
        let found = kernel_from(&network, &points, &|name| trained[name].clone());
        let expected = brute_force(&network, &trained, &points);
        for (found, expected) in [(found.dense, expected.dense), (found.trained, expected.trained)] {
            let error = (&found - &expected).abs().max() / expected.abs().max();
            assert!(error < tolerance::KERNEL, "{config:?}: {error:e}");
            let (found, expected) = (spectrum(found), spectrum(expected));
            for (found, expected_one) in found.iter().zip(&expected) {
                assert!((found - expected_one).abs() < tolerance::KERNEL * expected[0], "{found} {expected_one}");
            }
        }
    }

    #[test]
    fn plain_weights_have_one_kernel_only() {
        let config = NetworkConfig {
            parameterization: Parameterization::Plain,
            ..NetworkConfig::new(ArchitectureKind::Mlp, 6, 2)
        };
        let (network, start) = Network::new(&config, 1, 1, &mut Rng::new(0)).unwrap();
        let kernel = tangent_kernel(&network, &start, &[-0.5, 0.1, 0.9]);
        assert_eq!(kernel.dense, kernel.trained);
    }

    #[test]
    fn flatness_of_known_spectra() {
        assert!((participation(&[2.0, 2.0, 2.0, 2.0]) - 4.0).abs() < 1e-12);
        assert!((participation(&[3.0, 0.0]) - 1.0).abs() < 1e-12);
        assert_eq!(share_above(&[1.0, 0.1, 0.001, 0.0], 0.01), 0.5);
    }
}
