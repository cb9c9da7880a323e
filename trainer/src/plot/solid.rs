//! Pictures of solids: shaded views along rays, and slices.

use image::{Rgb, RgbImage, imageops};
use rayon::prelude::*;

use crate::signal::shape::{Point, Solid};

/// Halvings of the last stride of a ray that has gone through a surface.
const HALVINGS: usize = 6;
/// Most strides of sphere tracing.
const STRIDES: usize = 128;
/// Share of a distance that a stride takes: what a network gives is a distance but roughly.
const CAUTION: f64 = 0.8;
/// Most points asked for at once.
const AT_ONCE: usize = 1 << 20;

/// A field over a cube, at points in physical units: negative inside, positive outside.
pub type Field<'a> = dyn Fn(&[Point]) -> Vec<f64> + Sync + 'a;

/// How rays look for the surface of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum March {
    /// As far as the field says that nothing is (sphere tracing, Hart 1996): the field is a distance.
    Sphere,
    /// In equal strides, this many across the cube.
    Steps(usize),
}

/// A cube that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its middle.
    pub centre: Point,
    /// Half its side.
    pub half: f64,
    /// Pixels along a side of a shaded picture.
    pub pixels: u32,
}

struct Ray {
    direction: Point,
    /// Where it enters and leaves the cube.
    from: f64,
    to: f64,
}

impl March {
    /// Rays along a side of a pixel; equal strides are many, so each pixel has one.
    fn fine(self) -> u32 {
        match self {
            Self::Sphere => 2,
            Self::Steps(_) => 1,
        }
    }
}

impl View {
    /// From where it is looked at: the front, a little from the right and from above; y is up.
    fn eye(&self) -> Point {
        self.centre + Point::new(0.62, 0.42, -1.0).normalize() * (4.2 * self.half)
    }

    /// Row by row, `fine` along a side of a pixel.
    fn rays(&self, fine: u32) -> Vec<Ray> {
        let eye = self.eye();
        let ahead = (self.centre - eye).normalize();
        let right = ahead.cross(&Point::y()).normalize();
        let up = right.cross(&ahead);
        let count = self.pixels * fine;
        let ray = |i: u32| {
            let (x, y) = (i % count, i / count);
            let at = |k: u32| 2.0 * (f64::from(k) + 0.5) / f64::from(count) - 1.0;
            let direction = (ahead + 0.27 * (at(x) * right - at(y) * up)).normalize();
            let inverse = direction.map(|d| 1.0 / d);
            let corner = |sign: f64| (self.centre + Point::repeat(sign * self.half) - eye).component_mul(&inverse);
            let (a, b) = (corner(-1.0), corner(1.0));
            Ray { direction, from: a.inf(&b).max(), to: a.sup(&b).min() }
        };
        (0..count * count).map(ray).collect()
    }

    /// The mesh itself, shaded.
    pub fn mesh(&self, solid: &Solid) -> RgbImage {
        let eye = self.eye();
        let normal = |ray: &Ray| {
            let (_, t) = solid.first_hit(eye, ray.direction)?;
            let n = solid.mesh().area_vector(t).normalize();
            // The back of an open surface is seen too.
            Some(if n.dot(&ray.direction) > 0.0 { -n } else { n })
        };
        let rays = self.rays(March::Sphere.fine());
        self.shade(&rays, &rays.par_iter().map(normal).collect::<Vec<_>>())
    }

    /// The surface at 0 of a field, shaded by its slope.
    pub fn field(&self, field: &Field<'_>, march: March) -> RgbImage {
        let rays = self.rays(march.fine());
        let hits = self.hits(&rays, field, march);
        let found: Vec<Point> = hits.iter().flatten().copied().collect();
        let reach = self.half * if march == March::Sphere { 2e-3 } else { 8e-3 };
        let mut slopes = vec![Point::zeros(); found.len()];
        for axis in 0..3 {
            for sign in [-1.0, 1.0] {
                let mut offset = Point::zeros();
                offset[axis] = sign * reach;
                let moved: Vec<Point> = found.iter().map(|p| p + offset).collect();
                let values = moved.chunks(AT_ONCE).flat_map(field);
                slopes.iter_mut().zip(values).for_each(|(s, v)| s[axis] += sign * v);
            }
        }
        let mut slopes = slopes.into_iter();
        let normals = hits.iter().map(|hit| hit.as_ref().and_then(|_| slopes.next()?.try_normalize(0.0)));
        self.shade(&rays, &normals.collect::<Vec<_>>())
    }

    /// Where each ray first meets the surface.
    fn hits(&self, rays: &[Ray], field: &Field<'_>, march: March) -> Vec<Option<Point>> {
        let eye = self.eye();
        let least = self.half * 1e-3;
        let place = |i: usize, t: f64| eye + rays[i].direction * t;
        let values = |asked: &[(usize, f64)]| -> Vec<f64> {
            let points: Vec<Point> = asked.iter().map(|&(i, t)| place(i, t)).collect();
            points.chunks(AT_ONCE).flat_map(field).collect()
        };
        // Rays under way, each with the last place that was outside.
        let mut active: Vec<(usize, f64, f64)> =
            rays.iter().enumerate().filter(|(_, r)| r.from < r.to).map(|(i, r)| (i, r.from, r.from)).collect();
        let mut through: Vec<(usize, f64, f64)> = Vec::new();
        let strides = match march {
            March::Sphere => STRIDES,
            March::Steps(count) => 2 * count,
        };
        for _ in 0..strides {
            let values = values(&active.iter().map(|&(i, _, t)| (i, t)).collect::<Vec<_>>());
            let mut on = Vec::with_capacity(active.len());
            for ((i, before, t), value) in active.into_iter().zip(values) {
                if value <= 0.0 {
                    through.push((i, before, t));
                    continue;
                }
                let next = t + match march {
                    March::Sphere => (CAUTION * value).max(least),
                    March::Steps(count) => 2.0 * self.half / count as f64,
                };
                if next < rays[i].to {
                    on.push((i, t, next));
                }
            }
            active = on;
        }
        for _ in 0..HALVINGS {
            let middles: Vec<(usize, f64)> = through.iter().map(|&(i, a, b)| (i, 0.5 * (a + b))).collect();
            for ((range, (_, middle)), value) in through.iter_mut().zip(&middles).zip(values(&middles)) {
                if value <= 0.0 { range.2 = *middle } else { range.1 = *middle }
            }
        }
        let mut hits = vec![None; rays.len()];
        for (i, a, b) in through {
            hits[i] = Some(place(i, 0.5 * (a + b)));
        }
        hits
    }

