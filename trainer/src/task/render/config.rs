//! The record of an inverse rendering.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::{
    config::{SignalRecord, check_signal as check, defaults_with},
    error::Result,
    signal::views::ViewOptions,
};

/// What stands behind the scene where it is transparent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Backdrop {
    /// White, as the published figures of NeRF's synthetic scenes
    White,
    /// Black, as Tancik et al. 2020
    Black,
}

impl Backdrop {
    /// Its colour.
    pub fn colour(self) -> [f32; 3] {
        match self {
            Self::White => [1.0; 3],
            Self::Black => [0.0; 3],
        }
    }
}

/// `[signal]` of a run of `rwf render`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenderConfig {
    /// Folder of photographs with `transforms*.json`.
    pub path: PathBuf,
    /// Pixels along the longer side, scaled down to; 0: as they are.
    pub size: usize,
    /// Every so many-th view is held out where there is no `transforms_test.json`; 0: none.
    pub hold_out: usize,
    /// Whether views without a photograph are left out.
    pub skip_missing: bool,
    /// What stands behind the scene when it is measured and shown; photographs without transparency are trained in
    /// front of it too.
    pub background: Backdrop,
    /// The scene lies within this distance of the origin along every axis, in world units.
    pub bound: f64,
    /// Whether colours depend on the direction they are seen from.
    pub directions: bool,
    /// Cells along each axis of the occupancy grid.
    pub cells: usize,
    /// Steps along the diagonal of the scene's box.
    pub steps: usize,
    /// Most samples of a ray in training, drawn by importance beyond that; 0: every step.
    pub samples: usize,
    /// Weight of the optical depth that empty space has along the diagonal of the scene's box.
    pub empty: f64,
    /// Frames of the turntable; 0: none.
    pub turntable: usize,
}

impl RenderConfig {
    /// Defaults under the options of a run.
    pub fn defaults() -> Table {
        defaults_with(
            "
            [signal]
            size = 100
            hold_out = 5
            skip_missing = false
            background = 'white'
            bound = 1.5
            directions = false
            cells = 64
            steps = 192
            samples = 24
            empty = 0.01
            turntable = 24
            [network]
            architecture = 'mlp'
            hidden = 64
            depth = 3
            activation = 'relu'
            output_activation = 'sigmoid'
            [network.mapping]
            kind = 'gaussian'
            frequencies = 64
            scale = 2.0
            [training]
            steps = 8000
            batch = 1024
            learning_rate = 2e-3
            evaluate_every = 500
            ",
        )
    }

    /// How its folder is read.
    pub fn views(&self) -> ViewOptions {
        ViewOptions { size: self.size, hold_out: self.hold_out, skip_missing: self.skip_missing }
    }
}

impl SignalRecord for RenderConfig {
    const TASK: &'static str = "render";

    fn validate(&self) -> Result<()> {
        check(self.bound > 0.0 && self.bound.is_finite(), "bound", self.bound.to_string(), "above 0")?;
        check((1..=256).contains(&self.cells), "cells", self.cells.to_string(), "1 to 256")?;
        check((8..=4096).contains(&self.steps), "steps", self.steps.to_string(), "8 to 4096")?;
        check(
            self.hold_out != 1,
            "hold_out",
            "1".into(),
            "0 or at least 2, so that some views are left to learn from",
        )?;
        check(self.empty >= 0.0 && self.empty.is_finite(), "empty", self.empty.to_string(), "at least 0")?;
        check(self.turntable <= 1000, "turntable", self.turntable.to_string(), "at most 1000")
    }
}
