//! Error against bytes: models of one signal, each as its file lies there, and JPEG at the same bytes.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::{
    compare::{Block, Report, Table},
    error::{Error, Result},
    evaluate,
    file::{self, write_atomically},
    plot::{Chart, Line, Spacing, Stroke},
    rival::{self, Codec},
    signal::{self, LoadOptions},
    train::{Metrics, metrics::short},
};

/// Bytes of JPEG beside those of the models, along the axis.
const STEPS: usize = 12;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// File of the signal.
    pub input: PathBuf,
    /// How to read it.
    pub options: LoadOptions,
    /// Model files, packed or not.
    pub models: Vec<PathBuf>,
    /// Folder of the report.
    pub out: PathBuf,
}

/// A way to store the signal.
#[derive(Debug, Clone)]
struct Point {
    series: String,
    name: String,
    bytes: usize,
    psnr: f64,
    rmse: f64,
}

/// Measures and writes report.md, report.html, frontier.png and frontier.csv; the table.
///
/// # Errors
/// Bad input, a model of another signal, an output that cannot be written.
pub fn run(request: &Request) -> Result<Table> {
    let signal = signal::load(&request.input, &request.options)?;
    let coordinates = signal.coordinates_f32();
    let measured = |series: String, name: String, bytes: usize, values: &[f32]| {
        let metrics = Metrics::new(&signal.outputs, values, &signal.values);
        let rmse = metrics.outputs.iter().map(|o| o.rmse).fold(0.0, f64::max);
        Point { series, name, bytes, psnr: metrics.psnr, rmse }
    };
    let mut points = Vec::new();
    for path in &request.models {
        let bad = |message: String| Error::Model { path: path.clone(), message };
        let model_file = file::read(path)?;
        let model = evaluate::open(&model_file).map_err(|e| bad(e.to_string()))?;
        let (found, expected) = ((model.inputs(), model.outputs()), (signal.inputs.len(), signal.outputs.len()));
        if found != expected {
            return Err(bad(format!("has inputs and outputs {found:?}, the signal {expected:?}")));
        }
        let failed = |source| Error::Io { path: path.clone(), action: "read", source };
        let bytes = std::fs::metadata(path).map_err(failed)?.len() as usize;
        // The folder a file lies in names its series, so that sizes of one kind are one curve.
        let series = path.parent().and_then(Path::file_name).map_or("models".into(), |n| n.to_string_lossy());
        let a = model.architecture();
        let name = format!(
            "{}: {}x{} {}",
            path.file_name().unwrap_or_default().to_string_lossy(),
            a.layers.len() - 1,
            a.hidden(),
            model.storage()
        );
        points.push(measured(series.into_owned(), name, bytes, &model.values(&coordinates)));
    }
    points.extend(pictures(&signal, &points, &measured));
    points.sort_by(|a, b| a.series.cmp(&b.series).then(a.bytes.cmp(&b.bytes)));

    let header = ["", "", "bytes", "PSNR [dB]", "RMS error"].map(String::from).to_vec();
    let row = |p: &Point| {
        vec![p.series.clone(), p.name.clone(), p.bytes.to_string(), format!("{:.2}", p.psnr), short(p.rmse)]
    };
    let table = Table { header, rows: points.iter().map(row).collect() };
    let mut csv = "series,name,bytes,psnr_db,rmse\n".to_owned();
    points.iter().for_each(|p| csv += &format!("{},\"{}\",{},{:.4},{:e}\n", p.series, p.name, p.bytes, p.psnr, p.rmse));
    let chart = chart(&signal.name, &points).draw()?;
    file::make_folder(&request.out)?;
    write_atomically(&request.out.join("frontier.csv"), csv.as_bytes())?;
    crate::plot::save_png(&request.out.join("frontier.png"), &chart)?;
    let report = Report {
        title: format!("Error against bytes: {}", signal.name),
        blocks: vec![
            Block::Text(
                "Bytes are those of the file as it lies there, headers and all; errors those of the runtime over all samples."
                    .into(),
            ),
            Block::Figure("frontier".into(), "PSNR against bytes".into(), chart),
            Block::Table(table.clone()),
        ],
    };
    report.write(&request.out)?;
    Ok(table)
}

/// A point of a series, a name, bytes and values.
type Measure<'a> = dyn Fn(String, String, usize, &[f32]) -> Point + Sync + 'a;

/// JPEG at the bytes of every model and between; nothing for what is no picture.
fn pictures(signal: &signal::Signal, models: &[Point], measured: &Measure<'_>) -> Vec<Point> {
    if !rival::is_picture(signal) || models.is_empty() {
        return Vec::new();
    }
    let (least, most) = models.iter().fold((usize::MAX, 0), |(lo, hi), p| (lo.min(p.bytes), hi.max(p.bytes)));
    let between = (0..=STEPS).map(|n| {
        let part = n as f64 / STEPS as f64;
        (least as f64 * (most as f64 / least as f64).powf(part)).round() as usize
    });
    let mut sizes: Vec<usize> = models.iter().map(|p| p.bytes).chain(between).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let error = |values: &[f32]| -Metrics::new(&signal.outputs, values, &signal.values).psnr;
    let at = |&bytes: &usize| {
        let rival = rival::picture(signal, Codec::Jpeg, bytes, &error)?;
        Some(measured("JPEG".into(), rival.name, rival.bytes, &rival.values))
    };
    let mut points: Vec<Point> = sizes.par_iter().filter_map(at).collect();
    points.dedup_by(|a, b| a.bytes == b.bytes);
    points
}

fn chart(name: &str, points: &[Point]) -> Chart {
    let mut lines: Vec<Line> = Vec::new();
    for point in points {
        let place = (point.bytes as f64, point.psnr);
        match lines.last_mut().filter(|line| line.name == point.series) {
            Some(line) => line.points.push(place),
            None => {
                let stroke = if point.series == "JPEG" { Stroke::Dashed } else { Stroke::Solid };
                lines.push(Line { name: point.series.clone(), points: vec![place], colour: lines.len(), stroke });
            }
        }
    }
    Chart {
        title: format!("{name}: error against bytes"),
        x: ("bytes".into(), Spacing::Logarithmic),
        y: ("PSNR [dB]".into(), Spacing::Linear),
        lines,
    }
}
