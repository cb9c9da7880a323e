//! Host and emulated boards: one hash over all output bits. Set `RWF_FIRMWARE=1` to run the emulators.

use std::{collections::BTreeMap, path::Path, process::Command};

use rwf_probe::{MODELS, Platform};
use rwf_runtime::{
    IntegerModel, Model,
    format::{MathBackend, Precision},
    integer::Bits,
};
use rwf_tests::{Trained, description, points, showcases};
use rwf_trainer::{
    fold::fold,
    network::{ArchitectureKind, NetworkConfig},
    quantize,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn host(file: &[u8]) -> String {
    let hash = match Model::new(file) {
        Ok(model) => rwf_probe::hash(&model, &mut vec![0.0; model.batch_scratch_len()]),
        Err(_) => {
            let model = IntegerModel::new(file).expect("a model");
            rwf_probe::hash_integers(&model, &mut vec![0; model.scratch_len()])
        }
    };
    let hash = hash.expect("a described grid").expect("enough scratch");
    format!("{:016x}", hash.hash)
}

/// Hashes by model, from what a target printed.
fn hashes(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|l| l.split_once(" output-hash "));
    lines.map(|(model, hash)| (model.to_owned(), hash.to_owned())).collect()
}

/// A SIREN in integers whose neurons have phases of every size, so that sums are shifted both ways, and in odd numbers.
fn small_phases() -> Vec<u8> {
    let config = NetworkConfig { omega0: 2.0, ..NetworkConfig::new(ArchitectureKind::Siren, 31, 3) };
    let trained = Trained::new(&config, 10);
    let mut dense = fold(&trained.dense(), &trained.normalization);
    let hidden = dense.layers.len() - 1;
    for layer in &mut dense.layers[1..hidden] {
        let outputs = layer.bias.len();
        let factor = |o: usize| (-3.0 * (o % 4) as f64).exp2();
        layer.kernel.iter_mut().enumerate().for_each(|(i, w)| *w *= factor(i % outputs));
        layer.bias.iter_mut().enumerate().for_each(|(o, b)| *b *= factor(o));
    }
    let bits = vec![Bits::Eight; quantize::narrow_layers(&dense)];
    let file = quantize::model(&dense, &description(), &bits, &trained.physical(&points(256, 11))).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let shifts = tensors.iter().filter(|(name, _)| name.ends_with("shift")).flat_map(|(_, t)| t.data().to_vec());
    let negative = shifts.filter(|s| (*s as i8) < 0).count();
    assert!(negative > 10, "{negative} of the shifts go right");
    file
}

/// Golden bits: a change of one of them is a change of the format's promise. `firmware-example/table --check` holds
/// every emulated target to the same record.
#[test]
fn the_committed_models_have_the_bits_they_always_had_on_every_target() {
    let record = std::fs::read(root().join("firmware-example/instructions.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let boards = record["boards"].as_object().unwrap();
    assert!(boards.len() >= 7, "{:?}", boards.keys());
    assert!(MODELS.len() >= 10);
    for (board, models) in boards {
        for (name, file) in MODELS {
            // The browser's module of this table is the one for floats.
            if board == "wasm32" && Model::new(file).is_err() {
                continue;
            }
            assert_eq!(models[name]["output-hash"], host(file), "{board} {name}");
        }
    }
    let portrait = std::fs::read(root().join("firmware-example/wasm/page/portrait.safetensors")).unwrap();
    assert_eq!(host(&portrait), "32c4faaafff43877");
}

/// Root mean square over the grid of the committed models in integers, against their kin in f32, of the signal's range.
/// They are two trainings, so that the difference holds both errors.
#[test]
fn integer_models_are_within_a_percent_of_floats() {
    for name in ["siren32", "fourier"] {
        let file = |precision: &str| {
            let name = format!("{name}-{precision}");
            MODELS.iter().find(|(n, _)| **n == name).expect("a committed model").1
        };
        let (float, integer) = (Model::new(file("f32")).unwrap(), IntegerModel::new(file("int8")).unwrap());
        let (mut scratch, mut narrow) = (vec![0.0; float.scratch_len()], vec![0; integer.scratch_len()]);
        let domain = |axis, k: usize| {
            let input = float.input(axis).unwrap();
            input.lo + (input.hi - input.lo) * k as f32 / 24.0
        };
        let (mut squares, mut range) = (0.0, (f32::INFINITY, f32::NEG_INFINITY));
        for k in 0..25 * 25 {
            let x = [domain(0, k % 25), domain(1, k / 25)];
            let (mut a, mut b) = ([0.0], [0.0]);
            float.eval(&x, &mut a, &mut scratch).unwrap();
            integer.eval(&x, &mut b, &mut narrow).unwrap();
            squares += (a[0] - b[0]).powi(2);
            range = (range.0.min(a[0]), range.1.max(a[0]));
        }
        let rms = (squares / 625.0).sqrt() / (range.1 - range.0);
        assert!(rms > 0.0 && rms < 0.01, "{name}: {rms}");
    }
}

#[test]
fn the_host_prints_the_lines_of_a_target() {
    struct Lines(String);
    impl Platform for Lines {
        fn text(&mut self, text: &str) {
            self.0.push_str(text);
        }
    }
    let mut lines = Lines(String::new());
    assert!(rwf_probe::report(&mut lines, &mut [0.0; 4096]), "{}", lines.0);
    let expected: BTreeMap<_, _> = MODELS.iter().map(|(name, file)| ((*name).to_owned(), host(file))).collect();
    assert_eq!(hashes(&lines.0), expected);
    let mut short = Lines(String::new());
    assert!(!rwf_probe::report(&mut short, &mut [0.0; 8]));
    assert!(short.0.contains("FAILED needs more scratch"), "{}", short.0);
}

#[test]
fn the_emulators_give_the_bits_of_the_host() {
    if std::env::var_os("RWF_FIRMWARE").is_none() {
        eprintln!("skipped: set RWF_FIRMWARE=1 to run the emulators (.ci/check firmware does)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    for (name, config) in showcases() {
        let trained = Trained::new(&config, 10);
        for precision in Precision::ALL {
            let file = trained.file(precision, MathBackend::Polynomial);
            let name = format!("{name}-{}", precision.name());
            std::fs::write(folder.path().join(format!("{name}.safetensors")), &file).unwrap();
            expected.insert(name, host(&file));
        }
    }
    let narrow = small_phases();
    std::fs::write(folder.path().join("small-phases.safetensors"), &narrow).unwrap();
    expected.insert("small-phases".to_owned(), host(&narrow));
    for board in ["m4", "m0", "rv32imafc"] {
        let mut run = Command::new(root().join("firmware-example/run"));
        let out = run.arg(folder.path()).arg(board).output().expect("the script starts");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(hashes(&text), expected, "{board}");
    }
}
