//! Networks in integers, for cores without a floating-point unit. The inner path has no operation on floats; the same
//! bits on every target follow from that. `FORMAT.md`, version 2, is the written promise.

#[cfg(feature = "build")]
pub(crate) mod build;
mod curve;
pub mod fixed;
mod kernel;
mod load;

use heapless::Vec;
pub use kernel::{Bits, bounded};

use self::kernel::{BLOCK, Narrow, SMALL, Wide, narrow, scale, shift_saturating, shift_wrapping};
use crate::{
    dense::Values,
    describe::{NativeGrid, Quantity},
    error::{EvalError, SelfTestError},
    format::{Activation, Architecture, MAX_INPUTS, MAX_LAYERS, Mapping, key},
    header, uses,
};

/// Fraction bits of the argument of tanh, sigmoid, gelu and swish, and of activations that stay within ±1.
pub const ARGUMENT_BITS: i32 = curve::ARGUMENT_BITS;
/// Fraction bits of activations that stay within ±1: sine, tanh, sigmoid, the features of a mapping.
pub const UNIT_BITS: i32 = 15;
/// Bits that a first layer without such an argument keeps below those of its activation.
pub const GUARD_BITS: i32 = 16;

#[derive(Debug, Clone, Copy)]
enum Dense<'a> {
    Wide(Wide<'a>),
    Narrow(Narrow<'a>),
}

impl Dense<'_> {
    /// Inputs and outputs.
    fn shape(&self) -> [usize; 2] {
        match self {
            Self::Wide(dense) => dense.shape(),
            Self::Narrow(dense) => [dense.inputs, dense.bias.len()],
        }
    }
}

/// Numbers of 16 bits, little-endian, at any address.
type Pairs<'a> = &'a [[u8; 2]];

/// A coordinate network in integers `[inputs] -> [outputs]`, borrowed from the bytes of its file, or made at build time of
/// what `USES` says (see [`uses`]).
#[derive(Debug, Clone)]
pub struct IntegerModel<'a, const USES: u32 = { uses::ALL }> {
    architecture: Architecture,
    header: &'a [u8],
    weight_bytes: usize,
    mapping: Option<Wide<'a>>,
    layers: Vec<Dense<'a>, MAX_LAYERS>,
    fractions: Vec<i32, MAX_LAYERS>,
    encoders: Option<[Dense<'a>; 2]>,
    /// Fraction bits of what the encoders give, and of what leaves the gate.
    gate_fraction: i32,
    input: (Values<'a>, Values<'a>),
    output: (Values<'a>, Values<'a>),
    self_test: Option<(Pairs<'a>, Pairs<'a>)>,
}

impl<'a, const USES: u32> IntegerModel<'a, USES> {
    /// What the network is.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Number of coordinates of a point.
    pub fn inputs(&self) -> usize {
        self.architecture.inputs
    }

    /// Number of values at a point.
    pub fn outputs(&self) -> usize {
        self.architecture.outputs()
    }

    /// Bytes of weights, biases, scales and frequencies in the file.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// Width of the weights of layer `n`; `None` for a first layer at full width, and beyond the last.
    pub fn bits(&self, n: usize) -> Option<Bits> {
        match self.layers.get(n)? {
            Dense::Wide(_) => None,
            Dense::Narrow(layer) => Some(layer.bits),
        }
    }

