//! What the same bytes buy without a network: tables, splines, polynomials, pictures.
//!
//! All but pictures are sums of products of one function an axis, fitted by least squares, so that each is as good as its
//! kind can be: a [`Basis`] says which functions, [`fit()`] finds their coefficients, [`Stored`] how these lie in
//! flash, and [`best`] how many functions each axis gets.

mod basis;
mod choose;
mod fit;
mod knots;
mod picture;

pub use basis::Basis;
pub use choose::best;
pub use fit::{Grid, fit};
pub use knots::knots;
pub use picture::{Codec, is_picture, picture};

/// How coefficients lie in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A byte each, with one scale and offset an output.
    Byte,
    /// Two bytes each, the same.
    Short,
    /// An f32 each.
    Float,
}

impl Stored {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Byte, Self::Short, Self::Float];

    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Byte => "u8",
            Self::Short => "u16",
            Self::Float => "f32",
        }
    }

    /// Bytes of `count` coefficients for each of `outputs`.
    pub const fn bytes(self, count: usize, outputs: usize) -> usize {
        match self {
            Self::Byte => outputs * (count + 8),
            Self::Short => outputs * (2 * count + 8),
            Self::Float => outputs * 4 * count,
        }
    }

    /// Coefficients for each of `outputs` that `bytes` hold.
    pub const fn count(self, bytes: usize, outputs: usize) -> usize {
        let each = bytes / outputs;
        match self {
            Self::Byte => each.saturating_sub(8),
            Self::Short => each.saturating_sub(8) / 2,
            Self::Float => each / 4,
        }
    }

    /// Coefficients of one output as they come back from flash.
    pub fn round(self, coefficients: &mut [f64]) {
        let levels = match self {
            Self::Byte => 255.0,
            Self::Short => 65535.0,
            Self::Float => {
                coefficients.iter_mut().for_each(|c| *c = f64::from(*c as f32));
                return;
            }
        };
        let ends = |(lo, hi): (f64, f64), c: &f64| (lo.min(*c), hi.max(*c));
        let (lo, hi) = coefficients.iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
        let step = f64::from(((hi - lo) / levels) as f32);
        if step > 0.0 {
            let lo = f64::from(lo as f32);
            coefficients.iter_mut().for_each(|c| *c = lo + step * ((*c - lo) / step).round().clamp(0.0, levels));
        }
    }
}

/// What a rival came to.
#[derive(Debug, Clone)]
pub struct Rival {
    /// What it is, in words.
    pub name: String,
    /// Bytes of flash, code not counted.
    pub bytes: usize,
    /// Multiply-adds of one evaluation; none where a whole picture is decoded.
    pub operations: Option<usize>,
    /// Values at the samples, `[n, outputs]`.
    pub values: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_counts_agree_and_rounding_is_within_half_a_step() {
        for stored in Stored::ALL {
            for bytes in [40, 1000, 4096] {
                let count = stored.count(bytes, 3);
                assert!(stored.bytes(count, 3) <= bytes && stored.bytes(count + 1, 3) > bytes);
            }
        }
        let exact: Vec<f64> = (0..50).map(|i| (f64::from(i) * 0.7).sin() * 3.0).collect();
        for (stored, step) in [(Stored::Byte, 6.0 / 255.0), (Stored::Short, 6.0 / 65535.0), (Stored::Float, 4e-7)] {
            let mut rounded = exact.clone();
            stored.round(&mut rounded);
            let worst = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst > 0.0 && worst <= 0.51 * step, "{stored:?} {worst}");
        }
    }
}
