//! Inverse rendering: photographs from known places become a field of colours and densities (Mildenhall et al. 2020).

mod config;
mod field;
mod turntable;

use rwf_runtime::format::Activation;

pub use config::{Backdrop, RenderConfig};
pub use field::Field;

use super::observed::{Findings, Measurement, Observed, Subject, hash};
use crate::{
    config::RunConfig,
    domain::Occupancy,
    engine::Engine,
    error::{Error, Result},
    evaluate::Evaluator,
    export::Description,
    network::{ActivationKind, Parameter, find},
    observation::Picture,
    plot::{self, ViewPanels},
    signal::{
        Quantity,
        views::{PIXEL, View, Views},
    },
    train::{RunFolder, Score, ssim},
};

/// Held-out views measured while training; at the end all are.
const MONITORED: usize = 2;
/// Trained views measured at the end.
const TRAINED: usize = 4;
/// Views shown in the picture.
const SHOWN: usize = 3;
/// Opacity below which a pixel has no depth.
const SOLID: f32 = 0.5;
/// Name of the occupancy grid in a checkpoint.
const GRID: &str = "occupancy";
/// Photographs, renders, errors, depths.
const VIEWS: &str = "views.png";
/// The scene from all around.
const TURNTABLE: &str = "turntable.gif";

/// Photographs on their way into a network.
#[derive(Debug)]
pub struct Render {
    field: Field,
    subject: Subject,
    config: RenderConfig,
}

/// How alike renders and photographs are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Mean of the views' peak signal-to-noise ratios, in dB.
    pub psnr: f64,
    /// Mean of their structural similarities.
    pub ssim: f64,
    /// Number of views.
    pub views: usize,
}

/// What a model makes of the views.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Of views trained on, some of them.
    pub trained: Quality,
    /// Of views held out, if any were.
    pub held_out: Option<Quality>,
    /// Renders of the first views, held out if there are such.
    shown: Vec<(usize, Picture, f64)>,
}

impl Findings for Rendered {
    fn score(&self) -> Score {
        Score::psnr(self.held_out.unwrap_or(self.trained).psnr)
    }

    fn summary(&self) -> String {
        let one = |name: &str, q: &Quality| {
            format!("{name}_psnr_db={:.2};{name}_ssim={:.4};{name}_views={}", q.psnr, q.ssim, q.views)
        };
        let held_out = self.held_out.iter().map(|q| one("held_out", q));
        held_out.chain([one("trained", &self.trained)]).collect::<Vec<_>>().join(";")
    }

    fn table(&self) -> String {
        let one = |name: &str, q: &Quality| {
            format!("  {name:<22} PSNR {:6.2} dB   SSIM {:.4}   {} view(s)\n", q.psnr, q.ssim, q.views)
        };
        let mut text = String::from("renders by the runtime of the file alone, against the photographs:\n");
        if let Some(q) = &self.held_out {
            text += &one("held out of training", q);
        }
        text += &one("trained on", &self.trained);
        text.trim_end().to_owned()
    }
}

impl Render {
    fn picture(&self, view: &View, grid: &Occupancy, model: &dyn Evaluator) -> Picture {
        let (march, directions) = (self.field.thorough(), self.field.directions());
        Picture::render(&view.camera, grid, &march, directions, &|x| model.evaluate(x))
    }

    /// PSNR and SSIM of a render in front of the background.
    fn compare(&self, view: &View, picture: &Picture) -> (f64, f64) {
        let background = self.config.background.colour();
        let (render, photograph) = (clipped(picture.over(background)), over(view, background));
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let mean = render.iter().zip(&photograph).map(square).sum::<f64>() / render.len() as f64;
        let alike = ssim(&render, &photograph, (picture.width, picture.height), 3, 1.0);
        (-10.0 * mean.log10(), alike)
    }

    fn quality(&self, views: &[View], grid: &Occupancy, model: &dyn Evaluator) -> (Quality, Vec<(Picture, f64)>) {
        let mut quality = Quality { psnr: 0.0, ssim: 0.0, views: views.len() };
        let pictures = views
            .iter()
            .map(|view| {
                let picture = self.picture(view, grid, model);
                let (psnr, ssim) = self.compare(view, &picture);
                quality.psnr += psnr / views.len() as f64;
                quality.ssim += ssim / views.len() as f64;
                (picture, psnr)
            })
            .collect();
        (quality, pictures)
    }

    /// Views to be shown and measured first: held out, if there are such.
    fn foremost(&self) -> &[View] {
        let views = &self.field.views;
        if views.held_out.is_empty() { &views.training } else { &views.held_out }
    }
}

/// Values within what a picture can show; a NaN stays one.
fn clipped(mut values: Vec<f32>) -> Vec<f32> {
    values.iter_mut().for_each(|v| *v = if v.is_nan() { *v } else { v.clamp(0.0, 1.0) });
    values
}

/// All that a view is, for a hash: where two corners of its picture look, and its pixels.
fn numbers(view: &View) -> impl Iterator<Item = f32> + '_ {
    let corners = [view.camera.ray(0), view.camera.ray(view.camera.pixels() - 1)];
    let camera = corners.into_iter().flat_map(|r| r.origin.into_iter().chain(r.direction));
    camera.chain(view.pixels.iter().copied())
}

/// A photograph in front of a background, `[pixels, 3]`.
pub(super) fn over(view: &View, background: [f32; 3]) -> Vec<f32> {
    let pixel = |p: &[f32]| -> [f32; 3] { std::array::from_fn(|k| p[k] + (1.0 - p[3]) * background[k]) };
    view.pixels.chunks_exact(PIXEL).flat_map(pixel).collect()
}

