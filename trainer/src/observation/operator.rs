//! What an operator is measured by: known values at points, or what a differential equation leaves of its solution when the
//! input function is one of the equation's own.

use std::{f64::consts::PI, ops::Range};

use super::pde::{At, Dual, LANES, Place, Prepared, Term};
use crate::engine::OperatorObservation;

/// Squared errors against known values, each function with a weight of its own.
#[derive(Debug)]
pub struct KnownValues<'a> {
    /// Normalised values `[points, functions, outputs]`; of points that are a function's own `[points, outputs]`.
    pub target: &'a [f32],
    /// Factors on the errors' squares, by the same places without outputs; they sum up to 1.
    pub weights: &'a [f32],
    /// Values at a point.
    pub outputs: usize,
}

impl OperatorObservation for KnownValues<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32]) -> f64 {
        let pairs = jets.len() / self.outputs;
        let first = points.start * (pairs / points.len());
        let share = 1.0 / self.outputs as f32;
        let mut sum = 0.0;
        for (o, (jets, cotangents)) in jets.chunks_exact(pairs).zip(cotangents.chunks_exact_mut(pairs)).enumerate() {
            let target = self.target[first * self.outputs..].iter().skip(o).step_by(self.outputs);
            let known = target.zip(&self.weights[first..]);
            for ((y, dy), (t, w)) in jets.iter().zip(cotangents).zip(known) {
                let (error, weight) = (y - t, share * w);
                sum += f64::from(weight * error * error);
                *dy = 2.0 * weight * error;
            }
        }
        sum
    }
}

/// A term of an equation at points, for every function of a step; in [`At::data`] is the input function there.
#[derive(Debug)]
pub struct Residuals<'a> {
    /// The term.
    pub term: &'a Term,
    /// Its way from jets to derivatives.
    pub prepared: &'a Prepared,
    /// Points `[n, inputs]`, physical.
    pub x: &'a [f64],
    /// Input functions there, `[n, functions]`.
    pub u: &'a [f64],
    /// Number of functions.
    pub functions: usize,
}

impl OperatorObservation for Residuals<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32]) -> f64 {
        let (rows, inputs, functions) = (self.prepared.plan.rows(), self.prepared.plan.inputs(), self.functions);
        let variables = &self.prepared.variables;
        let place = |output: usize, row: usize, pair: usize| (output * rows + row) * points.len() * functions + pair;
        let share = 1.0 / self.u.len() as f32;
        let mut derivatives = vec![Dual::constant(0.0); variables.len()];
        let mut growths = Vec::new();
        let mut sum = 0.0;
        for pair in 0..points.len() * functions {
            let (point, known) = (points.start + pair / functions, points.start * functions + pair);
            let x = &self.x[point * inputs..][..inputs];
            self.prepared.growths(x, &mut growths);
            for (lane, (d, variable)) in derivatives.iter_mut().zip(variables).enumerate() {
                let jet = |row: usize| jets[place(variable.output, row, pair)];
                *d = Dual::variable(variable.value(&growths, jet), lane);
            }
            let at = At { x, c: &[], data: &self.u[known..=known] };
            let mut slope = [0.0f32; LANES];
            for r in self.term.residual(&at, &derivatives) {
                sum += f64::from(share * r.value() * r.value());
                let factor = 2.0 * share * r.value();
                slope.iter_mut().zip(r.slope()).for_each(|(s, d)| *s += factor * d);
            }
            for (variable, slope) in variables.iter().zip(slope) {
                variable.spread(&growths, slope, |row, g| cotangents[place(variable.output, row, pair)] += g);
            }
        }
        sum
    }
}

