//! Numbers of tensors: how large by a tree, a sign, the bits below, each by what was met before.

use super::{
    coder::{Bit, Coder},
    header::{Kind, Tensor},
};

/// Bits of how large a number is.
const SIZE_BITS: u32 = 5;
/// Bits below the highest that are told by it and by those above them.
const UPPER_BITS: u32 = 3;
/// Probabilities of those bits: for 16 sizes.
const UPPER: usize = 16 << UPPER_BITS;
/// Probabilities of the bits below those.
const LOWER: usize = 32;
/// Probabilities of a set of numbers: sizes, upper bits, lower bits, sign and one more.
const SET: usize = (1 << SIZE_BITS) + UPPER + LOWER + 2;
/// Sets of a type.
const SETS: usize = 3;
/// Probabilities in all.
pub(super) const STATE: usize = SET * SETS;

/// The largest size, which stands for all from there on.
const MOST: u32 = (1 << SIZE_BITS) - 1;
/// The exponent of an f32 of size 0; beyond it and the 30 sizes behind it exponents are coded as they are.
const LEAST: u32 = 102;

/// Codes `data`, all of a tensor; `state` is what numbers of its type have told so far.
pub(super) fn code<C: Coder>(coder: &mut C, state: &mut [Bit], tensor: Tensor, data: &mut [u8]) {
    let set = state.get_mut(SET * usize::from(tensor.set)..).unwrap_or_default();
    match tensor.kind {
        Kind::Whole8 => numbers(coder, set, data, |[a]| i32::from(a as i8) as u32, |v| [v as u8], whole),
        Kind::Whole16 => numbers(coder, set, data, |a| i32::from(i16::from_le_bytes(a)) as u32, low_half, whole),
        Kind::Whole32 => numbers(coder, set, data, u32::from_le_bytes, u32::to_le_bytes, whole),
        Kind::Float16 => numbers(coder, set, data, |a| u16::from_le_bytes(a).into(), low_half, float::<C, 10>),
        Kind::Float32 => numbers(coder, set, data, u32::from_le_bytes, u32::to_le_bytes, float::<C, 23>),
        Kind::Bytes => bytes(coder, state, data),
    }
}

fn low_half(value: u32) -> [u8; 2] {
    (value as u16).to_le_bytes()
}

/// Codes numbers of `N` bytes by `one`, as the words that `read` and `write` make of them.
fn numbers<C: Coder, const N: usize>(
    coder: &mut C,
    set: &mut [Bit],
    data: &mut [u8],
    read: impl Fn([u8; N]) -> u32,
    write: impl Fn(u32) -> [u8; N],
    one: impl Fn(&mut C, &mut Set<'_>, u32) -> u32,
) {
    let lower_bits_tell = coder.lower_bits_tell(data, N);
    let mut set = Set::new(set, lower_bits_tell);
    let (whole, rest) = data.as_chunks_mut::<N>();
    for bytes in whole {
        *bytes = write(one(coder, &mut set, read(*bytes)));
    }
    for byte in rest {
        *byte = coder.even(8, u32::from(*byte)) as u8;
    }
}

/// Probabilities of a set of numbers.
struct Set<'a> {
    sizes: &'a mut [Bit],
    upper: &'a mut [Bit],
    lower: &'a mut [Bit],
    lower_bits_tell: bool,
    sign: &'a mut [Bit],
    more: &'a mut [Bit],
}

impl<'a> Set<'a> {
    fn new(state: &'a mut [Bit], lower_bits_tell: bool) -> Self {
        let (sizes, state) = state.split_at_mut_checked(1 << SIZE_BITS).unwrap_or_default();
        let (upper, state) = state.split_at_mut_checked(UPPER).unwrap_or_default();
        let (lower, state) = state.split_at_mut_checked(LOWER).unwrap_or_default();
        let (sign, more) = state.split_at_mut_checked(1).unwrap_or_default();
        Self { sizes, upper, lower, lower_bits_tell, sign, more }
    }

