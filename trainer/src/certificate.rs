//! What a model file proves about itself: its errors at every sample and between them, and of what they are.

use std::fmt::Write as _;

use rwf_runtime::{IntegerModel, format::key};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use crate::{
    bound::{self, Cells, Effort},
    container::{self, Stored},
    evaluate,
    signal::Signal,
};

/// Key of the file's metadata.
pub const KEY: &str = "certificate";
/// Samples with the largest errors that a report lists.
const WORST: usize = 10;
/// Figures computed again may differ by this share: they go through the f64 library of another machine.
const AGAIN: f64 = 1e-6;

/// Errors of one output, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Largest at a sample.
    pub max: f64,
    /// Root mean square over the samples.
    pub rms: f64,
    /// 99.9 % of the samples are at most this far off.
    pub p999: f64,
    /// No point between the samples is further off from the signal as it is taken to run there; none where nothing is
    /// known of it, or the effort did not suffice.
    pub bound: Option<f64>,
}

/// A sample that is far off.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Where, in physical units.
    pub at: Vec<f64>,
    /// Which output.
    pub output: usize,
    /// Model less signal.
    pub error: f64,
}

/// What is certified.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// Number of samples.
    pub samples: usize,
    /// One per output.
    pub outputs: Vec<Figures>,
    /// How the signal is taken to run between its samples; `unknown` where no bound is given.
    pub between: String,
    /// Multiply-adds the bounds were allowed.
    pub effort: f64,
    /// SHA-256 of the model file without its certificate.
    pub model: String,
    /// SHA-256 of the samples, coordinates and values.
    pub data: String,
    /// SHA-256 of the run's configuration, or of what the file tells of how it was made.
    pub config: String,
}

impl Certificate {
    /// Of the model in `file` against `signal`: errors as the runtime makes them. `config` is the run's configuration;
    /// without it what the file tells of its making stands there.
    ///
    /// # Errors
    /// A sentence when `file` is no model, or not one of such a signal.
    pub fn new(
        file: &[u8],
        signal: &Signal,
        config: Option<&str>,
        effort: Effort,
    ) -> Result<(Self, Vec<Worst>), String> {
        let model = evaluate::open(file).map_err(|e| e.to_string())?;
        let (found, expected) = ((model.inputs(), model.outputs()), (signal.inputs.len(), signal.outputs.len()));
        if found != expected {
            return Err(format!(
                "takes {} inputs and gives {} outputs, the signal has {} and {}",
                found.0, found.1, expected.0, expected.1
            ));
        }
        let coordinates = signal.coordinates_f32();
        let values = model.values(&coordinates);
        let mut outputs = figures(&values, &signal.values, expected.1);
        let worst = worst(signal, &values);
        let mut between = "unknown".to_owned();
        let mut work = effort.work;
        if let (Some(cells), Ok(network)) = (Cells::new(signal), bound::Network::of_file(file)) {
            let measured: Vec<f64> = outputs.iter().map(|o| o.max).collect();
            let line = IntegerModel::new(file).ok().and_then(|model| cells.all_points(&network, &model, effort));
            if let Some(bounds) = line.or_else(|| cells.bound(&network, &measured, effort)) {
                outputs.iter_mut().zip(bounds.outputs).for_each(|(o, b)| o.bound = Some(b.max(o.max)));
                between = cells.assumption().to_owned();
                work = bounds.work;
            }
        }
        let config = config.or(model.metadata(key::PROVENANCE)).unwrap_or_default();
        let data = coordinates.iter().chain(&signal.values).flat_map(|v| v.to_le_bytes());
        let certificate = Self {
            samples: signal.len(),
            outputs,
            between,
            effort: work,
            model: sha256(&without(file)?),
            data: sha256(&data.collect::<Vec<u8>>()),
            config: sha256(config.as_bytes()),
        };
        Ok((certificate, worst))
    }

    /// The words of the file: `samples=..;max=..;rms=..;p999=..;bound=..;between=..;effort=..;model=..;data=..;config=..`, several
    /// outputs joined by a bar.
    pub fn text(&self) -> String {
        let join = |f: &dyn Fn(&Figures) -> Option<f64>| {
            let each: Vec<String> =
                self.outputs.iter().map(|o| f(o).map_or("none".into(), |v| format!("{v:e}"))).collect();
            each.join("|")
        };
        let mut text = format!("samples={}", self.samples);
        let mut put = |name: &str, value: &str| write!(text, ";{name}={value}").expect("a string");
        put("max", &join(&|o| Some(o.max)));
        put("rms", &join(&|o| Some(o.rms)));
        put("p999", &join(&|o| Some(o.p999)));
        put("bound", &join(&|o| o.bound));
        put("between", &self.between);
        put("effort", &format!("{:e}", self.effort));
        put("model", &self.model);
        put("data", &self.data);
        put("config", &self.config);
        text
    }

