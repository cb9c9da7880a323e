//! One point or a tile of points through the whole network, for any algebra of lanes.

use crate::{
    activation,
    error::EvalError,
    format::{Activation, Mapping, MathBackend},
    model::Model,
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

/// `L` points, `[L, inputs]`.
pub(crate) struct Points<'x, const FUSED: bool = false> {
    pub(crate) x: &'x [f32],
    pub(crate) inputs: usize,
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
        activation::apply_of::<USES>(math, activation, values.as_flattened_mut());
    }

    #[inline(always)]
    fn sin_cos(math: MathBackend, sin: &mut [[f32; L]], cos: &mut [[f32; L]]) {
        activation::sin_cos_turns(math, sin.as_flattened_mut(), cos.as_flattened_mut());
    }

    #[inline(always)]
    fn mix(mut h: [f32; L], d: [f32; L], v: [f32; L]) -> [f32; L] {
        for (h, (d, v)) in h.iter_mut().zip(d.iter().zip(&v)) {
            *h = *v + *h * *d;
        }
        h
    }

    #[inline(always)]
    fn affine(h: [f32; L], scale: f32, offset: f32) -> [f32; L] {
        h.map(|h| h * scale + offset)
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
            first.forward::<A, L, USES>(features, u);
            second.forward::<A, L, USES>(features, v);
            A::activate::<USES>(self.math, gate, u);
            A::activate::<USES>(self.math, gate, v);
            for (u, v) in u.as_flattened_mut().iter_mut().zip(v.as_flattened()) {
                *u -= *v;
            }
        }
        let last = self.layers.len().saturating_sub(1);
        let (mut from, mut to) = (a, b);
        let mut outputs = 0;
        for (n, (dense, layer)) in self.layers.iter().zip(&self.architecture.layers).enumerate() {
            let Some(x) = from.get(..layer.inputs) else { return };
            let Some(y) = to.get_mut(..layer.outputs) else { return };
            dense.forward::<A, L, USES>(x, y);
            A::activate::<USES>(self.math, layer.activation, y);
            if n < last && encoders.is_some() {
                for (h, (difference, v)) in y.iter_mut().zip(u.iter().zip(v.iter())) {
                    *h = A::mix(*h, *difference, *v);
                }
            }
            outputs = layer.outputs;
            core::mem::swap(&mut from, &mut to);
        }
        let affine = self.output.as_ref().filter(|_| uses::has(USES, uses::OUTPUT_AFFINE));
        for (k, lanes) in from.iter().take(outputs).enumerate() {
            let mut lanes = *lanes;
            if let Some((scale, offset)) = affine {
                lanes = A::affine(lanes, scale.get(k).unwrap_or(1.0), offset.get(k).unwrap_or(0.0));
            }
            for lane in &mut lanes {
                if lane.is_nan() {
                    *lane = f32::from_bits(NAN);
                }
            }
            store(k, lanes);
        }
    }

    /// Coordinates to features: into `a`, by way of `b` where there is a mapping.
    fn features<A: Algebra<L>, const L: usize>(&self, algebra: &A, a: &mut [[f32; L]], b: &mut [[f32; L]]) {
        let inputs = self.inputs();
        let seed = |to: &mut [[f32; L]]| {
            for (axis, lanes) in to.iter_mut().take(inputs).enumerate() {
                *lanes = algebra.seed(axis);
            }
        };
        let mapping = self.mapping.as_ref().filter(|_| uses::has(USES, uses::MAPPING));
        let (Some(dense), Mapping::Fourier { frequencies, raw }) = (mapping, self.architecture.mapping) else {
            seed(a);
            return;
        };
        seed(b);
        let before = if raw { inputs } else { 0 };
        if raw {
            seed(a);
        }
        let Some(turns) = a.get_mut(before..) else { return };
        let Some((sin, rest)) = turns.split_at_mut_checked(frequencies) else { return };
        let Some((cos, _)) = rest.split_at_mut_checked(frequencies) else { return };
        dense.forward::<A, L, USES>(b.get(..inputs).unwrap_or(&[]), sin);
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
}
