//! A Gaussian random field on a line, 256 points (Wang et al. 2022, Fig. 2).

use super::{Options, Plan, Row, rows::Sizes};
use crate::{
    compare::{Block, Choice, Observe, Record, Results, Sampled, Table, Trial, summary},
    diagnose::tangent::{participation, share_above},
    error::Result,
    network::Parameterization,
    plot::{Chart, Line, Spacing, Stroke, mosaic},
    rng::Rng,
    signal::gaussian_field,
};

/// Points of the field, evenly on [0, 1].
const POINTS: usize = 256;
/// Length of the squared-exponential kernel.
const LENGTH: f64 = 0.02;
/// An eigenvalue below this share of the largest belongs to what is hardly learned.
const SMALL: f64 = 1e-4;

pub(super) const SIZES: Sizes = Sizes {
    hidden: 128,
    depth: 3,
    frequencies: 64,
    scale: 10.0,
    max_power: 5.0,
    sigmoid: false,
    rate: 1e-3,
    siren_rate: 1e-4,
};

pub(super) fn plan<'a>(options: &Options, rows: &'a [Row]) -> Plan<'a> {
    let size = if options.quick { (3, 2000) } else { (5, 20_000) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    let observe = |seed| Observe { kernel: true, output: seed == 0 };
    let trials = rows
        .iter()
        .flat_map(|row| options.trials(row.name(), &|seed| format!("field{seed}"), &row.preset(&SIZES), size, &observe))
        .collect();
    Plan {
        trials,
        problem: Box::new(|trial: &Trial| Ok(Box::new(field(trial.training.seed, trial.row == Row::Siren.name())))),
        title: "Regression of a random field",
        about: format!(
            "A Gaussian random field with squared-exponential kernel of length {LENGTH} at {POINTS} points of [0, 1], \
             another one for each seed; {} hidden layers of {} neurons, ReLU unless the row says otherwise; mean squared \
             error over the points, full batch.",
            SIZES.depth, SIZES.hidden
        ),
        figures: Box::new(|results| figures(results, rows)),
        tables: true,
    }
}

/// The field of a seed; coordinates in [0, 1], or in [-1, 1] if `symmetric`.
pub(super) fn field(seed: u64, symmetric: bool) -> Sampled {
    let points: Vec<f64> = (0..POINTS).map(|i| i as f64 / (POINTS - 1) as f64).collect();
    let values = gaussian_field(&points, LENGTH, &mut Rng::new(seed).stream("field"));
    let x: Vec<f32> = points.iter().map(|&p| if symmetric { 2.0 * p - 1.0 } else { p } as f32).collect();
    let y: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    Sampled { inputs: 1, outputs: 1, test_x: x.clone(), test_y: y.clone(), x, y, range: None, batches: None }
}

fn figures(results: &Results<'_>, rows: &[Row]) -> Result<Vec<Block>> {
    let mut blocks = vec![Block::Heading("Order, as found".into())];
    for row in rows {
        let order = results.order(row.name(), Choice::SameRate);
        let each: Vec<String> =
            order.iter().map(|(m, scores)| format!("{m} {:.1e}", 10f64.powf(summary(scores).mean))).collect();
        blocks.push(Block::Text(format!(
            "{}, geometric mean of the final error, lowest first: {}.",
            row.name(),
            each.join(", ")
        )));
    }
    for (n, row) in rows.iter().enumerate() {
        let name = |what: &str| if n == 0 { what.to_owned() } else { format!("{what}-{n}") };
        blocks.push(Block::Heading(format!("{} at the same rate", row.name())));
        blocks.push(Block::Figure(
            name("curves"),
            "Above: mean squared error and relative change of the dense weights over the steps, geometric means over the \
             seeds. Below: eigenvalues of the tangent kernel after training, over their largest, in dense weights and in \
             what is trained; dashed: before training."
                .into(),
            curves(results, row.name())?,
        ));
        blocks.push(Block::Table(flatness(results, row.name())));
        blocks.push(Block::Figure(
            name("predictions"),
            "Seed 0: the field (points) and what each network made of it.".into(),
            predictions(results, row.name())?,
        ));
    }
    Ok(blocks)
}

