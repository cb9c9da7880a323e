//! Hard constraints: factors by which outputs vanish on walls, whatever the network gives there.

use serde::{Deserialize, Serialize};

/// Of every output and every input two linear factors (a + b·x)·(c + d·x), x in physical units; an output is the network's
/// times those of all inputs (Lagaris, Likas, Fotiadis 1998; the distance functions of Sukumar and Srivastava 2022 for a
/// box).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    inputs: usize,
    /// a, b, c, d, `[outputs, inputs]`.
    factors: Vec<[f64; 4]>,
}

/// No constraint by an input.
const FREE: [f64; 4] = [1.0, 0.0, 1.0, 0.0];

impl Mask {
    /// For inputs with these ranges; `walls[output][input]` says whether the output vanishes at the lower and at the upper
    /// end. At most 1 within the ranges, and exactly 0 on the walls in f32.
    pub fn vanishing(ranges: &[(f64, f64)], walls: &[Vec<[bool; 2]>]) -> Self {
        let factor = |(&(lo, hi), ends): (&(f64, f64), &[bool; 2])| -> [f64; 4] {
            // As large as may be without leaving 1: a parabola between two walls, a ramp from one.
            let slope = if *ends == [true, true] { 2.0 / (hi - lo) } else { 1.0 / (hi - lo) };
            // The constant is minus what f32 makes of the product at the wall, so that they cancel there.
            let ramp = |slope: f64, wall: f64| [-f64::from(slope as f32 * wall as f32), f64::from(slope as f32)];
            let [a, b] = if ends[0] { ramp(slope, lo) } else { [1.0, 0.0] };
            let [c, d] = if ends[1] { ramp(-slope, hi) } else { [1.0, 0.0] };
            [a, b, c, d]
        };
        let factors = walls.iter().flat_map(|output| ranges.iter().zip(output).map(factor)).collect();
        Self { inputs: ranges.len(), factors }
    }

    /// As the format has it, `[outputs, 4·inputs]`.
    pub fn numbers(&self) -> Vec<f64> {
        self.factors.as_flattened().to_vec()
    }

    /// Whether `output` is held anywhere along `input`.
    pub fn holds(&self, output: usize, input: usize) -> bool {
        self.factors[output * self.inputs + input] != FREE
    }

    /// The factor of `output` at `x` `[inputs]`, physical, or its derivative, `by[i]` times by input i.
    pub fn derivative(&self, output: usize, by: &[u8], x: &[f64]) -> f64 {
        let along = |(i, (&x, &times)): (usize, (&f64, &u8))| {
            let [a, b, c, d] = self.factors[output * self.inputs + i];
            match times {
                0 => (a + b * x) * (c + d * x),
                1 => b * (c + d * x) + d * (a + b * x),
                2 => 2.0 * b * d,
                _ => 0.0,
            }
        };
        x.iter().zip(by).enumerate().map(along).product()
    }
}

/// `h` `[outputs]` times a mask's `numbers` `[outputs, 4·inputs]` at `x` `[inputs]`.
pub(super) fn apply(numbers: &[f64], x: &[f64], h: &mut [f64]) {
    for (h, factors) in h.iter_mut().zip(numbers.chunks_exact(4 * x.len())) {
        for (x, [a, b, c, d]) in x.iter().zip(factors.as_chunks().0) {
            *h *= (a + b * x) * (c + d * x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_vanishes_on_walls_alone_and_its_derivatives_are_those_of_differences() {
        let mask = Mask::vanishing(
            &[(-3.0, 5.0), (0.1, 0.7), (10.0, 11.0)],
            &[vec![[true, true], [true, false], [false, false]], vec![[false; 2], [false, true], [false; 2]]],
        );
        let at = |output: usize, x: [f64; 3]| mask.derivative(output, &[0; 3], &x);
        for wall in [[-3.0, 0.4, 10.5], [5.0, 0.4, 10.5], [1.0, 0.1, 10.5]] {
            assert!(at(0, wall).abs() < 1e-7 && at(1, wall) > 0.1, "{wall:?}");
        }
        assert!(at(1, [0.0, 0.7, 10.0]).abs() < 1e-7);
        assert!((at(0, [1.0, 0.7, 10.0]) - 1.0).abs() < 1e-6);
        assert!(mask.holds(0, 1) && !mask.holds(0, 2) && !mask.holds(1, 0));
        let (x, h) = ([0.3, 0.5, 10.2], 1e-4);
        for (by, axes) in [([1u8, 0, 0], [0, 0]), ([0, 1, 0], [1, 1]), ([1, 1, 0], [0, 1]), ([2, 0, 0], [0, 0])] {
            let moved = |s: f64, t: f64| {
                let mut x = x;
                x[axes[0]] += s * h;
                if by.iter().sum::<u8>() == 2 {
                    x[axes[1]] += t * h;
                }
                at(0, x)
            };
            let found = if by.iter().sum::<u8>() == 1 {
                (moved(1.0, 0.0) - moved(-1.0, 0.0)) / (2.0 * h)
            } else {
                (moved(1.0, 1.0) - moved(1.0, -1.0) - moved(-1.0, 1.0) + moved(-1.0, -1.0)) / (4.0 * h * h)
            };
            assert!((found - mask.derivative(0, &by, &x)).abs() < 1e-5, "{by:?}: {found}");
        }
    }
}
