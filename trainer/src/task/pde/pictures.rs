//! What people look at after a run: the solution beside the reference, and how the terms went.

use std::path::Path;

use super::{Solved, Training};
use crate::{
    error::{Error, Result},
    observation::pde::Field,
    plot::{self, Chart, Line, Spacing, Stroke, Surface},
    train::{RunFolder, run_folder::MetricsLog},
};

/// Solution, reference and error.
pub(super) const SOLUTION: &str = "solution.png";
/// Losses and weights of the terms.
pub(super) const TERMS: &str = "terms.png";

/// Writes the first output over the first two inputs; nothing where the reference is no grid.
pub(super) fn solution(
    training: &Training,
    reference: &Field,
    found: &[f32],
    solved: &Solved,
    path: &Path,
) -> Result<()> {
    let Some([rows, columns]) = reference.shape else { return Ok(()) };
    let output = training.equation.outputs()[0].0;
    let [a, b] = [training.axes[0], training.axes[1]];
    let panel = |caption: String, value: &dyn Fn(usize) -> f64| {
        let nearest = |x: f64, lo: f64, hi: f64, n: usize| {
            (((x - lo) / (hi - lo) * (n - 1) as f64).round().max(0.0) as usize).min(n - 1)
        };
        let at = |x: f64, y: f64| value(nearest(x, a.lo, a.hi, rows) * columns + nearest(y, b.lo, b.hi, columns));
        let (x, y) = ((a.name, a.lo, a.hi), (b.name, b.lo, b.hi));
        let picture = Surface { title: String::new(), x, y, value: &at, curves: Vec::new() }.draw()?;
        Ok::<_, Error>((caption, picture))
    };
    let width = reference.outputs;
    let network = |i: usize| f64::from(found[i * width]);
    let truth = |i: usize| reference.values[i * width];
    let panels = vec![
        panel(format!("{output}: network"), &network)?,
        panel(format!("{output}: reference"), &truth)?,
        panel(format!("|error|, 0 to {:.1e}; relative L2 {:.2e}", solved.largest, solved.relative_l2), &|i| {
            (network(i) - truth(i)).abs()
        })?,
    ];
    plot::save_png(path, &plot::sheet(&[panels])?)
}

/// Writes losses and weights of the terms over the steps of the run's log.
pub(super) fn terms(training: &Training, columns: Vec<String>, folder: &RunFolder) -> Result<()> {
    let Ok(log) = MetricsLog::resume(folder.metrics(), columns, u64::MAX) else { return Ok(()) };
    let chart = |what: &str, title: &str| {
        let line = |(colour, term): (usize, &crate::observation::pde::Term)| Line {
            name: term.name.into(),
            points: log.column(&format!("{what}_{}", term.name)).iter().map(|&(s, v)| (s as f64, v)).collect(),
            colour,
            stroke: Stroke::Solid,
        };
        Chart {
            title: title.into(),
            x: ("step".into(), Spacing::Linear),
            y: (what.into(), Spacing::Logarithmic),
            lines: training.terms.iter().enumerate().map(line).collect(),
        }
        .draw()
    };
    let row = vec![
        ("mean squared residual of each term".to_owned(), chart("loss", "")?),
        ("weight of each term".to_owned(), chart("weight", "")?),
    ];
    plot::save_png(&folder.file(TERMS), &plot::sheet(&[row])?)
}
