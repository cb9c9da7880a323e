//! Dense layers in integers: 16-bit activations, weights of 4, 6, 8 or 16 bits, 32-bit accumulators.

/// Whether rows of 8-bit weights are multiplied by the assembly of [`crate::arm`].
const DSP: bool = cfg!(all(target_arch = "arm", feature = "dsp"));
/// Whether code is to be small rather than quick, and an access costs the same at any address: one loop for activations of
/// every kind, and for weights of every width but 8.
pub(super) const SMALL: bool = cfg!(target_family = "wasm");
/// Rows of 8-bit weights that go through the activations together: as registers allow, and by one where the compiler does
/// one row's products side by side, or where [`crate::riscv`] has done them four by four.
const AT_ONCE: usize = if DSP || cfg!(all(target_os = "none", not(target_arch = "riscv32"))) { 2 } else { 1 };

/// Weights of one layer, row by row: a neuron's weights lie together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow<'a> {
    pub(super) bits: Bits,
    pub(super) inputs: usize,
    /// Bytes of the weights of one neuron: [`Bits::row`].
    pub(super) row: usize,
    pub(super) weight: &'a [u8],
    pub(super) bias: &'a [[u8; 4]],
    pub(super) multiplier: &'a [[u8; 4]],
    pub(super) shift: &'a [u8],
}

/// First layer or mapping, `[in, out]`, at full width: the wrap of its sum is the range reduction of a sine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wide<'a> {
    pub(super) kernel: &'a [[u8; 4]],
    pub(super) bias: &'a [[u8; 4]],
}

/// Width of a layer's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// Two in a byte, the lower half first.
    Four,
    /// Four in three bytes, little-endian.
    Six,
    /// One in a byte.
    Eight,
    /// One in two bytes, little-endian.
    Sixteen,
}

impl Bits {
    /// Every width, least first.
    pub const ALL: [Self; 4] = [Self::Four, Self::Six, Self::Eight, Self::Sixteen];

    /// The word the file uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Four => "4",
            Self::Six => "6",
            Self::Eight => "8",
            Self::Sixteen => "16",
        }
    }

    /// The width of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_bytes(name.as_bytes())
    }

    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.get(crate::header::position("4 6 8 16", name)).copied()
    }

    /// Bits of a weight.
    const fn width(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Six => 6,
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    /// Largest magnitude of a weight.
    pub const fn limit(self) -> i32 {
        match self {
            Self::Four => 7,
            Self::Six => 31,
            Self::Eight => 127,
            Self::Sixteen => 32767,
        }
    }

    /// Bytes of the weights of one neuron.
    pub const fn row(self, inputs: usize) -> usize {
        match self {
            Self::Four => inputs.div_ceil(2),
            Self::Six => inputs.div_ceil(4) * 3,
            Self::Eight => inputs,
            Self::Sixteen => 2 * inputs,
        }
    }
}

/// A weight of a row, for what is not fast: checks and packed widths. Those of every width follow each other bit by bit,
/// the lowest first.
#[inline(always)]
fn unpack(bits: Bits, row: &[u8], i: usize) -> i32 {
    let width = bits.width();
    let (first, within) = (i * width / 8, i * width % 8);
    let byte = |at: usize| row.get(first + at).copied().unwrap_or(0);
    let all = u32::from_le_bytes([byte(0), byte(1), byte(2), 0]);
    ((all << (32 - width - within)) as i32) >> (32 - width)
}

