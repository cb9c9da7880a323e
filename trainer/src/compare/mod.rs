//! Many small trainings that differ in one thing, and what can be said of them: the same data, the same initial dense
//! weights for a seed, the same number of steps.

mod problem;
mod report;
mod runner;
mod statistics;
mod tables;
mod trial;

pub use problem::{Problem, Sampled, Scale};
pub use report::{Block, Report, Table};
pub use runner::Runner;
pub use statistics::{Summary, paired_p, summary};
pub use tables::{Choice, Results};
pub use trial::{CurveRow, LAST, Observe, Record, Spectra, Trial};
