//! A model back into a signal: its values over a grid of its domain.

use rwf_runtime::{
    describe::{self, NativeGrid},
    format::key,
};

use crate::{
    error::{Error, Result},
    evaluate::Evaluate,
    signal::{Axis, Layout, Order, Quantity, Sampling, Signal, SignalKind},
};

/// Most samples decoded at once.
const LIMIT: usize = 1 << 28;
/// Samples along an axis of a model whose file tells of no grid.
const DEFAULT_COUNT: usize = 101;

/// Inputs and outputs of a model; a file that does not describe them gets plain names.
#[derive(Debug, Clone)]
pub struct Quantities {
    /// One per input.
    pub inputs: Vec<Quantity>,
    /// One per output.
    pub outputs: Vec<Quantity>,
}

impl Quantities {
    /// As described in the model's file.
    pub fn of(model: &dyn Evaluate) -> Self {
        let get = |found: Option<rwf_runtime::Quantity<'_>>, name: String| match found {
            Some(q) => Quantity { name: q.name.into(), unit: q.unit.into(), lo: f64::from(q.lo), hi: f64::from(q.hi) },
            None => Quantity { name, unit: String::new(), lo: -1.0, hi: 1.0 },
        };
        Self {
            inputs: (0..model.inputs()).map(|i| get(model.input(i), format!("x{i}"))).collect(),
            outputs: (0..model.outputs()).map(|i| get(model.output(i), format!("y{i}"))).collect(),
        }
    }
}

/// One count per input from `64x48`.
///
/// # Errors
/// [`Error::Config`] when it is not that many positive whole numbers.
pub fn counts(text: &str, inputs: usize) -> Result<Vec<usize>> {
    let parsed: Option<Vec<usize>> = text.split(['x', 'X']).map(|n| n.trim().parse().ok()).collect();
    parsed.filter(|c| c.len() == inputs && c.iter().all(|&n| n > 0)).ok_or_else(|| Error::Config {
        field: "--grid".into(),
        message: format!("found `{text}`, expected {inputs} whole number(s) above 0 joined by `x`"),
    })
}

/// One coordinate per input from `12.5,40`.
///
/// # Errors
/// [`Error::Config`] when it is not that many finite numbers.
pub fn point(text: &str, inputs: usize) -> Result<Vec<f32>> {
    let parsed: Option<Vec<f32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    parsed.filter(|p| p.len() == inputs && p.iter().all(|x| x.is_finite())).ok_or_else(|| Error::Config {
        field: "--at".into(),
        message: format!("found `{text}`, expected {inputs} number(s) joined by `,`"),
    })
}

/// The model's values over its domain, on the grid it was fitted on or with other `counts`.
///
/// # Errors
/// [`Error::Config`] when the grid has too many samples.
pub fn grid(model: &dyn Evaluate, counts: Option<&[usize]>) -> Result<Signal> {
    let native = model.grid();
    let Quantities { inputs, outputs } = Quantities::of(model);
    let kind = match model.metadata(key::SIGNAL) {
        Some("image") => SignalKind::Image,
        Some("audio") => SignalKind::Audio,
        Some("array") => SignalKind::Array,
        _ => SignalKind::Table,
    };
    let (sampling, order) = native.as_ref().map_or((Sampling::Node, Order::LastFastest), translate);
    let counts: Vec<usize> = match (counts, &native) {
        (Some(counts), _) => counts.to_vec(),
        (None, Some(grid)) => grid.counts.iter().copied().collect(),
        (None, None) => vec![DEFAULT_COUNT; inputs.len()],
    };
    let total = counts.iter().try_fold(1usize, |n, &c| n.checked_mul(c)).filter(|&n| n <= LIMIT);
    let Some(total) = total else {
        return Err(Error::Config {
            field: "--grid".into(),
            message: format!("found {counts:?}, expected at most {LIMIT} samples"),
        });
    };
    let axes = inputs.iter().zip(&counts).map(|(q, &count)| axis(q, count, sampling)).collect();
    let mut decoded = Signal {
        kind,
        name: "decoded".into(),
        inputs,
        outputs,
        layout: Layout::Grid { axes, sampling, order },
        values: Vec::new(),
    };
    let width = decoded.outputs.len();
    decoded.values = vec![0.0; total * width];
    decoded.values = model.values(&decoded.coordinates_f32());
    Ok(decoded)
}

fn axis(quantity: &Quantity, count: usize, sampling: Sampling) -> Axis {
    let extent = quantity.hi - quantity.lo;
    match sampling {
        Sampling::Cell => {
            let step = extent / count as f64;
            Axis { start: quantity.lo + 0.5 * step, step, count }
        }
        Sampling::Node => {
            let step = if count > 1 { extent / (count - 1) as f64 } else { 0.0 };
            Axis { start: quantity.lo, step, count }
        }
    }
}

fn translate(grid: &NativeGrid) -> (Sampling, Order) {
    let sampling = match grid.sampling {
        describe::Sampling::Cell => Sampling::Cell,
        describe::Sampling::Node => Sampling::Node,
    };
    let order = match grid.order {
        describe::Order::FirstFastest => Order::FirstFastest,
        describe::Order::LastFastest => Order::LastFastest,
    };
    (sampling, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lie_inside_the_domain_and_nodes_reach_its_ends() {
        let q = Quantity { name: "x".into(), unit: String::new(), lo: -0.5, hi: 3.5 };
        let cell = axis(&q, 4, Sampling::Cell);
        assert_eq!((cell.start, cell.step), (0.0, 1.0));
        let node = axis(&q, 5, Sampling::Node);
        assert_eq!((node.start, node.start + 4.0 * node.step), (-0.5, 3.5));
    }

    #[test]
    fn grids_and_points_that_do_not_fit_say_what_is_expected() {
        assert_eq!(counts("64x48", 2).unwrap(), [64, 48]);
        assert_eq!(point("1.5, -2", 2).unwrap(), [1.5, -2.0]);
        for text in ["64", "64x0", "axb", "1x2x3"] {
            assert!(counts(text, 2).unwrap_err().to_string().contains("2 whole number"), "{text}");
        }
        for text in ["1", "1,x", "1,nan"] {
            assert!(point(text, 2).is_err(), "{text}");
        }
    }
}
