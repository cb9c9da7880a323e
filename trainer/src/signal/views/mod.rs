//! Photographs of a scene from known places: folders in the form of NeRF's synthetic scenes (Mildenhall et al. 2020), and
//! a small ray tracer that makes such a folder.

mod photograph;
mod scene;
mod transforms;

use std::path::{Path, PathBuf};

use photograph::Photograph;
use rayon::prelude::*;
pub use scene::{Scene, SceneOptions};

use crate::{
    domain::{Camera, Occupancy},
    error::{Error, Result},
};

/// Values of a pixel: red, green and blue times what they cover, and how much that is.
pub const PIXEL: usize = 4;

/// A photograph and where it was taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Name of its file.
    pub name: String,
    /// Where it was taken from, at the size of `pixels`.
    pub camera: Camera,
    /// `[pixels, 4]` in [0, 1], row by row from the top left.
    pub pixels: Vec<f32>,
}

/// Photographs to learn from and others to measure at.
#[derive(Debug, Clone, PartialEq)]
pub struct Views {
    /// Learned from.
    pub training: Vec<View>,
    /// Kept back.
    pub held_out: Vec<View>,
    /// Whether the photographs tell what is transparent.
    pub alpha: bool,
}

/// How a folder is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewOptions {
    /// Pixels along the longer side, scaled down to by area; 0: as they are.
    pub size: usize,
    /// Every so many-th view is kept back where the folder has no `transforms_test.json`; 0: none.
    pub hold_out: usize,
    /// Whether views whose photograph is missing are left out rather than refused.
    pub skip_missing: bool,
}

impl Views {
    /// Reads the folder: `transforms_train.json` or `transforms.json`, or the only file of that kind, and
    /// `transforms_test.json` beside it.
    ///
    /// # Errors
    /// [`Error::Signal`] naming the file, what was found and what was expected.
    pub fn load(folder: &Path, options: &ViewOptions) -> Result<Self> {
        let (training, test) = transforms::files(folder)?;
        let mut all = read(folder, &training, options)?;
        let (training, held_out) = match test {
            Some(test) => (all, read(folder, &test, options)?),
            None if options.hold_out > 0 => {
                let mut kept_back = Vec::new();
                let mut n = 0;
                all.retain(|view| {
                    n += 1;
                    let keep = n % options.hold_out != 0;
                    if !keep {
                        kept_back.push(view.clone());
                    }
                    keep
                });
                (all, kept_back)
            }
            None => (all, Vec::new()),
        };
        let bad = |message: String| Error::Signal { path: folder.into(), message };
        if training.is_empty() {
            return Err(bad("found no view to learn from, expected at least one beside those held out".into()));
        }
        let first = &training[0];
        let size = |view: &View| (view.camera.width, view.camera.height);
        if let Some(other) = training.iter().chain(&held_out).find(|v| size(v) != size(first)) {
            let ((w, h), (w0, h0)) = (size(other), size(first));
            return Err(bad(format!(
                "`{}` has {w}x{h} pixels and `{}` {w0}x{h0}, expected images of one size",
                other.name, first.name
            )));
        }
        let alpha = training.iter().any(|v| v.pixels.iter().skip(3).step_by(PIXEL).any(|&a| a < 1.0));
        Ok(Self { training, held_out, alpha })
    }

    /// Takes away the cells of `grid` that some photograph shows to be empty: none of the pixels their surroundings are
    /// seen at is covered (Kutulakos and Seitz 2000; of silhouettes, Laurentini 1994).
    pub fn carve(&self, grid: &mut Occupancy) {
        let masks: Vec<(&Camera, Covered)> = self.training.iter().map(|v| (&v.camera, Covered::new(v))).collect();
        let radius = f64::from(grid.radius());
        grid.carve(|centre| {
            masks.iter().any(|(camera, covered)| {
                camera.project(centre.map(f64::from)).is_some_and(|(x, y, depth)| {
                    depth > radius && covered.nothing(x, y, camera.focal() * radius / (depth - radius) + 1.0)
                })
            })
        });
    }
}

