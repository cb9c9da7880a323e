//! What the targets share.

/// Numbers from 0 to 1 that follow from `bytes`.
pub struct Source(u64);

impl Source {
    /// Seeded by all of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let hash =
            bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
        Self(hash | 1)
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    /// A coordinate: mostly near the domain, now and then anything an f32 can be.
    pub fn coordinate(&mut self) -> f32 {
        match self.bits() % 8 {
            0 => f32::from_bits(self.bits()),
            1 => (self.bits() % 64) as f32,
            _ => self.bits() as f32 / u32::MAX as f32 * 40.0 - 4.0,
        }
    }
}

/// Where tensor data begins; 0 when the header does not say.
pub fn data_offset(file: &[u8]) -> usize {
    let length = file.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
    usize::try_from(length).ok().and_then(|n| n.checked_add(8)).filter(|n| *n < file.len()).unwrap_or(0)
}

/// Half of the time changes bytes behind the header only, so that a file that loads goes on loading.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let at = data_offset(&data[..size]);
    if seed.is_multiple_of(2) && at > 0 {
        // Same length: what tensors need stays there.
        let length = size - at;
        let mut copy = data[at..size].to_vec();
        libfuzzer_sys::fuzzer_mutate(&mut copy, length, length);
        data[at..size].copy_from_slice(&copy);
        return size;
    }
    libfuzzer_sys::fuzzer_mutate(data, size, most)
}
