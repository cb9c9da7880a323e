//! Shapes: a mesh on its way into a network that says what is inside, or how far the surface is.

use std::path::PathBuf;

use rayon::prelude::*;
use rwf_runtime::format::Activation;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::observed::{Findings, Measurement, Observed, Subject, hash};
use crate::{
    config::{self, RunConfig, SignalRecord, check_signal as check},
    engine::{Batch, Engine, Loss},
    error::{Error, Result},
    evaluate::Evaluator,
    export::Description,
    file::write_atomically,
    fold::Normalization,
    observation::SignedDistance,
    plot::{self, March, View},
    rng::Rng,
    signal::{
        Quantity,
        shape::{self, Agreement, Mesh, Point, Solid, Surface, agreement, marching_cubes, uniform},
    },
    train::{Batches, RunFolder, Score, metrics::short},
};

/// Side of the domain, a cube, over the longest side of the mesh.
const ROOM: f64 = 1.1;
/// Deviation of hard test points from the surface, over the side of the domain (Tancik et al. 2020).
pub(super) const HARD: f64 = 0.01;
/// Side of the cube that samples are drawn all over, over that of the domain: what the network is at a border that no sample
/// lies beyond is anybody's guess, and pieces of surface stand there.
const MARGIN: f64 = 1.1;
/// Most test points of each kind while training.
const MONITORED: usize = 1 << 14;
/// Points of each surface for chamfer distance and normals.
const COMPARED: usize = 1 << 15;
/// Samples one stream of random numbers gives, so that they can be drawn by several threads.
const BLOCK: usize = 4096;

const RENDER: &str = "render.png";
const SLICES: &str = "slices.png";
const SURFACES: [&str; 2] = ["surface.ply", "surface.obj"];

/// What the network says of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ShapeKind {
    /// How surely it is inside, 0 to 1
    Occupancy,
    /// How far the surface is, in the mesh's unit, negative inside
    Sdf,
}

/// What is fitted, `[signal]` of `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeConfig {
    /// The mesh.
    pub path: PathBuf,
    /// What the network says of a place.
    pub kind: ShapeKind,
    /// Unit of the mesh's coordinates; empty when it has none.
    #[serde(default)]
    pub unit: String,
    /// Points drawn once and trained on.
    pub samples: usize,
    /// Weight of (|∇f| - 1)² in the loss of a distance; 0: only its values are trained.
    pub eikonal: f64,
    /// Test points of each kind: all over, and near the surface.
    pub tested: usize,
    /// Nodes along a side of the grid the surface is taken from.
    pub resolution: usize,
    /// Pixels along a side of each view in `render.png`.
    pub pixels: u32,
}

impl SignalRecord for ShapeConfig {
    const TASK: &'static str = "shape";

    fn validate(&self) -> Result<()> {
        check((1024..=1 << 24).contains(&self.samples), "samples", self.samples.to_string(), "1024 to 16777216")?;
        check((1..=1 << 24).contains(&self.tested), "tested", self.tested.to_string(), "1 to 16777216")?;
        check((0.0..=100.0).contains(&self.eikonal), "eikonal", self.eikonal.to_string(), "0 to 100")?;
        check((8..=512).contains(&self.resolution), "resolution", self.resolution.to_string(), "8 to 512")?;
        check((16..=4096).contains(&self.pixels), "pixels", self.pixels.to_string(), "16 to 4096")
    }
}

/// Defaults for a kind of network, the lowest layer under [`config::resolve`].
pub fn defaults(kind: ShapeKind) -> Table {
    config::defaults_with(match kind {
        ShapeKind::Occupancy => {
            "
            [signal]
            kind = 'occupancy'
            samples = 2097152
            eikonal = 0.0
            tested = 262144
            resolution = 128
            pixels = 360
            [network]
            architecture = 'mlp'
            activation = 'relu'
            hidden = 128
            depth = 3
            [network.mapping]
            kind = 'gaussian'
            frequencies = 128
            scale = 1.0
            [training]
            steps = 1500
            batch = 16384
            learning_rate = 2e-3
            "
        }
        ShapeKind::Sdf => {
            "
            [signal]
            kind = 'sdf'
            samples = 524288
            eikonal = 0.05
            tested = 262144
            resolution = 128
            pixels = 360
            [network]
            architecture = 'siren'
            hidden = 32
            depth = 3
            omega0 = 15.0
            omega0_first = 15.0
            [training]
            steps = 6000
            batch = 8192
            learning_rate = 1e-3
            [export]
            precision = 'f16'
            "
        }
    })
}

