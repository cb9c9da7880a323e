//! Views of a scene beside what a network makes of them.

use image::{Rgb, RgbImage, imageops};

use super::{colour, sheet};
use crate::error::Result;

/// Fewest pixels along a panel's width.
const WIDTH: usize = 250;

/// One view: its photograph, the render, and how far away what it shows is.
#[derive(Debug, Clone, Copy)]
pub struct ViewPanels<'a> {
    /// Its name.
    pub name: &'a str,
    /// Pixels across and down.
    pub size: (usize, usize),
    /// The photograph `[pixels, 3]` in [0, 1].
    pub photograph: &'a [f32],
    /// The render `[pixels, 3]`.
    pub render: &'a [f32],
    /// Distances, NaN where nothing is, `[pixels]`.
    pub depth: &'a [f32],
    /// Peak signal-to-noise ratio in dB.
    pub psnr: f64,
}

/// A line a view: photograph, render, error times four around grey, depth from near (dark) to far.
///
/// # Errors
/// Those of drawing.
pub fn views(rows: &[ViewPanels<'_>]) -> Result<RgbImage> {
    let lines: Vec<_> = rows
        .iter()
        .map(|view| {
            let error: Vec<f32> = view.render.iter().zip(view.photograph).map(|(r, p)| 0.5 + 2.0 * (r - p)).collect();
            vec![
                (format!("{}: photograph", view.name), panel(&rgb(view.photograph, view.size))),
                (format!("render: {:.2} dB", view.psnr), panel(&rgb(view.render, view.size))),
                ("error, four times".to_owned(), panel(&rgb(&error, view.size))),
                ("depth, near to far".to_owned(), panel(&depths(view.depth, view.size))),
            ]
        })
        .collect();
    sheet(&lines)
}

/// Colours `[pixels, 3]` in [0, 1] as a picture.
pub fn rgb(values: &[f32], (width, height): (usize, usize)) -> RgbImage {
    let bytes = values.iter().map(|v| (255.0 * v).round().clamp(0.0, 255.0) as u8).collect();
    RgbImage::from_raw(width as u32, height as u32, bytes).expect("three values a pixel")
}

fn depths(values: &[f32], (width, height): (usize, usize)) -> RgbImage {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (near, far) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let depth = values[y as usize * width + x as usize];
        if !depth.is_finite() {
            return Rgb([255; 3]);
        }
        Rgb(colour::value(f64::from((depth - near) / (far - near).max(f32::MIN_POSITIVE))))
    })
}

/// Enlarged to be seen, pixels staying squares.
fn panel(picture: &RgbImage) -> RgbImage {
    let times = (WIDTH / picture.width() as usize).max(1) as u32;
    let (w, h) = (picture.width() * times, picture.height() * times);
    imageops::resize(picture, w, h, imageops::FilterType::Nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_show_what_they_are_given() {
        let photograph = [0.2f32, 0.4, 0.6].repeat(12);
        let mut render = photograph.clone();
        render[0] += 0.1;
        let mut depth = vec![1.0f32; 12];
        (depth[0], depth[1]) = (3.0, f32::NAN);
        let view = ViewPanels {
            name: "r_0",
            size: (4, 3),
            photograph: &photograph,
            render: &render,
            depth: &depth,
            psnr: 30.0,
        };
        let picture = views(&[view]).unwrap();
        let has = |colour: [u8; 3]| picture.pixels().any(|p| p.0 == colour);
        assert!(has([51, 102, 153]) && has([77, 102, 153]) && has([179, 128, 128]), "photograph, render, error");
        assert!(has(colour::value(0.0)) && has(colour::value(1.0)), "depth");
    }
}
