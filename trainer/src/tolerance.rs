//! Every tolerance of the tests, in one table. `EPS32` is the spacing of f32 at 1.

use crate::engine::MatmulPrecision;

/// Spacing of f32 at 1.
pub const EPS32: f64 = 1.2e-7;

/// Functions of two parameterizations of the same W0, absolute, outputs of order 1: W0 is rounded to f32 once in
/// each, and a SIREN amplifies that by omega0 a layer.
pub const START: f64 = 2e-5;

/// Gradients of an engine against differences in f64, relative to the largest of the tensor.
pub const GRADIENT: f64 = 1e-5;

/// Values of the tensor engine or the runtime against the f64 oracle, relative to the largest output: rounding of
/// a few thousand f32 operations, times a SIREN's amplification.
pub const FORWARD: f64 = 3e-5;

/// Sine and cosine of the fused engine against f64, absolute.
pub const SINE: f64 = 2.5e-7;

/// Folding in f64 against the unfolded network in f64, relative.
pub const FOLD: f64 = 1e-11;

/// Optimizer in f32 against f64 over a few steps, relative.
pub const OPTIMIZER: f64 = 2e-5;

/// Where L-BFGS on numbers in f32 ends, absolute, minima at 1.
pub const DESCENT: f64 = 1e-3;

/// Values of a model file in physical units against the f64 oracle in the network's, relative to half the range:
/// coordinates rounded to f32 (up to 3 units away from 0 in units of half the domain) pass through the steepest
/// mapping and a SIREN's layers.
pub const PHYSICAL: f64 = 2e-4;

/// Tangent kernel against that of a Jacobian by central differences in f64, relative to the largest entry.
pub const KERNEL: f64 = 1e-6;

/// Rates of Theorem 2 against a gradient step of 1e-7 in f64, relative.
pub const RATE: f64 = 1e-4;

/// Gradients of two engines over some hundred points, relative to the largest of the tensor.
pub const ENGINES: f64 = 3e-5;

/// Gradients of a GPU against those of the CPU over a few points, Euclidean norm of the difference over that of a tensor: far
/// above rounding, which a SIREN of many layers amplifies, far below a kernel that is wrong.
pub const DEVICES: f64 = 1e-2;

/// The same where the factors of products are rounded to 10 bits behind the point.
pub const DEVICES_TF32: f64 = 3e-2;
/// As [`DEVICES_TF32`], to 7 bits.
pub const DEVICES_BF16: f64 = 0.25;

/// The one of the three for GPUs that round so.
pub fn devices(matmul: MatmulPrecision) -> f64 {
    match matmul {
        MatmulPrecision::F32 => DEVICES,
        MatmulPrecision::Tf32 => DEVICES_TF32,
        MatmulPrecision::Bf16 => DEVICES_BF16,
    }
}

/// Gradients of products whose factors are rounded to 10 bits behind the point, against exact ones, Euclidean norm
/// of the difference over that of a tensor.
pub const TF32: f64 = 2e-2;
/// As [`TF32`], to 7 bits.
pub const BF16: f64 = 0.1;

/// Slopes of a projected loss in f64 against central differences with a step of 1e-5, absolute, values of order 1.
pub const PROJECTED: f64 = 1e-8;

/// Losses of two engines after up to a hundred steps, relative: rounding grows along a training.
pub const TRAINING: f64 = 2e-3;

/// Derivatives to order 4 carried in f32 against series in f64, relative to the largest of the kind: mixed ones are
/// differences of larger ones along several lines.
pub const JET: f64 = 1e-4;

/// Gradients of functions of such derivatives against differences in f64, relative to the largest of the tensor.
pub const JET_GRADIENT: f64 = 1e-3;

/// Pixels rendered in f32 from up to a few thousand samples against closed forms in f64, absolute, values to 1.
pub const RENDER: f64 = 2e-5;

/// Ray sums of a picture of 256 pixels a side against the exact integrals of what it shows, relative RMS over all rays: its
/// edges are softer by a pixel.
pub const PROJECTION: f64 = 0.03;

/// Centre of mass of projections of such a picture, in pixels: edges fall between detectors.
pub const PROJECTION_CENTRE: f64 = 0.25;

/// Winding numbers by the hierarchy of dipoles against the sum over triangles, absolute: inside starts at one half.
pub const WINDING: f64 = 2e-2;

/// Slopes of a formula in f32 against central differences with a step of 1e-2, absolute, slopes of order 1.
pub const DUAL: f64 = 1e-3;

/// Pseudo-spectral solutions against closed forms, absolute, values to 1: fourth order in time at the tests' steps.
pub const SPECTRAL: f64 = 1e-6;

/// The same against published solutions that were made with other methods, relative L2.
pub const PUBLISHED: f64 = 2e-3;

/// Residuals of closed-form solutions whose derivatives are central differences in f64, relative to the largest part.
pub const MANUFACTURED: f64 = 1e-4;

/// Cotangents of residuals in f32 against differences, relative to the largest.
pub const RESIDUAL: f64 = 5e-3;

/// Solutions of finite differences and of half-resolved spectra against closed forms and finer ones, absolute, values of
/// order 1.
pub const SOLVER: f64 = 5e-5;

/// A DeepONet with a given input function as one network against the two, by the runtime in f32, relative to the largest
/// value.
pub const FOLDED_OPERATOR: f64 = 1e-4;
