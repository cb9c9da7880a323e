//! For build scripts, on the host: a model file as a Rust module with a `static` [`Model`] or
//! [`IntegerModel`], so that a program holds no file and no reader of files.
//!
//! In `Cargo.toml` the crate stands twice, the second time with this feature:
//!
//! ```toml
//! [dependencies]
//! rwf-runtime = "0.1"
//! [build-dependencies]
//! rwf-runtime = { version = "0.1", features = ["build"] }
//! ```
//!
//! `build.rs`:
//!
//! ```no_run
//! fn main() -> Result<(), rwf_runtime::build::Error> {
//!     rwf_runtime::build::model("photo.safetensors")
//! }
//! ```
//!
//! and in the program:
//!
//! ```ignore
//! mod photo {
//!     include!(concat!(env!("OUT_DIR"), "/photo.rs"));
//! }
//! let [red, green, blue] = photo::eval(&[12.5, 40.0]);
//! ```
//!
//! `rwf export --rust` writes the same text to a file of its own.

pub(crate) mod float;
pub(crate) mod text;

use std::{
    env, fmt, format, fs, io,
    path::{Path, PathBuf},
    println,
    string::String,
};

use crate::{IntegerModel, LoadError, Model};

/// Why a module was not written.
pub enum Error {
    /// The model cannot be read.
    Read(PathBuf, io::Error),
    /// The file is not a model this crate, with these features, evaluates.
    Model(PathBuf, LoadError),
    /// The module cannot be written.
    Write(PathBuf, io::Error),
    /// `OUT_DIR` is not set: this is no build script.
    NoOutDir,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read `{}`: {error}", path.display()),
            Self::Model(path, error) => write!(f, "`{}`: {error}", path.display()),
            Self::Write(path, error) => write!(f, "cannot write `{}`: {error}", path.display()),
            Self::NoOutDir => f.write_str("OUT_DIR is not set, expected a build script run by cargo"),
        }
    }
}

/// The same sentence: cargo shows it when `main` of a build script returns the error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// Writes `OUT_DIR/STEM.rs` for the model at `path` (relative to the package), and tells cargo to do so again when the
/// model changes. Characters of the stem that no Rust name has become `_`.
///
/// # Errors
/// See [`Error`]; a module of before stays as it was.
pub fn model(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    println!("cargo:rerun-if-changed={}", path.display());
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(Error::NoOutDir)?;
    let file = fs::read(path).map_err(|e| Error::Read(path.into(), e))?;
    let text = rust(&file, &path.file_name().unwrap_or_default().to_string_lossy())
        .map_err(|e| Error::Model(path.into(), e))?;
    let out = folder.join(format!("{}.rs", name(path)));
    fs::write(&out, text).map_err(|e| Error::Write(out, e))
}

/// The stem of a path as a name of Rust's.
pub fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The text of the module for a model file, of floats or of integers; `source` names the file in its first line.
///
/// # Errors
/// [`LoadError`] for what [`Model::new`] or [`IntegerModel::new`] refuses.
pub fn rust(file: &[u8], source: &str) -> Result<String, LoadError> {
    match Model::new(file) {
        Ok(model) => Ok(float::module(&model, source)),
        Err(LoadError::Integer) => Ok(crate::integer::build::module(&IntegerModel::new(file)?, source)),
        Err(error) => Err(error),
    }
}
