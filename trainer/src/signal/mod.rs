//! 1 What is measured: samples at coordinates, both in physical units.

mod array;
mod audio;
mod image;
mod lattice;
pub mod operator;
mod random_field;
pub mod scan;
pub mod shape;
mod square;
mod table;
pub mod views;

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

pub use random_field::{GaussianField, gaussian_field};
pub use square::{SquarePicture, photograph, photograph_from, photographs, words};

use crate::error::{Error, Result};

/// Kinds of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalKind {
    /// PNG, JPEG or TIFF: pixels over x and y.
    Image,
    /// CSV: rows of inputs and outputs.
    Table,
    /// WAV: channels over time.
    Audio,
    /// NPY: values over 1 to 4 axes.
    Array,
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Table => "table",
            Self::Audio => "audio",
            Self::Array => "array",
        })
    }
}

/// Name, unit and range of one input or output, in that unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Name.
    pub name: String,
    /// Unit; empty when there is none.
    pub unit: String,
    /// Lower end of the range.
    pub lo: f64,
    /// Upper end of the range.
    pub hi: f64,
}

impl Quantity {
    /// With what a model file's header cannot hold taken out of name and unit.
    pub fn new(name: &str, unit: &str, lo: f64, hi: f64) -> Self {
        let clean = |text: &str| -> String {
            let bad = |c: char| matches!(c, '"' | '\\' | ';' | '[' | ']') || c.is_control();
            text.chars().map(|c| if bad(c) { '_' } else { c }).collect()
        };
        Self { name: clean(name), unit: clean(unit), lo, hi }
    }

    /// A list of them as a model file describes it.
    pub fn describe(list: &[Self]) -> String {
        let each: Vec<String> = list
            .iter()
            .map(|q| {
                let unit = if q.unit.is_empty() { String::new() } else { format!("[{}]", q.unit) };
                format!("{}{unit} {} {}", q.name, q.lo, q.hi)
            })
            .collect();
        each.join(";")
    }
}

/// Regular samples along one input: the i-th lies at start + i·step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// First sample.
    pub start: f64,
    /// Distance of two samples.
    pub step: f64,
    /// Number of samples.
    pub count: usize,
}

/// Where samples lie in the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// In the middle of cells; the domain reaches half a step beyond the first and the last.
    Cell,
    /// From one end of the domain to the other.
    Node,
}

/// Which input runs fastest through the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The first: x of an image.
    FirstFastest,
    /// The last: the last axis of an array.
    LastFastest,
}

/// Where the samples are.
#[derive(Debug, Clone, PartialEq)]
pub enum Layout {
    /// On a regular grid.
    Grid {
        /// One per input.
        axes: Vec<Axis>,
        /// Where samples lie.
        sampling: Sampling,
        /// How values follow each other.
        order: Order,
    },
    /// Anywhere.
    Scattered {
        /// `[n, inputs]`
        coordinates: Vec<f64>,
    },
}

/// A measured signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Kind.
    pub kind: SignalKind,
    /// Name for people: the file's.
    pub name: String,
    /// One per coordinate.
    pub inputs: Vec<Quantity>,
    /// One per value; the range is nominal where there is one (0 to 255), else that of the data.
    pub outputs: Vec<Quantity>,
    /// Where the samples are.
    pub layout: Layout,
    /// What was measured there, `[n, outputs]`.
    pub values: Vec<f32>,
}

impl Signal {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.values.len() / self.outputs.len()
    }

    /// Whether there are none; a loaded signal has some.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Coordinates of sample `index` into `at`, `[inputs]`.
    pub fn coordinate(&self, index: usize, at: &mut [f64]) {
        match &self.layout {
            Layout::Scattered { coordinates } => {
                let d = self.inputs.len();
                at.copy_from_slice(&coordinates[index * d..(index + 1) * d]);
            }
            Layout::Grid { axes, order, .. } => {
                let mut left = index;
                let mut set = |(x, axis): (&mut f64, &Axis)| {
                    *x = axis.start + (left % axis.count) as f64 * axis.step;
                    left /= axis.count;
                };
                match order {
                    Order::FirstFastest => at.iter_mut().zip(axes).for_each(&mut set),
                    Order::LastFastest => at.iter_mut().zip(axes).rev().for_each(&mut set),
                }
            }
        }
    }

    /// Coordinates of every sample as a device takes them, `[n, inputs]`.
    pub fn coordinates_f32(&self) -> Vec<f32> {
        let mut at = vec![0.0; self.inputs.len()];
        let mut out = Vec::with_capacity(self.len() * at.len());
        for i in 0..self.len() {
            self.coordinate(i, &mut at);
            out.extend(at.iter().map(|&x| x as f32));
        }
        out
    }

    /// Inputs as a model file describes them.
    pub fn metadata_inputs(&self) -> String {
        Quantity::describe(&self.inputs)
    }

    /// Outputs as a model file describes them.
    pub fn metadata_outputs(&self) -> String {
        Quantity::describe(&self.outputs)
    }

    /// The grid as a model file describes it.
    pub fn metadata_grid(&self) -> Option<String> {
        let Layout::Grid { axes, sampling, order } = &self.layout else { return None };
        let sampling = match sampling {
            Sampling::Cell => "cell",
            Sampling::Node => "node",
        };
        let order = match order {
            Order::FirstFastest => "first",
            Order::LastFastest => "last",
        };
        let counts: Vec<String> = axes.iter().map(|a| a.count.to_string()).collect();
        Some(format!("{sampling} {order} {}", counts.join(" ")))
    }
}

