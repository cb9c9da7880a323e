//! Coefficients by least squares: axis by axis on a grid, by conjugate gradients for scattered samples.

use nalgebra::{DMatrix, DVector};

use super::{Basis, Stored};
use crate::signal::{Layout, Order, Signal};

/// Steps of conjugate gradients.
const STEPS: usize = 200;
/// Share of the mean diagonal that keeps functions without samples at 0.
const RIDGE: f64 = 1e-9;

/// Products of `counts[j]` functions of a family along axis j.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The family.
    pub basis: Basis,
    /// How many along each axis.
    pub counts: Vec<usize>,
    /// Of each output, the last axis fastest.
    pub coefficients: Vec<Vec<f64>>,
}

/// The products of `basis` with `counts` functions an axis that are nearest to `signal`, as they come back from flash.
pub fn fit(signal: &Signal, basis: Basis, counts: &[usize], stored: Stored) -> Grid {
    let mut coefficients = match &signal.layout {
        Layout::Grid { .. } => separable(signal, basis, counts),
        Layout::Scattered { .. } => gradients(signal, basis, counts),
    };
    coefficients.iter_mut().for_each(|c| stored.round(c));
    Grid { basis, counts: counts.to_vec(), coefficients }
}

impl Grid {
    /// Values at all samples of `signal`, `[n, outputs]`.
    pub fn values(&self, signal: &Signal) -> Vec<f32> {
        let mut out = Vec::with_capacity(signal.values.len());
        each(signal, self.basis, &self.counts, |_, terms| {
            for c in &self.coefficients {
                out.push(terms.iter().map(|&(i, w)| w * c[i]).sum::<f64>() as f32);
            }
        });
        out
    }
}

/// A coordinate of an input, 0 .. 1 over its domain.
fn unit(signal: &Signal, j: usize, x: f64) -> f64 {
    let q = &signal.inputs[j];
    if q.hi > q.lo { (x - q.lo) / (q.hi - q.lo) } else { 0.0 }
}