/// Records of a row and method at the same rate.
fn of<'a>(results: &Results<'a>, row: &str, method: &str) -> Vec<&'a Record> {
    results.of(row, method, results.factor(row, method, Choice::SameRate))
}

/// Colour of a method, the same in every figure of every comparison.
pub(super) fn colour(method: &str) -> usize {
    ["plain", "aa", "wn", "rwf", "rwf-direct", "aa-neuron"].iter().position(|m| *m == method).unwrap_or(6)
}

/// Geometric mean over lists of the same length.
fn geometric<'a>(lists: impl IntoIterator<Item = Vec<f64>> + 'a) -> Vec<f64> {
    let lists: Vec<Vec<f64>> = lists.into_iter().collect();
    let length = lists.iter().map(Vec::len).min().unwrap_or(0);
    (0..length).map(|i| (lists.iter().map(|l| l[i].max(1e-300).ln()).sum::<f64>() / lists.len() as f64).exp()).collect()
}

fn curves(results: &Results<'_>, row: &str) -> Result<image::RgbImage> {
    let over_steps = |what: &dyn Fn(&crate::compare::CurveRow) -> f64| -> Vec<Line> {
        let each = results.methods.iter().map(|method| {
            let records = of(results, row, method);
            let means = geometric(records.iter().map(|r| r.curve.iter().map(what).collect()));
            let steps = records.first().into_iter().flat_map(|r| &r.curve).map(|c| c.step as f64);
            line(method, steps.zip(means).skip(1).collect(), Stroke::Solid, true)
        });
        each.collect()
    };
    let spectra = |start: &dyn Fn(&Record) -> Vec<f64>, end: &dyn Fn(&Record) -> Vec<f64>| -> Vec<Line> {
        let each = results.methods.iter().flat_map(|method| {
            let records = of(results, row, method);
            let relative = |pick: &dyn Fn(&Record) -> Vec<f64>| -> Vec<(f64, f64)> {
                let of_one = |r: &&Record| {
                    let values = pick(r);
                    values.iter().map(|v| v / values[0]).collect()
                };
                (1..).map(f64::from).zip(geometric(records.iter().map(of_one))).collect()
            };
            [line(method, relative(end), Stroke::Solid, true), line(method, relative(start), Stroke::Dashed, false)]
        });
        // What lies below the rounding of f32 weights is noise.
        each.map(|mut l| {
            l.points.retain(|p| p.1 > 1e-10);
            l
        })
        .collect()
    };
    let kernel = |r: &Record| r.kernel.clone().expect("asked for in every trial");
    let chart = |title: &str, x: &str, y: &str, lines| Chart {
        title: title.into(),
        x: (x.into(), Spacing::Linear),
        y: (y.into(), Spacing::Logarithmic),
        lines,
    };
    let index = "index of the eigenvalue";
    let charts = [
        chart("Error", "step", "mean squared error", over_steps(&|c| c.error)),
        chart("Change of the dense weights", "step", "|W - W0| / |W0|", over_steps(&|c| c.change)),
        chart(
            "Tangent kernel in dense weights",
            index,
            "eigenvalue / largest",
            spectra(&|r| kernel(r).dense_start, &|r| kernel(r).dense_end),
        ),
        chart(
            "Tangent kernel in trained numbers",
            index,
            "eigenvalue / largest",
            spectra(&|r| kernel(r).trained_start, &|r| kernel(r).trained_end),
        ),
    ];
    let drawn = charts.iter().map(Chart::draw).collect::<Result<Vec<_>>>()?;
    Ok(mosaic(&drawn, 2))
}

