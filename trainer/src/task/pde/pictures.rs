//! What people look at after a run: the solution beside the reference, what is left of the equation, and how the terms
//! went.

use std::path::Path;

use super::{Solved, Training};
use crate::{
    error::Result,
    evaluate::Evaluator,
    observation::pde::{Axis, Field},
    plot::{self, Chart, Line, Spacing, Stroke, Surface},
    train::{RunFolder, metrics::short, run_folder::MetricsLog},
};

/// Solution, reference and error.
pub(super) const SOLUTION: &str = "solution.png";
/// What is left of the equation.
pub(super) const RESIDUAL: &str = "residual.png";
/// Losses and weights of the terms.
pub(super) const TERMS: &str = "terms.png";

type Panel = (String, image::RgbImage);

/// A plane through the domain: along the last two inputs, where all others have their largest value, the end of time.
struct Plane {
    axes: Vec<Axis>,
}

impl Plane {
    const SIZE: [usize; 2] = [240, 150];

    fn new(training: &Training) -> Self {
        Self { axes: training.axes.clone() }
    }

    fn across(&self) -> [Axis; 2] {
        let n = self.axes.len();
        [self.axes[n - 2], self.axes[n - 1]]
    }

    /// Words on where it lies, empty where it is all of the domain.
    fn place(&self) -> String {
        let fixed = &self.axes[..self.axes.len() - 2];
        fixed.iter().map(|a| format!(" at {} = {}", a.name, short(a.hi))).collect()
    }

    /// Its cells' centres, physical, the last input fastest.
    fn points(&self) -> Vec<f64> {
        let [a, b] = self.across();
        let fixed: Vec<f64> = self.axes[..self.axes.len() - 2].iter().map(|a| a.hi).collect();
        let at = |axis: Axis, i: usize, n: usize| axis.lo + (axis.hi - axis.lo) * (i as f64 + 0.5) / n as f64;
        let mut points = Vec::new();
        for i in 0..Self::SIZE[0] {
            for j in 0..Self::SIZE[1] {
                points.extend_from_slice(&fixed);
                points.extend([at(a, i, Self::SIZE[0]), at(b, j, Self::SIZE[1])]);
            }
        }
        points
    }

    /// Values over a grid of `shape`, the second of its axes fastest, as colours.
    fn draw(&self, caption: &str, shape: [usize; 2], value: &dyn Fn(usize) -> f64) -> Result<Panel> {
        let [a, b] = self.across();
        let nodes = shape != Self::SIZE;
        let nearest = |x: f64, axis: Axis, n: usize| {
            let share = (x - axis.lo) / (axis.hi - axis.lo);
            let at = if nodes { (share * (n - 1) as f64).round() } else { (share * n as f64).floor() };
            (at.max(0.0) as usize).min(n - 1)
        };
        let at = |x: f64, y: f64| value(nearest(x, a, shape[0]) * shape[1] + nearest(y, b, shape[1]));
        let all = (0..shape[0] * shape[1]).map(value).filter(|v| v.is_finite());
        let (lo, hi) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let picture = Surface {
            title: String::new(),
            x: (a.name, a.lo, a.hi),
            y: (b.name, b.lo, b.hi),
            value: &at,
            curves: Vec::new(),
        };
        Ok((format!("{caption}, {} to {}", short(lo), short(hi)), picture.draw()?))
    }
}

/// Writes every output beside the reference: as maps where it is a grid, else along the lines that it is known on.
pub(super) fn solution(
    training: &Training,
    reference: &Field,
    model: &dyn Evaluator,
    solved: &Solved,
    path: &Path,
) -> Result<()> {
    let plane = Plane::new(training);
    let outputs = training.equation.outputs();
    let width = outputs.len();
    let over = super::evaluate(model, &plane.points());
    let found = super::evaluate(model, &reference.points);
    let mut rows = Vec::new();
    for (k, (name, _)) in outputs.iter().enumerate() {
        let caption = format!("{name}{}: network", plane.place());
        let mut row = vec![plane.draw(&caption, Plane::SIZE, &|i| f64::from(over[i * width + k]))?];
        // One that only stands beside the solution is known nowhere.
        let known = reference.values.iter().skip(k).step_by(width).any(|v| v.is_finite());
        if let [.., a, b] = reference.shape[..]
            && known
        {
            let last = (reference.len() - a * b) * width + k;
            let truth = |i: usize| reference.values[last + i * width];
            let error = |i: usize| (f64::from(found[last + i * width]) - truth(i)).abs();
            row.push(plane.draw(&format!("{name}{}: reference", plane.place()), [a, b], &truth)?);
            let caption = format!("|error| (relative L2 of all {:.2e})", solved.relative_l2);
            row.push(plane.draw(&caption, [a, b], &error)?);
        } else if let Some(panel) = profile(training, reference, model, k)? {
            row.push(panel);
        }
        rows.push(row);
    }
    plot::save_png(path, &plot::sheet(&rows)?)
}

