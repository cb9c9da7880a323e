//! Budgets, certificates and many signals as people run them: within their time, taken up again, one failure among many.

mod common;

use std::time::{Duration, Instant};

use common::{Bench, stderr};
use serde_json::Value;

/// What a machine that does much else may need for what takes seconds.
const PATIENCE: Duration = Duration::from_secs(100);

/// Trials that the search of `t.safetensors` has on disk.
fn trials(bench: &Bench) -> Vec<Value> {
    let Ok(text) = std::fs::read(bench.path("t.search/search.json")) else { return Vec::new() };
    let state: Value = serde_json::from_slice(&text).unwrap();
    state["outcomes"].as_array().unwrap().clone()
}

#[test]
#[cfg(unix)]
fn a_search_ends_in_its_time_and_goes_on_where_it_was_stopped() {
    use std::process::Stdio;
    let bench = Bench::new();
    bench.table("t.csv");
    let line = "fit t.csv --flash 600 --minutes 0.1";
    let mut command = bench.command();
    let child = command.args(line.split_whitespace()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    while trials(&bench).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", stderr(&out));
    assert!(!bench.path("t.safetensors").exists(), "no model before the end");
    let before = trials(&bench);

    let began = Instant::now();
    bench.ok(line);
    assert!(began.elapsed() < PATIENCE, "asked for 6 s, took {:?}", began.elapsed());
    let after = trials(&bench);
    assert!(after.len() > before.len() && before.iter().all(|t| after.contains(t)), "{before:?}");
    let csv = String::from_utf8(bench.read("t.search/trials.csv")).unwrap();
    assert_eq!(csv.lines().count(), after.len() + 1);
    assert!(bench.ok("info t.safetensors").contains("self-test      passed"));
}

/// Waves between the samples that no effort brings near the errors at the samples.
#[test]
fn a_certificate_ends_in_its_time_and_holds_when_it_is_checked() {
    let bench = Bench::new();
    bench.image("a.png");
    bench.ok("fit a.png --hidden 64 --depth 3 --omega0 200 --omega0-first 200 --steps 2 --quiet");
    let began = Instant::now();
    let said = bench.ok("certify a.safetensors --against a.png --minutes 0.02 --effort 1e18");
    assert!(began.elapsed() < PATIENCE, "asked for 1.2 s, took {:?}", began.elapsed());
    assert!(said.contains("bound between samples"), "{said}");
    bench.ok("verify a.safetensors --against a.png");
    bench.refused("certify a.safetensors --against a.png --minutes=-1", &["--minutes"]);
}

#[test]
fn one_damaged_table_among_500_stops_no_other() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("tables")).unwrap();
    for k in 0..500 {
        let row = |i: u32| format!("{i},{}\n", (f64::from(i) * 0.3 + f64::from(k)).sin());
        let rows: String = (0..12).map(row).collect();
        bench.write(&format!("tables/unit{k:03}.csv"), format!("x,y\n{rows}"));
    }
    bench.write("tables/unit137.csv", "x,y\n1,2\n2,warm\n3,4\n4,5\n");
    let line = "fit --all tables -o models --hidden 2 --depth 1 --steps 3";
    let out = bench.rwf(line.split_whitespace());
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), stderr(&out));
    assert_eq!(out.status.code(), Some(1), "{said}");
    for words in ["499 of 500 signals fitted", "1 failed: unit137", "unit137: ", "line 3", "warm"] {
        assert!(said.contains(words), "`{words}` in\n{said}");
    }
    let index = String::from_utf8(bench.read("models/index.csv")).unwrap();
    assert_eq!((index.lines().count(), index.lines().filter(|l| l.contains(",failed")).count()), (501, 1));
    let models = common::names(&bench.path("models")).iter().filter(|n| n.ends_with(".safetensors")).count();
    assert_eq!(models, 499);

    // Mended, it alone is fitted; two of one name are refused before anything is.
    bench.write("tables/unit137.csv", "x,y\n1,2\n2,3\n3,4\n4,5\n");
    let out = bench.rwf(line.split_whitespace());
    assert!(out.status.success() && stderr(&out).contains("499 of 500 signals are fitted already"), "{}", stderr(&out));
    bench.write("tables/unit137.txt", "x,y\n1,2\n");
    bench.refused(line, &["unit137.csv", "unit137.txt"]);
}