    /// One colour a ray, then a mean over the rays of a pixel.
    fn shade(&self, rays: &[Ray], normals: &[Option<Point>]) -> RgbImage {
        let light = Point::new(0.9, 1.1, -0.6).normalize();
        let fill = Point::new(-0.8, 0.2, -0.7).normalize();
        let count = rays.len().isqrt() as u32;
        let picture = RgbImage::from_fn(count, count, |x, y| {
            let i = (y * count + x) as usize;
            let Some(n) = normals[i] else { return Rgb([255; 3]) };
            let shine = (light - rays[i].direction).normalize().dot(&n).max(0.0).powi(30);
            let bright = 0.22 + 0.66 * light.dot(&n).max(0.0) + 0.2 * fill.dot(&n).max(0.0);
            Rgb([0.86, 0.80, 0.70].map(|c| (255.0 * (c * bright + 0.12 * shine)).clamp(0.0, 255.0) as u8))
        });
        imageops::resize(&picture, self.pixels, self.pixels, imageops::FilterType::Triangle)
    }

    /// The field on the plane through the middle across `axis`, bands of equal distance where it is one; `truth` draws the
    /// outline of another field over it.
    pub fn slice(&self, axis: usize, field: &Field<'_>, march: March, truth: Option<&Field<'_>>) -> RgbImage {
        let side = 240;
        let (right, up) = ((axis + 1) % 3, (axis + 2) % 3);
        let points: Vec<Point> = (0..side * side)
            .map(|i| {
                let at = |k: u32| 2.0 * (f64::from(k) + 0.5) / f64::from(side) - 1.0;
                let mut p = self.centre;
                p[right] += at(i % side) * self.half;
                p[up] -= at(i / side) * self.half;
                p
            })
            .collect();
        let values = field(&points);
        let outline = truth.map(|t| t(&points));
        let size = side as usize;
        RgbImage::from_fn(side, side, |x, y| {
            let i = (y * side + x) as usize;
            let crosses = |v: &[f64]| {
                let differs = |j: usize| (v[i] > 0.0) != (v[j] > 0.0);
                (x + 1 < side && differs(i + 1)) || (y + 1 < side && differs(i + size))
            };
            if outline.as_deref().is_some_and(crosses) {
                return Rgb([0; 3]);
            }
            let colour = |c: [f64; 3]| Rgb(c.map(|c| (255.0 * c).clamp(0.0, 255.0) as u8));
            let v = values[i];
            match march {
                March::Steps(_) => {
                    // From white outside to blue inside, with the network's own confidence.
                    let inside = (0.5 - v).clamp(0.0, 1.0);
                    colour([1.0 - 0.75 * inside, 1.0 - 0.5 * inside, 1.0 - 0.2 * inside])
                }
                March::Sphere => {
                    let d = v / self.half;
                    let band = if (d.abs() / 0.1).fract() < 0.12 { 0.82 } else { 1.0 };
                    let far = (1.0 - d.abs()).max(0.25) * band;
                    colour(if d <= 0.0 { [0.35 * far, 0.6 * far, far] } else { [far, 0.86 * far, 0.62 * far] })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_marches_see_a_ball_as_it_is() {
        let view = View { centre: Point::new(1.0, 2.0, 3.0), half: 2.0, pixels: 60 };
        let ball = |points: &[Point]| points.iter().map(|p| (p - view.centre).norm() - 1.0).collect::<Vec<_>>();
        let rays = view.rays(2);
        for march in [March::Sphere, March::Steps(100)] {
            let hits = view.hits(&rays, &ball, march);
            for (ray, hit) in rays.iter().zip(&hits) {
                // Where the line's closest approach is within the ball, with a margin for rays that graze it.
                let to = view.centre - view.eye();
                let closest = (to - ray.direction * to.dot(&ray.direction)).norm();
                match hit {
                    Some(p) => assert!(closest < 1.01 && ((p - view.centre).norm() - 1.0).abs() < 2e-3),
                    None => assert!(closest > 0.98, "{march:?}: {closest}"),
                }
            }
        }
        let picture = view.field(&ball, March::Sphere);
        assert_eq!(picture.get_pixel(2, 2).0, [255; 3]);
        assert!(picture.get_pixel(30, 30).0[0] < 250);
    }

    #[test]
    fn a_slice_is_coloured_by_side_and_outlined() {
        let view = View { centre: Point::zeros(), half: 1.0, pixels: 60 };
        let below = |points: &[Point]| points.iter().map(|p| p.y).collect::<Vec<_>>();
        let picture = view.slice(2, &below, March::Sphere, Some(&below));
        // Across z, x goes right and y goes up.
        let (top, bottom) = (picture.get_pixel(120, 60).0, picture.get_pixel(120, 180).0);
        assert!(top[0] > top[2] && bottom[2] > bottom[0], "{top:?} {bottom:?}");
        assert_eq!(picture.get_pixel(10, 119).0, [0; 3]);
    }
}
