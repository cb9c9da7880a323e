//! `rwf shape`

use std::path::PathBuf;

use toml::{Table, Value};

use super::settings::{self, NetworkArgs, RunArgs, TrainingArgs, put};
use crate::{
    config,
    error::{Error, Result},
    task::{
        observed::{Observed, Request},
        shape::{Shape, ShapeKind, defaults},
    },
};

const EXAMPLES: &str = "Examples:
  rwf shape bunny.obj                                   occupancy; bunny.safetensors and bunny.run/ in this folder
  rwf shape part.stl --kind sdf --unit mm               signed distance in mm, a network of 6 KB
  rwf shape spot.obj --hidden 64 --precision f16 --steps 3000 -o small.safetensors
  rwf shape --resume bunny.run --steps 5000             goes on where the run stopped

The run folder holds config.toml, metrics.csv, loss.png, render.png, slices.png, surface.ply, surface.obj,
checkpoint.safetensors and model.safetensors. A mesh with holes is taken as solid where its winding number is
above 1/2. The device gets the mesh's own coordinates in, and back how surely a point is inside, 0 to 1, or how far
the surface is; the runtime's `jacobian` gives the direction to it.";

/// Fit a network to a solid: a mesh (OBJ, PLY, STL), closed or with holes
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(super) struct Args {
    /// File of the mesh
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    mesh: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Shape")]
struct ShapeArgs {
    /// What the network says of a place [default: occupancy]
    #[arg(long, value_enum, conflicts_with = "resume")]
    kind: Option<ShapeKind>,
    /// Unit of the mesh's coordinates
    #[arg(long, conflicts_with = "resume")]
    unit: Option<String>,
    /// Points drawn once and trained on
    #[arg(long, conflicts_with = "resume")]
    samples: Option<i64>,
    /// Weight of the eikonal term (|gradient| - 1)² of a distance; 0: none
    #[arg(long, conflicts_with = "resume")]
    eikonal: Option<f64>,
    /// Test points all over the domain, and as many near the surface [default: 262144]
    #[arg(long, conflicts_with = "resume")]
    tested: Option<i64>,
    /// Nodes along a side of the grid that surface.ply is taken from
    #[arg(long, conflicts_with = "resume")]
    resolution: Option<i64>,
    /// Pixels along a side of each view in render.png [default: 360]
    #[arg(long, conflicts_with = "resume")]
    pixels: Option<i64>,
}

pub(super) fn run(args: Args) -> Result<()> {
    let request = match (&args.run.resume, &args.mesh) {
        (Some(folder), _) => Request::Resume { folder: folder.clone(), steps: args.training.steps, lbfgs: None },
        (None, Some(mesh)) => {
            let file = args.run.file()?;
            let kind = kind(&args, file.as_ref())?;
            let layers = [Some(defaults(kind)), file, Some(layer(&args, mesh)?)].into_iter().flatten();
            let config = config::resolve(layers)?;
            let out = args.run.out(mesh);
            Request::New { task: Box::new(Shape::open(&config)?), config: Box::new(config), out, force: args.run.force }
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    args.run.run::<Shape>(request, &args.training)
}

/// The kind decides the defaults: from the command line, else from the config file.
fn kind(args: &Args, file: Option<&Table>) -> Result<ShapeKind> {
    let word = || file?.get("signal")?.get("kind").cloned();
    match (args.shape.kind, word()) {
        (Some(kind), _) => Ok(kind),
        (None, Some(word)) => word.try_into().map_err(|e: toml::de::Error| Error::Config {
            field: "signal.kind".into(),
            message: e.message().to_owned(),
        }),
        (None, None) => Ok(ShapeKind::Occupancy),
    }
}

/// The command line as a layer of the configuration.
fn layer(args: &Args, mesh: &std::path::Path) -> Result<Table> {
    let path = mesh.canonicalize().unwrap_or_else(|_| mesh.to_path_buf());
    let mut signal = Table::new();
    put(&mut signal, "path", Some(path.to_string_lossy().into_owned()));
    put(&mut signal, "kind", args.shape.kind.map(|k| Value::try_from(k).expect("a word")));
    put(&mut signal, "unit", args.shape.unit.clone());
    put(&mut signal, "samples", args.shape.samples);
    put(&mut signal, "eikonal", args.shape.eikonal);
    put(&mut signal, "tested", args.shape.tested);
    put(&mut signal, "resolution", args.shape.resolution);
    put(&mut signal, "pixels", args.shape.pixels);
    settings::layer(signal, &args.network, &args.training)
}
