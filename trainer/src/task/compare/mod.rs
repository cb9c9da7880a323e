//! The paper's experiments, each a file: which trainings, on which data, and what the report says of them.

mod ct;
mod image;
mod landscape;
mod operator;
mod pde;
mod regression;
mod render;
mod rows;
mod shape;
mod siren;
mod sweep;

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use ::image::RgbImage;
pub use ct::CtOptions;
pub use image::ImageOptions;
pub use operator::OperatorOptions;
pub use pde::PdeOptions;
pub use render::RenderOptions;
pub use rows::Row;
pub use shape::ShapeOptions;

use crate::{
    compare::{Block, Choice, LAST, Observe, Problem, Record, Report, Results, Runner, Trial},
    config::{Optimizer, TrainingConfig},
    engine::{Device, EngineChoice},
    error::{Error, Result},
    file::write_atomically,
    network::Parameterization,
    train::Schedule,
};

/// An experiment and what is its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Experiment {
    /// A random field on a line (Wang et al. 2022, Fig. 2).
    Regression(Vec<Row>),
    /// The loss over a weight and over its factors (Fig. 1), distances among factorizations (Theorem 1).
    Landscape,
    /// Mean and deviation of the log scale.
    Sweep,
    /// Photographs and words by the protocol of Tancik et al. 2020.
    Image(ImageOptions),
    /// The frequency factor of a SIREN.
    Siren,
    /// Occupancy of a solid (Tancik et al. 2020).
    Shape(ShapeOptions),
    /// Photographs of a scene from known places.
    Render(RenderOptions),
    /// A slice from its projections (Tancik et al. 2020).
    Ct(CtOptions),
    /// Solutions of differential equations.
    Pde(PdeOptions),
    /// Operators between functions.
    Operator(OperatorOptions),
}

/// What all experiments have in common.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of results and report.
    pub folder: PathBuf,
    /// Seeds 0 to this, exclusive; none: the experiment's own number.
    pub seeds: Option<u64>,
    /// Steps a training; none: the experiment's own number.
    pub steps: Option<u64>,
    /// Parameterizations.
    pub methods: Vec<Parameterization>,
    /// Factors on each row's own learning rate.
    pub rate_factors: Vec<f64>,
    /// A smaller version that ends in minutes.
    pub quick: bool,
    /// Trainings at once; none: one a core, or one alone on a GPU.
    pub jobs: Option<usize>,
    /// What computes the networks.
    pub engine: EngineChoice,
    /// The command line, for the report.
    pub command: String,
}

/// The data of a trial.
type Problems<'a> = dyn Fn(&Trial) -> Result<Box<dyn Problem>> + Sync + 'a;
/// What a report says beside the common tables.
type Figures<'a> = dyn Fn(&Results<'_>) -> Result<Vec<Block>> + 'a;

/// What an experiment plans.
struct Plan<'a> {
    trials: Vec<Trial>,
    problem: Box<Problems<'a>>,
    /// Title, what was done in words, and the figures and tables behind the common ones.
    title: &'static str,
    about: String,
    figures: Box<Figures<'a>>,
    /// Whether the table of scores suits it.
    tables: bool,
}

/// Runs `experiment` and writes its report; what an earlier call of the same trainings left is used.
///
/// # Errors
/// Bad input, an output that cannot be written, Ctrl-C, or a failure of the device.
pub fn run(
    experiment: &Experiment,
    options: &Options,
    device: &Device,
    device_name: &str,
    interrupt: &AtomicBool,
    quiet: bool,
) -> Result<PathBuf> {
    options.validate()?;
    let plan = match experiment {
        Experiment::Regression(rows) => regression::plan(options, rows),
        Experiment::Landscape => {
            make(&options.folder)?;
            landscape::report(options)?.write(&options.folder)?;
            return Ok(options.folder.join("report.md"));
        }
        Experiment::Sweep => sweep::plan(options),
        Experiment::Image(image) => image::plan(options, image)?,
        Experiment::Siren => siren::plan(options)?,
        Experiment::Shape(shape) => shape::plan(options, shape)?,
        Experiment::Render(render) => render::plan(options, render)?,
        Experiment::Ct(ct) => ct::plan(options, ct)?,
        Experiment::Pde(pde) => pde::plan(options, pde)?,
        Experiment::Operator(operator) => operator::plan(options, operator)?,
    };
    make(&options.folder)?;
    let jobs = options.jobs.unwrap_or(if device.is_cpu() { crate::jobs::cores() } else { 1 });
    let runner = Runner {
        folder: options.folder.clone(),
        jobs,
        engine: options.engine,
        device: *device,
        device_name: device_name.to_owned(),
        interrupt,
        quiet,
    };
    let records = runner.run(&plan.trials, &plan.problem)?;
    let results = Results::new(&records);
    write_atomically(&options.folder.join("results.csv"), results.csv().as_bytes())?;
    report(&plan, &results, &records, options, jobs)?.write(&options.folder)?;
    Ok(options.folder.join("report.md"))
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), action: "make folder", source })
}

