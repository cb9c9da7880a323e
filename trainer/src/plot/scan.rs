//! Pictures of one value a pixel: grey, or around nothing in two colours.

use image::{RgbImage, imageops};

use super::{colour, rgb};

/// Fewest pixels of a panel's longer side, and most.
const PANEL: (u32, u32) = (256, 300);

/// Values `[height·width]` from black at the lower end to white at the upper.
pub fn grey(values: &[f32], size: (usize, usize), (lo, hi): (f32, f32)) -> RgbImage {
    let width = (hi - lo).max(f32::MIN_POSITIVE);
    panel(&rgb(&values.iter().flat_map(|v| [(v - lo) / width; 3]).collect::<Vec<f32>>(), size))
}

/// Values `[height·width]` from blue at -`limit` through white to red.
pub fn signed(values: &[f32], (width, height): (usize, usize), limit: f32) -> RgbImage {
    let bytes = values.iter().flat_map(|v| colour::error(f64::from(v / limit))).collect();
    panel(&RgbImage::from_raw(width as u32, height as u32, bytes).expect("a value a pixel"))
}

/// Enlarged, pixels staying rectangles and a flat picture becoming a third as high as wide; or made smaller.
fn panel(picture: &RgbImage) -> RgbImage {
    let (w, h) = picture.dimensions();
    let longest = w.max(h);
    if longest > PANEL.1 {
        let shrink = |n: u32| (n * PANEL.1 / longest).max(80);
        return imageops::resize(picture, shrink(w), shrink(h), imageops::FilterType::Triangle);
    }
    let times = (PANEL.0 / longest).max(1);
    let taller = (w / (3 * h)).max(1);
    imageops::resize(picture, w * times, h * times * taller, imageops::FilterType::Nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_range_are_the_ends_of_the_colours() {
        let picture = grey(&[1.0, 2.0, 3.0, f32::INFINITY], (2, 2), (1.0, 3.0));
        assert_eq!(picture.dimensions(), (256, 256));
        assert_eq!((picture.get_pixel(0, 0).0, picture.get_pixel(255, 255).0), ([0; 3], [255; 3]));
        let picture = signed(&[-1.0, 0.0, 1.0], (3, 1), 1.0);
        assert_eq!(picture.get_pixel(0, 0).0, colour::error(-1.0));
        // A row is enlarged to be seen.
        assert!(picture.height() >= 80, "{:?}", picture.dimensions());
        assert_eq!(grey(&vec![0.0; 900 * 20], (900, 20), (0.0, 1.0)).dimensions(), (300, 80));
    }
}
