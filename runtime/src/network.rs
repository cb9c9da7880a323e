//! One point or a tile of points through the whole network, for any algebra of lanes.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::simd;
use crate::{
    activation,
    dense::{Dense, Values},
    error::EvalError,
    format::{Activation, MAX_INPUTS, Mapping, MathBackend},
    model::Model,
    row::{self, Row},
    uses,
};

/// The one NaN that leaves the runtime: which one arithmetic makes differs from target to target.
const NAN: u32 = 0x7fc0_0000;

/// What the `L` numbers side by side mean: points of a tile, or a value with its derivatives.
pub(crate) trait Algebra<const L: usize> {
    /// Whether product and sum of a dense layer may be rounded once instead of each: other bits than those of devices.
    const FUSED: bool = false;

    /// Coordinate `axis` of what is evaluated.
    fn seed(&self, axis: usize) -> [f32; L];
    /// All coordinates, into as many.
    #[inline(always)]
    fn seeds(&self, to: &mut [[f32; L]]) {
        for (axis, lanes) in to.iter_mut().enumerate() {
            *lanes = self.seed(axis);
        }
    }
    /// Sums of a layer on coordinates `x`, by its place in [`row`]; `false` when nothing is known of them beforehand.
    #[inline(always)]
    fn sums(&self, _layer: usize, _x: &[[f32; L]], _sums: &mut [[f32; L]]) -> bool {
        false
    }
    /// A number that does not depend on the coordinates.
    fn constant(value: f32) -> [f32; L];
    /// Applies an activation to every element in place.
    fn activate<const USES: u32>(math: MathBackend, activation: Activation, values: &mut [[f32; L]]);
    /// sin(2πt) of every element of `sin` in place, cos(2πt) of the same into `cos`.
    fn sin_cos(math: MathBackend, sin: &mut [[f32; L]], cos: &mut [[f32; L]]);
    /// v + h·d
    fn mix(h: [f32; L], d: [f32; L], v: [f32; L]) -> [f32; L];
    /// h·scale + offset
    fn affine(h: [f32; L], scale: f32, offset: f32) -> [f32; L];
}

/// `L` points, `[L, inputs]`; coordinates that are not there are 0.
pub(crate) struct Points<'x, const FUSED: bool = false> {
    pub(crate) x: &'x [f32],
    pub(crate) inputs: usize,
}

/// `L` points, maybe of a row.
pub(crate) struct RowPoints<'x> {
    pub(crate) points: Points<'x>,
    pub(crate) row: Option<&'x Row<'x>>,
}

impl<const L: usize, const FUSED: bool> Algebra<L> for Points<'_, FUSED> {
    const FUSED: bool = FUSED;

    #[inline(always)]
    fn seed(&self, axis: usize) -> [f32; L] {
        core::array::from_fn(|lane| self.x.get(lane * self.inputs + axis).copied().unwrap_or(0.0))
    }

    #[inline(always)]
    fn constant(value: f32) -> [f32; L] {
        [value; L]
    }

    #[inline(always)]
    fn activate<const USES: u32>(math: MathBackend, activation: Activation, values: &mut [[f32; L]]) {
        #[cfg(feature = "fma")]
        if FUSED && (math, activation) == (MathBackend::Polynomial, Activation::Sine) {
            return activation::sines_fused(values.as_flattened_mut());
        }
        activation::apply_of::<USES>(math, activation, values.as_flattened_mut());
    }

    #[inline(always)]
    fn sin_cos(math: MathBackend, sin: &mut [[f32; L]], cos: &mut [[f32; L]]) {
        activation::sin_cos_turns(math, sin.as_flattened_mut(), cos.as_flattened_mut());
    }

    #[inline(always)]
    fn mix(mut h: [f32; L], d: [f32; L], v: [f32; L]) -> [f32; L] {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        if let (Some(h), Some(d), Some(v)) = (simd::fours(h), simd::fours(d), simd::fours(v)) {
            return simd::lanes(simd::mix(h, d, v));
        }
        for (h, (d, v)) in h.iter_mut().zip(d.iter().zip(&v)) {
            *h = *v + *h * *d;
        }
        h
    }

    #[inline(always)]
    fn affine(h: [f32; L], scale: f32, offset: f32) -> [f32; L] {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        if let Some(h) = simd::fours(h) {
            return simd::lanes(simd::affine(h, scale, offset));
        }
        h.map(|h| h * scale + offset)
    }
}

