//! A small scene of our own: spheres and boxes on a checkered floor in the sun, ray-traced with shadows, so that views can
//! be had without downloads. Surfaces are matt: they look the same from everywhere.

use std::path::Path;

use image::{Rgba, RgbaImage};
use rayon::prelude::*;
use serde_json::json;

use crate::{
    domain::{Camera, Ray, Region, look_at},
    error::{Error, Result},
    file::write_atomically,
    rng::Rng,
};

/// Angle of view across and distance of the cameras, those of NeRF's synthetic scenes.
const ANGLE: f64 = 0.691_111_2;
const DISTANCE: f64 = 4.0;
/// What all cameras look at.
const MIDDLE: [f64; 3] = [0.0, 0.0, 0.2];
/// Rays along each side of a pixel.
const RAYS: usize = 4;
/// Light from everywhere; the rest comes from the sun.
const AMBIENT: f32 = 0.4;
/// Side of a field of the floor.
const FIELD: f32 = 0.25;

/// What is made and how often it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SceneOptions {
    /// Seed of what stands where and of the cameras.
    pub seed: u64,
    /// Views to learn from.
    pub views: usize,
    /// Views to measure at.
    pub test: usize,
    /// Pixels along each side.
    pub size: usize,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self { seed: 0, views: 40, test: 8, size: 100 }
    }
}

#[derive(Debug, Clone, Copy)]
enum Solid {
    Sphere { centre: [f32; 3], radius: f32 },
    Box(Region),
}

#[derive(Debug, Clone, Copy)]
struct Thing {
    solid: Solid,
    colour: [f32; 3],
    /// The other colour of a checkered one.
    other: Option<[f32; 3]>,
}

/// Solids, and where the sun is.
#[derive(Debug, Clone)]
pub struct Scene {
    things: Vec<Thing>,
    sun: [f32; 3],
}

