//! The same for networks in integers.

use rwf_runtime::{Axis, EvalError, IntegerModel, describe::Order, describe::Sampling, format::MAX_INPUTS};

use crate::{HASH_START, Hash, SAMPLES, hash_values};

/// Evaluates the whole grid in physical units and hashes it; `None` when the file does not describe its inputs or a
/// sample has more than 16 outputs.
///
/// # Errors
/// [`EvalError`] when `scratch` is too short.
pub fn hash_integers(model: &IntegerModel<'_>, scratch: &mut [i16]) -> Option<Result<Hash, EvalError>> {
    let mut axes = [Axis { start: 0.0, step: 0.0, count: 1 }; MAX_INPUTS];
    let axes = axes.get_mut(..model.inputs())?;
    let grid = model.grid();
    for (i, axis) in axes.iter_mut().enumerate() {
        let domain = model.input(i)?;
        let (count, sampling) = match &grid {
            Some(grid) => (*grid.counts.get(i)?, grid.sampling),
            None => (SAMPLES, Sampling::Node),
        };
        *axis = Axis::over(domain.lo, domain.hi, count, sampling);
    }
    let first_fastest = grid.is_some_and(|grid| grid.order == Order::FirstFastest);
    let samples: usize = axes.iter().map(|axis| axis.count).product();
    let mut total = Hash { samples: 0, hash: HASH_START };
    let (mut point, mut values) = ([0.0; MAX_INPUTS], [0.0; 16]);
    let point = point.get_mut(..model.inputs())?;
    let values = values.get_mut(..model.outputs())?;
    for index in 0..samples {
        let mut left = index;
        let mut set = |(x, axis): (&mut f32, &Axis)| {
            *x = axis.at(left % axis.count.max(1));
            left /= axis.count.max(1);
        };
        if first_fastest {
            point.iter_mut().zip(&*axes).for_each(&mut set);
        } else {
            point.iter_mut().zip(&*axes).rev().for_each(&mut set);
        }
        if let Err(error) = model.eval(point, values, scratch) {
            return Some(Err(error));
        }
        total.samples += 1;
        total.hash = hash_values(total.hash, values);
    }
    Some(Ok(total))
}
