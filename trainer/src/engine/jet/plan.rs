//! Which Taylor coefficients travel through a network, and how the derivatives asked for are made of them.

use std::ops::Range;

use crate::{
    error::{Error, Result},
    network::HostDense,
};

/// Highest order of a derivative.
pub const MAX_ORDER: usize = 4;

/// A derivative of the network's outputs by its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By these inputs one after the other, `[0, 1, 1]` for ∂³/∂x₀∂x₁²; none: the value.
    Partial(Vec<usize>),
    /// The sum of second derivatives by each of these inputs.
    Laplacian(Vec<usize>),
}

/// A derivative as a sum of coefficients: row of the jet and factor.
pub type Combination = Vec<(usize, f64)>;

/// A straight line through every point along which coefficients are carried.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine) struct Direction {
    /// Where it goes, in the network's coordinates.
    pub(in crate::engine) vector: Vec<f32>,
    /// Highest coefficient.
    pub(in crate::engine) order: usize,
    /// Row of its first coefficient; the others follow.
    pub(in crate::engine) first: usize,
}

/// The rows of a jet: the value, then the Taylor coefficients 1.. of every direction (the k-th derivative over k!),
/// then half the Laplacian where only that is needed of many second derivatives (the forward Laplacian of Li et al.
/// 2024).
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(in crate::engine) directions: Vec<Direction>,
    /// Directions whose second derivatives are summed, with their weights; its row is the last.
    pub(in crate::engine) laplacian: Vec<(usize, f32)>,
    rows: usize,
    inputs: usize,
}

impl Plan {
    /// What must be carried for `wanted`, and each of them as a combination of rows. `scale[i]` is the change of the
    /// network's i-th coordinate per unit of the physical one; derivatives are by the latter.
    ///
    /// # Errors
    /// [`Error::Config`] for an order above [`MAX_ORDER`] or an input that is not there.
    pub fn new(scale: &[f64], wanted: &[Wanted]) -> Result<(Self, Vec<Combination>)> {
        let mut lines: Vec<(Vec<i32>, usize)> = Vec::new();
        let mut forward: Option<&[usize]> = None;
        let check = |axes: &[usize]| {
            let refuse =
                |message: String| Err(Error::Config { field: format!("derivative by inputs {axes:?}"), message });
            if axes.len() > MAX_ORDER {
                return refuse(format!("found order {}, expected at most {MAX_ORDER}", axes.len()));
            }
            match axes.iter().find(|&&a| a >= scale.len()) {
                Some(a) => refuse(format!("found input {a}, expected 0 to {}", scale.len() - 1)),
                None => Ok(()),
            }
        };
        for one in wanted {
            match one {
                Wanted::Partial(axes) => {
                    check(axes)?;
                    for (line, _) in polarize(axes, scale.len()) {
                        need(&mut lines, line, axes.len());
                    }
                }
                Wanted::Laplacian(axes) => {
                    axes.iter().try_for_each(|a| check(&[*a]))?;
                    let together = forward.is_none_or(|f| f == axes.as_slice());
                    for &axis in axes {
                        need(&mut lines, unit(axis, scale.len()), if together { 1 } else { 2 });
                    }
                    if together {
                        forward = Some(axes);
                    }
                }
            }
        }
        let mut rows = 1;
        let directions: Vec<Direction> = lines
            .iter()
            .map(|(line, order)| {
                let first = rows;
                rows += order;
                Direction { vector: line.iter().map(|&v| v as f32).collect(), order: *order, first }
            })
            .collect();
        let index = |line: &[i32]| lines.iter().position(|(l, _)| l == line).expect("was asked for above");
        let mut laplacian = Vec::new();
        for &axis in forward.unwrap_or_default() {
            laplacian.push((index(&unit(axis, scale.len())), (scale[axis] * scale[axis]) as f32));
        }
        let combine = |one: &Wanted| -> Combination {
            match one {
                Wanted::Partial(axes) if axes.is_empty() => vec![(0, 1.0)],
                Wanted::Partial(axes) => {
                    let stretch: f64 = axes.iter().map(|&a| scale[a]).product();
                    let row = |line: &[i32]| directions[index(line)].first + axes.len() - 1;
                    let each = polarize(axes, scale.len());
                    each.iter().map(|(line, c)| (row(line), stretch * c * factorial(axes.len()))).collect()
                }
                Wanted::Laplacian(axes) if forward == Some(axes.as_slice()) => vec![(rows, 2.0)],
                Wanted::Laplacian(axes) => {
                    let row = |axis| directions[index(&unit(axis, scale.len()))].first + 1;
                    axes.iter().map(|&a| (row(a), 2.0 * scale[a] * scale[a])).collect()
                }
            }
        };
        let combinations = wanted.iter().map(combine).collect();
        rows += usize::from(!laplacian.is_empty());
        Ok((Self { directions, laplacian, rows, inputs: scale.len() }, combinations))
    }

    /// Coefficients a point.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of the network it is made for.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Whether it is made for networks of `inputs` inputs.
    ///
    /// # Errors
    /// [`Error::Config`] where it is not.
    pub(in crate::engine) fn suits(&self, inputs: usize) -> Result<()> {
        if self.inputs == inputs {
            return Ok(());
        }
        let message = format!("found derivatives by {} inputs, expected {inputs}", self.inputs);
        Err(Error::Config { field: "derivatives".into(), message })
    }

