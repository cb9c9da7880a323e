//! Networks in integers: close to their floats, the same through every door, refused when a sum could overflow.

use rwf_runtime::{
    IntegerModel, LoadError, Model,
    format::{MathBackend, Precision},
    integer::Bits,
};
use rwf_tests::{Trained, description, points};
use rwf_trainer::{
    fold::fold,
    network::{ActivationKind, ArchitectureKind, MappingConfig, NetworkConfig},
    quantize,
};

/// The same network in floats and, with these bits throughout, in integers; and calibration points.
fn both(config: &NetworkConfig, bits: Bits) -> (Vec<u8>, Vec<u8>, Vec<f32>) {
    let trained = Trained::new(config, 60);
    let dense = fold(&trained.dense(), &trained.normalization);
    let x = trained.physical(&points(256, 11));
    let bits = vec![bits; quantize::narrow_layers(&dense)];
    let integer = quantize::model(&dense, &description(), &bits, &x).unwrap();
    (trained.file(Precision::F32, MathBackend::Polynomial), integer, x)
}

fn siren() -> NetworkConfig {
    NetworkConfig { omega0: 20.0, omega0_first: 10.0, ..NetworkConfig::new(ArchitectureKind::Siren, 32, 3) }
}

fn fourier() -> NetworkConfig {
    NetworkConfig {
        activation: Some(ActivationKind::Relu),
        mapping: MappingConfig::Gaussian { frequencies: 16, scale: 2.0 },
        ..NetworkConfig::new(ArchitectureKind::Mlp, 32, 2)
    }
}

#[test]
fn a_siren_and_a_relu_fourier_network_stay_within_a_percent_of_the_range() {
    for config in [siren(), fourier()] {
        for (bits, rms) in [(Bits::Eight, 0.01), (Bits::Sixteen, 0.001)] {
            let (float, integer, x) = both(&config, bits);
            let (float, integer) = (Model::new(&float).unwrap(), IntegerModel::new(&integer).unwrap());
            let added = quantize::added(&float, &integer, &x);
            assert!(added.rms < rms && added.max < 5.0 * rms, "{:?} {bits:?}: {added:?}", config.architecture);
            assert!(added.rms > 0.0);
            integer.self_test(&mut vec![0; integer.scratch_len()]).unwrap();
        }
    }
}

#[test]
fn every_activation_and_mapping_has_its_integers() {
    use ActivationKind::{Gelu, Identity, Relu, Sigmoid, Sine, Swish, Tanh};
    for activation in [Identity, Relu, Tanh, Sine, Sigmoid, Gelu, Swish] {
        for mapping in [MappingConfig::None, MappingConfig::PositionalOctaves { levels: 2, raw: true }] {
            for output_activation in [Identity, Sigmoid] {
                let config = NetworkConfig {
                    activation: Some(activation),
                    mapping,
                    output_activation,
                    omega0: 3.0,
                    omega0_first: 3.0,
                    ..NetworkConfig::new(ArchitectureKind::Mlp, 16, 2)
                };
                let (float, integer, x) = both(&config, Bits::Sixteen);
                let (float, integer) = (Model::new(&float).unwrap(), IntegerModel::new(&integer).unwrap());
                let added = quantize::added(&float, &integer, &x);
                assert!(added.rms < 0.004, "{activation:?} {mapping:?} {output_activation:?}: {added:?}");
            }
        }
    }
}

#[test]
fn a_modified_mlp_has_its_integers() {
    use ActivationKind::{Gelu, Relu, Sine, Tanh};
    for activation in [Tanh, Gelu, Relu, Sine] {
        for mapping in [MappingConfig::None, MappingConfig::PositionalOctaves { levels: 2, raw: true }] {
            let config = NetworkConfig {
                activation: Some(activation),
                mapping,
                omega0: 3.0,
                omega0_first: 3.0,
                ..NetworkConfig::new(ArchitectureKind::ModifiedMlp, 16, 2)
            };
            for (bits, rms) in [(Bits::Eight, 0.01), (Bits::Sixteen, 0.004)] {
                let (float, integer, x) = both(&config, bits);
                let (float, integer) = (Model::new(&float).unwrap(), IntegerModel::new(&integer).unwrap());
                assert_eq!(integer.architecture().gate, float.architecture().gate);
                let added = quantize::added(&float, &integer, &x);
                assert!(added.rms < rms && added.rms > 0.0, "{activation:?} {mapping:?} {bits:?}: {added:?}");
                integer.self_test(&mut vec![0; integer.scratch_len()]).unwrap();
            }
        }
    }
}

#[test]
fn narrow_weights_pack_and_err_in_their_order() {
    let errors = Bits::ALL.map(|bits| {
        let (float, integer, x) = both(&fourier(), bits);
        let model = IntegerModel::new(&integer).unwrap();
        assert_eq!(model.bits(0), Some(bits));
        (quantize::added(&Model::new(&float).unwrap(), &model, &x).rms, model.weight_bytes())
    });
    for pair in errors.windows(2) {
        assert!(pair[0].0 > pair[1].0 && pair[0].1 < pair[1].1, "{errors:?}");
    }
}

