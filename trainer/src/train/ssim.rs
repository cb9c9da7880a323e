//! Structural similarity of two pictures (Wang, Bovik, Sheikh, Simoncelli 2004): a Gaussian window of 11x11 pixels with a
//! standard deviation of 1.5, K1 = 0.01, K2 = 0.03, over the windows that lie within the picture.

/// Most pixels along a window's side; a smaller picture has smaller ones.
const WINDOW: usize = 11;
/// Standard deviation of the window, in pixels.
const SIGMA: f64 = 1.5;

/// Mean over windows and channels of the similarity of `a` and `b` `[width·height, channels]`, row by row, whose values
/// span `range`: 1 for equal pictures.
///
/// # Panics
/// When a picture has another size.
pub fn ssim(a: &[f32], b: &[f32], (width, height): (usize, usize), channels: usize, range: f64) -> f64 {
    assert_eq!((a.len(), b.len()), (width * height * channels, width * height * channels), "pictures of this size");
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let (mut sum, mut windows) = (0.0, 0);
    for channel in 0..channels {
        let take = |values: &[f32]| -> Vec<f64> {
            values.iter().skip(channel).step_by(channels).map(|&v| f64::from(v)).collect()
        };
        let (a, b) = (take(a), take(b));
        let blur = |x: &[f64], y: &[f64]| {
            let product: Vec<f64> = x.iter().zip(y).map(|(x, y)| x * y).collect();
            windowed(&product, width, height)
        };
        let (mean_a, mean_b) = (windowed(&a, width, height), windowed(&b, width, height));
        let (aa, bb, ab) = (blur(&a, &a), blur(&b, &b), blur(&a, &b));
        for i in 0..mean_a.len() {
            let (ma, mb) = (mean_a[i], mean_b[i]);
            let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
            sum += (2.0 * ma * mb + c1) * (2.0 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        }
        windows += mean_a.len();
    }
    sum / windows as f64
}

/// Weighted means over all windows within the picture.
fn windowed(values: &[f64], width: usize, height: usize) -> Vec<f64> {
    let (across, down) = (weights(width), weights(height));
    let columns = width - across.len() + 1;
    let rows: Vec<f64> = values
        .chunks_exact(width)
        .flat_map(|row| row.windows(across.len()).map(|w| w.iter().zip(&across).map(|(v, w)| v * w).sum::<f64>()))
        .collect();
    (0..height - down.len() + 1)
        .flat_map(|y| (0..columns).map(move |x| (x, y)))
        .map(|(x, y)| down.iter().enumerate().map(|(k, w)| w * rows[(y + k) * columns + x]).sum())
        .collect()
}

/// A Gaussian over at most [`WINDOW`] pixels that sums up to 1.
fn weights(pixels: usize) -> Vec<f64> {
    let count = WINDOW.min(pixels);
    let middle = (count - 1) as f64 / 2.0;
    let raw: Vec<f64> = (0..count).map(|k| (-0.5 * ((k as f64 - middle) / SIGMA).powi(2)).exp()).collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|w| w / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn equal_pictures_are_alike_and_unrelated_ones_are_not() {
        let mut rng = Rng::new(0);
        let mut noise = || -> Vec<f32> { (0..24 * 20 * 3).map(|_| rng.uniform() as f32).collect() };
        let (a, b) = (noise(), noise());
        assert!((ssim(&a, &a, (24, 20), 3, 1.0) - 1.0).abs() < 1e-12);
        assert!(ssim(&a, &b, (24, 20), 3, 1.0).abs() < 0.1);
        // Values and range in another unit are as similar.
        let half: Vec<f32> = a.iter().map(|v| 0.5 * v + 0.25).collect();
        let large = |v: &[f32]| -> Vec<f32> { v.iter().map(|v| 200.0 * v).collect() };
        let (one, other) = (ssim(&a, &half, (24, 20), 3, 1.0), ssim(&large(&a), &large(&half), (24, 20), 3, 200.0));
        assert!((one - other).abs() < 1e-5 && one > 0.7 && one < 0.9, "{one} {other}");
        assert!((ssim(&a[..15], &a[..15], (5, 1), 3, 1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn constant_pictures_have_the_closed_form() {
        // Without variance what is left is the term of the means: (2·0.2·0.6 + c1)/(0.04 + 0.36 + c1).
        let (a, b) = ([0.2f32; 144], [0.6f32; 144]);
        let expected = (0.24 + 1e-4) / (0.4 + 1e-4);
        assert!((ssim(&a, &b, (12, 12), 1, 1.0) - expected).abs() < 1e-6);
    }
}
