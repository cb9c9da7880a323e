//! Bad input gets a clear error and exit code 2; nothing is half-written.

mod common;

use common::{Bench, stderr};

const QUICK: &str = "--hidden 8 --depth 1 --steps 4";

#[test]
fn images_that_are_missing_empty_or_truncated() {
    let bench = Bench::new();
    bench.refused("fit nowhere.png", &["nowhere.png"]);
    bench.write("empty.png", b"");
    bench.refused("fit empty.png", &["empty.png", "empty"]);
    let whole = std::fs::read(bench.image("whole.png")).unwrap();
    bench.write("half.png", &whole[..whole.len() / 2]);
    bench.refused("fit half.png", &["half.png"]);
    bench.write("text.png", "no image at all");
    bench.refused("fit text.png", &["text.png"]);
    assert_eq!(bench.files(), ["empty.png", "half.png", "text.png", "whole.png"], "nothing is left behind");
}

#[test]
fn tables_with_text_nan_ragged_rows_or_duplicate_names() {
    let bench = Bench::new();
    for (name, text, words) in [
        ("text.csv", "x,y\n1,2\n2,warm\n3,4\n4,5\n", &["text.csv", "line 3", "y", "warm"][..]),
        ("nan.csv", "x,y\n1,2\n2,NaN\n3,4\n4,5\n", &["nan.csv", "line 3", "NaN"]),
        ("ragged.csv", "x,y\n1,2\n2\n3,4\n4,5\n", &["ragged.csv", "line 3"]),
        ("twice.csv", "x,x\n1,2\n2,3\n3,4\n4,5\n", &["twice.csv", "x"]),
        ("none.csv", "x,y\n", &["none.csv"]),
    ] {
        bench.write(name, text);
        bench.refused(&format!("fit {name}"), words);
    }
    bench.table("t.csv");
    bench.refused("fit t.csv --outputs pressure", &["pressure", "temp"]);
}

#[test]
fn an_output_that_cannot_be_written_fails_before_training() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.write("file", "in the way");
    bench.refused(&format!("fit t.csv -o file/model.safetensors {QUICK}"), &["file"]);
    assert_eq!(bench.files(), ["file", "t.csv"]);
}

#[test]
fn an_earlier_run_is_kept_unless_forced() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok(&format!("fit t.csv {QUICK}"));
    let before = std::fs::read(bench.path("t.safetensors")).unwrap();
    bench.refused(&format!("fit t.csv {QUICK} --seed 5"), &["t.safetensors", "--force"]);
    assert_eq!(std::fs::read(bench.path("t.safetensors")).unwrap(), before);
    bench.ok(&format!("fit t.csv {QUICK} --seed 5 --force"));
    assert_ne!(std::fs::read(bench.path("t.safetensors")).unwrap(), before);
}

#[test]
fn models_and_checkpoints_are_not_confused() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok(&format!("fit t.csv {QUICK}"));
    for command in ["info", "eval --at 1"] {
        let line = format!("{command} t.run/checkpoint.safetensors");
        bench.refused(&line, &["checkpoint", "model"]);
    }
    bench.refused("export t.safetensors -o other.safetensors", &["model", "checkpoint"]);
    bench.refused("export t.csv -o other.safetensors", &["t.csv", "safetensors"]);
    bench.refused("info t.csv", &["t.csv"]);
    bench.refused("fit --resume nowhere.run", &["nowhere.run", "checkpoint"]);
    assert!(!bench.path("other.safetensors").exists());
}

#[test]
fn coordinates_outside_the_domain_are_evaluated_with_a_warning() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok(&format!("fit t.csv {QUICK}"));
    let inside = bench.rwf(["eval", "t.safetensors", "--at", "3"]);
    assert!(inside.status.success() && stderr(&inside).is_empty());
    let outside = bench.rwf(["eval", "t.safetensors", "--at", "-30"]);
    assert!(outside.status.success());
    assert!(stderr(&outside).contains("t[s] = -30 is outside"), "{}", stderr(&outside));
    assert!(String::from_utf8_lossy(&outside.stdout).contains("temp[degC] = "));
    bench.refused("eval t.safetensors --at 1,2", &["--at", "1 number"]);
    bench.refused("eval t.safetensors", &["--at"]);
    bench.refused("eval t.safetensors --grid 0 -o out.csv", &["--grid"]);
    bench.image("i.png");
    bench.refused("eval t.safetensors --against i.png", &["i.png", "2 inputs", "1"]);
}

