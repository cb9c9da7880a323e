//! A pinhole camera in OpenGL's convention: x to the right, y up, looking along -z.

/// Largest deviation of a rotation's products from 0 and 1.
const ORTHONORMAL: f64 = 1e-3;

/// A half-line in world units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ray {
    /// Where it begins.
    pub origin: [f32; 3],
    /// Where it goes, of length 1.
    pub direction: [f32; 3],
}

impl Ray {
    /// The point at distance `t`.
    pub fn at(&self, t: f32) -> [f32; 3] {
        std::array::from_fn(|k| self.origin[k] + t * self.direction[k])
    }
}

/// A camera with square pixels and its axis through the middle of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Distance of the picture in pixels.
    focal: f64,
    /// Columns are the camera's x, y and z in the world, and where it stands.
    pose: [[f64; 4]; 3],
}

impl Camera {
    /// A camera that sees `angle` radians across, with this map from its own coordinates to the world's.
    ///
    /// # Errors
    /// Found and expected, when the angle is impossible or the map is no rotation and translation: one that mirrors
    /// turns the camera inside out.
    pub fn new(width: usize, height: usize, angle: f64, pose: [[f64; 4]; 4]) -> Result<Self, String> {
        if !(angle > 0.0 && angle < std::f64::consts::PI) {
            return Err(format!("found an angle of view of {angle}, expected radians between 0 and pi"));
        }
        if pose.iter().flatten().any(|v| !v.is_finite()) {
            return Err("found a number that is not finite in the matrix".into());
        }
        if pose[3] != [0.0, 0.0, 0.0, 1.0] {
            return Err(format!("found {:?} as the last row, expected [0, 0, 0, 1]", pose[3]));
        }
        let column = |k: usize| [pose[0][k], pose[1][k], pose[2][k]];
        let axes = [column(0), column(1), column(2)];
        for i in 0..3 {
            for j in i..3 {
                let found = dot(axes[i], axes[j]);
                let expected = if i == j { 1.0 } else { 0.0 };
                if (found - expected).abs() > ORTHONORMAL {
                    return Err(format!(
                        "found axes {i} and {j} with a product of {found:.4}, expected {expected}: the first three \
                         columns must be a rotation"
                    ));
                }
            }
        }
        let determinant = dot(cross(axes[0], axes[1]), axes[2]);
        if determinant < 0.0 {
            return Err(format!(
                "found a rotation with determinant {determinant:.3}, expected 1: the camera is inside out"
            ));
        }
        let focal = 0.5 * width as f64 / (0.5 * angle).tan();
        Ok(Self { width, height, focal, pose: [pose[0], pose[1], pose[2]] })
    }

    /// A camera at `from` that looks at `at`, z being up in the world; not for looking straight up or down.
    ///
    /// # Errors
    /// As for [`Camera::new`].
    pub fn look_at((width, height): (usize, usize), angle: f64, from: [f64; 3], at: [f64; 3]) -> Result<Self, String> {
        Self::new(width, height, angle, look_at(from, at))
    }