impl Observed for Render {
    type Record = RenderConfig;
    type Findings = Rendered;
    const FILES: &'static [&'static str] = &[VIEWS, TURNTABLE];

    fn open(config: &RunConfig<RenderConfig>) -> Result<Self> {
        if config.network.output_activation != ActivationKind::Sigmoid {
            return Err(Error::Config {
                field: "network.output_activation".into(),
                message: format!(
                    "found {:?}, expected sigmoid: colours and densities lie between 0 and a largest value",
                    config.network.output_activation
                ),
            });
        }
        let signal = &config.signal;
        let views = Views::load(&signal.path, &signal.views())?;
        let field = Field::new(views, signal, config.training.seed, config.training.batch)?;
        let subject = subject(&field, signal, config.training.batch);
        Ok(Self { field, subject, config: signal.clone() })
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.field.gather(engine, step)
    }

    fn state(&self) -> Vec<Parameter> {
        let values = self.field.grid.state();
        vec![Parameter { name: GRID.into(), shape: vec![values.len()], values }]
    }

    fn restore(&mut self, state: &[Parameter]) -> Result<()> {
        let grid = &mut self.field.grid;
        let values = find(state, GRID, &[2 * grid.cells()])?;
        grid.restore(values).map_err(Error::Training)
    }

    fn columns(&self) -> Vec<String> {
        ["psnr_db", "ssim", "occupied_cells", "samples"].map(String::from).to_vec()
    }

    fn measure(&mut self, model: &dyn Evaluator) -> Result<Measurement> {
        let views = self.foremost();
        let (quality, _) = self.quality(&views[..views.len().min(MONITORED)], &self.field.grid, model);
        let columns = vec![quality.psnr, quality.ssim, self.field.grid.count() as f64, self.field.samples as f64];
        Ok(Measurement { score: Score::psnr(quality.psnr), columns, target_reached: false })
    }

    fn findings(&mut self, model: &dyn Evaluator) -> Result<Rendered> {
        // The file alone: no grid tells where to look.
        let grid = self.field.whole();
        let views = &self.field.views;
        let (trained, first) = self.quality(&views.training[..views.training.len().min(TRAINED)], &grid, model);
        let (held_out, shown) = if views.held_out.is_empty() {
            (None, first)
        } else {
            let (quality, pictures) = self.quality(&views.held_out, &grid, model);
            (Some(quality), pictures)
        };
        let shown = shown.into_iter().take(SHOWN).enumerate().map(|(n, (p, psnr))| (n, p, psnr)).collect();
        Ok(Rendered { trained, held_out, shown })
    }

    fn pictures(&mut self, model: &dyn Evaluator, found: &Rendered, folder: &RunFolder) -> Result<()> {
        let background = self.config.background.colour();
        let views = self.foremost();
        let each: Vec<_> = found
            .shown
            .iter()
            .map(|(n, picture, psnr)| {
                let depth: Vec<f32> = picture
                    .pixels
                    .iter()
                    .map(|p| if p.opacity < SOLID { f32::NAN } else { p.depth / p.opacity })
                    .collect();
                (&views[*n], picture, over(&views[*n], background), picture.over(background), depth, *psnr)
            })
            .collect();
        let panels: Vec<ViewPanels<'_>> = each
            .iter()
            .map(|(view, picture, photograph, render, depth, psnr)| ViewPanels {
                name: &view.name,
                size: (picture.width, picture.height),
                photograph,
                render,
                depth,
                psnr: *psnr,
            })
            .collect();
        plot::save_png(&folder.file(VIEWS), &plot::views(&panels)?)?;
        if self.config.turntable > 0 {
            turntable::write(&self.field, self.config.turntable, background, model, &folder.file(TURNTABLE))?;
        }
        Ok(())
    }
}

fn subject(field: &Field, config: &RenderConfig, batch: usize) -> Subject {
    let views = &field.views;
    let name = config.path.file_name().map_or_else(|| "views".into(), |n| n.to_string_lossy().into_owned());
    let region = field.grid.region();
    let axis = |k: usize, name| Quantity::new(name, "", f64::from(region.lo[k]), f64::from(region.hi[k]));
    let mut inputs = vec![axis(0, "x"), axis(1, "y"), axis(2, "z")];
    if config.directions {
        inputs.extend(["direction x", "direction y", "direction z"].map(|n| Quantity::new(n, "", -1.0, 1.0)));
    }
    let mut outputs = ["red", "green", "blue"].map(|n| Quantity::new(n, "", 0.0, 1.0)).to_vec();
    outputs.push(Quantity::new("density", "1/unit", 0.0, f64::from(field.density())));
    let camera = &views.training[0].camera;
    let cells = 100.0 * field.grid.count() as f64 / field.grid.cells() as f64;
    Subject {
        headline: format!(
            "views: {name}, {} to learn from and {} held out, {}x{} pixels{}\n{} rays meet a box of {:.2} x {:.2} x \
             {:.2}, of which {cells:.0} % may hold something",
            views.training.len(),
            views.held_out.len(),
            camera.width,
            camera.height,
            if views.alpha { ", with transparency" } else { "" },
            field.rays(),
            region.size()[0],
            region.size()[1],
            region.size()[2],
        ),
        title: format!("{name} (views)"),
        step: format!("{} rays", if batch == 0 { field.rays() } else { batch.min(field.rays()) }),
        description: Description {
            signal: "radiance".into(),
            inputs: Quantity::describe(&inputs),
            outputs: Quantity::describe(&outputs),
            grid: None,
            error: None,
            provenance: String::new(),
        },
        normalization: field.normalization(),
        head: Activation::Identity,
        hash: hash(views.training.iter().chain(&views.held_out).flat_map(numbers)),
    }
}

#[cfg(test)]
mod tests;
