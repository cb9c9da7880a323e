//! A reference solution in a file of MATLAB 5 or NumPy.

use std::path::Path;

use matfile::{MatFile, NumericData};

use super::Field;
use crate::{
    error::{Error, Result},
    numpy::{Archive, is_archive},
};

/// Names that published references have for the solution, its times and its places.
const NAMES: [&[&str]; 3] = [&["usol", "uu", "u"], &["t", "tt"], &["x", "xx"]];

/// Sizes, the fastest index first, and values.
type Array = (Vec<usize>, Vec<f64>);

/// The solution in the file at `path`, NumPy's where it ends in `.npz`: a table `usol`, `uu` or `u` over times `t` or `tt`
/// and places `x` or `xx`, in either order.
///
/// # Errors
/// [`Error::Signal`] for a file that is none, a name that is missing, or shapes that do not fit together.
pub fn read(path: &Path) -> Result<Field> {
    let bad = |message: String| Error::Signal { path: path.into(), message };
    let bytes = crate::file::read(path)?;
    let read = if is_archive(path) { numpy_arrays } else { matlab_arrays };
    let [u, t, x] = read(&bytes).map_err(bad)?;
    let ((shape, u), t, x) = (u, t.1, x.1);
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

fn missing(there: &[String], names: &[&str]) -> String {
    format!("found arrays {there:?}, expected one called {}", names.join(" or "))
}

fn matlab_arrays(bytes: &[u8]) -> std::result::Result<[Array; 3], String> {
    let file = MatFile::parse(bytes).map_err(|e| format!("found no MATLAB 5 file: {e}"))?;
    let there: Vec<String> = file.arrays().iter().map(|a| a.name().to_owned()).collect();
    let array = |names: &[&str]| {
        let found = names.iter().find_map(|name| file.find_by_name(name)).ok_or_else(|| missing(&there, names))?;
        let values = numbers(found.data())
            .ok_or_else(|| format!("array `{}` holds complex or whole numbers, expected real ones", found.name()))?;
        Ok::<_, String>((found.size().clone(), values))
    };
    Ok([array(NAMES[0])?, array(NAMES[1])?, array(NAMES[2])?])
}

fn numpy_arrays(bytes: &[u8]) -> std::result::Result<[Array; 3], String> {
    let mut file = Archive::new(bytes)?;
    let there = file.names();
    let mut array = |names: &[&str]| {
        let name = names.iter().find(|name| there.iter().any(|t| t == *name)).ok_or_else(|| missing(&there, names))?;
        let (shape, values) = file.array(name, |v| v)?;
        Ok::<_, String>((shape.into_iter().rev().collect(), values))
    };
    Ok([array(NAMES[0])?, array(NAMES[1])?, array(NAMES[2])?])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numpy::archive;

    /// Both orders of a table give the same solution; what is missing is told with what is there.
    #[test]
    fn numpy_archives_are_read_in_either_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u.npz");
        let (t, x): (&[f64], &[f64]) = (&[0.0, 1.0], &[-1.0, 0.0, 1.0]);
        for (shape, values) in [([2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), ([3, 2], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0])] {
            std::fs::write(&path, archive(&[("usol", &shape, &values), ("tt", &[2], t), ("x", &[3], x)], true))
                .unwrap();
            let field = read(&path).unwrap();
            assert_eq!(field.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{shape:?}");
            assert_eq!(field.points[6..8], [1.0, -1.0]);
        }
        std::fs::write(&path, archive(&[("usol", &[2], t), ("x", &[3], x)], false)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("[\"usol\", \"x\"]") && error.contains("t or tt"), "{error}");
        std::fs::write(&path, b"nothing").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("NumPy archive"));
    }
}
