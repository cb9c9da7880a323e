//! From a model file to what is built with it: integer files through every command, Rust modules, firmware projects.

mod common;

use common::Bench;

const QUICK: &str = "--hidden 8 --depth 2 --steps 30";

/// A bench with a model in floats, `t.safetensors`, and the same in integers, `t-int8.safetensors`.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok(&format!("fit t.csv {QUICK}"));
    bench.ok("export t.run --precision int8 --tune 5");
    bench
}

#[test]
fn integer_files_are_described_evaluated_and_decoded() {
    let bench = bench();
    let info = bench.ok("info t-int8.safetensors");
    for words in ["integers of 32,8,8 bits", "self-test      passed", "t in 0 .. 9.75 s", "tables of integers"] {
        assert!(info.contains(words), "`{words}` in\n{info}");
    }
    let value = |line: &str| -> f64 { bench.ok(line).rsplit(" = ").next().unwrap().trim().parse().unwrap() };
    let (float, integer) = (value("eval t.safetensors --at 3.5"), value("eval t-int8.safetensors --at 3.5"));
    assert!((float - integer).abs() < 0.1 && float != integer, "{float} {integer}");
    let table = bench.ok("eval t-int8.safetensors --against t.csv");
    assert!(table.contains("temp"), "{table}");
    bench.ok("eval t-int8.safetensors --grid 11 -o decoded.csv");
    assert_eq!(std::fs::read_to_string(bench.path("decoded.csv")).unwrap().lines().count(), 12);
}

#[test]
fn a_rust_module_comes_from_a_run_or_a_model_and_replaces_nothing() {
    let bench = bench();
    bench.ok("export t.safetensors --rust");
    let from_file = std::fs::read_to_string(bench.path("t.rs")).unwrap();
    for words in
        ["pub static MODEL", "pub const MACS: usize = 80;", "fn the_bits_are_those_of_the_file", "`t.safetensors`"]
    {
        assert!(from_file.contains(words), "`{words}` in\n{from_file}");
    }
    bench.refused("export t.safetensors --rust", &["t.rs", "--force"]);
    bench.refused("export t.safetensors --rust --precision f16 -o u.rs", &["--precision", "run"]);
    bench.ok("export t.run --rust -o u.rs");
    let from_run = std::fs::read_to_string(bench.path("u.rs")).unwrap();
    let items = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(items(&from_file), items(&from_run));
    bench.ok("export t.run --rust --precision int8 --tune 5 -o v.rs");
    assert!(std::fs::read_to_string(bench.path("v.rs")).unwrap().contains("IntegerModel::from_parts"));
    bench.refused("export t.csv --rust -o w.rs", &["t.csv"]);
    assert!(!bench.path("w.rs").exists());
}

#[test]
fn a_firmware_project_is_whole_or_not_there() {
    let bench = bench();
    let runtime = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime");
    for (target, main) in [
        ("thumbv6m", "src/main.rs"),
        ("thumbv7em", "src/main.rs"),
        ("riscv32imc", "src/main.rs"),
        ("wasm32", "run.mjs"),
    ] {
        bench.ok(&format!("new-firmware t.safetensors --target {target} {target} --runtime {runtime}"));
        for file in
            ["Cargo.toml", ".cargo/config.toml", "build.rs", "README.md", "src/lib.rs", "model.safetensors", main]
        {
            assert!(bench.path(target).join(file).is_file(), "{target} {file}");
        }
        for file in ["Cargo.toml", ".cargo/config.toml", "README.md"] {
            let text = std::fs::read_to_string(bench.path(target).join(file)).unwrap();
            assert!(!text.contains("{{"), "{target} {file}:\n{text}");
        }
        let manifest = std::fs::read_to_string(bench.path(target).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(manifest["dependencies"]["rwf-runtime"]["path"].as_str(), Some(runtime));
    }
    bench.ok("new-firmware t-int8.safetensors --target thumbv6m published");
    let manifest = std::fs::read_to_string(bench.path("published/Cargo.toml")).unwrap();
    assert!(manifest.contains("rwf-runtime = { version = \"0.1"), "{manifest}");

    let before = std::fs::read(bench.path("wasm32/Cargo.toml")).unwrap();
    bench.refused("new-firmware t.safetensors --target thumbv6m wasm32", &["wasm32", "there already"]);
    assert_eq!(std::fs::read(bench.path("wasm32/Cargo.toml")).unwrap(), before);
    for (line, words) in [
        ("new-firmware t.csv --target thumbv6m new", &["t.csv"][..]),
        ("new-firmware nowhere.safetensors --target thumbv6m new", &["nowhere.safetensors"]),
        ("new-firmware t.safetensors --target thumbv6m new --runtime t.run", &["--runtime", "t.run"]),
        ("new-firmware t.run/checkpoint.safetensors --target thumbv6m new", &["checkpoint"]),
        ("new-firmware t.safetensors --target avr new", &["avr", "thumbv7em"]),
    ] {
        bench.refused(line, words);
        assert!(!bench.path("new").exists(), "{line}");
    }
}

#[test]
fn a_network_too_large_for_the_board_is_refused() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok("fit t.csv --hidden 8 --depth 1 --mapping gaussian:2000:1 --steps 1");
    bench.refused("new-firmware t.safetensors --target thumbv6m new", &["16032 bytes", "14336"]);
    bench.ok("new-firmware t.safetensors --target thumbv7em new");
}
