//! Scattered samples that are a regular grid, row by row.

use super::{Axis, Layout, Order, Sampling};

/// Share of a step that a row may be off its place.
const OFF: f64 = 1e-6;

/// The grid that `coordinates`, `[n, inputs]`, are the nodes of, in either order and each axis in either direction; none for
/// a single input, or where a row is missing, twice, or elsewhere.
pub(super) fn lattice(coordinates: &[f64], inputs: usize) -> Option<Layout> {
    let rows = coordinates.len() / inputs;
    if inputs < 2 {
        return None;
    }
    let counts: Vec<usize> = (0..inputs)
        .map(|j| {
            let mut values: Vec<f64> = coordinates.iter().skip(j).step_by(inputs).copied().collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            values.len()
        })
        .collect();
    if counts.iter().any(|&n| n < 2) || counts.iter().try_fold(1usize, |p, &n| p.checked_mul(n)) != Some(rows) {
        return None;
    }
    let axes: Vec<Axis> = counts
        .iter()
        .enumerate()
        .map(|(j, &count)| {
            let (first, last) = (coordinates[j], coordinates[(rows - 1) * inputs + j]);
            Axis { start: first, step: (last - first) / (count - 1) as f64, count }
        })
        .collect();
    if axes.iter().any(|axis| axis.step == 0.0) {
        return None;
    }
    [Order::LastFastest, Order::FirstFastest].into_iter().find_map(|order| {
        let in_place = |row: usize| {
            let mut left = row;
            let mut holds = |j: usize| {
                let axis = &axes[j];
                let at = axis.start + (left % axis.count) as f64 * axis.step;
                left /= axis.count;
                (coordinates[row * inputs + j] - at).abs() <= OFF * axis.step.abs()
            };
            match order {
                Order::FirstFastest => (0..inputs).all(&mut holds),
                Order::LastFastest => (0..inputs).rev().all(&mut holds),
            }
        };
        (0..rows).all(in_place).then(|| Layout::Grid { axes: axes.clone(), sampling: Sampling::Node, order })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(first_fastest: bool) -> Vec<f64> {
        let mut all = Vec::new();
        for i in 0..3 {
            for j in 0..4 {
                let (i, j) = if first_fastest { ((i * 4 + j) % 3, (i * 4 + j) / 3) } else { (i, j) };
                all.extend([10.0 - 0.1 * f64::from(i), 5.0 + 2.0 * f64::from(j)]);
            }
        }
        all
    }

    #[test]
    fn grids_are_found_in_either_order_and_direction() {
        for (first, order) in [(false, Order::LastFastest), (true, Order::FirstFastest)] {
            let Some(Layout::Grid { axes, order: found, .. }) = lattice(&nodes(first), 2) else { panic!("no grid") };
            assert!(found == order && axes[0].count == 3 && axes[1].count == 4);
            assert!((axes[0].step + 0.1).abs() < 1e-12 && (axes[1].step - 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_no_grid_stays_scattered() {
        let mut moved = nodes(false);
        moved[7] += 0.01;
        assert!(lattice(&moved, 2).is_none());
        assert!(lattice(&nodes(false)[..22], 2).is_none());
        let mut twice = nodes(false);
        twice.copy_within(0..2, 4);
        assert!(lattice(&twice, 2).is_none());
        assert!(lattice(&[0.0, 1.0, 2.0], 1).is_none());
    }
}