/// Calls `with` for every sample with the products that are not 0 there.
fn each(signal: &Signal, basis: Basis, counts: &[usize], mut with: impl FnMut(usize, &[(usize, f64)])) {
    let mut at = vec![0.0; counts.len()];
    let (mut axis, mut terms, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for sample in 0..signal.len() {
        signal.coordinate(sample, &mut at);
        terms.clear();
        terms.push((0, 1.0));
        for (j, &n) in counts.iter().enumerate() {
            basis.at(n, unit(signal, j, at[j]), &mut axis);
            next.clear();
            for &(i, w) in &terms {
                next.extend(axis.iter().map(|&(k, v)| (i * n + k, w * v)));
            }
            std::mem::swap(&mut terms, &mut next);
        }
        with(sample, &terms);
    }
}

/// Least squares over a grid: the pseudo-inverse of each axis in turn.
fn separable(signal: &Signal, basis: Basis, counts: &[usize]) -> Vec<Vec<f64>> {
    let Layout::Grid { axes, order, .. } = &signal.layout else { unreachable!("a grid") };
    let inverses: Vec<DMatrix<f64>> = axes
        .iter()
        .enumerate()
        .map(|(j, axis)| {
            let n = counts[j];
            let mut matrix = DMatrix::zeros(axis.count, n);
            let mut terms = Vec::new();
            for i in 0..axis.count {
                basis.at(n, unit(signal, j, axis.start + i as f64 * axis.step), &mut terms);
                terms.iter().for_each(|&(k, w)| matrix[(i, k)] += w);
            }
            let mut normal = matrix.transpose() * &matrix;
            let ridge = RIDGE * normal.trace() / n as f64;
            (0..n).for_each(|k| normal[(k, k)] += ridge);
            normal.cholesky().expect("a ridge makes it definite").solve(&matrix.transpose())
        })
        .collect();
    let width = signal.outputs.len();
    (0..width)
        .map(|o| {
            // Values with the last axis fastest; then one axis after the other becomes coefficients.
            let mut sizes: Vec<usize> = axes.iter().map(|a| a.count).collect();
            let mut values: Vec<f64> =
                place(&sizes, *order).map(|sample| f64::from(signal.values[sample * width + o])).collect();
            for (j, inverse) in inverses.iter().enumerate() {
                let (before, after): (usize, usize) = (sizes[..j].iter().product(), sizes[j + 1..].iter().product());
                let (from, to) = (sizes[j], counts[j]);
                let mut next = vec![0.0; before * to * after];
                for b in 0..before {
                    for k in 0..to {
                        let row = &mut next[(b * to + k) * after..][..after];
                        for i in 0..from {
                            let w = inverse[(k, i)];
                            let source = &values[(b * from + i) * after..][..after];
                            row.iter_mut().zip(source).for_each(|(r, v)| *r += w * v);
                        }
                    }
                }
                sizes[j] = to;
                values = next;
            }
            values
        })
        .collect()
}

/// Samples in the order of the last axis fastest.
fn place(sizes: &[usize], order: Order) -> impl Iterator<Item = usize> {
    let (sizes, total) = (sizes.to_vec(), sizes.iter().product());
    (0..total).map(move |index: usize| match order {
        Order::LastFastest => index,
        Order::FirstFastest => {
            let (mut left, mut at) = (index, vec![0; sizes.len()]);
            for j in (0..sizes.len()).rev() {
                at[j] = left % sizes[j];
                left /= sizes[j];
            }
            (0..sizes.len()).rev().fold(0, |sum, j| sum * sizes[j] + at[j])
        }
    })
}

/// Least squares over scattered samples (Hestenes and Stiefel 1952, on the normal equations).
fn gradients(signal: &Signal, basis: Basis, counts: &[usize]) -> Vec<Vec<f64>> {
    let n: usize = counts.iter().product();
    let width = signal.outputs.len();
    let mut rows: Vec<Vec<(usize, f64)>> = Vec::with_capacity(signal.len());
    each(signal, basis, counts, |_, terms| rows.push(terms.to_vec()));
    let forward =
        |x: &DVector<f64>| -> Vec<f64> { rows.iter().map(|row| row.iter().map(|&(i, w)| w * x[i]).sum()).collect() };
    let back = |y: &[f64]| {
        let mut x = DVector::zeros(n);
        rows.iter().zip(y).for_each(|(row, y)| row.iter().for_each(|&(i, w)| x[i] += w * y));
        x
    };
    let mut diagonal = DVector::<f64>::zeros(n);
    rows.iter().flatten().for_each(|&(i, w)| diagonal[i] += w * w);
    let ridge = (RIDGE * diagonal.mean()).max(f64::MIN_POSITIVE);
    let scale = diagonal.map(|d| 1.0 / (d + ridge));
    (0..width)
        .map(|o| {
            let truth: Vec<f64> = signal.values.iter().skip(o).step_by(width).map(|&v| f64::from(v)).collect();
            let mut x = DVector::zeros(n);
            let mut r = back(&truth);
            let mut z = r.component_mul(&scale);
            let mut p = z.clone();
            let mut rz = r.dot(&z);
            let end = 1e-20 * rz;
            for _ in 0..STEPS.min(4 * n) {
                if rz <= end {
                    break;
                }
                let ap = back(&forward(&p)) + &p * ridge;
                let alpha = rz / p.dot(&ap);
                x += &p * alpha;
                r -= ap * alpha;
                z = r.component_mul(&scale);
                let next = r.dot(&z);
                p = &z + p * (next / rz);
                rz = next;
            }
            x.iter().copied().collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Axis, Quantity, Sampling, SignalKind};

    fn signal(order: Order, f: impl Fn(f64, f64) -> f64) -> Signal {
        let axis = |count| Axis { start: 0.0, step: 1.0 / (count - 1) as f64, count };
        let quantity = |name| Quantity::new(name, "", 0.0, 1.0);
        let mut signal = Signal {
            kind: SignalKind::Array,
            name: String::new(),
            inputs: vec![quantity("x"), quantity("y")],
            outputs: vec![quantity("v")],
            layout: Layout::Grid { axes: vec![axis(13), axis(17)], sampling: Sampling::Node, order },
            values: vec![0.0; 13 * 17],
        };
        let mut at = [0.0; 2];
        for i in 0..signal.len() {
            signal.coordinate(i, &mut at);
            signal.values[i] = f(at[0], at[1]) as f32;
        }
        signal
    }

    fn worst(grid: &Grid, signal: &Signal) -> f32 {
        grid.values(signal).iter().zip(&signal.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn what_a_family_holds_is_found_exactly_in_either_order_and_scattered() {
        for order in [Order::FirstFastest, Order::LastFastest] {
            let bilinear = signal(order, |x, y| 1.0 + 2.0 * x - y + 3.0 * x * y);
            let cubic = signal(order, |x, y| x.powi(3) - 2.0 * y * y + x * y);
            for (basis, signal) in [(Basis::Linear, &bilinear), (Basis::Spline, &cubic), (Basis::Chebyshev, &cubic)] {
                let mut scattered = signal.clone();
                let mut at = [0.0; 2];
                let coordinates = (0..signal.len()).flat_map(|i| {
                    signal.coordinate(i, &mut at);
                    at
                });
                scattered.layout = Layout::Scattered { coordinates: coordinates.collect() };
                for signal in [signal, &scattered] {
                    let grid = fit(signal, basis, &[5, 6], Stored::Float);
                    assert!(worst(&grid, signal) < 2e-5, "{basis:?} {}", worst(&grid, signal));
                }
            }
        }
    }

    #[test]
    fn more_functions_are_nearer_and_fewer_bits_further() {
        let wave = signal(Order::FirstFastest, |x, y| (7.0 * x).sin() * (5.0 * y).cos());
        for basis in Basis::ALL {
            let [few, many] = [5, 9].map(|n| worst(&fit(&wave, basis, &[n, n], Stored::Float), &wave));
            assert!(many < few, "{basis:?} {few} {many}");
        }
        let [byte, float] =
            [Stored::Byte, Stored::Float].map(|s| worst(&fit(&wave, Basis::Chebyshev, &[9, 9], s), &wave));
        assert!(float < 0.1 * byte, "{float} {byte}");
    }
}
