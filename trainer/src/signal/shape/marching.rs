//! From values on a grid to the surface between those above 0 and the others: marching cubes (Lorensen and Cline 1987).
//!
//! The table of cases is not written down but traced: on every face of a cube a corner above 0 is cut off from those that
//! are not, corners across a diagonal each by themselves. Neighbours see the same cuts on the face they share, so the
//! surface has no cracks.

use std::collections::HashMap;

use super::{Mesh, Point};

/// Corners of the faces, counterclockwise seen from outside; corner n lies at x = n & 1, y = n >> 1 & 1, z = n >> 2.
const FACES: [[usize; 4]; 6] = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]];

/// An edge of a cube by its lower and its upper corner.
type Edge = (usize, usize);

/// The polygons of a cube with these corners above 0, each a loop of edges, counterclockwise from outside.
fn loops(above: u8) -> Vec<Vec<Edge>> {
    let is_above = |corner: usize| above >> corner & 1 == 1;
    let mut next: HashMap<Edge, Edge> = HashMap::new();
    for face in FACES {
        // Where a walk round the face comes up, and where it goes down after that.
        for start in 0..4 {
            let edge = |at: usize| {
                let (a, b) = (face[at % 4], face[(at + 1) % 4]);
                (a.min(b), a.max(b))
            };
            if is_above(face[start]) || !is_above(face[(start + 1) % 4]) {
                continue;
            }
            let down = (start + 1..start + 4).find(|at| !is_above(face[(at + 1) % 4])).expect("the start is below");
            next.insert(edge(start), edge(down));
        }
    }
    let mut out = Vec::new();
    let mut edges: Vec<Edge> = next.keys().copied().collect();
    edges.sort_unstable();
    for start in edges {
        let mut polygon = Vec::new();
        let mut at = start;
        while let Some(to) = next.remove(&at) {
            polygon.push(at);
            at = to;
        }
        if !polygon.is_empty() {
            out.push(polygon);
        }
    }
    out
}

/// The surface at 0 of `values` over a grid of `counts` nodes, x running fastest, the first at `lo`, `step` apart.
/// What is above 0 is inside.
///
/// # Errors
/// A sentence when no surface passes between the nodes.
pub fn marching_cubes(name: &str, values: &[f32], counts: [usize; 3], lo: Point, step: Point) -> Result<Mesh, String> {
    let table: Vec<Vec<Vec<Edge>>> = (0..=255).map(loops).collect();
    let node = |p: [usize; 3]| (p[2] * counts[1] + p[1]) * counts[0] + p[0];
    let mut places: HashMap<(usize, usize), u32> = HashMap::new();
    let (mut vertices, mut polygons) = (Vec::new(), Vec::new());
    for z in 0..counts[2].saturating_sub(1) {
        for y in 0..counts[1].saturating_sub(1) {
            for x in 0..counts[0].saturating_sub(1) {
                let corner = |n: usize| [x + (n & 1), y + (n >> 1 & 1), z + (n >> 2)];
                let above = (0..8).fold(0, |all, n| all | u8::from(values[node(corner(n))] > 0.0) << n);
                for polygon in &table[above as usize] {
                    let vertex = |&(a, b): &Edge| {
                        let (from, to) = (node(corner(a)), node(corner(b)));
                        *places.entry((from, to)).or_insert_with(|| {
                            let (f, g) = (f64::from(values[from]), f64::from(values[to]));
                            let at = |n: usize| Point::from_fn(|k, _| lo[k] + corner(n)[k] as f64 * step[k]);
                            let p = at(a) + (at(b) - at(a)) * (f / (f - g));
                            vertices.push([p.x, p.y, p.z]);
                            vertices.len() as u32 - 1
                        })
                    };
                    polygons.push(polygon.iter().map(vertex).collect::<Vec<u32>>());
                }
            }
        }
    }
    if polygons.is_empty() {
        return Err("found no surface: the values are all inside or all outside".into());
    }
    Mesh::new(name.into(), vertices, &polygons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng::Rng, signal::shape::Solid};

    fn grid(n: usize, f: impl Fn(Point) -> f64) -> Result<Mesh, String> {
        let step = 2.0 / (n - 1) as f64;
        let at =
            |i: usize| Point::new((i % n) as f64, (i / n % n) as f64, (i / n / n) as f64) * step - Point::repeat(1.0);
        let values: Vec<f32> = (0..n * n * n).map(|i| f(at(i)) as f32).collect();
        marching_cubes("m", &values, [n; 3], Point::repeat(-1.0), Point::repeat(step))
    }

    #[test]
    fn a_sphere_is_closed_looks_outwards_and_has_its_volume() {
        let mesh = grid(40, |p| 0.7 - p.norm()).unwrap();
        assert_eq!(mesh.condition.to_string(), "closed");
        assert!((mesh.volume() / (4.0 / 3.0 * std::f64::consts::PI * 0.343) - 1.0).abs() < 5e-3);
        assert!(mesh.vertices.iter().all(|v| (v.norm() - 0.7).abs() < 1e-3));
    }

    /// Random values hit all cases, ambiguous faces among them.
    #[test]
    fn the_surface_of_noise_has_no_cracks() {
        let n = 12;
        let mut rng = Rng::new(3);
        let mut values: Vec<f32> = (0..n * n * n).map(|_| rng.symmetric(1.0) as f32).collect();
        for (i, v) in values.iter_mut().enumerate() {
            if [i % n, i / n % n, i / n / n].iter().any(|&k| k == 0 || k == n - 1) {
                *v = -0.5;
            }
        }
        let mesh = marching_cubes("noise", &values, [n; 3], Point::zeros(), Point::repeat(1.0)).unwrap();
        let seen = mesh.condition;
        // Where polygons of two cubes have a diagonal in common, four triangles meet; there is no crack.
        assert_eq!((seen.open, seen.twisted, seen.turned), (0, 0, false), "{seen}");
        assert!(seen.crowded < 10, "{seen}");
        let solid = Solid::new(mesh);
        for (i, v) in values.iter().enumerate() {
            let q = Point::new((i % n) as f64, (i / n % n) as f64, (i / n / n) as f64);
            assert_eq!(solid.winding_exact(q) > 0.5, *v > 0.0);
        }
    }

    #[test]
    fn nothing_to_see_is_told() {
        assert!(grid(4, |_| 1.0).unwrap_err().contains("no surface"));
    }
}