    /// How much every phase of `mapping` grows along every direction, `[frequencies]` each.
    pub(in crate::engine) fn growth(&self, mapping: &HostDense) -> Vec<Vec<f32>> {
        let along = |v: &[f32]| -> Vec<f32> {
            let kernel = |i: usize, f: usize| mapping.kernel[i * mapping.outputs + f] as f32;
            (0..mapping.outputs).map(|f| v.iter().enumerate().map(|(i, v)| kernel(i, f) * v).sum()).collect()
        };
        self.directions.iter().map(|d| along(&d.vector)).collect()
    }

    /// Highest order of any row.
    pub(in crate::engine) fn order(&self) -> usize {
        let highest = self.directions.iter().map(|d| d.order).max().unwrap_or(0);
        if self.laplacian.is_empty() { highest } else { highest.max(2) }
    }

    /// The row of half the Laplacian.
    pub(in crate::engine) fn laplacian_row(&self) -> Option<usize> {
        (!self.laplacian.is_empty()).then(|| self.rows - 1)
    }

    /// The values of `row` where rows have `size` values each.
    pub(in crate::engine) fn block(row: usize, size: usize) -> Range<usize> {
        row * size..(row + 1) * size
    }
}

fn need(lines: &mut Vec<(Vec<i32>, usize)>, line: Vec<i32>, order: usize) {
    match lines.iter_mut().find(|(l, _)| *l == line) {
        Some((_, highest)) => *highest = order.max(*highest),
        None => lines.push((line, order)),
    }
}

fn unit(axis: usize, inputs: usize) -> Vec<i32> {
    (0..inputs).map(|i| i32::from(i == axis)).collect()
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|i| i as f64).product()
}

/// A mixed derivative by derivatives along lines: T(e₁..e_k) = 1/(2^(k-1)·k!)·Σ over signs, the first +, of their
/// product times the k-th derivative along Σ ±eᵢ (the polarization identity). Lines are shortened to coprime whole
/// numbers, the first that is not 0 above it.
fn polarize(axes: &[usize], inputs: usize) -> Vec<(Vec<i32>, f64)> {
    let k = axes.len();
    match axes {
        [] => return Vec::new(),
        [first, rest @ ..] if rest.iter().all(|a| a == first) => return vec![(unit(*first, inputs), 1.0)],
        _ => {}
    }
    let mut out: Vec<(Vec<i32>, f64)> = Vec::new();
    for signs in 0..1u32 << (k - 1) {
        let mut line = vec![0i32; inputs];
        for (n, &axis) in axes.iter().enumerate() {
            // The sign of the first is not among the bits.
            line[axis] += if n > 0 && signs >> (n - 1) & 1 == 1 { -1 } else { 1 };
        }
        let Some(lead) = line.iter().find(|v| **v != 0).copied() else { continue };
        let divisor = line.iter().fold(0, |a, &b| gcd(a, b.abs())) * lead.signum();
        line.iter_mut().for_each(|v| *v /= divisor);
        let sign = if signs.count_ones() % 2 == 1 { -1.0 } else { 1.0 };
        let part = sign * f64::from(divisor).powi(k as i32) / (f64::from(1u32 << (k - 1)) * factorial(k));
        match out.iter_mut().find(|(l, _)| *l == line) {
            Some((_, sum)) => *sum += part,
            None => out.push((line, part)),
        }
    }
    out.retain(|(_, c)| *c != 0.0);
    out
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burgers_takes_four_rows_and_a_laplacian_one_more_than_its_gradient() {
        let partial = |axes: &[usize]| Wanted::Partial(axes.to_vec());
        let (plan, c) =
            Plan::new(&[2.0, 3.0], &[partial(&[]), partial(&[0]), partial(&[1]), partial(&[1, 1])]).unwrap();
        assert_eq!(plan.rows(), 4);
        assert_eq!(c, [vec![(0, 1.0)], vec![(1, 2.0)], vec![(2, 3.0)], vec![(3, 18.0)]]);
        let (plan, c) = Plan::new(&[1.0, 3.0, 1.0], &[partial(&[0]), Wanted::Laplacian(vec![1, 2])]).unwrap();
        assert_eq!((plan.rows(), &c[1]), (5, &vec![(4, 2.0)]));
    }

    #[test]
    fn polarization_gives_a_monomials_mixed_derivative() {
        // The k-th derivative of Π x_i^{α_i} along v is k!·Π v_i^{α_i}; the mixed one by the same inputs is Π α_i!.
        for axes in [vec![0, 1], vec![0, 0, 1], vec![0, 1, 2], vec![0, 0, 1, 1], vec![0, 1, 1, 2], vec![0, 0, 0, 2]] {
            let count = |axis: usize, of: &[usize]| of.iter().filter(|a| **a == axis).count() as u32;
            for monomial in [axes.clone(), vec![0; axes.len()], [&axes[1..], &[1][..]].concat()] {
                let along = |v: &[i32]| -> f64 {
                    (0..3).map(|i| f64::from(v[i].pow(count(i, &monomial)))).product::<f64>() * factorial(axes.len())
                };
                let found: f64 = polarize(&axes, 3).iter().map(|(line, c)| c * along(line)).sum();
                let same = (0..3).all(|i| count(i, &axes) == count(i, &monomial));
                let expected = if same { (0..3).map(|i| factorial(count(i, &axes) as usize)).product() } else { 0.0 };
                assert!((found - expected).abs() < 1e-12, "{axes:?} {monomial:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn orders_beyond_the_limit_and_unknown_inputs_are_refused() {
        let error = Plan::new(&[1.0], &[Wanted::Partial(vec![0; 5])]).unwrap_err();
        assert!(error.to_string().contains("order 5") && error.to_string().contains("at most 4"), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert!(Plan::new(&[1.0], &[Wanted::Partial(vec![1])]).is_err());
    }
}
