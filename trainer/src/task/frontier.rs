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
    /// PSNR of the best JPEG of no more bytes, of a model of a picture.
    jpeg: Option<f64>,
}

/// Name of the series of pictures.
const JPEG: &str = "JPEG";

/// What was measured.
#[derive(Debug)]
pub struct Frontier {
    /// Every model and picture, by series and bytes.
    pub table: Table,
    /// How the models stand against JPEG, in a sentence.
    pub verdict: String,
}

/// Measures and writes report.md, report.html, frontier.png and frontier.csv.
///
/// # Errors
/// Bad input, a model of another signal, an output that cannot be written.
pub fn run(request: &Request, quiet: bool) -> Result<Frontier> {
    let signal = signal::load(&request.input, &request.options)?;
    let coordinates = signal.coordinates_f32();
    let measured = |series: String, name: String, bytes: usize, values: &[f32]| {
        let metrics = Metrics::new(&signal.outputs, values, &signal.values);
        let rmse = metrics.outputs.iter().map(|o| o.rmse).fold(0.0, f64::max);
        Point { series, name, bytes, psnr: metrics.psnr, rmse, jpeg: None }
    };
    let say = |point: &Point| {
        if !quiet {
            eprintln!("  {:<24} {:<44} {:>7} bytes  {:.2} dB", point.series, point.name, point.bytes, point.psnr);
        }
    };
    let mut points: Vec<Point> = Vec::new();
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
        say(&points[points.len() - 1]);
    }
    let pictures = pictures(&signal, &points, &measured);
    pictures.iter().for_each(say);
    for point in &mut points {
        let fits = pictures.iter().filter(|p| p.bytes <= point.bytes);
        point.jpeg = fits.map(|p| p.psnr).max_by(f64::total_cmp);
    }
    let verdict = verdict(&points, rival::is_picture(&signal));
    points.extend(pictures);
    points.sort_by(|a, b| a.series.cmp(&b.series).then(a.bytes.cmp(&b.bytes)));

    let header = ["series", "model", "bytes", "PSNR [dB]", "JPEG in these bytes", "RMS error"];
    let row = |p: &Point| {
        let jpeg = p.jpeg.map_or("-".into(), |psnr| format!("{psnr:.2}"));
        vec![p.series.clone(), p.name.clone(), p.bytes.to_string(), format!("{:.2}", p.psnr), jpeg, short(p.rmse)]
    };
    let table = Table { header: header.map(String::from).to_vec(), rows: points.iter().map(row).collect() };
    let mut csv = "series,name,bytes,psnr_db,jpeg_psnr_db,rmse\n".to_owned();
    for p in &points {
        let jpeg = p.jpeg.map_or(String::new(), |psnr| format!("{psnr:.4}"));
        csv += &format!("{},\"{}\",{},{:.4},{jpeg},{:e}\n", p.series, p.name, p.bytes, p.psnr, p.rmse);
    }
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
            Block::Text(format!("{verdict}.")),
            Block::Table(table.clone()),
        ],
    };
    report.write(&request.out)?;
    Ok(Frontier { table, verdict })
}

/// How `models` stand against the pictures of no more bytes.
fn verdict(models: &[Point], is_picture: bool) -> String {
    if !is_picture {
        return "the signal is no picture of 8 bits, so that no JPEG stands beside the models".into();
    }
    let ahead: Vec<f64> = models.iter().filter_map(|p| Some(p.jpeg? - p.psnr)).collect();
    let wins: Vec<f64> = ahead.iter().copied().filter(|&by| by > 0.0).collect();
    let mut text = format!("JPEG is better in the bytes of {} of {} models", wins.len(), models.len());
    if !wins.is_empty() {
        let least = wins.iter().copied().fold(f64::INFINITY, f64::min);
        text += &format!(", by {least:.1} to {:.1} dB", wins.iter().copied().fold(0.0, f64::max));
    }
    if ahead.len() < models.len() {
        text += &format!("; in those of {} no JPEG fits", models.len() - ahead.len());
    }
    text
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
        Some(measured(JPEG.into(), rival.name, rival.bytes, &rival.values))
    };
    let mut points: Vec<Point> = sizes.par_iter().filter_map(at).collect();
    points.dedup_by(|a, b| a.bytes == b.bytes);
    points
}

fn chart(name: &str, points: &[Point]) -> Chart {
    let mut lines: Vec<Line> = Vec::new();
    for of in points.chunk_by(|a, b| a.series == b.series) {
        let line = |name: &str, stroke| Line {
            name: name.to_owned(),
            points: of.iter().map(|p| (p.bytes as f64, p.psnr)).collect(),
            colour: lines.len(),
            stroke,
        };
        let series = &of[0].series;
        lines.push(line(series, if series == JPEG { Stroke::Dashed } else { Stroke::Solid }));
    }
    // Models are points, one alone too; JPEG is a curve.
    let points = |line: &Line| Line { name: String::new(), stroke: Stroke::Points, ..line.clone() };
    let models: Vec<Line> = lines.iter().filter(|line| line.stroke == Stroke::Solid).map(points).collect();
    lines.extend(models);
    Chart {
        title: format!("{name}: error against bytes"),
        x: ("bytes".into(), Spacing::Logarithmic),
        y: ("PSNR [dB]".into(), Spacing::Linear),
        lines,
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn point(series: &str, bytes: usize, psnr: f64, jpeg: Option<f64>) -> Point {
        Point { series: series.into(), name: String::new(), bytes, psnr, rmse: 1.0, jpeg }
    }

    #[test]
    fn a_model_alone_is_seen_and_each_series_has_its_colour() {
        let none = chart("a", &[]).draw().unwrap();
        let points = [
            point(JPEG, 100, 20.0, None),
            point(JPEG, 900, 30.0, None),
            point("one", 300, 22.0, None),
            point("two", 500, 26.0, None),
        ];
        let chart = chart("a", &points);
        assert_eq!(chart.lines.iter().map(|l| l.colour).collect::<Vec<_>>(), [0, 1, 2, 1, 2]);
        let picture = chart.draw().unwrap();
        // Inside the frame, away from the legend.
        let orange = |p: &RgbImage| {
            p.enumerate_pixels().filter(|(x, y, p)| *x > 250 && *y > 150 && p.0 == [230, 159, 0]).count()
        };
        assert!(orange(&picture) > 9 && orange(&none) == 0, "{}", orange(&picture));
    }

    #[test]
    fn the_verdict_counts_those_that_lose() {
        let models =
            [point("a", 100, 20.0, None), point("a", 200, 25.0, Some(24.0)), point("a", 300, 26.0, Some(29.0))];
        let text = verdict(&models, true);
        assert!(text.contains("1 of 3 models, by 3.0 to 3.0 dB") && text.contains("of 1 no JPEG fits"), "{text}");
        assert!(verdict(&models, false).contains("no picture"));
    }
}
