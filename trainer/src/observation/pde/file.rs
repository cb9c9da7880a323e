//! A reference solution in a file of MATLAB 5.

use std::path::Path;

use matfile::{MatFile, NumericData};

use super::Field;
use crate::error::{Error, Result};

/// Names that published references have for the solution, its times and its places.
const NAMES: [&[&str]; 3] = [&["usol", "uu", "u"], &["t", "tt"], &["x", "xx"]];

/// The solution in the file at `path`: a table `usol`, `uu` or `u` over times `t` or `tt` and places `x` or `xx`, in
/// either order.
///
/// # Errors
/// [`Error::Signal`] for a file that is none, a name that is missing, or shapes that do not fit together.
pub fn read(path: &Path) -> Result<Field> {
    let bad = |message: String| Error::Signal { path: path.into(), message };
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), action: "read", source })?;
    let file = MatFile::parse(bytes.as_slice()).map_err(|e| bad(format!("found no MATLAB 5 file: {e}")))?;
    let array = |names: &[&str]| {
        let found = names.iter().find_map(|name| file.find_by_name(name)).ok_or_else(|| {
            let there: Vec<&str> = file.arrays().iter().map(matfile::Array::name).collect();
            bad(format!("found arrays {there:?}, expected one called {}", names.join(" or ")))
        })?;
        let values = numbers(found.data()).ok_or_else(|| {
            bad(format!("array `{}` holds complex or whole numbers, expected real ones", found.name()))
        })?;
        Ok::<_, Error>((found.size().clone(), values))
    };
    let [(shape, u), (_, t), (_, x)] = [array(NAMES[0])?, array(NAMES[1])?, array(NAMES[2])?];
    // MATLAB's first index is the fastest.
    let values = if shape == [x.len(), t.len()] {
        u
    } else if shape == [t.len(), x.len()] {
        (0..u.len()).map(|i| u[i % x.len() * t.len() + i / x.len()]).collect()
    } else {
        return Err(bad(format!(
            "found a solution of shape {shape:?}, expected {0}x{1} or {1}x{0} for {0} places and {1} times",
            x.len(),
            t.len()
        )));
    };
    if values.iter().chain(&t).chain(&x).any(|v| !v.is_finite()) {
        return Err(bad("found a value that is not finite".into()));
    }
    Ok(Field::grid(&[&t, &x], values))
}

fn numbers(data: &NumericData) -> Option<Vec<f64>> {
    match data {
        NumericData::Double { real, imag: None } => Some(real.clone()),
        NumericData::Single { real, imag: None } => Some(real.iter().map(|&v| v.into()).collect()),
        NumericData::UInt8 { real, imag: None } => Some(real.iter().map(|&v| v.into()).collect()),
        NumericData::Int16 { real, imag: None } => Some(real.iter().map(|&v| v.into()).collect()),
        NumericData::UInt16 { real, imag: None } => Some(real.iter().map(|&v| v.into()).collect()),
        NumericData::Int32 { real, imag: None } => Some(real.iter().map(|&v| v.into()).collect()),
        _ => None,
    }
}
