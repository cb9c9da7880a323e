//! The source of the kernels, with a network's sizes as definitions.

use std::fmt::Write;

use rwf_runtime::format::Activation;

use super::{
    plan::{STAGE, Shape, THREADS},
    sizes::Sizes,
};
use crate::{
    engine::{MatmulPrecision, jet},
    network::{Parameterization, Per, Scale},
};

/// What a pass over points is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Values,
    SquaredError,
    CrossEntropy,
    Cotangents,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Values, Self::SquaredError, Self::CrossEntropy, Self::Cotangents];

    fn name(self) -> &'static str {
        match self {
            Self::Values => "VALUES",
            Self::SquaredError => "SQUARED_ERROR",
            Self::CrossEntropy => "CROSS_ENTROPY",
            Self::Cotangents => "COTANGENTS",
        }
    }
}

const PARAMETERIZATIONS: [&str; 6] =
    ["PLAIN", "SLOPE_PER_LAYER", "SLOPE_PER_NEURON", "WEIGHT_NORM", "LOG_SCALE", "DIRECT_SCALE"];

fn word(parameterization: Parameterization) -> &'static str {
    match parameterization {
        Parameterization::Plain => "PLAIN",
        Parameterization::AdaptiveActivation { per: Per::Layer } => "SLOPE_PER_LAYER",
        Parameterization::AdaptiveActivation { per: Per::Neuron } => "SLOPE_PER_NEURON",
        Parameterization::WeightNorm => "WEIGHT_NORM",
        Parameterization::RandomWeightFactorization { scale: Scale::Log, .. } => "LOG_SCALE",
        Parameterization::RandomWeightFactorization { scale: Scale::Direct, .. } => "DIRECT_SCALE",
    }
}

/// A file of the source; errors of the compiler name it.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($name:literal),*) => { &[$(($name, include_str!(concat!("kernels/", $name)))),*] };
}

const BEFORE: &[File] = files!("layout.cu", "sum.cu", "activation.cu", "mapping.cu", "stage.cu");
/// Products in exact f32, and those of tensor cores.
const PRODUCT: &[File] = files!("product.cu");
const TENSOR: &[File] = files!("tensor.cu");
const TILE: &[File] = files!("gradient.cu", "tile.cu");
const JET: &[File] = files!("gradient.cu", "jet.cu");
const PARAMETERS: &[File] = files!("layout.cu", "sum.cu", "trained.cu", "factors.cu", "optimizer.cu");

/// The kernel of points, for tiles of this shape.
pub(super) fn tile(sizes: &Sizes, shape: Shape, matmul: MatmulPrecision) -> String {
    let mut source = points(sizes, shape, sizes.kept_rows());
    Mode::ALL.iter().for_each(|mode| define(&mut source, mode.name(), *mode as usize));
    if matmul != MatmulPrecision::F32 {
        for (value, precision) in MatmulPrecision::ALL.into_iter().enumerate().skip(1) {
            define(&mut source, &precision.name().to_uppercase(), value);
        }
        define(&mut source, "MATMUL", matmul.name().to_uppercase());
    }
    let product = if matmul == MatmulPrecision::F32 { PRODUCT } else { TENSOR };
    append(source, &[BEFORE, product, TILE].concat())
}

/// The kernel of jets with the rows of `plan`, for tiles of this shape.
pub(super) fn jet(sizes: &Sizes, shape: Shape, plan: &jet::Plan) -> String {
    let mut source = points(sizes, shape, sizes.kept_rows_of_jets());
    let list = |each: &dyn Fn(usize, &jet::Direction) -> String| {
        let all: Vec<String> = plan.directions.iter().enumerate().map(|(n, d)| each(n, d)).collect();
        all.join(", ")
    };
    let share = |n: usize| plan.laplacian.iter().find(|(d, _)| *d == n).map_or(0.0, |(_, share)| *share);
    define(&mut source, "ROWS", plan.rows());
    define(&mut source, "DIRECTIONS", plan.directions.len());
    define(&mut source, "LAPLACIAN", usize::from(plan.laplacian_row().is_some()));
    define(&mut source, "FIRST_ROWS", list(&|_, d| d.first.to_string()));
    define(&mut source, "ORDERS", list(&|_, d| d.order.to_string()));
    define(&mut source, "SHARES", list(&|n, _| format!("{:e}f", share(n))));
    append(source, &[BEFORE, PRODUCT, JET].concat())
}

/// What all kernels of points are compiled for.
fn points(sizes: &Sizes, shape: Shape, rows: usize) -> String {
    let mut source = widths(sizes);
    let numbers = [
        ("TILE", shape.tile),
        ("RESIDENT", shape.resident),
        ("KEPT_SHARED", usize::from(shape.kept_shared)),
        ("INPUTS", sizes.inputs),
        ("RAW", sizes.raw),
        ("FREQUENCIES", sizes.frequencies),
        ("HOST_KEPT_ROWS", rows),
        ("HOST_STAGE", STAGE),
    ];
    numbers.iter().for_each(|(name, value)| define(&mut source, name, value));
    for (value, kind) in Activation::ALL.iter().enumerate() {
        define(&mut source, &kind.name().to_uppercase(), value);
    }
    let kinds = [
        ("ACTIVATION", sizes.activation),
        ("GATE_ACTIVATION", sizes.gate.unwrap_or(sizes.activation)),
        ("OUTPUT_ACTIVATION", sizes.output_activation),
    ];
    kinds.iter().for_each(|(name, kind)| define(&mut source, name, kind.name().to_uppercase()));
    source
}

/// The kernels of trained numbers.
pub(super) fn parameters(sizes: &Sizes, trained: usize) -> String {
    let mut source = widths(sizes);
    for (value, name) in PARAMETERIZATIONS.iter().enumerate() {
        define(&mut source, name, value);
    }
    define(&mut source, "PARAMETERIZATION", word(sizes.parameterization));
    define(&mut source, "HOST_TRAINED", trained);
    let gains: Vec<String> = sizes.gains.iter().map(|g| format!("{g:e}f")).collect();
    define(&mut source, "GAINS", gains.join(", "));
    append(source, PARAMETERS)
}

fn widths(sizes: &Sizes) -> String {
    let mut source = String::new();
    let numbers = [
        ("THREADS", THREADS),
        ("FEATURES", sizes.features),
        ("HIDDEN", sizes.hidden),
        ("DEPTH", sizes.depth),
        ("OUTPUTS", sizes.outputs),
        ("GATE", usize::from(sizes.gate.is_some())),
        ("HOST_DENSE", sizes.dense()),
    ];
    numbers.iter().for_each(|(name, value)| define(&mut source, name, value));
    source
}

fn define(source: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(source, "#define {name} {value}").expect("strings take all");
}

fn append(mut source: String, files: &[File]) -> String {
    for (name, text) in files {
        writeln!(source, "#line 1 \"{name}\"\n{text}").expect("strings take all");
    }
    source
}