impl<const L: usize> Algebra<L> for RowPoints<'_> {
    #[inline(always)]
    fn seed(&self, axis: usize) -> [f32; L] {
        self.points.seed(axis)
    }

    // Not by `seed`, lane by lane in a row of code: one copy of a small loop.
    #[inline(never)]
    fn seeds(&self, to: &mut [[f32; L]]) {
        for (lane, point) in self.points.x.chunks_exact(self.points.inputs.max(1)).enumerate() {
            for (to, x) in to.iter_mut().zip(point) {
                to.get_mut(lane).into_iter().for_each(|to| *to = *x);
            }
        }
    }

    #[inline(never)]
    fn sums(&self, layer: usize, x: &[[f32; L]], sums: &mut [[f32; L]]) -> bool {
        let Some(row) = self.row else { return false };
        let (Some(shared), Some(x)) = (row.shared.get(layer), x.get(row.input)) else { return false };
        shared.forward(*x, sums)
    }

    #[inline(always)]
    fn constant(value: f32) -> [f32; L] {
        Points::<false>::constant(value)
    }

    #[inline(always)]
    fn activate<const USES: u32>(math: MathBackend, activation: Activation, values: &mut [[f32; L]]) {
        Points::<false>::activate::<USES>(math, activation, values);
    }

    #[inline(always)]
    fn sin_cos(math: MathBackend, sin: &mut [[f32; L]], cos: &mut [[f32; L]]) {
        Points::<false>::sin_cos(math, sin, cos);
    }

    #[inline(always)]
    fn mix(h: [f32; L], d: [f32; L], v: [f32; L]) -> [f32; L] {
        Points::<false>::mix(h, d, v)
    }

    #[inline(always)]
    fn affine(h: [f32; L], scale: f32, offset: f32) -> [f32; L] {
        Points::<false>::affine(h, scale, offset)
    }
}

/// The one NaN where a lane is not a number.
#[inline(always)]
fn one_nan<const L: usize>(lanes: [f32; L]) -> [f32; L] {
    let nan = f32::from_bits(NAN);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if let Some(four) = simd::fours(lanes) {
        return simd::lanes(simd::one_nan(four, nan));
    }
    lanes.map(|lane| if lane.is_nan() { nan } else { lane })
}

/// Sums of a layer, from what is known beforehand of the one at that place, if it is.
#[inline(always)]
fn on_coordinates<A: Algebra<L>, const L: usize, const USES: u32>(
    algebra: &A,
    place: usize,
    dense: &Dense<'_>,
    x: &[[f32; L]],
    y: &mut [[f32; L]],
) {
    if !algebra.sums(place, x, y) {
        dense.forward::<A, L, USES>(x, y);
    }
}

