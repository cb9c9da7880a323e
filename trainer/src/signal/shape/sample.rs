//! Random points: all over a box, on a surface.

use super::{Mesh, Point};
use crate::rng::Rng;

/// Uniform in the box from `lo` to `hi`.
pub fn uniform(lo: Point, hi: Point, rng: &mut Rng) -> Point {
    Point::from_fn(|k, _| lo[k] + rng.uniform() * (hi[k] - lo[k]))
}

/// Draws points of a surface, uniform over its area.
#[derive(Debug)]
pub struct Surface<'a> {
    mesh: &'a Mesh,
    /// Area of the triangles up to each.
    areas: Vec<f64>,
}

impl<'a> Surface<'a> {
    /// Of a mesh.
    pub fn new(mesh: &'a Mesh) -> Self {
        let mut sum = 0.0;
        let each = (0..mesh.triangles.len()).map(|t| {
            sum += 0.5 * mesh.area_vector(t).norm();
            sum
        });
        Self { mesh, areas: each.collect() }
    }

    /// Area of the whole surface.
    pub fn area(&self) -> f64 {
        self.areas.last().copied().unwrap_or(0.0)
    }

    /// A point and its triangle (Osada et al. 2002 for the point within it).
    pub fn draw(&self, rng: &mut Rng) -> (Point, usize) {
        let at = rng.uniform() * self.area();
        let t = self.areas.partition_point(|&sum| sum <= at).min(self.areas.len() - 1);
        let [a, b, c] = self.mesh.corners(t);
        let (u, v) = (rng.uniform().sqrt(), rng.uniform());
        (a * (1.0 - u) + b * (u * (1.0 - v)) + c * (u * v), t)
    }

    /// A point off the surface by a normal number of this deviation along every axis.
    pub fn near(&self, deviation: f64, rng: &mut Rng) -> Point {
        let point = self.draw(rng).0;
        point + Point::from_fn(|_, _| deviation * rng.normal())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Solid, mesh::tests::torus},
        *,
    };

    #[test]
    fn points_lie_on_the_surface_in_proportion_to_area() {
        let mesh = torus(24);
        let solid = Solid::new(mesh.clone());
        let surface = Surface::new(&mesh);
        let mut rng = Rng::new(7);
        let n = 4000;
        let mut outer = 0.0;
        for _ in 0..n {
            let (p, t) = surface.draw(&mut rng);
            assert!(solid.nearest(p).distance < 1e-12);
            assert!((mesh.corners(t)[0] - p).dot(&mesh.area_vector(t)).abs() < 1e-12);
            outer += f64::from(u8::from(p.x.hypot(p.y) > 1.0)) / f64::from(n);
        }
        // Of a torus of radii R and r the part beyond R has the share 1/2 + r/(π·R) of the area.
        assert!((outer - (0.5 + 0.4 / std::f64::consts::PI)).abs() < 0.03, "{outer}");
    }

    #[test]
    fn near_points_are_as_far_off_as_asked() {
        let mesh = torus(40);
        let solid = Solid::new(mesh.clone());
        let surface = Surface::new(&mesh);
        let mut rng = Rng::new(8);
        let square: f64 = (0..2000).map(|_| solid.nearest(surface.near(0.01, &mut rng)).distance.powi(2)).sum();
        // Only what goes along the normal takes a point away.
        assert!(((square / 2000.0).sqrt() / 0.01 - 1.0).abs() < 0.06);
    }
}
