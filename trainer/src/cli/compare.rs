//! `rwf compare`

use std::path::PathBuf;

use clap::Subcommand;

use crate::{
    engine::{self, DeviceChoice, EngineChoice, MatmulPrecision},
    error::{Error, Result},
    network::Parameterization,
    task::compare::{
        CtOptions, Experiment, ImageOptions, OperatorOptions, Options, PdeOptions, RenderOptions, Row, ShapeOptions,
        run as compare,
    },
};

const EXAMPLES: &str = "Examples:
  rwf compare regression --quick                 a few minutes on two cores
  rwf compare regression --lr-factors 0.3,1,3    with a sweep of the learning rate
  rwf compare image --quick
  rwf compare image --photos photos/ --texts 4 --rows gaussian,siren
  rwf compare landscape -o landscape
  rwf compare shape --mesh bunny.obj --params plain,aa,wn,rwf
  rwf compare render --params plain,aa,wn,rwf
  rwf compare ct --params plain,rwf --rows gaussian
  rwf compare pde --equations advection,allen-cahn --params plain,aa,wn,rwf
  rwf compare operator --operators diffusion-reaction,burgers --params plain,aa,wn,rwf

The folder holds report.html (self-contained), report.md with figures/, results.csv, and trials/
with each training. The same command again goes on where it was stopped.";

/// Compare parameterizations: the paper's experiments, with tables, figures and tests over seeds
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, subcommand_value_name = "EXPERIMENT", subcommand_help_heading = "Experiments")]
pub(super) struct Args {
    #[command(subcommand)]
    experiment: Which,
}

