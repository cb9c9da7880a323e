//! Colours for values and for errors.

use plotters::style::RGBColor;

/// Control points of viridis (Smith and van der Walt 2015), evenly spaced.
const VIRIDIS: [[f64; 3]; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

/// Blue through white to red.
const DIVERGING: [[f64; 3]; 5] =
    [[5.0, 48.0, 97.0], [103.0, 169.0, 207.0], [247.0, 247.0, 247.0], [239.0, 138.0, 98.0], [103.0, 0.0, 31.0]];

fn between(points: &[[f64; 3]], at: f64) -> [u8; 3] {
    let at = if at.is_nan() { 0.0 } else { at.clamp(0.0, 1.0) } * (points.len() - 1) as f64;
    let low = (at as usize).min(points.len() - 2);
    let share = at - low as f64;
    std::array::from_fn(|k| (points[low][k] * (1.0 - share) + points[low + 1][k] * share).round() as u8)
}

/// A value from 0 to 1.
pub(super) fn value(at: f64) -> [u8; 3] {
    between(&VIRIDIS, at)
}

/// An error from -1 to 1.
pub(super) fn error(at: f64) -> [u8; 3] {
    between(&DIVERGING, 0.5 + 0.5 * at)
}

/// For plotters.
pub(super) fn rgb([r, g, b]: [u8; 3]) -> RGBColor {
    RGBColor(r, g, b)
}

/// Measured points and curves.
pub(super) const MEASURED: RGBColor = RGBColor(60, 60, 60);
/// Fits.
pub(super) const FIT: RGBColor = RGBColor(200, 60, 30);
/// What stands beside them.
pub(super) const OTHER: RGBColor = RGBColor(40, 100, 180);

/// Colours that most people with a colour deficiency tell apart (Okabe and Ito 2008).
const PALETTE: [RGBColor; 7] = [
    RGBColor(60, 60, 60),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 114, 178),
];

/// The n-th colour of the palette, from the start again after the last.
pub(super) fn palette(n: usize) -> RGBColor {
    PALETTE[n % PALETTE.len()]
}
