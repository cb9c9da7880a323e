//! Solids told by their surface: a mesh of triangles, closed or with holes, and what can be asked of it: inside or
//! outside, how far, and points on it.

mod agreement;
mod bvh;
mod distance;
mod knot;
mod marching;
mod mesh;
mod obj;
mod ply;
mod ray;
mod sample;
mod stl;
mod winding;

use std::path::Path;

pub use agreement::{Agreement, agreement};
pub use distance::Nearest;
pub use knot::trefoil;
pub use marching::marching_cubes;
pub use mesh::{Condition, Mesh, Point};
pub use obj::write as obj;
pub use ply::write as ply;
pub use sample::{Surface, uniform};

use crate::error::{Error, Result};
use bvh::Bvh;
use winding::Dipole;

/// What a reader finds: vertices and polygons of at least three of them, not yet checked.
struct Raw {
    vertices: Vec<[f64; 3]>,
    polygons: Vec<Vec<u32>>,
}

/// Reads the mesh in `path`: OBJ, PLY (ASCII or binary) or STL (ASCII or binary), by its extension.
///
/// # Errors
/// [`Error::Io`] when there is no such file, [`Error::Signal`] when it is no mesh: empty, vertices that are not finite or
/// not there.
pub fn load(path: &Path) -> Result<Mesh> {
    let bytes = crate::file::read(path)?;
    let bad = |message: String| Error::Signal { path: path.into(), message };
    if bytes.is_empty() {
        return Err(bad("the file is empty".into()));
    }
    let extension = path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase());
    let raw = match extension.as_str() {
        "obj" => obj::read(&bytes),
        "ply" => ply::read(&bytes),
        "stl" => stl::read(&bytes),
        _ => Err(format!("found extension `{extension}`, expected obj, ply or stl")),
    };
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    raw.and_then(|raw| Mesh::new(name, raw.vertices, &raw.polygons)).map_err(bad)
}

/// A mesh made ready for questions.
#[derive(Debug)]
pub struct Solid {
    mesh: Mesh,
    bvh: Bvh,
    dipoles: Vec<Dipole>,
}

impl Solid {
    /// Of a mesh.
    pub fn new(mesh: Mesh) -> Self {
        let bvh = Bvh::new(&mesh);
        let dipoles = winding::dipoles(&mesh, &bvh);
        Self { mesh, bvh, dipoles }
    }

    /// The mesh.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Generalised winding number at `q`: 1 inside, 0 outside, in between near holes (Jacobson et al. 2013), by the
    /// hierarchy of dipoles (Barill et al. 2018).
    pub fn winding(&self, q: Point) -> f64 {
        winding::fast(&self.mesh, &self.bvh, &self.dipoles, q)
    }

    /// The same triangle by triangle.
    pub fn winding_exact(&self, q: Point) -> f64 {
        winding::exact(&self.mesh, q)
    }

    /// Whether `q` is inside: a winding number above one half.
    pub fn inside(&self, q: Point) -> bool {
        self.winding(q) > 0.5
    }

    /// The closest point of the surface.
    pub fn nearest(&self, q: Point) -> Nearest {
        distance::nearest(&self.mesh, &self.bvh, q)
    }

    /// Distance in units of `direction` and triangle of the surface that a ray meets first.
    pub fn first_hit(&self, origin: Point, direction: Point) -> Option<(f64, usize)> {
        ray::first_hit(&self.mesh, &self.bvh, origin, direction)
    }

    /// Distance to the surface in the mesh's units, negative inside.
    pub fn signed_distance(&self, q: Point) -> f64 {
        let distance = self.nearest(q).distance;
        if self.inside(q) { -distance } else { distance }
    }
}