/// How many covered pixels lie left of and above each place (Crow 1984).
struct Covered {
    width: usize,
    height: usize,
    sums: Vec<u32>,
}

impl Covered {
    fn new(view: &View) -> Self {
        let (width, height) = (view.camera.width, view.camera.height);
        let mut sums = vec![0; (width + 1) * (height + 1)];
        for y in 0..height {
            let mut row = 0;
            for x in 0..width {
                row += u32::from(view.pixels[(y * width + x) * PIXEL + 3] > 0.0);
                sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
            }
        }
        Self { width, height, sums }
    }

    /// Whether a place lies within the picture and no pixel of a square around it is covered. What of the square lies
    /// beyond the picture's edge counts as its edge.
    fn nothing(&self, x: f64, y: f64, radius: f64) -> bool {
        let (width, height) = (self.width as f64, self.height as f64);
        if !((0.0..width).contains(&x) && (0.0..height).contains(&y)) {
            return false;
        }
        let (left, right) = ((x - radius).floor().max(0.0), (x + radius).ceil().min(width));
        let (top, bottom) = ((y - radius).floor().max(0.0), (y + radius).ceil().min(height));
        let at = |x: f64, y: f64| self.sums[y as usize * (self.width + 1) + x as usize];
        at(right, bottom) + at(left, top) == at(left, bottom) + at(right, top)
    }
}

