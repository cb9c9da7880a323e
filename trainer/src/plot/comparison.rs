//! Signal, fit and error beside each other, in the form that suits the signal.

use image::{Rgb, RgbImage, imageops};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Area, Drawn, canvas, colour, ends};
use crate::{
    error::Result,
    signal::{Layout, Order, Quantity, Signal, SignalKind},
    train::{
        Metrics,
        metrics::{label, short},
    },
};

/// Longest side of a panel in pixels.
const PANEL: u32 = 420;
/// Height of a panel's caption.
const CAPTION: u32 = 34;
/// Space around panels.
const GAP: u32 = 12;
/// Most outputs shown.
const ROWS: usize = 4;
/// Most points of a scatter or a curve.
const POINTS: usize = 20_000;

/// Signal, fit and error, `fit` being `[n, outputs]`: panels for images, maps for what has two inputs, curves for one,
/// fitted against measured for more.
///
/// # Errors
/// Those of drawing.
pub fn comparison(signal: &Signal, fit: &[f32]) -> Result<RgbImage> {
    let metrics = Metrics::new(&signal.outputs, fit, &signal.values);
    match (&signal.layout, signal.inputs.len()) {
        (Layout::Grid { axes, order, .. }, 2..) => {
            let raster = Raster::middle(axes.iter().map(|a| a.count).collect(), *order);
            if signal.kind == SignalKind::Image {
                picture(signal, fit, &raster, &metrics)
            } else {
                maps(signal, fit, &raster, &metrics)
            }
        }
        (_, 1) => curves(signal, fit, &metrics),
        (Layout::Scattered { coordinates }, 2) => scatter_maps(signal, fit, coordinates, &metrics),
        _ => fitted_against_measured(signal, fit, &metrics),
    }
}

/// Colour of a sample.
type Colouring<'a> = Box<dyn Fn(usize) -> [u8; 3] + 'a>;

/// A slice of a grid as a picture: the two fastest axes, the middle of the others.
struct Raster {
    width: usize,
    height: usize,
    first: usize,
}

impl Raster {
    fn middle(mut counts: Vec<usize>, order: Order) -> Self {
        if order == Order::FirstFastest {
            counts.reverse();
        }
        let (width, height) = (counts[counts.len() - 1], counts[counts.len() - 2]);
        let slices: usize = counts[..counts.len() - 2].iter().product();
        // The middle of every slower axis, not of their product.
        let middle = counts[..counts.len() - 2].iter().fold(0, |at, n| at * n + n / 2).min(slices.max(1) - 1);
        Self { width, height, first: middle * width * height }
    }

    /// The picture of a colour for each sample, scaled to a panel.
    fn panel(&self, colour: impl Fn(usize) -> [u8; 3]) -> RgbImage {
        let image = RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            Rgb(colour(self.first + y as usize * self.width + x as usize))
        });
        let longest = image.width().max(image.height());
        if longest <= PANEL {
            let times = (PANEL / longest).max(1);
            imageops::resize(&image, image.width() * times, image.height() * times, imageops::FilterType::Nearest)
        } else {
            let shrink = |n: u32| (n * PANEL / longest).max(1);
            imageops::resize(&image, shrink(image.width()), shrink(image.height()), imageops::FilterType::Triangle)
        }
    }
}

/// Rows of captioned panels.
///
/// # Errors
/// Those of drawing.
pub fn sheet(rows: &[Vec<(String, RgbImage)>]) -> Result<RgbImage> {
    let (w, h) = rows.iter().flatten().fold((0, 0), |(w, h), (_, p)| (p.width().max(w), p.height().max(h)));
    let w = w.max(250);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1) as u32;
    let (width, height) = (columns * (w + GAP) + GAP, rows.len() as u32 * (h + CAPTION + GAP) + GAP);
    let corner = |row: usize, column: usize| (GAP + column as u32 * (w + GAP), GAP + row as u32 * (h + CAPTION + GAP));
    let mut sheet = canvas(width, height, |area| {
        for (r, row) in rows.iter().enumerate() {
            for (c, (caption, _)) in row.iter().enumerate() {
                let (x, y) = corner(r, c);
                // Captions of narrow panels get smaller letters rather than run into each other.
                let size = (w as usize * 17 / (caption.len() * 9).max(1)).clamp(10, 17);
                let style = ("sans-serif", size as i32).into_text_style(area);
                area.draw_text(caption, &style, (x as i32, y as i32 + 8))?;
            }
        }
        Ok(())
    })?;
    for (r, row) in rows.iter().enumerate() {
        for (c, (_, panel)) in row.iter().enumerate() {
            let (x, y) = corner(r, c);
            imageops::replace(&mut sheet, panel, i64::from(x), i64::from(y + CAPTION));
        }
    }
    Ok(sheet)
}