    /// A word of the file's metadata, by a name of [`key`] or of the writer's own.
    pub fn metadata(&self, name: &str) -> Option<&'a str> {
        header::find_word(self.header, name)
    }

    /// Name, unit and fitted domain of an input.
    pub fn input(&self, index: usize) -> Option<Quantity<'a>> {
        Quantity::parse(self.metadata(key::INPUTS)?, index)
    }

    /// Name, unit and range of an output.
    pub fn output(&self, index: usize) -> Option<Quantity<'a>> {
        Quantity::parse(self.metadata(key::OUTPUTS)?, index)
    }

    /// The grid the model was fitted on; `None` for scattered samples.
    pub fn grid(&self) -> Option<NativeGrid> {
        NativeGrid::parse(self.metadata(key::GRID)?).filter(|g| g.counts.len() == self.inputs())
    }

    /// Integer of input `axis` for a coordinate in physical units: -32767 and 32767 are the ends of the fitted domain,
    /// beyond which it is held.
    pub fn to_integer(&self, axis: usize, x: f32) -> i16 {
        let (scale, offset) = &self.input;
        let v = x * scale.at(axis) + offset.at(axis);
        let rounded = (v + if v < 0.0 { -0.5 } else { 0.5 }) as i32;
        rounded.clamp(-32767, 32767) as i16
    }

    /// Physical value of output `index` for an integer.
    pub fn to_physical(&self, index: usize, y: i16) -> f32 {
        let (scale, offset) = &self.output;
        f32::from(y) * scale.at(index) + offset.at(index)
    }

    /// Length of the scratch an evaluation needs, in i16s.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub fn scratch_len(&self) -> usize {
        let (a, b, gate) = self.buffers();
        a + b + 2 * gate
    }

    /// Vectors one point needs: layers go back and forth between the first two, the gate keeps two of the third.
    fn buffers(&self) -> (usize, usize, usize) {
        let architecture = &self.architecture;
        let (mut a, mut b) = (architecture.features(), 0);
        for (n, layer) in architecture.layers.iter().enumerate() {
            let side = if n % 2 == 0 { &mut b } else { &mut a };
            *side = (*side).max(layer.outputs);
        }
        let gate = if architecture.gate.is_some() { architecture.hidden() } else { 0 };
        (a, b, gate)
    }

    /// Values at n points in physical units, `x` `[n, inputs]`, `y` `[n, outputs]`; only the conversion at both ends
    /// is in floats.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length; `y` is then untouched.
    pub fn eval(&self, x: &[f32], y: &mut [f32], scratch: &mut [i16]) -> Result<(), EvalError> {
        self.check(x.len(), y.len(), scratch.len())?;
        for (x, y) in x.chunks_exact(self.inputs().max(1)).zip(y.chunks_exact_mut(self.outputs().max(1))) {
            let mut point = [0; MAX_INPUTS];
            for (axis, (to, from)) in point.iter_mut().zip(x).enumerate() {
                *to = self.to_integer(axis, *from);
            }
            let point = point.get(..self.inputs()).unwrap_or(&[]);
            for (k, (y, value)) in y.iter_mut().zip(self.point(point, scratch)).enumerate() {
                *y = self.to_physical(k, *value);
            }
        }
        Ok(())
    }

    /// Values at n points in integers, without any float: `x` `[n, inputs]` and `y` `[n, outputs]` as
    /// [`IntegerModel::to_integer`] and [`IntegerModel::to_physical`] read them.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length; `y` is then untouched.
    pub fn eval_integers(&self, x: &[i16], y: &mut [i16], scratch: &mut [i16]) -> Result<(), EvalError> {
        self.check(x.len(), y.len(), scratch.len())?;
        for (x, y) in x.chunks_exact(self.inputs().max(1)).zip(y.chunks_exact_mut(self.outputs().max(1))) {
            for (y, value) in y.iter_mut().zip(self.point(x, scratch)) {
                *y = *value;
            }
        }
        Ok(())
    }

    fn check(&self, x: usize, y: usize, scratch: usize) -> Result<(), EvalError> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        if inputs == 0 || outputs == 0 || !x.is_multiple_of(inputs) {
            return Err(EvalError::InputLength);
        }
        if !y.is_multiple_of(outputs) || y / outputs != x / inputs {
            return Err(EvalError::OutputLength);
        }
        if scratch < self.scratch_len() { Err(EvalError::ScratchLength) } else { Ok(()) }
    }

    /// Evaluates the file's own samples and compares.
    ///
    /// # Errors
    /// [`SelfTestError`]: no samples in the file, a scratch below [`IntegerModel::scratch_len`], or other integers.
    pub fn self_test(&self, scratch: &mut [i16]) -> Result<(), SelfTestError> {
        self.self_test_or(scratch)
    }

    /// Whether the file has samples.
    pub fn has_self_test(&self) -> bool {
        self.self_test.is_some()
    }

    /// [`IntegerModel::self_test`] with an error of the caller's.
    ///
    /// # Errors
    /// What `E` makes of the [`SelfTestError`].
    pub fn self_test_or<E: From<SelfTestError>>(&self, scratch: &mut [i16]) -> Result<(), E> {
        let (inputs, outputs) = self.self_test.ok_or(SelfTestError::Missing)?;
        if scratch.len() < self.scratch_len() {
            return Err(SelfTestError::ScratchLength.into());
        }
        let rows = inputs.chunks_exact(self.inputs().max(1)).zip(outputs.chunks_exact(self.outputs().max(1)));
        for (sample, (x, expected)) in rows.enumerate() {
            let mut point = [0; MAX_INPUTS];
            for (to, from) in point.iter_mut().zip(x) {
                *to = i16::from_le_bytes(*from);
            }
            let point = point.get(..self.inputs()).unwrap_or(&[]);
            for (output, (found, expected)) in self.point(point, scratch).iter().zip(expected).enumerate() {
                let expected = i16::from_le_bytes(*expected);
                if *found != expected {
                    let (found, expected) = (u32::from(*found as u16), u32::from(expected as u16));
                    return Err(SelfTestError::Mismatch { sample, output, found, expected }.into());
                }
            }
        }
        Ok(())
    }

    /// One point; its outputs, in the scratch, which is long enough.
    #[inline(never)]
    fn point<'s>(&self, x: &[i16], scratch: &'s mut [i16]) -> &'s [i16] {
        let (len_a, len_b, len_gate) = self.buffers();
        let Some((a, rest)) = scratch.split_at_mut_checked(len_a) else { return &[] };
        let Some((b, rest)) = rest.split_at_mut_checked(len_b) else { return &[] };
        let Some((u, rest)) = rest.split_at_mut_checked(len_gate) else { return &[] };
        let Some((v, _)) = rest.split_at_mut_checked(len_gate) else { return &[] };
        let mut room = Room { sums: [0; BLOCK], words: [0; BLOCK] };
        let mapping = self.mapping.as_ref().filter(|_| uses::has(USES, uses::MAPPING));
        let before = match self.architecture.mapping {
            Mapping::Fourier { raw: false, .. } if mapping.is_some() => 0,
            _ => x.len(),
        };
        for (to, from) in a.iter_mut().take(before).zip(x) {
            *to = *from;
        }
        if let (Some(mapping), Mapping::Fourier { frequencies, .. }) = (mapping, self.architecture.mapping) {
            let Some(turns) = a.get_mut(before..) else { return &[] };
            let Some((sin, cos)) = turns.split_at_mut_checked(frequencies) else { return &[] };
            for first in (0..frequencies).step_by(BLOCK) {
                let end = frequencies.min(first + BLOCK);
                let (sin, cos) = (sin.get_mut(first..end), cos.get_mut(first..end));
                let (Some(sin), Some(cos)) = (sin, cos) else { return &[] };
                let Some(phases) = room.sums.get_mut(..sin.len()) else { return &[] };
                mapping.sums(x, first, phases, &mut room.words);
                for ((sin, cos), phase) in sin.iter_mut().zip(cos).zip(phases) {
                    *sin = curve::sine(*phase);
                    *cos = curve::sine(phase.wrapping_add(0x4000_0000));
                }
            }
        }
        let encoders = self.encoders.as_ref().filter(|_| uses::has(USES, uses::GATE));
        if let (Some(encoders), Some(gate)) = (encoders, self.architecture.gate) {
            let Some(features) = a.get_mut(..self.architecture.features()) else { return &[] };
            encode::<USES>(encoders, features, [&mut *u, &mut *v], (gate, self.gate_fraction), &mut room);
            for (u, v) in u.iter_mut().zip(v.iter_mut()) {
                if unit_range(gate) {
                    *u = narrow(shift_saturating(i32::from(*u), self.gate_fraction - UNIT_BITS));
                    *v = narrow(shift_saturating(i32::from(*v), self.gate_fraction - UNIT_BITS));
                }
                // Half of it, which 16 bits hold.
                *u = ((i32::from(*u) - i32::from(*v)) >> 1) as i16;
            }
        }
        let last = self.layers.len().saturating_sub(1);
        let (mut from, mut to) = (a, b);
        let mut outputs = 0;
        let described = self.architecture.layers.iter().zip(&self.fractions);
        for (n, (dense, (shape, fraction))) in self.layers.iter().zip(described).enumerate() {
            let Some(x) = from.get_mut(..shape.inputs) else { return &[] };
            let Some(y) = to.get_mut(..shape.outputs) else { return &[] };
            layer::<USES>(dense, x, y, (shape.activation, *fraction), &mut room);
            if n < last && encoders.is_some() {
                for (h, (half, v)) in y.iter_mut().zip(u.iter().zip(v.iter())) {
                    let moved = shift_saturating(i32::from(*h) * i32::from(*half), 1 - *fraction);
                    *h = narrow(moved.saturating_add(i32::from(*v)));
                }
            }
            outputs = shape.outputs;
            core::mem::swap(&mut from, &mut to);
        }
        from.get(..outputs).unwrap_or(&[])
    }
}

