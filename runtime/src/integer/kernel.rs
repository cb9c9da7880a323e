//! Dense layers in integers: 16-bit activations, weights of 4, 6, 8 or 16 bits, 32-bit accumulators.

/// Weights of one layer, row by row: a neuron's weights lie together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow<'a> {
    pub(super) bits: Bits,
    pub(super) inputs: usize,
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
        Self::ALL.into_iter().find(|b| b.name().as_bytes() == name)
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

/// The weights of a row in order, for what is not fast: checks and packed widths.
#[inline(always)]
fn unpack(bits: Bits, row: &[u8], i: usize) -> i32 {
    let byte = |at: usize| row.get(at).copied().unwrap_or(0);
    match bits {
        Bits::Four => {
            let b = byte(i / 2);
            i32::from(if i.is_multiple_of(2) { (b << 4) as i8 } else { b as i8 } >> 4)
        }
        Bits::Six => {
            let at = i / 4 * 3;
            let all = u32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), 0]);
            ((all << (26 - 6 * (i % 4) as u32)) as i32) >> 26
        }
        Bits::Eight => i32::from(byte(i) as i8),
        Bits::Sixteen => i32::from(i16::from_le_bytes([byte(2 * i), byte(2 * i + 1)])),
    }
}

/// acc + Σ w·x in 32 bits.
#[inline(always)]
fn dot(bits: Bits, row: &[u8], x: &[i16], acc: i32) -> i32 {
    let step = |acc: i32, w: i32, x: i16| acc.wrapping_add(w.wrapping_mul(i32::from(x)));
    let mut acc = acc;
    match bits {
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

impl Narrow<'_> {
    /// Accumulators of neuron after neuron, with multiplier and shift, to `store`.
    #[inline(always)]
    pub(super) fn forward(&self, x: &[i16], mut store: impl FnMut(i32, i32, i32)) {
        let rows = self.weight.chunks_exact(self.bits.row(self.inputs).max(1));
        for ((row, bias), (multiplier, shift)) in rows.zip(self.bias).zip(self.multiplier.iter().zip(self.shift)) {
            let acc = dot(self.bits, row, x, i32::from_le_bytes(*bias));
            store(acc, i32::from_le_bytes(*multiplier), i32::from(*shift as i8));
        }
    }

    /// Whether no accumulator can leave 32 bits, whatever the activations are.
    pub(super) fn is_bounded(&self) -> bool {
        let rows = self.weight.chunks_exact(self.bits.row(self.inputs).max(1));
        rows.zip(self.bias).all(|(row, bias)| {
            let sum: u32 = (0..self.inputs).map(|i| unpack(self.bits, row, i).unsigned_abs()).sum();
            bounded(sum, i32::from_le_bytes(*bias))
        })
    }
}

/// Whether |bias| + sum·2^15 fits 32 bits, for weights of this summed magnitude and activations of 16 bits.
pub fn bounded(sum: u32, bias: i32) -> bool {
    let room = i32::MAX as u32 - bias.unsigned_abs().min(i32::MAX as u32);
    sum <= room >> 15
}

impl Wide<'_> {
    /// Sums of output after output to `store`.
    #[inline(always)]
    pub(super) fn forward(&self, x: &[i16], mut store: impl FnMut(i32)) {
        let outputs = self.bias.len();
        for (o, bias) in self.bias.iter().enumerate() {
            let mut acc = i32::from_le_bytes(*bias);
            for (w, x) in self.kernel.iter().skip(o).step_by(outputs.max(1)).zip(x) {
                acc = acc.wrapping_add(i32::from_le_bytes(*w).wrapping_mul(i32::from(*x)));
            }
            store(acc);
        }
    }

    /// Whether no sum can leave 32 bits.
    pub(super) fn is_bounded(&self) -> bool {
        let outputs = self.bias.len();
        self.bias.iter().enumerate().all(|(o, bias)| {
            let column = self.kernel.iter().skip(o).step_by(outputs.max(1));
            let sum = column.fold(0u64, |sum, w| sum + u64::from(i32::from_le_bytes(*w).unsigned_abs()));
            sum * 32768 + u64::from(i32::from_le_bytes(*bias).unsigned_abs()) <= i32::MAX as u64
        })
    }
}

/// (acc·multiplier) >> 16 for a multiplier of 16 bits, from 32-bit products alone.
#[inline(always)]
pub(super) fn scale(acc: i32, multiplier: i32) -> i32 {
    let low = ((acc as u32 & 0xffff).wrapping_mul(multiplier as u32) >> 16) as i32;
    (acc >> 16).wrapping_mul(multiplier).wrapping_add(low)
}

/// v·2^shift: wraps to the left, cuts off to the right.
#[inline(always)]
pub(super) fn shift_wrapping(v: i32, shift: i32) -> i32 {
    if shift >= 0 { v.wrapping_shl(shift as u32) } else { v >> (-shift).min(31) }
}

/// v·2^shift: held at the ends to the left, rounded to the right.
#[inline(always)]
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
#[inline(always)]
pub(super) fn narrow(v: i32) -> i16 {
    v.clamp(-32768, 32767) as i16
}
