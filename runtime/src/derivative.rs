//! Exact derivatives in forward mode: a value and its tangents side by side through the same kernels as plain values.
//!
//! The value's lane does what [`Model::eval`] does, operation for operation, so its bits are the same; tangents follow
//! in a fixed order and are the same on every target too. At a kink (relu at 0) the derivative is 0.

#[cfg(feature = "libm")]
use crate::math::Libm;
#[cfg(feature = "micromath")]
use crate::math::Micromath;
use crate::{
    error::EvalError,
    format::{Activation, MathBackend},
    math::{Math, Polynomial},
    model::Model,
    network::Algebra,
    uses,
};

const TAU: f32 = core::f32::consts::TAU;

/// A value, then its derivatives along the inputs from `first` on.
struct First<'x> {
    x: &'x [f32],
    first: usize,
}

/// A value, its derivatives along a direction and along one input, and the mixed second derivative.
struct Second<'x> {
    x: &'x [f32],
    direction: &'x [f32],
    axis: usize,
}

/// Value, first and second derivative of an activation; the value has the bits of [`crate::activation::apply`].
#[inline(always)]
fn curve<M: Math, const USES: u32>(activation: Activation, x: f32) -> [f32; 3] {
    match activation {
        Activation::Relu if uses::has(USES, uses::activation(Activation::Relu)) => {
            [if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 }, 0.0]
        }
        Activation::Tanh if uses::has(USES, uses::activation(Activation::Tanh)) => {
            let y = M::tanh(x);
            let slope = 1.0 - y * y;
            [y, slope, -2.0 * y * slope]
        }
        Activation::Sine if uses::has(USES, uses::activation(Activation::Sine)) => {
            let (sin, cos) = (M::sin_turns(x), M::cos_turns(x));
            [sin, TAU * cos, -(TAU * TAU) * sin]
        }
        Activation::Sigmoid if uses::has(USES, uses::activation(Activation::Sigmoid)) => {
            let y = M::sigmoid(x);
            let slope = y * (1.0 - y);
            [y, slope, slope * (1.0 - 2.0 * y)]
        }
        Activation::Gelu if uses::has(USES, uses::activation(Activation::Gelu)) => {
            let t = M::tanh(0.797_884_6 * (x + 0.044_715 * (x * x * x)));
            let slope = 1.0 - t * t;
            let up = 0.5 * (1.0 + t);
            // Far out tanh has no slope left, and what it is multiplied by may be infinite.
            if slope > 0.0 {
                let inner = 0.797_884_6 * (1.0 + 0.134_145 * (x * x));
                let bend = 0.797_884_6 * (0.268_29 * x);
                let second = slope * inner + 0.5 * x * (slope * bend - 2.0 * t * slope * (inner * inner));
                [M::gelu(x), up + 0.5 * x * (slope * inner), second]
            } else {
                [M::gelu(x), up, 0.0]
            }
        }
        Activation::Swish if uses::has(USES, uses::activation(Activation::Swish)) => {
            let s = M::sigmoid(x);
            let slope = s * (1.0 - s);
            [M::swish(x), s + x * slope, slope * (2.0 + x * (1.0 - 2.0 * s))]
        }
        _ => [x, 1.0, 0.0],
    }
}

#[inline(always)]
fn with_backend<const L: usize, const USES: u32>(
    math: MathBackend,
    activation: Activation,
    values: &mut [[f32; L]],
    lift: impl Fn([f32; 3], [f32; L]) -> [f32; L],
) {
    fn each<M: Math, const L: usize, const USES: u32>(
        activation: Activation,
        values: &mut [[f32; L]],
        lift: impl Fn([f32; 3], [f32; L]) -> [f32; L],
    ) {
        for lanes in values {
            if let Some(x) = lanes.first() {
                *lanes = lift(curve::<M, USES>(activation, *x), *lanes);
            }
        }
    }
    match math {
        #[cfg(feature = "libm")]
        MathBackend::Libm => each::<Libm, L, USES>(activation, values, lift),
        #[cfg(feature = "micromath")]
        MathBackend::Micromath => each::<Micromath, L, USES>(activation, values, lift),
        _ => each::<Polynomial, L, USES>(activation, values, lift),
    }
}

