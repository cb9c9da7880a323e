//! Arrays: NPY of 1 to 4 axes, a coordinate an axis, one value an element.

use npyz::{Order as NpyOrder, WriterBuilder};

use super::{Axis, Layout, Order, Quantity, Sampling, Signal, SignalKind, range, widened};
use crate::numpy::elements;

/// Reads an NPY of floats, integers or booleans, in C or Fortran order.
pub(super) fn load(bytes: &[u8], name: String) -> Result<Signal, String> {
    let (shape, values, order) = elements(bytes, |v| v as f32)?;
    if shape.is_empty() || shape.len() > 4 {
        return Err(format!("found {} axes, expected 1 to 4", shape.len()));
    }
    if let Some(axis) = shape.iter().position(|&n| n < 2) {
        return Err(format!("axis {axis} has length {}, expected at least 2 (squeeze the array)", shape[axis]));
    }
    let axis = |&count: &usize| Axis { start: 0.0, step: 1.0, count };
    let (lo, hi) = widened(range(&values, 0, 1));
    let quantity = |(k, &n): (usize, &usize)| Quantity::new(&format!("axis{k}"), "index", 0.0, (n - 1) as f64);
    Ok(Signal {
        kind: SignalKind::Array,
        name,
        inputs: shape.iter().enumerate().map(quantity).collect(),
        outputs: vec![Quantity::new("value", "", lo, hi)],
        layout: Layout::Grid {
            axes: shape.iter().map(axis).collect(),
            sampling: Sampling::Node,
            // Fortran order is the same array with its first axis fastest.
            order: if order == NpyOrder::C { Order::LastFastest } else { Order::FirstFastest },
        },
        values,
    })
}

/// An NPY of f32: the grid's axes, and the outputs as a last axis where there are several.
pub(super) fn npy(signal: &Signal) -> Result<Vec<u8>, String> {
    let Layout::Grid { axes, order, .. } = &signal.layout else {
        return Err("found scattered samples, expected a grid (csv holds any)".into());
    };
    let mut shape: Vec<u64> = axes.iter().map(|a| a.count as u64).collect();
    // C order has the fastest axis last: an image's x behind its y.
    if *order == Order::FirstFastest {
        shape.reverse();
    }
    if signal.outputs.len() > 1 {
        shape.push(signal.outputs.len() as u64);
    }
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes);
    let mut writer = options.begin_nd().map_err(|e| e.to_string())?;
    writer.extend(signal.values.iter().copied()).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numpy::numbers;

    fn write<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T], order: NpyOrder) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape).order(order).writer(&mut bytes);
        let mut writer = options.begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn arrays_of_one_to_four_axes_come_back() {
        for shape in [&[6u64][..], &[2, 3], &[2, 3, 2], &[2, 2, 3, 2]] {
            let count = shape.iter().product::<u64>();
            let values: Vec<f32> = (0..count).map(|v| v as f32 * 0.5).collect();
            let signal = load(&write(shape, &values, NpyOrder::C), "a".into()).unwrap();
            assert_eq!((signal.values.clone(), signal.inputs.len()), (values, shape.len()));
            assert_eq!(load(&npy(&signal).unwrap(), "a".into()).unwrap(), signal);
        }
    }

    #[test]
    fn integers_booleans_and_fortran_order_are_read() {
        assert_eq!(load(&write(&[3], &[1u8, 2, 250], NpyOrder::C), "a".into()).unwrap().values, [1.0, 2.0, 250.0]);
        assert_eq!(load(&write(&[2], &[true, false], NpyOrder::C), "a".into()).unwrap().values, [1.0, 0.0]);
        let fortran = load(&write(&[2, 3], &[0.0f64, 3.0, 1.0, 4.0, 2.0, 5.0], NpyOrder::Fortran), "a".into()).unwrap();
        let columns = write(&[2, 3], &[0.0f64, 3.0, 1.0, 4.0, 2.0, 5.0], NpyOrder::Fortran);
        assert_eq!(numbers(&columns, |v| v).unwrap(), (vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let halves = [0.5, -2.0].map(half::f16::from_f32);
        assert_eq!(load(&write(&[2], &halves, NpyOrder::C), "a".into()).unwrap().values, [0.5, -2.0]);
        let mut at = [0.0; 2];
        for (i, &value) in fortran.values.iter().enumerate() {
            fortran.coordinate(i, &mut at);
            assert_eq!(f64::from(value), 3.0 * at[0] + at[1]);
        }
    }

    #[test]
    fn arrays_that_cannot_be_fitted_say_why() {
        let error = |bytes: &[u8]| load(bytes, "a".into()).unwrap_err();
        assert!(error(b"\x93NUMPZ").contains("NPY"));
        assert!(error(&write(&[1, 3], &[0f32; 3], NpyOrder::C)).contains("axis 0 has length 1"));
        assert!(error(&write(&[2, 2, 2, 2, 2], &[0f32; 32], NpyOrder::C)).contains("5 axes"));
        let whole = write(&[50], &[0f32; 50], NpyOrder::C);
        assert!(error(&whole[..whole.len() - 8]).contains("truncated"));
    }
}
