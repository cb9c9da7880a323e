//! The record of a base network.

use std::path::PathBuf;

use rwf_runtime::format::MAX_WIDTH;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::{
    config::{self, SignalRecord, check},
    error::Result,
    signal::SignalKind,
};

/// What a signal's integers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Modulation {
    /// -127 to 127, a byte each
    I8,
    /// -32767 to 32767, two bytes each
    I16,
}

impl Modulation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::I8, Self::I16];

    /// The largest of them.
    pub fn limit(self) -> i16 {
        match self {
            Self::I8 => 127,
            Self::I16 => i16::MAX,
        }
    }

    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
        }
    }

    /// The bytes of a signal's file, little endian.
    pub fn bytes(self, integers: &[i16]) -> Vec<u8> {
        integers.iter().flat_map(|q| q.to_le_bytes().into_iter().take(self.size())).collect()
    }
}

/// `[signal]` of a base network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareConfig {
    /// Folder of the signals.
    pub folder: PathBuf,
    /// Integers a signal.
    pub components: usize,
    /// What they are.
    pub modulation: Modulation,
    /// Columns of a table that are inputs; empty: all but the outputs.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Columns of a table that are outputs; empty: the last one.
    #[serde(default)]
    pub outputs: Vec<String>,
}

impl SignalRecord for ShareConfig {
    const TASK: &'static str = "fit --share";

    fn validate(&self) -> Result<()> {
        let most = MAX_WIDTH - 1;
        check((1..=most).contains(&self.components), "--share", self.components.to_string(), &format!("1 to {most}"))
    }
}

/// Defaults for signals of this kind, with this many inputs and samples at most.
pub(super) fn defaults(kind: SignalKind, inputs: usize, samples: usize) -> Table {
    let mut table = config::defaults(kind, inputs, samples);
    // Every sample is for training: what is held out of a base are signals.
    table.remove("signal");
    if kind == SignalKind::Table {
        // A basis of smooth curves is found by curvature.
        let own = "[network]\nactivation = 'gelu'\n[training]\nsteps = 1000\nlbfgs = 2000";
        config::merge(&mut table, own.parse().expect("constant text"));
    }
    table
}
