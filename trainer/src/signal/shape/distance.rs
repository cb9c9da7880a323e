//! The closest point of a surface.

use super::{Mesh, Point, bvh::Bvh};

/// Where a surface is closest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// The place.
    pub point: Point,
    /// How far it is.
    pub distance: f64,
    /// The triangle it is on.
    pub triangle: usize,
}

/// The closest point of `mesh` to `q`: near boxes first, far ones never.
pub(super) fn nearest(mesh: &Mesh, bvh: &Bvh, q: Point) -> Nearest {
    let mut best = Nearest { point: q, distance: f64::INFINITY, triangle: 0 };
    let mut squared = f64::INFINITY;
    let mut stack = [(0usize, 0.0f64); 64];
    let mut left = 1;
    while left > 0 {
        left -= 1;
        let (at, lower) = stack[left];
        if lower >= squared {
            continue;
        }
        let node = &bvh.nodes[at];
        if node.is_leaf() {
            for &t in &bvh.order[node.start..node.start + node.count] {
                let point = on_triangle(mesh.corners(t as usize), q);
                let distance = (point - q).norm_squared();
                if distance < squared {
                    squared = distance;
                    best = Nearest { point, distance: distance.sqrt(), triangle: t as usize };
                }
            }
            continue;
        }
        let mut children = [at + 1, node.second].map(|n| (n, bvh.nodes[n].distance_squared(q)));
        if children[0].1 < children[1].1 {
            children.swap(0, 1);
        }
        for child in children {
            stack[left] = child;
            left += 1;
        }
    }
    best
}

/// The point of a triangle closest to `q`, by the region of corner, edge or face it is in (Ericson 2005, 5.1.5).
fn on_triangle([a, b, c]: [Point; 3], q: Point) -> Point {
    let (ab, ac) = (b - a, c - a);
    let (d1, d2) = (ab.dot(&(q - a)), ac.dot(&(q - a)));
    if d1 <= 0.0 && d2 <= 0.0 {
        return a;
    }
    let (d3, d4) = (ab.dot(&(q - b)), ac.dot(&(q - b)));
    if d3 >= 0.0 && d4 <= d3 {
        return b;
    }
    let vc = d1 * d4 - d3 * d2;
    if vc <= 0.0 && d1 >= 0.0 && d3 <= 0.0 {
        return a + ab * (d1 / (d1 - d3));
    }
    let (d5, d6) = (ab.dot(&(q - c)), ac.dot(&(q - c)));
    if d6 >= 0.0 && d5 <= d6 {
        return c;
    }
    let vb = d5 * d2 - d1 * d6;
    if vb <= 0.0 && d2 >= 0.0 && d6 <= 0.0 {
        return a + ac * (d2 / (d2 - d6));
    }
    let va = d3 * d6 - d5 * d4;
    if va <= 0.0 && d4 >= d3 && d5 >= d6 {
        return b + (c - b) * ((d4 - d3) / ((d4 - d3) + (d5 - d6)));
    }
    let all = va + vb + vc;
    a + ab * (vb / all) + ac * (vc / all)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Solid,
            mesh::tests::{cube, torus},
        },
        *,
    };
    use crate::rng::Rng;

    #[test]
    fn a_cubes_distance_is_that_of_its_closed_form() {
        let solid = Solid::new(cube([0.0; 3]));
        let mut rng = Rng::new(4);
        for _ in 0..2000 {
            let q = Point::from_fn(|_, _| rng.symmetric(1.2));
            let d = q.abs() - Point::repeat(0.5);
            let expected = d.sup(&Point::zeros()).norm() + d.max().min(0.0);
            assert!((solid.signed_distance(q) - expected).abs() < 1e-12, "{q}");
        }
    }

    #[test]
    fn the_hierarchy_misses_no_triangle() {
        let solid = Solid::new(torus(20));
        let mut rng = Rng::new(5);
        for _ in 0..500 {
            let q = Point::from_fn(|_, _| rng.symmetric(2.0));
            let all = (0..solid.mesh().triangles.len()).map(|t| (on_triangle(solid.mesh().corners(t), q) - q).norm());
            let found = solid.nearest(q);
            assert!((found.distance - all.fold(f64::INFINITY, f64::min)).abs() < 1e-14);
            assert!(((found.point - q).norm() - found.distance).abs() < 1e-14);
        }
    }
}
