//! Searches of a few seconds.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    engine::{Device, EngineChoice},
    evaluate,
};

const CPU: Device = Device::Cpu;

fn place() -> Place<'static> {
    Place { engine: EngineChoice::Auto, device: &CPU, name: "cpu" }
}

/// A smooth map of 12x9 samples.
fn request(folder: &Path) -> Request {
    let input = folder.join("map.csv");
    let mut text = "x[m],y[m],v[K]\n".to_owned();
    for i in 0..12 {
        for j in 0..9 {
            let (x, y) = (f64::from(i), f64::from(j));
            text += &format!("{x},{y},{}\n", 20.0 + 3.0 * (0.5 * x).sin() * (0.4 * y).cos());
        }
    }
    std::fs::write(&input, text).unwrap();
    Request {
        input,
        out: folder.join("map.safetensors"),
        options: LoadOptions::default(),
        layers: Vec::new(),
        budget: Budget { flash: Some(600), macs: Some(400), ..Budget::default() },
        goal: Goal { measure: Measure::Max, at: Some(2.9) },
        minutes: 0.1,
        force: false,
    }
}

#[test]
fn the_model_is_within_the_budget_certified_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(folder.path());
    let found = run(&request, place(), &AtomicBool::new(false), true).unwrap();
    let file = std::fs::read(&request.out).unwrap();
    let cost = Cost::of(&file).unwrap();
    assert!(cost == found.cost && request.budget.holds(&cost), "{cost:?}");
    assert!(found.met && found.error <= 2.9, "{}", found.text);
    assert_eq!(crate::certificate::of(&file).unwrap(), Some(found.certificate));
    assert!(evaluate::open(&file).unwrap().self_test().is_ok());
    let search = folder.path().join("map.search");
    for file in ["report.html", "report.md", "frontier.png", "trials.csv", "search.json", "certificate/report.html"] {
        assert!(search.join(file).is_file(), "{file}");
    }
    // Every round is in the state, and a round keeps no more than a third of the one before, but for smaller ones.
    let of = std::fs::read_to_string(search.join("search.json")).unwrap();
    let state: State = serde_json::from_str(&of).unwrap();
    let in_round = |rung: usize| state.outcomes.iter().filter(|o| o.rung == rung).count();
    let kept = in_round(0).div_ceil(3);
    // The best come in finer weights as well.
    assert!(in_round(0) >= 12 && (kept..=kept + 2 * FINER).contains(&in_round(1)), "{} {}", in_round(0), in_round(1));
    for weights in ["int8", "f16", "int16", "f32"] {
        assert!(state.outcomes.iter().any(|o| o.candidate.weights == weights), "{weights}");
    }
    // The time that was asked for is what steps were planned by.
    let cores = jobs::cores().min(state.rungs[0].len()) as f64;
    let seconds: f64 = state.rungs[0]
        .iter()
        .zip(&state.pace)
        .filter(|((_, steps), _)| *steps > LEAST_STEPS)
        .map(|((_, steps), pace)| *steps as f64 * pace)
        .sum();
    assert!(seconds > 0.0 && seconds <= 1.001 * 60.0 * request.minutes * ROUNDS[0] * cores, "{seconds}");
    // The frontier falls as bytes grow.
    let frontier = state.frontier();
    assert!(frontier.windows(2).all(|w| w[0].flash < w[1].flash && w[0].error > w[1].error));
    assert!(in_round(2) <= in_round(1).div_ceil(3) + PARTS.len());
}

#[test]
fn an_interrupted_search_goes_on_and_another_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut request = request(folder.path());
    let error = run(&request, place(), &AtomicBool::new(true), true).unwrap_err();
    assert_eq!(error.exit_code(), 130);
    let path = folder.path().join("map.search/search.json");
    let state: State = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(state.outcomes.is_empty() && state.rungs.len() == 1);
    // What was planned stays planned, and a trial that is there is not run again.
    let mut begun = state.clone();
    let (candidate, steps) = begun.rungs[0][0].clone();
    begun.outcomes.push(Outcome { candidate, rung: 0, steps, seconds: 77.0, error: 1e9, flash: 1, ram: 1, macs: 1 });
    std::fs::write(&path, serde_json::to_vec(&begun).unwrap()).unwrap();
    run(&request, place(), &AtomicBool::new(false), true).unwrap();
    let done: State = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(done.rungs[0], state.rungs[0]);
    assert!(done.outcomes.iter().any(|o| o.seconds == 77.0));

    request.budget.flash = Some(700);
    let error = run(&request, place(), &AtomicBool::new(false), true).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("--force"), "{error}");
}

