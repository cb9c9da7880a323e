//! Curves over a common axis, in one chart.

use image::{RgbImage, imageops};
use plotters::{
    coord::{
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
        types::RangedCoordf64,
    },
    prelude::*,
};

use super::{canvas, colour, ends};
use crate::error::Result;

/// Size of a chart in pixels.
const SIZE: (u32, u32) = (720, 440);

/// How numbers lie on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly.
    Linear,
    /// By their logarithm; what is not above 0 is left out.
    Logarithmic,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Unbroken.
    Solid,
    /// In dashes.
    Dashed,
    /// Points alone.
    Points,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Name in the legend; empty: none.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
    /// Which colour of the palette, counted on from its end.
    pub colour: usize,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// Curves and what they are measured along.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Above the chart.
    pub title: String,
    /// Name and spacing of the axis across.
    pub x: (String, Spacing),
    /// Name and spacing of the axis up.
    pub y: (String, Spacing),
    /// The curves.
    pub lines: Vec<Line>,
}

impl Chart {
    /// The chart as a picture, 720x440 pixels.
    ///
    /// # Errors
    /// Those of drawing.
    pub fn draw(&self) -> Result<RgbImage> {
        let place = |spacing, v: f64| match spacing {
            Spacing::Linear => v,
            Spacing::Logarithmic => v.log10(),
        };
        let placed: Vec<Vec<(f64, f64)>> = self
            .lines
            .iter()
            .map(|line| {
                let all = line.points.iter().map(|&(x, y)| (place(self.x.1, x), place(self.y.1, y)));
                all.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
            })
            .collect();
        let (left, right) = span(placed.iter().flatten().map(|p| p.0));
        let (low, high) = ends(placed.iter().flatten().map(|p| p.1));
        let tick = |spacing, range: (f64, f64), v: f64| match spacing {
            // What rounding leaves of 0 is 0.
            Spacing::Linear if v.abs() < 1e-9 * (range.1 - range.0) => "0".into(),
            Spacing::Linear => plain(v),
            Spacing::Logarithmic => power(v),
        };
        let axis = |spacing, (low, high): (f64, f64)| {
            let ticks = match spacing {
                Spacing::Linear => round(low, high),
                Spacing::Logarithmic => decades(low, high),
            };
            Ticked { line: (low..high).into(), ticks }
        };
        let corner = emptiest_corner(placed.iter().flatten().copied(), (left, right), (low, high));
        canvas(SIZE.0, SIZE.1, |area| {
            let mut chart = ChartBuilder::on(area)
                .caption(&self.title, ("sans-serif", 19))
                .margin(12)
                .margin_right(30)
                .x_label_area_size(44)
                .y_label_area_size(78)
                .build_cartesian_2d(axis(self.x.1, (left, right)), axis(self.y.1, (low, high)))?;
            chart
                .configure_mesh()
                .light_line_style(WHITE)
                .bold_line_style(BLACK.mix(0.12))
                .x_desc(&self.x.0)
                .y_desc(&self.y.0)
                .x_label_formatter(&|v| tick(self.x.1, (left, right), *v))
                .y_label_formatter(&|v| tick(self.y.1, (low, high), *v))
                .label_style(("sans-serif", 14))
                .draw()?;
            for (line, points) in self.lines.iter().zip(&placed) {
                let style = colour::palette(line.colour).stroke_width(2);
                let points = points.iter().copied();
                let drawn = match line.stroke {
                    Stroke::Solid => chart.draw_series(LineSeries::new(points, style))?,
                    Stroke::Dashed => chart.draw_series(DashedLineSeries::new(points, 7, 5, style))?,
                    Stroke::Points => chart.draw_series(points.map(|p| Circle::new(p, 3, style.filled())))?,
                };
                if !line.name.is_empty() {
                    drawn.label(&line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
                }
            }
            if self.lines.iter().any(|l| !l.name.is_empty()) {
                chart
                    .configure_series_labels()
                    .position(corner)
                    .background_style(WHITE.mix(0.8))
                    .border_style(BLACK.mix(0.2))
                    .label_font(("sans-serif", 14))
                    .draw()?;
            }
            Ok(())
        })
    }
}

/// A number for a linear axis, without needless zeros.
fn plain(v: f64) -> String {
    let text = crate::train::metrics::short(v);
    if !text.contains('.') || text.contains('e') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An axis with ticks of its own.
struct Ticked {
    line: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.line.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no lines between the ticks.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.line.range()
    }
}

/// Most ticks of an axis.
const TICKS: usize = 8;

/// Ticks between two numbers, evenly.
fn round(low: f64, high: f64) -> Vec<f64> {
    RangedCoordf64::from(low..high).key_points(TICKS)
}

/// Ticks between two logarithms: 1, 2 and 5 times powers of ten, where these are too many powers of ten, or every
/// second or third of these; and where these are too few what is round between the two numbers.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let every = |step: i32, times: &[f64]| -> Vec<f64> {
        let (from, to) = (low.floor() as i32, high.ceil() as i32);
        let powers = (from..=to).filter(|power| power.rem_euclid(step) == 0);
        let all = powers.flat_map(|power| times.iter().map(move |times| f64::from(power) + times.log10()));
        all.filter(|v| (low - 1e-9..=high + 1e-9).contains(v)).collect()
    };
    let coarser = (1..).map(|step| every(step, &[1.0]));
    let chosen = std::iter::once(every(1, &[1.0, 2.0, 5.0])).chain(coarser).find(|ticks| ticks.len() <= TICKS);
    match chosen {
        Some(ticks) if ticks.len() > 2 => ticks,
        _ => round(10f64.powf(low), 10f64.powf(high)).into_iter().map(f64::log10).filter(|v| v.is_finite()).collect(),
    }
}

