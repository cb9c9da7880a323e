//! One number that says how good a network is.

use std::fmt;

/// A measure of which more is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// What it is: PSNR, IoU.
    pub name: &'static str,
    /// Its unit; empty when there is none.
    pub unit: &'static str,
    /// Its value.
    pub value: f64,
}

impl Score {
    /// Without a unit.
    pub fn new(name: &'static str, value: f64) -> Self {
        Self { name, unit: "", value }
    }

    /// Peak signal-to-noise ratio in dB.
    pub fn psnr(value: f64) -> Self {
        Self { name: "PSNR", unit: "dB", value }
    }

    /// Name and unit, for an axis.
    pub fn label(&self) -> String {
        if self.unit.is_empty() { self.name.into() } else { format!("{} [{}]", self.name, self.unit) }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            "" => write!(f, "{} {:.4}", self.name, self.value),
            unit => write!(f, "{} {:.2} {unit}", self.name, self.value),
        }
    }
}
