//! A part of what a solution must satisfy: where, which derivatives it takes, and what must vanish there.

use std::{fmt, ops::Range, sync::Mutex};

use super::dual::{Dual, LANES};
use crate::{
    engine::{Combination, JetObservation, Plan, Wanted},
    error::{Error, Result},
    fold::Normalization,
};

/// Where a term holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All over the domain.
    Inside,
    /// Where this input has its smallest value: the beginning of time, the left wall.
    Low(usize),
    /// Where it has its largest.
    High(usize),
    /// At either end of it.
    Ends(usize),
    /// Where the solution was measured.
    Data,
}

/// Where a residual is asked for and what is known there.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Coordinates, physical.
    pub x: &'a [f64],
    /// Coefficients of the equation, in its order.
    pub c: &'a [Dual],
    /// Values measured here; empty where there are none.
    pub data: &'a [f64],
}

type Residual = Box<dyn Fn(&At<'_>, &[Dual], &mut [Dual]) + Send + Sync>;

/// What must vanish, and where.
pub struct Term {
    /// Short name, for tables.
    pub name: &'static str,
    /// Where it holds.
    pub place: Place,
    names: Vec<&'static str>,
    residuals: usize,
    residual: Residual,
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?} at {:?}", self.name, self.names, self.place)
    }
}

impl Term {
    /// `residual` of the derivatives `names` vanishes all over `place`. A derivative is named by its output, and behind
    /// `_` the inputs it is taken by, a letter each: `u`, `u_t`, `u_xx`; `Δu` is the sum of the second derivatives by
    /// all inputs but `t`.
    pub fn new<const D: usize, const R: usize>(
        name: &'static str,
        place: Place,
        names: [&'static str; D],
        residual: impl Fn(&At<'_>, [Dual; D]) -> [Dual; R] + Send + Sync + 'static,
    ) -> Self {
        let of_slices = move |at: &At<'_>, derivatives: &[Dual], out: &mut [Dual]| {
            out.copy_from_slice(&residual(at, std::array::from_fn(|i| derivatives[i])));
        };
        Self { name, place, names: names.to_vec(), residuals: R, residual: Box::new(of_slices) }
    }

    /// What must vanish at one point with these derivatives.
    pub fn residual(&self, at: &At<'_>, derivatives: &[Dual]) -> Vec<Dual> {
        let mut out = vec![Dual::constant(0.0); self.residuals];
        (self.residual)(at, derivatives, &mut out);
        out
    }

    /// Which outputs and derivatives its names mean, for a solution with these names of inputs and outputs.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that means nothing.
    pub fn derivatives(&self, inputs: &[&str], outputs: &[&str]) -> Result<Vec<(usize, Wanted)>> {
        let read = |name: &&'static str| {
            let wrong = || Error::Config {
                field: format!("term `{}`", self.name),
                message: format!("found derivative `{name}`, expected one of {outputs:?} by {inputs:?}, as in `u_xx`"),
            };
            let (laplacian, rest) = name.strip_prefix('Δ').map_or((false, *name), |rest| (true, rest));
            let (output, by) = rest.split_once('_').unwrap_or((rest, ""));
            let output = outputs.iter().position(|o| *o == output).ok_or_else(wrong)?;
            if laplacian {
                let space = (0..inputs.len()).filter(|&i| inputs[i] != "t").collect();
                return Ok((output, Wanted::Laplacian(space)));
            }
            let axis = |letter: char| inputs.iter().position(|i| i.chars().eq([letter])).ok_or_else(wrong);
            Ok((output, Wanted::Partial(by.chars().map(axis).collect::<Result<_>>()?)))
        };
        self.names.iter().map(read).collect()
    }

    /// How a network's jets give its derivatives in physical units.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that means nothing or an order beyond the limit.
    pub fn prepare(&self, inputs: &[&str], outputs: &[&str], n: &Normalization, trained: usize) -> Result<Prepared> {
        if self.names.len() + trained > LANES {
            let message = format!("found {} derivatives, expected at most {}", self.names.len(), LANES - trained);
            return Err(Error::Config { field: format!("term `{}`", self.name), message });
        }
        let derivatives = self.derivatives(inputs, outputs)?;
        let mut wanted: Vec<Wanted> = Vec::new();
        for (_, one) in &derivatives {
            if !wanted.contains(one) {
                wanted.push(one.clone());
            }
        }
        let scale: Vec<f64> = n.input_half.iter().map(|half| 1.0 / half).collect();
        let (plan, combinations) = Plan::new(&scale, &wanted)?;
        let variable = |(output, one): &(usize, Wanted)| {
            let rows: &Combination = &combinations[wanted.iter().position(|w| w == one).expect("was put there")];
            let value = matches!(one, Wanted::Partial(axes) if axes.is_empty());
            Variable {
                output: *output,
                rows: rows.iter().map(|&(row, f)| (row, (f * n.output_half[*output]) as f32)).collect(),
                offset: if value { n.output_centre[*output] as f32 } else { 0.0 },
            }
        };
        let variables = derivatives.iter().map(variable).collect();
        Ok(Prepared { plan, variables, outputs: outputs.len() })
    }
}

