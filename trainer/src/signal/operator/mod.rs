//! Pairs of functions: an input function at sensors, and what an operator makes of it at points; generators, one file
//! each, and arrays of a user's own.

mod advection;
mod arrays;
mod burgers;
mod cache;
mod darcy;
mod diffusion_reaction;
mod line;

pub use arrays::{Source, is_pairs, read, read_function};
pub use cache::{Made, load_or_make};
pub use line::Line;

use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::{
    error::{Error, Result},
    rng::Rng,
};

/// Input functions and what an operator makes of them, in physical units.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorData {
    /// Input functions at the sensors, `[functions, sensors]`.
    pub inputs: Vec<f32>,
    /// Points, `[points, coordinates]` where all functions share them, else `[functions, points, coordinates]`.
    pub points: Vec<f32>,
    /// Values there, `[functions, points, outputs]`.
    pub outputs: Vec<f32>,
    /// Numbers of functions, sensors, points of each, coordinates, values at a point.
    pub sizes: Sizes,
    /// Whether all functions share their points.
    pub shared: bool,
}

/// How many of what there are in [`OperatorData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Pairs of functions.
    pub functions: usize,
    /// Values of an input function.
    pub sensors: usize,
    /// Points at which the output of each is known.
    pub points: usize,
    /// Coordinates of a point.
    pub coordinates: usize,
    /// Values at a point.
    pub outputs: usize,
}

impl OperatorData {
    /// The input function of pair `n`.
    pub fn input(&self, n: usize) -> &[f32] {
        &self.inputs[n * self.sizes.sensors..][..self.sizes.sensors]
    }

    /// The points of pair `n`, `[points, coordinates]`.
    pub fn points_of(&self, n: usize) -> &[f32] {
        let each = self.sizes.points * self.sizes.coordinates;
        &self.points[if self.shared { 0 } else { n * each }..][..each]
    }

    /// The values of pair `n`, `[points, outputs]`.
    pub fn output(&self, n: usize) -> &[f32] {
        let each = self.sizes.points * self.sizes.outputs;
        &self.outputs[n * each..][..each]
    }

    /// Relative L2 error of `found` `[points, outputs]` against pair `n`, the mean over outputs.
    pub fn relative_l2(&self, n: usize, found: &[f32]) -> f64 {
        let (truth, width) = (self.output(n), self.sizes.outputs);
        let each = (0..width).map(|o| {
            let pairs = truth.iter().zip(found).skip(o).step_by(width);
            let (error, size) = pairs.fold((0.0, 0.0), |(error, size), (t, f)| {
                let (t, f) = (f64::from(*t), f64::from(*f));
                (error + (f - t) * (f - t), size + t * t)
            });
            (error / size).sqrt()
        });
        each.sum::<f64>() / width as f64
    }
}

/// A coordinate of the points a generator gives: name, ends, number of nodes from one to the other.
pub type Nodes = (&'static str, f64, f64, usize);

/// Draws an input function `[sensors]` and what becomes of it, `[points]`, the last coordinate fastest.
pub type Draw = Box<dyn Fn(&mut Rng) -> (Vec<f64>, Vec<f64>) + Sync + Send>;

/// A problem that makes pairs of functions.
pub trait Generator: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// The operator, in one line for people.
    fn formula(&self) -> &'static str;

    /// Where its numbers come from: distribution and method, for people and for files. Another text makes other data.
    fn settings(&self) -> &'static str;

    /// Name of the input function, and where its sensors are, along one axis or two, the last fastest.
    fn sensors(&self) -> (&'static str, Vec<Line>);

    /// The coordinates of its points, `t` first where it has one.
    fn axes(&self) -> [Nodes; 2];

    /// Name of its output, and about how large that gets.
    fn output(&self) -> (&'static str, f64);

    /// What draws pairs.
    fn draw(&self) -> Draw;

    /// TOML over the defaults of every operator.
    fn defaults(&self) -> &'static str {
        ""
    }
}

/// All generators there are.
pub const GENERATORS: &[&dyn Generator] =
    &[&advection::Advection, &burgers::Burgers, &darcy::Darcy, &diffusion_reaction::DiffusionReaction];

/// The generator called `name`.
///
/// # Errors
/// [`Error::Config`] with all names.
pub fn generator(name: &str) -> Result<&'static dyn Generator> {
    GENERATORS.iter().find(|g| g.name() == name).copied().ok_or_else(|| {
        let known: Vec<&str> = GENERATORS.iter().map(|g| g.name()).collect();
        let message =
            format!("found `{name}`, expected {}, or a .safetensors or .npz file of arrays", known.join(", "));
        Error::Config { field: "operator".into(), message }
    })
}

/// Number of sensors of a generator.
pub fn sensor_count(generator: &dyn Generator) -> usize {
    generator.sensors().1.iter().map(|line| line.count).product()
}

/// `functions` pairs by `generator`: each a function of seed and its number alone.
pub fn generate(generator: &dyn Generator, functions: usize, seed: u64, progress: &ProgressBar) -> OperatorData {
    let rng = Rng::new(seed).stream(generator.name());
    let draw = generator.draw();
    progress.set_length(functions as u64);
    let pairs: Vec<(Vec<f64>, Vec<f64>)> = (0..functions)
        .into_par_iter()
        .map(|n| {
            // Streams are of seed and name alone.
            let pair = draw(&mut rng.stream(&format!("{} {n}", generator.name())));
            progress.inc(1);
            pair
        })
        .collect();
    let axes = generator.axes();
    let at = |(_, lo, hi, count): Nodes, i: usize| lo + (hi - lo) * i as f64 / (count - 1) as f64;
    let points =
        (0..axes[0].3).flat_map(|i| (0..axes[1].3).flat_map(move |j| [at(axes[0], i) as f32, at(axes[1], j) as f32]));
    let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
    let sizes = Sizes {
        functions,
        sensors: sensor_count(generator),
        points: axes[0].3 * axes[1].3,
        coordinates: 2,
        outputs: 1,
    };
    OperatorData {
        inputs: pairs.iter().flat_map(|p| single(&p.0)).collect(),
        points: points.collect(),
        outputs: pairs.iter().flat_map(|p| single(&p.1)).collect(),
        sizes,
        shared: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generator_gives_finite_pairs_of_its_sizes_that_do_not_depend_on_their_number() {
        for generator in GENERATORS {
            let data = generate(*generator, 2, 3, &ProgressBar::hidden());
            let sizes = data.sizes;
            assert_eq!(data.inputs.len(), 2 * sizes.sensors, "{}", generator.name());
            assert_eq!((data.points.len(), data.outputs.len()), (2 * sizes.points, 2 * sizes.points));
            let size = data.outputs.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(data.inputs.iter().chain(&data.outputs).all(|v| v.is_finite()) && size > 0.0);
            assert!(f64::from(size) < 20.0 * generator.output().1, "{}: {size}", generator.name());
            let first = generate(*generator, 1, 3, &ProgressBar::hidden());
            assert_eq!((first.input(0), first.output(0)), (data.input(0), data.output(0)));
            assert_ne!(data.input(0), data.input(1));
            assert_ne!(generate(*generator, 1, 4, &ProgressBar::hidden()).input(0), data.input(0));
            let wrong: Vec<f32> = data.output(1).iter().map(|v| 1.25 * v).collect();
            assert!((data.relative_l2(1, &wrong) - 0.25).abs() < 1e-6);
        }
    }
}
