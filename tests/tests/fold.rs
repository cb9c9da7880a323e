//! What training evaluates is what is exported: every architecture, parameterization and mapping.

use rwf_runtime::{
    Model,
    format::{MathBackend, Precision},
};
use rwf_tests::{Trained, points};
use rwf_trainer::{
    engine::Engine,
    evaluate::evaluate,
    export,
    fold::{Mask, fold, forward_f64},
    network::{ActivationKind, ArchitectureKind, MappingConfig, NetworkConfig, Parameterization},
    tolerance,
};

const MAPPINGS: [MappingConfig; 4] = [
    MappingConfig::None,
    MappingConfig::PositionalLog { max_power: 3.0, frequencies: 4 },
    MappingConfig::PositionalOctaves { levels: 3, raw: true },
    MappingConfig::Gaussian { frequencies: 8, scale: 2.0 },
];

/// Trainer's forward, f64 oracle on the folded layers, and runtime on the file: all within the bound.
fn check(config: &NetworkConfig) {
    let trained = Trained::new(config, 20);
    let x = points(50, 2);
    let factorized = trained.engine.forward(&x).unwrap();
    let dense = trained.dense();
    let file = trained.file(Precision::F32, MathBackend::Polynomial);
    let model = Model::new(&file).unwrap();
    let exported = evaluate(&model, &trained.physical(&x));
    for (point, x) in x.chunks_exact(2).enumerate() {
        let oracle = forward_f64(&dense, &[f64::from(x[0]), f64::from(x[1])]);
        for (k, oracle) in oracle.into_iter().enumerate() {
            let of_factors = f64::from(factorized[3 * point + k]);
            let n = &trained.normalization;
            let of_file = (f64::from(exported[3 * point + k]) - n.output_centre[k]) / n.output_half[k];
            let bound = tolerance::FORWARD * (1.0 + oracle.abs());
            assert!((of_factors - oracle).abs() < bound, "{config:?}: factors {of_factors}, oracle {oracle}");
            // Physical coordinates and values are rounded to f32 once more, relative to their own size.
            let bound = tolerance::PHYSICAL * (1.0 + n.output_centre[k].abs() / n.output_half[k]);
            assert!((of_file - oracle).abs() < bound, "{config:?}: file {of_file}, oracle {oracle}");
        }
    }
    model.self_test(&mut vec![0.0; model.scratch_len()]).unwrap();
}

/// Outputs that vanish on walls: oracle, file and device arithmetic, in floats of both kinds, scaled and not.
#[test]
fn a_masked_network_vanishes_on_its_walls() {
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::ModifiedMlp] {
        for output_activation in [ActivationKind::Identity, ActivationKind::Sigmoid] {
            let config = NetworkConfig { output_activation, ..NetworkConfig::new(architecture, 12, 2) };
            let mut trained = Trained::new(&config, 5);
            let ranges = [(-0.5, 31.5), (-48.0, -32.0)];
            let walls = [vec![[true, true], [true, false]], vec![[false, false], [false, true]], vec![[false; 2]; 2]];
            trained.normalization.mask = Some(Mask::vanishing(&ranges, &walls));
            let oracle = |x: &[f32]| {
                let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                forward_f64(&fold(&trained.dense(), &trained.normalization), &x)
            };
            let (centre, half) = (&trained.normalization.output_centre, &trained.normalization.output_half);
            for (precision, bound) in [(Precision::F32, tolerance::PHYSICAL), (Precision::F16, 0.02)] {
                let bytes = trained.file(precision, MathBackend::Polynomial);
                let model = Model::new(&bytes).unwrap();
                model.self_test(&mut vec![0.0; model.scratch_len()]).unwrap();
                for x in trained.physical(&points(50, 3)).chunks_exact(2) {
                    for ((found, expected), (half, centre)) in
                        evaluate(&model, x).iter().zip(oracle(x)).zip(half.iter().zip(centre))
                    {
                        let bound = bound * (half + centre.abs());
                        assert!((f64::from(*found) - expected).abs() < bound, "{found} {expected}");
                    }
                }
                // At the very numbers of the walls nothing is left but what is added behind.
                for (x, output) in [([-0.5, -40.0], 0), ([31.5, -35.0], 0), ([3.0, -48.0], 0), ([3.0, -32.0], 1)] {
                    let f16 = if precision == Precision::F16 { 0.1 } else { 0.0 };
                    let found = f64::from(evaluate(&model, &x)[output]);
                    assert!((found - centre[output]).abs() <= f16, "{x:?}: {found} {}", centre[output]);
                }
                assert_ne!(evaluate(&model, &[3.0, -40.0])[0], centre[0] as f32);
            }
            let dense = export::dense(&trained.file(Precision::F32, MathBackend::Polynomial)).unwrap();
            for (a, b) in forward_f64(&dense, &[3.0, -40.0]).iter().zip(oracle(&[3.0, -40.0])) {
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}

#[test]
fn dense_equals_factorized_for_every_combination() {
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
        for parameterization in Parameterization::ALL {
            for mapping in MAPPINGS {
                check(&NetworkConfig {
                    parameterization,
                    mapping,
                    omega0: 10.0,
                    omega0_first: 10.0,
                    ..NetworkConfig::new(architecture, 16, 2)
                });
            }
        }
    }
}

#[test]
fn dense_equals_factorized_for_every_activation() {
    use ActivationKind::{Gelu, Identity, Relu, Sigmoid, Sine, Swish, Tanh};
    for activation in [Identity, Relu, Tanh, Sine, Sigmoid, Gelu, Swish] {
        for output_activation in [Identity, Sigmoid, Tanh] {
            check(&NetworkConfig {
                activation: Some(activation),
                output_activation,
                omega0: 5.0,
                omega0_first: 5.0,
                ..NetworkConfig::new(ArchitectureKind::Mlp, 16, 2)
            });
        }
    }
}

#[test]
fn other_maths_is_recorded_and_close() {
    let [(_, siren), ..] = rwf_tests::showcases();
    let trained = Trained::new(&siren, 20);
    let x = trained.physical(&points(50, 3));
    let values = |math| {
        let file = trained.file(Precision::F32, math);
        let model = Model::new(&file).unwrap();
        assert_eq!(model.math(), math);
        model.self_test(&mut vec![0.0; model.scratch_len()]).unwrap();
        evaluate(&model, &x)
    };
    let own = values(MathBackend::Polynomial);
    let far = |other: Vec<f32>| own.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far(values(MathBackend::Libm)) < 0.05);
    assert_ne!(far(values(MathBackend::Libm)), 0.0);
    assert_ne!(far(values(MathBackend::Micromath)), 0.0);
}