#[test]
fn impossible_combinations_name_the_field() {
    let bench = Bench::new();
    bench.table("t.csv");
    for (line, words) in [
        ("--arch siren --activation relu", &["activation"][..]),
        ("--arch modified-mlp --depth 0", &["depth"]),
        ("--depth 99", &["depth"]),
        ("--hidden 0", &["hidden"]),
        ("--steps 0", &["steps"]),
        ("--lr -1", &["lr", "learning_rate"]),
        ("--param plain --mu 1", &["--mu", "rwf"]),
        ("--sigma -1", &["sigma"]),
        ("--mapping gauss", &["--mapping", "gaussian"]),
        ("--mapping gaussian:many", &["--mapping"]),
        ("--weight-decay 0.1", &["weight_decay", "adam-w"]),
        ("--validation 1", &["validation"]),
        ("--arch transformer", &["transformer", "siren"]),
        ("--config nowhere.toml", &["nowhere.toml"]),
        ("--device gpu", &["gpu", "cuda"]),
    ] {
        let out = bench.rwf(["fit", "t.csv"].into_iter().chain(line.split(' ')));
        let text = stderr(&out);
        assert_eq!(out.status.code(), Some(2), "{line}: {text}");
        assert!(words.iter().any(|w| text.contains(w)), "{line}: {text}");
        assert_eq!(bench.files(), ["t.csv"], "{line} left something behind");
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn cuda_without_a_gpu_says_what_is_missing() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.refused(&format!("fit t.csv --device cuda {QUICK}"), &["cuda"]);
    assert_eq!(bench.files(), ["t.csv"]);
}

/// A file may grow to 16 KiB only: the folder's small files fit, the new model does not.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_old_model_intact() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok(&format!("fit t.csv {QUICK}"));
    bench.ok("export t.run -o kept.safetensors");
    let before = std::fs::read(bench.path("kept.safetensors")).unwrap();
    bench.ok("fit t.csv -o wide.safetensors --hidden 128 --depth 2 --steps 2");
    let rwf = env!("CARGO_BIN_EXE_rwf");
    let script = format!("trap '' XFSZ; ulimit -f 16; exec {rwf} export wide.run -o kept.safetensors --force");
    let out =
        std::process::Command::new("bash").args(["-c", &script]).current_dir(bench.path("")).output().expect("a shell");
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
    assert!(stderr(&out).contains("kept.safetensors"), "{}", stderr(&out));
    assert_eq!(std::fs::read(bench.path("kept.safetensors")).unwrap(), before);
    let left = bench.files();
    assert!(!left.iter().any(|f| f.contains("tmp")), "{left:?}");
}

#[test]
fn budgets_goals_and_shards_that_cannot_be() {
    let bench = Bench::new();
    bench.table("t.csv");
    for (line, words) in [
        ("fit t.csv --flash 4q", &["--flash", "4k"][..]),
        ("fit t.csv --flash 16", &["16 bytes of flash", "smallest"]),
        ("fit t.csv --tol 1", &["--tol", "--flash"]),
        ("fit t.csv --flash 1k --tol 0", &["--tol", "above 0"]),
        ("fit t.csv --flash 1k --hidden 8", &["budget", "searched"]),
        ("fit t.csv --time 1ms --target z80@4MHz", &["z80", "cortex-m4"]),
        ("fit t.csv --shard 1/2", &["--all"]),
        ("fit --all .", &["--output"]),
        ("fit --all nowhere -o out", &["nowhere"]),
        ("race t.csv --flash 1k --model t.csv", &["t.csv"]),
    ] {
        bench.refused(line, words);
    }
    bench.ok(&format!("fit t.csv {QUICK}"));
    bench.refused("verify t.safetensors --against t.csv", &["certificate", "rwf certify"]);
    bench.write("other.csv", "a,b,c\n1,2,3\n2,3,4\n3,4,6\n4,5,5\n5,4,5\n");
    bench.refused("certify t.safetensors --against other.csv", &["inputs"]);
    assert!(!bench.path("out").exists());
}