/// What must vanish for the operator of the generator called `name`, `u` being its input function at the point; nothing
/// where that takes more than its values.
pub fn terms(name: &str) -> Vec<Term> {
    match name {
        "diffusion-reaction" => vec![
            Term::new("equation", Place::Inside, ["s", "s_t", "s_xx"], |p, [s, s_t, s_xx]| {
                [s_t - 0.01 * s_xx - 0.01 * s.square() - p.data[0]]
            }),
            Term::new("initial", Place::Low(0), ["s"], |_, [s]| [s]),
            Term::new("walls", Place::Ends(1), ["s"], |_, [s]| [s]),
        ],
        "burgers" => vec![
            Term::new("equation", Place::Inside, ["s", "s_t", "s_x", "s_xx"], |_, [s, s_t, s_x, s_xx]| {
                [s_t + s * s_x - 0.01 * s_xx]
            }),
            Term::new("initial", Place::Low(0), ["s"], |p, [s]| [s - p.data[0]]),
        ],
        "advection" => vec![
            Term::new("equation", Place::Inside, ["s_t", "s_x"], |p, [s_t, s_x]| [s_t + p.data[0] * s_x]),
            Term::new("initial", Place::Low(0), ["s"], |p, [s]| [s - (PI * p.x[1]).sin()]),
            Term::new("inlet", Place::Low(1), ["s"], |p, [s]| [s - (0.5 * PI * p.x[0]).sin()]),
        ],
        _ => Vec::new(),
    }
}

/// Weights of the terms for the generator called `name` that were found to train best, where they are not 1: a solution
/// that starts wrong is carried on as it is.
pub fn weights(name: &str) -> &'static [(&'static str, f64)] {
    match name {
        "burgers" => &[("initial", 20.0)],
        "advection" => &[("initial", 20.0), ("inlet", 20.0)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::*;
    use crate::{
        observation::pde::Dual,
        signal::operator::{GENERATORS, generate},
    };

    /// What a generator gives leaves nothing of the terms that go by its name, derivatives by differences of the grid.
    #[test]
    fn generated_solutions_satisfy_their_terms() {
        for generator in GENERATORS.iter().filter(|g| !terms(g.name()).is_empty()) {
            let data = generate(*generator, 1, 2, &ProgressBar::hidden());
            let [(_, _, _, times), (_, lo, hi, places)] = generator.axes();
            let s = |i: usize, j: usize| f64::from(data.outputs[i * places + j]);
            let (dt, dx) = (1.0 / (times - 1) as f64, (hi - lo) / (places - 1) as f64);
            let line = generator.sensors().1[0];
            let u: Vec<f64> = data.inputs.iter().map(|&v| f64::from(v)).collect();
            for term in terms(generator.name()) {
                let outputs = [generator.output().0];
                let names = term.derivatives(&["t", "x"], &outputs).unwrap();
                let (mut worst, mut largest) = (0.0f64, 0.0f64);
                // Not at the corner from which a kink comes.
                for (i, j) in [(times / 2, places / 2), (times / 2, places / 4), (3, 3 * places / 4)] {
                    let (i, j) = match term.place {
                        Place::Low(0) => (0, j),
                        Place::Low(_) | Place::Ends(_) => (i, 0),
                        _ => (i, j),
                    };
                    let value = |axes: &[usize]| match axes {
                        [] => s(i, j),
                        [0] => (s(i + 1, j) - s(i - 1, j)) / (2.0 * dt),
                        [1] => (s(i, j + 1) - s(i, j - 1)) / (2.0 * dx),
                        _ => (s(i, j + 1) - 2.0 * s(i, j) + s(i, j - 1)) / (dx * dx),
                    };
                    let derivatives: Vec<Dual> = names
                        .iter()
                        .map(|(_, w)| {
                            let crate::engine::Wanted::Partial(axes) = w else { unreachable!() };
                            Dual::constant(value(axes))
                        })
                        .collect();
                    derivatives.iter().for_each(|d| largest = largest.max(f64::from(d.value().abs())));
                    let x = [i as f64 * dt, lo + j as f64 * dx];
                    let at = At { x: &x, c: &[], data: &[line.interpolate(&u, x[1])] };
                    worst = worst.max(f64::from(term.residual(&at, &derivatives)[0].value().abs()));
                }
                assert!(worst < 0.03 * largest.max(0.1), "{} {}: {worst} of {largest}", generator.name(), term.name);
            }
        }
    }
}
