//! The generalised winding number: how many times a surface goes round a point (Jacobson, Kavan, Sorkine-Hornung 2013).

use std::f64::consts::PI;

use super::{Mesh, Point, bvh::Bvh};

/// Triangles of a box are taken as one from this many of their radii away; 2 in Barill et al. 2018.
const FAR: f64 = 2.5;

/// The triangles of a box seen from afar: the first two terms of the expansion of their winding numbers around their
/// middle (Barill, Dickson, Schmidt, Levin, Jacobson 2018, eq. 10 and 13).
#[derive(Debug, Clone)]
pub(super) struct Dipole {
    middle: Point,
    /// Farthest corner from the middle.
    radius: f64,
    /// Sum of area vectors.
    moment: Point,
    /// Sum over triangles of (their middle - the middle) ⊗ area vector.
    spread: nalgebra::Matrix3<f64>,
}

/// One for every box of the hierarchy.
pub(super) fn dipoles(mesh: &Mesh, bvh: &Bvh) -> Vec<Dipole> {
    let own = |node: &super::bvh::Node| {
        let triangles = || bvh.order[node.start..node.start + node.count].iter().map(|&t| t as usize);
        let centre = |t: usize| mesh.corners(t).iter().sum::<Point>() / 3.0;
        let area: f64 = triangles().map(|t| mesh.area_vector(t).norm()).sum();
        let middle = triangles().map(|t| centre(t) * mesh.area_vector(t).norm()).sum::<Point>() / area;
        let mut dipole = Dipole { middle, radius: 0.0, moment: Point::zeros(), spread: nalgebra::Matrix3::zeros() };
        for t in triangles() {
            let vector = 0.5 * mesh.area_vector(t);
            dipole.moment += vector;
            dipole.spread += (centre(t) - middle) * vector.transpose();
            let farthest = mesh.corners(t).iter().map(|p| (p - middle).norm()).fold(0.0, f64::max);
            dipole.radius = dipole.radius.max(farthest);
        }
        dipole
    };
    bvh.nodes.iter().map(own).collect()
}

impl Dipole {
    fn seen_from(&self, q: Point) -> f64 {
        let d = self.middle - q;
        let r2 = d.norm_squared();
        let r3 = r2 * r2.sqrt();
        let first = self.moment.dot(&d) / r3;
        let second = (self.spread.trace() - 3.0 * d.dot(&(self.spread * d)) / r2) / r3;
        (first + second) / (4.0 * PI)
    }
}

/// Solid angle of triangle `t` from `q` over 4π (van Oosterom and Strackee 1983).
fn solid_angle(mesh: &Mesh, t: usize, q: Point) -> f64 {
    let [a, b, c] = mesh.corners(t).map(|p| p - q);
    let (la, lb, lc) = (a.norm(), b.norm(), c.norm());
    let above = a.dot(&b.cross(&c));
    let below = la * lb * lc + a.dot(&b) * lc + b.dot(&c) * la + c.dot(&a) * lb;
    2.0 * libm::atan2(above, below) / (4.0 * PI)
}

/// Every triangle by itself.
pub(super) fn exact(mesh: &Mesh, q: Point) -> f64 {
    (0..mesh.triangles.len()).map(|t| solid_angle(mesh, t, q)).sum()
}

/// Near triangles by themselves, far ones box by box.
pub(super) fn fast(mesh: &Mesh, bvh: &Bvh, dipoles: &[Dipole], q: Point) -> f64 {
    let mut sum = 0.0;
    let mut stack = [0usize; 64];
    let mut left = 1;
    while left > 0 {
        left -= 1;
        let at = stack[left];
        let (node, dipole) = (&bvh.nodes[at], &dipoles[at]);
        if (dipole.middle - q).norm_squared() > (FAR * dipole.radius).powi(2) {
            sum += dipole.seen_from(q);
        } else if node.is_leaf() {
            let own = &bvh.order[node.start..node.start + node.count];
            sum += own.iter().map(|&t| solid_angle(mesh, t as usize, q)).sum::<f64>();
        } else {
            // Halves of halves: never deeper than the logarithm of the number of triangles.
            stack[left] = node.second;
            stack[left + 1] = at + 1;
            left += 2;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Solid,
            mesh::tests::{cube, torus},
            ray::meets,
        },
        *,
    };
    use crate::{rng::Rng, tolerance};

    /// Crossings of a ray with the triangles: odd inside a closed surface.
    fn parity(mesh: &Mesh, q: Point, ray: Point) -> bool {
        (0..mesh.triangles.len()).filter(|&t| meets(mesh.corners(t), q, ray).is_some()).count() % 2 == 1
    }

    #[test]
    fn inside_of_closed_surfaces_is_that_of_ray_parity() {
        let mut rng = Rng::new(1);
        for mesh in [cube([0.0; 3]), torus(24)] {
            let solid = Solid::new(mesh);
            let mut inside = 0;
            for _ in 0..2000 {
                let q = Point::from_fn(|_, _| rng.symmetric(1.5));
                let ray = Point::from_fn(|_, _| rng.normal());
                let expected = parity(solid.mesh(), q, ray);
                assert_eq!(solid.inside(q), expected, "{q}");
                assert_eq!(solid.winding_exact(q) > 0.5, expected, "{q}");
                inside += usize::from(expected);
            }
            assert!((40..1900).contains(&inside));
        }
    }

    #[test]
    fn the_hierarchy_gives_the_sum_over_triangles() {
        let mut rng = Rng::new(2);
        // A torus with a hole in it, so that numbers in between occur.
        let mut mesh = torus(40);
        mesh.triangles.truncate(2500);
        let solid = Solid::new(mesh);
        let mut largest: f64 = 0.0;
        let mut between = 0;
        for _ in 0..2000 {
            let q = Point::from_fn(|_, _| rng.symmetric(1.6));
            let (fast, exact) = (solid.winding(q), solid.winding_exact(q));
            largest = largest.max((fast - exact).abs());
            between += usize::from((0.1..0.9).contains(&exact));
        }
        assert!(largest < tolerance::WINDING && between > 50, "{largest} {between}");
    }
}