#[derive(Subcommand)]
enum Which {
    /// A random field on a line: error, change of weights, spectra of the tangent kernel
    Regression {
        /// Architectures and mappings
        #[arg(long, value_delimiter = ',', default_value = "mlp", value_name = "ROWS")]
        rows: Vec<Row>,
        #[command(flatten)]
        common: Common,
    },
    /// The loss over a weight and over its factors; distances among factorizations
    Landscape {
        #[command(flatten)]
        common: Common,
    },
    /// Mean and deviation of the log scale, a heat map of the error
    Sweep {
        #[command(flatten)]
        common: Common,
    },
    /// Photographs and words, trained on every second pixel, measured on all
    Image {
        /// Photographs, or folders of them [default: a bundled one of 128x128 pixels, for sizes up to that]
        #[arg(long, num_args = 1.., value_name = "PATH")]
        photos: Vec<PathBuf>,
        /// Pictures of words
        #[arg(long, default_value_t = 2)]
        texts: u64,
        /// Pixels along a side [default: 512, quick: 128]
        #[arg(long)]
        size: Option<usize>,
        /// Architectures and mappings
        #[arg(long, value_delimiter = ',', default_value = "mlp,pe,gaussian,siren,modified-mlp", value_name = "ROWS")]
        rows: Vec<Row>,
        #[command(flatten)]
        common: Common,
    },
    /// The frequency factor of a SIREN, with and without factorization
    Siren {
        #[command(flatten)]
        common: Common,
    },
    /// Occupancy of a solid, measured near its surface
    Shape {
        /// Mesh [default: a trefoil knot made by the program]
        #[arg(long)]
        mesh: Option<PathBuf>,
        /// Architectures and mappings
        #[arg(long, value_delimiter = ',', default_value = "mlp,pe,gaussian", value_name = "ROWS")]
        rows: Vec<Row>,
        #[command(flatten)]
        common: Common,
    },
    /// Photographs of a scene from known places, measured at views held out
    Render {
        /// Folder of photographs with transforms_train.json [default: a scene made by the program]
        #[arg(long, value_name = "FOLDER")]
        views: Option<PathBuf>,
        /// Pixels along the longer side
        #[arg(long, default_value_t = 64)]
        size: usize,
        /// Architectures and mappings: mlp, pe, gaussian, modified-mlp
        #[arg(long, value_delimiter = ',', default_value = "mlp,pe,gaussian", value_name = "ROWS")]
        rows: Vec<Row>,
        #[command(flatten)]
        common: Common,
    },
    /// A slice from 20 of its projections, measured by its pixels
    Ct {
        /// Phantom [default: another Shepp-Logan head for every seed]
        #[arg(long, value_name = "PATH")]
        phantom: Option<PathBuf>,
        /// Pixels along a side [default: 128, quick: 64]
        #[arg(long)]
        size: Option<usize>,
        /// Parallel angles
        #[arg(long, default_value_t = 20)]
        angles: usize,
        /// Architectures and mappings: mlp, pe, gaussian, modified-mlp
        #[arg(long, value_delimiter = ',', default_value = "mlp,pe,gaussian", value_name = "ROWS")]
        rows: Vec<Row>,
        #[command(flatten)]
        common: Common,
    },
    /// Solutions of differential equations, on the networks of `rwf pde`
    Pde {
        /// Names of the equations
        #[arg(long, value_delimiter = ',', default_value = "advection,allen-cahn", value_name = "NAMES")]
        equations: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Operators between functions, on the networks of `rwf operator`
    Operator {
        /// Names of the operators
        #[arg(long, value_delimiter = ',', default_value = "diffusion-reaction", value_name = "NAMES")]
        operators: Vec<String>,
        /// Train by their equations alone, without solutions
        #[arg(long)]
        physics: bool,
        #[command(flatten)]
        common: Common,
    },
    /// What is none of them, so that the answer can name them all
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(clap::Args)]
struct Common {
    /// Folder of results and report [default: compare-EXPERIMENT]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Number of seeds [default: the experiment's own]
    #[arg(long)]
    seeds: Option<u64>,
    /// Steps of each training [default: the experiment's own]
    #[arg(long)]
    steps: Option<u64>,
    /// Parameterizations: plain, aa, aa-neuron, wn, rwf, rwf-direct
    #[arg(long, value_delimiter = ',', default_value = "plain,aa,wn,rwf,rwf-direct", value_parser = super::words::parameterization)]
    params: Vec<Parameterization>,
    /// Factors on each row's learning rate; every method is trained with each
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "FACTORS")]
    lr_factors: Vec<f64>,
    /// A smaller version that ends in minutes on two cores
    #[arg(long)]
    quick: bool,
    /// Trainings at once [default: one a core; one on a GPU]
    #[arg(long)]
    jobs: Option<usize>,
    /// Where to train: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// What computes the networks
    #[arg(long, value_enum, default_value_t)]
    engine: EngineChoice,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: Args) -> Result<()> {
    let (name, experiment, common) = match args.experiment {
        Which::Regression { rows, common } => ("regression", Experiment::Regression(rows), common),
        Which::Landscape { common } => ("landscape", Experiment::Landscape, common),
        Which::Sweep { common } => ("sweep", Experiment::Sweep, common),
        Which::Image { photos, texts, size, rows, common } => {
            ("image", Experiment::Image(ImageOptions { photographs: photos, texts, size, rows }), common)
        }
        Which::Siren { common } => ("siren", Experiment::Siren, common),
        Which::Shape { mesh, rows, common } => ("shape", Experiment::Shape(ShapeOptions { mesh, rows }), common),
        Which::Render { views, size, rows, common } => {
            ("render", Experiment::Render(RenderOptions { views, size, rows }), common)
        }
        Which::Ct { phantom, size, angles, rows, common } => {
            ("ct", Experiment::Ct(CtOptions { phantom, size, angles, rows }), common)
        }
        Which::Pde { equations, common } => ("pde", Experiment::Pde(PdeOptions { equations }), common),
        Which::Operator { operators, physics, common } => {
            ("operator", Experiment::Operator(OperatorOptions { operators, physics }), common)
        }
        Which::Unknown(words) => {
            let found = words.first().map_or("", String::as_str);
            let message = format!(
                "found `{found}`, expected regression, landscape, sweep, image, siren, shape, render, ct, pde or operator"
            );
            return Err(Error::Config { field: "experiment".into(), message });
        }
    };
    let (device, device_name) = engine::device(common.device, MatmulPrecision::F32)?;
    let options = Options {
        folder: common.output.unwrap_or_else(|| format!("compare-{name}").into()),
        seeds: common.seeds,
        steps: common.steps,
        methods: common.params,
        rate_factors: common.lr_factors,
        quick: common.quick,
        jobs: common.jobs,
        engine: common.engine,
        command: command_line(),
    };
    let interrupt = super::interrupt("the trainings that are done are kept");
    let report = compare(&experiment, &options, &device, &device_name, &interrupt, common.quiet)?;
    let text = super::read(&report)?;
    if !common.quiet {
        // Tables and sentences; the pictures are in the folder.
        let text = String::from_utf8_lossy(&text);
        text.lines().filter(|l| !l.starts_with("![")).for_each(|l| println!("{l}"));
    }
    println!("wrote {} and report.html beside it", report.display());
    Ok(())
}

/// What was typed, with the program's plain name.
fn command_line() -> String {
    std::iter::once("rwf".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}