/// Room for the sums of some neurons, and for words that cannot be read in place.
struct Room {
    sums: [i32; BLOCK],
    words: [i32; BLOCK],
}

/// One dense layer and its activation, `[inputs] -> [outputs]`; of `x` the order may change.
#[inline(never)]
fn layer<const USES: u32>(
    dense: &Dense<'_>,
    x: &mut [i16],
    y: &mut [i16],
    (activation, fraction): (Activation, i32),
    room: &mut Room,
) {
    if let Dense::Narrow(dense) = dense {
        dense.prepare(x);
    }
    for (n, y) in y.chunks_mut(BLOCK).enumerate() {
        let Some(sums) = room.sums.get_mut(..y.len()) else { return };
        match dense {
            Dense::Wide(dense) => {
                dense.sums(x, n * BLOCK, sums, &mut room.words);
                first_layer::<USES>(activation, fraction, sums, y);
            }
            Dense::Narrow(dense) => {
                dense.sums(x, n * BLOCK, sums);
                finish::<USES>(activation, fraction, sums, dense.scales(n * BLOCK, &mut room.words), y);
            }
        }
    }
}

/// Activations of a layer's sums, by way of their multipliers and shifts.
#[inline(always)]
fn finish<const USES: u32>(
    activation: Activation,
    fraction: i32,
    sums: &mut [i32],
    (multipliers, shifts): (&[i32], &[i8]),
    y: &mut [i16],
) {
    let scales = multipliers.iter().zip(shifts);
    let scaled = sums.iter().zip(scales.clone()).map(|(sum, (m, shift))| (scale(*sum, *m), i32::from(*shift)));
    let each = y.iter_mut().zip(scaled);
    // The commonest are apart, so that nothing is looked up neuron by neuron.
    match activation {
        Activation::Sine if !SMALL && uses::has(USES, uses::activation(Activation::Sine)) => {
            curve::sines_of_sums(sums, multipliers, shifts, y);
        }
        Activation::Relu if !SMALL && uses::has(USES, uses::activation(Activation::Relu)) => {
            each.for_each(|(y, (z, shift))| *y = if z > 0 { narrow(shift_saturating(z, shift)) } else { 0 });
        }
        Activation::Identity if !SMALL => each.for_each(|(y, (z, shift))| *y = narrow(shift_saturating(z, shift))),
        _ => {
            for (sum, (m, shift)) in sums.iter_mut().zip(scales) {
                let (z, shift) = (scale(*sum, *m), i32::from(*shift));
                *sum = match activation {
                    Activation::Sine if SMALL => shift_wrapping(z, shift),
                    _ => shift_saturating(z, shift),
                };
            }
            curves::<USES>(activation, fraction, sums, y);
        }
    }
}

