//! The writing end, for the workstation.

use std::vec::Vec;

use super::{
    MAGIC, VERSION, checksum,
    coder::{Bit, Coder},
    model_file,
};

/// The packed file of `file`, a model file; any other bytes are packed too, but less well.
///
/// # Panics
/// When `file` has 4 GiB or more.
pub fn encode(file: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder { bytes: Vec::new(), low: 0, range: u32::MAX };
    // The model runs over the file as the decoder's runs over its memory, and changes nothing.
    model_file(&mut encoder, &mut file.to_vec());
    let length = u32::try_from(file.len()).expect("a model file is below 4 GiB");
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend(length.to_le_bytes());
    let coded = encoder.finish();
    out.extend(checksum(&out, &coded));
    out.extend(coded);
    out
}

struct Encoder {
    bytes: Vec<u8>,
    low: u64,
    range: u32,
}

impl Encoder {
    /// What was written: the number within the last range that has most zeros at its end, without them.
    fn finish(mut self) -> Vec<u8> {
        let end = self.low + u64::from(self.range);
        let value = (0..32).rev().map(|zeros| ((self.low + (1u64 << zeros) - 1) >> zeros) << zeros).find(|&v| v < end);
        self.low = value.unwrap_or(self.low);
        for _ in 0..4 {
            self.range = 1 << 16;
            self.fill();
        }
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }

    fn fill(&mut self) {
        // A carry runs back through what is written.
        if self.low >> 32 != 0 {
            self.low &= u64::from(u32::MAX);
            for byte in self.bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.bytes.push((self.low >> 24) as u8);
            self.low = self.low << 8 & u64::from(u32::MAX);
        }
    }
}

impl Coder for Encoder {
    fn bit(&mut self, p: &mut Bit, bit: bool) -> bool {
        let part = p.part(self.range);
        if bit {
            self.range = part;
        } else {
            self.range -= part;
            self.low += u64::from(part);
        }
        p.learn(bit);
        self.fill();
        bit
    }

    fn even(&mut self, count: u32, value: u32) -> u32 {
        for n in (0..count).rev() {
            self.range >>= 1;
            if value >> n & 1 != 0 {
                self.low += u64::from(self.range);
            }
            self.fill();
        }
        value
    }

    fn width(&mut self, data: &[u8]) -> u32 {
        let eight = cost(256, data.iter().map(|&b| usize::from(b)));
        let four = cost(16, data.iter().flat_map(|&b| [b & 15, b >> 4]).map(usize::from));
        let six = cost(
            64,
            data.as_chunks::<3>().0.iter().flat_map(|&[a, b, c]| {
                let all = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
                [0, 6, 12, 18].map(|n| all >> n & 63)
            }),
        );
        let six = if data.len().is_multiple_of(3) { six } else { f64::INFINITY };
        let (code, width) = match () {
            () if four <= eight.min(six) => (1, 4),
            () if six <= eight => (2, 6),
            () => (0, 8),
        };
        self.even(2, code);
        width
    }

    fn lower_bits_tell(&mut self, data: &[u8], size: usize) -> bool {
        let numbers = data.chunks_exact(size);
        let count = numbers.len();
        // Those that are a mantissa's in every type of that size.
        let lower = [0, 0, 6, 0, 16].get(size).copied().unwrap_or(0);
        let uneven = (0..lower).any(|n| {
            let ones = numbers.clone().filter(|v| v[n / 8] >> (n % 8) & 1 != 0).count();
            (2 * ones).abs_diff(count) > 32 + count / 4
        });
        self.even(1, uneven.into());
        uneven
    }
}

/// Bits of `symbols` below `count`, of which each is as frequent as it is, and of learning how frequent.
fn cost(count: usize, symbols: impl Iterator<Item = usize>) -> f64 {
    let mut met = std::vec![0usize; count];
    symbols.for_each(|s| met[s] += 1);
    let total = met.iter().sum::<usize>() as f64;
    met.iter().filter(|&&n| n > 0).map(|&n| n as f64 * (total / n as f64).log2() + 0.5 * (total + 1.0).log2()).sum()
}