/// acc + Σ w·x in 32 bits.
#[inline(always)]
fn dot(bits: Bits, row: &[u8], x: &[i16], acc: i32) -> i32 {
    let step = |acc: i32, w: i32, x: i16| acc.wrapping_add(w.wrapping_mul(i32::from(x)));
    let mut acc = acc;
    match bits {
        bits @ (Bits::Four | Bits::Six) if SMALL => {
            for (i, x) in x.iter().enumerate() {
                acc = step(acc, unpack(bits, row, i), *x);
            }
        }
        Bits::Eight => {
            for (w, x) in row.iter().zip(x) {
                acc = step(acc, i32::from(*w as i8), *x);
            }
        }
        Bits::Sixteen => {
            for (w, x) in row.as_chunks::<2>().0.iter().zip(x) {
                acc = step(acc, i32::from(i16::from_le_bytes(*w)), *x);
            }
        }
        Bits::Four => {
            for (b, x) in row.iter().zip(x.chunks(2)) {
                acc = step(acc, i32::from((*b << 4) as i8 >> 4), x.first().copied().unwrap_or(0));
                acc = step(acc, i32::from(*b as i8 >> 4), x.get(1).copied().unwrap_or(0));
            }
        }
        Bits::Six => {
            for (b, x) in row.as_chunks::<3>().0.iter().zip(x.chunks(4)) {
                let all = u32::from_le_bytes([b[0], b[1], b[2], 0]);
                for (k, x) in x.iter().enumerate() {
                    acc = step(acc, ((all << (26 - 6 * k as u32)) as i32) >> 26, *x);
                }
            }
        }
    }
    acc
}

/// Adds the products of rows of 8-bit weights, `inputs` apart, with the same activations.
#[inline(always)]
fn rows_at_once(weights: &[u8], inputs: usize, x: &[i16], sums: &mut [i32; AT_ONCE]) {
    #[cfg(all(target_arch = "arm", feature = "dsp"))]
    {
        let (fours, rest) = x.as_chunks::<4>();
        let mut added = crate::arm::dsp::two_rows(weights, inputs, fours, *sums);
        for (k, x) in rest.iter().enumerate() {
            for (row, sum) in added.iter_mut().enumerate() {
                let weight = weights.get(row * inputs + 4 * fours.len() + k).copied().unwrap_or(0) as i8;
                *sum = sum.wrapping_add(i32::from(weight).wrapping_mul(i32::from(*x)));
            }
        }
        *sums = added;
    }
    #[cfg(not(all(target_arch = "arm", feature = "dsp")))]
    {
        // Four activations at a time, so that less is spent on going on.
        let row = |r: usize| weights.get(r * inputs..).and_then(|w| w.get(..x.len())).unwrap_or(&[]).as_chunks::<4>();
        let (fours, last) = x.as_chunks::<4>();
        let product = |w: &u8, x: &i16| i32::from(*w as i8).wrapping_mul(i32::from(*x));
        let mut added = *sums;
        if let [a, b] = added.as_mut_slice() {
            let ((wa, last_a), (wb, last_b)) = (row(0), row(1));
            let mut step = |x: &[i16], wa: &[u8], wb: &[u8]| {
                for ((x, wa), wb) in x.iter().zip(wa).zip(wb) {
                    *a = a.wrapping_add(product(wa, x));
                    *b = b.wrapping_add(product(wb, x));
                }
            };
            for ((x, wa), wb) in fours.iter().zip(wa).zip(wb) {
                step(x, wa, wb);
            }
            step(last, last_a, last_b);
        }
        *sums = added;
    }
}

/// Words of the file: taken whole where they lie so, as cores without access at any address would take them byte by byte.
#[derive(Clone, Copy)]
struct Words<'a> {
    aligned: &'a [i32],
    bytes: &'a [[u8; 4]],
}

impl<'a> Words<'a> {
    #[inline(always)]
    fn new(bytes: &'a [[u8; 4]]) -> Self {
        let aligned =
            if cfg!(target_endian = "little") && !SMALL { bytemuck::try_cast_slice(bytes).unwrap_or(&[]) } else { &[] };
        Self { aligned, bytes }
    }

    /// Those from `first` on to `to`, as many as fit.
    #[inline(always)]
    fn copy(&self, first: usize, to: &mut [i32]) {
        if let Some(words) = self.aligned.get(first..).and_then(|words| words.get(..to.len())) {
            to.iter_mut().zip(words).for_each(|(to, word)| *to = *word);
        } else {
            self.gather(first, to);
        }
    }