/// Activations of a first layer's sums.
#[inline(always)]
fn first_layer<const USES: u32>(activation: Activation, fraction: i32, sums: &mut [i32], y: &mut [i16]) {
    if SMALL {
        if matches!(activation, Activation::Relu | Activation::Identity) {
            sums.iter_mut().for_each(|sum| *sum = shift_saturating(*sum, -GUARD_BITS));
        }
        return curves::<USES>(activation, fraction, sums, y);
    }
    let each = y.iter_mut().zip(&*sums);
    match activation {
        Activation::Sine if uses::has(USES, uses::activation(Activation::Sine)) => {
            curve::sines(sums, y);
        }
        Activation::Relu => each.for_each(|(y, sum)| *y = narrow(shift_saturating(*sum, -GUARD_BITS).max(0))),
        Activation::Identity => each.for_each(|(y, sum)| *y = narrow(shift_saturating(*sum, -GUARD_BITS))),
        _ => curves::<USES>(activation, fraction, sums, y),
    }
}

/// Activations of arguments with [`ARGUMENT_BITS`]; the commonest are apart, where code need not be small.
#[inline(never)]
fn curves<const USES: u32>(activation: Activation, fraction: i32, z: &[i32], y: &mut [i16]) {
    let unbounded = |z: i32| narrow(shift_saturating(z, fraction - ARGUMENT_BITS));
    for (y, z) in y.iter_mut().zip(z) {
        *y = match activation {
            Activation::Sine if SMALL => curve::sine(*z),
            Activation::Relu if SMALL => narrow((*z).max(0)),
            Activation::Identity if SMALL => narrow(*z),
            Activation::Tanh if uses::has(USES, uses::activation(Activation::Tanh)) => curve::tanh(*z),
            Activation::Sigmoid if uses::has(USES, uses::activation(Activation::Sigmoid)) => curve::sigmoid(*z),
            Activation::Swish if uses::has(USES, uses::activation(Activation::Swish)) => unbounded(curve::swish(*z)),
            Activation::Gelu if uses::has(USES, uses::activation(Activation::Gelu)) => unbounded(curve::gelu(*z)),
            _ => unbounded(*z),
        };
    }
}

/// Two encoders of the same features, apart from the loop over layers, whose code is that of a network without a gate.
#[inline(never)]
fn encode<const USES: u32>(
    encoders: &[Dense<'_>; 2],
    features: &mut [i16],
    to: [&mut [i16]; 2],
    gate: (Activation, i32),
    room: &mut Room,
) {
    for (encoder, to) in encoders.iter().zip(to) {
        layer::<USES>(encoder, features, to, gate, room);
        if let Dense::Narrow(encoder) = encoder {
            // Twice is not at all: the features are in order again for what comes next.
            encoder.prepare(features);
        }
    }
}

/// Whether an activation stays within ±1 and has [`UNIT_BITS`] whatever the fraction asked for.
const fn unit_range(activation: Activation) -> bool {
    matches!(activation, Activation::Sine | Activation::Tanh | Activation::Sigmoid)
}