/// Where points are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// All over a cube, its side over that of the domain.
    All(f64),
    /// Off the surface by normal numbers with this deviation, over the side of the domain.
    Near(f64),
}

/// Shares of the samples and where they are.
pub(super) fn mixture(kind: ShapeKind) -> [(f64, Place); 3] {
    use Place::{All, Near};
    match kind {
        ShapeKind::Occupancy => [(0.4, All(MARGIN)), (0.4, Near(HARD)), (0.2, Near(0.3 * HARD))],
        ShapeKind::Sdf => [(0.3, All(MARGIN)), (0.3, Near(0.03)), (0.4, Near(0.5 * HARD))],
    }
}

/// A mesh on its way into a network.
#[derive(Debug)]
pub struct Shape {
    solid: Solid,
    record: ShapeConfig,
    view: View,
    subject: Subject,
    batches: Batches,
    batch: usize,
    /// Samples in the network's units.
    x: Vec<f32>,
    y: Vec<f32>,
    monitored: Test,
    tested: Option<Test>,
}

/// Test points of both kinds and whether they are inside.
#[derive(Debug)]
struct Test {
    easy: (Vec<f32>, Vec<bool>),
    hard: (Vec<f32>, Vec<bool>),
}

/// How a network's shape compares with the mesh.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Intersection over union of points all over the domain.
    pub easy: f64,
    /// The same near the surface.
    pub hard: f64,
    /// Distances between the surfaces; none where the network has no surface.
    pub agreement: Option<Agreement>,
    /// Root mean square of the error of the distance at the hard points, in the mesh's unit.
    pub distance: Option<f64>,
    tested: usize,
    unit: String,
    side: f64,
    surface: Option<Mesh>,
}

impl Findings for Fitted {
    fn score(&self) -> Score {
        Score::new("IoU hard", self.hard)
    }

    fn summary(&self) -> String {
        let mut words = format!("iou_easy={:.5};iou_hard={:.5}", self.easy, self.hard);
        if let Some(a) = &self.agreement {
            words +=
                &format!(";chamfer={:.4e};largest={:.4e};normal_deg={:.2}", a.chamfer, a.largest, a.normal_degrees);
        }
        if let Some(d) = self.distance {
            words += &format!(";distance_rmse={d:.4e}");
        }
        words
    }

    fn table(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let size = |d: f64| format!("{}{unit} ({:.3} % of the domain's side)", short(d), 100.0 * d / self.side);
        let mut text = format!(
            "measured by the runtime: IoU {:.4} over the domain, {:.4} near the surface (deviation {HARD} of its side), \
             {} points each",
            self.easy, self.hard, self.tested
        );
        match &self.agreement {
            None => text += "\nno surface: the network is all inside or all outside",
            Some(a) => {
                text += &format!(
                    "\nits surface is off by {} on the mean, {} at most; normals by {:.1} degrees",
                    size(a.chamfer),
                    size(a.largest),
                    a.normal_degrees
                );
            }
        }
        if let Some(d) = self.distance {
            text += &format!("\nRMS error of the distance near the surface: {}", size(d));
        }
        text
    }
}

impl Shape {
    /// As a field that is negative inside.
    fn field(&self, values: &[f32]) -> Vec<f64> {
        match self.record.kind {
            ShapeKind::Occupancy => values.iter().map(|&p| 0.5 - f64::from(p)).collect(),
            ShapeKind::Sdf => values.iter().map(|&d| f64::from(d)).collect(),
        }
    }

    fn march(&self) -> March {
        match self.record.kind {
            ShapeKind::Occupancy => March::Steps(96),
            ShapeKind::Sdf => March::Sphere,
        }
    }

