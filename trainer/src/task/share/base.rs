//! A base as its file has it, and the integers of a signal on it.

use std::path::{Path, PathBuf};

use nalgebra::{DMatrix, DVector};
use rwf_runtime::{
    Model, Operator,
    format::{Activation, key},
    operator::is_operator,
};

use super::config::Modulation;
use crate::{
    error::{Error, Result},
    evaluate::{evaluate, evaluate_operator},
    export::{self, Description, read_operator},
    network::HostDense,
    signal::{Quantity, Signal},
};

/// How far beyond the domain a new signal's inputs may lie, as a share of its width.
const BEYOND: f64 = 0.05;
/// Ridge of the normal equations, relative to their largest entry.
const RIDGE: f64 = 1e-12;
/// How often every integer is moved by one where that is nearer.
const PASSES: usize = 8;

/// Name of the input function of a base.
pub(super) const MODULATION: &str = "modulation";

/// An operator whose input function is a signal's integers.
pub(super) struct Base {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Model file of the trunk alone.
    trunk: Vec<u8>,
    /// The branch, from integers to what the trunk's values are multiplied by.
    branch: HostDense,
    bias: Vec<f64>,
    inputs: Vec<Quantity>,
    outputs: Vec<Quantity>,
    /// What its integers are.
    pub(super) modulation: Modulation,
}

impl Base {
    /// Reads a base.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is none.
    pub(super) fn new(path: &Path, bytes: &[u8]) -> Result<Self> {
        let bad = |message: String| Error::Model { path: path.into(), message };
        let foreign =
            |found: &str| bad(format!("found {found}, expected a base, as `rwf fit --all FOLDER --share M` makes it"));
        if !is_operator(bytes) {
            return Err(foreign(if Model::new(bytes).is_ok() { "a coordinate network" } else { "no model" }));
        }
        let operator = Operator::new(bytes).map_err(|e| bad(e.to_string()))?;
        let function = operator.function().filter(|f| f.name == MODULATION);
        let reach = |m: &Modulation| function.is_some_and(|f| f.hi == f32::from(m.limit()));
        let Some(modulation) = Modulation::ALL.into_iter().find(reach) else {
            return Err(foreign("an operator on functions"));
        };
        let dense = read_operator(bytes).map_err(bad)?;
        let linear = dense.branch.layers.len() == 1
            && dense.branch.architecture.layers[0].activation == Activation::Identity
            && dense.branch.mapping.is_none();
        if !linear || !dense.is_dot() {
            return Err(foreign("an operator whose branch is not linear"));
        }
        let word = |name| operator.metadata(name).unwrap_or_default().to_owned();
        let own = |q: rwf_runtime::describe::Quantity<'_>| Quantity::new(q.name, q.unit, q.lo.into(), q.hi.into());
        let inputs: Vec<_> = (0..operator.inputs()).filter_map(|i| operator.input(i).map(own)).collect();
        let outputs: Vec<_> = (0..operator.outputs()).filter_map(|o| operator.output(o).map(own)).collect();
        if (inputs.len(), outputs.len()) != (operator.inputs(), operator.outputs()) {
            return Err(bad("does not say what its inputs and outputs are".into()));
        }
        let description = Description {
            signal: word(key::SIGNAL),
            inputs: word(key::INPUTS),
            outputs: String::new(),
            grid: None,
            error: None,
            provenance: String::new(),
        };
        let trunk = export::model(&dense.trunk, &description, operator.precision(), operator.math())?;
        let (branch, bias) = (dense.branch.layers[0].clone(), dense.head.bias);
        Ok(Self { path: path.into(), trunk, branch, bias, inputs, outputs, modulation, bytes: bytes.to_vec() })
    }

    /// The file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Integers of a signal.
    pub(super) fn components(&self) -> usize {
        self.branch.inputs
    }

    /// Bytes of the weights that a network of the trunk's hidden layers would have for a single signal.
    pub(super) fn single_bytes(&self) -> usize {
        let trunk = Model::new(&self.trunk).expect("made of a base");
        let hidden = trunk.architecture().layers.last().map_or(0, |l| l.inputs);
        let less = (hidden + 1) * (self.branch.outputs - self.outputs.len()) * trunk.precision().bytes();
        trunk.weight_bytes() - less
    }

    /// Whether the base is one for this signal.
    ///
    /// # Errors
    /// [`Error::Signal`] with what differs.
    pub(super) fn check(&self, path: &Path, signal: &Signal) -> Result<()> {
        let bad = |message: String| Err(Error::Signal { path: path.into(), message });
        let base = self.path.file_name().unwrap_or_default().to_string_lossy();
        for (what, found, expected) in
            [("inputs", &signal.inputs, &self.inputs), ("outputs", &signal.outputs, &self.outputs)]
        {
            if labels(found) != labels(expected) {
                return bad(format!("found {what} {}, expected {} as in {base}", labels(found), labels(expected)));
            }
        }
        for (found, expected) in signal.inputs.iter().zip(&self.inputs) {
            let beyond = BEYOND * (expected.hi - expected.lo);
            if found.lo < expected.lo - beyond || found.hi > expected.hi + beyond {
                return bad(format!(
                    "found `{}` from {} to {}, expected it within {} to {}, where {base} was fitted",
                    found.name, found.lo, found.hi, expected.lo, expected.hi
                ));
            }
        }
        let (samples, most) = (signal.values.len(), self.components());
        if samples < most {
            return bad(format!("found {samples} values, expected at least {most}, one for each integer"));
        }
        Ok(())
    }