impl Options {
    fn validate(&self) -> Result<()> {
        let bad = |field: &str, message: &str| Err(Error::Config { field: field.into(), message: message.into() });
        if self.seeds == Some(0) {
            return bad("--seeds", "found 0, expected at least 1");
        }
        if self.steps == Some(0) {
            return bad("--steps", "found 0, expected at least 1");
        }
        if self.jobs == Some(0) {
            return bad("--jobs", "found 0, expected at least 1");
        }
        if self.methods.is_empty() {
            return bad("--params", "found none, expected at least one parameterization");
        }
        if self.rate_factors.is_empty() || self.rate_factors.iter().any(|f| !(*f > 0.0 && f.is_finite())) {
            return bad("--lr-factors", "expected one or more numbers above 0");
        }
        Ok(())
    }

    /// Adam at a constant rate over the full batch, measured a hundred times.
    fn training(&self, steps: u64, learning_rate: f64, seed: u64) -> TrainingConfig {
        TrainingConfig {
            steps,
            lbfgs: 0,
            batch: 0,
            optimizer: Optimizer::Adam,
            learning_rate,
            schedule: Schedule::Constant,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: None,
            seed,
            target_psnr: None,
            evaluate_every: (steps / 100).max(1),
        }
    }

    /// A trial of `row` for every method, rate and seed.
    fn trials(
        &self,
        row: &str,
        problem: &dyn Fn(u64) -> String,
        preset: &rows::Preset,
        (seeds, steps): (u64, u64),
        observe: &dyn Fn(u64) -> Observe,
    ) -> Vec<Trial> {
        let mut trials = Vec::new();
        for seed in 0..seeds {
            for &rate_factor in &self.rate_factors {
                for &parameterization in &self.methods {
                    trials.push(Trial {
                        row: row.to_owned(),
                        problem: problem(seed),
                        rate_factor,
                        network: crate::network::NetworkConfig { parameterization, ..preset.network.clone() },
                        training: self.training(steps, rate_factor * preset.learning_rate, seed),
                        observe: observe(seed),
                    });
                }
            }
        }
        trials
    }
}

fn report(
    plan: &Plan<'_>,
    results: &Results<'_>,
    records: &[Record],
    options: &Options,
    jobs: usize,
) -> Result<Report> {
    let seeds: std::collections::BTreeSet<u64> = records.iter().map(|r| r.trial.training.seed).collect();
    let engines: std::collections::BTreeSet<&str> = records.iter().map(|r| r.engine.as_str()).collect();
    let steps = records.iter().map(|r| r.trial.training.steps).max().unwrap_or(0);
    let list = |all: Vec<String>| all.join(", ");
    let mut blocks = vec![
        Block::Text(plan.about.clone()),
        Block::Text(format!(
            "Made by `{}` on {} ({}); seeds {}; {steps} steps of Adam. For a seed, every \
             parameterization has the same data, the same initial dense weights and the same number of steps. The final \
             error is the median of the last {LAST} of a hundred measurements.",
            options.command,
            list(engines.into_iter().map(String::from).collect()),
            at_once(jobs),
            list(seeds.iter().map(u64::to_string).collect()),
        )),
    ];
    if plan.tables {
        let paired = "p is that of Student's paired t-test over data and seeds";
        blocks.push(Block::Heading("At the same learning rate".into()));
        blocks.push(Block::Text(format!("Mean ± standard deviation of {}; {paired}.", results.unit())));
        blocks.push(Block::Table(results.scores_table(Choice::SameRate)));
        if results.factors.len() > 1 {
            blocks.push(Block::Heading("At each method's best learning rate".into()));
            blocks.push(Block::Text(format!(
                "Swept for every method and row: the row's own rate times {}. Each is shown at the factor, in brackets, \
                 with its best mean; the choice is made on the same seeds that are shown, for all methods alike.",
                list(results.factors.iter().map(f64::to_string).collect())
            )));
            blocks.push(Block::Table(results.scores_table(Choice::BestRate)));
        }
    }
    blocks.extend((plan.figures)(results)?);
    if plan.tables {
        blocks.push(Block::Heading("Time".into()));
        blocks.push(Block::Text(format!(
            "Median over trainings, measurements left out; {}, so the ratios to plain weights mean more than the times.",
            at_once(jobs)
        )));
        blocks.push(Block::Table(results.times_table()));
    }
    blocks.push(Block::Text("Every training is a line of `results.csv`.".into()));
    Ok(Report { title: plan.title.into(), blocks })
}

fn at_once(jobs: usize) -> String {
    if jobs == 1 { "one training after the other".into() } else { format!("{jobs} trainings at once") }
}

/// What each method made, at the same rate, of what is shown first: a row of the table a line, each picture with its score.
fn rows_of_outputs(results: &Results<'_>, draw: &dyn Fn(&[f32]) -> RgbImage) -> Vec<Vec<(String, RgbImage)>> {
    let one = |row: &str, method: &str| {
        let found = results.of(row, method, results.factor(row, method, Choice::SameRate));
        let record = found.into_iter().find(|r| r.output.is_some())?;
        let values = record.output.as_deref().unwrap_or_default();
        Some((format!("{row}, {method}: {:.2} dB", record.score()), draw(values)))
    };
    let line = |row: &String| results.methods.iter().filter_map(|method| one(row, method)).collect();
    results.rows.iter().map(line).collect()
}