fn line(method: &str, points: Vec<(f64, f64)>, stroke: Stroke, named: bool) -> Line {
    Line { name: if named { method.into() } else { String::new() }, points, colour: colour(method), stroke }
}

fn predictions(results: &Results<'_>, row: &str) -> Result<image::RgbImage> {
    let truth = field(0, false);
    let at: Vec<f64> = truth.x.iter().map(|&x| f64::from(x)).collect();
    let points = |y: &[f32]| at.iter().copied().zip(y.iter().map(|&v| f64::from(v))).collect::<Vec<_>>();
    let mut drawn = Vec::new();
    for method in &results.methods {
        let found = of(results, row, method);
        let Some(record) = found.iter().find(|r| r.output.is_some()) else { continue };
        let fit = record.output.as_deref().unwrap_or_default();
        let chart = Chart {
            title: format!("{method}: mean squared error {:.1e}", record.error),
            x: ("x".into(), Spacing::Linear),
            y: ("value".into(), Spacing::Linear),
            lines: vec![
                Line { name: String::new(), points: points(&truth.y), colour: 0, stroke: Stroke::Points },
                line(method, points(fit), Stroke::Solid, false),
            ],
        };
        drawn.push(chart.draw()?);
    }
    Ok(mosaic(&drawn, 2))
}

/// How flat the spectra are, means over the seeds.
fn flatness(results: &Results<'_>, row: &str) -> Table {
    let header = [
        "tangent kernel",
        "largest, dense",
        "effective directions, dense",
        "above 1e-4 of the largest, dense",
        "largest, trained",
        "effective directions, trained",
        "above 1e-4 of the largest, trained",
    ];
    let mut rows = Vec::new();
    let mut push = |name: String, records: &[&Record], start: bool| {
        let mut cells = vec![name];
        for dense in [true, false] {
            let of_one = |r: &&Record| {
                let k = r.kernel.as_ref().expect("asked for in every trial");
                match (dense, start) {
                    (true, true) => k.dense_start.clone(),
                    (true, false) => k.dense_end.clone(),
                    (false, true) => k.trained_start.clone(),
                    (false, false) => k.trained_end.clone(),
                }
            };
            let spectra: Vec<Vec<f64>> = records.iter().map(of_one).collect();
            let mean = |f: &dyn Fn(&Vec<f64>) -> f64| summary(&spectra.iter().map(f).collect::<Vec<_>>()).mean;
            cells.push(format!("{:.2e}", mean(&|s| s[0])));
            cells.push(format!("{:.2}", mean(&|s| participation(s))));
            cells.push(format!("{:.0} %", 100.0 * mean(&|s| share_above(s, SMALL))));
        }
        rows.push(cells);
    };
    if let Some(method) = results.methods.first() {
        // In dense weights all start from the same function; one line says it for all.
        let plain = Parameterization::Plain.name();
        let shown = if results.methods.contains(&plain) { plain } else { method };
        push(format!("{shown}, before"), &of(results, row, shown), true);
    }
    for method in &results.methods {
        push(format!("{method}, after"), &of(results, row, method), false);
    }
    Table { header: header.map(String::from).to_vec(), rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_field_whatever_the_coordinates() {
        let (a, b) = (field(3, false), field(3, true));
        assert_eq!(a.y, b.y);
        assert_eq!((a.x[0], a.x[255], b.x[0], b.x[255]), (0.0, 1.0, -1.0, 1.0));
        assert_ne!(a.y, field(4, false).y);
        let square = a.y.iter().map(|v| v * v).sum::<f32>() / 256.0;
        assert!((0.4..2.0).contains(&square), "{square}");
    }

    #[test]
    fn geometric_means() {
        let mean = geometric([vec![1.0, 4.0], vec![100.0, 9.0]]);
        assert!((mean[0] - 10.0).abs() < 1e-9 && (mean[1] - 6.0).abs() < 1e-9);
    }
}
