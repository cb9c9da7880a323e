//! Pairs of functions as arrays: `inputs` `[n, sensors]`, `points` `[q, d]` or `[n, q, d]`, `outputs` `[n, q]` or
//! `[n, q, c]`, from three NPY files or one of safetensors or NPZ.

use std::path::{Path, PathBuf};

use super::{OperatorData, Sizes};
use crate::{
    container,
    error::{Error, Result},
    network::Parameter,
    numpy::{Archive, is_archive, numbers},
};

/// Where arrays are.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One safetensors or NPZ file with arrays `inputs`, `points`, `outputs`.
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
            let choose = |found: &[String]| {
                let all = NAMES.iter().all(|name| found.iter().any(|f| f == name));
                if all { Ok(NAMES.map(String::from).into()) } else { Err(format!("expected {NAMES:?}")) }
            };
            chosen(path, choose)?.into_iter().map(|array| (path.clone(), array)).collect()
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

/// Whether the name of a file is one of a file of pairs: safetensors or NPZ.
pub fn is_pairs(path: &Path) -> bool {
    is_archive(path) || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
}

/// One input function from an NPY, or from the array `inputs` of a file of pairs, or the only array there: its values
/// whatever its shape; of several functions `[n, sensors]` the one numbered.
///
/// # Errors
/// [`Error::Signal`] for what is none, or fewer functions.
pub fn read_function(path: &Path, number: usize) -> Result<Vec<f32>> {
    let (shape, values) = if is_pairs(path) {
        let choose = |found: &[String]| match found {
            [only] => Ok(vec![only.clone()]),
            _ if found.iter().any(|f| f == NAMES[0]) => Ok(vec![NAMES[0].into()]),
            _ => Err(format!("expected `{}` among them, or one array alone", NAMES[0])),
        };
        let array = chosen(path, choose)?.remove(0);
        (array.shape, array.values)
    } else {
        npy(path)?
    };
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

/// The arrays of a file that `choose` names, given those there are; it may say what was expected instead.
fn chosen(
    path: &Path,
    choose: impl Fn(&[String]) -> std::result::Result<Vec<String>, String>,
) -> Result<Vec<Parameter>> {
    let bad = |message: String| Error::Signal { path: path.into(), message };
    let choose =
        |found: &[String]| choose(found).map_err(|expected| bad(format!("found arrays {found:?}, {expected}")));
    let bytes = crate::file::read(path)?;
    if is_archive(path) {
        let mut archive = Archive::new(&bytes).map_err(bad)?;
        let names = choose(&archive.names())?;
        let array = |name: String| {
            let (shape, values) = archive.array(&name, |v| v as f32).map_err(bad)?;
            Ok(Parameter { name, shape, values })
        };
        return names.into_iter().map(array).collect();
    }
    let (_, tensors) = container::read(&bytes).map_err(bad)?;
    let found: Vec<String> = tensors.iter().map(|t| t.name.clone()).collect();
    let of = |name: String| tensors.iter().find(|t| t.name == name).expect("was chosen among them").clone();
    Ok(choose(&found)?.into_iter().map(of).collect())
}

fn npy(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    let numbers = numbers(&crate::file::read(path)?, |v| v as f32);
    numbers.map_err(|message| Error::Signal { path: path.into(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        container::{Stored, Words, write},
        numpy::archive,
    };

    type Shapes<'a> = [(&'a str, &'a [usize])];

    /// Arrays that count, in one file of each kind.
    fn files(folder: &Path, arrays: &Shapes<'_>) -> [PathBuf; 2] {
        let [a, b] = ["a.safetensors", "a.npz"].map(|name| folder.join(name));
        let counted = |shape: &[usize]| (0..shape.iter().product()).map(|i| i as f32).collect::<Vec<_>>();
        let tensors: Vec<Stored> = arrays.iter().map(|(n, s)| Stored::f32(*n, s, &counted(s))).collect();
        std::fs::write(&a, write(&tensors, &Words::new())).unwrap();
        let values: Vec<Vec<f64>> =
            arrays.iter().map(|(_, s)| counted(s).into_iter().map(f64::from).collect()).collect();
        let named: Vec<(&str, &[usize], &[f64])> =
            arrays.iter().zip(&values).map(|((n, s), v)| (*n, *s, v.as_slice())).collect();
        std::fs::write(&b, archive(&named, true)).unwrap();
        [a, b]
    }

    /// What both files hold, which must be the same.
    fn both(folder: &Path, arrays: &Shapes<'_>) -> OperatorData {
        let [a, b] = files(folder, arrays).map(|path| read(&Source::File(path)).unwrap());
        assert_eq!(a, b);
        a
    }

    #[test]
    fn shapes_are_understood_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let shared = both(folder.path(), &[("inputs", &[3, 5]), ("points", &[4, 2]), ("outputs", &[3, 4])]);
        assert!(shared.shared);
        assert_eq!(shared.points_of(2), shared.points_of(0));
        assert_eq!(shared.output(1), [4.0, 5.0, 6.0, 7.0]);
        let own = both(folder.path(), &[("inputs", &[3, 5]), ("points", &[3, 4, 2]), ("outputs", &[3, 4, 2])]);
        assert_eq!((own.points_of(1)[0], own.sizes.outputs, own.input(2)[0]), (8.0, 2, 10.0));
        let refused = |arrays: &Shapes<'_>, words: &[&str]| {
            for path in files(folder.path(), arrays) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let error = read(&Source::File(path)).unwrap_err();
                assert_eq!(error.exit_code(), 2);
                words.iter().chain([&name.as_str()]).for_each(|w| assert!(error.to_string().contains(w), "{error}"));
            }
        };
        refused(&[("inputs", &[3, 5]), ("points", &[4, 2])], &["[\"inputs\", \"points\"]", "\"outputs\""]);
        refused(&[("inputs", &[15]), ("points", &[4, 2]), ("outputs", &[3, 4])], &["`inputs`", "[15]", "sensors"]);
        refused(&[("inputs", &[3, 5]), ("points", &[2, 4, 2]), ("outputs", &[3, 4])], &["`points`", "[3, points"]);
        refused(&[("inputs", &[3, 5]), ("points", &[4, 2]), ("outputs", &[4, 3])], &["`outputs`", "[4, 3]", "[3, 4]"]);
        refused(&[("inputs", &[3, 5]), ("points", &[4, 20]), ("outputs", &[3, 4])], &["1 to 16"]);
    }

    #[test]
    fn an_input_function_is_found_among_pairs() {
        let folder = tempfile::tempdir().unwrap();
        for path in files(folder.path(), &[("points", &[4, 2]), ("inputs", &[3, 5])]) {
            assert_eq!(read_function(&path, 1).unwrap(), [5.0, 6.0, 7.0, 8.0, 9.0]);
            assert!(read_function(&path, 3).unwrap_err().to_string().contains("at least 4 functions"));
        }
        for path in files(folder.path(), &[("u", &[5])]) {
            assert_eq!(read_function(&path, 0).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        }
        for path in files(folder.path(), &[("u", &[5]), ("v", &[5])]) {
            let error = read_function(&path, 0).unwrap_err().to_string();
            assert!(error.contains("[\"u\", \"v\"]") && error.contains("`inputs`"), "{error}");
        }
    }
}
