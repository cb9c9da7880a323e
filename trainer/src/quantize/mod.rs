//! 6 From dense layers to integers: weights of 4 to 16 bits with one scale a neuron, activations of 16, accumulators of
//! 32 that cannot overflow.

mod file;
mod grid;
mod ration;
pub mod tune;

pub use file::{model, unpack};
pub use grid::{Grid, grid};
pub use ration::{Ration, mixed};
use rwf_runtime::{
    IntegerModel, Model,
    format::{Activation, Layer, Mapping, Precision},
    integer::Bits,
};

use crate::{
    error::{Error, Result},
    evaluate::{evaluate, evaluate_integers},
    export::Description,
    fold::forward_f64,
    network::{DenseNetwork, HostDense},
    rng::Rng,
};

/// Calibration points; ranges and the choice of widths come from them.
pub const CALIBRATION: usize = 1024;
/// Which integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// The same for every layer.
    All(Bits),
    /// As few bits for each layer as keep the added error within half a percent of the range.
    Mixed,
}

impl Width {
    /// The word for command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All(Bits::Four) => "int4",
            Self::All(Bits::Six) => "int6",
            Self::All(Bits::Eight) => "int8",
            Self::All(Bits::Sixteen) => "int16",
            Self::Mixed => "mixed",
        }
    }

    /// The width of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Bits::ALL.into_iter().map(Self::All).chain([Self::Mixed]).find(|w| w.name() == name)
    }
}

/// What weights an export has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// In floats.
    Float(Precision),
    /// In integers.
    Integer(Width),
}

impl Weights {
    /// The word for command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float(precision) => precision.name(),
            Self::Integer(width) => width.name(),
        }
    }

    /// The weights of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let float = Precision::from_name(name).map(Self::Float);
        float.or_else(|| Width::from_name(name).map(Self::Integer))
    }
}

/// What going to integers costs: their values less those of the same network in f32, over the range of the latter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added {
    /// Root mean square.
    pub rms: f64,
    /// Largest.
    pub max: f64,
}

/// Number of layers whose weights are narrow: all but a first one that stands on the coordinates themselves. The two
/// encoders of a modified MLP count as one more, the last, where a mapping comes before them.
pub fn narrow_layers(dense: &DenseNetwork) -> usize {
    let mapped = dense.architecture.mapping != Mapping::None;
    dense.layers.len() - usize::from(!mapped) + usize::from(mapped && dense.architecture.gate.is_some())
}

/// Calibration points in physical units: of `coordinates`, or where there are none of the described domain.
pub fn calibration(description: &Description, inputs: usize, coordinates: Option<&[f32]>) -> Vec<f32> {
    let mut rng = Rng::new(0).stream("calibration");
    if let Some(all) = coordinates.filter(|c| c.len() >= inputs) {
        let points = all.len() / inputs;
        if points <= CALIBRATION {
            return all.to_vec();
        }
        let order = rng.permutation(points);
        return order[..CALIBRATION]
            .iter()
            .flat_map(|&i| all[i as usize * inputs..][..inputs].iter().copied())
            .collect();
    }
    let domain = file::domain(description, inputs);
    (0..CALIBRATION * inputs)
        .map(|i| {
            let (lo, hi) = domain[i % inputs];
            (lo + rng.uniform() * (hi - lo)) as f32
        })
        .collect()
}

