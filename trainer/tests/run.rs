//! A run of the command from beginning to end: what it writes, and that it can be stopped and taken up again.

mod common;

use common::{Bench, names, stderr};

const SMALL: &str = "--hidden 12 --depth 2 --batch 100 --evaluate-every 10";

fn read(path: std::path::PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_run_folder_holds_everything() {
    let bench = Bench::new();
    bench.image("a.png");
    let said = bench.ok(&format!("fit a.png {SMALL} --steps 20"));
    assert!(said.contains("PSNR") && said.contains("a.safetensors"), "{said}");
    let expected =
        ["checkpoint.safetensors", "comparison.png", "config.toml", "loss.png", "metrics.csv", "model.safetensors"];
    assert_eq!(names(&bench.path("a.run")), expected);
    assert_eq!(read(bench.path("a.safetensors")), read(bench.path("a.run/model.safetensors")));
    for picture in ["loss.png", "comparison.png"] {
        let picture = image::open(bench.path("a.run").join(picture)).unwrap();
        assert!(picture.width() > 300);
    }
    let metrics = String::from_utf8(read(bench.path("a.run/metrics.csv"))).unwrap();
    assert_eq!(metrics.lines().count(), 3, "{metrics}");

    let info = bench.ok("info a.safetensors");
    for word in ["x in -0.5 .. 23.5 px", "self-test      passed", "multiply-adds", "scratch RAM"] {
        assert!(info.contains(word), "`{word}` is not in\n{info}");
    }
    bench.ok("eval a.safetensors -o decoded.png");
    assert_eq!(image::image_dimensions(bench.path("decoded.png")).unwrap(), (24, 16));
    bench.ok("eval a.safetensors --grid 48x32 -o large.png");
    assert_eq!(image::image_dimensions(bench.path("large.png")).unwrap(), (48, 32));
    assert!(bench.ok("eval a.safetensors --against a.png").contains("PSNR"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_does_not() {
    let bench = Bench::new();
    bench.image("a.png");
    for (out, seed) in [("one", 3), ("two", 3), ("three", 4)] {
        bench.ok(&format!("fit a.png -o {out}.safetensors {SMALL} --steps 15 --seed {seed}"));
    }
    assert_eq!(read(bench.path("one.safetensors")), read(bench.path("two.safetensors")));
    assert_ne!(read(bench.path("one.safetensors")), read(bench.path("three.safetensors")));
}

#[test]
fn the_written_config_repeats_the_run() {
    let bench = Bench::new();
    bench.image("a.png");
    let options = "--arch mlp --activation swish --mapping gaussian:16:4 --param wn --lr 0.002 --steps 12";
    bench.ok(&format!("fit a.png -o one.safetensors {SMALL} {options}"));
    bench.ok("fit a.png -o two.safetensors --config one.run/config.toml");
    assert_eq!(read(bench.path("one.safetensors")), read(bench.path("two.safetensors")));
}

/// A run that Ctrl-C ends in the middle and that goes on later equals one that was never stopped, bit for bit.
#[test]
#[cfg(unix)]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    bench.image("a.png");
    let line = format!("fit a.png {SMALL} --steps 3000 --validation 0.2");
    bench.ok(&format!("{line} -o straight.safetensors"));

    let child = bench
        .command()
        .args(line.split_whitespace())
        .args(["-o", "stopped.safetensors"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !bench.path("stopped.run/checkpoint.safetensors").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", stderr(&out));
    assert!(stderr(&out).contains("stopping"), "{}", stderr(&out));
    assert!(bench.ok("info stopped.safetensors").contains("self-test      passed"));
    assert_ne!(read(bench.path("stopped.safetensors")), read(bench.path("straight.safetensors")));

    bench.ok("fit --resume stopped.run");
    assert_eq!(read(bench.path("stopped.safetensors")), read(bench.path("straight.safetensors")));
}

/// SIGKILL leaves a run folder that goes on, whatever the moment.
#[test]
#[cfg(unix)]
fn a_killed_run_goes_on() {
    let bench = Bench::new();
    bench.image("a.png");
    let line = format!("fit a.png {SMALL} --steps 2000");
    bench.ok(&format!("{line} -o straight.safetensors"));
    let mut child =
        bench.command().args(line.split_whitespace()).args(["-o", "killed.safetensors", "--quiet"]).spawn().unwrap();
    while !bench.path("killed.run/checkpoint.safetensors").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.ok("fit --resume killed.run");
    assert_eq!(read(bench.path("killed.safetensors")), read(bench.path("straight.safetensors")));
}

#[test]
fn a_signal_that_changed_is_not_resumed() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok("fit t.csv --hidden 8 --depth 1 --steps 5");
    bench.write("t.csv", "t[s],temp[degC]\n0,1\n1,2\n2,3\n3,5\n4,4\n");
    bench.refused("fit --resume t.run --steps 10", &["t.csv", "changed"]);
}

#[test]
fn divergence_keeps_the_last_good_model() {
    let bench = Bench::new();
    bench.table("t.csv");
    let line =
        "fit t.csv --hidden 16 --depth 2 --activation relu --param plain --lr 1e6 --steps 200 --schedule constant";
    let out = bench.rwf(line.split_whitespace());
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("diverged") && stderr(&out).contains("--lr"), "{}", stderr(&out));
    assert!(bench.ok("info t.safetensors").contains("self-test      passed"));
}

#[test]
fn a_target_ends_the_run_early() {
    let bench = Bench::new();
    bench.table("t.csv");
    let said = bench.ok("fit t.csv --target-psnr 25 --evaluate-every 20");
    assert!(said.contains("target reached"), "{said}");
}

#[test]
fn a_checkpoint_exports_in_half_precision() {
    let bench = Bench::new();
    bench.image("a.png");
    bench.ok(&format!("fit a.png {SMALL} --steps 20"));
    bench.ok("export a.run --precision f16");
    let (single, half) = (read(bench.path("a.safetensors")), read(bench.path("a-f16.safetensors")));
    assert!(half.len() < single.len());
    assert!(bench.ok("info a-f16.safetensors").contains("f16"));
    bench.ok("export a.run -o again.safetensors");
    assert_eq!(bench.ok("eval a.safetensors --at 3,4"), bench.ok("eval again.safetensors --at 3,4"));
}
