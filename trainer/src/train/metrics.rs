//! How far a fit is from what was measured.

use crate::signal::Quantity;

/// Error of one output, in its physical unit.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputError {
    /// Name and unit of the output.
    pub name: String,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Largest absolute error.
    pub max: f64,
    /// Root of the sum of squared errors over that of the squared values.
    pub relative_l2: f64,
}

/// Errors of a fit over a set of samples, computed in f64.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Number of samples.
    pub samples: usize,
    /// Peak signal-to-noise ratio in dB, -10·log10 of the mean squared error relative to each output's range.
    pub psnr: f64,
    /// One per output.
    pub outputs: Vec<OutputError>,
}

impl Metrics {
    /// Of `fit` against `truth`, both `[n, outputs]` in physical units.
    pub fn new(outputs: &[Quantity], fit: &[f32], truth: &[f32]) -> Self {
        let width = outputs.len();
        let samples = truth.len() / width;
        let mut relative = 0.0;
        let errors = outputs
            .iter()
            .enumerate()
            .map(|(k, quantity)| {
                let (mut square, mut max, mut energy) = (0.0f64, 0.0f64, 0.0f64);
                for (f, t) in fit.iter().skip(k).step_by(width).zip(truth.iter().skip(k).step_by(width)) {
                    let (f, t) = (f64::from(*f), f64::from(*t));
                    let error = f - t;
                    square += error * error;
                    // `max` would drop a NaN; a network that gives one has no largest error.
                    if error.is_nan() || error.abs() > max {
                        max = error.abs();
                    }
                    energy += t * t;
                }
                let range = quantity.hi - quantity.lo;
                relative += square / samples as f64 / (range * range);
                OutputError {
                    name: label(quantity),
                    rmse: (square / samples as f64).sqrt(),
                    max,
                    relative_l2: (square / energy).sqrt(),
                }
            })
            .collect();
        Self { samples, psnr: -10.0 * (relative / width as f64).log10(), outputs: errors }
    }

    /// The worst of the outputs' relative L2 errors.
    pub fn relative_l2(&self) -> f64 {
        self.outputs.iter().map(|o| o.relative_l2).fold(0.0, f64::max)
    }

    /// One line for the model file: each number with four digits; several outputs are joined by `|`.
    pub fn summary(&self) -> String {
        let join = |f: fn(&OutputError) -> f64| {
            let each: Vec<String> = self.outputs.iter().map(|o| format!("{:.4e}", f(o))).collect();
            each.join("|")
        };
        format!(
            "samples={};psnr_db={:.2};rmse={};max={};relative_l2={}",
            self.samples,
            self.psnr,
            join(|o| o.rmse),
            join(|o| o.max),
            join(|o| o.relative_l2)
        )
    }

    /// A table for people, one output a line.
    pub fn table(&self) -> String {
        let mut out = format!(
            "  {:<16} {:>12} {:>12} {:>12}   over {} samples, PSNR {:.2} dB\n",
            "output", "RMSE", "max error", "relative L2", self.samples, self.psnr
        );
        for o in &self.outputs {
            out +=
                &format!("  {:<16} {:>12} {:>12} {:>12}\n", o.name, short(o.rmse), short(o.max), short(o.relative_l2));
        }
        out
    }
}

/// `name[unit]`, or the name alone when there is no unit.
pub fn label(quantity: &Quantity) -> String {
    if quantity.unit.is_empty() { quantity.name.clone() } else { format!("{}[{}]", quantity.name, quantity.unit) }
}

/// Four significant digits, with an exponent only where it is needed.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e5).contains(&size) {
        let digits = if size == 0.0 { 0 } else { (3 - size.log10().floor() as i32).clamp(0, 7) };
        format!("{value:.*}", digits as usize)
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(lo: f64, hi: f64) -> Quantity {
        Quantity { name: "v".into(), unit: "K".into(), lo, hi }
    }

    #[test]
    fn numbers_equal_those_worked_out_by_hand() {
        let m = Metrics::new(&[quantity(0.0, 10.0)], &[1.0, 2.0, 7.0, 3.0], &[1.0, 2.0, 3.0, 3.0]);
        assert_eq!(m.outputs[0].rmse, 2.0);
        assert_eq!(m.outputs[0].max, 4.0);
        assert!((m.outputs[0].relative_l2 - (16.0f64 / 23.0).sqrt()).abs() < 1e-12);
        assert!((m.psnr - 13.979_400_086_720_377).abs() < 1e-9);
    }

    #[test]
    fn outputs_of_different_size_count_by_their_range() {
        let outputs = [quantity(0.0, 1.0), quantity(0.0, 1000.0)];
        let m = Metrics::new(&outputs, &[0.1, 100.0], &[0.0, 0.0]);
        assert!((m.psnr - 20.0).abs() < 1e-5, "{}", m.psnr);
    }

    #[test]
    fn a_nan_never_looks_good() {
        let m = Metrics::new(&[quantity(0.0, 1.0)], &[f32::NAN, 0.0], &[0.0, 0.0]);
        assert!(m.psnr.is_nan() && m.outputs[0].max.is_nan());
    }
}
