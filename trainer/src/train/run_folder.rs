//! The folder of one run, everything in it written whole or not at all.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    file::write_atomically,
};

/// `OUT.run/` beside the model `OUT.safetensors`.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder that belongs to the model file `out`.
    pub fn beside(out: &Path) -> Self {
        Self { path: out.with_extension("run") }
    }

    /// A folder that is there already.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it holds no checkpoint.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_path_buf() };
        if folder.checkpoint().is_file() {
            return Ok(folder);
        }
        let message = "found no run to resume, expected a run folder with `checkpoint.safetensors`".into();
        Err(Error::Checkpoint { path: path.into(), message })
    }

    /// Makes the folder for a new run; what an earlier run left in it, `others` among it, goes only with `force`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is a run already, [`Error::Io`] when the folder cannot be made.
    pub fn create(&self, force: bool, others: &[&str]) -> Result<()> {
        if self.path.exists() && !force {
            return Err(Error::Config {
                field: "output".into(),
                message: format!(
                    "a run is there already in `{0}`: `--resume {0}` goes on with it, `--force` starts again",
                    self.path.display()
                ),
            });
        }
        let io = |action| move |source| Error::Io { path: self.path.clone(), action, source };
        fs::create_dir_all(&self.path).map_err(io("make folder"))?;
        let own = [self.checkpoint(), self.metrics(), self.model(), self.loss()];
        for old in own.into_iter().chain(others.iter().map(|name| self.file(name))) {
            if old.exists() {
                fs::remove_file(&old).map_err(io("remove the earlier run in"))?;
            }
        }
        Ok(())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// `config.toml`, the record of the run.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }
    /// `metrics.csv`, one row a measurement.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }
    /// `checkpoint.safetensors`, from which the run goes on.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }
    /// `model.safetensors`, for the runtime.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }
    /// `loss.png`, the loss curve.
    pub fn loss(&self) -> PathBuf {
        self.path.join("loss.png")
    }
    /// A file of the task's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// The rows of `metrics.csv`: the step first, then one number a column.
#[derive(Debug, Clone)]
pub struct MetricsLog {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<(u64, Vec<f64>)>,
}

impl MetricsLog {
    /// An empty log with these columns beside `step`.
    pub fn new(path: PathBuf, columns: Vec<String>) -> Self {
        Self { path, columns, rows: Vec::new() }
    }

    /// Takes up the log of a run that goes on after `step`; later rows belong to steps that are done again.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when the file is not the log of this run.
    pub fn resume(path: PathBuf, columns: Vec<String>, step: u64) -> Result<Self> {
        let bad = |message: String| Error::Checkpoint { path: path.clone(), message };
        let mut reader = csv::Reader::from_path(&path).map_err(|e| bad(format!("cannot read the run's log ({e})")))?;
        let header = reader.headers().map_err(|e| bad(e.to_string()))?;
        let expected: Vec<&str> = std::iter::once("step").chain(columns.iter().map(String::as_str)).collect();
        if header.iter().ne(expected.iter().copied()) {
            return Err(bad(format!("found columns {header:?}, expected {expected:?}")));
        }
        let mut rows = Vec::new();
        for record in reader.into_records() {
            let record = record.map_err(|e| bad(e.to_string()))?;
            let at = record[0].parse().map_err(|_| bad(format!("step `{}` is no number", &record[0])))?;
            if at <= step {
                rows.push((at, record.iter().skip(1).map(|v| v.parse().unwrap_or(f64::NAN)).collect()));
            }
        }
        Ok(Self { path, columns, rows })
    }

    /// Adds a row and writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written; the file of before is intact.
    pub fn push(&mut self, step: u64, values: Vec<f64>) -> Result<()> {
        self.rows.push((step, values));
        let mut text = format!("step,{}\n", self.columns.join(","));
        for (step, values) in &self.rows {
            write!(text, "{step}").expect("a string");
            for v in values {
                write!(text, ",{v}").expect("a string");
            }
            text.push('\n');
        }
        write_atomically(&self.path, text.as_bytes())
    }

    /// Step and value of one column, for a plot.
    pub fn column(&self, name: &str) -> Vec<(u64, f64)> {
        let Some(k) = self.columns.iter().position(|c| c == name) else { return Vec::new() };
        self.rows.iter().map(|(step, values)| (*step, values[k])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_goes_on_drops_the_steps_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let mut log = MetricsLog::new(path.clone(), vec!["loss".into()]);
        for step in [1, 2, 3] {
            log.push(step, vec![1.0 / step as f64]).unwrap();
        }
        let log = MetricsLog::resume(path.clone(), vec!["loss".into()], 2).unwrap();
        assert_eq!(log.column("loss"), [(1, 1.0), (2, 0.5)]);
        assert!(MetricsLog::resume(path, vec!["psnr".into()], 2).is_err());
    }

    #[test]
    fn an_earlier_run_is_not_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::beside(&folder.path().join("m.safetensors"));
        run.create(false, &["old.png"]).unwrap();
        fs::write(run.checkpoint(), "x").unwrap();
        fs::write(run.file("old.png"), "x").unwrap();
        assert_eq!(run.create(false, &["old.png"]).unwrap_err().exit_code(), 2);
        assert!(run.checkpoint().exists());
        run.create(true, &["old.png"]).unwrap();
        assert!(!run.checkpoint().exists() && !run.file("old.png").exists());
    }
}
