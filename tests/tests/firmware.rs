//! Host and emulated Cortex-M4F: one hash over all output bits. Set `RWF_FIRMWARE=1` to run the emulator.

use std::{path::Path, process::Command};

use rwf_runtime::{
    Model,
    format::{MathBackend, Precision},
};
use rwf_tests::{Trained, showcases};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn host(file: &[u8]) -> String {
    let model = Model::new(file).expect("a model");
    let mut scratch = vec![0.0; model.batch_scratch_len()];
    let hash = rwf_probe::hash(&model, &mut scratch).expect("a described grid").expect("enough scratch");
    format!("{:016x}", hash.hash)
}

fn emulator(path: &Path) -> String {
    let out = Command::new(root().join("firmware-example/run")).arg(path).output().expect("the script starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("self-test: passed"), "{text}");
    let hash = text.lines().find_map(|l| l.strip_prefix("output hash: "));
    hash.unwrap_or_else(|| panic!("no hash in\n{text}")).to_owned()
}

/// Golden bits: a change of one of them is a change of the format's promise.
#[test]
fn the_committed_model_has_the_bits_it_always_had() {
    let file = std::fs::read(root().join("firmware-example/cortex-m/model.safetensors")).unwrap();
    assert_eq!(host(&file), "32c4faaafff43877");
}

#[test]
fn the_emulator_gives_the_bits_of_the_host() {
    if std::env::var_os("RWF_FIRMWARE").is_none() {
        eprintln!("skipped: set RWF_FIRMWARE=1 to run the emulator (.ci/check firmware does)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, config) in showcases() {
        let trained = Trained::new(&config, 10);
        for precision in Precision::ALL {
            let file = trained.file(precision, MathBackend::Polynomial);
            let path = folder.path().join(format!("{name}-{}.safetensors", precision.name()));
            std::fs::write(&path, &file).unwrap();
            assert_eq!(emulator(&path), host(&file), "{name} {precision:?}");
        }
    }
}
