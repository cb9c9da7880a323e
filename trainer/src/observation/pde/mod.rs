//! Differential equations, one file each: what must vanish and where, its domain and coefficients, and a reference.
//!
//! A residual is a formula over [`Dual`] numbers, so that its derivatives by those of the solution come along:
//!
//! ```
//! use rwf_trainer::observation::pde::{Place, Term};
//! let burgers = Term::new("equation", Place::Inside, ["u", "u_t", "u_x", "u_xx"], |p, [u, u_t, u_x, u_xx]| {
//!     [u_t + u * u_x - p.c[0] * u_xx]
//! });
//! ```

mod advection;
mod allen_cahn;
mod burgers;
mod cavity;
mod dual;
mod field;
mod file;
mod fisher;
mod hard;
mod heat;
mod helmholtz;
mod kdv;
mod navier_stokes;
mod poisson;
mod spectral;
mod term;
#[cfg(test)]
mod tests;
mod viscosity;
mod wave;

pub use dual::{Dual, LANES};
pub use field::{Field, nodes};
pub use file::read;
pub use hard::hard;
pub use spectral::Evolution;
pub use term::{At, Look, Place, Prepared, Purpose, Term};

use crate::error::{Error, Result};

/// A coordinate and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// A letter; `t` is time.
    pub name: &'static str,
    /// Smallest value.
    pub lo: f64,
    /// Largest value.
    pub hi: f64,
}

impl Axis {
    /// With this name and range.
    pub fn new(name: &'static str, lo: f64, hi: f64) -> Self {
        Self { name, lo, hi }
    }
}

/// A number in an equation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// Name.
    pub name: &'static str,
    /// Value unless another is asked for; where it is sought, the true one that data are made with.
    pub value: f64,
    /// Where it is sought from data: where the search begins, above 0.
    pub sought: Option<f64>,
}

impl Coefficient {
    /// One that is known.
    pub fn new(name: &'static str, value: f64) -> Self {
        Self { name, value, sought: None }
    }
}

/// A differential equation with all that belongs to it.
pub trait Equation: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Equation and conditions, in one line for people.
    fn formula(&self) -> &'static str;

    /// Its inputs, `t` first where it has one.
    fn axes(&self) -> Vec<Axis>;

    /// Whether its solution is periodic along every input but the first, one period being the domain.
    fn periodic(&self) -> bool {
        false
    }

    /// Names of its outputs, and about how large they get.
    fn outputs(&self) -> Vec<(&'static str, f64)> {
        vec![("u", 1.0)]
    }

    /// Numbers in it.
    fn coefficients(&self) -> Vec<Coefficient> {
        Vec::new()
    }

    /// What was expected instead of these coefficients, where there is no reference for them.
    fn problem(&self, _: &[f64]) -> Option<&'static str> {
        None
    }

    /// What must vanish, and where.
    fn terms(&self) -> Vec<Term>;

    /// A solution for these coefficients: a closed form, or a solver's.
    fn reference(&self, coefficients: &[f64]) -> Field;

    /// TOML over the defaults of every equation for these coefficients: `[signal]`, `[network]`, `[training]`.
    fn defaults(&self, _: &[f64]) -> &'static str {
        ""
    }
}

/// All equations there are.
pub const EQUATIONS: &[&dyn Equation] = &[
    &advection::Advection,
    &allen_cahn::AllenCahn,
    &burgers::Burgers,
    &viscosity::Viscosity,
    &cavity::Cavity,
    &fisher::Fisher,
    &heat::Heat,
    &helmholtz::Helmholtz,
    &kdv::KortewegDeVries,
    &navier_stokes::NavierStokes,
    &poisson::Poisson,
    &wave::Wave,
];

/// The equation called `name`.
///
/// # Errors
/// [`Error::Config`] with the nearest names.
pub fn equation(name: &str) -> Result<&'static dyn Equation> {
    if let Some(found) = EQUATIONS.iter().find(|e| e.name() == name) {
        return Ok(*found);
    }
    let mut near: Vec<(usize, &str)> = EQUATIONS.iter().map(|e| (distance(name, e.name()), e.name())).collect();
    near.sort_unstable();
    let nearest: Vec<&str> = near.iter().filter(|n| n.0 <= near[0].0 + 1).take(3).map(|n| n.1).collect();
    let message =
        format!("found `{name}`, expected a known equation; nearest: {}. `rwf pde list` has all", nearest.join(", "));
    Err(Error::Config { field: "equation".into(), message })
}

/// How many letters to change, add or leave out (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
