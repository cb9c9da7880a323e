//! Which samples a step looks at.

use crate::rng::Rng;

/// Minibatches without replacement: every epoch is a new permutation, a function of seed and step alone, so that
/// a resumed run sees what the uninterrupted one saw.
#[derive(Debug)]
pub struct Batches {
    rng: Rng,
    samples: usize,
    size: usize,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl Batches {
    /// Of `size` out of `samples`; 0 or anything not below `samples` means all of them.
    pub fn new(seed: u64, samples: usize, size: usize) -> Self {
        let size = if size == 0 { samples } else { size.min(samples) };
        Self { rng: Rng::new(seed), samples, size, epoch: None, order: Vec::new() }
    }

    /// Samples a step looks at.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The samples of `step` (from 1), or `None` for all of them. What is left over at the end of an epoch, less
    /// than a batch, is skipped: it comes up in other epochs.
    pub fn indices(&mut self, step: u64) -> Option<&[u32]> {
        if self.size == self.samples {
            return None;
        }
        let per_epoch = (self.samples / self.size) as u64;
        let (epoch, turn) = ((step - 1) / per_epoch, (step - 1) % per_epoch);
        if self.epoch != Some(epoch) {
            self.order = self.rng.stream(&format!("epoch {epoch}")).permutation(self.samples);
            self.epoch = Some(epoch);
        }
        let start = turn as usize * self.size;
        Some(&self.order[start..start + self.size])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_meets_every_sample_once() {
        let mut batches = Batches::new(3, 12, 4);
        let mut seen: Vec<u32> = (1..=3).flat_map(|s| batches.indices(s).unwrap().to_vec()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn a_step_is_the_same_whether_or_not_the_steps_before_it_were_asked_for() {
        let mut straight = Batches::new(7, 100, 8);
        let expected: Vec<u32> = (1..=40).map(|s| straight.indices(s).unwrap().to_vec()).last().unwrap();
        assert_eq!(Batches::new(7, 100, 8).indices(40).unwrap(), expected);
        assert_ne!(Batches::new(8, 100, 8).indices(40).unwrap(), expected);
    }

    #[test]
    fn a_full_batch_needs_no_indices() {
        assert_eq!(Batches::new(1, 10, 0).indices(1), None);
        assert_eq!(Batches::new(1, 10, 64).size(), 10);
    }
}
