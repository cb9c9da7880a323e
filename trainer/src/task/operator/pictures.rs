//! What people look at after a run: for some unseen functions the input, what the operator makes of it, the truth, the
//! error.

use std::path::Path;

use image::RgbImage;

use super::Training;
use crate::{
    error::{Error, Result},
    plot::{self, Chart, Line, Spacing, Stroke, Surface},
    signal::operator::Generator,
    train::metrics::short,
};

/// Input function, operator, reference and error.
pub(super) const SOLUTION: &str = "solution.png";
/// Functions shown.
const SHOWN: usize = 3;

/// Writes the first output of some unseen functions, over two coordinates where points are a grid, else over the first.
pub(super) fn solution(
    training: &Training,
    generator: Option<&dyn Generator>,
    values: &dyn Fn(usize) -> Vec<f32>,
    path: &Path,
) -> Result<()> {
    let data = &training.data;
    let outputs = data.sizes.outputs;
    let name = generator.map_or("s", |g| g.output().0);
    let mut rows = Vec::new();
    for n in training.unseen(SHOWN) {
        let found = values(n);
        let (made, truth) =
            (|i: usize| f64::from(found[i * outputs]), |i: usize| f64::from(data.output(n)[i * outputs]));
        let error = |i: usize| (made(i) - truth(i)).abs();
        let largest = (0..data.sizes.points).map(error).fold(0.0, f64::max);
        let last = format!("|error|, 0 to {largest:.1e}; relative L2 {:.2e}", data.relative_l2(n, &found));
        let input = ("input function".to_owned(), function(training, generator, n)?);
        let points = data.points_of(n);
        if let Some(shape) = grid(points, data.sizes.coordinates) {
            let names = generator.map_or(["y0", "y1"], |g| g.axes().map(|a| a.0));
            let panel = |value: &dyn Fn(usize) -> f64| surface(points, shape, names, value);
            let ranged = |what: &str, value: &dyn Fn(usize) -> f64| {
                let (lo, hi) = (0..data.sizes.points)
                    .map(value)
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
                Ok::<_, Error>((format!("{name}: {what}, {} to {}", short(lo), short(hi)), panel(value)?))
            };
            rows.push(vec![input, ranged("operator", &made)?, ranged("reference", &truth)?, (last, panel(&error)?)]);
            continue;
        }
        let x = |i: usize| f64::from(points[i * data.sizes.coordinates]);
        let dots = |name: &str, colour, f: &dyn Fn(usize) -> f64| {
            let mut points: Vec<(f64, f64)> = (0..data.sizes.points).map(|i| (x(i), f(i))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let stroke = if data.sizes.coordinates == 1 { Stroke::Solid } else { Stroke::Points };
            Line { name: name.into(), points, colour, stroke }
        };
        let both = vec![dots("operator", 0, &made), dots("reference", 1, &truth)];
        rows.push(vec![
            input,
            (format!("{name} over the first coordinate"), chart("y0", name, both)?),
            (last, chart("y0", "|error|", vec![dots("", 0, &error)])?),
        ]);
    }
    plot::save_png(path, &plot::sheet(&rows)?)
}

fn chart(x: &str, y: &str, lines: Vec<Line>) -> Result<RgbImage> {
    Chart { title: String::new(), x: (x.into(), Spacing::Linear), y: (y.into(), Spacing::Linear), lines }.draw()
}

/// The input function of pair `n` at its sensors.
fn function(training: &Training, generator: Option<&dyn Generator>, n: usize) -> Result<RgbImage> {
    let u = training.data.input(n);
    let (name, lines) = generator.map_or(("u", Vec::new()), |g| g.sensors());
    if let [a, b] = lines[..] {
        let points: Vec<f32> =
            (0..a.count).flat_map(|i| (0..b.count).flat_map(move |j| [a.at(i) as f32, b.at(j) as f32])).collect();
        return surface(&points, [a.count, b.count], [a.name, b.name], &|i| f64::from(u[i]));
    }
    let at = |i: usize| lines.first().map_or(i as f64, |l| l.at(i));
    let points = u.iter().enumerate().map(|(i, u)| (at(i), f64::from(*u))).collect();
    let axis = lines.first().map_or("sensor", |l| l.name);
    chart(axis, name, vec![Line { name: String::new(), points, colour: 0, stroke: Stroke::Solid }])
}

/// Numbers of points along two coordinates, where they are a grid with the second fastest.
fn grid(points: &[f32], coordinates: usize) -> Option<[usize; 2]> {
    if coordinates != 2 {
        return None;
    }
    let points = points.as_chunks::<2>().0;
    let columns = points.iter().take_while(|p| p[0] == points[0][0]).count();
    let whole = columns > 1 && points.len().is_multiple_of(columns) && points.len() > columns;
    let regular =
        || points.iter().enumerate().all(|(i, p)| p[0] == points[i - i % columns][0] && p[1] == points[i % columns][1]);
    (whole && regular()).then(|| [points.len() / columns, columns])
}

/// `value` by the number of a point, over a grid of them, and linearly between.
fn surface(
    points: &[f32],
    [rows, columns]: [usize; 2],
    names: [&str; 2],
    value: &dyn Fn(usize) -> f64,
) -> Result<RgbImage> {
    let across: Vec<f64> = (0..rows).map(|i| f64::from(points[2 * i * columns])).collect();
    let up: Vec<f64> = (0..columns).map(|j| f64::from(points[2 * j + 1])).collect();
    let before = |at: &[f64], x: f64| {
        let i = at.partition_point(|v| *v < x).clamp(1, at.len() - 1) - 1;
        (i, ((x - at[i]) / (at[i + 1] - at[i])).clamp(0.0, 1.0))
    };
    let at = |x: f64, y: f64| {
        let ((i, a), (j, b)) = (before(&across, x), before(&up, y));
        let row = |i: usize| (1.0 - b) * value(i * columns + j) + b * value(i * columns + j + 1);
        (1.0 - a) * row(i) + a * row(i + 1)
    };
    let ends = |v: &[f64]| (v[0], v[v.len() - 1]);
    let (x, y) = (ends(&across), ends(&up));
    Surface { title: String::new(), x: (names[0], x.0, x.1), y: (names[1], y.0, y.1), value: &at, curves: Vec::new() }
        .draw()
}
