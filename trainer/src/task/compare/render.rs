//! Inverse rendering: photographs from known places, measured at views that were held out.

use std::{path::PathBuf, sync::Arc};

use image::{RgbImage, imageops};

use super::{Options, Plan, Row, rows::Sizes, rows_of_outputs};
use crate::{
    compare::{Block, Observe, Problem, Results, Scale, Trial},
    config::{self, TrainingConfig},
    engine::Engine,
    error::{Error, Result},
    observation::Picture,
    plot::{rgb, sheet},
    signal::views::{PIXEL, Scene, SceneOptions, Views},
    task::render::{Field, RenderConfig, over},
};

/// What belongs to inverse rendering alone.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderOptions {
    /// Folder of photographs; none: a scene of our own.
    pub views: Option<PathBuf>,
    /// Pixels along the longer side.
    pub size: usize,
    /// Architectures and mappings.
    pub rows: Vec<Row>,
}

/// Rays a step.
const RAYS: usize = 512;
/// Held-out views measured.
const MEASURED: usize = 2;
/// Measurements of a training; each renders pictures.
const MEASUREMENTS: u64 = 20;

struct Seen {
    views: Arc<Views>,
    config: Arc<RenderConfig>,
    /// From [`Problem::prepare`] on.
    field: Option<Field>,
}

pub(super) fn plan<'a>(options: &Options, render: &'a RenderOptions) -> Result<Plan<'a>> {
    if render.rows.is_empty() {
        return Err(Error::Config { field: "--rows".into(), message: "found nothing to compare".into() });
    }
    let folder = match &render.views {
        Some(folder) => folder.clone(),
        None => {
            let folder = options.folder.join("scene");
            Scene::write(&folder, &SceneOptions { size: render.size, ..SceneOptions::default() })?;
            folder
        }
    };
    let mut config = RenderConfig::of(&folder)?;
    (config.size, config.skip_missing) = (render.size, true);
    let views = Views::load(&folder, &config.views())?;
    if views.held_out.is_empty() {
        return Err(Error::Signal { path: folder, message: "found no view to hold out, expected some".into() });
    }
    let name = folder.file_name().map_or_else(|| "views".into(), |n| n.to_string_lossy().into_owned());
    let size = if options.quick { (1, 300) } else { (3, 1500) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    let sizes = Sizes {
        hidden: 64,
        depth: 3,
        frequencies: 64,
        scale: 2.0,
        max_power: 3.0,
        sigmoid: true,
        rate: 2e-3,
        siren_rate: 5e-4,
    };
    let mut trials = Vec::new();
    for row in render.rows.iter().filter(|row| row.sigmoid()) {
        let observe = |seed| Observe { output: seed == 0, kernel: false };
        trials.extend(options.trials(row.name(), &|_| name.clone(), &row.preset(&sizes), size, &observe));
    }
    for trial in &mut trials {
        (trial.training.batch, trial.training.evaluate_every) = (RAYS, (size.1 / MEASUREMENTS).max(1));
    }
    let camera = &views.training[0].camera;
    let about = format!(
        "Inverse rendering of `{name}`: {} views of {}x{} pixels, PSNR over {} held-out views rendered by the network in \
         training, in front of white. {RAYS} rays a step, at most {} samples a ray, empty space skipped; 3 hidden layers \
         of 64 neurons; Gaussian mapping of 64 frequencies with scale 2, positional encoding up to 2^3, coordinates in \
         [-1, 1]; learning rate 2e-3. Measured {MEASUREMENTS} times.",
        views.training.len(),
        camera.width,
        camera.height,
        views.held_out.len().min(MEASURED),
        config.samples,
    );
    let (views, config) = (Arc::new(views), Arc::new(config));
    let shown = Arc::clone(&views);
    Ok(Plan {
        trials,
        problem: Box::new(move |_: &Trial| {
            Ok(Box::new(Seen { views: Arc::clone(&views), config: Arc::clone(&config), field: None }))
        }),
        title: "Inverse rendering",
        about,
        figures: Box::new(move |results| figures(results, &shown)),
        tables: true,
    })
}

impl RenderConfig {
    /// The defaults for a folder.
    fn of(folder: &std::path::Path) -> Result<Self> {
        let signal = toml::Table::from_iter([("path".to_owned(), folder.to_string_lossy().into_owned().into())]);
        let known = toml::Table::from_iter([("signal".to_owned(), signal.into())]);
        Ok(config::resolve::<Self>([Self::defaults(), known])?.signal)
    }
}

impl Seen {
    fn field(&mut self) -> &mut Field {
        self.field.as_mut().expect("prepared")
    }
}

impl Problem for Seen {
    fn sizes(&self) -> (usize, usize) {
        (if self.config.directions { 6 } else { 3 }, PIXEL)
    }

    fn scale(&self) -> Scale {
        Scale::Psnr { range: 1.0 }
    }

    fn prepare(&mut self, _: &mut dyn Engine, plan: &TrainingConfig) -> Result<()> {
        self.field = Some(Field::new(self.views.as_ref().clone(), &self.config, plan.seed, plan.batch)?);
        Ok(())
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.field().gather(engine, step)
    }

    /// Mean squared error over the held-out views, and the render of the first, `[pixels, 3]`.
    fn measure(&mut self, engine: &dyn Engine) -> Result<(f64, Vec<f32>)> {
        let background = self.config.background.colour();
        let views = Arc::clone(&self.views);
        let field = self.field();
        let (mut sum, mut count, mut first) = (0.0, 0, Vec::new());
        for view in &views.held_out[..views.held_out.len().min(MEASURED)] {
            // An engine that cannot evaluate shows as an error that is not finite.
            let evaluate = |x: &[f32]| {
                let mut y = engine.forward(&field.normalised(x)).unwrap_or_else(|_| vec![f32::NAN; x.len() * PIXEL]);
                y.iter_mut().skip(3).step_by(PIXEL).for_each(|d| *d *= field.density());
                y
            };
            let picture = Picture::render(&view.camera, &field.grid, &field.thorough(), field.directions(), &evaluate);
            let render = picture.over(background);
            let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
            sum += render.iter().zip(&over(view, background)).map(square).sum::<f64>();
            count += render.len();
            if first.is_empty() {
                first = render;
            }
        }
        Ok((sum / count as f64, first))
    }
}

/// What each method made of the first held-out view, a row of the table a line.
fn figures(results: &Results<'_>, views: &Views) -> Result<Vec<Block>> {
    let view = &views.held_out[0];
    let size = (view.camera.width, view.camera.height);
    let large = |values: &[f32]| -> RgbImage {
        let picture = rgb(values, size);
        let times = (200 / picture.width()).max(1);
        let (w, h) = (picture.width() * times, picture.height() * times);
        imageops::resize(&picture, w, h, imageops::FilterType::Nearest)
    };
    let mut lines = rows_of_outputs(results, &large);
    lines.push(vec![(view.name.clone(), large(&over(view, [1.0; 3])))]);
    Ok(vec![Block::Figure(
        "held-out".into(),
        format!(
            "{}, a held-out view: what the networks made of it, seed 0, at the same rate; last: the photograph.",
            view.name
        ),
        sheet(&lines)?,
    )])
}