#[test]
fn what_cannot_be_is_refused_and_says_what_could() {
    let folder = tempfile::tempdir().unwrap();
    let go = AtomicBool::new(false);
    let mut bad = request(folder.path());
    bad.budget.flash = Some(20);
    let error = run(&bad, place(), &go, true).unwrap_err().to_string();
    assert!(error.contains("20 bytes of flash") && error.contains("smallest"), "{error}");
    let mut bad = request(folder.path());
    bad.goal.at = Some(0.0);
    let error = run(&bad, place(), &go, true).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("--tol"), "{error}");
    let mut bad = request(folder.path());
    bad.minutes = 0.0;
    assert!(run(&bad, place(), &go, true).unwrap_err().to_string().contains("--minutes"));
    assert!(!bad.out.exists());
}

#[test]
fn a_goal_that_is_not_met_is_told_with_what_it_would_need() {
    let folder = tempfile::tempdir().unwrap();
    let mut request = request(folder.path());
    request.goal.at = Some(1e-9);
    let found = run(&request, place(), &AtomicBool::new(false), true).unwrap();
    assert!(!found.met && found.text.contains("the goal is not met"), "{}", found.text);
    assert!(
        found.text.contains("would need about") || found.text.contains("More bytes did not help"),
        "{}",
        found.text
    );
    assert!(request.out.exists());
}

/// A machine that became slow has no time left for the last training: the best trial is what comes out.
#[test]
fn without_time_for_the_last_training_the_best_trial_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(folder.path());
    run(&request, place(), &AtomicBool::new(false), true).unwrap();
    let path = folder.path().join("map.search/search.json");
    let mut state: State = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    state.spent = 1e9;
    std::fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
    let best = state.outcomes.iter().min_by(|a, b| a.error.total_cmp(&b.error)).unwrap();
    let found = run(&request, place(), &AtomicBool::new(false), true).unwrap();
    assert!(found.error <= best.error * (1.0 + 1e-6), "{} {}", found.error, best.error);
    assert_eq!(found.candidate, best.candidate);
    let file = std::fs::read(&request.out).unwrap();
    assert!(evaluate::open(&file).unwrap().self_test().is_ok() && Cost::of(&file).unwrap() == found.cost);
    assert_eq!(crate::certificate::of(&file).unwrap(), Some(found.certificate));
}

#[test]
fn time_that_is_over_ends_what_runs_and_an_interrupt_does_too() {
    let waits = |limit, interrupt: &AtomicBool| {
        let began = Instant::now();
        let stopped = until(limit, interrupt, |stop| {
            while !stop.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
            }
            stop.load(Ordering::Relaxed)
        });
        stopped.then(|| began.elapsed())
    };
    let short = Duration::from_millis(100);
    let took = waits(short, &AtomicBool::new(false)).expect("the time was over");
    assert!(took >= short, "{took:?}");
    assert!(waits(Duration::from_secs(600), &AtomicBool::new(true)).is_some());
    assert!(until(Duration::from_secs(600), &AtomicBool::new(false), |stop| !stop.load(Ordering::Relaxed)));
}

/// A trial that was planned for far too many steps ends all the same, and its network is measured.
#[test]
fn a_trial_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(folder.path());
    let signal = signal::load(&request.input, &request.options).unwrap();
    let state = State::new(String::new());
    let go = AtomicBool::new(false);
    let search = Search::new(&request, &signal, state, folder.path().into(), &go, true).unwrap();
    let all = candidates(&request.budget, &search.normalization, &search.description);
    let began = Instant::now();
    let trial = search.study().run(&all[0], (0, 2_000_000), Duration::from_millis(200), &go).unwrap();
    let (outcome, file) = trial.expect("nobody interrupted it");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(outcome.error.is_finite() && evaluate::open(&file).is_ok());
}

/// The model of a trial takes the place of the last training's only where it is better.
#[test]
fn a_worse_trial_does_not_replace_the_last_training() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(folder.path());
    let found = run(&request, place(), &AtomicBool::new(false), true).unwrap();
    let written = std::fs::read(&request.out).unwrap();
    let signal = signal::load(&request.input, &request.options).unwrap();
    let of = std::fs::read(folder.path().join("map.search/search.json")).unwrap();
    let state: State = serde_json::from_slice(&of).unwrap();
    let go = AtomicBool::new(false);
    let search = Search::new(&request, &signal, state, folder.path().join("map.search"), &go, true).unwrap();
    let (network, start) = {
        let config = search.study().config(&found.candidate, 1, 1).unwrap();
        crate::task::observed::start(&config, &search.normalization).unwrap()
    };
    let untrained =
        found.candidate.file((&network, &start), &search.normalization, &search.description, &[1.0, 1.0, 9.0, 7.0]);
    write_atomically(&search.folder.join(BEST), &untrained.unwrap()).unwrap();
    assert!(search.better().unwrap().is_none());
    assert_eq!(std::fs::read(&request.out).unwrap(), written);
}
