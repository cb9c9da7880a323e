//! Everything that can go wrong, each saying where, what was found and what was expected.

use std::{io, path::PathBuf};

/// What the trainer's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: read, write.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A signal file is not what it should be.
    #[error("signal `{}`: {message}", path.display())]
    Signal {
        /// The file.
        path: PathBuf,
        /// Where in it, found and expected.
        message: String,
    },
    /// A setting is impossible.
    #[error("{field}: {message}")]
    Config {
        /// Which one.
        field: String,
        /// Found and expected.
        message: String,
    },
    /// A file is not a model.
    #[error("model `{}`: {message}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Found and expected.
        message: String,
    },
    /// A file is not a checkpoint, or not one to go on with.
    #[error("checkpoint `{}`: {message}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Found and expected.
        message: String,
    },
    /// The device asked for is not there.
    #[error("{0}")]
    Device(String),
    /// Training or export failed.
    #[error("{0}")]
    Training(String),
    /// A certificate does not hold.
    #[error("{0}")]
    Certificate(String),
    /// Ctrl-C; everything is saved.
    #[error("interrupted; the same command with `--resume` and the run folder goes on")]
    Interrupted,
    /// Ctrl-C in a comparison; what is done is kept.
    #[error("interrupted; the trainings that are done are kept, and the same command goes on with the others")]
    ComparisonInterrupted,
    /// The tensor library failed.
    #[error("tensor computation failed: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Exit code of the command: 2 for bad input, 1 for a run that failed, 130 after Ctrl-C.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. }
            | Self::Signal { .. }
            | Self::Config { .. }
            | Self::Model { .. }
            | Self::Checkpoint { .. }
            | Self::Device(_) => 2,
            Self::Training(_) | Self::Certificate(_) | Self::Candle(_) => 1,
            Self::Interrupted | Self::ComparisonInterrupted => 130,
        }
    }
}
