//! Triangles that share vertices.

use std::{collections::HashMap, fmt};

/// A place in the mesh's units.
pub type Point = nalgebra::Vector3<f64>;

/// Triangles with twice an area up to this share of the squared size of the mesh are degenerate.
const DEGENERATE: f64 = 1e-16;

/// A surface of triangles.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// Name for people: the file's.
    pub name: String,
    /// Places where triangles meet.
    pub vertices: Vec<Point>,
    /// Three vertices each, counterclockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
    /// What is to be said of it.
    pub condition: Condition,
}

/// In what state a surface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Condition {
    /// Triangles without area that were dropped.
    pub degenerate: usize,
    /// Edges with one triangle only: the rims of holes.
    pub open: usize,
    /// Edges with more than two triangles.
    pub crowded: usize,
    /// Edges whose two triangles do not agree on where outside is.
    pub twisted: usize,
    /// Whether all triangles looked inwards and were turned round.
    pub turned: bool,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.open > 0 {
            words.push(format!("open: {} edges of holes", self.open));
        }
        if self.crowded + self.twisted > 0 {
            let why = format!("{} edges of more than two triangles, {} turned", self.crowded, self.twisted);
            words.push(format!("not a manifold: {why}"));
        }
        if words.is_empty() {
            words.push("closed".into());
        } else {
            words.push("inside is where the winding number is above 1/2".into());
        }
        if self.degenerate > 0 {
            words.push(format!("{} degenerate triangles left out", self.degenerate));
        }
        if self.turned {
            words.push("inside out, turned round".into());
        }
        f.write_str(&words.join("; "))
    }
}

impl Mesh {
    /// Welds equal vertices, cuts polygons into fans, drops what has no area, and looks for holes.
    ///
    /// # Errors
    /// A sentence on what is wrong: no triangles, a vertex that is not finite or not there.
    pub fn new(name: String, vertices: Vec<[f64; 3]>, polygons: &[Vec<u32>]) -> Result<Self, String> {
        if let Some((n, v)) = vertices.iter().enumerate().find(|(_, v)| v.iter().any(|x| !x.is_finite())) {
            return Err(format!("vertex {n} is ({}, {}, {}), expected finite coordinates", v[0], v[1], v[2]));
        }
        if polygons.is_empty() {
            return Err(format!("found {} vertices and no faces, expected a mesh of triangles", vertices.len()));
        }
        let mut places: HashMap<[u64; 3], u32> = HashMap::new();
        let mut welded: Vec<Point> = Vec::new();
        let index: Vec<u32> = vertices
            .iter()
            .map(|v| {
                // 0 and -0 are one place.
                *places.entry(v.map(|x| (x + 0.0).to_bits())).or_insert_with(|| {
                    welded.push(Point::from(*v));
                    welded.len() as u32 - 1
                })
            })
            .collect();
        let mut triangles = Vec::new();
        for (n, polygon) in polygons.iter().enumerate() {
            if polygon.len() < 3 {
                return Err(format!("face {n} has {} vertices, expected at least 3", polygon.len()));
            }
            if let Some(bad) = polygon.iter().find(|&&i| i as usize >= index.len()) {
                return Err(format!("face {n} refers to vertex {bad}, expected 0 to {}", index.len() - 1));
            }
            for pair in polygon[1..].windows(2) {
                triangles.push([polygon[0], pair[0], pair[1]].map(|i| index[i as usize]));
            }
        }
        let mut mesh = Self { name, vertices: welded, triangles, condition: Condition::default() };
        let size = (mesh.bounds().1 - mesh.bounds().0).norm_squared();
        let before = mesh.triangles.len();
        let flat = |t: &[u32; 3]| mesh.cross(t).norm() <= DEGENERATE * size;
        let kept: Vec<[u32; 3]> = mesh.triangles.iter().copied().filter(|t| !flat(t)).collect();
        if kept.is_empty() {
            return Err(format!("all {before} triangles are degenerate, expected some with an area"));
        }
        mesh.triangles = kept;
        mesh.condition.degenerate = before - mesh.triangles.len();
        mesh.look_at_edges();
        if mesh.volume() < 0.0 {
            mesh.condition.turned = true;
            mesh.triangles.iter_mut().for_each(|t| t.swap(1, 2));
        }
        Ok(mesh)
    }

    fn look_at_edges(&mut self) {
        // Triangles along an edge and against it.
        let mut edges: HashMap<(u32, u32), (usize, usize)> = HashMap::new();
        for t in &self.triangles {
            for (a, b) in [(t[0], t[1]), (t[1], t[2]), (t[2], t[0])] {
                let edge = edges.entry((a.min(b), a.max(b))).or_default();
                if a < b { edge.0 += 1 } else { edge.1 += 1 }
            }
        }
        for (along, against) in edges.into_values() {
            match along + against {
                1 => self.condition.open += 1,
                2 => self.condition.twisted += usize::from(along != against),
                _ => self.condition.crowded += 1,
            }
        }
    }

    /// Corners of triangle `n`.
    pub fn corners(&self, n: usize) -> [Point; 3] {
        self.triangles[n].map(|i| self.vertices[i as usize])
    }

    fn cross(&self, t: &[u32; 3]) -> Point {
        let [a, b, c] = t.map(|i| self.vertices[i as usize]);
        (b - a).cross(&(c - a))
    }