/// A derivative as a combination of rows of the jets.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) output: usize,
    pub(crate) rows: Vec<(usize, f32)>,
    pub(crate) offset: f32,
}

/// A term's way from a network's jets to its derivatives.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Coefficients that must be carried.
    pub plan: Plan,
    pub(crate) variables: Vec<Variable>,
    outputs: usize,
}

/// What is made of the residuals.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// The mean over points of their squares.
    Squares,
    /// The mean over points of their sum with these signs, `[n]`: the gradient of that is a sample of the residuals'
    /// tangent kernel, the mean of its squared norm the kernel's trace over the number of points (Hutchinson 1990).
    Signs(&'a [f32]),
    /// The sizes alone, `[n]`.
    Sizes(&'a Mutex<Vec<f32>>),
}

/// A term at these points, for [`FusedEngine::observe_jets`](crate::engine::FusedEngine::observe_jets).
#[derive(Debug)]
pub struct Look<'a> {
    /// The term.
    pub term: &'a Term,
    /// Its way from jets to derivatives.
    pub prepared: &'a Prepared,
    /// Points `[n, inputs]`, physical.
    pub x: &'a [f64],
    /// Values measured there, `[n, m]`; empty where there are none.
    pub data: &'a [f64],
    /// Coefficients; the trained ones are variables of the last lanes.
    pub c: &'a [Dual],
    /// What is made of the residuals.
    pub purpose: Purpose<'a>,
    /// A point with a residual that is not finite though all that it is made of is, should there be one.
    pub fault: &'a Mutex<Option<Vec<f64>>>,
}

impl JetObservation for Look<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32], extra: &mut [f64]) -> f64 {
        let (n, width) = (points.len(), self.prepared.outputs);
        let inputs = self.prepared.plan.inputs();
        let measured = self.data.len() / self.count();
        let share = 1.0 / self.count() as f32;
        let variables = &self.prepared.variables;
        let mut derivatives = vec![Dual::constant(0.0); variables.len()];
        let mut residuals = vec![Dual::constant(0.0); self.term.residuals];
        let mut sum = 0.0;
        for p in 0..n {
            let at = points.start + p;
            for (lane, (d, variable)) in derivatives.iter_mut().zip(variables).enumerate() {
                let part = |&(row, factor): &(usize, f32)| factor * jets[(row * n + p) * width + variable.output];
                *d = Dual::variable(variable.offset + variable.rows.iter().map(part).sum::<f32>(), lane);
            }
            let known = At {
                x: &self.x[at * inputs..(at + 1) * inputs],
                c: self.c,
                data: &self.data[at * measured..(at + 1) * measured],
            };
            (self.term.residual)(&known, &derivatives, &mut residuals);
            if residuals.iter().any(|r| !r.value().is_finite()) && derivatives.iter().all(|d| d.value().is_finite()) {
                *self.fault.lock().expect("no panic holds it") = Some(known.x.to_vec());
            }
            let mut slope = [0.0f32; LANES];
            for r in &residuals {
                let factor = match self.purpose {
                    Purpose::Squares => {
                        sum += f64::from(share * r.value() * r.value());
                        2.0 * share * r.value()
                    }
                    Purpose::Signs(signs) => {
                        sum += f64::from(share * signs[at] * r.value());
                        share * signs[at]
                    }
                    Purpose::Sizes(_) => 0.0,
                };
                slope.iter_mut().zip(r.slope()).for_each(|(s, d)| *s += factor * d);
            }
            if let Purpose::Sizes(sizes) = self.purpose {
                let square: f32 = residuals.iter().map(|r| r.value() * r.value()).sum();
                sizes.lock().expect("no panic holds it")[at] = square.sqrt();
            }
            for (variable, slope) in variables.iter().zip(slope) {
                for &(row, factor) in &variable.rows {
                    cotangents[(row * n + p) * width + variable.output] += slope * factor;
                }
            }
            let trained = extra.len();
            extra.iter_mut().zip(&slope[LANES - trained..]).for_each(|(g, s)| *g += f64::from(*s));
        }
        sum
    }
}

impl Look<'_> {
    fn count(&self) -> usize {
        // A network has as many inputs as its plan is made for.
        self.x.len() / self.prepared.plan.inputs()
    }
}
