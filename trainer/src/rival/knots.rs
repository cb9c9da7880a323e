//! A table of one input whose nodes lie where the signal needs them: what an engineer types in from a data sheet.

use super::Rival;
use crate::signal::Signal;

/// How a node and its values lie in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    /// f32 each.
    Float,
    /// Two bytes each, one scale and offset a column.
    Short,
}

impl Node {
    /// Nodes of `columns` numbers that `bytes` hold.
    fn count(self, bytes: usize, columns: usize) -> usize {
        match self {
            Self::Float => bytes / (4 * columns),
            Self::Short => bytes.saturating_sub(8 * columns) / (2 * columns),
        }
    }

    fn bytes(self, count: usize, columns: usize) -> usize {
        match self {
            Self::Float => 4 * columns * count,
            Self::Short => columns * (2 * count + 8),
        }
    }

    /// A column as it comes back from flash.
    fn round(self, column: &mut [f64]) {
        match self {
            Self::Float => super::Stored::Float.round(column),
            Self::Short => super::Stored::Short.round(column),
        }
    }
}

/// The best table of at most `bytes` with free nodes by `error`, linear between them; none for several inputs or too few
/// bytes for two nodes.
///
/// Nodes are samples, chosen one after the other where the table so far is furthest off (Ramer 1972).
pub fn knots(signal: &Signal, bytes: usize, error: &(dyn Fn(&[f32]) -> f64 + Sync)) -> Option<Rival> {
    if signal.inputs.len() != 1 {
        return None;
    }
    let width = signal.outputs.len();
    let tries = [Node::Float, Node::Short].into_iter().filter_map(|node| {
        let most = node.count(bytes, 1 + width);
        if most < 2 {
            return None;
        }
        let (mut x, mut y) = chosen(signal, most);
        node.round(&mut x);
        y.iter_mut().for_each(|column| node.round(column));
        let values = evaluate(signal, &x, &y);
        let name = match node {
            Node::Float => "f32",
            Node::Short => "u16",
        };
        let rival = Rival {
            name: format!("table, free nodes {} {name}", x.len()),
            bytes: node.bytes(x.len(), 1 + width),
            // Bisection for the place, then one product an output.
            operations: Some(x.len().ilog2() as usize + 2 + width),
            values,
        };
        Some((error(&rival.values), rival))
    });
    tries.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, rival)| rival)
}

/// At most `most` nodes: their places, and the values of every output there.
fn chosen(signal: &Signal, most: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let width = signal.outputs.len();
    // One sample a place: those at the same one by their mean.
    let mut order: Vec<usize> = (0..signal.len()).collect();
    let place = |i: usize| {
        let mut at = [0.0];
        signal.coordinate(i, &mut at);
        at[0]
    };
    order.sort_by(|&a, &b| place(a).total_cmp(&place(b)));
    let (mut x, mut y): (Vec<f64>, Vec<Vec<f64>>) = (Vec::new(), vec![Vec::new(); width]);
    for group in order.chunk_by(|&a, &b| place(a) == place(b)) {
        x.push(place(group[0]));
        for (o, column) in y.iter_mut().enumerate() {
            let sum: f64 = group.iter().map(|&i| f64::from(signal.values[i * width + o])).sum();
            column.push(sum / group.len() as f64);
        }
    }
    let ranges: Vec<f64> = signal.outputs.iter().map(|q| if q.hi > q.lo { q.hi - q.lo } else { 1.0 }).collect();
    let mut taken = vec![0, x.len() - 1];
    taken.dedup();
    // Furthest sample of each gap; only a gap that was split must be looked at again.
    let furthest = |a: usize, b: usize| {
        let off = |i: usize| {
            let t = (x[i] - x[a]) / (x[b] - x[a]);
            (0..width).map(|o| (y[o][a] + t * (y[o][b] - y[o][a]) - y[o][i]).abs() / ranges[o]).fold(0.0, f64::max)
        };
        (a + 1..b).map(|i| (off(i), i)).max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let gap = |a: usize, b: usize| (a, b, furthest(a, b));
    let mut gaps: Vec<_> = taken.windows(2).map(|pair| gap(pair[0], pair[1])).collect();
    while taken.len() < most {
        let worst = gaps.iter().enumerate().filter_map(|(n, gap)| gap.2.map(|(off, at)| (off, at, n)));
        let Some((off, at, n)) = worst.max_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if off == 0.0 {
            break;
        }
        let (a, b, _) = gaps.swap_remove(n);
        gaps.extend([gap(a, at), gap(at, b)]);
        taken.push(at);
    }
    taken.sort_unstable();
    let pick = |column: &[f64]| taken.iter().map(|&i| column[i]).collect::<Vec<f64>>();
    (pick(&x), y.iter().map(|column| pick(column)).collect())
}

/// Values at the samples, linear between nodes.
fn evaluate(signal: &Signal, x: &[f64], y: &[Vec<f64>]) -> Vec<f32> {
    let mut out = Vec::with_capacity(signal.values.len());
    let mut at = [0.0];
    for i in 0..signal.len() {
        signal.coordinate(i, &mut at);
        let right = x.partition_point(|&node| node < at[0]).clamp(1, x.len().max(2) - 1);
        for column in y {
            let value = if x.len() < 2 || x[right] == x[right - 1] {
                column[right.min(x.len() - 1)]
            } else {
                let t = ((at[0] - x[right - 1]) / (x[right] - x[right - 1])).clamp(0.0, 1.0);
                column[right - 1] + t * (column[right] - column[right - 1])
            };
            out.push(value as f32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Layout, Quantity, SignalKind};

    fn signal() -> Signal {
        // A corner at 0.3 and a slow curve behind it, unevenly sampled, one place twice.
        let mut x: Vec<f64> = (0..60).map(|i| (f64::from(i) / 59.0).powi(2)).collect();
        x.push(x[10]);
        let f = |x: f64| if x < 0.3 { 10.0 * x } else { 3.0 - (x - 0.3).powi(2) };
        Signal {
            kind: SignalKind::Table,
            name: String::new(),
            inputs: vec![Quantity::new("x", "", 0.0, 1.0)],
            outputs: vec![Quantity::new("y", "", 0.0, 3.0)],
            values: x.iter().map(|&x| f(x) as f32).collect(),
            layout: Layout::Scattered { coordinates: x },
        }
    }

    #[test]
    fn nodes_go_where_the_signal_turns_and_enough_of_them_are_exact() {
        let signal = signal();
        let largest =
            |fit: &[f32]| fit.iter().zip(&signal.values).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        let (x, _) = chosen(&signal, 3);
        assert!((0.25..0.35).contains(&x[1]), "{x:?}");
        let errors = [24, 64, 1000].map(|bytes| {
            let rival = knots(&signal, bytes, &largest).unwrap();
            assert!(rival.bytes <= bytes, "{}", rival.name);
            largest(&rival.values)
        });
        assert!(errors[1] < 0.5 * errors[0] && errors[2] < 1e-6, "{errors:?}");
        assert!(knots(&signal, 8, &largest).is_none());
    }
}
