//! Operators from the trainer's networks to the device: the bits of the host whatever the batch and the address, an input
//! function folded in, and files that are none.

use std::{path::Path, process::Command};

use rwf_runtime::{
    EvalError, LoadError, Model, Operator, SelfTestError,
    error::TensorName,
    format::{MathBackend, Precision},
    operator::OperatorError,
};
use rwf_trainer::{
    container::{self, Stored},
    evaluate::{Evaluate, OfFunction, evaluate, evaluate_operator},
    export::{self, Description},
    fold::{DenseOperator, Normalization},
    network::{ArchitectureKind, DeepOnet, DeepOnetConfig, MappingConfig, Merge, NetworkConfig},
    rng::Rng,
    tolerance,
};

const SENSORS: usize = 30;
const OUTPUTS: usize = 2;

fn description() -> Description {
    Description {
        signal: "operator".into(),
        inputs: "u[V] 1 5;t[s] 0 1;x -2 2".into(),
        outputs: "a 0 1;b[K] 280 320".into(),
        grid: None,
        error: None,
        provenance: "a test".into(),
    }
}

fn dense(architecture: ArchitectureKind, merge: Merge) -> DenseOperator {
    let config = DeepOnetConfig {
        sensors: SENSORS,
        latent: 9,
        merge,
        branch: None,
        branch_hidden: Some(11),
        branch_depth: Some(1),
    };
    let mapping = match architecture {
        ArchitectureKind::Mlp => MappingConfig::None,
        _ => MappingConfig::Gaussian { frequencies: 5, scale: 1.0 },
    };
    let network = NetworkConfig { mapping, omega0: 5.0, omega0_first: 5.0, ..NetworkConfig::new(architecture, 12, 2) };
    let (deeponet, mut start) = DeepOnet::new(&config, &network, 2, OUTPUTS, &Rng::new(7)).unwrap();
    start.iter_mut().filter(|p| p.name == "head.bias").for_each(|p| p.values = vec![0.25, -0.5]);
    let normalization = Normalization {
        input_centre: [vec![3.0; SENSORS], vec![0.5, 0.0]].concat(),
        input_half: [vec![2.0; SENSORS], vec![0.5, 2.0]].concat(),
        output_centre: vec![0.5, 300.0],
        output_half: vec![0.5, 20.0],
        mask: None,
    };
    deeponet.dense_f64(&start).fold(&normalization)
}

fn file(architecture: ArchitectureKind, merge: Merge, precision: Precision) -> Vec<u8> {
    export::operator(&dense(architecture, merge), &description(), precision, MathBackend::Polynomial).unwrap()
}

fn function() -> Vec<f32> {
    let mut rng = Rng::new(1).stream("function");
    (0..SENSORS).map(|_| (3.0 + rng.symmetric(2.0)) as f32).collect()
}

