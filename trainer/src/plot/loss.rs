//! The loss curve.

use image::RgbImage;
use plotters::prelude::*;

use super::{canvas, colour, ends};
use crate::{error::Result, train::Score};

/// One measurement of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u64,
    /// Loss of the step.
    pub loss: f64,
    /// What it measured, the same for all.
    pub score: Score,
}

/// Loss (left, logarithmic) and score (right) over steps, 900x500 pixels.
///
/// # Errors
/// Those of drawing.
pub fn loss_curve(points: &[CurvePoint], title: &str) -> Result<RgbImage> {
    let last = points.last().map_or(1, |p| p.step).max(1);
    // Where the loss is 0 there is no logarithm; such a point sits at the bottom.
    let exponent = |p: &CurvePoint| p.loss.max(1e-30).log10();
    let (low, high) = ends(points.iter().map(exponent));
    let score: Vec<(u64, f64)> = points.iter().map(|p| (p.step, p.score.value)).collect();
    let (score_low, score_high) = ends(score.iter().map(|p| p.1));
    let digits = if score_high - score_low > 5.0 { 0 } else { 2 };
    canvas(900, 500, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 22))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(78)
            .right_y_label_area_size(68)
            .build_cartesian_2d(0..last, low..high)?
            .set_secondary_coord(0..last, score_low..score_high);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("step")
            .y_desc("loss")
            .y_label_formatter(&|e| format!("{:.1e}", 10f64.powf(*e)))
            .label_style(("sans-serif", 15))
            .draw()?;
        let loss = points.iter().map(|p| (p.step, exponent(p)));
        chart
            .draw_series(LineSeries::new(loss, colour::OTHER.stroke_width(2)))?
            .label("loss")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], colour::OTHER.stroke_width(2)));
        if let Some(first) = points.first() {
            chart
                .configure_secondary_axes()
                .y_desc(first.score.label())
                .y_label_formatter(&|v| format!("{v:.digits$}"))
                .label_style(("sans-serif", 15))
                .draw()?;
            chart
                .draw_secondary_series(LineSeries::new(score.iter().copied(), colour::FIT.stroke_width(2)))?
                .label(first.score.name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], colour::FIT.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 15))
            .draw()?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_are_drawn_whatever_the_numbers() {
        let point = |step, loss| CurvePoint { step, loss, score: Score::psnr(10.0 + step as f64) };
        let picture = loss_curve(&[point(1, 1.0), point(10, 1e-3), point(20, 0.0)], "a run").unwrap();
        for colour in [colour::OTHER, colour::FIT] {
            assert!(picture.pixels().any(|p| p.0 == [colour.0, colour.1, colour.2]));
        }
        loss_curve(&[], "nothing").unwrap();
        loss_curve(&[point(5, f64::NAN)], "nan").unwrap();
    }
}
