//! A table of numbers as colours, and a function of two numbers as a map.

use image::RgbImage;
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{canvas, colour};
use crate::error::Result;

/// Numbers over two lists of settings; `NaN` is shown as a cross.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Above the map.
    pub title: String,
    /// Name of the settings across, and their values.
    pub x: (String, Vec<String>),
    /// Name of the settings up, and their values.
    pub y: (String, Vec<String>),
    /// Row by row from the bottom, `[y, x]`.
    pub values: Vec<f64>,
    /// Cells marked with a dot, `[y, x]`.
    pub marked: Vec<bool>,
}

impl HeatMap {
    /// The map with its numbers, cells of 84x52 pixels.
    ///
    /// # Errors
    /// Those of drawing.
    pub fn draw(&self) -> Result<RgbImage> {
        const CELL: (i32, i32) = (84, 52);
        const LEFT: i32 = 90;
        const TOP: i32 = 50;
        let (columns, rows) = (self.x.1.len() as i32, self.y.1.len() as i32);
        let (width, height) = (LEFT + columns * CELL.0 + 20, TOP + rows * CELL.1 + 66);
        let finite = self.values.iter().copied().filter(|v| v.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        canvas(width as u32, height as u32, |area| {
            let text = |words: &str, size: i32, at: (i32, i32), colour: RGBColor| {
                let centre = Pos::new(HPos::Center, VPos::Center);
                let style = ("sans-serif", size).into_text_style(area).color(&colour).pos(centre);
                area.draw_text(words, &style, at)
            };
            text(&self.title, 18, (width / 2, TOP / 2), BLACK)?;
            for row in 0..rows {
                let y = TOP + (rows - 1 - row) * CELL.1;
                text(&self.y.1[row as usize], 15, (LEFT - 26, y + CELL.1 / 2), BLACK)?;
                for column in 0..columns {
                    let x = LEFT + column * CELL.0;
                    let at = (row * columns + column) as usize;
                    let value = self.values[at];
                    let share = if high > low { (value - low) / (high - low) } else { 0.5 };
                    let (fill, ink) = if value.is_finite() {
                        (colour::rgb(colour::value(share)), if share < 0.6 { WHITE } else { BLACK })
                    } else {
                        (RGBColor(225, 225, 225), BLACK)
                    };
                    area.draw(&Rectangle::new([(x, y), (x + CELL.0 - 2, y + CELL.1 - 2)], fill.filled()))?;
                    let words = if value.is_finite() { format!("{value:.2}") } else { "×".into() };
                    text(&words, 16, (x + CELL.0 / 2, y + CELL.1 / 2), ink)?;
                    if self.marked.get(at).copied().unwrap_or(false) {
                        area.draw(&Circle::new((x + CELL.0 - 12, y + 10), 4, ink.filled()))?;
                    }
                }
            }
            for (column, word) in (0..).zip(&self.x.1) {
                text(word, 15, (LEFT + column * CELL.0 + CELL.0 / 2, TOP + rows * CELL.1 + 14), BLACK)?;
            }
            text(&self.x.0, 15, (LEFT + columns * CELL.0 / 2, TOP + rows * CELL.1 + 42), BLACK)?;
            text(&self.y.0, 15, (LEFT / 2 - 18, TOP - 14), BLACK)?;
            Ok(())
        })
    }
}

/// A function over a plane as colours, with curves on it.
pub struct Surface<'a> {
    /// Above the map.
    pub title: String,
    /// Name and range across.
    pub x: (&'a str, f64, f64),
    /// Name and range up.
    pub y: (&'a str, f64, f64),
    /// The function.
    pub value: &'a dyn Fn(f64, f64) -> f64,
    /// Curves: x and y, and which colour of the palette.
    pub curves: Vec<(Vec<(f64, f64)>, usize)>,
}

impl Surface<'_> {
    /// The map, 720x440 pixels.
    ///
    /// # Errors
    /// Those of drawing.
    pub fn draw(&self) -> Result<RgbImage> {
        let (nx, ny) = (240, 150);
        let cell = |(_, low, high): (&str, f64, f64), n: i32, i: i32| low + (high - low) * f64::from(i) / f64::from(n);
        let values: Vec<f64> = (0..nx * ny)
            .map(|i| {
                let centre = |axis, n, k: i32| 0.5 * (cell(axis, n, k) + cell(axis, n, k + 1));
                (self.value)(centre(self.x, nx, i % nx), centre(self.y, ny, i / nx))
            })
            .collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        canvas(720, 440, |area| {
            let mut chart = ChartBuilder::on(area)
                .caption(&self.title, ("sans-serif", 19))
                .margin(12)
                .margin_right(30)
                .x_label_area_size(44)
                .y_label_area_size(60)
                .build_cartesian_2d(self.x.1..self.x.2, self.y.1..self.y.2)?;
            chart
                .configure_mesh()
                .disable_mesh()
                .x_desc(self.x.0)
                .y_desc(self.y.0)
                .label_style(("sans-serif", 14))
                .draw()?;
            chart.draw_series((0..nx * ny).map(|i| {
                let corner = |dx, dy| (cell(self.x, nx, i % nx + dx), cell(self.y, ny, i / nx + dy));
                let fill = colour::rgb(colour::value((values[i as usize] - low) / (high - low)));
                Rectangle::new([corner(0, 0), corner(1, 1)], fill.filled())
            }))?;
            for (curve, colour) in &self.curves {
                let inside =
                    |(x, y): &&(f64, f64)| (self.x.1..=self.x.2).contains(x) && (self.y.1..=self.y.2).contains(y);
                let points = curve.iter().filter(inside).copied();
                chart.draw_series(LineSeries::new(points, colour::palette(*colour).stroke_width(3)))?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_worst_cell_have_the_ends_of_the_scale() {
        let map = HeatMap {
            title: "t".into(),
            x: ("x".into(), vec!["1".into(), "2".into()]),
            y: ("y".into(), vec!["a".into(), "b".into()]),
            values: vec![-3.0, 0.0, f64::NAN, -1.0],
            marked: vec![true, false, false, false],
        };
        let picture = map.draw().unwrap();
        for share in [0.0, 1.0] {
            assert!(picture.pixels().any(|p| p.0 == colour::value(share)), "{share}");
        }
    }

    #[test]
    fn a_surface_shows_its_curves() {
        let surface = Surface {
            title: "t".into(),
            x: ("x", 0.0, 1.0),
            y: ("y", 0.0, 1.0),
            value: &|x, y| x * y,
            curves: vec![(vec![(0.1, 0.1), (0.9, 0.9)], 3)],
        };
        let c = colour::palette(3);
        assert!(surface.draw().unwrap().pixels().any(|p| p.0 == [c.0, c.1, c.2]));
    }
}