/// An image: its colours, the fit's, and the error around grey, amplified.
fn picture(signal: &Signal, fit: &[f32], raster: &Raster, metrics: &Metrics) -> Result<RgbImage> {
    let width = signal.outputs.len();
    let colours = width.min(if width == 2 { 1 } else { 3 });
    let level = |values: &[f32], i: usize, k: usize| {
        let q = &signal.outputs[k];
        (f64::from(values[i * width + k]) - q.lo) / (q.hi - q.lo)
    };
    let show = |values: &[f32], i: usize| -> [u8; 3] {
        std::array::from_fn(|k| (255.0 * level(values, i, k.min(colours - 1))).round().clamp(0.0, 255.0) as u8)
    };
    let worst = metrics.outputs.iter().map(|o| o.max).fold(0.0, f64::max);
    let rmse = 10f64.powf(-metrics.psnr / 20.0);
    // Four standard deviations fill the range of the panel.
    let times = (0.5 / (4.0 * rmse)).clamp(1.0, 1000.0).round();
    let error = |i: usize| -> [u8; 3] {
        std::array::from_fn(|k| {
            let k = k.min(colours - 1);
            (127.5 + 255.0 * times * (level(fit, i, k) - level(&signal.values, i, k))).clamp(0.0, 255.0) as u8
        })
    };
    sheet(&[vec![
        (format!("signal: {}", signal.name), raster.panel(|i| show(&signal.values, i))),
        (format!("fit: PSNR {:.2} dB", metrics.psnr), raster.panel(|i| show(fit, i))),
        (format!("error x{times:.0}, largest {}", short(worst)), raster.panel(error)),
    ]])
}

/// Values over two axes, an output a row.
fn maps(signal: &Signal, fit: &[f32], raster: &Raster, metrics: &Metrics) -> Result<RgbImage> {
    let width = signal.outputs.len();
    let rows: Vec<Vec<(String, RgbImage)>> = signal
        .outputs
        .iter()
        .zip(&metrics.outputs)
        .enumerate()
        .take(ROWS)
        .map(|(k, (q, m))| {
            let value = |values: &[f32], i: usize| f64::from(values[i * width + k]);
            let show = |values: &[f32], i| colour::value((value(values, i) - q.lo) / (q.hi - q.lo));
            let limit = (4.0 * m.rmse).max(f64::MIN_POSITIVE);
            let error = |i| colour::error((value(fit, i) - value(&signal.values, i)) / limit);
            vec![
                (format!("{}: {} to {}", m.name, short(q.lo), short(q.hi)), raster.panel(|i| show(&signal.values, i))),
                (format!("fit: RMSE {}", short(m.rmse)), raster.panel(|i| show(fit, i))),
                (format!("error, colours to +-{}, largest {}", short(limit), short(m.max)), raster.panel(error)),
            ]
        })
        .collect();
    sheet(&rows)
}