fn points(count: usize) -> Vec<f32> {
    let mut rng = Rng::new(1).stream("points");
    (0..count).flat_map(|_| [rng.uniform() as f32, rng.symmetric(2.0) as f32]).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

const ALL: [ArchitectureKind; 3] = [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp];

#[test]
fn batches_scratch_and_alignment_do_not_change_a_bit() {
    for architecture in ALL {
        for (merge, precision) in
            [(Merge::Dot, Precision::F32), (Merge::Dense, Precision::F32), (Merge::Dot, Precision::F16)]
        {
            let file = file(architecture, merge, precision);
            let operator = Operator::new(&file).unwrap();
            let (u, y) = (function(), points(70));
            let mut scratch = vec![f32::NAN; operator.scratch_len()];
            let mut latent = vec![f32::NAN; operator.latent_len()];
            operator.encode(&u, &mut latent, &mut scratch).unwrap();
            let each = y.chunks_exact(2).flat_map(|y| {
                let mut out = [0.0; OUTPUTS];
                operator.eval(&latent, y, &mut out, &mut scratch).unwrap();
                out
            });
            let one_by_one = bits(&each.collect::<Vec<_>>());
            for length in [operator.scratch_len(), 4 * operator.scratch_len(), operator.batch_scratch_len()] {
                let mut out = vec![0.0; 70 * OUTPUTS];
                operator.eval_batch(&latent, &y, &mut out, &mut vec![f32::NAN; length]).unwrap();
                assert_eq!(bits(&out), one_by_one, "{architecture:?} {merge:?} scratch {length}");
            }
            assert_eq!(bits(&evaluate_operator(&operator, &u, &y)), one_by_one);
            for offset in 0..4 {
                let mut moved = vec![0; offset];
                moved.extend(&file);
                let moved = Operator::new(&moved[offset..]).unwrap();
                assert_eq!(bits(&evaluate_operator(&moved, &u, &y)), one_by_one, "offset {offset}");
                let mut scratch = vec![0.0; moved.self_test_scratch_len()];
                moved.self_test(&mut latent, &mut scratch).unwrap();
            }
            let wrapped = OfFunction::new(operator, u.clone()).unwrap();
            assert_eq!(bits(&wrapped.values(&y)), one_by_one);
            assert_eq!((wrapped.inputs(), wrapped.outputs()), (2, OUTPUTS));
            assert_eq!(wrapped.output(1).unwrap().unit, "K");
        }
    }
}

/// The runtime against the f64 oracle, and the operator against the coordinate network it is at one input function.
#[test]
fn values_are_those_of_the_oracle_and_of_the_folded_network() {
    for architecture in ALL {
        for merge in [Merge::Dot, Merge::Dense] {
            let dense = dense(architecture, merge);
            let file = file(architecture, merge, Precision::F32);
            let operator = Operator::new(&file).unwrap();
            assert_eq!((operator.sensors(), operator.function().unwrap().unit), (SENSORS, "V"));
            let (u, y) = (function(), points(50));
            let found = evaluate_operator(&operator, &u, &y);
            let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let half = [0.5, 20.0];
            for (y, found) in y.chunks_exact(2).zip(found.chunks_exact(OUTPUTS)) {
                for (o, expected) in dense.forward_f64(&wide(&u), &wide(y)).iter().enumerate() {
                    let error = (f64::from(found[o]) - expected).abs() / half[o];
                    assert!(error < tolerance::PHYSICAL, "{architecture:?} {merge:?}: {} {expected}", found[o]);
                }
            }
            let folded = export::of_function(&file, &u, None, None);
            if merge == Merge::Dense && architecture == ArchitectureKind::ModifiedMlp {
                assert!(folded.unwrap_err().contains("gated"));
                continue;
            }
            let folded = folded.unwrap();
            let model = Model::new(&folded).unwrap();
            model.self_test(&mut vec![0.0; model.scratch_len()]).unwrap();
            assert_eq!(model.input(1).unwrap().name, "x");
            for (i, (a, b)) in evaluate(&model, &y).iter().zip(&found).enumerate() {
                let error = f64::from((a - b).abs()) / half[i % OUTPUTS];
                assert!(error < tolerance::FOLDED_OPERATOR, "{architecture:?} {merge:?}: {a} {b}");
            }
            assert!(export::of_function(&file, &u[1..], None, None).unwrap_err().contains("29 values, expected 30"));
        }
    }
}

#[test]
fn wrong_lengths_are_refused_and_leave_the_output_alone() {
    let file = file(ArchitectureKind::Mlp, Merge::Dot, Precision::F32);
    let operator = Operator::new(&file).unwrap();
    let mut scratch = vec![0.0; operator.scratch_len()];
    let mut latent = vec![7.0; operator.latent_len()];
    assert_eq!(operator.encode(&[0.0; 29], &mut latent, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(operator.encode(&[0.0; SENSORS], &mut latent[1..], &mut scratch), Err(EvalError::OutputLength));
    let mut out = [7.0; OUTPUTS];
    assert_eq!(operator.eval(&latent[1..], &[0.0; 2], &mut out, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(operator.eval(&latent, &[0.0; 3], &mut out, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(operator.eval(&latent, &[0.0; 2], &mut [0.0], &mut scratch), Err(EvalError::OutputLength));
    assert_eq!(operator.eval(&latent, &[0.0; 2], &mut out, &mut []), Err(EvalError::ScratchLength));
    assert_eq!(operator.eval_batch(&latent, &[0.0; 5], &mut out, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(operator.self_test(&mut latent, &mut []), Err(SelfTestError::ScratchLength));
    assert_eq!((out, latent[0]), ([7.0; OUTPUTS], 7.0));
}

/// The file with other words and tensors.
fn changed(file: &[u8], word: Option<(&str, &str)>, tensor: Option<(&str, &[usize])>) -> Vec<u8> {
    let (mut words, tensors) = container::read(file).unwrap();
    if let Some((key, value)) = word {
        words.insert(key.into(), value.into());
    }
    let stored = tensors.iter().map(|t| match tensor {
        Some((name, shape)) if name == t.name => Stored::f32(name, shape, &vec![0.5; shape.iter().product()]),
        _ => Stored::f32(t.name.as_str(), &t.shape, &t.values),
    });
    container::write(&stored.collect::<Vec<_>>(), &words)
}

#[test]
fn files_that_are_no_operators_say_why() {
    let good = file(ArchitectureKind::Mlp, Merge::Dense, Precision::F32);
    let error = |bytes: &[u8]| Operator::new(bytes).unwrap_err();
    use OperatorError as E;
    for cut in [0, 7, 100, good.len() - 1] {
        assert_eq!(error(&good[..cut]), E::File(LoadError::Truncated), "{cut}");
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(error(&long), E::File(LoadError::TrailingBytes));
    let word = |key, value| error(&changed(&good, Some((key, value)), None));
    assert_eq!(word("format", "rwf-model"), E::File(LoadError::Foreign));
    assert_eq!(word("format_version", "2"), E::File(LoadError::UnsupportedVersion(2)));
    assert_eq!(word("merge", "sum"), E::Merge);
    assert!(matches!(word("branch.activations", "tanh"), E::Branch(_)));
    assert!(matches!(word("trunk.mapping", "magic"), E::Trunk(LoadError::UnknownWord(_))));
    // What a dense head needs is of no use to an inner product.
    assert_eq!(word("merge", "dot"), E::File(LoadError::UnknownTensor));
    let tensor = |name, shape: &[usize]| error(&changed(&good, None, Some((name, shape))));
    assert_eq!(tensor("head.kernel", &[8, 2]), E::File(LoadError::Shape(TensorName::HeadKernel)));
    assert_eq!(tensor("branch.layers.1.bias", &[8]), E::Branch(LoadError::Shape(TensorName::LayerBias(1))));
    let odd = file(ArchitectureKind::Mlp, Merge::Dot, Precision::F32);
    // 18 numbers are none for each of 4 outputs; the self-test would not fit either, so it is the first thing said.
    assert!(matches!(error(&changed(&odd, None, Some(("head.bias", &[4])))), E::File(LoadError::Shape(_)) | E::Widths));
    assert_eq!(Model::new(&good).unwrap_err(), LoadError::Foreign);
    // Another weight than the samples were made with is seen by the self-test.
    for name in ["branch.layers.0.bias", "trunk.layers.1.bias", "head.bias"] {
        let width = match name {
            "branch.layers.0.bias" => 11,
            "head.bias" => OUTPUTS,
            _ => 12,
        };
        let other = changed(&good, None, Some((name, &[width])));
        let operator = Operator::new(&other).unwrap();
        let (mut latent, mut scratch) = (vec![0.0; operator.latent_len()], vec![0.0; operator.self_test_scratch_len()]);
        let found = operator.self_test(&mut latent, &mut scratch);
        assert!(matches!(found, Err(SelfTestError::Mismatch { .. })), "{name}: {found:?}");
    }
}

/// What `firmware-example/cortex-m/src/operator.rs` hashes: the bits at points along the diagonal of the domain, for an
/// input function that rises.
fn hash(operator: &Operator<'_>) -> u64 {
    let (function, sensors) = (operator.function().unwrap(), operator.sensors());
    let u: Vec<f32> =
        (0..sensors).map(|i| function.lo + (function.hi - function.lo) * (i as f32 / sensors as f32)).collect();
    let points: Vec<f32> = (0..64)
        .flat_map(|k| (0..operator.inputs()).map(move |axis| (axis, k as f32 / 64.0)))
        .map(|(axis, at)| {
            let q = operator.input(axis).unwrap();
            q.lo + (q.hi - q.lo) * at
        })
        .collect();
    let values = evaluate_operator(operator, &u, &points);
    let bytes = values.iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn an_emulated_board_gives_the_bits_of_the_host() {
    if std::env::var_os("RWF_FIRMWARE").is_none() {
        eprintln!("skipped: set RWF_FIRMWARE=1 to run the emulator (.ci/check firmware does)");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let folder = tempfile::tempdir().unwrap();
    for (architecture, merge) in [(ArchitectureKind::ModifiedMlp, Merge::Dot), (ArchitectureKind::Siren, Merge::Dense)]
    {
        let file = file(architecture, merge, Precision::F32);
        let path = folder.path().join(format!("{architecture:?}.safetensors"));
        std::fs::write(&path, &file).unwrap();
        let mut build = Command::new(root.join("firmware-example/cross"));
        build.args(["thumbv7em-none-eabihf", "build", "--release", "-p", "rwf-cortex-m"]);
        build.args(["--features", "operator", "--bin", "rwf-operator", "--message-format=json"]);
        let out = build.env("RWF_OPERATOR", &path).output().expect("the script starts");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let mut executable = text.lines().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line.get("executable")?.as_str()?.to_owned())
        });
        let elf = executable.next_back().expect("an executable");
        let mut run = Command::new("qemu-system-arm");
        run.args(["-semihosting-config", "enable=on,target=native", "-serial", "none", "-machine", "mps2-an386"]);
        let run = run.args(["-display", "none", "-monitor", "none", "-kernel", &elf]).output().expect("QEMU starts");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let expected = format!("self-test passed\nhash {:016x}\n", hash(&Operator::new(&file).unwrap()));
        assert_eq!(said, expected, "{architecture:?} {merge:?}");
        assert!(run.status.success());
    }
}
