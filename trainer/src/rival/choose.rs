//! How many functions each axis gets for the bytes there are.

use rayon::prelude::*;

use super::{Basis, Rival, Stored, fit};
use crate::signal::{Layout, Signal};

/// Least squares on more unknowns than this is left out: a polynomial of so many terms is no rival in time either.
const MOST_DENSE: usize = 1024;

/// The best of `basis` in at most `bytes` by `error`, over ways of storing and shares of the axes; none when not even the
/// smallest fits.
pub fn best(signal: &Signal, basis: Basis, bytes: usize, error: &(dyn Fn(&[f32]) -> f64 + Sync)) -> Option<Rival> {
    let outputs = signal.outputs.len();
    let tries: Vec<(Stored, Vec<usize>)> = Stored::ALL
        .into_iter()
        .flat_map(|stored| {
            let most = stored.count(bytes, outputs);
            let most = if basis == Basis::Chebyshev { most.min(MOST_DENSE) } else { most };
            shares(signal, basis, most).into_iter().map(move |counts| (stored, counts))
        })
        .collect();
    let found = tries.into_par_iter().map(|(stored, counts)| {
        let values = fit(signal, basis, &counts, stored).values(signal);
        (error(&values), stored, counts, values)
    });
    let (_, stored, counts, values) = found.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let sides: Vec<String> = counts.iter().map(usize::to_string).collect();
    Some(Rival {
        name: format!("{} {} {}", basis.name(), sides.join("x"), stored.name()),
        bytes: stored.bytes(counts.iter().product(), outputs),
        operations: Some(basis.operations(&counts, outputs)),
        values,
    })
}

/// Numbers of functions along each axis with at most `most` products: as the samples lie, and with one axis finer.
fn shares(signal: &Signal, basis: Basis, most: usize) -> Vec<Vec<usize>> {
    let axes = signal.inputs.len();
    let limits: Vec<usize> = match &signal.layout {
        Layout::Grid { axes, .. } => axes.iter().map(|a| a.count.max(basis.least())).collect(),
        Layout::Scattered { .. } => vec![signal.len().max(basis.least()); axes],
    };
    let relative: Vec<f64> = match &signal.layout {
        Layout::Grid { axes, .. } => axes.iter().map(|a| a.count as f64).collect(),
        Layout::Scattered { .. } => vec![1.0; axes],
    };
    let mut weights = vec![relative.clone(), vec![1.0; axes]];
    for j in 0..if axes > 1 { axes } else { 0 } {
        for factor in [1.5, 2.5] {
            let mut finer = relative.clone();
            finer[j] *= factor;
            weights.push(finer);
        }
    }
    let mut found: Vec<Vec<usize>> = weights.iter().filter_map(|w| share(w, &limits, basis.least(), most)).collect();
    found.sort();
    found.dedup();
    found
}

/// Whole numbers about in the ratio of `weights`, as many as fit.
fn share(weights: &[f64], limits: &[usize], least: usize, most: usize) -> Option<Vec<usize>> {
    let at = |scale: f64| -> Vec<usize> {
        weights.iter().zip(limits).map(|(w, limit)| ((scale * w) as usize).clamp(least, *limit)).collect()
    };
    let product = |counts: &[usize]| counts.iter().map(|&n| n as f64).product::<f64>();
    if product(&at(0.0)) > most as f64 {
        return None;
    }
    let (mut lo, mut hi) = (0.0, 1e9);
    for _ in 0..80 {
        let middle = 0.5 * (lo + hi);
        if product(&at(middle)) <= most as f64 { lo = middle } else { hi = middle }
    }
    let mut counts = at(lo);
    // What rounding left over goes to whichever axis still takes it.
    for j in 0..counts.len() {
        while counts[j] < limits[j] && product(&counts) / counts[j] as f64 * (counts[j] + 1) as f64 <= most as f64 {
            counts[j] += 1;
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Axis, Order, Quantity, Sampling, SignalKind};

    #[test]
    fn shares_fill_what_there_is_and_never_more() {
        for most in [4, 10, 100, 1000] {
            let counts = share(&[60.0, 30.0], &[361, 181], 2, most).unwrap();
            let product: usize = counts.iter().product();
            assert!(product <= most && product * 10 >= most * 8, "{counts:?} of {most}");
        }
        assert_eq!(share(&[1.0, 1.0], &[9, 9], 4, 15), None);
        assert_eq!(share(&[1.0], &[9], 2, 100), Some(vec![9]));
    }

    #[test]
    fn the_best_is_within_the_bytes_and_suits_the_signal() {
        let quantity = |name| Quantity::new(name, "", 0.0, 1.0);
        let axis = Axis { start: 0.0, step: 0.005, count: 201 };
        let signal = Signal {
            kind: SignalKind::Array,
            name: String::new(),
            inputs: vec![quantity("x")],
            outputs: vec![quantity("v")],
            layout: Layout::Grid { axes: vec![axis], sampling: Sampling::Node, order: Order::LastFastest },
            values: (0..201).map(|i| (f64::from(i) * 0.02).sin() as f32).collect(),
        };
        let rmse = |fit: &[f32]| {
            let square: f64 = fit.iter().zip(&signal.values).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            (square / fit.len() as f64).sqrt()
        };
        let errors: Vec<f64> = Basis::ALL
            .iter()
            .map(|&basis| {
                let rival = best(&signal, basis, 64, &rmse).unwrap();
                assert!(rival.bytes <= 64, "{}", rival.name);
                rmse(&rival.values)
            })
            .collect();
        // A smooth wave: each family is better than the one before, a polynomial best of all.
        assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
        assert!(best(&signal, Basis::Spline, 6, &rmse).is_none());
    }
}