#[test]
fn integers_in_and_out_are_what_floats_are_converted_to() {
    let (_, integer, x) = both(&siren(), Bits::Eight);
    let mut at_its_place = None;
    for offset in 0..4 {
        let mut moved = vec![0; offset];
        moved.extend(&integer);
        let model = IntegerModel::new(&moved[offset..]).unwrap();
        let mut scratch = vec![7; model.scratch_len()];
        let mut all = vec![0.0; 3 * 256];
        model.eval(&x, &mut all, &mut scratch).unwrap();
        model.self_test(&mut scratch).unwrap();
        let bits: Vec<u32> = all.iter().map(|y| y.to_bits()).collect();
        assert_eq!(at_its_place.get_or_insert_with(|| bits.clone()), &bits, "offset {offset}");
        for (x, y) in x.chunks_exact(2).zip(all.chunks_exact(3)) {
            let point = [model.to_integer(0, x[0]), model.to_integer(1, x[1])];
            let mut found = [0; 3];
            model.eval_integers(&point, &mut found, &mut scratch).unwrap();
            for k in 0..3 {
                assert_eq!(model.to_physical(k, found[k]).to_bits(), y[k].to_bits());
            }
        }
    }
    assert_eq!(Model::new(&integer).unwrap_err(), LoadError::Integer);
}

#[test]
fn damaged_integer_files_are_refused_or_evaluate_without_panic() {
    let (float, integer, _) = both(&fourier(), Bits::Six);
    assert_eq!(IntegerModel::new(&float).unwrap_err(), LoadError::NotInteger);
    let mut state = 1u32;
    for round in 0..3000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut bad = integer.clone();
        let at = state as usize % bad.len();
        bad[at] ^= 1 << (round % 8);
        if let Ok(model) = IntegerModel::new(&bad) {
            let mut y = vec![0.0; model.outputs()];
            model.eval(&vec![1.0; model.inputs()], &mut y, &mut vec![0; model.scratch_len()]).unwrap();
        }
    }
    for length in (0..integer.len()).step_by(37) {
        assert!(IntegerModel::new(&integer[..length]).is_err());
    }
}

#[test]
fn a_layer_whose_sums_could_overflow_is_named() {
    let config =
        NetworkConfig { activation: Some(ActivationKind::Relu), ..NetworkConfig::new(ArchitectureKind::Mlp, 4, 2) };
    let trained = Trained::new(&config, 0);
    let mut dense = fold(&trained.dense(), &trained.normalization);
    // 2,048 weights of one size in a neuron: 127·2048·2^15 is beyond 32 bits.
    let wide = 2048;
    let widen = |layer: &mut rwf_trainer::network::HostDense, inputs: usize, outputs: usize| {
        // A bias that keeps every relu open: the range of a layer that is always 0 would be refused before.
        (layer.kernel, layer.bias) = (vec![0.01; inputs * outputs], vec![1.0; outputs]);
        (layer.inputs, layer.outputs) = (inputs, outputs);
    };
    widen(&mut dense.layers[0], 2, wide);
    widen(&mut dense.layers[1], wide, 4);
    dense.architecture.layers[0].outputs = wide;
    dense.architecture.layers[1].inputs = wide;
    let x = trained.physical(&points(16, 1));
    let error = quantize::model(&dense, &description(), &[Bits::Eight; 2], &x).unwrap_err();
    assert!(error.to_string().contains("layers.1.weight"), "{error}");
}

const GOLDEN: [&str; 4] = [
    "fourier_mixed f3b51b15f4aa1af7",
    "mlp_int16 5b5c914eaae0343a",
    "modified_int8 52a73f0f95b6e31c",
    "siren_int8 7652f0621b574c42",
];

fn golden(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.safetensors"))
}

/// A change of one of these hashes is a change of the format's promise.
#[test]
fn golden_files_have_the_bits_they_always_had() {
    let found = ["fourier_mixed", "mlp_int16", "modified_int8", "siren_int8"].map(|name| {
        let file = std::fs::read(golden(name)).unwrap();
        let model = IntegerModel::new(&file).unwrap();
        let mut scratch = vec![0; model.scratch_len()];
        let mut hash = rwf_probe::HASH_START;
        for i in -40i32..40 {
            let x: Vec<i16> = (0..model.inputs() as i32).map(|k| (i * 811 + k * 9973) as i16).collect();
            let mut y = vec![0; model.outputs()];
            model.eval_integers(&x, &mut y, &mut scratch).unwrap();
            hash = rwf_probe::hash_values(hash, &y.iter().map(|y| f32::from(*y)).collect::<Vec<_>>());
        }
        format!("{name} {hash:016x}")
    });
    assert_eq!(found, GOLDEN);
}

/// Files whose bits are a promise; `golden_files_have_the_bits_they_always_had` and the build-time models read them.
#[test]
#[ignore = "writes the golden files anew"]
fn make_golden_files() {
    let write = |name: &str, bytes: &[u8]| std::fs::write(golden(name), bytes).unwrap();
    let small = |config: NetworkConfig| NetworkConfig { hidden: 12, ..config };
    let mlp = NetworkConfig { mapping: MappingConfig::None, ..small(fourier()) };
    write("siren_int8", &both(&small(siren()), Bits::Eight).1);
    write("mlp_int16", &both(&NetworkConfig { activation: Some(ActivationKind::Tanh), ..mlp }, Bits::Sixteen).1);
    let trained = Trained::new(&small(fourier()), 60);
    let dense = fold(&trained.dense(), &trained.normalization);
    let x = trained.physical(&points(256, 11));
    let bits = [Bits::Four, Bits::Six, Bits::Eight];
    let modified = NetworkConfig {
        mapping: MappingConfig::PositionalOctaves { levels: 2, raw: true },
        ..NetworkConfig::new(ArchitectureKind::ModifiedMlp, 12, 2)
    };
    write("modified_int8", &both(&modified, Bits::Eight).1);
    write("fourier_mixed", &quantize::model(&dense, &description(), &bits, &x).unwrap());
}
