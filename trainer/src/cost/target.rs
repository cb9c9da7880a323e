//! How long a point takes on a core, from the instructions counted under emulation.

use crate::evaluate::Evaluate;

/// What a model computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// f32 weights.
    F32,
    /// f16 weights, f32 arithmetic.
    F16,
    /// Integers alone.
    Integers,
}

impl Numbers {
    pub(super) fn of(model: &dyn Evaluate) -> Self {
        match model.storage().as_str() {
            "f32" => Self::F32,
            "f16" => Self::F16,
            _ => Self::Integers,
        }
    }
}

/// Cores the runtime is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Armv6-M, no floating-point unit; a Cortex-M0+ is the same.
    CortexM0,
    /// Armv7-M, no floating-point unit.
    CortexM3,
    /// Armv7E-M with single precision and DSP.
    CortexM4,
    /// The same, two instructions at a time.
    CortexM7,
    /// Armv8-M Mainline with single precision.
    CortexM33,
    /// RISC-V without floating point, such as an ESP32-C3.
    Rv32imc,
    /// RISC-V with single precision.
    Rv32imafc,
}

/// Instructions of a multiply-add and of an activation, for f32, f16 and integers.
type Prices = [(f64, f64); 3];

impl Target {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CortexM0,
        Self::CortexM3,
        Self::CortexM4,
        Self::CortexM7,
        Self::CortexM33,
        Self::Rv32imc,
        Self::Rv32imafc,
    ];

    /// The word for command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexM0 => "cortex-m0",
            Self::CortexM3 => "cortex-m3",
            Self::CortexM4 => "cortex-m4",
            Self::CortexM7 => "cortex-m7",
            Self::CortexM33 => "cortex-m33",
            Self::Rv32imc => "rv32imc",
            Self::Rv32imafc => "rv32imafc",
        }
    }

    /// From SIRENs of width 32 and 64 in firmware-example/INSTRUCTIONS.md, two equations for two prices.
    const fn prices(self) -> Prices {
        match self {
            Self::CortexM0 => [(224.8, 1429.0), (351.6, 1571.0), (6.67, 99.5)],
            Self::CortexM3 => [(134.0, 838.0), (187.3, 900.0), (3.27, 66.3)],
            Self::CortexM4 | Self::CortexM7 => [(2.02, 42.4), (6.83, 110.2), (1.05, 61.3)],
            Self::CortexM33 => [(2.02, 42.4), (6.83, 110.2), (3.37, 68.2)],
            Self::Rv32imc => [(120.2, 784.0), (177.4, 847.0), (3.13, 66.3)],
            Self::Rv32imafc => [(3.24, 49.9), (13.2, 67.9), (3.13, 66.3)],
        }
    }

    /// Cycles an instruction, a guess from the cores' manuals for code in memory without wait states: loads take two
    /// cycles on the simple cores, and a load of several words counts as one instruction.
    const fn cycles_per_instruction(self) -> f64 {
        match self {
            Self::CortexM7 => 0.8,
            Self::CortexM33 => 1.3,
            _ => 1.5,
        }
    }

    /// Instructions and cycles of one point.
    pub fn estimate(self, cost: &super::Cost) -> Estimate {
        let (mac, activation) = self.prices()[cost.numbers as usize];
        let instructions = mac * cost.macs as f64 + activation * cost.activations as f64;
        Estimate { instructions, cycles: instructions * self.cycles_per_instruction() }
    }
}

/// What a point takes on a target, about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Instructions, within 30 % of what is counted, for f32 and integers within 15 %.
    pub instructions: f64,
    /// Cycles; measure on the chip before relying on them.
    pub cycles: f64,
}

/// A target at a clock, `cortex-m4@168MHz`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// The core.
    pub target: Target,
    /// Its clock in Hz.
    pub hertz: f64,
}

impl std::str::FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known: Vec<&str> = Target::ALL.iter().map(|t| t.name()).collect();
        let wrong = || {
            format!(
                "found `{text}`, expected TARGET@CLOCK such as cortex-m4@168MHz, TARGET one of {}",
                known.join(", ")
            )
        };
        let (name, clock) = text.split_once('@').ok_or_else(wrong)?;
        let target = Target::ALL.into_iter().find(|t| t.name() == name.to_lowercase()).ok_or_else(wrong)?;
        let clock = clock.to_lowercase();
        let (number, factor) = [("ghz", 1e9), ("mhz", 1e6), ("khz", 1e3), ("hz", 1.0)]
            .iter()
            .find_map(|(unit, factor)| Some((clock.strip_suffix(unit)?, *factor)))
            .ok_or_else(wrong)?;
        let hertz = number.trim().parse::<f64>().ok().map(|n| n * factor).filter(|h| h.is_finite() && *h > 0.0);
        Ok(Self { target, hertz: hertz.ok_or_else(wrong)? })
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}MHz", self.target.name(), self.hertz / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;

    #[test]
    fn clocks_are_read_and_wrong_ones_say_what_is_known() {
        let clock: Clock = "cortex-m4@168MHz".parse().unwrap();
        assert_eq!(
            (clock.target, clock.hertz, clock.to_string().as_str()),
            (Target::CortexM4, 168e6, "cortex-m4@168MHz")
        );
        for bad in ["cortex-m4", "z80@4MHz", "cortex-m4@fast", "rv32imc@-1MHz", "rv32imc@12"] {
            assert!(bad.parse::<Clock>().unwrap_err().contains("rv32imafc"), "{bad}");
        }
    }

    /// The prices give back the counts of the committed table, where it is at hand.
    #[test]
    fn estimates_are_near_the_counts_of_the_table() {
        let table = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware-example/INSTRUCTIONS.md");
        let Ok(table) = std::fs::read_to_string(table) else { return };
        let one = table.split("four points at a time").next().unwrap();
        let mut rows = 0;
        for line in one.lines().filter(|l| l.starts_with("| siren") || l.starts_with("| fourier")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).filter(|c| !c.is_empty()).collect();
            let numbers = match cells[0].rsplit('-').next().unwrap() {
                "f32" => Numbers::F32,
                "f16" => Numbers::F16,
                _ => Numbers::Integers,
            };
            let macs: usize = cells[1].parse().unwrap();
            let activations = if cells[0].starts_with("siren64") {
                192
            } else if cells[0].starts_with("siren32") {
                96
            } else {
                // 32 waves, and two layers of 32 ReLUs.
                64
            };
            let cost = Cost { flash: 0, file: 0, ram: 0, macs, activations, numbers };
            for (target, cell) in Target::ALL.into_iter().zip(&cells[2..9]) {
                let counted: f64 = cell.split(' ').next().unwrap().parse().unwrap();
                let ratio = target.estimate(&cost).instructions / counted;
                assert!((0.7..1.3).contains(&ratio), "{} on {}: {ratio}", cells[0], target.name());
                rows += 1;
            }
        }
        assert!(rows >= 9 * 7, "{rows}");
    }
}
