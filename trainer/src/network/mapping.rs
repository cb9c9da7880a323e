//! What happens to the coordinates before the first dense layer: fixed frequencies, in turns per unit.

use rwf_runtime::format::Mapping;
use serde::{Deserialize, Serialize};

use super::HostDense;
use crate::rng::Rng;

/// Input mappings; coordinates are those of the network, mostly in [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MappingConfig {
    /// The coordinates themselves.
    #[default]
    None,
    /// Positional encoding as in Tancik et al. 2020: along each axis sin and cos of 2πbx with
    /// b = 2^linspace(0, `max_power`, `frequencies`) - 1.
    PositionalLog {
        /// Power of the highest frequency.
        #[serde(default = "max_power")]
        max_power: f64,
        /// Frequencies an axis.
        #[serde(default = "log_frequencies")]
        frequencies: usize,
    },
    /// Positional encoding as in NeRF and SIREN: along each axis sin and cos of 2^i·πx, i = 0 .. `levels` - 1.
    PositionalOctaves {
        /// Octaves an axis.
        #[serde(default = "levels")]
        levels: usize,
        /// Whether the coordinates stay beside them.
        #[serde(default = "yes")]
        raw: bool,
    },
    /// Gaussian Fourier features (Tancik et al. 2020): sin and cos of 2πBx, B ~ `scale`·N(0, 1), fixed.
    Gaussian {
        /// Number of frequencies.
        #[serde(default = "gaussian_frequencies")]
        frequencies: usize,
        /// Standard deviation of a frequency.
        #[serde(default = "scale")]
        scale: f64,
    },
    /// For functions that are periodic along every axis but the first, [-1, 1] being one period (Dong and Ni 2021): sin
    /// and cos of πkx, k = 1 .. `harmonics`, along those, a quarter turn along the first, and `waves` plane waves with
    /// -`harmonics` to `harmonics` periods along those and `scale`·N(0, 1) turns a unit along the first.
    Periodic {
        /// Highest number of periods.
        #[serde(default = "harmonics")]
        harmonics: usize,
        /// Number of plane waves.
        #[serde(default)]
        waves: usize,
        /// Standard deviation of their frequency along the first axis.
        #[serde(default = "wave_scale")]
        scale: f64,
    },
}

fn harmonics() -> usize {
    1
}
fn wave_scale() -> f64 {
    1.0
}
fn max_power() -> f64 {
    6.0
}
fn log_frequencies() -> usize {
    16
}
fn levels() -> usize {
    6
}
fn yes() -> bool {
    true
}
fn gaussian_frequencies() -> usize {
    64
}
fn scale() -> f64 {
    5.0
}

impl MappingConfig {
    /// Number of frequencies for so many coordinates.
    pub fn frequencies(&self, inputs: usize) -> usize {
        match *self {
            Self::None => 0,
            Self::PositionalLog { frequencies, .. } => frequencies * inputs,
            Self::PositionalOctaves { levels, .. } => levels * inputs,
            Self::Gaussian { frequencies, .. } => frequencies,
            Self::Periodic { harmonics, waves, .. } => 1 + inputs.saturating_sub(1) * harmonics + waves,
        }
    }

    /// As the format knows it.
    pub fn format(&self, inputs: usize) -> Mapping {
        let raw = matches!(self, Self::PositionalOctaves { raw: true, .. });
        match self {
            Self::None => Mapping::None,
            _ => Mapping::Fourier { frequencies: self.frequencies(inputs), raw },
        }
    }