impl<const USES: u32> Model<'_, USES> {
    /// What `algebra` asks for; each output's lanes go to `store`.
    pub(crate) fn tile<A: Algebra<L>, const L: usize>(
        &self,
        algebra: &A,
        scratch: &mut [[f32; L]],
        store: &mut dyn FnMut(usize, [f32; L]),
    ) {
        let (len_a, len_b, len_gate) = self.buffers();
        let Some((a, rest)) = scratch.split_at_mut_checked(len_a) else { return };
        let Some((b, rest)) = rest.split_at_mut_checked(len_b) else { return };
        let Some((u, rest)) = rest.split_at_mut_checked(len_gate) else { return };
        let Some((v, _)) = rest.split_at_mut_checked(len_gate) else { return };

        self.features(algebra, a, b);
        let features = self.architecture.features();
        let encoders = self.encoders.as_ref().filter(|_| uses::has(USES, uses::GATE));
        if let (Some([first, second]), Some(gate)) = (encoders, self.architecture.gate) {
            let features = a.get(..features).unwrap_or(&[]);
            on_coordinates::<A, L, USES>(algebra, 1, first, features, u);
            on_coordinates::<A, L, USES>(algebra, 2, second, features, v);
            A::activate::<USES>(self.math, gate, u);
            A::activate::<USES>(self.math, gate, v);
            for (u, v) in u.as_flattened_mut().iter_mut().zip(v.as_flattened()) {
                *u -= *v;
            }
        }
        let mapped = self.mapping.is_some() && uses::has(USES, uses::MAPPING);
        let last = self.layers.len().saturating_sub(1);
        let (mut from, mut to) = (a, b);
        let mut outputs = 0;
        for (n, (dense, layer)) in self.layers.iter().zip(&self.architecture.layers).enumerate() {
            let Some(x) = from.get(..layer.inputs) else { return };
            let Some(y) = to.get_mut(..layer.outputs) else { return };
            // A layer behind a mapping is not on coordinates.
            let place = if n > 0 || mapped { usize::MAX } else { row::FIRST };
            on_coordinates::<A, L, USES>(algebra, place, dense, x, y);
            A::activate::<USES>(self.math, layer.activation, y);
            if n < last && encoders.is_some() {
                for (h, (difference, v)) in y.iter_mut().zip(u.iter().zip(v.iter())) {
                    *h = A::mix(*h, *difference, *v);
                }
            }
            outputs = layer.outputs;
            core::mem::swap(&mut from, &mut to);
        }
        if let Some(mask) = self.mask.as_ref().filter(|_| uses::has(USES, uses::OUTPUT_MASK)) {
            self.masked(algebra, mask, from.get_mut(..outputs).unwrap_or(&mut []));
        }
        let affine = self.output.as_ref().filter(|_| uses::has(USES, uses::OUTPUT_AFFINE));
        for (k, lanes) in from.iter().take(outputs).enumerate() {
            let mut lanes = *lanes;
            if let Some((scale, offset)) = affine {
                lanes = A::affine(lanes, scale.get(k).unwrap_or(1.0), offset.get(k).unwrap_or(0.0));
            }
            store(k, one_nan(lanes));
        }
    }

    /// Every output times its factors a + b·x and c + d·x by every coordinate.
    #[inline(never)]
    fn masked<A: Algebra<L>, const L: usize>(&self, algebra: &A, mask: &Values<'_>, outputs: &mut [[f32; L]]) {
        let mut x = [[0.0; L]; MAX_INPUTS];
        let x = x.get_mut(..self.inputs()).unwrap_or(&mut []);
        algebra.seeds(x);
        let mut at = 0;
        for lanes in outputs {
            for n in 0..2 * x.len() {
                let (Some(a), Some(b), Some(x)) = (mask.get(at), mask.get(at + 1), x.get(n / 2)) else { return };
                *lanes = A::mix(*lanes, A::affine(*x, b, a), A::constant(0.0));
                at += 2;
            }
        }
    }

    /// Coordinates to features: into `a`, by way of `b` where there is a mapping.
    fn features<A: Algebra<L>, const L: usize>(&self, algebra: &A, a: &mut [[f32; L]], b: &mut [[f32; L]]) {
        let inputs = self.inputs();
        let seed = |to: &mut [[f32; L]]| algebra.seeds(to.get_mut(..inputs).unwrap_or(&mut []));
        let mapping = self.mapping.as_ref().filter(|_| uses::has(USES, uses::MAPPING));
        let (Some(dense), Mapping::Fourier { frequencies, raw }) = (mapping, self.architecture.mapping) else {
            seed(a);
            return;
        };
        let before = if raw { inputs } else { 0 };
        if raw {
            seed(a);
        }
        let Some(turns) = a.get_mut(before..) else { return };
        let Some((sin, rest)) = turns.split_at_mut_checked(frequencies) else { return };
        let Some((cos, _)) = rest.split_at_mut_checked(frequencies) else { return };
        seed(b);
        on_coordinates::<A, L, USES>(algebra, row::FIRST, dense, b.get(..inputs).unwrap_or(&[]), sin);
        A::sin_cos(self.math, sin, cos);
    }

    /// Vectors one point needs: layers go back and forth between the first two, the gate keeps two of the third.
    pub(crate) fn buffers(&self) -> (usize, usize, usize) {
        let architecture = &self.architecture;
        let mut a = architecture.features();
        let mut b = match architecture.mapping {
            Mapping::None => 0,
            Mapping::Fourier { .. } => architecture.inputs,
        };
        for (n, layer) in architecture.layers.iter().enumerate() {
            let side = if n % 2 == 0 { &mut b } else { &mut a };
            *side = (*side).max(layer.outputs);
        }
        let gate = if architecture.gate.is_some() { architecture.hidden() } else { 0 };
        (a, b, gate)
    }

    /// Whether one point's slices have the lengths they must have.
    pub(crate) fn check_point(&self, x: usize, y: usize, scratch: (usize, usize)) -> Result<(), EvalError> {
        let (have, need) = scratch;
        match () {
            () if x != self.inputs() => Err(EvalError::InputLength),
            () if y != self.outputs() => Err(EvalError::OutputLength),
            () if have < need => Err(EvalError::ScratchLength),
            () => Ok(()),
        }
    }

    /// Whether n points' slices have the lengths they must have.
    pub(crate) fn check_points(&self, x: usize, y: usize, scratch: (usize, usize)) -> Result<(), EvalError> {
        let (have, need) = scratch;
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let points = x.checked_div(inputs).filter(|n| n * inputs == x).ok_or(EvalError::InputLength)?;
        if points.checked_mul(outputs) != Some(y) {
            return Err(EvalError::OutputLength);
        }
        if have < need { Err(EvalError::ScratchLength) } else { Ok(()) }
    }
}