    /// The lowest `count` bits, 31 at most, of a number of that `size`.
    fn below<C: Coder>(&mut self, coder: &mut C, size: u32, count: u32, given: u32) -> u32 {
        let upper = count.min(UPPER_BITS);
        let lower = count.wrapping_sub(upper) & 31;
        let tree = self.upper.get_mut((size as usize & 15) << UPPER_BITS..).unwrap_or_default();
        let value = coder.tree(tree, upper, given >> lower);
        if !self.lower_bits_tell {
            return value << lower | coder.even(lower, given);
        }
        (0..lower)
            .rev()
            .fold(value, |value, n| value << 1 | u32::from(coder.flag(self.lower, n as usize, given >> n & 1 != 0)))
    }
}

/// An integer with a sign: bits of its magnitude, sign, the bits below the highest.
fn whole<C: Coder>(coder: &mut C, set: &mut Set<'_>, given: u32) -> u32 {
    let negative = given >> 31 != 0;
    let magnitude = if negative { given.wrapping_neg() } else { given };
    let mut size = coder.tree(set.sizes, SIZE_BITS, (32 - magnitude.leading_zeros()).min(MOST));
    if size == MOST && coder.flag(set.more, 0, magnitude >> 31 != 0) {
        size += 1;
    }
    if size == 0 {
        return 0;
    }
    let below = (size - 1) & 31;
    let negative = coder.flag(set.sign, 0, negative);
    let magnitude = 1 << below | set.below(coder, size, below, magnitude);
    if negative { magnitude.wrapping_neg() } else { magnitude }
}

/// A float with a mantissa of `M` bits: exponent, sign, mantissa; one flag more where both are 0.
fn float<C: Coder, const M: u32>(coder: &mut C, set: &mut Set<'_>, given: u32) -> u32 {
    // Sign and exponent together have what the mantissa leaves of 16 or 32 bits.
    let exponent_bits = if M == 10 { 5 } else { 8 };
    let exponent = given >> M & ((1 << exponent_bits) - 1);
    let size = match exponent {
        _ if M == 10 || exponent == 0 => exponent,
        _ if exponent > LEAST && exponent < LEAST + MOST => exponent - LEAST,
        _ => MOST,
    };
    let size = coder.tree(set.sizes, SIZE_BITS, size);
    let exponent = match size {
        _ if M == 10 || size == 0 => size,
        MOST => coder.even(8, exponent),
        _ => size + LEAST,
    };
    let negative = coder.flag(set.sign, 0, given >> (M + exponent_bits) & 1 != 0);
    let given = given & ((1 << M) - 1);
    let zero = size == 0 && coder.flag(set.more, 0, given == 0);
    let mantissa = if zero { 0 } else { set.below(coder, size, M, given) };
    u32::from(negative) << (M + exponent_bits) | exponent << M | mantissa
}

/// Bytes as they are, or as weights of 4 or 6 bits.
fn bytes<C: Coder>(coder: &mut C, state: &mut [Bit], data: &mut [u8]) {
    match coder.width(data) {
        4 => {
            for byte in data {
                let given = u32::from(*byte);
                let low = coder.tree(state, 4, given);
                *byte = (low | coder.tree(state, 4, given >> 4) << 4) as u8;
            }
        }
        6 => {
            let (whole, rest) = data.as_chunks_mut::<3>();
            for bytes in whole {
                let [a, b, c] = *bytes;
                let given = u32::from_le_bytes([a, b, c, 0]);
                let value = (0..4).fold(0, |value, n| value | coder.tree(state, 6, given >> (6 * n)) << (6 * n));
                let [a, b, c, _] = value.to_le_bytes();
                *bytes = [a, b, c];
            }
            for byte in rest {
                *byte = coder.even(8, u32::from(*byte)) as u8;
            }
        }
        _ => {
            for byte in data {
                *byte = coder.tree(state, 8, u32::from(*byte)) as u8;
            }
        }
    }
}
