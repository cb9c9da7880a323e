//! A number that knows its slopes: with it a residual is written as a formula and its derivatives come along.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Most numbers a residual may depend on: derivatives of the solution and trained coefficients.
pub const LANES: usize = 16;

/// A value and its slope by each of up to [`LANES`] variables (Clifford 1873); as wide as a vector register, so that an
/// operation costs about as much as one on plain numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dual {
    value: f32,
    slope: [f32; LANES],
}

impl Dual {
    /// A number that depends on nothing.
    pub fn constant(value: f64) -> Self {
        Self { value: value as f32, slope: [0.0; LANES] }
    }

    /// The variable in `lane`.
    ///
    /// # Panics
    /// When `lane` is not below [`LANES`].
    pub fn variable(value: f32, lane: usize) -> Self {
        let mut slope = [0.0; LANES];
        slope[lane] = 1.0;
        Self { value, slope }
    }

    /// Its value.
    pub fn value(&self) -> f32 {
        self.value
    }

    /// Its slope by every variable.
    pub fn slope(&self) -> &[f32; LANES] {
        &self.slope
    }

    /// f of it, from f and f' there.
    fn chain(self, value: f32, slope: f32) -> Self {
        Self { value, slope: self.slope.map(|s| s * slope) }
    }

    fn zip(self, other: Self, value: f32, f: impl Fn(f32, f32) -> f32) -> Self {
        Self { value, slope: std::array::from_fn(|i| f(self.slope[i], other.slope[i])) }
    }

    /// Its square.
    pub fn square(self) -> Self {
        self.chain(self.value * self.value, 2.0 * self.value)
    }

    /// Its cube.
    pub fn cube(self) -> Self {
        let square = self.value * self.value;
        self.chain(square * self.value, 3.0 * square)
    }

    /// Its sine.
    pub fn sin(self) -> Self {
        let (sin, cos) = (libm::sinf(self.value), libm::cosf(self.value));
        self.chain(sin, cos)
    }

    /// Its cosine.
    pub fn cos(self) -> Self {
        let (sin, cos) = (libm::sinf(self.value), libm::cosf(self.value));
        self.chain(cos, -sin)
    }

    /// e to its power.
    pub fn exp(self) -> Self {
        let e = libm::expf(self.value);
        self.chain(e, e)
    }
}

impl From<f64> for Dual {
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.zip(other, self.value + other.value, |a, b| a + b)
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.zip(other, self.value - other.value, |a, b| a - b)
    }
}

#[expect(clippy::suspicious_arithmetic_impl, reason = "the product rule adds")]
impl Mul for Dual {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.zip(other, self.value * other.value, |a, b| a * other.value + b * self.value)
    }
}

#[expect(clippy::suspicious_arithmetic_impl, reason = "the quotient rule subtracts")]
impl Div for Dual {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.zip(other, value, |a, b| (a - b * value) / other.value)
    }
}

/// Plain numbers on either side.
macro_rules! plain {
    ($($trait:ident $method:ident),*) => {$(
        impl $trait<f64> for Dual {
            type Output = Self;
            fn $method(self, other: f64) -> Self {
                self.$method(Self::constant(other))
            }
        }
        impl $trait<Dual> for f64 {
            type Output = Dual;
            fn $method(self, other: Dual) -> Dual {
                Dual::constant(self).$method(other)
            }
        }
    )*};
}
plain!(Add add, Sub sub, Mul mul, Div div);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_central_differences() {
        let f = |x: Dual, y: Dual| {
            (2.0 * x * y.square() - x.cube() / (y + 3.0)).sin() + (x * y).cos() * (-y).exp() - 0.5 * x
        };
        let (x, y) = (0.7f32, -0.4f32);
        let found = f(Dual::variable(x, 0), Dual::variable(y, 5));
        let value = |x: f32, y: f32| f64::from(f(Dual::constant(x.into()), Dual::constant(y.into())).value());
        let h = 1e-2;
        let slopes = [
            (value(x + h, y) - value(x - h, y)) / (2.0 * f64::from(h)),
            (value(x, y + h) - value(x, y - h)) / (2.0 * f64::from(h)),
        ];
        for (lane, expected) in [(0, slopes[0]), (5, slopes[1]), (7, 0.0)] {
            let error = (f64::from(found.slope()[lane]) - expected).abs();
            assert!(error < crate::tolerance::DUAL, "{lane}: {error:e}");
        }
    }
}