    /// Reads back [`Certificate::text`].
    ///
    /// # Errors
    /// A sentence naming the word that is missing or wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let word = |name: &str| {
            let found = text.split(';').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
            found.map(|(_, value)| value).ok_or_else(|| format!("certificate has no word `{name}`"))
        };
        let numbers = |name: &str| -> Result<Vec<Option<f64>>, String> {
            let bad = |v: &str| format!("certificate word `{name}` holds `{v}`, expected numbers joined by a bar");
            word(name)?
                .split('|')
                .map(|v| if v == "none" { Ok(None) } else { v.parse().map(Some).map_err(|_| bad(v)) })
                .collect()
        };
        let (max, rms, p999, bound) = (numbers("max")?, numbers("rms")?, numbers("p999")?, numbers("bound")?);
        let figure = |n: usize| -> Option<Figures> {
            Some(Figures { max: max[n]?, rms: (*rms.get(n)?)?, p999: (*p999.get(n)?)?, bound: *bound.get(n)? })
        };
        let outputs: Option<Vec<Figures>> = (0..max.len()).map(figure).collect();
        Ok(Self {
            samples: word("samples")?.parse().map_err(|_| "certificate word `samples` is no number".to_owned())?,
            outputs: outputs.ok_or("certificate has not as many of each figure, expected one an output")?,
            between: word("between")?.into(),
            effort: word("effort")?.parse().map_err(|_| "certificate word `effort` is no number".to_owned())?,
            model: word("model")?.into(),
            data: word("data")?.into(),
            config: word("config")?.into(),
        })
    }

    /// What of `self`, read from a file, is not so by `again`, computed anew: a line each. Errors may be less than
    /// certified, never more.
    pub fn broken(&self, again: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut same = |what: &str, found: &str, expected: &str| {
            if found != expected {
                lines.push(format!("{what}: found {found}, expected {expected}"));
            }
        };
        same("model (SHA-256)", &again.model, &self.model);
        same("data (SHA-256)", &again.data, &self.data);
        same("samples", &again.samples.to_string(), &self.samples.to_string());
        same("number of outputs", &again.outputs.len().to_string(), &self.outputs.len().to_string());
        for (n, (claim, found)) in self.outputs.iter().zip(&again.outputs).enumerate() {
            let mut at_most = |what: &str, found: f64, claim: f64| {
                // Written so that a NaN does not pass.
                let holds = found <= claim * (1.0 + AGAIN) + f64::MIN_POSITIVE;
                if !holds {
                    lines.push(format!("output {n}, {what}: found {found:e}, expected at most {claim:e}"));
                }
            };
            at_most("largest error", found.max, claim.max);
            at_most("RMS error", found.rms, claim.rms);
            at_most("99.9th percentile", found.p999, claim.p999);
            if let Some(claim) = claim.bound {
                at_most("bound between samples", found.bound.unwrap_or(f64::NAN), claim);
            }
        }
        lines
    }
}

/// The model file with its certificate in the metadata; everything else keeps its bytes.
///
/// # Errors
/// A sentence when `file` is no safetensors file.
pub fn with(file: &[u8], certificate: &Certificate) -> Result<Vec<u8>, String> {
    rewritten(file, Some(certificate.text()))
}

/// The certificate in a model file, if there is one.
///
/// # Errors
/// A sentence when `file` is no safetensors file, or its certificate is damaged.
pub fn of(file: &[u8]) -> Result<Option<Certificate>, String> {
    container::words(file)?.get(KEY).map(|text| Certificate::parse(text)).transpose()
}

fn without(file: &[u8]) -> Result<Vec<u8>, String> {
    rewritten(file, None)
}

fn rewritten(file: &[u8], certificate: Option<String>) -> Result<Vec<u8>, String> {
    let mut words = container::words(file)?;
    words.remove(KEY);
    words.extend(certificate.map(|text| (KEY.to_owned(), text)));
    let read = SafeTensors::deserialize(file).map_err(|e| e.to_string())?;
    let tensors: Vec<Stored> = read.iter().map(|(name, view)| Stored::raw(name, &view)).collect();
    Ok(container::write(&tensors, &words))
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Figures of each output over the samples, without bounds.
fn figures(fit: &[f32], truth: &[f32], width: usize) -> Vec<Figures> {
    let output = |k: usize| {
        let mut errors: Vec<f64> =
            fit.iter().zip(truth).skip(k).step_by(width).map(|(f, t)| (f64::from(*f) - f64::from(*t)).abs()).collect();
        let square: f64 = errors.iter().map(|e| e * e).sum();
        // A NaN sorts last and so shows as the largest.
        errors.sort_by(f64::total_cmp);
        let n = errors.len();
        let at = ((0.999 * n as f64).ceil() as usize).clamp(1, n) - 1;
        Figures { max: errors[n - 1], rms: (square / n as f64).sqrt(), p999: errors[at], bound: None }
    };
    (0..width).map(output).collect()
}

/// The samples that are furthest off in parts of their output's range, the furthest first.
fn worst(signal: &Signal, fit: &[f32]) -> Vec<Worst> {
    let width = signal.outputs.len();
    let error = |i: usize| f64::from(fit[i]) - f64::from(signal.values[i]);
    let part = |i: usize| {
        let q = &signal.outputs[i % width];
        error(i).abs() / if q.hi > q.lo { q.hi - q.lo } else { 1.0 }
    };
    let mut order: Vec<usize> = (0..fit.len()).collect();
    order.sort_by(|&a, &b| part(b).total_cmp(&part(a)));
    order
        .into_iter()
        .take(WORST)
        .map(|i| {
            let mut at = vec![0.0; signal.inputs.len()];
            signal.coordinate(i / width, &mut at);
            Worst { at, output: i % width, error: error(i) }
        })
        .collect()
}