/// Sines in place and cosines beside, each lifted by its own curve.
#[inline(always)]
fn sin_cos<const L: usize>(
    math: MathBackend,
    sin: &mut [[f32; L]],
    cos: &mut [[f32; L]],
    lift: impl Fn([f32; 3], [f32; L]) -> [f32; L] + Copy,
) {
    fn each<M: Math, const L: usize>(
        sin: &mut [[f32; L]],
        cos: &mut [[f32; L]],
        lift: impl Fn([f32; 3], [f32; L]) -> [f32; L],
    ) {
        for (sin, cos) in sin.iter_mut().zip(cos) {
            let Some(t) = sin.first() else { return };
            let (s, c) = (M::sin_turns(*t), M::cos_turns(*t));
            *cos = lift([c, -TAU * s, -(TAU * TAU) * c], *sin);
            *sin = lift([s, TAU * c, -(TAU * TAU) * s], *sin);
        }
    }
    match math {
        #[cfg(feature = "libm")]
        MathBackend::Libm => each::<Libm, L>(sin, cos, lift),
        #[cfg(feature = "micromath")]
        MathBackend::Micromath => each::<Micromath, L>(sin, cos, lift),
        _ => each::<Polynomial, L>(sin, cos, lift),
    }
}

/// `value` in the first lane, 0 in the others.
#[inline(always)]
fn alone<const L: usize>(value: f32) -> [f32; L] {
    core::array::from_fn(|lane| if lane == 0 { value } else { 0.0 })
}

#[inline(always)]
fn affine<const L: usize>(h: [f32; L], scale: f32, offset: f32) -> [f32; L] {
    core::array::from_fn(|lane| if lane == 0 { h[lane] * scale + offset } else { h[lane] * scale })
}

#[inline(always)]
fn chain<const L: usize>([y, slope, _]: [f32; 3], x: [f32; L]) -> [f32; L] {
    core::array::from_fn(|lane| if lane == 0 { y } else { slope * x[lane] })
}

impl<const L: usize> Algebra<L> for First<'_> {
    #[inline(always)]
    fn seed(&self, axis: usize) -> [f32; L] {
        let x = self.x.get(axis).copied().unwrap_or(0.0);
        core::array::from_fn(|lane| match lane {
            0 => x,
            _ if self.first + lane == axis + 1 => 1.0,
            _ => 0.0,
        })
    }

    #[inline(always)]
    fn constant(value: f32) -> [f32; L] {
        alone(value)
    }

    fn activate<const USES: u32>(math: MathBackend, activation: Activation, values: &mut [[f32; L]]) {
        with_backend::<L, USES>(math, activation, values, chain);
    }

    fn sin_cos(math: MathBackend, sin: &mut [[f32; L]], cos: &mut [[f32; L]]) {
        sin_cos(math, sin, cos, chain);
    }

    #[inline(always)]
    fn mix(h: [f32; L], d: [f32; L], v: [f32; L]) -> [f32; L] {
        let (h0, d0) = (h.first().copied().unwrap_or(0.0), d.first().copied().unwrap_or(0.0));
        core::array::from_fn(|lane| match lane {
            0 => v[lane] + h0 * d0,
            _ => v[lane] + (h0 * d[lane] + h[lane] * d0),
        })
    }

    #[inline(always)]
    fn affine(h: [f32; L], scale: f32, offset: f32) -> [f32; L] {
        affine(h, scale, offset)
    }
}

#[inline(always)]
fn chain_second([y, slope, bend]: [f32; 3], [_, along, axis, mixed]: [f32; 4]) -> [f32; 4] {
    [y, slope * along, slope * axis, slope * mixed + bend * along * axis]
}

impl Algebra<4> for Second<'_> {
    #[inline(always)]
    fn seed(&self, axis: usize) -> [f32; 4] {
        let get = |values: &[f32]| values.get(axis).copied().unwrap_or(0.0);
        [get(self.x), get(self.direction), if axis == self.axis { 1.0 } else { 0.0 }, 0.0]
    }

    #[inline(always)]
    fn constant(value: f32) -> [f32; 4] {
        alone(value)
    }

    fn activate<const USES: u32>(math: MathBackend, activation: Activation, values: &mut [[f32; 4]]) {
        with_backend::<4, USES>(math, activation, values, chain_second);
    }

    fn sin_cos(math: MathBackend, sin: &mut [[f32; 4]], cos: &mut [[f32; 4]]) {
        sin_cos(math, sin, cos, chain_second);
    }

    #[inline(always)]
    fn mix(h: [f32; 4], d: [f32; 4], v: [f32; 4]) -> [f32; 4] {
        let [h0, h1, h2, h3] = h;
        let [d0, d1, d2, d3] = d;
        let [v0, v1, v2, v3] = v;
        [v0 + h0 * d0, v1 + (h0 * d1 + h1 * d0), v2 + (h0 * d2 + h2 * d0), v3 + (h0 * d3 + h1 * d2 + h2 * d1 + h3 * d0)]
    }

    #[inline(always)]
    fn affine(h: [f32; 4], scale: f32, offset: f32) -> [f32; 4] {
        affine(h, scale, offset)
    }
}

