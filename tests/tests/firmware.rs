//! Host and emulated boards: one hash over all output bits. Set `RWF_FIRMWARE=1` to run the emulators.

use std::{collections::BTreeMap, path::Path, process::Command};

use rwf_probe::{MODELS, Platform};
use rwf_runtime::format::{MathBackend, Precision};
use rwf_tests::{Trained, showcases};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn host(file: &[u8]) -> String {
    let model = rwf_runtime::Model::new(file).expect("a model");
    let mut scratch = vec![0.0; model.batch_scratch_len()];
    let hash = rwf_probe::hash(&model, &mut scratch).expect("a described grid").expect("enough scratch");
    format!("{:016x}", hash.hash)
}

/// Hashes by model, from what a target printed.
fn hashes(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|l| l.split_once(" output-hash "));
    lines.map(|(model, hash)| (model.to_owned(), hash.to_owned())).collect()
}

/// Golden bits: a change of one of them is a change of the format's promise. `firmware-example/table --check` holds
/// every emulated target to the same record.
#[test]
fn the_committed_models_have_the_bits_they_always_had_on_every_target() {
    let record = std::fs::read(root().join("firmware-example/instructions.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let boards = record["boards"].as_object().unwrap();
    assert!(boards.len() >= 7, "{:?}", boards.keys());
    assert!(MODELS.len() >= 8);
    for (board, models) in boards {
        for (name, file) in MODELS {
            assert_eq!(models[name]["output-hash"], host(file), "{board} {name}");
        }
    }
    let portrait = std::fs::read(root().join("firmware-example/wasm/page/portrait.safetensors")).unwrap();
    assert_eq!(host(&portrait), "32c4faaafff43877");
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
    for board in ["m4", "m0", "rv32imafc"] {
        let mut run = Command::new(root().join("firmware-example/run"));
        let out = run.arg(folder.path()).arg(board).output().expect("the script starts");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(hashes(&text), expected, "{board}");
    }
}