    /// Unit normal of triangle `n`, outwards, times twice its area.
    pub fn area_vector(&self, n: usize) -> Point {
        self.cross(&self.triangles[n])
    }

    /// Lowest and highest coordinates.
    pub fn bounds(&self) -> (Point, Point) {
        let start = (Point::repeat(f64::INFINITY), Point::repeat(f64::NEG_INFINITY));
        self.vertices.iter().fold(start, |(lo, hi), v| (lo.inf(v), hi.sup(v)))
    }

    /// Volume enclosed, negative when inside out; of an open surface that of its cone from the middle.
    pub fn volume(&self) -> f64 {
        let middle = 0.5 * (self.bounds().0 + self.bounds().1);
        let each = (0..self.triangles.len()).map(|n| (self.corners(n)[0] - middle).dot(&self.area_vector(n)));
        each.sum::<f64>() / 6.0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A cube of side 1 around `middle`.
    pub(in crate::signal::shape) fn cube(middle: [f64; 3]) -> Mesh {
        let corner = |n: usize| [n & 1, n >> 1 & 1, n >> 2 & 1].map(|b| b as f64 - 0.5);
        let vertices = (0..8).map(|n| std::array::from_fn(|k| corner(n)[k] + middle[k])).collect();
        let faces = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]];
        Mesh::new("cube".into(), vertices, &faces.map(|f| f.to_vec())).unwrap()
    }

    /// A torus around z of radii 1 and 0.4, of `n` times `n` squares.
    pub(in crate::signal::shape) fn torus(n: u32) -> Mesh {
        let turn = |i: u32| f64::from(i) / f64::from(n) * std::f64::consts::TAU;
        let mut vertices = Vec::new();
        let mut faces = Vec::new();
        for i in 0..n {
            for j in 0..n {
                let (u, v) = (turn(i), turn(j));
                let r = 1.0 + 0.4 * v.cos();
                vertices.push([r * u.cos(), r * u.sin(), 0.4 * v.sin()]);
                let at = |i: u32, j: u32| (i % n) * n + j % n;
                faces.push(vec![at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)]);
            }
        }
        Mesh::new("torus".into(), vertices, &faces).unwrap()
    }

    #[test]
    fn a_cube_is_closed_and_has_volume_one() {
        let mesh = cube([3.0, 0.0, -1.0]);
        assert_eq!((mesh.vertices.len(), mesh.triangles.len(), mesh.condition), (8, 12, Condition::default()));
        assert!((mesh.volume() - 1.0).abs() < 1e-12);
        assert_eq!(mesh.condition.to_string(), "closed");
    }

    #[test]
    fn holes_twists_crowds_and_slivers_are_counted() {
        let whole = cube([0.0; 3]);
        let vertices = || whole.vertices.iter().map(|v| [v.x, v.y, v.z]).collect::<Vec<_>>();
        let faces = || whole.triangles.iter().map(|t| t.to_vec()).collect::<Vec<_>>();
        let make = |faces: &[Vec<u32>]| Mesh::new("m".into(), vertices(), faces).unwrap().condition;
        let mut open = faces();
        open.pop();
        assert_eq!(make(&open).open, 3);
        let mut crowded = faces();
        crowded.push(vec![0, 7, 1]);
        assert!(make(&crowded).crowded >= 1);
        let mut twisted = faces();
        twisted[4].swap(0, 1);
        assert_eq!(make(&twisted).twisted, 3);
        let mut slivers = faces();
        slivers.push(vec![0, 0, 1]);
        assert_eq!(make(&slivers), Condition { degenerate: 1, ..Condition::default() });
        let turned: Vec<Vec<u32>> = faces().into_iter().map(|f| vec![f[0], f[2], f[1]]).collect();
        assert_eq!(make(&turned), Condition { turned: true, ..Condition::default() });
    }

    #[test]
    fn seams_are_welded() {
        let whole = cube([0.0; 3]);
        let soup: Vec<[f64; 3]> =
            (0..12).flat_map(|n| whole.corners(n)).map(|v| [v.x, v.y, if v.z == 0.0 { -0.0 } else { v.z }]).collect();
        let faces: Vec<Vec<u32>> = (0..12).map(|n| vec![3 * n, 3 * n + 1, 3 * n + 2]).collect();
        let mesh = Mesh::new("soup".into(), soup, &faces).unwrap();
        assert_eq!((mesh.vertices.len(), mesh.condition), (8, Condition::default()));
    }

    #[test]
    fn what_is_no_mesh_says_why() {
        let make = |v: Vec<[f64; 3]>, f: &[Vec<u32>]| Mesh::new("m".into(), v, f).unwrap_err();
        let corners = || vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        assert!(make(corners(), &[]).contains("no faces"));
        assert!(make(vec![[0.0, f64::NAN, 0.0]], &[vec![0, 0, 0]]).contains("vertex 0 is (0, NaN, 0)"));
        assert!(make(corners(), &[vec![0, 1, 3]]).contains("vertex 3, expected 0 to 2"));
        assert!(make(corners(), &[vec![0, 1]]).contains("2 vertices"));
        assert!(make(corners(), &[vec![0, 1, 1]]).contains("degenerate"));
    }
}
