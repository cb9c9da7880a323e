//! From a trained basis to the file of a base: components that carry the most come first and are orthogonal, and each
//! integer has the range that the signals need.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rwf_runtime::format::{Activation, Architecture, Layer, Layers, Mapping};

use super::{Sampled, config::ShareConfig};
use crate::{
    config::RunConfig,
    engine::Engine,
    error::{Error, Result},
    export::{self, Description},
    fold::{DenseOperator, Normalization},
    network::{DenseNetwork, HostDense, Network},
    observation::Projection,
};

/// Directions whose share is below this of the largest are noise of f32.
const SMALLEST: f64 = 1e-10;
/// How far beyond the signals that were seen integers reach: what comes later may be a little outside.
const HEADROOM: f64 = 1.25;

/// The file of a base: the trunk of what `engine` has trained and a branch of one dense layer.
///
/// # Errors
/// Those of engine and export, and a basis that is not finite.
pub(super) fn base(
    (network, engine): (&Network, &dyn Engine),
    signals: &[Sampled],
    ridge: f64,
    config: &RunConfig<ShareConfig>,
    normalization: &Normalization,
    description: &Description,
) -> Result<Vec<u8>> {
    let (components, outputs) = (config.signal.components, normalization.output_centre.len());
    let broken = || Error::Training("the trained basis is not finite; try a smaller --lr".into());
    // How the basis lies over the samples, and where the signals lie in it.
    let mut gram = DMatrix::zeros(components, components);
    let mut coefficients = DMatrix::zeros(signals.len(), components);
    for (s, signal) in signals.iter().enumerate() {
        let basis: Vec<f64> = engine.forward(&signal.x)?.iter().map(|&v| f64::from(v)).collect();
        let target: Vec<f64> = signal.y.iter().map(|&v| f64::from(v)).collect();
        let of = Projection { target: &[], offsets: &[], outputs, components, ridge };
        let own = of.coefficients(&basis, &target).ok_or_else(broken)?;
        coefficients.set_row(s, &own.transpose());
        let rows = DMatrix::from_row_slice(target.len(), 1 + components, &basis);
        let rows = rows.columns(1, components);
        gram += rows.tr_mul(&rows) / (target.len() * signals.len()) as f64;
    }
    let turned = Turned::new(&gram, &coefficients);

    let mut trunk = network.dense_f64(&engine.parameters()?);
    turned.fold_into(trunk.layers.last_mut().expect("a network has layers"), outputs);
    let width = outputs * (1 + components);
    let mut branch =
        HostDense { kernel: vec![0.0; components * width], bias: vec![0.0; width], inputs: components, outputs: width };
    let limit = f64::from(config.signal.modulation.limit());
    for o in 0..outputs {
        let at = o * (1 + components);
        branch.bias[at] = 1.0;
        for (k, half) in turned.half.iter().enumerate() {
            branch.kernel[k * width + at + 1 + k] = half / limit;
        }
    }
    let mut layers = Layers::new();
    let layer = Layer { inputs: components, outputs: width, activation: Activation::Identity };
    layers.push(layer).map_err(|_| broken())?;
    let architecture = Architecture {
        inputs: components,
        mapping: Mapping::None,
        gate: None,
        layers,
        output_mask: false,
        output_affine: false,
    };
    let branch = DenseNetwork {
        architecture,
        mapping: None,
        encoders: Vec::new(),
        layers: vec![branch],
        mask: None,
        output: None,
    };
    let dense = DenseOperator {
        branch,
        trunk,
        head: HostDense { kernel: Vec::new(), bias: vec![0.0; outputs], inputs: 0, outputs },
        activation: Activation::Identity,
    };
    // Integers are their own unit.
    let prefixed = |value: f64, list: &[f64]| [vec![value; components], list.to_vec()].concat();
    let units = Normalization {
        input_centre: prefixed(0.0, &normalization.input_centre),
        input_half: prefixed(1.0, &normalization.input_half),
        ..normalization.clone()
    };
    export::operator(&dense.fold(&units), description, config.export.precision, config.export.math)
}

/// Another basis of the same functions.
struct Turned {
    /// What is added to t0, `[components]`.
    middle: DVector<f64>,
    /// New functions in columns, `[components, components]`.
    to: DMatrix<f64>,
    /// How far signals lie from the middle along each, with headroom.
    half: Vec<f64>,
}

impl Turned {
    /// Orthonormal over the samples, along the principal axes of the signals.
    fn new(gram: &DMatrix<f64>, coefficients: &DMatrix<f64>) -> Self {
        let eigen = SymmetricEigen::new(gram.clone());
        let least = SMALLEST * eigen.eigenvalues.amax();
        let root = |power: f64| {
            let scaled = eigen.eigenvalues.map(|v| v.max(least).powf(power));
            &eigen.eigenvectors * DMatrix::from_diagonal(&scaled) * eigen.eigenvectors.transpose()
        };
        let mean = coefficients.row_mean();
        let mut centred = coefficients.clone();
        centred.row_iter_mut().for_each(|mut row| row -= &mean);
        let centred = centred * root(0.5);
        let spread = SymmetricEigen::new(centred.tr_mul(&centred));
        let mut order: Vec<usize> = (0..gram.nrows()).collect();
        order.sort_by(|&a, &b| spread.eigenvalues[b].total_cmp(&spread.eigenvalues[a]));
        let axes = DMatrix::from_columns(&order.iter().map(|&k| spread.eigenvectors.column(k)).collect::<Vec<_>>());
        let along = &centred * &axes;
        let ends = along.column_iter().map(|c| (c.min(), c.max()));
        let (middle, half): (Vec<f64>, Vec<f64>) =
            ends.map(|(lo, hi)| (0.5 * (lo + hi), 0.5 * HEADROOM * (hi - lo))).unzip();
        let largest = half.iter().copied().fold(0.0, f64::max);
        // A direction that no signal goes along keeps a step of some size, so that none is 0.
        let floor = if largest > 0.0 { 1e-6 * largest } else { 1.0 };
        let to = root(-0.5) * axes;
        let middle = mean.transpose() + &to * DVector::from_vec(middle);
        Self { middle, to, half: half.into_iter().map(|h| h.max(floor)).collect() }
    }

    /// The same for the layer that gives `[outputs, 1 + components]`.
    fn fold_into(&self, last: &mut HostDense, outputs: usize) {
        let components = self.half.len();
        let rows = last.kernel.chunks_exact_mut(last.outputs).chain([last.bias.as_mut_slice()]);
        for row in rows {
            for own in row.chunks_exact_mut(1 + components).take(outputs) {
                let old = DVector::from_column_slice(&own[1..]);
                own[0] += self.middle.dot(&old);
                own[1..].copy_from_slice(self.to.tr_mul(&old).as_slice());
            }
        }
    }
}
