//! Fits coordinate networks f(coordinates) -> values with Random Weight Factorization (RWF; Wang, Wang, Seidman,
//! Perdikaris, arXiv 2210.01274v2) and folds them into files for [`rwf_runtime`].
//!
//! A [`signal`] is what was measured: samples at coordinates, in physical units. A [`network`] is a function of
//! dense layers; its parameterization only says how these are made from what is trained. An [`engine`] holds the
//! trained numbers on a device, computes values, loss and gradients, and takes Adam's steps. [`train`] is the one
//! loop around it, and [`task`] the wiring. At the end [`fold()`](fold::fold) takes factors, omega0 and physical
//! units into the dense layers, [`export`] writes them, and [`mod@evaluate`] reads them back as a device would: the
//! errors a run reports are those of the file.
//!
//! ```text
//! signal -> task -> train -> engine -> network
//!                     |
//!                     +-> fold -> export -> model file -> rwf_runtime
//! ```

pub mod baseline;
pub mod bound;
pub mod certificate;
pub mod cli;
pub mod compare;
pub mod config;
pub mod container;
pub mod cost;
pub mod diagnose;
pub mod domain;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod file;
pub mod firmware;
pub mod fold;
pub mod import;
pub mod jobs;
pub mod network;
mod numpy;
pub mod observation;
pub mod plot;
pub mod quantize;
pub mod rival;
pub mod rng;
pub mod signal;
pub mod task;
pub mod tolerance;
pub mod train;
