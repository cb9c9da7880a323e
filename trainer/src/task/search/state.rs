//! What a search has found so far, on disk after every trial.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Candidate, Outcome};
use crate::{
    error::{Error, Result},
    file::write_atomically,
};

/// The file in the search's folder.
const FILE: &str = "search.json";

/// Everything that decides how a search goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Signal, budget, goal and settings in words: another search does not go on with this one.
    pub(super) of: String,
    /// Seconds spent so far.
    pub(super) spent: f64,
    /// Rounds planned so far: candidates and the steps of each.
    pub(super) rungs: Vec<Vec<(Candidate, u64)>>,
    /// Seconds of a step of one thread, by candidate of the first round.
    pub(super) pace: Vec<f64>,
    /// Trials that are done.
    pub(super) outcomes: Vec<Outcome>,
}

impl State {
    /// Of a search that has not begun.
    pub(super) fn new(of: String) -> Self {
        Self { of, spent: 0.0, rungs: Vec::new(), pace: Vec::new(), outcomes: Vec::new() }
    }

    /// What is in `folder`, if there is anything.
    ///
    /// # Errors
    /// [`Error::Config`] for the state of another search, or a damaged one.
    pub(super) fn open(folder: &Path, of: &str) -> Result<Option<Self>> {
        let path = Self::path(folder);
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        let refuse = |message: String| Error::Config { field: format!("`{}`", path.display()), message };
        let state: Self = serde_json::from_slice(&bytes)
            .map_err(|e| refuse(format!("is damaged ({e}); `--force` starts the search again")))?;
        if state.of != of {
            return Err(refuse(format!(
                "is of another search: found {}, expected {of}; `--force` starts again, `-o` writes elsewhere",
                state.of
            )));
        }
        Ok(Some(state))
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_atomically(&Self::path(folder), &serde_json::to_vec_pretty(self).expect("plain values"))
    }

    /// The outcome of a trial that is done.
    pub(super) fn outcome(&self, rung: usize, candidate: &Candidate) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.rung == rung && o.candidate == *candidate)
    }

    /// The best outcome of the latest round that knows it, for every candidate, best first.
    pub(super) fn latest(&self) -> Vec<&Outcome> {
        let mut best: Vec<&Outcome> = Vec::new();
        for outcome in &self.outcomes {
            match best.iter_mut().find(|o| o.candidate == outcome.candidate) {
                Some(known) if known.rung < outcome.rung => *known = outcome,
                Some(_) => {}
                None => best.push(outcome),
            }
        }
        best.sort_by(|a, b| a.error.total_cmp(&b.error));
        best
    }

    /// Outcomes that no other beats in both error and flash, smallest first.
    pub(super) fn frontier(&self) -> Vec<&Outcome> {
        let mut all = self.latest();
        all.retain(|o| o.error.is_finite());
        all.sort_by_key(|o| o.flash);
        let mut least = f64::INFINITY;
        all.retain(|o| {
            let better = o.error < least;
            least = least.min(o.error);
            better
        });
        all
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }
}