/// The views that a transforms file lists.
fn read(folder: &Path, file: &Path, options: &ViewOptions) -> Result<Vec<View>> {
    let listed = transforms::read(file)?;
    let bad = |message: String| Error::Signal { path: file.into(), message };
    let found: Vec<Option<PathBuf>> = listed.frames.iter().map(|f| transforms::image(folder, &f.file_path)).collect();
    let missing = found.iter().filter(|f| f.is_none()).count();
    if let Some(first) = found.iter().position(Option::is_none).filter(|_| !options.skip_missing) {
        return Err(bad(format!(
            "{missing} of {} images are missing; the first is `{}` of frames[{first}] (`--skip-missing` goes on with those \
             that are there)",
            found.len(),
            listed.frames[first].file_path,
        )));
    }
    if missing == found.len() {
        return Err(bad(format!("all of the {missing} images listed are missing")));
    }
    let there: Vec<_> = (0..).zip(&listed.frames).zip(found).filter_map(|((n, f), p)| Some((n, f, p?))).collect();
    there
        .into_par_iter()
        .map(|(n, frame, path)| {
            let Photograph { width, height, pixels } = Photograph::read(&path, options.size)?;
            let camera = Camera::new(width, height, listed.angle, frame.matrix)
                .map_err(|message| bad(format!("frames[{n}].transform_matrix: {message}")))?;
            let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            Ok(View { name, camera, pixels })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Region;

    /// A small folder of our own scene.
    fn folder(views: usize, test: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let options = SceneOptions { seed: 1, views, test, size: 24 };
        Scene::write(folder.path(), &options).unwrap();
        folder
    }

    const OPTIONS: ViewOptions = ViewOptions { size: 12, hold_out: 3, skip_missing: false };

    fn refused(folder: &Path) -> String {
        let error = Views::load(folder, &OPTIONS).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    /// Changes the text of the folder's list of views.
    fn edit(folder: &Path, change: impl Fn(&mut serde_json::Value)) {
        let path = folder.join("transforms_train.json");
        let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
    }

    #[test]
    fn a_folder_is_read_and_views_are_held_out() {
        let with_test = folder(4, 2);
        let views = Views::load(with_test.path(), &OPTIONS).unwrap();
        assert_eq!((views.training.len(), views.held_out.len(), views.alpha), (4, 2, true));
        assert_eq!(views.training[0].pixels.len(), 12 * 12 * PIXEL);

        let without = folder(7, 0);
        let views = Views::load(without.path(), &OPTIONS).unwrap();
        let names: Vec<&str> = views.held_out.iter().map(|v| v.name.as_str()).collect();
        assert_eq!((views.training.len(), names), (5, vec!["r_2.png", "r_5.png"]));
    }

    #[test]
    fn what_is_seen_to_be_empty_is_carved_away() {
        let folder = folder(9, 0);
        let views = Views::load(folder.path(), &ViewOptions { size: 0, ..OPTIONS }).unwrap();
        let mut grid = Occupancy::new(Region::cube(1.5), 24, 0.1);
        let before = grid.count();
        views.carve(&mut grid);
        // The scene stands on a floor at z = 0 with sides of 2, and reaches up to less than 1.
        assert!(grid.count() < before / 2, "{} of {before}", grid.count());
        for (x, y) in [(0.0, 0.0), (0.9, 0.9), (-0.9, 0.5)] {
            assert!(grid.is_occupied(grid.cell([x, y, -0.02])), "floor at {x} {y}");
        }
        assert!(!grid.is_occupied(grid.cell([0.0, 0.0, 1.45])));
    }

    #[test]
    fn a_folder_that_is_not_right_says_what_is_wrong() {
        let good = folder(3, 0);
        let fresh = |change: &dyn Fn(&mut serde_json::Value)| {
            let other = tempfile::tempdir().unwrap();
            std::fs::create_dir(other.path().join("train")).unwrap();
            for file in ["transforms_train.json", "train/r_0.png", "train/r_1.png", "train/r_2.png"] {
                std::fs::copy(good.path().join(file), other.path().join(file)).unwrap();
            }
            edit(other.path(), change);
            (refused(other.path()), other)
        };
        let (error, _) = fresh(&|j| j["frames"][1]["transform_matrix"][0][0] = (-7.0).into());
        assert!(error.contains("transforms_train.json") && error.contains("frames[1].transform_matrix"), "{error}");
        let mirror = |j: &mut serde_json::Value| {
            for row in 0..3 {
                let v = j["frames"][2]["transform_matrix"][row][0].as_f64().unwrap();
                j["frames"][2]["transform_matrix"][row][0] = (-v).into();
            }
        };
        assert!(fresh(&mirror).0.contains("inside out"));
        assert!(fresh(&|j| j["frames"] = serde_json::json!([])).0.contains("frames: found none"));
        assert!(fresh(&|j| j["camera_angle_x"] = "wide".into()).0.contains("camera_angle_x"));
        assert!(fresh(&|j| _ = j.as_object_mut().unwrap().remove("camera_angle_x")).0.contains("camera_angle_x"));
        assert!(fresh(&|j| j["frames"][0]["transform_matrix"] = 3.into()).0.contains("frames[0].transform_matrix"));
        assert!(fresh(&|j| j["frames"][0]["file_path"] = 3.into()).0.contains("frames[0].file_path"));

        let (error, other) = fresh(&|j| j["frames"][1]["file_path"] = "./train/gone".into());
        assert!(error.contains("1 of 3") && error.contains("./train/gone") && error.contains("frames[1]"), "{error}");
        let views = Views::load(other.path(), &ViewOptions { skip_missing: true, hold_out: 0, ..OPTIONS }).unwrap();
        assert_eq!(views.training.len(), 2);

        let (_, other) = fresh(&|j| j["camera_angle_x"] = (-1.0).into());
        edit(other.path(), |j| j["camera_angle_x"] = 0.7.into());
        image::RgbaImage::new(20, 24).save(other.path().join("train/r_1.png")).unwrap();
        let found = Views::load(other.path(), &ViewOptions { size: 0, ..OPTIONS }).unwrap_err().to_string();
        assert!(found.contains("`r_1.png` has 20x24 pixels and `r_0.png` 24x24"), "{found}");
        std::fs::write(other.path().join("train/r_1.png"), "no picture").unwrap();
        assert!(refused(other.path()).contains("r_1.png"));
        std::fs::write(other.path().join("transforms_train.json"), "{").unwrap();
        assert!(refused(other.path()).contains("transforms_train.json"));
        assert!(refused(&other.path().join("train")).contains("transforms_train.json"));
    }
}
