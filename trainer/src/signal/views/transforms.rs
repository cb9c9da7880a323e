//! `transforms*.json`: the angle of view, and for each photograph its file and the camera's matrix.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// What such a file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Transforms {
    /// Angle of view across, in radians.
    pub(super) angle: f64,
    /// One a photograph, at least one.
    pub(super) frames: Vec<Frame>,
}

/// A photograph.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// Its file, as it stands there, often without extension.
    pub(super) file_path: String,
    /// From the camera's coordinates to the world's.
    pub(super) matrix: [[f64; 4]; 4],
}

/// The list of views to learn from in `folder`, and that of those to measure at, if there is one.
pub(super) fn files(folder: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    let entries =
        std::fs::read_dir(folder).map_err(|source| Error::Io { path: folder.into(), action: "read folder", source })?;
    let mut all: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|n| n.starts_with("transforms") && n.ends_with(".json"))
        .collect();
    all.sort();
    let named = |name: &str| all.iter().any(|n| n == name).then(|| folder.join(name));
    let training = named("transforms_train.json").or_else(|| named("transforms.json")).or_else(|| match &all[..] {
        [one] => Some(folder.join(one)),
        _ => None,
    });
    let Some(training) = training else {
        return Err(Error::Signal {
            path: folder.into(),
            message: format!("found {all:?}, expected `transforms_train.json` or `transforms.json`"),
        });
    };
    let test = named("transforms_test.json").filter(|test| *test != training);
    Ok((training, test))
}

/// Reads a list of views.
pub(super) fn read(path: &Path) -> Result<Transforms> {
    let bytes = crate::file::read(path)?;
    parse(&bytes).map_err(|message| Error::Signal { path: path.into(), message })
}

fn parse(bytes: &[u8]) -> std::result::Result<Transforms, String> {
    let json: Value = serde_json::from_slice(bytes).map_err(|e| format!("found no JSON ({e})"))?;
    let angle = field(&json, "", "camera_angle_x")?;
    let listed: Vec<Value> = field(&json, "", "frames")?;
    if listed.is_empty() {
        return Err("frames: found none, expected at least one".into());
    }
    let frames = listed.iter().enumerate().map(|(n, frame)| {
        let place = format!("frames[{n}].");
        Ok(Frame { file_path: field(frame, &place, "file_path")?, matrix: field(frame, &place, "transform_matrix")? })
    });
    Ok(Transforms { angle, frames: frames.collect::<std::result::Result<_, String>>()? })
}

fn field<T: DeserializeOwned>(json: &Value, place: &str, name: &str) -> std::result::Result<T, String> {
    let value = json.get(name).ok_or_else(|| format!("{place}{name}: is missing"))?;
    T::deserialize(value).map_err(|e| format!("{place}{name}: {e}"))
}

/// The file of a photograph: as the list says, with `.png`, or by its name alone in the folder itself.
pub(super) fn image(folder: &Path, listed: &str) -> Option<PathBuf> {
    let name = Path::new(listed).file_name()?;
    [folder.join(listed), folder.join(name)]
        .into_iter()
        .flat_map(|path| {
            let mut with_extension = path.clone().into_os_string();
            with_extension.push(".png");
            [path, with_extension.into()]
        })
        .find(|path| path.is_file())
}