/// The number whose logarithm this is, without what rounding adds.
fn power(v: f64) -> String {
    let value = 10f64.powf(v);
    let rounded: f64 = format!("{value:.4e}").parse().unwrap_or(value);
    if (1e-3..1e6).contains(&rounded) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// Where a legend hides the fewest points.
fn emptiest_corner(
    points: impl Iterator<Item = (f64, f64)> + Clone,
    (left, right): (f64, f64),
    (low, high): (f64, f64),
) -> SeriesLabelPosition {
    let corners = [
        (SeriesLabelPosition::UpperRight, true, true),
        (SeriesLabelPosition::UpperLeft, false, true),
        (SeriesLabelPosition::LowerRight, true, false),
        (SeriesLabelPosition::LowerLeft, false, false),
    ];
    let hidden = |at_right: bool, at_top: bool| {
        let inside = |&(x, y): &(f64, f64)| {
            let (u, v) = ((x - left) / (right - left), (y - low) / (high - low));
            (if at_right { u > 0.75 } else { u < 0.25 }) && (if at_top { v > 0.65 } else { v < 0.35 })
        };
        points.clone().filter(inside).count()
    };
    corners.into_iter().min_by_key(|(_, right, top)| hidden(*right, *top)).expect("four corners").0
}

/// Smallest and largest of the numbers, without a margin.
fn span(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if high > low { (low, high) } else { ends([low, high].into_iter()) }
}

/// Pictures in rows of `columns`, on white.
pub fn mosaic(pictures: &[RgbImage], columns: usize) -> RgbImage {
    let (w, h) = pictures.iter().fold((1, 1), |(w, h), p| (p.width().max(w), p.height().max(h)));
    let rows = pictures.len().div_ceil(columns).max(1) as u32;
    let mut out = RgbImage::from_pixel(w * columns.min(pictures.len().max(1)) as u32, h * rows, image::Rgb([255; 3]));
    for (i, picture) in pictures.iter().enumerate() {
        let (column, row) = ((i % columns) as i64, (i / columns) as i64);
        imageops::replace(&mut out, picture, column * i64::from(w), row * i64::from(h));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>, y: Spacing) -> Chart {
        let line = |colour, stroke| Line { name: "a".into(), points: points.clone(), colour, stroke };
        Chart {
            title: "t".into(),
            x: ("x".into(), Spacing::Linear),
            y: ("y".into(), y),
            lines: vec![line(0, Stroke::Solid), line(1, Stroke::Dashed), line(2, Stroke::Points)],
        }
    }

    #[test]
    fn every_line_is_drawn_in_its_colour() {
        let picture = chart(vec![(0.0, 1.0), (1.0, 10.0), (2.0, 0.0)], Spacing::Logarithmic).draw().unwrap();
        for n in 1..3 {
            let c = colour::palette(n);
            assert!(picture.pixels().any(|p| p.0 == [c.0, c.1, c.2]), "colour {n}");
        }
    }

    #[test]
    fn nothing_and_what_is_not_a_number_can_be_drawn() {
        chart(Vec::new(), Spacing::Linear).draw().unwrap();
        chart(vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)], Spacing::Logarithmic).draw().unwrap();
        chart(vec![(1.0, 2.0)], Spacing::Linear).draw().unwrap();
    }

    #[test]
    fn logarithmic_ticks_are_round() {
        let told = |low: f64, high: f64| -> Vec<String> {
            decades(low.log10(), high.log10()).into_iter().map(power).collect()
        };
        assert_eq!(told(70.0, 3000.0), ["100", "200", "500", "1000", "2000"]);
        assert_eq!(told(1e-5, 2e-3), ["1e-5", "2e-5", "5e-5", "1e-4", "2e-4", "5e-4", "0.001", "0.002"]);
        assert_eq!(told(0.5, 2e6), ["1", "10", "100", "1000", "10000", "100000", "1e6"]);
        // Many decades: every other or third power.
        assert_eq!(told(1e-12, 1.0), ["1e-12", "1e-10", "1e-8", "1e-6", "1e-4", "0.01", "1"]);
        // Within a decade: what is round between the numbers.
        let narrow = told(612.0, 688.0);
        assert!((3..=8).contains(&narrow.len()) && narrow.contains(&"640".into()), "{narrow:?}");
        assert!(narrow.iter().all(|t| t.parse::<f64>().is_ok_and(|v| v % 10.0 == 0.0)), "{narrow:?}");
    }

    #[test]
    fn a_legend_keeps_out_of_the_way() {
        let rising = (0..100).map(|i| (f64::from(i), f64::from(i)));
        assert!(matches!(emptiest_corner(rising, (0.0, 99.0), (0.0, 99.0)), SeriesLabelPosition::UpperLeft));
        assert_eq!((plain(50.0), plain(0.25), plain(1e7)), ("50".into(), "0.25".into(), "1.000e7".into()));
    }

    #[test]
    fn a_mosaic_holds_all_its_pictures() {
        let red = RgbImage::from_pixel(4, 3, image::Rgb([255, 0, 0]));
        let all = mosaic(&[red.clone(), red.clone(), red], 2);
        assert_eq!((all.width(), all.height()), (8, 6));
        assert_eq!(all.pixels().filter(|p| p.0 == [255, 0, 0]).count(), 36);
    }
}