    /// The integers `[components]` with which the base is nearest to a signal, outputs in units of half their range:
    /// rounded one after the other from the largest step to the smallest, each time with the others solved for again
    /// (Babai 1986), then moved by one while that is nearer.
    pub(super) fn modulate(&self, coordinates: &[f32], values: &[f32]) -> Vec<i16> {
        let (normal, right) = self.normal_equations(coordinates, values);
        nearest(&normal, &right, f64::from(self.modulation.limit())).into_iter().map(|q| q as i16).collect()
    }

    /// Values `[n, outputs]` with these integers, as a device computes them.
    pub(super) fn values(&self, integers: &[i16], coordinates: &[f32]) -> Vec<f32> {
        let operator = Operator::new(&self.bytes).expect("read before");
        let u: Vec<f32> = integers.iter().map(|&q| f32::from(q)).collect();
        evaluate_operator(&operator, &u, coordinates)
    }

    /// Matrix and right side of the least squares problem in the integers.
    fn normal_equations(&self, coordinates: &[f32], values: &[f32]) -> (DMatrix<f64>, DVector<f64>) {
        let components = self.components();
        let trunk = Model::new(&self.trunk).expect("made of a base");
        let basis = evaluate(&trunk, coordinates);
        let width = self.branch.outputs;
        let latent = width / self.outputs.len();
        let mut normal = DMatrix::zeros(components, components);
        let mut right = DVector::zeros(components);
        let mut row = vec![0.0; components];
        for (n, (basis, value)) in basis.chunks_exact(latent).zip(values).enumerate() {
            let o = n % self.outputs.len();
            let columns = o * latent..(o + 1) * latent;
            let unit = 2.0 / (self.outputs[o].hi - self.outputs[o].lo);
            let sum = |weights: &[f64]| -> f64 {
                unit * basis.iter().zip(&weights[columns.clone()]).map(|(t, w)| f64::from(*t) * w).sum::<f64>()
            };
            let left = unit * (f64::from(*value) - self.bias[o]) - sum(&self.branch.bias);
            row.iter_mut().zip(self.branch.kernel.chunks_exact(width)).for_each(|(r, kernel)| *r = sum(kernel));
            for (k, a) in row.iter().enumerate() {
                right[k] += a * left;
                for (l, b) in row[..=k].iter().enumerate() {
                    normal[(k, l)] += a * b;
                }
            }
        }
        normal.fill_upper_triangle_with_lower_triangle();
        (normal, right)
    }
}

/// Integers within ±`limit` where q·normal·q - 2·right·q is small.
fn nearest(normal: &DMatrix<f64>, right: &DVector<f64>, limit: f64) -> Vec<f64> {
    let n = right.len();
    let mut order: Vec<usize> = (0..n).collect();
    // The first that is rounded is the last row of the factor.
    order.sort_by(|&a, &b| normal[(a, a)].total_cmp(&normal[(b, b)]));
    let ridge = RIDGE * normal.diagonal().amax();
    let ordered = DMatrix::from_fn(n, n, |i, j| normal[(order[i], order[j])] + if i == j { ridge } else { 0.0 });
    let mut q = vec![0.0; n];
    let Some(factor) = ordered.cholesky() else {
        // A basis of zeros: no integer is better than another.
        return q;
    };
    let lower = factor.l_dirty();
    let sides = DVector::from_fn(n, |i, _| right[order[i]]);
    let Some(solved) = lower.solve_lower_triangular(&sides) else { return q };
    let round = |value: f64| value.round().clamp(-limit, limit);
    for i in (0..n).rev() {
        let others: f64 = (i + 1..n).map(|j| lower[(j, i)] * q[order[j]]).sum();
        q[order[i]] = round((solved[i] - others) / lower[(i, i)]);
    }
    let mut slope = right - normal * DVector::from_column_slice(&q);
    for _ in 0..PASSES {
        let mut moved = false;
        for k in 0..n {
            let step = slope[k].signum();
            if normal[(k, k)] < 2.0 * slope[k].abs() && (q[k] + step).abs() <= limit {
                q[k] += step;
                slope -= normal.column(k) * step;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    q
}

/// Names and units, for people and to compare.
pub(super) fn labels(list: &[Quantity]) -> String {
    list.iter().map(crate::train::metrics::label).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn integers_are_near_the_best_there_are() {
        let mut rng = Rng::new(8);
        for _ in 0..50 {
            let rows = DMatrix::from_fn(12, 3, |_, k| rng.normal() * [3.0, 1.0, 0.2][k]);
            let target = DVector::from_fn(12, |_, _| 4.0 * rng.normal());
            let (normal, right) = (rows.tr_mul(&rows), rows.tr_mul(&target));
            let found = nearest(&normal, &right, 4.0);
            let error = |q: &[f64]| (&rows * DVector::from_column_slice(q) - &target).norm();
            let all = (0..729).map(|n| [n % 9, n / 9 % 9, n / 81].map(|q| f64::from(q) - 4.0));
            let best = all.map(|q| error(&q)).fold(f64::INFINITY, f64::min);
            assert!(found.iter().all(|q| q.abs() <= 4.0 && q.fract() == 0.0));
            // What one rounds first is not always what all would choose.
            assert!(error(&found) <= 1.05 * best, "{} {best}", error(&found));
        }
    }
}
