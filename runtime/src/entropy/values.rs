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

/// Codes `data`, all of a tensor; `state` is what numbers of its type have told so far.
pub(super) fn code<C: Coder>(coder: &mut C, state: &mut [Bit], tensor: Tensor, data: &mut [u8]) {
    let size = match tensor.kind {
        Kind::Bytes => return bytes(coder, state, data),
        Kind::Whole8 => 1,
        Kind::Whole16 | Kind::Float16 => 2,
        Kind::Whole32 | Kind::Float32 => 4,
    };
    let lower_bits_tell = coder.lower_bits_tell(data, size);
    let set = state.get_mut(SET * usize::from(tensor.set)..).unwrap_or_default();
    let mut set = Set::new(set, lower_bits_tell);
    for bytes in data.chunks_mut(size) {
        let mut word = [0; 4];
        word.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        let given = u32::from_le_bytes(word);
        let value = match tensor.kind {
            // What is left of a number at the end.
            _ if bytes.len() < size => coder.even(24, given),
            Kind::Float16 => float(coder, &mut set, HALF, given),
            Kind::Float32 => float(coder, &mut set, SINGLE, given),
            _ => {
                let above = 32 - 8 * size as u32;
                whole(coder, &mut set, ((given << above) as i32 >> above) as u32)
            }
        };
        bytes.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
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

/// A type of floats.
#[derive(Clone, Copy)]
struct Floats {
    mantissa_bits: u32,
    exponent_bits: u32,
    /// The exponent of size 0; exponents beyond it and the sizes behind it are coded as they are.
    least: u32,
}

const HALF: Floats = Floats { mantissa_bits: 10, exponent_bits: 5, least: 0 };
const SINGLE: Floats = Floats { mantissa_bits: 23, exponent_bits: 8, least: 102 };

/// A float: exponent, sign, mantissa; one bit more where both are 0.
fn float<C: Coder>(coder: &mut C, set: &mut Set<'_>, floats: Floats, given: u32) -> u32 {
    let Floats { mantissa_bits, exponent_bits, least } = floats;
    let sign_at = mantissa_bits + exponent_bits;
    let exponent = given >> mantissa_bits & ((1 << exponent_bits) - 1);
    let size = match exponent {
        0 => 0,
        _ if exponent > least && exponent < least + MOST => exponent - least,
        _ => MOST,
    };
    let size = coder.tree(set.sizes, SIZE_BITS, size);
    let exponent = match size {
        0 => 0,
        MOST => coder.even(exponent_bits, exponent),
        _ => size + least,
    };
    let negative = coder.flag(set.sign, 0, given >> sign_at & 1 != 0);
    let given = given & ((1 << mantissa_bits) - 1);
    let zero = size == 0 && coder.flag(set.more, 0, given == 0);
    let mantissa = if zero { 0 } else { set.below(coder, size, mantissa_bits, given) };
    u32::from(negative) << sign_at | exponent << mantissa_bits | mantissa
}

/// Bytes as they are, or as weights of 4 or 6 bits.
fn bytes<C: Coder>(coder: &mut C, state: &mut [Bit], data: &mut [u8]) {
    let width = coder.width(data);
    let (group, symbols) = match width {
        4 => (1, 2),
        6 => (3, 4),
        _ => (1, 1),
    };
    for bytes in data.chunks_mut(group) {
        let mut word = [0; 4];
        word.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        let given = u32::from_le_bytes(word);
        let value =
            (0..symbols).fold(0, |value, n| value | coder.tree(state, width, given >> (width * n)) << (width * n));
        bytes.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
}