    /// Those from `first` on, at least as many as `room` has or all; by way of it where they do not lie at multiples of 4.
    #[inline(always)]
    fn block<'r>(&self, first: usize, room: &'r mut [i32]) -> &'r [i32]
    where
        'a: 'r,
    {
        // Not asked of `get` alone: no words from 0 on are there too.
        if !SMALL && !self.aligned.is_empty() {
            return self.aligned.get(first..).unwrap_or(&[]);
        }
        self.gather(first, room);
        room
    }

    #[inline(never)]
    fn gather(&self, first: usize, to: &mut [i32]) {
        for (to, bytes) in to.iter_mut().zip(self.bytes.get(first..).unwrap_or(&[])) {
            *to = i32::from_le_bytes(*bytes);
        }
    }
}

/// Neurons whose sums are kept at a time.
pub(super) const BLOCK: usize = 32;

impl Narrow<'_> {
    /// Makes activations ready for [`Narrow::sums`]: only their order may change.
    #[inline(always)]
    pub(super) fn prepare(&self, x: &mut [i16]) {
        if DSP && self.bits == Bits::Eight {
            for [_, second, third, _] in x.as_chunks_mut::<4>().0 {
                core::mem::swap(second, third);
            }
        }
    }

    /// Accumulators of the neurons from `first` on, as many as there are `sums`. Several rows of 8-bit weights at once
    /// share the activations; sums of integers do not depend on their order.
    #[inline(never)]
    pub(super) fn sums(&self, x: &[i16], first: usize, sums: &mut [i32]) {
        Words::new(self.bias).copy(first, sums);
        let row = self.row;
        let mut weights = self.weight.get(first * row..).unwrap_or(&[]);
        let mut rest = sums;
        #[cfg(all(target_arch = "arm", feature = "dsp"))]
        if self.bits == Bits::Eight && crate::arm::dsp::is_aligned(weights, row, x) {
            let (pairs, last) = rest.as_chunks_mut();
            crate::arm::dsp::pairs_of_rows(weights, x, pairs);
            weights = weights.get(2 * pairs.len() * row..).unwrap_or(&[]);
            rest = last;
        }
        #[cfg(all(target_arch = "riscv32", target_feature = "m", not(target_feature = "e")))]
        if self.bits == Bits::Eight && row == x.len() {
            let (fours, last) = rest.as_chunks_mut();
            crate::riscv::fours_of_rows(weights, x, fours);
            weights = weights.get(4 * fours.len() * row..).unwrap_or(&[]);
            rest = last;
        }
        if self.bits == Bits::Eight && AT_ONCE > 1 {
            let (blocks, last) = rest.as_chunks_mut::<AT_ONCE>();
            for sums in blocks {
                let Some((rows, after)) = weights.split_at_checked(AT_ONCE * row) else { return };
                rows_at_once(rows, row, x, sums);
                weights = after;
            }
            rest = last;
        }
        for (sum, row) in rest.iter_mut().zip(weights.chunks_exact(row.max(1))) {
            *sum = self.one_row(row, x, *sum);
        }
    }

    /// Multipliers of the neurons from `first` on, by way of `room` where words cannot be read in place, and shifts.
    #[inline(always)]
    pub(super) fn scales<'r>(&'r self, first: usize, room: &'r mut [i32]) -> (&'r [i32], &'r [i8]) {
        let shift = bytemuck::cast_slice(self.shift.get(first..).unwrap_or(&[]));
        (Words::new(self.multiplier).block(first, room), shift)
    }

    #[inline(never)]
    fn one_row(&self, row: &[u8], x: &[i16], sum: i32) -> i32 {
        if DSP && self.bits == Bits::Eight {
            let mut twice = [sum; AT_ONCE];
            rows_at_once(row, 0, x, &mut twice);
            let [sum, ..] = twice;
            return sum;
        }
        dot(self.bits, row, x, sum)
    }

    /// Whether multipliers and shifts are those of the format, and no accumulator can leave 32 bits, whatever the
    /// activations are.
    pub(super) fn is_bounded(&self) -> bool {
        let fine = self.multiplier.iter().all(|m| (0..1 << 16).contains(&i32::from_le_bytes(*m)))
            && self.shift.iter().all(|s| (-31..=31).contains(&(*s as i8)));
        fine && are_bounded(self.bias, self.inputs, |o, i| {
            unpack(self.bits, self.weight.get(o * self.row..).unwrap_or(&[]), i)
        })
    }
}

