//! Runs the trials of a comparison, several at once, and keeps each result as soon as it is there.

use std::{
    io::IsTerminal,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Problem, Record, Trial};
use crate::{
    engine::{Device, EngineChoice},
    error::{Error, Result},
    file::write_atomically,
    jobs::parallel,
};

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where and how trials run.
#[derive(Debug)]
pub struct Runner<'a> {
    /// Folder of the comparison; results lie in `trials/`.
    pub folder: PathBuf,
    /// Trials at once, each with its share of the cores.
    pub jobs: usize,
    /// What computes the networks.
    pub engine: EngineChoice,
    /// Where to train.
    pub device: Device,
    /// What the device is called.
    pub device_name: String,
    /// Raised by Ctrl-C.
    pub interrupt: &'a AtomicBool,
    /// No progress.
    pub quiet: bool,
}

impl Runner<'_> {
    /// The records of `trials`, in their order. Those whose result is in the folder already are read, not run again.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after Ctrl-C, [`Error::Io`] when a result cannot be kept, or the first error of a trial;
    /// the results of all others are kept.
    pub fn run(
        &self,
        trials: &[Trial],
        problem: &(dyn Fn(&Trial) -> Result<Box<dyn Problem>> + Sync),
    ) -> Result<Vec<Record>> {
        let folder = self.folder.join("trials");
        crate::file::make_folder(&folder)?;
        let path = |trial: &Trial| folder.join(format!("{}.json", trial.id()));
        let mut records: Vec<Option<Record>> = trials.iter().map(|trial| kept(&path(trial), trial)).collect();
        let missing: Vec<usize> = (0..trials.len()).filter(|&i| records[i].is_none()).collect();
        let bar = Overall::new(trials.len(), &missing, trials, self.quiet);

        let failed = AtomicBool::new(false);
        let stop = || self.interrupt.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
        let done = parallel(&missing, self.jobs, &stop, &|&i| {
            let result = self.one(&trials[i], problem, &bar, &path(&trials[i]));
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            result
        });
        bar.finish();
        for (&i, result) in missing.iter().zip(done) {
            records[i] = result.transpose()?.flatten();
        }
        records.into_iter().collect::<Option<Vec<_>>>().ok_or(Error::ComparisonInterrupted)
    }

    fn one(
        &self,
        trial: &Trial,
        problem: &(dyn Fn(&Trial) -> Result<Box<dyn Problem>> + Sync),
        bar: &Overall,
        path: &std::path::Path,
    ) -> Result<Option<Record>> {
        let seen = AtomicUsize::new(0);
        let on_measured = |step: u64| {
            let before = seen.swap(step as usize, Ordering::Relaxed);
            bar.advance(step as usize - before);
        };
        let mut problem = problem(trial)?;
        let record = trial.run(
            problem.as_mut(),
            self.engine,
            (&self.device, &self.device_name),
            self.interrupt,
            &on_measured,
        )?;
        if let Some(record) = &record {
            // A trial that ended early still counts as done.
            bar.advance(trial.training.steps as usize - seen.load(Ordering::Relaxed));
            bar.done(record);
            write_atomically(path, &serde_json::to_vec(record).expect("plain values"))?;
        }
        Ok(record)
    }
}

/// The result kept from an earlier call, unless it is damaged or of another trial.
fn kept(path: &std::path::Path, trial: &Trial) -> Option<Record> {
    let record: Record = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (record.trial == *trial).then_some(record)
}

/// How far all trials are together.
struct Overall {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
    total: usize,
    trials: usize,
}

struct State {
    steps: usize,
    finished: usize,
    started: Instant,
    last: Instant,
}

impl Overall {
    fn new(trials: usize, missing: &[usize], all: &[Trial], quiet: bool) -> Self {
        let total = missing.iter().map(|&i| all[i].training.steps as usize).sum();
        let finished = trials - missing.len();
        if !quiet && finished > 0 {
            eprintln!("{finished} of {trials} trainings are there already");
        }
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total as u64);
            let template = "{bar:32} {pos}/{len} steps  {msg}  {per_sec}  ETA {eta}";
            bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
            bar
        });
        let now = Instant::now();
        // A quiet run has no last line and never gets to the next.
        let last = if quiet { now + Duration::from_secs(1 << 32) } else { now };
        Self { bar, state: Mutex::new(State { steps: 0, finished, started: now, last }), total, trials }
    }

    fn advance(&self, steps: usize) {
        let mut state = self.state.lock().expect("no panic holds it");
        state.steps += steps;
        if let Some(bar) = &self.bar {
            bar.set_position(state.steps as u64);
            return;
        }
        let now = Instant::now();
        if now.saturating_duration_since(state.last) >= LINE_EVERY {
            state.last = now;
            let rate = state.steps as f64 / state.started.elapsed().as_secs_f64();
            let left = (self.total - state.steps) as f64 / rate;
            eprintln!(
                "{} of {} trainings, {} of {} steps, {rate:.0} steps/s, ETA {left:.0} s",
                state.finished, self.trials, state.steps, self.total
            );
        }
    }

    fn done(&self, record: &Record) {
        let mut state = self.state.lock().expect("no panic holds it");
        state.finished += 1;
        if let Some(bar) = &self.bar {
            let trial = &record.trial;
            bar.set_message(format!(
                "{}/{} trainings; {} {} seed {}: {:.2}",
                state.finished,
                self.trials,
                trial.row,
                trial.method(),
                trial.training.seed,
                record.score()
            ));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
