//! Occupancy of a solid by the protocol of Tancik et al. 2020: cross-entropy, intersection over union of points near the
//! surface.

use std::{path::PathBuf, sync::Arc};

use rayon::prelude::*;

use super::{Options, Plan, Row, rows::Sizes};
use crate::{
    compare::{Observe, Problem, Scale, Trial},
    config::TrainingConfig,
    engine::{Batch, Engine, Loss},
    error::{Error, Result},
    rng::Rng,
    signal::shape::{self, Point, Solid},
    task::shape::{HARD, Place, ShapeKind, draw, iou, mixture, view},
    train::Batches,
};

/// What belongs to shapes alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapeOptions {
    /// Mesh; none: a trefoil knot of our own.
    pub mesh: Option<PathBuf>,
    /// Architectures and mappings.
    pub rows: Vec<Row>,
}

/// Points trained on, and points tested on.
const SAMPLES: usize = 1 << 18;
const TESTED: usize = 1 << 15;

/// Samples of one seed, in coordinates of [-1, 1].
struct Samples {
    x: Vec<f32>,
    inside: Vec<f32>,
}

struct Occupancy {
    training: Arc<Samples>,
    test: Arc<Samples>,
    symmetric: bool,
    batches: Option<Batches>,
}

pub(super) fn plan<'a>(options: &Options, shape: &'a ShapeOptions) -> Result<Plan<'a>> {
    let mesh = match &shape.mesh {
        Some(path) => shape::load(path)?,
        None => shape::trefoil(300, 24),
    };
    if shape.rows.is_empty() {
        return Err(Error::Config { field: "--rows".into(), message: "found nothing to compare".into() });
    }
    let (name, view) = (mesh.name.clone(), view(&mesh, 0));
    let solid = Solid::new(mesh);
    let make = |points: Vec<Point>| {
        let inside = points.par_iter().map(|&p| f32::from(u8::from(solid.inside(p)))).collect();
        let x = points.iter().flat_map(|p| ((p - view.centre) / view.half).map(|c| c as f32).data.0[0]).collect();
        Arc::new(Samples { x, inside })
    };
    let size = if options.quick { (1, 300) } else { (3, 1000) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    let of = |seed| make(draw(&solid, view, SAMPLES, &mixture(ShapeKind::Occupancy), &Rng::new(seed), "samples"));
    let training: Vec<Arc<Samples>> = (0..size.0).map(of).collect();
    let test = make(draw(&solid, view, TESTED, &[(1.0, Place::Near(HARD))], &Rng::new(0), "hard"));

    let hidden = if options.quick { 32 } else { 64 };
    let sizes = Sizes {
        hidden,
        depth: 3,
        frequencies: hidden,
        scale: 2.0,
        max_power: 4.0,
        sigmoid: false,
        rate: 1e-3,
        siren_rate: 3e-4,
    };
    let mut trials = Vec::new();
    for row in &shape.rows {
        let unobserved = |_| Observe::default();
        trials.extend(options.trials(row.name(), &|_| name.clone(), &row.preset(&sizes), size, &unobserved));
    }
    trials.iter_mut().for_each(|t| t.training.batch = 4096);
    let about = format!(
        "Occupancy of `{name}`; {SAMPLES} points, 40 % all over a cube 1.21 times as wide as the shape, 40 % and 20 % off \
         its surface by normal numbers of 1 % and 0.3 % of the cube's side; binary cross-entropy of logits, batches of \
         4,096. Intersection over union of {TESTED} other points, all off the surface by 1 % (the \"hard\" test of Tancik \
         et al. 2020). 3 hidden layers of {hidden} neurons; Gaussian mapping of {hidden} frequencies with scale 2, \
         positional encoding up to 2^4, coordinates in [0, 1], a SIREN's in [-1, 1]; learning rate 1e-3, a SIREN's 3e-4."
    );
    Ok(Plan {
        trials,
        problem: Box::new(move |trial: &Trial| {
            Ok(Box::new(Occupancy {
                training: Arc::clone(&training[trial.training.seed as usize]),
                test: Arc::clone(&test),
                symmetric: trial.row == Row::Siren.name(),
                batches: None,
            }))
        }),
        title: "Shapes",
        about,
        figures: Box::new(|_| Ok(Vec::new())),
        tables: true,
    })
}

impl Occupancy {
    /// Coordinates as the row has them.
    fn coordinates(&self, samples: &Samples) -> Vec<f32> {
        let place = |x: &f32| if self.symmetric { *x } else { 0.5 + 0.5 * x };
        samples.x.iter().map(place).collect()
    }
}

impl Problem for Occupancy {
    fn sizes(&self) -> (usize, usize) {
        (3, 1)
    }

    fn scale(&self) -> Scale {
        Scale::Iou
    }

    fn prepare(&mut self, engine: &mut dyn Engine, plan: &TrainingConfig) -> Result<()> {
        self.batches = Some(Batches::new(plan.seed, self.training.inside.len(), plan.batch));
        engine.load(&self.coordinates(&self.training), &self.training.inside)
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        let indices = self.batches.as_mut().expect("prepared").indices(step);
        engine.observe_batch(indices.map_or(Batch::Full, Batch::Indices), Loss::BinaryCrossEntropy, 1.0)
    }

    fn measure(&mut self, engine: &dyn Engine) -> Result<(f64, Vec<f32>)> {
        let logits = engine.forward(&self.coordinates(&self.test))?;
        if logits.iter().any(|v| v.is_nan()) {
            return Ok((f64::NAN, logits));
        }
        let found = logits.iter().map(|z| *z > 0.0);
        let error = 1.0 - iou(found.zip(self.test.inside.iter().map(|t| *t > 0.5)));
        Ok((error, logits))
    }
}