/// Whether |bias| + sum·2^15 is below 2^31, for weights of this summed magnitude and activations of 16 bits.
pub fn bounded(sum: u32, bias: i32) -> bool {
    (i32::MAX as u32).checked_sub(bias.unsigned_abs()).is_some_and(|room| sum <= room >> 15)
}

/// The same for every neuron of a layer of these biases and weights, asked for by neuron and input.
#[inline(always)]
fn are_bounded(bias: &[[u8; 4]], inputs: usize, weight: impl Fn(usize, usize) -> i32) -> bool {
    bias.iter().enumerate().all(|(o, bias)| {
        let sum = (0..inputs).fold(0u32, |sum, i| sum.saturating_add(weight(o, i).unsigned_abs()));
        bounded(sum, i32::from_le_bytes(*bias))
    })
}

impl Wide<'_> {
    /// Sums of the outputs from `first` on, as many as there are `sums`; `room` has as many.
    #[inline(never)]
    pub(super) fn sums(&self, x: &[i16], first: usize, sums: &mut [i32], room: &mut [i32]) {
        Words::new(self.bias).copy(first, sums);
        let (kernel, outputs) = (Words::new(self.kernel), self.bias.len());
        let product = |w: &i32, x: &i16| w.wrapping_mul(i32::from(*x));
        let mut at = first;
        for x in x.chunks(2) {
            let aligned = kernel.aligned.get(at..).and_then(|w| Some((w, w.get(outputs..)?)));
            if let (Some((first, second)), [x, other]) = (aligned, x) {
                for (sum, (w, v)) in sums.iter_mut().zip(first.iter().zip(second)) {
                    *sum = sum.wrapping_add(product(w, x)).wrapping_add(product(v, other));
                }
                at += 2 * outputs;
                continue;
            }
            for x in x {
                for (sum, w) in sums.iter_mut().zip(kernel.block(at, room)) {
                    *sum = sum.wrapping_add(product(w, x));
                }
                at += outputs;
            }
        }
    }

    /// Inputs and outputs.
    pub(super) fn shape(&self) -> [usize; 2] {
        let outputs = self.bias.len();
        [self.kernel.len().checked_div(outputs).unwrap_or(0), outputs]
    }

    /// Whether no sum can leave 32 bits.
    pub(super) fn is_bounded(&self) -> bool {
        let [inputs, outputs] = self.shape();
        let weight = |o, i| self.kernel.get(i * outputs + o).map_or(0, |w| i32::from_le_bytes(*w));
        are_bounded(self.bias, inputs, weight)
    }
}

/// (acc·multiplier) >> 16 for a multiplier of 16 bits, from 32-bit products alone.
#[inline(always)]
pub(super) fn scale(acc: i32, multiplier: i32) -> i32 {
    // ARMv6-M, of all targets here, has no product of 64 bits, and is known by having no atomic exchange either.
    if cfg!(all(target_arch = "arm", not(target_has_atomic = "ptr"))) {
        let low = ((acc as u32 & 0xffff).wrapping_mul(multiplier as u32) >> 16) as i32;
        (acc >> 16).wrapping_mul(multiplier).wrapping_add(low)
    } else {
        ((i64::from(acc) * i64::from(multiplier)) >> 16) as i32
    }
}

/// v·2^shift: wraps to the left, cuts off to the right.
#[inline(always)]
pub(super) fn shift_wrapping(v: i32, shift: i32) -> i32 {
    if shift >= 0 { v.wrapping_shl(shift as u32) } else { v >> (-shift).min(31) }
}

/// v·2^shift: held at the ends to the left, rounded to the right.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(super) fn shift_saturating(v: i32, shift: i32) -> i32 {
    if shift >= 0 {
        let most = i32::MAX >> shift.min(31);
        v.clamp(-most, most).wrapping_shl(shift as u32)
    } else {
        let by = (-shift).min(31);
        v.saturating_add(1 << (by - 1)) >> by
    }
}

/// Held at the ends of 16 bits.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(super) fn narrow(v: i32) -> i16 {
    v.clamp(-32768, 32767) as i16
}
