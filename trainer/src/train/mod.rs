//! 5 Training: one loop, and what it needs: batches, a learning rate, metrics, checkpoints, a word on how it goes.

mod batch;
pub mod checkpoint;
mod fit;
pub mod metrics;
pub mod progress;
pub mod run_folder;
mod schedule;
mod score;
mod ssim;

pub use batch::Batches;
pub use checkpoint::Checkpoint;
pub use fit::{Evaluation, Measured, Objective, Outcome, Stop, fit, no_lbfgs};
pub use metrics::Metrics;
pub use progress::Progress;
pub use run_folder::RunFolder;
pub use schedule::Schedule;
pub use score::Score;
pub use ssim::ssim;
