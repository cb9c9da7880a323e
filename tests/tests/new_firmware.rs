//! Projects that `rwf new-firmware` makes, built and started as their README says; set `RWF_FIRMWARE=1`.

use std::{path::Path, process::Command};

use rwf_runtime::{IntegerModel, Model};
use rwf_trainer::firmware::{self, Target};

/// What the program prints: the values in the middle of the domain, as bits.
fn expected(file: &[u8]) -> String {
    let bits = |values: &[f32]| -> String {
        let line = |(k, v): (usize, &f32)| {
            let thousandths = (f64::from(v * 1000.0) + if *v < 0.0 { -0.5 } else { 0.5 }).trunc();
            format!("value {k} = {thousandths} thousandths, bits {:08x}\n", v.to_bits())
        };
        "self-test passed\n".to_owned() + &values.iter().enumerate().map(line).collect::<String>()
    };
    if let Ok(model) = Model::new(file) {
        let middle = |i| model.input(i).map(|q| 0.5 * (q.lo + q.hi)).unwrap();
        let (x, mut y): (Vec<f32>, _) = ((0..model.inputs()).map(middle).collect(), vec![0.0; model.outputs()]);
        model.eval(&x, &mut y, &mut vec![0.0; model.scratch_len()]).unwrap();
        return bits(&y);
    }
    let model = IntegerModel::new(file).unwrap();
    let middle = |i| model.input(i).map(|q| 0.5 * (q.lo + q.hi)).unwrap();
    let (x, mut y): (Vec<f32>, _) = ((0..model.inputs()).map(middle).collect(), vec![0.0; model.outputs()]);
    model.eval(&x, &mut y, &mut vec![0; model.scratch_len()]).unwrap();
    bits(&y)
}

#[test]
fn projects_build_start_and_give_the_bits_of_the_host() {
    if std::env::var_os("RWF_FIRMWARE").is_none() {
        eprintln!("skipped: set RWF_FIRMWARE=1 to build and run the projects (.ci/check firmware does)");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let runtime = format!("path = {:?}", root.join("runtime"));
    let folder = tempfile::tempdir().unwrap();
    let model = |name: &str| root.join(name);
    for (target, file) in [
        (Target::Thumbv7em, "firmware-example/wasm/page/portrait.safetensors"),
        (Target::Thumbv6m, "tests/golden/siren_int8.safetensors"),
        (Target::Riscv32imc, "tests/golden/fourier_mixed.safetensors"),
        (Target::Wasm32, "firmware-example/models/modified-f32.safetensors"),
    ] {
        let triple = target.triple();
        let project = folder.path().join(triple);
        let bytes = std::fs::read(model(file)).unwrap();
        let name = firmware::package_name(&project);
        let files = firmware::project(&bytes, Path::new(file), &name, target, &runtime).unwrap();
        firmware::write(&project, &files).unwrap();
        let cargo = |words: &[&str]| {
            let mut cargo = Command::new("cargo");
            // Built once for all projects, and kept from run to run.
            cargo.args(words).current_dir(&project).env("CARGO_TARGET_DIR", root.join("target/new-firmware"));
            let out = cargo.env_remove("RUSTFLAGS").output().expect("cargo starts");
            let text = String::from_utf8_lossy(&out.stdout).replace('\r', "");
            assert!(out.status.success(), "{triple} {words:?}: {text}\n{}", String::from_utf8_lossy(&out.stderr));
            text
        };
        let found = if target == Target::Wasm32 {
            cargo(&["build", "--release", "--quiet"]);
            let module = root.join("target/new-firmware").join(triple).join("release/firmware.wasm");
            let out = Command::new("node").arg("run.mjs").arg(module).current_dir(&project).output().expect("node");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8_lossy(&out.stdout).into_owned()
        } else {
            cargo(&["run", "--release", "--quiet"])
        };
        assert_eq!(found, expected(&bytes), "{triple}");
        // The network's own samples, as a test on the workstation.
        if target == Target::Thumbv7em {
            let host = Command::new("rustc").arg("-vV").output().expect("rustc starts").stdout;
            let host = String::from_utf8_lossy(&host).into_owned();
            let host = host.lines().find_map(|l| l.strip_prefix("host: ")).expect("a host").to_owned();
            let text = cargo(&["test", "--lib", "--quiet", "--target", &host]);
            assert!(text.contains("1 passed"), "{text}");
        }
    }
}
