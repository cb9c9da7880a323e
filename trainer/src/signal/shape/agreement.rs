//! How far two surfaces are from each other.

use rayon::prelude::*;

use super::{Point, Solid, Surface};
use crate::rng::Rng;

/// Distances and angles between two surfaces, from points of each to the closest of the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Chamfer distance: the mean distance, one way and the other, in the meshes' unit.
    pub chamfer: f64,
    /// Largest of these distances.
    pub largest: f64,
    /// Mean angle between the normals, in degrees.
    pub normal_degrees: f64,
}

/// Of two surfaces, by `points` of each.
pub fn agreement(a: &Solid, b: &Solid, points: usize) -> Agreement {
    let (one, other) = (half(a, b, points), half(b, a, points));
    Agreement { chamfer: 0.5 * (one.0 + other.0), largest: one.1.max(other.1), normal_degrees: 0.5 * (one.2 + other.2) }
}

fn half(from: &Solid, to: &Solid, points: usize) -> (f64, f64, f64) {
    let surface = Surface::new(from.mesh());
    let mut rng = Rng::new(0).stream("agreement");
    let drawn: Vec<(Point, usize)> = (0..points).map(|_| surface.draw(&mut rng)).collect();
    let each: Vec<(f64, f64)> = drawn
        .par_iter()
        .map(|&(p, t)| {
            let nearest = to.nearest(p);
            let (m, n) = (from.mesh().area_vector(t), to.mesh().area_vector(nearest.triangle));
            (nearest.distance, m.angle(&n).to_degrees())
        })
        .collect();
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| each.iter().map(f).sum::<f64>() / points as f64;
    (mean(&|e| e.0), each.iter().map(|e| e.0).fold(0.0, f64::max), mean(&|e| e.1))
}

#[cfg(test)]
mod tests {
    use super::{
        super::mesh::tests::{cube, torus},
        *,
    };

    #[test]
    fn a_surface_agrees_with_itself_and_differs_from_one_moved() {
        let torus = Solid::new(torus(20));
        let same = agreement(&torus, &torus, 500);
        assert!(same.largest < 1e-7 && same.normal_degrees < 1.0, "{same:?}");
        let (a, b) = (Solid::new(cube([0.0; 3])), Solid::new(cube([0.1, 0.0, 0.0])));
        let moved = agreement(&a, &b, 4000);
        assert!((moved.largest - 0.1).abs() < 1e-9);
        // Two of six faces are 0.1 apart; the others coincide but for a strip of a tenth at one end.
        assert!((0.033..0.042).contains(&moved.chamfer), "{moved:?}");
    }
}