    /// The network's surface.
    fn surface(&self, model: &dyn Evaluator) -> Option<Mesh> {
        let n = self.record.resolution;
        let lo = self.view.centre - Point::repeat(self.view.half);
        let step = 2.0 * self.view.half / (n - 1) as f64;
        let mut values = Vec::with_capacity(n * n * n);
        for z in 0..n {
            let at = |i: usize| lo + Point::new((i % n) as f64, (i / n) as f64, z as f64) * step;
            let layer: Vec<f32> = (0..n * n).flat_map(|i| at(i).map(|c| c as f32).data.0[0]).collect();
            values.extend(model.evaluate(&layer).into_iter().map(|v| match self.record.kind {
                // Steep as an occupancy is, a place between two nodes is better told by its logit.
                ShapeKind::Occupancy => logit(v),
                ShapeKind::Sdf => -v,
            }));
        }
        marching_cubes("network", &values, [n; 3], lo, Point::repeat(step)).ok()
    }

    fn iou(&self, model: &dyn Evaluator, (x, truth): &(Vec<f32>, Vec<bool>)) -> f64 {
        let values = model.evaluate(x);
        if values.iter().any(|v| v.is_nan()) {
            return f64::NAN;
        }
        let is_inside = |v: &f32| match self.record.kind {
            ShapeKind::Occupancy => *v > 0.5,
            ShapeKind::Sdf => *v < 0.0,
        };
        iou(values.iter().map(is_inside).zip(truth.iter().copied()))
    }
}

