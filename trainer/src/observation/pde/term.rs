//! A part of what a solution must satisfy: where, which derivatives it takes, and what must vanish there.

use std::{fmt, ops::Range, sync::Mutex};

use super::dual::{Dual, LANES};
use crate::{
    engine::{Combination, JetObservation, Plan, Wanted},
    error::{Error, Result},
    fold::{Mask, Normalization},
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
        let derivatives: Vec<(usize, bool, Vec<Piece>)> = self
            .derivatives(inputs, outputs)?
            .into_iter()
            .map(|(output, wanted)| {
                let value = matches!(&wanted, Wanted::Partial(axes) if axes.is_empty());
                (output, value, pieces(output, &wanted, n.mask.as_ref(), inputs.len()))
            })
            .collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut growths: Vec<Growth> = Vec::new();
        for piece in derivatives.iter().flat_map(|(.., pieces)| pieces) {
            if !wanted.contains(&piece.wanted) {
                wanted.push(piece.wanted.clone());
            }
            if let Some(growth) = piece.growth.as_ref().filter(|g| !growths.contains(g)) {
                growths.push(growth.clone());
            }
        }
        let scale: Vec<f64> = n.input_half.iter().map(|half| 1.0 / half).collect();
        let (plan, combinations) = Plan::new(&scale, &wanted)?;
        let part = |output: usize, piece: &Piece| {
            let at = wanted.iter().position(|w| *w == piece.wanted).expect("was put there");
            let rows: &Combination = &combinations[at];
            let stretch = piece.times * n.output_half[output];
            let growth = piece.growth.as_ref().and_then(|g| growths.iter().position(|other| other == g));
            (growth.map_or(0, |g| g + 1), rows.iter().map(|&(row, f)| (row, (f * stretch) as f32)).collect())
        };
        let variable = |(output, value, pieces): &(usize, bool, Vec<Piece>)| Variable {
            output: *output,
            parts: pieces.iter().map(|piece| part(*output, piece)).collect(),
            offset: if *value { n.output_centre[*output] as f32 } else { 0.0 },
        };
        let variables = derivatives.iter().map(variable).collect();
        Ok(Prepared { plan, variables, outputs: outputs.len(), mask: n.mask.clone(), growths })
    }
}

/// A derivative of an output's mask: so many times by every input.
#[derive(Debug, Clone, PartialEq)]
struct Growth {
    output: usize,
    by: Vec<u8>,
}

/// A derivative of the network's that is part of one of the solution's, by the product rule.
#[derive(Debug)]
struct Piece {
    wanted: Wanted,
    times: f64,
    /// What of the mask it is multiplied by; nothing where there is none.
    growth: Option<Growth>,
}

/// The derivative `wanted` of mask times network as derivatives of the network.
fn pieces(output: usize, wanted: &Wanted, mask: Option<&Mask>, inputs: usize) -> Vec<Piece> {
    let held = |axis: usize| mask.is_some_and(|m| m.holds(output, axis));
    if !(0..inputs).any(held) {
        return vec![Piece { wanted: wanted.clone(), times: 1.0, growth: None }];
    }
    let piece = |wanted: Wanted, times: f64, axes: &[usize]| {
        let mut by = vec![0; inputs];
        axes.iter().for_each(|&a| by[a] += 1);
        // Straight along inputs it does not hold, a parabola along the others.
        let vanishes = axes.iter().any(|&a| !held(a)) || by.iter().any(|&times| times > 2);
        (!vanishes).then_some(Piece { wanted, times, growth: Some(Growth { output, by }) })
    };
    match wanted {
        Wanted::Partial(axes) => (0..1usize << axes.len())
            .filter_map(|set| {
                let of = |inside: bool| -> Vec<usize> {
                    (0..axes.len()).filter(|k| (set >> k & 1 == 1) == inside).map(|k| axes[k]).collect()
                };
                piece(Wanted::Partial(of(false)), 1.0, &of(true))
            })
            .collect(),
        Wanted::Laplacian(axes) => {
            let along = |&a: &usize| {
                [piece(Wanted::Partial(vec![a]), 2.0, &[a]), piece(Wanted::Partial(Vec::new()), 1.0, &[a, a])]
            };
            piece(wanted.clone(), 1.0, &[]).into_iter().chain(axes.iter().flat_map(along).flatten()).collect()
        }
    }
}

/// A derivative as a combination of rows of the jets, every part of it times a [`Growth`] (from 1; 0: times 1).
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) output: usize,
    parts: Vec<(usize, Vec<(usize, f32)>)>,
    offset: f32,
}

impl Variable {
    /// Its value from the rows of a jet, with growths as [`Prepared::growths`] gives them.
    pub(crate) fn value(&self, growths: &[f32], jet: impl Fn(usize) -> f32) -> f32 {
        let part = |(growth, rows): &(usize, Vec<(usize, f32)>)| {
            growths[*growth] * rows.iter().map(|&(row, factor)| factor * jet(row)).sum::<f32>()
        };
        self.offset + self.parts.iter().map(part).sum::<f32>()
    }

    /// Hands the slope by every row to `add`, where that by the value is `slope`.
    pub(crate) fn spread(&self, growths: &[f32], slope: f32, mut add: impl FnMut(usize, f32)) {
        for (growth, rows) in &self.parts {
            rows.iter().for_each(|&(row, factor)| add(row, slope * factor * growths[*growth]));
        }
    }
}

/// A term's way from a network's jets to its derivatives.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Coefficients that must be carried.
    pub plan: Plan,
    pub(crate) variables: Vec<Variable>,
    outputs: usize,
    mask: Option<Mask>,
    growths: Vec<Growth>,
}

impl Prepared {
    /// 1, and whatever derivatives of the mask are needed, at `x` `[inputs]`, physical.
    pub(crate) fn growths(&self, x: &[f64], to: &mut Vec<f32>) {
        to.clear();
        to.push(1.0);
        if let Some(mask) = &self.mask {
            to.extend(self.growths.iter().map(|g| mask.derivative(g.output, &g.by, x) as f32));
        }
    }
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

/// A term at these points, for [`JetEngine::observe_jets`](crate::engine::JetEngine::observe_jets).
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
        let mut growths = Vec::new();
        let mut sum = 0.0;
        for p in 0..n {
            let at = points.start + p;
            let x = &self.x[at * inputs..(at + 1) * inputs];
            self.prepared.growths(x, &mut growths);
            for (lane, (d, variable)) in derivatives.iter_mut().zip(variables).enumerate() {
                let jet = |row: usize| jets[(row * n + p) * width + variable.output];
                *d = Dual::variable(variable.value(&growths, jet), lane);
            }
            let known = At { x, c: self.c, data: &self.data[at * measured..(at + 1) * measured] };
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
                variable.spread(&growths, slope, |row, g| cotangents[(row * n + p) * width + variable.output] += g);
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