    /// The same view in a picture of another size; its height follows.
    pub fn resized(&self, width: usize) -> Self {
        let scale = width as f64 / self.width as f64;
        let height = (self.height as f64 * scale).round().max(1.0) as usize;
        Self { width, height, focal: self.focal * scale, pose: self.pose }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// Angle of view across, in radians.
    pub fn angle(&self) -> f64 {
        2.0 * (0.5 * self.width as f64 / self.focal).atan()
    }

    /// Where it stands.
    pub fn position(&self) -> [f64; 3] {
        std::array::from_fn(|k| self.pose[k][3])
    }

    /// The ray through the middle of pixel `index`, row by row from the top left.
    pub fn ray(&self, index: usize) -> Ray {
        let (column, row) = (index % self.width, index / self.width);
        self.ray_at(column as f64 + 0.5, row as f64 + 0.5)
    }

    /// The ray through a place of the picture, in pixels from its top left corner.
    pub fn ray_at(&self, x: f64, y: f64) -> Ray {
        let local = [(x - 0.5 * self.width as f64) / self.focal, -(y - 0.5 * self.height as f64) / self.focal, -1.0];
        let world: [f64; 3] = std::array::from_fn(|k| dot([self.pose[k][0], self.pose[k][1], self.pose[k][2]], local));
        let length = dot(world, world).sqrt();
        Ray { origin: self.position().map(|v| v as f32), direction: world.map(|v| (v / length) as f32) }
    }

    /// Where a point is seen, in pixels from the top left corner, and its distance along the axis in world units; none
    /// behind the camera.
    pub fn project(&self, point: [f64; 3]) -> Option<(f64, f64, f64)> {
        let from: [f64; 3] = std::array::from_fn(|k| point[k] - self.pose[k][3]);
        let along = |k: usize| dot([self.pose[0][k], self.pose[1][k], self.pose[2][k]], from);
        let depth = -along(2);
        (depth > 0.0).then(|| {
            let scale = self.focal / depth;
            (0.5 * self.width as f64 + scale * along(0), 0.5 * self.height as f64 - scale * along(1), depth)
        })
    }

    /// Pixels that a length of 1 at distance 1 along the axis takes.
    pub fn focal(&self) -> f64 {
        self.focal
    }
}

/// Map from the coordinates of a camera at `from` that looks at `at` to the world's, z up.
pub(crate) fn look_at(from: [f64; 3], at: [f64; 3]) -> [[f64; 4]; 4] {
    let unit = |v: [f64; 3]| v.map(|c| c / dot(v, v).sqrt());
    let back = unit(std::array::from_fn(|k| from[k] - at[k]));
    let right = unit(cross([0.0, 0.0, 1.0], back));
    let up = cross(back, right);
    let row = |k: usize| [right[k], up[k], back[k], from[k]];
    [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> [[f64; 4]; 4] {
        std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }))
    }

    #[test]
    fn known_pixels_have_known_rays() {
        // Half of 90 degrees: the edge of the picture lies one unit beside the axis at distance one.
        let mut pose = identity();
        pose[2][3] = 4.0;
        let camera = Camera::new(4, 2, std::f64::consts::FRAC_PI_2, pose).unwrap();
        let corner = camera.ray_at(0.0, 0.0);
        let scale = (1.0f32 + 0.25 + 1.0).sqrt();
        assert_eq!(corner.origin, [0.0, 0.0, 4.0]);
        for (found, expected) in corner.direction.iter().zip([-1.0 / scale, 0.5 / scale, -1.0 / scale]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        // Pixel 6 is the third of the second row: its middle lies right of and below the axis by a quarter unit.
        let ray = camera.ray(6);
        let t = -1.0 / ray.direction[2];
        assert!((ray.direction[0] * t - 0.25).abs() < 1e-6 && (ray.direction[1] * t + 0.25).abs() < 1e-6);
        assert!((camera.angle() - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
    }

    #[test]
    fn a_point_on_a_ray_is_seen_where_the_ray_goes_through() {
        let camera = Camera::look_at((100, 80), 0.7, [2.0, -3.0, 1.5], [0.1, 0.2, 0.3]).unwrap();
        let (x, y, _) = camera.project([0.1, 0.2, 0.3]).unwrap();
        assert!((x - 50.0).abs() < 1e-9 && (y - 40.0).abs() < 1e-9);
        // What lies above is seen above.
        assert!(camera.project([0.1, 0.2, 0.9]).unwrap().1 < 40.0);
        let point = camera.ray_at(13.0, 71.0).at(2.5).map(f64::from);
        let (x, y, _) = camera.project(point).unwrap();
        assert!((x - 13.0).abs() < 1e-4 && (y - 71.0).abs() < 1e-4, "{x} {y}");
        assert_eq!(camera.project([4.0, -6.0, 2.7]), None);
        let large = camera.resized(200);
        assert_eq!((large.width, large.height), (200, 160));
        assert!((large.project(point).unwrap().0 - 26.0).abs() < 1e-4);
    }

    #[test]
    fn impossible_cameras_say_why() {
        let bad = |change: &dyn Fn(&mut [[f64; 4]; 4])| {
            let mut pose = identity();
            change(&mut pose);
            Camera::new(10, 10, 0.7, pose).unwrap_err()
        };
        assert!(bad(&|p| p[0][0] = -1.0).contains("inside out"));
        assert!(bad(&|p| p[1][1] = 1.2).contains("axes 1 and 1"));
        assert!(bad(&|p| p[0][1] = 0.5).contains("axes 0 and 1"));
        assert!(bad(&|p| p[3][0] = 0.1).contains("last row"));
        assert!(bad(&|p| p[0][3] = f64::NAN).contains("not finite"));
        assert!(Camera::new(10, 10, 4.0, identity()).unwrap_err().contains("angle of view"));
    }
}