/// Intersection over union of two sets of points.
pub(super) fn iou(points: impl Iterator<Item = (bool, bool)>) -> f64 {
    let (both, either) =
        points.fold((0u64, 0u64), |(both, either), (a, b)| (both + u64::from(a && b), either + u64::from(a || b)));
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

fn logit(p: f32) -> f32 {
    let p = f64::from(p).clamp(1e-7, 1.0 - 1e-7);
    libm::log(p / (1.0 - p)) as f32
}

impl Test {
    /// The same for every seed, so that runs are measured alike.
    fn new(solid: &Solid, view: View, points: usize) -> Self {
        let all = draw(solid, view, points, &[(1.0, Place::All(1.0))], &Rng::new(0), "easy");
        let near = draw(solid, view, points, &[(1.0, Place::Near(HARD))], &Rng::new(0), "hard");
        let with = |points: Vec<Point>| {
            let inside = points.par_iter().map(|&p| solid.inside(p)).collect();
            (points.iter().flat_map(|p| p.map(|c| c as f32).data.0[0]).collect(), inside)
        };
        Self { easy: with(all), hard: with(near) }
    }
}

/// Points by a mixture, block by block from streams of their own.
pub(super) fn draw(
    solid: &Solid,
    view: View,
    points: usize,
    mixture: &[(f64, Place)],
    rng: &Rng,
    name: &str,
) -> Vec<Point> {
    let surface = Surface::new(solid.mesh());
    let block = |n: usize| {
        let mut rng = rng.stream(&format!("{name} {n}"));
        let count = BLOCK.min(points - n * BLOCK);
        let one = |_| {
            let mut choice = rng.uniform();
            let part = mixture.iter().find(|(share, _)| {
                choice -= share;
                choice < 0.0
            });
            match part.or(mixture.last()) {
                Some((_, Place::Near(deviation))) => surface.near(deviation * 2.0 * view.half, &mut rng),
                Some((_, Place::All(side))) => {
                    let reach = Point::repeat(side * view.half);
                    uniform(view.centre - reach, view.centre + reach, &mut rng)
                }
                None => unreachable!("a mixture has parts"),
            }
        };
        (0..count).map(one).collect::<Vec<_>>()
    };
    (0..points.div_ceil(BLOCK)).into_par_iter().flat_map_iter(block).collect()
}

/// The cube that is looked at.
pub(super) fn view(mesh: &Mesh, pixels: u32) -> View {
    let (lo, hi) = mesh.bounds();
    View { centre: 0.5 * (lo + hi), half: 0.5 * ROOM * (hi - lo).max(), pixels }
}

impl Observed for Shape {
    type Record = ShapeConfig;
    type Findings = Fitted;
    const FILES: &'static [&'static str] = &[RENDER, SLICES, SURFACES[0], SURFACES[1]];

    fn open(config: &RunConfig<ShapeConfig>) -> Result<Self> {
        let record = config.signal.clone();
        let mesh = shape::load(&record.path)?;
        let kind = record.kind;
        let headline = format!(
            "shape: {}, {} vertices, {} triangles, {}",
            mesh.name,
            mesh.vertices.len(),
            mesh.triangles.len(),
            mesh.condition
        );
        let title = format!("{} ({})", mesh.name, if kind == ShapeKind::Sdf { "signed distance" } else { "occupancy" });
        let corners = (0..mesh.triangles.len()).flat_map(|t| mesh.corners(t));
        let hash = hash(corners.flat_map(|p| p.map(|c| c as f32).data.0[0]));
        let (view, solid) = (view(&mesh, record.pixels), Solid::new(mesh));

        let unit = &record.unit;
        let axis = |k: usize| {
            let name = ["x", "y", "z"][k];
            Quantity::new(name, unit, view.centre[k] - view.half, view.centre[k] + view.half)
        };
        let inputs: Vec<Quantity> = (0..3).map(axis).collect();
        let (output, half, head, word) = match kind {
            ShapeKind::Occupancy => (Quantity::new("inside", "", 0.0, 1.0), 1.0, Activation::Sigmoid, "occupancy"),
            ShapeKind::Sdf => {
                let reach = 3f64.sqrt() * view.half;
                (Quantity::new("distance", unit, -reach, reach), view.half, Activation::Identity, "signed-distance")
            }
        };
        let points = draw(&solid, view, record.samples, &mixture(kind), &Rng::new(config.training.seed), "samples");
        let y = points.par_iter().map(|&p| match kind {
            ShapeKind::Occupancy => f32::from(u8::from(solid.inside(p))),
            ShapeKind::Sdf => (solid.signed_distance(p) / view.half) as f32,
        });
        let y = y.collect();
        let x = points.iter().flat_map(|p| ((p - view.centre) / view.half).map(|c| c as f32).data.0[0]).collect();
        let batches = Batches::new(config.training.seed, points.len(), config.training.batch);
        let subject = Subject {
            headline,
            title,
            step: format!("{} of {} points", batches.size(), points.len()),
            description: Description {
                signal: word.into(),
                inputs: Quantity::describe(&inputs),
                outputs: Quantity::describe(&[output]),
                grid: None,
                error: None,
                provenance: String::new(),
            },
            normalization: Normalization {
                input_centre: view.centre.iter().copied().collect(),
                input_half: vec![view.half; 3],
                output_centre: vec![0.0],
                output_half: vec![half],
                mask: None,
            },
            head,
            hash,
        };
        let monitored = Test::new(&solid, view, record.tested.min(MONITORED));
        let batch = batches.size();
        Ok(Self { solid, record, view, subject, batches, batch, x, y, monitored, tested: None })
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn prepare(&mut self, engine: &mut dyn Engine) -> Result<()> {
        match self.record.kind {
            ShapeKind::Occupancy => engine.load(&self.x, &self.y),
            ShapeKind::Sdf if self.record.eikonal > 0.0 => {
                let name = engine.name();
                let found = engine.jets(&[&SignedDistance::plan()?]).map(drop);
                found.map_err(|_| Error::Config {
                    field: "signal.eikonal".into(),
                    message: format!(
                        "found {} with the {name} engine, expected 0: slopes need `--engine fused` or `--engine cuda`",
                        self.record.eikonal
                    ),
                })
            }
            ShapeKind::Sdf => Ok(()),
        }
    }

    fn loaded(&mut self) -> Option<(&mut Batches, Loss)> {
        (self.record.kind == ShapeKind::Occupancy).then_some((&mut self.batches, Loss::BinaryCrossEntropy))
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let indices = self.batches.indices(step);
        if self.record.kind == ShapeKind::Occupancy {
            return engine.observe_batch(indices.map_or(Batch::Full, Batch::Indices), Loss::BinaryCrossEntropy, 1.0);
        }
        let mut x = Vec::with_capacity(3 * self.batch);
        let mut y = Vec::with_capacity(self.batch);
        match indices {
            None => (x, y) = (self.x.clone(), self.y.clone()),
            Some(indices) => indices.iter().for_each(|&i| {
                x.extend_from_slice(&self.x[3 * i as usize..][..3]);
                y.push(self.y[i as usize]);
            }),
        }
        let observation = SignedDistance::new(&y, self.record.eikonal);
        if self.record.eikonal > 0.0 {
            observation.observe_slopes(engine, &x)
        } else {
            engine.observe(&x, &observation, 1.0)
        }
    }

    fn columns(&self) -> Vec<String> {
        vec!["iou_hard".into(), "iou_easy".into()]
    }

    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement> {
        let (easy, hard) = (self.iou(model, &self.monitored.easy), self.iou(model, &self.monitored.hard));
        Ok(Measurement { score: Score::new("IoU hard", hard), columns: vec![hard, easy], target_reached: false })
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Fitted> {
        let test = self.tested.take().unwrap_or_else(|| Test::new(&self.solid, self.view, self.record.tested));
        let distance = (self.record.kind == ShapeKind::Sdf).then(|| {
            let x = &test.hard.0[..3 * COMPARED.min(self.record.tested)];
            let found = model.evaluate(x);
            let square = |(p, d): (&[f32], &f32)| {
                let p = Point::new(f64::from(p[0]), f64::from(p[1]), f64::from(p[2]));
                (self.solid.signed_distance(p) - f64::from(*d)).powi(2)
            };
            let sum: f64 = x.par_chunks_exact(3).zip(&found).map(square).collect::<Vec<_>>().iter().sum();
            (sum / found.len() as f64).sqrt()
        });
        let surface = self.surface(model);
        let (easy, hard) = (self.iou(model, &test.easy), self.iou(model, &test.hard));
        self.tested = Some(test);
        Ok(Fitted {
            easy,
            hard,
            agreement: surface.as_ref().map(|s| agreement(&self.solid, &Solid::new(s.clone()), COMPARED)),
            distance,
            tested: self.record.tested,
            unit: self.record.unit.clone(),
            side: 2.0 * self.view.half,
            surface,
        })
    }

    fn pictures(&mut self, model: &dyn Evaluator, found: &Fitted, folder: &RunFolder) -> Result<()> {
        let network = |points: &[Point]| {
            let x: Vec<f32> = points.iter().flat_map(|p| p.map(|c| c as f32).data.0[0]).collect();
            self.field(&model.evaluate(&x))
        };
        let truth = |points: &[Point]| -> Vec<f64> {
            points
                .par_iter()
                .map(|&p| match self.record.kind {
                    ShapeKind::Occupancy => 0.5 - f64::from(u8::from(self.solid.inside(p))),
                    ShapeKind::Sdf => self.solid.signed_distance(p),
                })
                .collect()
        };
        // The logit has a slope wherever the occupancy itself is flat.
        let level = |points: &[Point]| -> Vec<f64> {
            let probability = |v: f64| -f64::from(logit((0.5 - v) as f32));
            match self.record.kind {
                ShapeKind::Occupancy => network(points).into_iter().map(probability).collect(),
                ShapeKind::Sdf => network(points),
            }
        };
        let march = self.march();
        let caption = format!("network: IoU {:.4}, near the surface {:.4}", found.easy, found.hard);
        let pair = vec![
            (self.solid.mesh().name.clone(), self.view.mesh(&self.solid)),
            (caption, self.view.field(&level, march)),
        ];
        plot::save_png(&folder.file(RENDER), &plot::sheet(&[pair])?)?;
        let rows: Vec<Vec<_>> = [("mesh", None), ("network, outline of the mesh", Some(&truth))]
            .into_iter()
            .map(|(name, outline)| {
                let one = |axis: usize| {
                    let caption = format!("{name}, across {}", ["x", "y", "z"][axis]);
                    let picture = match outline {
                        None => self.view.slice(axis, &truth, march, None),
                        Some(truth) => self.view.slice(axis, &network, march, Some(truth)),
                    };
                    (caption, picture)
                };
                (0..3).map(one).collect()
            })
            .collect();
        plot::save_png(&folder.file(SLICES), &plot::sheet(&rows)?)?;
        if let Some(surface) = &found.surface {
            write_atomically(&folder.file(SURFACES[0]), &shape::ply(surface))?;
            write_atomically(&folder.file(SURFACES[1]), &shape::obj(surface))?;
        }
        Ok(())
    }
}
