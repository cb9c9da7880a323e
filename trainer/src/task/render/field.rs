//! A field of colours and densities in training: the rays of all photographs, the grid that knows where nothing is, and
//! what a step looks at.

use super::RenderConfig;
use crate::{
    domain::{Bundle, Frame, March, Occupancy, Region, Span},
    engine::Engine,
    error::{Error, Result},
    fold::Normalization,
    network::Parameter,
    observation::{Background, Empty, Rays},
    rng::Rng,
    signal::views::{PIXEL, Views},
    train::Batches,
};

/// Optical depth of the largest density along the diagonal of the box.
const OPAQUE: f32 = 600.0;
/// Opacity of a step below which a cell counts as empty.
const FAINT: f32 = 0.01;
/// Steps between two looks at the grid, and the most cells of one.
const LOOK_EVERY: u64 = 16;
const CELLS: usize = 32_768;
/// Optical depth, by the grid, at which a ray ends while training.
const HIDDEN: f32 = 8.0;
/// Half the range of a direction's coordinates in the network's: a quarter of that of points, so that what depends on it
/// is smooth.
const DIRECTION: f32 = 4.0;
/// Points tried for the empty part of the box a step.
const TRIES: usize = 512;
/// Where the density's logit starts: faint fog.
const FOG: f32 = -4.0;

/// See the module.
#[derive(Debug)]
pub struct Field {
    /// The photographs.
    pub(crate) views: Views,
    /// Where the scene may be.
    pub(crate) grid: Occupancy,
    pub(crate) march: March,
    frame: Frame,
    background: Background,
    empty: f64,
    density: f32,
    rays: Vec<Span>,
    measured: Vec<f32>,
    batches: Batches,
    rng: Rng,
    /// Samples of the last step.
    pub(crate) samples: usize,
}

impl Field {
    /// Of photographs, by a seed; `batch` rays a step.
    ///
    /// # Errors
    /// [`Error::Signal`] when the photographs show nothing.
    pub fn new(views: Views, config: &RenderConfig, seed: u64, batch: usize) -> Result<Self> {
        let nothing = || Error::Signal {
            path: config.path.clone(),
            message: format!(
                "found nothing that all photographs show within {} of the origin, expected a scene there (`--bound`)",
                config.bound
            ),
        };
        let mut region = Region::cube(config.bound as f32);
        if views.alpha {
            // What is transparent shows where nothing can be: the box shrinks to the rest, and cells with it.
            let mut coarse = Occupancy::new(region, config.cells, 0.0);
            views.carve(&mut coarse);
            region = coarse.bounds().ok_or_else(nothing)?;
        }
        let step = region.diagonal() / config.steps as f32;
        let mut grid = Occupancy::new(region, config.cells, FAINT / step);
        if views.alpha {
            views.carve(&mut grid);
        }
        let (mut rays, mut measured) = (Vec::new(), Vec::new());
        for view in &views.training {
            for (index, pixel) in view.pixels.chunks_exact(PIXEL).enumerate() {
                if let Some(span) = Span::new(view.camera.ray(index), &grid, step) {
                    rays.push(span);
                    measured.extend_from_slice(pixel);
                }
            }
        }
        if rays.is_empty() {
            return Err(nothing());
        }
        let half = region.size().into_iter().fold(0.0, f32::max) / 2.0;
        let centre = std::array::from_fn(|k| 0.5 * (region.lo[k] + region.hi[k]));
        Ok(Self {
            background: if views.alpha { Background::Any } else { Background::Colour(config.background.colour()) },
            frame: Frame { centre, half, direction: config.directions.then_some(DIRECTION) },
            march: March { step, most: config.samples, depth: HIDDEN },
            empty: config.empty,
            density: OPAQUE / region.diagonal(),
            batches: Batches::new(seed, rays.len(), batch),
            rng: Rng::new(seed),
            samples: 0,
            views,
            grid,
            rays,
            measured,
        })
    }

    /// Rays that may meet anything.
    pub fn rays(&self) -> usize {
        self.rays.len()
    }

    /// Numbers of coordinates and of values.
    pub fn sizes(&self) -> (usize, usize) {
        (self.frame.inputs(), PIXEL)
    }

    /// Largest density, in 1/world unit.
    pub fn density(&self) -> f32 {
        self.density
    }

    /// Between world units and the network's.
    pub fn normalization(&self) -> Normalization {
        let Frame { centre, half, direction } = self.frame;
        let mut normalization = Normalization {
            input_centre: centre.map(f64::from).to_vec(),
            input_half: vec![f64::from(half); 3],
            output_centre: vec![0.0; PIXEL],
            output_half: vec![1.0, 1.0, 1.0, f64::from(self.density)],
            mask: None,
        };
        if let Some(direction) = direction {
            normalization.input_centre.extend([0.0; 3]);
            normalization.input_half.extend([f64::from(direction); 3]);
        }
        normalization
    }