/// How to read a signal where its file leaves a choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// Kind, when the file's name does not tell.
    pub kind: Option<SignalKind>,
    /// Columns of a table that are inputs; empty: all but the outputs.
    pub inputs: Vec<String>,
    /// Columns of a table that are outputs; empty: the last.
    pub outputs: Vec<String>,
}

/// Reads the signal in `path`.
///
/// # Errors
/// [`Error::Io`] when there is no such file, [`Error::Signal`] when it is not what it should be.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Signal> {
    let bytes = crate::file::read(path)?;
    let bad = |message: String| Error::Signal { path: path.into(), message };
    if bytes.is_empty() {
        return Err(bad("the file is empty".into()));
    }
    let kind = match options.kind {
        Some(kind) => kind,
        None => kind_of(path).ok_or_else(|| {
            bad("found no known extension, expected png, jpg, tif, csv, tsv, txt, wav or npy (or --kind)".into())
        })?,
    };
    if kind != SignalKind::Table && !(options.inputs.is_empty() && options.outputs.is_empty()) {
        return Err(bad(format!("found columns named for an {kind}, expected them for a table only")));
    }
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let signal = match kind {
        SignalKind::Image => image::load(&bytes, name),
        SignalKind::Table => table::load(&bytes, name, options),
        SignalKind::Audio => audio::load(&bytes, name),
        SignalKind::Array => array::load(&bytes, name),
    }
    .map_err(bad)?;
    if let Some(at) = signal.values.iter().position(|v| !v.is_finite()) {
        let count = signal.values.iter().filter(|v| !v.is_finite()).count();
        let value = signal.values[at];
        return Err(bad(format!(
            "sample {} holds {value}, {count} value(s) in all are not finite; expected finite values throughout",
            at / signal.outputs.len()
        )));
    }
    Ok(signal)
}

/// The kind of signal that a file's name tells of.
pub fn kind_of(path: &Path) -> Option<SignalKind> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    Some(match extension.as_str() {
        "png" | "jpg" | "jpeg" | "tif" | "tiff" => SignalKind::Image,
        "csv" | "tsv" | "txt" => SignalKind::Table,
        "wav" => SignalKind::Audio,
        "npy" => SignalKind::Array,
        _ => return None,
    })
}

/// Writes a signal whole or not at all, in the form of `path`'s extension: png, tif, csv, npy or wav.
///
/// # Errors
/// [`Error::Config`] when the extension is unknown or cannot hold such a signal, [`Error::Io`] when it cannot be
/// written.
pub fn save(path: &Path, signal: &Signal) -> Result<()> {
    let extension = path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase());
    let bytes = match extension.as_str() {
        "png" => image::png(signal),
        "tif" | "tiff" => image::tiff(signal),
        "csv" => Ok(table::csv(signal)),
        "wav" => audio::wav(signal),
        "npy" => array::npy(signal),
        _ => Err("found no known extension, expected png, tif, csv, npy or wav".into()),
    }
    .map_err(|message| Error::Config { field: format!("output `{}`", path.display()), message })?;
    crate::file::write_atomically(path, &bytes)
}

/// Smallest and largest of the values of output `k` of `width`.
fn range(values: &[f32], k: usize, width: usize) -> (f64, f64) {
    values
        .iter()
        .skip(k)
        .step_by(width)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), &v| (lo.min(f64::from(v)), hi.max(f64::from(v))))
}

/// A range of some width: that of constant values is widened, so that they too can be normalised.
fn widened((lo, hi): (f64, f64)) -> (f64, f64) {
    if hi > lo { (lo, hi) } else { (lo - 0.5, hi + 0.5) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_the_order_of_their_file() {
        let axes = vec![Axis { start: 0.0, step: 1.0, count: 3 }, Axis { start: 10.0, step: 2.0, count: 2 }];
        let quantity = || Quantity::new("x", "", 0.0, 1.0);
        let mut signal = Signal {
            kind: SignalKind::Array,
            name: String::new(),
            inputs: vec![quantity(), quantity()],
            outputs: vec![quantity()],
            layout: Layout::Grid { axes: axes.clone(), sampling: Sampling::Node, order: Order::FirstFastest },
            values: vec![0.0; 6],
        };
        assert_eq!(signal.coordinates_f32()[..8], [0.0, 10.0, 1.0, 10.0, 2.0, 10.0, 0.0, 12.0]);
        assert_eq!(signal.metadata_grid().unwrap(), "node first 3 2");
        signal.layout = Layout::Grid { axes, sampling: Sampling::Cell, order: Order::LastFastest };
        assert_eq!(signal.coordinates_f32()[..8], [0.0, 10.0, 0.0, 12.0, 1.0, 10.0, 1.0, 12.0]);
        assert_eq!(signal.metadata_grid().unwrap(), "cell last 3 2");
    }

    #[test]
    fn names_lose_what_a_header_cannot_hold() {
        let q = Quantity::new("a\"b;c", "m\\s\n", 0.0, 1.5);
        assert_eq!(Quantity::describe(&[q]), "a_b_c[m_s_] 0 1.5");
    }
}
