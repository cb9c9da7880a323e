//! Pairs of functions as arrays: `inputs` `[n, sensors]`, `points` `[q, d]` or `[n, q, d]`, `outputs` `[n, q]` or
//! `[n, q, c]`, from three NPY files or one of safetensors.

use std::path::{Path, PathBuf};

use super::{OperatorData, Sizes};
use crate::{
    container,
    error::{Error, Result},
    network::Parameter,
    signal::array,
};

/// Where arrays are.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One safetensors file with tensors `inputs`, `points`, `outputs`.
    File(PathBuf),
    /// NPY files of inputs, points, outputs.
    Arrays([PathBuf; 3]),
}

const NAMES: [&str; 3] = ["inputs", "points", "outputs"];

/// The pairs in `source`.
///
/// # Errors
/// [`Error::Io`] for a file that cannot be read, [`Error::Signal`] with the array whose shape is not what it should be, or
/// that holds a number that is not finite.
pub fn read(source: &Source) -> Result<OperatorData> {
    let arrays: Vec<(PathBuf, Parameter)> = match source {
        Source::File(path) => {
            let bad = |message: String| Error::Signal { path: path.clone(), message };
            let (_, tensors) = container::read(&bytes(path)?).map_err(bad)?;
            let named = |name: &&str| {
                let found: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
                let missing = || bad(format!("found tensors {found:?}, expected {NAMES:?}"));
                Ok((path.clone(), tensors.iter().find(|t| t.name == *name).ok_or_else(missing)?.clone()))
            };
            NAMES.iter().map(named).collect::<Result<_>>()?
        }
        Source::Arrays(paths) => paths
            .iter()
            .zip(NAMES)
            .map(|(path, name)| {
                let (shape, values) = npy(path)?;
                Ok((path.clone(), Parameter { name: name.into(), shape, values }))
            })
            .collect::<Result<_>>()?,
    };
    let shape = |k: usize| arrays[k].1.shape.as_slice();
    let refuse = |k: usize, expected: String| {
        let (path, array) = &arrays[k];
        let message = format!("`{}`: found shape {:?}, expected {expected}", array.name, array.shape);
        Err(Error::Signal { path: path.clone(), message })
    };
    let &[functions, sensors] = shape(0) else { return refuse(0, "[functions, sensors]".into()) };
    if functions < 2 || sensors < 1 {
        return refuse(0, "at least 2 functions and 1 sensor".into());
    }
    let (shared, points, coordinates) = match *shape(1) {
        [q, d] => (true, q, d),
        [n, q, d] if n == functions => (false, q, d),
        _ => return refuse(1, format!("[points, coordinates], or [{functions}, points, coordinates] as `inputs` has")),
    };
    if points < 1 || !(1..=rwf_runtime::format::MAX_INPUTS).contains(&coordinates) {
        return refuse(1, "at least 1 point of 1 to 16 coordinates".into());
    }
    let outputs = match *shape(2) {
        [n, q] if (n, q) == (functions, points) => 1,
        [n, q, c] if (n, q) == (functions, points) && c > 0 => c,
        _ => return refuse(2, format!("[{functions}, {points}] or [{functions}, {points}, outputs]")),
    };
    for (path, array) in &arrays {
        if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
            let message =
                format!("`{}`: found {} at number {at}, expected finite numbers", array.name, array.values[at]);
            return Err(Error::Signal { path: path.clone(), message });
        }
    }
    let sizes = Sizes { functions, sensors, points, coordinates, outputs };
    let [inputs, at, values] = [0, 1, 2].map(|k| arrays[k].1.values.clone());
    Ok(OperatorData { inputs, points: at, outputs: values, sizes, shared })
}

/// One input function from an NPY: its values whatever its shape; of several functions `[n, sensors]` the one numbered.
///
/// # Errors
/// [`Error::Signal`] for what is none, or fewer functions.
pub fn read_function(path: &Path, number: usize) -> Result<Vec<f32>> {
    let (shape, values) = npy(path)?;
    let each = if shape.len() > 1 { values.len() / shape[0].max(1) } else { values.len() };
    let bad = |message: String| Err(Error::Signal { path: path.into(), message });
    let Some(function) = values.chunks_exact(each.max(1)).nth(number) else {
        return bad(format!("found {shape:?}, expected at least {} functions along the first axis", number + 1));
    };
    if function.iter().all(|v| v.is_finite()) {
        return Ok(function.to_vec());
    }
    bad("found a value that is not finite".into())
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    crate::file::read(path)
}

fn npy(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    array::numbers(&bytes(path)?).map_err(|message| Error::Signal { path: path.into(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Stored, Words, write};

    fn file(folder: &Path, arrays: &[(&str, &[usize])]) -> Result<OperatorData> {
        let path = folder.join("a.safetensors");
        let tensors: Vec<Stored> = arrays
            .iter()
            .map(|(name, shape)| {
                let values: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32).collect();
                Stored::f32(*name, shape, &values)
            })
            .collect();
        std::fs::write(&path, write(&tensors, &Words::new())).unwrap();
        read(&Source::File(path))
    }

    #[test]
    fn shapes_are_understood_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = |arrays: &[(&str, &[usize])]| file(folder.path(), arrays);
        let shared = read(&[("inputs", &[3, 5]), ("points", &[4, 2]), ("outputs", &[3, 4])]).unwrap();
        assert!(shared.shared);
        assert_eq!(shared.points_of(2), shared.points_of(0));
        assert_eq!(shared.output(1), [4.0, 5.0, 6.0, 7.0]);
        let own = read(&[("inputs", &[3, 5]), ("points", &[3, 4, 2]), ("outputs", &[3, 4, 2])]).unwrap();
        assert_eq!((own.points_of(1)[0], own.sizes.outputs, own.input(2)[0]), (8.0, 2, 10.0));
        let refused = |arrays: &[(&str, &[usize])], words: &[&str]| {
            let error = read(arrays).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            words.iter().for_each(|w| assert!(error.to_string().contains(w), "{error}"));
        };
        refused(&[("inputs", &[3, 5]), ("points", &[4, 2])], &["outputs", "a.safetensors"]);
        refused(&[("inputs", &[15]), ("points", &[4, 2]), ("outputs", &[3, 4])], &["`inputs`", "[15]", "sensors"]);
        refused(&[("inputs", &[3, 5]), ("points", &[2, 4, 2]), ("outputs", &[3, 4])], &["`points`", "[3, points"]);
        refused(&[("inputs", &[3, 5]), ("points", &[4, 2]), ("outputs", &[4, 3])], &["`outputs`", "[4, 3]", "[3, 4]"]);
        refused(&[("inputs", &[3, 5]), ("points", &[4, 20]), ("outputs", &[3, 4])], &["1 to 16"]);
    }
}
