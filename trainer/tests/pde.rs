//! `rwf pde` from beginning to end.

mod common;

use common::{Bench, names, stderr};
use rwf_runtime::Model;

/// A run of a second or two.
const SMALL: &str = "--hidden 16 --depth 2 --points 128 --conditions 32 --evaluate-every 50";

fn read(path: std::path::PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The number behind `word=` in what the model file says of its error.
fn error(bench: &Bench, model: &str, word: &str) -> f64 {
    let bytes = read(bench.path(model));
    let words = Model::new(&bytes).unwrap().metadata("error").unwrap().to_owned();
    let found = words.split(';').find_map(|w| w.strip_prefix(&format!("{word}="))).expect("the word");
    found.parse().unwrap()
}

#[test]
fn heat_is_learned_and_its_run_folder_holds_everything() {
    let bench = Bench::new();
    let said = bench.ok(&format!("pde heat {SMALL} --steps 1200 --lr 0.01 --weight initial=10 --weight walls=10"));
    assert!(said.contains("relative L2 error") && said.contains("heat.safetensors"), "{said}");
    assert_eq!(
        names(&bench.path("heat.run")),
        [
            "checkpoint.safetensors",
            "config.toml",
            "loss.png",
            "metrics.csv",
            "model.safetensors",
            "residual.png",
            "solution.png",
            "terms.png",
        ]
    );
    let relative = error(&bench, "heat.safetensors", "relative_l2");
    assert!(relative < 0.05, "{relative}");
    let header = String::from_utf8(read(bench.path("heat.run/metrics.csv"))).unwrap();
    for column in ["relative_l2", "loss_equation", "loss_initial", "weight_walls"] {
        assert!(header.lines().next().unwrap().contains(column), "{column}");
    }
    // Physical coordinates in, the solution out: a cold wall, and the start.
    let bytes = read(bench.path("heat.safetensors"));
    let model = Model::new(&bytes).unwrap();
    let mut scratch = vec![0.0; model.scratch_len()];
    for (x, expected) in [([0.0, 0.5], 0.5f32), ([0.5, 0.0], 0.0), ([0.5, 1.0], 0.0)] {
        let mut u = [0.0];
        model.eval(&x, &mut u, &mut scratch).unwrap();
        assert!((u[0] - expected).abs() < 0.1, "{x:?}: {}", u[0]);
    }
    let info = bench.ok("info heat.safetensors");
    for word in ["t in 0 .. 1", "relative_l2=", "self-test      passed"] {
        assert!(info.contains(word), "`{word}` is not in\n{info}");
    }
    let said = bench.ok("export heat.run --precision f16");
    assert!(said.contains("relative L2"), "{said}");
    bench.refused("fit --resume heat.run", &["rwf pde", "rwf fit"]);
    bench.ok("pde heat -o again.safetensors --config heat.run/config.toml");
    assert_eq!(read(bench.path("again.safetensors")), read(bench.path("heat.safetensors")));
}

/// Conditions that hold by construction: the device's zeros are exact, and there is no such term any more.
#[test]
fn hard_walls_are_exactly_cold() {
    let bench = Bench::new();
    bench.ok(&format!("pde heat {SMALL} --steps 600 --lr 0.01 --weight initial=10 --hard"));
    assert!(error(&bench, "heat.safetensors", "relative_l2") < 0.1);
    let metrics = String::from_utf8(read(bench.path("heat.run/metrics.csv"))).unwrap();
    assert!(metrics.contains("loss_initial") && !metrics.contains("loss_walls"), "{metrics}");
    bench.ok("export heat.run --precision f16 -o half.safetensors");
    for file in ["heat.safetensors", "half.safetensors"] {
        let bytes = read(bench.path(file));
        let model = Model::new(&bytes).unwrap();
        let mut scratch = vec![0.0; model.scratch_len()];
        let mut u = [1.0];
        for i in 0..=40 {
            for wall in [0.0, 1.0] {
                model.eval(&[0.025 * i as f32, wall], &mut u, &mut scratch).unwrap();
                assert_eq!(u[0], 0.0, "{file} {i} {wall}");
            }
        }
        model.eval(&[0.1, 0.5], &mut u, &mut scratch).unwrap();
        assert!(u[0].abs() > 0.1, "{file}: {}", u[0]);
    }
    bench.refused("export heat.run --precision int8", &["precision", "vanishes on walls"]);
    bench.refused("pde fisher --hard", &["signal.hard", "no condition"]);
}

#[test]
fn every_tool_changes_the_run_and_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    let line = format!("pde advection --coefficient c=2 --mapping periodic:1:4:1 {SMALL} --steps 150");
    bench.ok(&format!("{line} -o plain.safetensors"));
    let tools = [
        ("norms", "--balance gradient-norm"),
        ("kernels", "--balance ntk"),
        ("windows", "--windows 3"),
        ("refined", "--refine 0.25"),
        ("ramp", "--curriculum c=0.5"),
        ("uniform", "--sampler uniform"),
    ];
    for (name, tool) in tools {
        bench.ok(&format!("{line} {tool} -o {name}.safetensors"));
        assert_ne!(read(bench.path(&format!("{name}.safetensors"))), read(bench.path("plain.safetensors")), "{name}");
    }
    // All at once, stopped in the middle of everything.
    let all: Vec<&str> = tools.iter().map(|t| t.1).filter(|t| !t.ends_with("ntk")).collect();
    let line = line.replace("--steps 150", "--steps 2000");
    bench.ok(&format!("{line} {} -o straight.safetensors", all.join(" ")));
    let child = bench
        .command()
        .args(line.split_whitespace().chain(all.join(" ").split_whitespace()))
        .args(["-o", "killed.safetensors"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut child = child.unwrap();
    while !bench.path("killed.run/checkpoint.safetensors").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.ok("pde --resume killed.run");
    assert_eq!(read(bench.path("killed.safetensors")), read(bench.path("straight.safetensors")));
}

#[test]
fn a_viscosity_is_sought_and_a_run_that_seeks_goes_on() {
    let bench = Bench::new();
    let line = format!("pde burgers-viscosity {SMALL} --coefficient nu=0.05 --measurements 400 --lr 0.01 --lbfgs 0");
    bench.ok(&format!("{line} --steps 800"));
    let nu = error(&bench, "burgers-viscosity.safetensors", "nu");
    assert!((nu / 0.05 - 1.0).abs() < 0.3, "{nu}");
    bench.ok(&format!("{line} --steps 100 -o long.safetensors"));
    bench.ok(&format!("{line} --steps 50 --schedule constant -o short.safetensors"));
    bench.ok(&format!("{line} --steps 100 --schedule constant -o whole.safetensors"));
    bench.ok("pde --resume short.run --steps 100");
    assert_eq!(error(&bench, "short.safetensors", "nu"), error(&bench, "whole.safetensors", "nu"));
    assert_ne!(error(&bench, "long.safetensors", "nu"), error(&bench, "whole.safetensors", "nu"));
}

#[test]
fn a_comparison_trains_every_parameterization_on_the_same_points() {
    let bench = Bench::new();
    let line = "compare pde --quick --equations heat,advection --params plain,rwf --seeds 1 --steps 20 --jobs 1 -o c";
    let said = bench.ok(line);
    for word in ["Differential equations", "heat", "advection", "plain", "rwf", "log10 of the relative L2 error"] {
        assert!(said.contains(word), "`{word}` is not in\n{said}");
    }
    let rows = String::from_utf8(read(bench.path("c/results.csv"))).unwrap();
    assert_eq!(rows.lines().count(), 1 + 4, "{rows}");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_left_behind() {
    let bench = Bench::new();
    let listed = bench.ok("pde list");
    for name in ["advection", "allen-cahn", "burgers", "heat", "helmholtz", "kdv", "poisson", "wave"] {
        assert!(listed.contains(name), "{listed}");
    }
    bench.write("text.mat", "this is no file of MATLAB, however long the line may get to be for a header of 128 bytes");
    bench.write("odd.mat", matlab(&[("usol", 3, 5), ("t", 1, 4), ("x", 1, 3)], 1.0));
    bench.write("named.mat", matlab(&[("v", 3, 4), ("t", 1, 4), ("x", 1, 3)], 1.0));
    bench.write("far.mat", matlab(&[("usol", 3, 4), ("t", 1, 4), ("x", 1, 3)], 100.0));
    bench.write("nan.mat", matlab(&[("usol", 3, 4), ("t", 1, 4), ("x", 1, 3)], f64::NAN));
    let before = bench.files();
    for (line, words) in [
        ("burger", &["`burger`", "nearest: burgers"][..]),
        ("helmholz", &["helmholtz"]),
        ("heat --coefficient c=2", &["signal.coefficients", "`c`", "\"a\""]),
        ("heat --coefficient a=inf", &["finite"]),
        ("heat --weight start=2", &["signal.weights", "`start`", "initial"]),
        ("heat --points 2", &["signal.points", "16"]),
        ("poisson --windows 2", &["windows", "no time"]),
        ("heat --mapping periodic", &["mapping", "not periodic"]),
        ("advection --mapping none", &["mapping", "expected periodic"]),
        ("heat --refine 1.5", &["refine"]),
        ("heat --engine candle", &["fused"]),
        ("heat --reference nowhere.mat", &["nowhere.mat"]),
        ("heat --reference text.mat", &["text.mat", "MATLAB"]),
        ("heat --reference odd.mat", &["odd.mat", "3, 5", "3x4"]),
        ("heat --reference named.mat", &["named.mat", "\"v\"", "usol"]),
        ("heat --reference far.mat", &["far.mat", "expected within"]),
        ("heat --reference nan.mat", &["nan.mat", "not finite"]),
        ("poisson --reference odd.mat", &["odd.mat"]),
        // 0/0 in nothing but the coefficient.
        ("kdv --coefficient d=1e39", &["equation `kdv`", "term `equation`", "no finite number", "t ="]),
    ] {
        bench.refused(&format!("pde {line} --steps 2"), words);
    }
    let left: Vec<String> = bench.files().into_iter().filter(|f| !before.contains(f) && f != "kdv.run").collect();
    assert!(left.is_empty(), "{left:?}");
    let out = bench.rwf(["pde", "heat", "--coefficient", "a"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(stderr(&out).contains("NAME=VALUE"), "{}", stderr(&out));
}

/// A MATLAB 5 file of real matrices whose numbers are 0 and, at the end of each, `last`.
fn matlab(arrays: &[(&str, u32, u32)], last: f64) -> Vec<u8> {
    let mut file = vec![b' '; 116];
    file[..6].copy_from_slice(b"MATLAB");
    file.extend([0; 8]);
    file.extend([0x00, 0x01, b'I', b'M']);
    for (name, rows, columns) in arrays {
        let mut element = Vec::new();
        let mut part = |kind: u32, bytes: &[u8]| {
            element.extend(kind.to_le_bytes());
            element.extend((bytes.len() as u32).to_le_bytes());
            element.extend(bytes);
            element.resize(element.len().next_multiple_of(8), 0);
        };
        part(6, &[6, 0, 0, 0, 0, 0, 0, 0]);
        part(5, &[rows.to_le_bytes(), columns.to_le_bytes()].concat());
        part(1, name.as_bytes());
        let mut values = vec![0.0f64; (rows * columns) as usize];
        *values.last_mut().unwrap() = last;
        part(9, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        file.extend(14u32.to_le_bytes());
        file.extend((element.len() as u32).to_le_bytes());
        file.extend(element);
    }
    file
}
