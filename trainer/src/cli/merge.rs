//! `rwf merge`

use std::path::PathBuf;

use crate::{
    error::{Error, Result},
    task::many,
};

const EXAMPLES: &str = "Example:
  rwf fit --all tables -o models --shard 1/4      on each of four machines with a common folder, or copied together
  rwf merge tables models                         writes models/index.csv; exit code 1 while one is missing or failed";

/// Check that every signal of a folder was fitted, whatever shard did it, and write the index of all
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder of signals, as given to `rwf fit --all`
    folder: PathBuf,
    /// Folder of models
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let summary = many::merge(&args.folder, &args.out)?;
    println!("wrote {}", args.out.join("index.csv").display());
    told(&summary)
}

/// Says how jobs went; an error when one is missing or failed.
pub(super) fn told(summary: &many::Summary) -> Result<()> {
    let (failed, missing) = (summary.failed.len(), summary.missing.len());
    println!("{} of {} signals fitted", summary.jobs - failed - missing, summary.jobs);
    if failed + missing == 0 {
        return Ok(());
    }
    let first = |names: Vec<&str>| {
        let more = if names.len() > 10 { format!(" and {} more", names.len() - 10) } else { String::new() };
        names.into_iter().take(10).collect::<Vec<_>>().join(", ") + &more
    };
    let mut lines = Vec::new();
    if failed > 0 {
        lines.push(format!(
            "{failed} failed: {}",
            first(summary.failed.iter().map(|(name, _)| name.as_str()).collect())
        ));
    }
    if missing > 0 {
        lines.push(format!("{missing} missing: {}", first(summary.missing.iter().map(String::as_str).collect())));
    }
    Err(Error::Training(format!("{}; index.csv says why", lines.join("; "))))
}
