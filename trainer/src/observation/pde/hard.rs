//! Conditions that a network can satisfy whatever its weights are: outputs that vanish on walls.

use super::{At, Axis, Dual, Place, Term};
use crate::{
    engine::Wanted,
    error::{Error, Result},
    fold::Mask,
};

/// Places on a wall at which a term is looked at.
const PLACES: usize = 7;

/// The mask that stands for those of `terms` that say no more than that outputs vanish on a wall, and which terms are left.
/// A term says so where its residual is of values alone, is 0 if all of them are, and is not if any one is 1.
///
/// # Errors
/// [`Error::Config`] when there is no such term.
pub fn hard(axes: &[Axis], outputs: &[&str], terms: &[Term], c: &[Dual]) -> Result<(Mask, Vec<bool>)> {
    let inputs: Vec<&str> = axes.iter().map(|a| a.name).collect();
    let mut walls = vec![vec![[false; 2]; axes.len()]; outputs.len()];
    let mut left = vec![true; terms.len()];
    for (term, left) in terms.iter().zip(&mut left) {
        let (axis, ends) = match term.place {
            Place::Low(axis) => (axis, [true, false]),
            Place::High(axis) => (axis, [false, true]),
            Place::Ends(axis) => (axis, [true, true]),
            Place::Inside | Place::Data => continue,
        };
        let derivatives = term.derivatives(&inputs, outputs)?;
        if derivatives.iter().any(|(_, wanted)| *wanted != Wanted::Partial(Vec::new())) {
            continue;
        }
        let says = (0..2).filter(|&end| ends[end]).all(|end| {
            (1..=PLACES).all(|place| {
                let inside = |a: &Axis| a.lo + (a.hi - a.lo) * place as f64 / (PLACES + 1) as f64;
                let mut x: Vec<f64> = axes.iter().map(inside).collect();
                x[axis] = if end == 0 { axes[axis].lo } else { axes[axis].hi };
                let vanishes = |values: &[Dual]| {
                    term.residual(&At { x: &x, c, data: &[] }, values).iter().all(|r| r.value() == 0.0)
                };
                let one = |k: usize| -> Vec<Dual> {
                    (0..derivatives.len()).map(|i| Dual::constant(f64::from(u8::from(i == k)))).collect()
                };
                vanishes(&vec![Dual::constant(0.0); derivatives.len()])
                    && (0..derivatives.len()).all(|k| !vanishes(&one(k)))
            })
        });
        if says {
            *left = false;
            for (output, _) in derivatives {
                let wall = &mut walls[output][axis];
                *wall = [wall[0] || ends[0], wall[1] || ends[1]];
            }
        }
    }
    if left.iter().all(|&left| left) {
        let message = "found true, expected false: no condition says that the solution vanishes on a wall".into();
        return Err(Error::Config { field: "signal.hard".into(), message });
    }
    let ranges: Vec<(f64, f64)> = axes.iter().map(|a| (a.lo, a.hi)).collect();
    Ok((Mask::vanishing(&ranges, &walls), left))
}
