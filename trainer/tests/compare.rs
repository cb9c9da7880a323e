//! `rwf compare` and `rwf inspect` as people run them.

mod common;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use common::{Bench, names, stderr};

const SMALL: &str = "compare regression --seeds 2 --steps 150 --params plain,rwf --jobs 1";

/// The rows of results.csv without the time, which is another one every time.
fn results(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("results.csv")).unwrap();
    text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

/// Tables and sentences of a report without command and times.
fn report(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("report.md")).unwrap();
    let (before, _) = text.split_once("## Time").unwrap();
    before.lines().filter(|l| !l.starts_with("Made by")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_killed_comparison_goes_on_to_the_same_table() {
    let bench = Bench::new();
    bench.ok(&format!("{SMALL} -o whole -q"));
    let whole = bench.path("whole");
    assert_eq!(results(&whole).len(), 5);
    assert!(report(&whole).contains("| MLP |"));
    for file in ["report.html", "figures/curves.png", "figures/predictions.png"] {
        assert!(whole.join(file).is_file(), "{file}");
    }

    let killed = bench.path("killed");
    let words = format!("{SMALL} -o killed -q");
    let mut child = bench.command().args(words.split_whitespace()).spawn().unwrap();
    let trials = killed.join("trials");
    let started = Instant::now();
    while !(trials.is_dir() && names(&trials).iter().any(|n| n.ends_with(".json"))) {
        assert!(started.elapsed() < Duration::from_secs(120), "no training ends");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("report.md").exists(), "killed too late to show anything");

    let out = bench.rwf(format!("{SMALL} -o killed").split_whitespace());
    assert!(out.status.success() && stderr(&out).contains("of 4 trainings are there already"), "{}", stderr(&out));
    assert_eq!(results(&killed), results(&whole));
    assert_eq!(report(&killed), report(&whole));

    // A damaged result is made again.
    let one = names(&trials).into_iter().find(|n| n.ends_with(".json")).unwrap();
    fs::write(trials.join(one), "{").unwrap();
    bench.ok(&words);
    assert_eq!(results(&killed), results(&whole));
}

#[test]
fn every_experiment_writes_its_report() {
    let bench = Bench::new();
    for (name, more, words) in [
        ("landscape", "", &["Theorem 1", "figures/landscape.png"][..]),
        ("sweep", "--quick", &["Plain weights:", "figures/sweep.png", "mu 1, sigma 0.1"]),
        ("siren", "--quick", &["omega0 30", "figures/omega0.png"]),
        (
            "image",
            "--size 16 --texts 1 --quick --lr-factors 0.5,1",
            &["natural: SIREN", "text: MLP, PE", "figures/natural.png", "figures/text.png", "best learning rate"],
        ),
        (
            "ct",
            "--size 16 --quick --rows pe,gaussian",
            &["filtered back-projection", "SIRT", "MLP, PE", "figures/slices.png"],
        ),
    ] {
        bench.ok(&format!("compare {name} -o {name} {more} --steps 4 --seeds 1 --params plain,rwf -q"));
        let text = fs::read_to_string(bench.path(name).join("report.md")).unwrap();
        for word in words {
            assert!(text.contains(word), "{name}: no {word} in\n{text}");
        }
        assert!(text.contains(&format!("`rwf compare {name}")), "{text}");
        let html = fs::read_to_string(bench.path(name).join("report.html")).unwrap();
        assert!(html.contains("data:image/png;base64,"));
    }
}

#[test]
fn bad_input_is_told_and_leaves_nothing() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    bench.write("no.png", "text");
    for (line, word) in [
        ("compare nothing", "regression"),
        ("compare regression --seeds 0", "--seeds"),
        ("compare regression --steps 0", "--steps"),
        ("compare regression --jobs 0", "--jobs"),
        ("compare regression --params plane", "plain"),
        ("compare regression --lr-factors 0", "--lr-factors"),
        ("compare image --quick --photos empty", "found no picture"),
        ("compare image --quick --photos no.png", "no.png"),
        ("compare image --quick --photos gone.png", "gone.png"),
        ("compare image --size 17", "even"),
        ("compare image", "--photos"),
        ("compare image --quick --rows cnn", "gaussian"),
        ("compare ct --angles 0", "signal.angles"),
        ("compare ct --phantom gone.dcm", "gone.dcm"),
        ("compare pde --equations heet", "nearest: heat"),
        ("inspect gone.run", "gone.run"),
    ] {
        bench.refused(line, &[word]);
    }
    assert_eq!(bench.files(), ["empty", "no.png"]);
}

#[test]
fn inspect_says_what_is_inside_a_run() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.ok("fit t.csv -q --steps 60 --hidden 8");
    let text = bench.ok("inspect t.run --points 20");
    for word in ["step 60 of 60, rwf", "layers.3", "layers.0.s", "tangent kernel at 20 samples", "trained, now"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(image::open(bench.path("t.run").join("inspect.png")).is_ok());
    bench.ok("inspect t.run/checkpoint.safetensors -o inside.png");
    assert!(bench.path("inside.png").is_file());
    bench.refused("inspect t.safetensors", &["folded model"]);
    bench.refused("inspect t.run --points 0", &["--points"]);
    bench.refused("inspect t.run --points 100000", &["--points"]);
}
