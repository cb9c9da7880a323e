//! A box in space that a scene lies in.

use super::Ray;

/// An axis-aligned box in world units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Smallest coordinates.
    pub lo: [f32; 3],
    /// Largest coordinates.
    pub hi: [f32; 3],
}

impl Region {
    /// The cube with sides of 2·`half` around the origin.
    pub fn cube(half: f32) -> Self {
        Self { lo: [-half; 3], hi: [half; 3] }
    }

    /// Lengths of the sides.
    pub fn size(&self) -> [f32; 3] {
        std::array::from_fn(|k| self.hi[k] - self.lo[k])
    }

    /// Distance of two opposite corners.
    pub fn diagonal(&self) -> f32 {
        self.size().iter().map(|s| s * s).sum::<f32>().sqrt()
    }

    /// Distances along the ray, at least 0, at which it enters and leaves (Kay and Kajiya 1986); none if it misses.
    pub fn cross(&self, ray: &Ray) -> Option<(f32, f32)> {
        let (mut near, mut far) = (0.0f32, f32::INFINITY);
        for k in 0..3 {
            let inverse = 1.0 / ray.direction[k];
            let (a, b) = ((self.lo[k] - ray.origin[k]) * inverse, (self.hi[k] - ray.origin[k]) * inverse);
            // A ray within the plane of a side gives NaN, which neither bound takes.
            near = near.max(a.min(b));
            far = far.min(a.max(b));
        }
        (near < far).then_some((near, far))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_enter_and_leave_where_they_should() {
        let region = Region { lo: [-1.0, -2.0, -1.0], hi: [1.0, 2.0, 3.0] };
        let ray = |origin, direction| Ray { origin, direction };
        assert_eq!(region.cross(&ray([0.0, 0.0, 5.0], [0.0, 0.0, -1.0])), Some((2.0, 6.0)));
        assert_eq!(region.cross(&ray([0.0, 0.0, 0.0], [0.0, 1.0, 0.0])), Some((0.0, 2.0)));
        assert_eq!(region.cross(&ray([0.0, 0.0, 5.0], [0.0, 0.0, 1.0])), None);
        assert_eq!(region.cross(&ray([1.5, 0.0, 5.0], [0.0, 0.0, -1.0])), None);
        assert_eq!(region.diagonal(), 6.0);
    }
}