/// One input: measured and fitted, and the residual below, an output a pair of charts.
fn curves(signal: &Signal, fit: &[f32], metrics: &Metrics) -> Result<RgbImage> {
    let width = signal.outputs.len();
    let rows = width.min(ROWS);
    let mut order: Vec<usize> = (0..signal.len()).step_by(signal.len().div_ceil(POINTS)).collect();
    let mut at = [0.0];
    let mut coordinate = |i: usize| {
        signal.coordinate(i, &mut at);
        at[0]
    };
    let xs: Vec<f64> = (0..signal.len()).map(&mut coordinate).collect();
    order.sort_by(|&a, &b| xs[a].total_cmp(&xs[b]));
    let few = signal.len() <= 600;
    canvas(1000, 520 * rows as u32, |area| {
        for (k, band) in area.split_evenly((rows, 1)).iter().enumerate() {
            let (upper, lower) = band.split_vertically(350);
            let series = |values: &[f32]| -> Vec<(f64, f64)> {
                order.iter().map(|&i| (xs[i], f64::from(values[i * width + k]))).collect()
            };
            let (measured, fitted) = (series(&signal.values), series(fit));
            let residual: Vec<(f64, f64)> = measured.iter().zip(&fitted).map(|(m, f)| (m.0, f.1 - m.1)).collect();
            let m = &metrics.outputs[k];
            let title = format!("{}: RMSE {}, largest error {}", signal.name, short(m.rmse), short(m.max));
            let x = &signal.inputs[0];
            chart(&upper, &title, ("", &label(&signal.outputs[k])), &measured, |c| {
                if few {
                    c.draw_series(measured.iter().map(|&p| Circle::new(p, 3, colour::MEASURED.filled())))?
                } else {
                    c.draw_series(LineSeries::new(measured.iter().copied(), &colour::MEASURED))?
                }
                .label("measured")
                .legend(|(x, y)| Circle::new((x + 10, y), 3, colour::MEASURED.filled()));
                c.draw_series(LineSeries::new(fitted.iter().copied(), colour::FIT.stroke_width(2)))?
                    .label("fit")
                    .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], colour::FIT.stroke_width(2)));
                c.configure_series_labels()
                    .background_style(WHITE.mix(0.85))
                    .border_style(BLACK.mix(0.3))
                    .label_font(("sans-serif", 15))
                    .draw()?;
                Ok(())
            })?;
            chart(&lower, "", (&label(x), "fit - measured"), &residual, |c| {
                if few {
                    c.draw_series(residual.iter().map(|&p| Circle::new(p, 2, colour::OTHER.filled())))?;
                } else {
                    c.draw_series(LineSeries::new(residual.iter().copied(), &colour::OTHER))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

type Chart<'a, 'b> = ChartContext<
    'a,
    BitMapBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// A chart with axes that hold `points`.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    (x_name, y_name): (&str, &str),
    points: &[(f64, f64)],
    draw: impl FnOnce(&mut Chart<'a, 'b>) -> Drawn,
) -> Drawn {
    let (x0, x1) = ends(points.iter().map(|p| p.0));
    let (y0, y1) = ends(points.iter().map(|p| p.1));
    let mut builder = ChartBuilder::on(area);
    builder.margin(10).x_label_area_size(if x_name.is_empty() { 28 } else { 44 }).y_label_area_size(84);
    if !title.is_empty() {
        builder.caption(title, ("sans-serif", 20));
    }
    let mut chart = builder.build_cartesian_2d(x0..x1, y0..y1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&|v| tick(*v))
        .y_label_formatter(&|v| tick(*v))
        .x_labels((area.dim_in_pixel().0 as usize / 100).max(2))
        .y_labels(6)
        .label_style(("sans-serif", 14))
        .draw()?;
    draw(&mut chart)
}

/// A number at an axis: short, without the zeros that say nothing there.
fn tick(value: f64) -> String {
    let text = short(value);
    if text.contains('.') && !text.contains('e') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// Two inputs, scattered: dots coloured by value, an output a row.
fn scatter_maps(signal: &Signal, fit: &[f32], coordinates: &[f64], metrics: &Metrics) -> Result<RgbImage> {
    let width = signal.outputs.len();
    let rows = width.min(ROWS);
    let stride = signal.len().div_ceil(POINTS);
    // Dots that just touch each other when samples are spread evenly.
    let size = (170.0 / (signal.len() as f64).sqrt()).clamp(1.0, 7.0).round() as i32;
    canvas(1260, 400 * rows as u32, |area| {
        for (k, band) in area.split_evenly((rows, 1)).iter().enumerate() {
            let (q, m) = (&signal.outputs[k], &metrics.outputs[k]);
            let value = |values: &[f32], i: usize| f64::from(values[i * width + k]);
            let limit = (4.0 * m.rmse).max(f64::MIN_POSITIVE);
            let show = |values: &[f32], i| colour::value((value(values, i) - q.lo) / (q.hi - q.lo));
            let panels: [(String, Colouring<'_>); 3] = [
                (format!("{}: {} to {}", m.name, short(q.lo), short(q.hi)), Box::new(|i| show(&signal.values, i))),
                (format!("fit: RMSE {}", short(m.rmse)), Box::new(|i| show(fit, i))),
                (
                    format!("error to +-{}, largest {}", short(limit), short(m.max)),
                    Box::new(|i| colour::error((value(fit, i) - value(&signal.values, i)) / limit)),
                ),
            ];
            let at = |i: usize| (coordinates[2 * i], coordinates[2 * i + 1]);
            let points: Vec<(f64, f64)> = (0..signal.len()).step_by(stride).map(at).collect();
            let names = (label(&signal.inputs[0]), label(&signal.inputs[1]));
            for (panel, (title, colour)) in band.split_evenly((1, 3)).iter().zip(&panels) {
                chart(panel, title, (&names.0, &names.1), &points, |c| {
                    let dots = points
                        .iter()
                        .enumerate()
                        .map(|(n, &p)| Circle::new(p, size, colour::rgb(colour(n * stride)).filled()));
                    c.draw_series(dots)?;
                    Ok(())
                })?;
            }
        }
        Ok(())
    })
}

/// More inputs than paper has: fitted against measured, and the residual against measured.
fn fitted_against_measured(signal: &Signal, fit: &[f32], metrics: &Metrics) -> Result<RgbImage> {
    let width = signal.outputs.len();
    let rows = width.min(ROWS);
    let stride = signal.len().div_ceil(POINTS);
    canvas(1000, 440 * rows as u32, |area| {
        for (k, band) in area.split_evenly((rows, 1)).iter().enumerate() {
            let pair = |i: usize| (f64::from(signal.values[i * width + k]), f64::from(fit[i * width + k]));
            let points: Vec<(f64, f64)> = (0..signal.len()).step_by(stride).map(pair).collect();
            let residual: Vec<(f64, f64)> = points.iter().map(|p| (p.0, p.1 - p.0)).collect();
            let (q, m): (&Quantity, _) = (&signal.outputs[k], &metrics.outputs[k]);
            let measured = format!("measured {}", label(q));
            let sides = band.split_evenly((1, 2));
            chart(&sides[0], &format!("RMSE {}", short(m.rmse)), (&measured, "fit"), &points, |c| {
                c.draw_series(LineSeries::new([(q.lo, q.lo), (q.hi, q.hi)], &colour::MEASURED))?;
                c.draw_series(points.iter().map(|&p| Circle::new(p, 2, colour::FIT.filled())))?;
                Ok(())
            })?;
            let title = format!("largest error {}", short(m.max));
            chart(&sides[1], &title, (&measured, "fit - measured"), &residual, |c| {
                c.draw_series(residual.iter().map(|&p| Circle::new(p, 2, colour::OTHER.filled())))?;
                Ok(())
            })?;
            // A hint for the eye that rows belong to different outputs.
            let style = ("sans-serif", 13).into_text_style(band).pos(Pos::new(HPos::Left, VPos::Top));
            band.draw_text(&q.name, &style, (4, 4))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Axis, Sampling};

    fn signal(kind: SignalKind, counts: &[usize], outputs: usize, grid: bool) -> (Signal, Vec<f32>) {
        let n: usize = counts.iter().product();
        let values: Vec<f32> = (0..n * outputs).map(|i| ((i as f32) * 0.13).sin() * 100.0 + 100.0).collect();
        let fit = values.iter().enumerate().map(|(i, v)| v + (i as f32 * 0.7).cos()).collect();
        let axes: Vec<Axis> = counts.iter().map(|&count| Axis { start: 0.0, step: 1.0, count }).collect();
        let layout = Layout::Grid { axes, sampling: Sampling::Node, order: Order::LastFastest };
        let mut signal = Signal {
            kind,
            name: "test".into(),
            inputs: (0..counts.len()).map(|k| Quantity::new(&format!("x{k}"), "m", 0.0, counts[k] as f64)).collect(),
            outputs: (0..outputs).map(|k| Quantity::new(&format!("y{k}"), "K", 0.0, 200.0)).collect(),
            layout,
            values,
        };
        if !grid {
            let coordinates = signal.coordinates_f32().into_iter().map(f64::from).collect();
            signal.layout = Layout::Scattered { coordinates };
        }
        (signal, fit)
    }

    #[test]
    fn every_kind_of_signal_has_a_picture_with_something_in_it() {
        for (name, kind, counts, outputs, grid) in [
            ("image", SignalKind::Image, &[40, 30][..], 3, true),
            ("grey", SignalKind::Image, &[600, 500], 2, true),
            ("audio", SignalKind::Audio, &[3000], 2, true),
            ("curve", SignalKind::Table, &[40], 1, false),
            ("map", SignalKind::Table, &[20, 20], 2, false),
            ("many", SignalKind::Table, &[5, 5, 5], 1, false),
            ("volume", SignalKind::Array, &[6, 20, 30], 1, true),
        ] {
            let (signal, fit) = signal(kind, counts, outputs, grid);
            let picture = comparison(&signal, &fit).unwrap();
            if let Some(folder) = std::env::var_os("RWF_PICTURES") {
                picture.save(std::path::Path::new(&folder).join(format!("{name}.png"))).unwrap();
            }
            let colours: std::collections::HashSet<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
            assert!(colours.len() > 10, "{name}: {} colours", colours.len());
        }
    }

    #[test]
    fn a_volume_shows_its_middle() {
        let raster = Raster::middle(vec![4, 6, 5, 7], Order::LastFastest);
        assert_eq!((raster.width, raster.height, raster.first), (7, 5, (2 * 6 + 3) * 35));
    }
}
