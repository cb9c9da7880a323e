//! The one source of random numbers: seeded, on the host, the same on every machine.

use rand::{Rng as _, RngExt as _, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A seeded generator with independent streams by name.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: u64,
    chacha: ChaCha12Rng,
    /// The second of two normal numbers made together.
    spare: Option<f64>,
}

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, chacha: ChaCha12Rng::seed_from_u64(seed), spare: None }
    }

    /// An independent generator that depends on the seed and `name` alone, not on what was drawn before.
    pub fn stream(&self, name: &str) -> Self {
        let hash =
            name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let mut chacha = ChaCha12Rng::seed_from_u64(self.seed);
        chacha.set_stream(hash);
        Self { seed: self.seed, chacha, spare: None }
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.chacha.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [-limit, limit).
    pub fn symmetric(&mut self, limit: f64) -> f64 {
        limit * (2.0 * self.uniform() - 1.0)
    }

    /// Standard normal (Box and Muller 1958), by libm so that no platform's own logarithm or sine changes a bit.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * self.uniform());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Standard normal, drawn again until within ±2.
    pub fn truncated_normal(&mut self) -> f64 {
        loop {
            let x = self.normal();
            if x.abs() <= 2.0 {
                return x;
            }
        }
    }

    /// Uniform in 0..n.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.chacha.random_range(0..n as u64) as usize
    }

    /// 0..n in random order (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_stream_give_the_same_numbers() {
        let draw = |seed, name: &str| -> Vec<f64> {
            let mut rng = Rng::new(seed).stream(name);
            (0..8).map(|_| rng.normal()).collect()
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Rng::new(5);
        let n = 200_000;
        let moments = |draw: &mut dyn FnMut() -> f64| {
            let (mut sum, mut square) = (0.0, 0.0);
            for _ in 0..n {
                let x = draw();
                sum += x;
                square += x * x;
            }
            (sum / f64::from(n), square / f64::from(n))
        };
        let (mean, square) = moments(&mut || rng.normal());
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.02, "{mean} {square}");
        let (mean, square) = moments(&mut || rng.truncated_normal());
        assert!(mean.abs() < 0.01 && (square - 0.774).abs() < 0.02, "{mean} {square}");
        let (mean, square) = moments(&mut || rng.uniform());
        assert!((mean - 0.5).abs() < 0.005 && (square - 1.0 / 3.0).abs() < 0.005);
    }

    #[test]
    fn a_permutation_holds_everything_once() {
        let mut order = Rng::new(0).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
