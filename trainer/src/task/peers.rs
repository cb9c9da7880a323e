//! The same training steps in other frameworks, by scripts of ours under `benches/peers` that a Python with their
//! packages runs.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde::{Deserialize, de::DeserializeOwned};

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

/// What a peer took to evaluate a network.
#[derive(Debug, Clone, Deserialize)]
pub struct PeerInference {
    /// Framework.
    pub peer: String,
    /// First word of the case's name.
    pub case: String,
    /// `one point` or `batch`.
    pub path: String,
    /// Threads.
    pub threads: usize,
    /// Median nanoseconds a point.
    pub median_ns: f64,
    /// Least nanoseconds a point.
    pub min_ns: f64,
}

/// The scripts, and what they share.
const FILES: [(&str, &str); 5] = [
    ("cases.py", include_str!("../../benches/peers/cases.py")),
    ("jets.py", include_str!("../../benches/peers/jets.py")),
    (TRAINING[0], include_str!("../../benches/peers/train_jax.py")),
    (TRAINING[1], include_str!("../../benches/peers/train_torch.py")),
    (INFERENCE[0], include_str!("../../benches/peers/infer_litert.py")),
];
const TRAINING: [&str; 2] = ["train_jax.py", "train_torch.py"];
const INFERENCE: [&str; 1] = ["infer_litert.py"];

/// Runs every training script for the cases with these letters, one after the other, on the CPU or on a CUDA GPU.
///
/// # Errors
/// [`Error::Config`] when Python does not start or a script ends with an error, with the last line it wrote.
pub fn training(
    python: &Path,
    letters: &[char],
    threads: usize,
    seconds: f64,
    on_gpu: bool,
) -> Result<Vec<PeerTiming>> {
    let list: Vec<String> = letters.iter().map(char::to_string).collect();
    let device = if on_gpu { "cuda" } else { "cpu" };
    run(python, &TRAINING, &[list.join(","), threads.to_string(), seconds.to_string(), device.into()])
}

/// Runs every script that evaluates networks, for cases that begin with these words.
///
/// # Errors
/// As [`training`].
pub fn inference(python: &Path, cases: &[&str], threads: usize, seconds: f64) -> Result<Vec<PeerInference>> {
    run(python, &INFERENCE, &[cases.join(","), threads.to_string(), seconds.to_string()])
}

/// What the scripts write, a line of JSON each.
fn run<T: DeserializeOwned>(python: &Path, scripts: &[&str], arguments: &[String]) -> Result<Vec<T>> {
    let failed = |message: String| Error::Config { field: "--against python".into(), message };
    let folder = tempfile::tempdir().map_err(|e| failed(format!("found no place for the scripts: {e}")))?;
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).map_err(|e| failed(format!("cannot write {name}: {e}")))?;
    }
    let mut all = Vec::new();
    for script in scripts {
        let output = Command::new(python)
            .arg(folder.path().join(script))
            .args(arguments)
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
            all.push(serde_json::from_str(line).map_err(|e| failed(format!("{script} wrote `{line}`: {e}")))?);
        }
    }
    Ok(all)
}
