//! Generated pairs in a file: made once, and again when generator, settings, number or seed are others.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Generator, OperatorData, Source, generate, read};
use crate::{
    container::{self, Stored, Words},
    error::{Error, Result},
    file::write_atomically,
};

/// Where data came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// From the file.
    Before,
    /// By the generator, and written to the file.
    Now,
}

/// `functions` pairs by `generator` from the file at `path`; where that holds others or is not there, they are made and
/// written to it.
///
/// # Errors
/// [`Error::Signal`] for a file that is not one of a generator, which is left alone; [`Error::Io`] when it cannot be
/// written.
pub fn load_or_make(
    path: &Path,
    generator: &dyn Generator,
    functions: usize,
    seed: u64,
    quiet: bool,
) -> Result<(OperatorData, Made)> {
    let mut expected = Words::new();
    let mut put = |key: &str, value: &str| expected.insert(key.into(), value.into());
    put("format", "rwf-operator-data");
    put("generator", generator.name());
    put("settings", generator.settings());
    put("functions", &functions.to_string());
    put("seed", &seed.to_string());
    if path.exists() {
        let bytes = crate::file::read(path)?;
        let words = container::words(&bytes).unwrap_or_default();
        if words == expected {
            return Ok((read(&Source::File(path.into()))?, Made::Before));
        }
        if words.get("format") != expected.get("format") {
            let message =
                "found a file of another kind where generated data are kept; move it, or name another with --data";
            return Err(Error::Signal { path: path.into(), message: message.into() });
        }
    }
    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(functions as u64) };
    let style = ProgressStyle::with_template("making pairs of functions {bar:30} {pos}/{len} {eta}");
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let data = generate(generator, functions, seed, &progress);
    progress.finish_and_clear();
    let s = data.sizes;
    let tensors = [
        Stored::f32("inputs", &[s.functions, s.sensors], &data.inputs),
        Stored::f32("points", &[s.points, s.coordinates], &data.points),
        Stored::f32("outputs", &[s.functions, s.points, s.outputs], &data.outputs),
    ];
    write_atomically(path, &container::write(&tensors, &expected))?;
    Ok((data, Made::Now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::operator::generator;

    #[test]
    fn data_are_made_once_and_again_when_asked_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.safetensors");
        let known = generator("advection").unwrap();
        let (first, made) = load_or_make(&path, known, 3, 1, true).unwrap();
        assert_eq!(made, Made::Now);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(load_or_make(&path, known, 3, 1, true).unwrap(), (first.clone(), Made::Before));
        let (other, made) = load_or_make(&path, known, 3, 2, true).unwrap();
        assert!(made == Made::Now && other != first);
        load_or_make(&path, known, 3, 1, true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        std::fs::write(&path, "mine").unwrap();
        assert!(load_or_make(&path, known, 3, 1, true).unwrap_err().to_string().contains("another kind"));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