/// Output `k` along the one line that the reference knows it on; none where that is no line along an input.
fn profile(training: &Training, reference: &Field, model: &dyn Evaluator, k: usize) -> Result<Option<Panel>> {
    let (axes, width) = (&training.axes, reference.outputs);
    let known: Vec<usize> = (0..reference.len()).filter(|i| reference.values[i * width + k].is_finite()).collect();
    let at = |i: usize| &reference.points[i * axes.len()..][..axes.len()];
    let Some(&first) = known.first() else { return Ok(None) };
    let varies: Vec<usize> = (0..axes.len()).filter(|&a| known.iter().any(|&i| at(i)[a] != at(first)[a])).collect();
    let [along] = varies[..] else { return Ok(None) };
    let count = 201;
    let line: Vec<f64> = crate::observation::pde::nodes((axes[along].lo, axes[along].hi), count);
    let points: Vec<f64> = line
        .iter()
        .flat_map(|&x| {
            let mut p = at(first).to_vec();
            p[along] = x;
            p
        })
        .collect();
    let values = super::evaluate(model, &points);
    let name = training.equation.outputs()[k].0;
    let fixed: String = (0..axes.len())
        .filter(|&a| a != along)
        .map(|a| format!(" at {} = {}", axes[a].name, short(at(first)[a])))
        .collect();
    let chart = Chart {
        title: String::new(),
        x: (axes[along].name.into(), Spacing::Linear),
        y: (name.into(), Spacing::Linear),
        lines: vec![
            Line {
                name: "network".into(),
                points: line.iter().enumerate().map(|(i, &x)| (x, f64::from(values[i * width + k]))).collect(),
                colour: 0,
                stroke: Stroke::Solid,
            },
            Line {
                name: "reference".into(),
                points: known.iter().map(|&i| (at(i)[along], reference.values[i * width + k])).collect(),
                colour: 1,
                stroke: Stroke::Points,
            },
        ],
    };
    Ok(Some((format!("{name}{fixed}"), chart.draw()?)))
}

/// Points that [`residual`] wants the residuals at, physical.
pub(super) fn points(training: &Training) -> Vec<f64> {
    Plane::new(training).points()
}

/// Writes the sizes of every term's residual, decimal logarithms.
pub(super) fn residual(training: &Training, sizes: &[(&'static str, Vec<f32>)], path: &Path) -> Result<()> {
    let plane = Plane::new(training);
    let panel = |(name, sizes): &(&str, Vec<f32>)| {
        let rms = (sizes.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / sizes.len() as f64).sqrt();
        let caption = format!("log10 |{name}|{}, RMS {rms:.1e}", plane.place());
        plane.draw(&caption, Plane::SIZE, &|i| f64::from(sizes[i]).max(1e-12).log10())
    };
    plot::save_png(path, &plot::sheet(&[sizes.iter().map(panel).collect::<Result<_>>()?])?)
}

/// Writes losses and weights of the terms over the steps of the run's log.
pub(super) fn terms(training: &Training, columns: Vec<String>, folder: &RunFolder) -> Result<()> {
    let Ok(log) = MetricsLog::resume(folder.metrics(), columns, u64::MAX) else { return Ok(()) };
    let chart = |what: &str| {
        let line = |(colour, term): (usize, &crate::observation::pde::Term)| Line {
            name: term.name.into(),
            points: log.column(&format!("{what}_{}", term.name)).iter().map(|&(s, v)| (s as f64, v)).collect(),
            colour,
            stroke: Stroke::Solid,
        };
        Chart {
            title: String::new(),
            x: ("step".into(), Spacing::Linear),
            y: (what.into(), Spacing::Logarithmic),
            lines: training.terms.iter().enumerate().map(line).collect(),
        }
        .draw()
    };
    let row = vec![
        ("mean squared residual of each term".to_owned(), chart("loss")?),
        ("weight of each term".to_owned(), chart("weight")?),
    ];
    plot::save_png(&folder.file(TERMS), &plot::sheet(&[row])?)
}