/// Error that the integers of `integer` add to `float` at `points`, measured by the runtime.
pub fn added(float: &Model<'_>, integer: &IntegerModel<'_>, points: &[f32]) -> Added {
    let (a, b) = (evaluate(float, points), evaluate_integers(integer, points));
    let outputs = float.outputs();
    let (mut square, mut max) = (0.0f64, 0.0f64);
    for k in 0..outputs {
        let of = |v: &[f32]| v.iter().skip(k).step_by(outputs).map(|&v| f64::from(v)).collect::<Vec<_>>();
        let (a, b) = (of(&a), of(&b));
        let ends = a.iter().fold((f64::MAX, f64::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let range = if ends.1 > ends.0 { ends.1 - ends.0 } else { 1.0 };
        for (a, b) in a.iter().zip(b) {
            let e = (a - b).abs() / range;
            square += e * e;
            max = max.max(e);
        }
    }
    Added { rms: (square / a.len().max(1) as f64).sqrt(), max }
}

/// Bits of every narrow layer of `dense` for `width`; `float` is the same network's file in f32.
///
/// # Errors
/// As [`model`].
pub fn bits(
    width: Width,
    dense: &DenseNetwork,
    description: &Description,
    points: &[f32],
    float: &[u8],
) -> Result<Vec<Bits>> {
    match width {
        Width::All(bits) => Ok(vec![bits; narrow_layers(dense)]),
        Width::Mixed => mixed(dense, description, points, float, Ration::default()),
    }
}

fn load(bytes: &[u8]) -> Result<Model<'_>> {
    Model::new(bytes).map_err(refused)
}

pub(crate) fn refused(error: rwf_runtime::LoadError) -> Error {
    Error::Training(format!("cannot export: {error}"))
}

/// Largest magnitude of what the encoders of a modified MLP give and of what leaves its gates, over `points`.
fn gate_range(dense: &DenseNetwork, points: &[f32]) -> f64 {
    let architecture = &dense.architecture;
    let Some(gate) = architecture.gate else { return 0.0 };
    let part = |layers: &[HostDense], described: &[Layer], gate: Option<Activation>| {
        let mut part = dense.clone();
        part.layers = layers.to_vec();
        part.architecture.layers = described.iter().copied().collect();
        part.architecture.gate = gate;
        part.output = None;
        part.architecture.output_affine = false;
        part
    };
    let hidden = Layer { inputs: architecture.features(), outputs: architecture.hidden(), activation: gate };
    let encoders: Vec<DenseNetwork> =
        dense.encoders.iter().map(|e| part(std::slice::from_ref(e), &[hidden], None)).collect();
    let layers: Vec<DenseNetwork> = (1..dense.layers.len())
        .map(|n| part(&dense.layers[..n], &architecture.layers[..n], architecture.gate))
        .collect();
    let mut largest = 0.0f64;
    for x in points.chunks_exact(architecture.inputs) {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let [u, v] = [0, 1].map(|n| forward_f64(&encoders[n], &x));
        for layer in &layers {
            let h = forward_f64(layer, &x);
            for (h, (u, v)) in h.iter().zip(u.iter().zip(&v)) {
                largest = largest.max(u.abs()).max(v.abs()).max((v + h * (u - v)).abs());
            }
        }
    }
    largest
}

/// Largest magnitude behind every layer and least and largest of every output, over `points`.
fn ranges(dense: &DenseNetwork, points: &[f32]) -> (Vec<f64>, Vec<(f64, f64)>) {
    let outputs = dense.architecture.outputs();
    let mut largest = vec![0.0f64; dense.layers.len()];
    let mut ends = vec![(f64::MAX, f64::MIN); outputs];
    // The network up to a layer is a network too, and the oracle evaluates it.
    let parts: Vec<DenseNetwork> = (1..=dense.layers.len())
        .map(|n| {
            let mut part = dense.clone();
            part.layers.truncate(n);
            part.architecture.layers.truncate(n);
            part.output = None;
            part.architecture.output_affine = false;
            part
        })
        .collect();
    for x in points.chunks_exact(dense.architecture.inputs) {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for (n, part) in parts.iter().enumerate() {
            let bounded = matches!(
                part.architecture.layers[n].activation,
                Activation::Sine | Activation::Tanh | Activation::Sigmoid
            );
            if bounded && n + 1 < parts.len() {
                continue;
            }
            let y = forward_f64(part, &x);
            largest[n] = y.iter().fold(largest[n], |a, y| a.max(y.abs()));
            if n + 1 == parts.len() {
                for (end, y) in ends.iter_mut().zip(y) {
                    *end = (end.0.min(y), end.1.max(y));
                }
            }
        }
    }
    (largest, ends)
}
