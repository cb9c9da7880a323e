//! How the learning rate changes over a run.

use serde::{Deserialize, Serialize};

/// Factor on the learning rate as a function of the step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// 1 throughout.
    Constant,
    /// Half a cosine from 1 at the first step to `end` at the last (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Factor at the last step, 0 to 1.
        #[serde(default = "default_end")]
        end: f64,
    },
    /// `factor` to the power step/`every`, continuously.
    Exponential {
        /// Factor gained over `every` steps, above 0 and at most 1.
        factor: f64,
        /// Steps over which it is gained.
        every: u64,
    },
}

fn default_end() -> f64 {
    0.01
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Cosine { end: default_end() }
    }
}

impl Schedule {
    /// The factor at `step` (from 1) of `steps`.
    pub fn factor(self, step: u64, steps: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine { end } => {
                let at = ((step - 1) as f64 / (steps.max(2) - 1) as f64).min(1.0);
                end + (1.0 - end) * 0.5 * (1.0 + (std::f64::consts::PI * at).cos())
            }
            Self::Exponential { factor, every } => factor.powf((step - 1) as f64 / every as f64),
        }
    }

    /// What is impossible about it, if anything: found and expected.
    pub fn problem(self) -> Option<String> {
        match self {
            Self::Constant => None,
            Self::Cosine { end } => (!(0.0..=1.0).contains(&end)).then(|| format!("end is {end}, expected 0 to 1")),
            Self::Exponential { factor, every } => {
                if !(factor > 0.0 && factor <= 1.0) {
                    Some(format!("factor is {factor}, expected above 0 and at most 1"))
                } else {
                    (every == 0).then(|| "every is 0, expected at least 1".into())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_starts_at_one_and_ends_at_its_end() {
        let schedule = Schedule::Cosine { end: 0.1 };
        assert_eq!(schedule.factor(1, 100), 1.0);
        assert!((schedule.factor(100, 100) - 0.1).abs() < 1e-12);
        assert!((Schedule::Cosine { end: 0.0 }.factor(51, 101) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn exponential_gains_its_factor_every_so_many_steps() {
        let schedule = Schedule::Exponential { factor: 0.9, every: 2000 };
        assert!((schedule.factor(2001, 10_000) - 0.9).abs() < 1e-12);
        assert!((schedule.factor(4001, 10_000) - 0.81).abs() < 1e-12);
    }

    #[test]
    fn impossible_ones_say_why() {
        assert!(Schedule::Cosine { end: 2.0 }.problem().unwrap().contains("2"));
        assert!(Schedule::Exponential { factor: 0.0, every: 1 }.problem().is_some());
        assert!(Schedule::Exponential { factor: 0.5, every: 0 }.problem().is_some());
        assert_eq!(Schedule::default().problem(), None);
    }
}
