//! A binary range coder whose probabilities learn from the bits that went before.
//!
//! Sources: G. N. N. Martin, "Range encoding", 1979; probabilities that learn by the estimate of R. E. Krichevsky and
//! V. K. Trofimov, "The performance of universal encoding", 1981.

/// Times after which a probability learns no slower.
const SETTLED: u8 = 100;

/// 2^16/(n + 3/2): the part of what it was off that a [`Bit`] learns at the n-th time.
const RATES: [u16; SETTLED as usize + 1] = {
    let mut rates = [0; SETTLED as usize + 1];
    let mut n = 0;
    while n < rates.len() {
        rates[n] = (131_072 / (2 * n + 3)) as u16;
        n += 1;
    }
    rates
};

/// The probability of a one, as met so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bit {
    /// The probability of 2^16, its highest bit the other way round: one that has met nothing is all zeros, and many of
    /// them take no place in flash.
    one: u16,
    seen: u8,
}

impl Bit {
    /// One that has met nothing.
    pub(super) const NEW: Self = Self { one: 0, seen: 0 };
    const HALF: u16 = 1 << 15;

    /// The part of `range`, which is 2^24 or more, that a one takes: neither nothing nor all.
    pub(super) fn part(self, range: u32) -> u32 {
        (range >> 16) * u32::from((self.one ^ Self::HALF).clamp(1 << 5, u16::MAX - (1 << 5)))
    }

    pub(super) fn learn(&mut self, bit: bool) {
        let rate = u32::from(RATES.get(usize::from(self.seen)).copied().unwrap_or(0));
        let step = |off: u16| ((u32::from(off) * rate) >> 16) as u16;
        let one = self.one ^ Self::HALF;
        let one = if bit { one.wrapping_add(step(u16::MAX - one)) } else { one.wrapping_sub(step(one)) };
        self.one = one ^ Self::HALF;
        self.seen = self.seen.wrapping_add(1).min(SETTLED);
    }
}

/// Either end of the coder, so that one model serves both: what is to be encoded is given and comes back; what is decoded
/// comes back, whatever is given.
pub(super) trait Coder {
    /// A bit that `p` tells about.
    fn bit(&mut self, p: &mut Bit, given: bool) -> bool;

    /// The lowest `count` bits of a number, each as likely as not.
    fn even(&mut self, count: u32, given: u32) -> u32;

    /// Bits of the symbols that `data` is coded by: 8, 4 or 6.
    fn width(&mut self, data: &[u8]) -> u32;

    /// Whether the lower bits of the numbers in `data`, of `size` bytes, are worth a probability each.
    fn lower_bits_tell(&mut self, data: &[u8], size: usize) -> bool;

    /// The lowest `count` bits of a number by a tree of `[2^count]` probabilities, the highest first.
    fn tree(&mut self, tree: &mut [Bit], count: u32, given: u32) -> u32 {
        let mut node = 1usize;
        for n in (0..count).rev() {
            let Some(p) = tree.get_mut(node) else { return 0 };
            node = node << 1 | usize::from(self.bit(p, given >> n & 1 != 0));
        }
        node as u32 ^ 1 << count
    }

    /// One bit by the probability `n` of several.
    fn flag(&mut self, flags: &mut [Bit], n: usize, given: bool) -> bool {
        flags.get_mut(n).is_some_and(|p| self.bit(p, given))
    }
}

/// Reads.
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    read: usize,
    range: u32,
    /// How far into the range the file's number is.
    code: u32,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut new = Self { bytes, read: 0, range: u32::MAX, code: 0 };
        (0..4).for_each(|_| new.shift());
        new
    }

    /// Bytes read so far, with those of zeros beyond the end, which are not in the file.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    fn shift(&mut self) {
        let byte = self.bytes.get(self.read).copied().unwrap_or(0);
        self.read = self.read.saturating_add(1);
        self.code = self.code << 8 | u32::from(byte);
    }

    fn fill(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.shift();
        }
    }
}

impl Coder for Decoder<'_> {
    // Called from many places: once in flash is enough.
    #[inline(never)]
    fn bit(&mut self, p: &mut Bit, _: bool) -> bool {
        let part = p.part(self.range);
        let bit = self.code < part;
        if bit {
            self.range = part;
        } else {
            self.range = self.range.wrapping_sub(part);
            self.code = self.code.wrapping_sub(part);
        }
        p.learn(bit);
        self.fill();
        bit
    }

    #[inline(never)]
    fn even(&mut self, count: u32, _: u32) -> u32 {
        let mut value = 0;
        for _ in 0..count {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code = self.code.wrapping_sub(self.range);
            }
            value = value << 1 | u32::from(bit);
            self.fill();
        }
        value
    }

    fn width(&mut self, _: &[u8]) -> u32 {
        match self.even(2, 0) {
            1 => 4,
            2 => 6,
            _ => 8,
        }
    }

    fn lower_bits_tell(&mut self, _: &[u8], _: usize) -> bool {
        self.even(1, 0) != 0
    }
}