    /// Points in world units `[n, inputs]` as the network takes them.
    pub fn normalised(&self, x: &[f32]) -> Vec<f32> {
        let width = self.frame.inputs();
        let mut out = Vec::with_capacity(x.len());
        for x in x.chunks_exact(width) {
            let direction = x.get(3..6).map_or([0.0; 3], |d| [d[0], d[1], d[2]]);
            self.frame.push([x[0], x[1], x[2]], direction, &mut out);
        }
        out
    }

    /// Points `[n, 3]`, each seen along a random direction where these count.
    fn framed(&self, points: &[f32], rng: &mut Rng) -> Vec<f32> {
        let mut out = Vec::with_capacity(points.len() / 3 * self.frame.inputs());
        for p in points.chunks_exact(3) {
            let mut direction = [0.0f32; 3];
            if self.frame.direction.is_some() {
                let raw: [f64; 3] = std::array::from_fn(|_| rng.normal());
                let length = raw.iter().map(|v| v * v).sum::<f64>().sqrt();
                direction = raw.map(|v| (v / length) as f32);
            }
            self.frame.push([p[0], p[1], p[2]], direction, &mut out);
        }
        out
    }

    /// Gathers the photographs along the rays of `step`, and that nothing is where the grid knows of nothing.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        if step == 1 {
            engine.set_parameters(&foggy(engine.parameters()?))?;
        }
        if step.is_multiple_of(LOOK_EVERY) {
            self.look(engine, step)?;
        }
        let mut rng = self.rng.stream(&format!("rays {step}"));
        let count = self.batches.size();
        let jitter: Vec<f32> = (0..count).map(|_| rng.uniform() as f32).collect();
        let indices = self.batches.indices(step);
        let chosen = |n: usize| indices.map_or(n, |indices| indices[n] as usize);
        let rays = &self.rays;
        let span = |n: usize| (Some(rays[chosen(n)]), Some(jitter[n]));
        let bundle = Bundle::collect(count, span, &self.grid, &self.march, &self.frame);
        self.samples = bundle.samples();

        // Rays without samples see the background; their error has no gradient.
        let mut measured = Vec::with_capacity(bundle.rays.len() * PIXEL);
        let (mut next, mut unseen) = (bundle.rays.iter().peekable(), 0.0);
        for n in 0..count {
            let pixel = &self.measured[chosen(n) * PIXEL..][..PIXEL];
            if next.next_if(|&&ray| ray as usize == n).is_some() {
                measured.extend_from_slice(pixel);
            } else {
                unseen += f64::from(self.background.error([0.0; 3], 0.0, pixel).0);
            }
        }
        let observation = Rays {
            offsets: &bundle.offsets,
            lengths: &bundle.lengths,
            measured: &measured,
            background: self.background,
            density: self.density,
            mean_over: count,
        };
        let loss = engine.observe(&bundle.points, &observation, 1.0)? + unseen / count as f64;
        if self.empty > 0.0 {
            let points = self.grid.empty_points(TRIES, &mut rng);
            let points = self.framed(&points, &mut rng);
            let count = points.len() / self.frame.inputs();
            engine.observe(&points, &Empty { points: count }, self.empty * f64::from(OPAQUE))?;
        }
        Ok(loss)
    }

    /// Takes densities in some cells into the grid.
    fn look(&mut self, engine: &dyn Engine, step: u64) -> Result<()> {
        let mut rng = self.rng.stream(&format!("cells {step}"));
        let (cells, points) = self.grid.look(CELLS, &mut rng);
        let y = engine.forward(&self.framed(&points, &mut rng))?;
        let density: Vec<f32> = y.iter().skip(3).step_by(PIXEL).map(|d| self.density * d).collect();
        self.grid.update(&cells, &density);
        Ok(())
    }

    /// A grid without knowledge: one cell, all of the box.
    pub fn whole(&self) -> Occupancy {
        Occupancy::new(self.grid.region(), 1, 0.0)
    }

    /// Samples for a picture: every step, to the end.
    pub fn thorough(&self) -> March {
        March { most: 0, depth: f32::MAX, ..self.march }
    }

    /// Whether directions count.
    pub fn directions(&self) -> bool {
        self.frame.direction.is_some()
    }
}

/// The same parameters with the bias of the density, the last of the outputs, at that of faint fog: what starts opaque
/// hides what is behind it from every gradient.
fn foggy(mut parameters: Vec<Parameter>) -> Vec<Parameter> {
    let biases = parameters.iter_mut().filter(|p| p.name.starts_with("layers.") && p.name.ends_with(".bias"));
    if let Some(last) = biases.last().and_then(|p| p.values.last_mut()) {
        *last = FOG;
    }
    parameters
}