    /// Frequencies in turns per unit, `[inputs, frequencies]`, phases 0.
    pub(super) fn draw(&self, inputs: usize, rng: &mut Rng) -> Option<HostDense> {
        let outputs = self.frequencies(inputs);
        let along_axes = |per_axis: usize, frequency: &dyn Fn(usize) -> f64| {
            let mut kernel = vec![0.0; inputs * outputs];
            for axis in 0..inputs {
                for k in 0..per_axis {
                    kernel[axis * outputs + axis * per_axis + k] = frequency(k);
                }
            }
            kernel
        };
        let kernel = match *self {
            Self::None => return None,
            Self::PositionalLog { max_power, frequencies } => along_axes(frequencies, &|k| {
                let at = k as f64 / (frequencies.max(2) - 1) as f64;
                (max_power * at).exp2() - 1.0
            }),
            Self::PositionalOctaves { levels, .. } => along_axes(levels, &|k| 0.5 * (k as f64).exp2()),
            Self::Gaussian { scale, .. } => (0..inputs * outputs).map(|_| scale * rng.normal()).collect(),
            Self::Periodic { harmonics, waves, scale } => {
                let mut kernel = vec![0.0; inputs * outputs];
                kernel[0] = 0.25;
                for axis in 1..inputs {
                    for k in 0..harmonics {
                        kernel[axis * outputs + 1 + (axis - 1) * harmonics + k] = 0.5 * (k + 1) as f64;
                    }
                }
                for wave in outputs - waves..outputs {
                    kernel[wave] = scale * rng.normal();
                    for axis in 1..inputs {
                        kernel[axis * outputs + wave] = 0.5 * (rng.below(2 * harmonics + 1) as f64 - harmonics as f64);
                    }
                }
                kernel
            }
        };
        Some(HostDense { kernel, bias: vec![0.0; outputs], inputs, outputs })
    }

    /// The field that makes it impossible, what was found and what was expected.
    pub(super) fn problem(&self) -> Option<(&'static str, String, &'static str)> {
        match *self {
            Self::None => None,
            Self::PositionalLog { max_power, .. } if !(max_power > 0.0 && max_power <= 16.0) => {
                Some(("max_power", max_power.to_string(), "above 0 and at most 16"))
            }
            Self::PositionalLog { frequencies: 0, .. } | Self::Gaussian { frequencies: 0, .. } => {
                Some(("frequencies", "0".into(), "at least 1"))
            }
            Self::PositionalOctaves { levels, .. } if !(1..=16).contains(&levels) => {
                Some(("levels", levels.to_string(), "1 to 16"))
            }
            Self::Periodic { harmonics, .. } if !(1..=64).contains(&harmonics) => {
                Some(("harmonics", harmonics.to_string(), "1 to 64"))
            }
            Self::Gaussian { scale, .. } | Self::Periodic { scale, .. } if !(scale > 0.0 && scale.is_finite()) => {
                Some(("scale", scale.to_string(), "above 0"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periodic_mapping_gives_the_same_features_a_period_on() {
        let mapping = MappingConfig::Periodic { harmonics: 2, waves: 5, scale: 3.0 };
        let kernel = mapping.draw(3, &mut Rng::new(1)).unwrap();
        assert_eq!(kernel.outputs, 1 + 2 * 2 + 5);
        let turns = |x: [f64; 3]| -> Vec<f64> {
            (0..10).map(|f| (0..3).map(|i| x[i] * kernel.kernel[i * 10 + f]).sum()).collect()
        };
        let at = turns([0.3, -0.4, 0.1]);
        for moved in [turns([0.3, 1.6, 0.1]), turns([0.3, -0.4, -1.9])] {
            assert!(at.iter().zip(&moved).all(|(a, b)| ((a - b) - (a - b).round()).abs() < 1e-12));
        }
        // Along the first axis there is no such period: it can tell the two ends apart.
        let (start, end) = (turns([-1.0, 0.0, 0.0]), turns([1.0, 0.0, 0.0]));
        assert!(((start[0] - end[0]) - (start[0] - end[0]).round()).abs() > 0.4);
    }

    #[test]
    fn frequencies_are_those_published() {
        let mut rng = Rng::new(0);
        let log = MappingConfig::PositionalLog { max_power: 3.0, frequencies: 4 }.draw(1, &mut rng).unwrap();
        for (found, expected) in log.kernel.iter().zip([0.0, 1.0, 3.0, 7.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
        let octaves = MappingConfig::PositionalOctaves { levels: 3, raw: true }.draw(2, &mut rng).unwrap();
        // 2^i·π·x is 2^i/2 turns; each axis has its own columns.
        assert_eq!(octaves.kernel[..6], [0.5, 1.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(octaves.kernel[6..], [0.0, 0.0, 0.0, 0.5, 1.0, 2.0]);
        let gaussian = MappingConfig::Gaussian { frequencies: 5000, scale: 7.0 };
        let kernel = gaussian.draw(2, &mut rng).unwrap().kernel;
        let deviation = (kernel.iter().map(|b| b * b).sum::<f64>() / kernel.len() as f64).sqrt();
        assert!((deviation / 7.0 - 1.0).abs() < 0.03, "{deviation}");
    }
}
