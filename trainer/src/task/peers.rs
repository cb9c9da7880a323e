//! The same training steps in other frameworks, by scripts of ours under `benches/peers` that a Python with their
//! packages runs.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::error::{Error, Result};

/// What a peer took for a case.
#[derive(Debug, Clone, Deserialize)]
pub struct PeerTiming {
    /// Framework, and how it was used.
    pub peer: String,
    /// Letter of the case.
    pub case: String,
    /// Threads.
    pub threads: usize,
    /// Median milliseconds of a step.
    pub median_ms: f64,
    /// Least milliseconds of a step.
    pub min_ms: f64,
}

/// The scripts, and what they share.
const FILES: [(&str, &str); 4] = [
    ("cases.py", include_str!("../../benches/peers/cases.py")),
    ("jets.py", include_str!("../../benches/peers/jets.py")),
    ("train_jax.py", include_str!("../../benches/peers/train_jax.py")),
    ("train_torch.py", include_str!("../../benches/peers/train_torch.py")),
];

/// Runs every training script for the cases with these letters, one after the other.
///
/// # Errors
/// [`Error::Config`] when Python does not start or a script ends with an error, with the last line it wrote.
pub fn training(python: &Path, letters: &[char], threads: usize, seconds: f64) -> Result<Vec<PeerTiming>> {
    let failed = |message: String| Error::Config { field: "--against python".into(), message };
    let folder = tempfile::tempdir().map_err(|e| failed(format!("found no place for the scripts: {e}")))?;
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).map_err(|e| failed(format!("cannot write {name}: {e}")))?;
    }
    let list: Vec<String> = letters.iter().map(char::to_string).collect();
    let mut all = Vec::new();
    for (script, _) in &FILES[2..] {
        let output = Command::new(python)
            .arg(folder.path().join(script))
            .args([list.join(","), threads.to_string(), seconds.to_string()])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| failed(format!("cannot run `{}`: {e}; give one with --python", python.display())))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.trim().lines().last().unwrap_or("no message").to_owned();
            let hint = "expected one with the packages of trainer/benches/peers/requirements.txt";
            return Err(failed(format!("{script} in `{}` ended with `{last}`, {hint}", python.display())));
        }
        for line in String::from_utf8_lossy(&output.stdout).lines().filter(|l| l.starts_with('{')) {
            let timing = serde_json::from_str(line).map_err(|e| failed(format!("{script} wrote `{line}`: {e}")))?;
            all.push(timing);
        }
    }
    Ok(all)
}
