//! `rwf render`

use std::path::PathBuf;

use toml::Table;

use super::settings::{self, NetworkArgs, RunArgs, TrainingArgs, put};
use crate::{
    config,
    error::{Error, Result},
    signal::views::{Scene, SceneOptions},
    task::{
        observed::{Observed, Request},
        render::{Backdrop, Render, RenderConfig},
    },
};

const EXAMPLES: &str = "Examples:
  rwf render --scene spheres                            a small ray-traced scene, made in spheres/ first
  rwf render lego                                       photographs of lego/transforms_train.json
  rwf render lego --skip-missing --size 200 --hidden 96 --steps 20000
  rwf render lego --param plain --mapping pe:4 -o plain.safetensors
  rwf render --resume lego.run --steps 16000            goes on where the run stopped

The run folder holds config.toml, metrics.csv, loss.png, views.png (photographs, renders, errors, depths),
turntable.gif, checkpoint.safetensors and model.safetensors. The model gives red, green, blue and density
(1/unit) at any point of the scene's box.";

/// Make a field of colours and densities of photographs from known places (inverse rendering)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// Folder of photographs with transforms_train.json or transforms.json, as NeRF's synthetic scenes have them
    #[arg(required_unless_present_any = ["resume", "scene"], conflicts_with_all = ["resume", "scene"])]
    input: Option<PathBuf>,
    /// Make views of a small scene of our own in this folder, and learn from these
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    scene: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    views: ViewArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Views")]
struct ViewArgs {
    /// Seed of the scene that --scene makes
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "scene")]
    scene_seed: u64,
    /// Pixels along the longer side to scale the photographs down to; 0: as they are [default: 100]
    #[arg(long, conflicts_with = "resume")]
    size: Option<i64>,
    /// Hold out every so many-th view where there is no transforms_test.json; 0: none [default: 5]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    hold_out: Option<i64>,
    /// Leave out views whose photograph is missing
    #[arg(long, conflicts_with = "resume")]
    skip_missing: bool,
    /// What stands behind the scene where it is transparent [default: white]
    #[arg(long, value_enum, conflicts_with = "resume")]
    background: Option<Backdrop>,
    /// The scene lies within this distance of the origin along every axis [default: 1.5]
    #[arg(long, conflicts_with = "resume")]
    bound: Option<f64>,
    /// Let colours depend on the direction they are seen from
    #[arg(long, conflicts_with = "resume")]
    directions: bool,
    /// Cells along each axis of the grid that tells where nothing is [default: 64]
    #[arg(long, conflicts_with = "resume")]
    cells: Option<i64>,
    /// Steps along the diagonal of the scene's box [default: 192]
    #[arg(long, value_name = "STEPS", conflicts_with = "resume")]
    ray_steps: Option<i64>,
    /// Most samples of a ray in training, drawn by importance beyond that; 0: every step [default: 24]
    #[arg(long, conflicts_with = "resume")]
    samples: Option<i64>,
    /// Weight of the optical depth of empty space in the loss [default: 0.01]
    #[arg(long, value_name = "WEIGHT", conflicts_with = "resume")]
    empty: Option<f64>,
    /// Frames of the turntable; 0: none [default: 24]
    #[arg(long, value_name = "FRAMES", conflicts_with = "resume")]
    turntable: Option<i64>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let input = match (&args.run.resume, &args.scene, &args.input) {
        (Some(folder), ..) => {
            let request = Request::<Render>::Resume { folder: folder.clone(), steps: args.training.steps, lbfgs: None };
            return args.run.run(request, &args.training);
        }
        (None, Some(folder), _) => {
            if folder.join("transforms_train.json").exists() && !args.run.force {
                return Err(Error::Config {
                    field: "--scene".into(),
                    message: format!(
                        "`{0}` holds views already: `rwf render {0}` learns from them, `--force` makes them anew",
                        folder.display()
                    ),
                });
            }
            Scene::write(folder, &SceneOptions { seed: args.views.scene_seed, ..SceneOptions::default() })?;
            folder
        }
        (None, None, Some(input)) => input,
        (None, None, None) => unreachable!("clap requires one of the three"),
    };
    let known = {
        let path = input.canonicalize().unwrap_or_else(|_| input.clone());
        let signal = Table::from_iter([("path".to_owned(), path.to_string_lossy().into_owned().into())]);
        Table::from_iter([("signal".to_owned(), signal.into())])
    };
    let layers = [RenderConfig::defaults()].into_iter().chain(args.run.file()?).chain([layer(&args)?, known]);
    let config = config::resolve(layers)?;
    let task = Box::new(Render::open(&config)?);
    let request = Request::New { task, config: Box::new(config), out: args.run.out(input), force: args.run.force };
    args.run.run(request, &args.training)
}

/// The command line as a layer of the configuration.
fn layer(args: &Args) -> Result<Table> {
    let v = &args.views;
    let mut signal = Table::new();
    put(&mut signal, "size", v.size);
    put(&mut signal, "hold_out", v.hold_out);
    put(&mut signal, "skip_missing", v.skip_missing.then_some(true));
    let background = v.background.map(|b| match b {
        Backdrop::White => "white",
        Backdrop::Black => "black",
    });
    put(&mut signal, "background", background);
    put(&mut signal, "bound", v.bound);
    put(&mut signal, "directions", v.directions.then_some(true));
    put(&mut signal, "cells", v.cells);
    put(&mut signal, "steps", v.ray_steps);
    put(&mut signal, "samples", v.samples);
    put(&mut signal, "empty", v.empty);
    put(&mut signal, "turntable", v.turntable);
    settings::layer(signal, &args.network, &args.training)
}
