//! What a model may cost, and how good it is to be.

use crate::{
    cost::{Clock, Cost},
    error::{Error, Result},
    task::certify::microseconds,
    train::Metrics,
};

/// Limits of a model; what is not given is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    /// Bytes of flash as a module made at build time ([`Cost::flash`]).
    pub flash: Option<usize>,
    /// Bytes of scratch for one point.
    pub ram: Option<usize>,
    /// Multiply-adds of one point.
    pub macs: Option<usize>,
    /// Microseconds of one point on a target.
    pub time: Option<(f64, Clock)>,
}

impl Budget {
    /// Whether anything is limited.
    pub fn is_some(&self) -> bool {
        self.flash.is_some() || self.ram.is_some() || self.macs.is_some() || self.time.is_some()
    }

    /// Whether a model is within it.
    pub fn holds(&self, cost: &Cost) -> bool {
        let within = |limit: Option<usize>, found: usize| limit.is_none_or(|l| found <= l);
        within(self.flash, cost.flash)
            && within(self.ram, cost.ram)
            && within(self.macs, cost.macs)
            && self.time.is_none_or(|(limit, clock)| microseconds(cost, clock) <= limit)
    }

    /// The same with `share` of the flash, for what less would buy.
    pub fn part(&self, share: f64) -> Self {
        let part = |bytes: usize| (bytes as f64 * share) as usize;
        Self {
            flash: self.flash.map(part),
            macs: self.flash.is_none().then_some(self.macs).flatten().map(part),
            ..*self
        }
    }

    /// Its limits in words.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.flash.map(|n| format!("{n} bytes of flash")));
        words.extend(self.ram.map(|n| format!("{n} bytes of memory")));
        words.extend(self.macs.map(|n| format!("{n} multiply-adds")));
        words.extend(self.time.map(|(t, clock)| format!("{t} µs on {clock}")));
        words.join(", ")
    }
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The largest error, in the outputs' unit.
    Max,
    /// The root mean square error, in the outputs' unit.
    Rmse,
    /// The peak signal-to-noise ratio in dB.
    Psnr,
}

/// What is made small, and how small will do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// What.
    pub measure: Measure,
    /// How far it must come.
    pub at: Option<f64>,
}

impl Goal {
    /// Of the errors of a fit, so that less is better: of several outputs the worst.
    pub fn error(&self, metrics: &Metrics) -> f64 {
        let worst = |f: fn(&crate::train::metrics::OutputError) -> f64| {
            // A NaN is the worst there is, and `max` would drop it.
            metrics.outputs.iter().map(f).fold(0.0, |a: f64, b| if b.is_nan() || b > a { b } else { a })
        };
        let error = match self.measure {
            Measure::Max => worst(|o| o.max),
            Measure::Rmse => worst(|o| o.rmse),
            Measure::Psnr => 10f64.powf(-metrics.psnr / 20.0),
        };
        if error.is_nan() { f64::INFINITY } else { error }
    }

    /// The error that will do.
    pub fn limit(&self) -> Option<f64> {
        match self.measure {
            Measure::Psnr => self.at.map(|db| 10f64.powf(-db / 20.0)),
            _ => self.at,
        }
    }

    /// An error in words.
    pub fn words(&self, error: f64) -> String {
        use crate::train::metrics::short;
        match self.measure {
            Measure::Max => format!("largest error {}", short(error)),
            Measure::Rmse => format!("RMS error {}", short(error)),
            Measure::Psnr => format!("{:.2} dB", -20.0 * error.log10()),
        }
    }

    /// Whether it can be asked for.
    ///
    /// # Errors
    /// [`Error::Config`] for a tolerance of nothing.
    pub fn check(&self) -> Result<()> {
        let flag = match self.measure {
            Measure::Max => "--tol",
            Measure::Rmse => "--rmse",
            Measure::Psnr => "--psnr",
        };
        match self.at {
            Some(at) if !(at > 0.0 && at.is_finite()) => Err(Error::Config {
                field: flag.into(),
                message: format!("found {at}, expected above 0: no network is without error"),
            }),
            _ => Ok(()),
        }
    }
}
