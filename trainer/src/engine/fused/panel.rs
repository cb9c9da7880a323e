//! Matrices as panels: sixteen columns at a time, row after row, so that everything a kernel reads or writes is one
//! run of memory whatever the width.
//!
//! A matrix `[rows, columns]` is `[columns/16][rows][16]`; columns that fill up the last panel are 0 where they are
//! packed here, and nothing depends on them elsewhere.

/// Columns of a panel.
pub(super) const PANEL: usize = 16;

/// One row of a panel.
pub(super) type Row = [f32; PANEL];

/// Panels of so many columns.
pub(super) const fn panels(columns: usize) -> usize {
    columns.div_ceil(PANEL)
}

/// Row `r` of a matrix of `rows` rows.
pub(super) fn put_row(out: &mut [Row], rows: usize, r: usize, values: &[f32]) {
    let (whole, rest) = values.as_chunks::<PANEL>();
    let mut place = r;
    for chunk in whole {
        out[place] = *chunk;
        place += rows;
    }
    if !rest.is_empty() {
        out[place] = padded(rest);
    }
}

/// `from` `[rows, columns]`, row by row, as panels.
pub(super) fn pack(out: &mut [Row], from: &[f32], columns: usize) {
    let rows = from.len() / columns;
    for (r, values) in from.chunks_exact(columns).enumerate() {
        put_row(out, rows, r, values);
    }
}

/// Panels as rows `[rows, columns]`.
pub(super) fn unpack(out: &mut [f32], from: &[Row], columns: usize) {
    let rows = out.len() / columns;
    for (r, out) in out.chunks_exact_mut(columns).enumerate() {
        for (values, out) in from[r..].iter().step_by(rows).zip(out.chunks_mut(PANEL)) {
            out.copy_from_slice(&values[..out.len()]);
        }
    }
}

/// `from` `[rows, columns]`, row by row, as panels of its transpose: `[rows/16][columns][16]`.
pub(super) fn pack_transposed(out: &mut [Row], from: &[f32], columns: usize) {
    for (out, from) in out.chunks_exact_mut(columns).zip(from.chunks(PANEL * columns)) {
        for (r, row) in from.chunks_exact(columns).enumerate() {
            out.iter_mut().zip(row).for_each(|(out, v)| out[r] = *v);
        }
        for out in out.iter_mut() {
            out[from.len() / columns..].fill(0.0);
        }
    }
}

/// Panels of a transpose as rows `[rows, columns]`, added to `out`.
pub(super) fn add_transposed(out: &mut [f32], from: &[Row], columns: usize) {
    for (out, from) in out.chunks_mut(PANEL * columns).zip(from.chunks_exact(columns)) {
        for (r, out) in out.chunks_exact_mut(columns).enumerate() {
            out.iter_mut().zip(from).for_each(|(o, v)| *o += v[r]);
        }
    }
}

/// A row of up to sixteen values, the rest 0.
pub(super) fn padded(values: &[f32]) -> Row {
    let mut row = [0.0; PANEL];
    row[..values.len()].copy_from_slice(values);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_hold_the_matrix_and_zeros() {
        for (rows, columns) in [(1, 1), (3, 16), (5, 17), (20, 40)] {
            let matrix: Vec<f32> = (1..=rows * columns).map(|v| v as f32).collect();
            let at = |r: usize, c: usize| if r < rows && c < columns { matrix[r * columns + c] } else { 0.0 };
            let mut packed = vec![[9.0; PANEL]; panels(columns) * rows];
            pack(&mut packed, &matrix, columns);
            let mut turned = vec![[9.0; PANEL]; panels(rows) * columns];
            pack_transposed(&mut turned, &matrix, columns);
            for (n, row) in packed.iter().enumerate() {
                (0..PANEL).for_each(|i| assert_eq!(row[i], at(n % rows, n / rows * PANEL + i)));
            }
            for (n, row) in turned.iter().enumerate() {
                (0..PANEL).for_each(|i| assert_eq!(row[i], at(n / columns * PANEL + i, n % columns)));
            }
            let mut back = vec![9.0; rows * columns];
            unpack(&mut back, &packed, columns);
            assert_eq!(back, matrix);
            add_transposed(&mut back, &turned, columns);
            assert!(back.iter().zip(&matrix).all(|(b, m)| *b == 2.0 * m));
        }
    }
}
