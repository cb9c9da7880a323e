//! The loss curve.

use image::RgbImage;
use plotters::prelude::*;

use super::{canvas, colour, ends};
use crate::error::Result;

/// One measurement of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u64,
    /// Loss of the step.
    pub loss: f64,
    /// PSNR in dB.
    pub psnr: Option<f64>,
}

/// Loss (left, logarithmic) and PSNR (right) over steps, 900x500 pixels.
///
/// # Errors
/// Those of drawing.
pub fn loss_curve(points: &[CurvePoint], title: &str) -> Result<RgbImage> {
    let last = points.last().map_or(1, |p| p.step).max(1);
    // Where the loss is 0 there is no logarithm; such a point sits at the bottom.
    let exponent = |p: &CurvePoint| p.loss.max(1e-30).log10();
    let (low, high) = ends(points.iter().map(exponent));
    let psnr: Vec<(u64, f64)> = points.iter().filter_map(|p| Some((p.step, p.psnr?))).collect();
    let (psnr_low, psnr_high) = ends(psnr.iter().map(|p| p.1));
    canvas(900, 500, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 22))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(78)
            .right_y_label_area_size(68)
            .build_cartesian_2d(0..last, low..high)?
            .set_secondary_coord(0..last, psnr_low..psnr_high);
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
        if !psnr.is_empty() {
            chart
                .configure_secondary_axes()
                .y_desc("PSNR [dB]")
                .y_label_formatter(&|v| format!("{v:.0}"))
                .label_style(("sans-serif", 15))
                .draw()?;
            chart
                .draw_secondary_series(LineSeries::new(psnr.iter().copied(), colour::FIT.stroke_width(2)))?
                .label("PSNR")
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
        let point = |step, loss| CurvePoint { step, loss, psnr: Some(10.0 + step as f64) };
        let picture = loss_curve(&[point(1, 1.0), point(10, 1e-3), point(20, 0.0)], "a run").unwrap();
        for colour in [colour::OTHER, colour::FIT] {
            assert!(picture.pixels().any(|p| p.0 == [colour.0, colour.1, colour.2]));
        }
        loss_curve(&[], "nothing").unwrap();
        loss_curve(&[point(5, f64::NAN)], "nan").unwrap();
    }
}