impl<const USES: u32> Model<'_, USES> {
    /// Length of the scratch [`Model::jacobian`] needs, in f32s: a value and up to three tangents at a time.
    pub fn jacobian_scratch_len(&self) -> usize {
        (1 + self.inputs().min(3)) * self.scratch_len()
    }

    /// Length of the scratch [`Model::hessian_vector`] needs, in f32s.
    pub fn hessian_scratch_len(&self) -> usize {
        4 * self.scratch_len()
    }

    /// Values and exact derivatives at one point: `x` is `[inputs]`, `y` `[outputs]` with the bits of
    /// [`Model::eval`], `jacobian` `[outputs, inputs]`, in output units per input unit.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length, the scratch below [`Model::jacobian_scratch_len`]; nothing is
    /// written then.
    pub fn jacobian(
        &self,
        x: &[f32],
        y: &mut [f32],
        jacobian: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), EvalError> {
        self.check_point(x.len(), y.len(), (scratch.len(), self.jacobian_scratch_len()))?;
        if jacobian.len() != self.inputs() * self.outputs() {
            return Err(EvalError::OutputLength);
        }
        match self.inputs() {
            1 => self.tangents::<2>(x, y, jacobian, scratch),
            2 => self.tangents::<3>(x, y, jacobian, scratch),
            _ => self.tangents::<4>(x, y, jacobian, scratch),
        }
        Ok(())
    }

    /// `L` - 1 inputs at a time.
    fn tangents<const L: usize>(&self, x: &[f32], y: &mut [f32], jacobian: &mut [f32], scratch: &mut [f32]) {
        let inputs = self.inputs();
        for first in (0..inputs).step_by(L.saturating_sub(1).max(1)) {
            self.tile::<_, L>(&First { x, first }, scratch.as_chunks_mut().0, &mut |output, lanes| {
                if let (Some(y), Some(value)) = (y.get_mut(output), lanes.first()) {
                    *y = *value;
                }
                let row = jacobian.get_mut(output * inputs..(output + 1) * inputs).unwrap_or(&mut []);
                for (slot, tangent) in row.iter_mut().skip(first).zip(lanes.iter().skip(1)) {
                    *slot = *tangent;
                }
            });
        }
    }

    /// Values, Jacobian, and the product of every output's Hessian with `direction` at one point: `x` and
    /// `direction` are `[inputs]`, `y` is `[outputs]`, `jacobian` and `product` are `[outputs, inputs]`. Unit
    /// directions give the columns of the Hessian.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length, the scratch below [`Model::hessian_scratch_len`]; nothing is
    /// written then.
    pub fn hessian_vector(
        &self,
        x: &[f32],
        direction: &[f32],
        y: &mut [f32],
        jacobian: &mut [f32],
        product: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), EvalError> {
        self.check_point(x.len(), y.len(), (scratch.len(), self.hessian_scratch_len()))?;
        let inputs = self.inputs();
        if direction.len() != inputs {
            return Err(EvalError::InputLength);
        }
        if jacobian.len() != inputs * y.len() || product.len() != jacobian.len() {
            return Err(EvalError::OutputLength);
        }
        for axis in 0..inputs {
            let algebra = Second { x, direction, axis };
            self.tile::<_, 4>(&algebra, scratch.as_chunks_mut().0, &mut |output, [value, _, slope, mixed]| {
                if let Some(y) = y.get_mut(output) {
                    *y = value;
                }
                let at = output * inputs + axis;
                if let (Some(j), Some(p)) = (jacobian.get_mut(at), product.get_mut(at)) {
                    (*j, *p) = (slope, mixed);
                }
            });
        }
        Ok(())
    }
}
