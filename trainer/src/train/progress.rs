//! A word on how training goes: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Score;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows step, loss, score, steps a second and the time left.
#[derive(Debug)]
pub enum Progress {
    /// Redrawn in place.
    Bar(ProgressBar),
    /// One line every few seconds.
    Lines {
        /// Last step of the run.
        steps: u64,
        /// Step the clock started at.
        from: u64,
        /// When it started.
        started: Instant,
        /// When the last line was written.
        last: Instant,
    },
    /// Nothing at all.
    Quiet,
}

impl Progress {
    /// For a run from step `from` to `steps`: a bar when standard error is a terminal.
    pub fn new(from: u64, steps: u64, quiet: bool) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !console_is_terminal() {
            let now = Instant::now();
            return Self::Lines { steps, from, started: now, last: now };
        }
        let bar = ProgressBar::new(steps).with_position(from);
        let template = "{bar:32} {pos}/{len} steps  {msg}  {per_sec}  ETA {eta}";
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        bar.reset_eta();
        Self::Bar(bar)
    }

    /// After `step`, with the loss smoothed over steps and the last score measured.
    pub fn update(&mut self, step: u64, loss: f64, score: Option<Score>) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(step);
                bar.set_message(words(loss, score));
            }
            Self::Lines { steps, from, started, last } => {
                if last.elapsed() < LINE_EVERY {
                    return;
                }
                *last = Instant::now();
                let rate = (step - *from) as f64 / started.elapsed().as_secs_f64();
                let left = (*steps - step) as f64 / rate;
                eprintln!("step {step}/{steps}  {}  {rate:.0} steps/s  ETA {left:.0} s", words(loss, score));
            }
            Self::Quiet => {}
        }
    }

    /// Takes the bar away, so that what follows starts on a clean line.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn words(loss: f64, score: Option<Score>) -> String {
    match score {
        Some(score) => format!("loss {loss:.3e}  {score}"),
        None => format!("loss {loss:.3e}"),
    }
}

fn console_is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}
