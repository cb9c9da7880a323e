//! NumPy's files: arrays (NPY) and archives of them (NPZ).

mod archive;

pub(crate) use archive::{Archive, is_archive};

#[cfg(test)]
pub(crate) use archive::tests::archive;

use half::f16;
use npyz::{DType, NpyFile, Order};

/// Shape, values in the order of the file as `from` makes them, and that order, of an NPY of floats, integers or booleans.
///
/// # Errors
/// A sentence: no array, a damaged one, or one of other things.
pub(crate) fn elements<T>(bytes: &[u8], from: fn(f64) -> T) -> Result<(Vec<usize>, Vec<T>, Order), String> {
    let npy = NpyFile::new(bytes).map_err(|e| format!("found no NPY array: {e}"))?;
    let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
    let order = npy.order();
    let DType::Plain(descriptor) = npy.dtype() else {
        return Err("found a structured array, expected plain numbers".into());
    };
    let descriptor = descriptor.to_string();
    macro_rules! values {
        ($type:ty) => {
            values!($type, |v: $type| v as f64)
        };
        ($type:ty, $wide:expr) => {
            npy.into_vec::<$type>()
                .map_err(|e| format!("the array is truncated: {e}"))?
                .into_iter()
                .map(|v| from($wide(v)))
                .collect()
        };
    }
    let values: Vec<T> = match &descriptor[1..] {
        "f2" => values!(f16, f16::to_f64),
        "f4" => values!(f32),
        "f8" => values!(f64),
        "i1" => values!(i8),
        "u1" => values!(u8),
        "i2" => values!(i16),
        "u2" => values!(u16),
        "i4" => values!(i32),
        "u4" => values!(u32),
        "i8" => values!(i64),
        "u8" => values!(u64),
        "b1" => values!(bool, |v| u8::from(v).into()),
        _ => return Err(format!("found elements `{descriptor}`, expected floats, integers or booleans")),
    };
    Ok((shape, values, order))
}

/// Shape and values of an NPY, the last axis fastest, as `from` makes them.
///
/// # Errors
/// Those of [`elements`].
pub(crate) fn numbers<T: Copy>(bytes: &[u8], from: fn(f64) -> T) -> Result<(Vec<usize>, Vec<T>), String> {
    let (shape, values, order) = elements(bytes, from)?;
    if order == Order::C || shape.len() < 2 {
        return Ok((shape, values));
    }
    // Where the i-th element of C order lies in Fortran's: its indices, last first, weigh as much as all axes before them.
    let place = |mut i: usize| {
        let mut at = 0;
        for (axis, n) in shape.iter().enumerate().rev() {
            at += i % n * shape[..axis].iter().product::<usize>();
            i /= n;
        }
        at
    };
    let moved = (0..values.len()).map(|i| values[place(i)]).collect();
    Ok((shape, moved))
}