impl Scene {
    /// The scene of a seed: a floor of 2x2 units and six solids on it, none in another.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed).stream("scene");
        let floor = Region { lo: [-1.0, -1.0, -0.06], hi: [1.0, 1.0, 0.0] };
        let mut things =
            vec![Thing { solid: Solid::Box(floor), colour: [0.85, 0.83, 0.78], other: Some([0.30, 0.33, 0.38]) }];
        let colours = [
            [0.85, 0.25, 0.2],
            [0.2, 0.55, 0.85],
            [0.95, 0.75, 0.2],
            [0.3, 0.7, 0.35],
            [0.65, 0.4, 0.75],
            [0.9, 0.5, 0.3],
        ];
        let mut taken: Vec<([f32; 2], f32)> = Vec::new();
        let mut between = |lo: f32, hi: f32| lo + (hi - lo) * rng.uniform() as f32;
        while things.len() <= colours.len() {
            let size = between(0.14, 0.28);
            let reach = 0.95 - size * 1.45;
            let at = [between(-reach, reach), between(-reach, reach)];
            // Squares need more room than circles: their corners.
            let round = things.len() % 2 == 1;
            let room = if round { size } else { size * 1.42 };
            if taken.iter().any(|(p, r)| (p[0] - at[0]).hypot(p[1] - at[1]) < r + room) {
                continue;
            }
            taken.push((at, room));
            let solid = if round {
                Solid::Sphere { centre: [at[0], at[1], size], radius: size }
            } else {
                let height = between(1.0, 2.2) * size;
                Solid::Box(Region { lo: [at[0] - size, at[1] - size, 0.0], hi: [at[0] + size, at[1] + size, height] })
            };
            things.push(Thing { solid, colour: colours[things.len() - 1], other: None });
        }
        let angle = between(0.0, std::f32::consts::TAU);
        Self { things, sun: unit([angle.cos(), angle.sin(), 1.4]) }
    }

    /// Writes views of the scene of `options` into `folder`, in the form of NeRF's synthetic scenes; the lists of views
    /// come last, so that a folder that has them is whole.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be written.
    pub fn write(folder: &Path, options: &SceneOptions) -> Result<()> {
        let scene = Self::new(options.seed);
        for (part, count) in [("test", options.test), ("train", options.views)] {
            if count == 0 {
                continue;
            }
            let pictures = folder.join(part);
            crate::file::make_folder(&pictures)?;
            let mut frames = Vec::new();
            for (n, from) in places(&mut Rng::new(options.seed).stream(part), count).into_iter().enumerate() {
                let camera = Camera::look_at((options.size, options.size), ANGLE, from, MIDDLE)
                    .map_err(|e| Error::Training(format!("cannot place a camera: {e}")))?;
                let mut bytes = std::io::Cursor::new(Vec::new());
                let picture = scene.picture(&camera);
                picture
                    .write_to(&mut bytes, image::ImageFormat::Png)
                    .map_err(|e| Error::Training(format!("cannot encode a picture: {e}")))?;
                write_atomically(&pictures.join(format!("r_{n}.png")), &bytes.into_inner())?;
                frames.push(json!({
                    "file_path": format!("./{part}/r_{n}"),
                    "transform_matrix": look_at(from, MIDDLE),
                }));
            }
            let list = json!({ "camera_angle_x": ANGLE, "frames": frames });
            let text = serde_json::to_vec_pretty(&list).expect("plain values");
            write_atomically(&folder.join(format!("transforms_{part}.json")), &text)?;
        }
        Ok(())
    }

    /// What a camera sees, with several rays a pixel.
    fn picture(&self, camera: &Camera) -> RgbaImage {
        let pixel = |index: usize| -> Rgba<u8> {
            let (x, y) = (index % camera.width, index / camera.width);
            let place = |n: usize| (n as f64 + 0.5) / RAYS as f64;
            let mut sum = [0.0f32; 4];
            for ray in 0..RAYS * RAYS {
                let ray = camera.ray_at(x as f64 + place(ray % RAYS), y as f64 + place(ray / RAYS));
                if let Some(colour) = self.colour(&ray) {
                    sum.iter_mut().zip(colour).for_each(|(s, c)| *s += c);
                    sum[3] += 1.0;
                }
            }
            let byte = |v: f32| (255.0 * v).round().clamp(0.0, 255.0) as u8;
            let covered = sum[3].max(1.0);
            let alpha = sum[3] / (RAYS * RAYS) as f32;
            Rgba([byte(sum[0] / covered), byte(sum[1] / covered), byte(sum[2] / covered), byte(alpha)])
        };
        let pixels: Vec<u8> = (0..camera.pixels()).into_par_iter().flat_map_iter(|i| pixel(i).0).collect();
        RgbaImage::from_raw(camera.width as u32, camera.height as u32, pixels).expect("a pixel has four bytes")
    }

    /// Colour of the nearest surface along a ray; none if there is none.
    fn colour(&self, ray: &Ray) -> Option<[f32; 3]> {
        let (thing, t) = self.nearest(ray)?;
        let point = ray.at(t);
        let normal = thing.normal(point);
        let above = std::array::from_fn(|k| point[k] + 1e-3 * normal[k]);
        let facing = dot(normal, self.sun).max(0.0);
        let lit = facing > 0.0 && self.nearest(&Ray { origin: above, direction: self.sun }).is_none();
        let light = AMBIENT + if lit { (1.0 - AMBIENT) * facing } else { 0.0 };
        Some(thing.paint(point).map(|c| c * light))
    }

    fn nearest(&self, ray: &Ray) -> Option<(&Thing, f32)> {
        let hits = self.things.iter().filter_map(|thing| Some((thing, thing.solid.hit(ray)?)));
        hits.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Thing {
    fn paint(&self, point: [f32; 3]) -> [f32; 3] {
        let field = |v: f32| (v / FIELD).floor() as i32;
        match self.other {
            Some(other) if (field(point[0]) + field(point[1])).rem_euclid(2) == 1 => other,
            _ => self.colour,
        }
    }

    fn normal(&self, point: [f32; 3]) -> [f32; 3] {
        match self.solid {
            Solid::Sphere { centre, .. } => unit(std::array::from_fn(|k| point[k] - centre[k])),
            Solid::Box(region) => {
                let sides =
                    (0..3).flat_map(|k| [(k, -1.0, point[k] - region.lo[k]), (k, 1.0, region.hi[k] - point[k])]);
                let (axis, sign, _) = sides.min_by(|a, b| a.2.abs().total_cmp(&b.2.abs())).expect("a box has sides");
                std::array::from_fn(|k| if k == axis { sign } else { 0.0 })
            }
        }
    }
}

impl Solid {
    /// Distance at which a ray from outside meets the surface.
    fn hit(&self, ray: &Ray) -> Option<f32> {
        match self {
            Self::Box(region) => region.cross(ray).map(|(near, _)| near).filter(|&near| near > 0.0),
            Self::Sphere { centre, radius } => {
                let to: [f32; 3] = std::array::from_fn(|k| centre[k] - ray.origin[k]);
                let along = dot(to, ray.direction);
                let under = radius * radius - (dot(to, to) - along * along);
                let near = along - under.max(0.0).sqrt();
                (under > 0.0 && near > 0.0).then_some(near)
            }
        }
    }
}

/// Places on the upper part of a sphere, spread evenly along its height, anywhere around.
fn places(rng: &mut Rng, count: usize) -> Vec<[f64; 3]> {
    let turn = rng.uniform();
    let place = |n: usize| {
        // From 12 to 72 degrees above the floor, evenly over the area between.
        let (low, high) = (12f64.to_radians().sin(), 72f64.to_radians().sin());
        let up = low + (high - low) * (n as f64 + rng.uniform()) / count as f64;
        let around = std::f64::consts::TAU * (turn + n as f64 * 0.618_033_988_749_895);
        let flat = (1.0 - up * up).sqrt();
        [DISTANCE * flat * around.cos(), DISTANCE * flat * around.sin(), DISTANCE * up]
    };
    (0..count).map(place).collect()
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn unit(v: [f32; 3]) -> [f32; 3] {
    let length = dot(v, v).sqrt();
    v.map(|c| c / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_scene_whose_solids_stand_on_the_floor() {
        let scene = Scene::new(5);
        assert_eq!(scene.things.len(), 7);
        for thing in &scene.things[1..] {
            let (lowest, x) = match thing.solid {
                Solid::Sphere { centre, radius } => (centre[2] - radius, centre[0]),
                Solid::Box(region) => (region.lo[2], region.lo[0]),
            };
            assert!(lowest.abs() < 1e-6 && x.abs() < 1.0);
        }
        assert_eq!(format!("{scene:?}"), format!("{:?}", Scene::new(5)));
        assert_ne!(format!("{scene:?}"), format!("{:?}", Scene::new(6)));
    }

    #[test]
    fn surfaces_are_seen_lit_and_shadowed() {
        let sphere = Solid::Sphere { centre: [0.0, 0.0, 0.5], radius: 0.5 };
        let thing = |solid| Thing { solid, colour: [1.0, 0.5, 0.0], other: None };
        let floor = Solid::Box(Region { lo: [-2.0, -2.0, -0.1], hi: [2.0, 2.0, 0.0] });
        let scene = Scene { things: vec![thing(floor), thing(sphere)], sun: unit([1.0, 0.0, 1.0]) };
        let down = |x: f32| scene.colour(&Ray { origin: [x, 0.0, 3.0], direction: [0.0, 0.0, -1.0] });
        // The top of the sphere is tilted by 45 degrees against the sun; the floor behind the sphere is in its shadow.
        let full = AMBIENT + (1.0 - AMBIENT) * 0.5f32.sqrt();
        assert!((down(0.0).unwrap()[0] - full).abs() < 1e-5);
        assert!((down(-1.0).unwrap()[0] - AMBIENT).abs() < 1e-6);
        assert!((down(1.0).unwrap()[1] - 0.5 * full).abs() < 1e-5);
        assert_eq!(down(2.5), None);
    }
}
