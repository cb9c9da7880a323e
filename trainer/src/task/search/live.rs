//! The frontier while a search runs: a table redrawn in place on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Rows of the table that are shown.
pub(super) const ROWS: usize = 12;

/// Where a search tells of its trials.
#[derive(Debug)]
pub(super) enum Live {
    /// Lines that are redrawn.
    Redrawn(MultiProgress, Vec<ProgressBar>),
    /// A line for each trial, the table after each round.
    Lines,
    /// Nothing at all.
    Quiet,
}

impl Live {
    /// Redrawn when standard error is a terminal.
    pub(super) fn new(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Quiet,
            (_, false) => Self::Lines,
            (_, true) => Self::Redrawn(MultiProgress::new(), Vec::new()),
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        match self {
            // A terminal that is gone is nobody's loss.
            Self::Redrawn(all, _) => all.println(line).unwrap_or_default(),
            Self::Lines => eprintln!("{line}"),
            Self::Quiet => {}
        }
    }

    /// After a trial: `line` says how it went, `table` is the frontier as it stands.
    pub(super) fn trial(&mut self, line: &str, table: &dyn Fn() -> String) {
        match self {
            Self::Redrawn(all, rows) => {
                let text = table();
                let lines: Vec<&str> = std::iter::once(line).chain(text.lines().take(ROWS + 2)).collect();
                while rows.len() < lines.len() {
                    let style = ProgressStyle::with_template("{wide_msg}").expect("a constant template");
                    let row = all.add(ProgressBar::new_spinner().with_style(style));
                    rows.push(row);
                }
                for (n, row) in rows.iter().enumerate() {
                    row.set_message(lines.get(n).copied().unwrap_or_default().to_owned());
                }
            }
            Self::Lines => eprintln!("{line}"),
            Self::Quiet => {}
        }
    }

    /// After a round: the table stays where it was drawn, or is written once.
    pub(super) fn round(&mut self, table: &dyn Fn() -> String) {
        match self {
            Self::Redrawn(_, rows) => rows.drain(..).for_each(|row| row.abandon()),
            Self::Lines => eprint!("{}", table()),
            Self::Quiet => {}
        }
    }
}
