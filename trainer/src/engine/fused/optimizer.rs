//! Sums of squares, and Adam's update over flat buffers, in pieces of a fixed size.

use pulp::Arch;
use rayon::prelude::*;

use crate::engine::AdamStep;

/// Numbers one thread takes at a time; what they become does not depend on it.
const PIECE: usize = 16 * 1024;

/// Sum of squares in f64.
pub(super) fn square(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0f64; LANES];
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for block in values.chunks(LANES) {
                for (lane, v) in lanes.iter_mut().zip(block) {
                    *lane += f64::from(*v) * f64::from(*v);
                }
            }
        },
    );
    lanes.iter().sum()
}

/// Zero instead of a number that is no more or hardly a normal one. The moments of a neuron that died shrink by a
/// constant factor every step; as subnormal numbers they stop shrinking, and each makes the processor many times slower.
#[inline(always)]
fn normal(x: f32) -> f32 {
    if x.abs() < 1e-36 { 0.0 } else { x }
}

/// One step of Adam or AdamW on everything that is trained.
pub(in crate::engine) fn adam(
    trained: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    shrink: f32,
    adam: &AdamStep,
) {
    let step = adam.step as f64;
    let (c1, c2) = (1.0 - adam.beta1.powf(step), 1.0 - adam.beta2.powf(step));
    let (beta1, beta2) = (adam.beta1 as f32, adam.beta2 as f32);
    let (rate, root, epsilon) = ((adam.learning_rate / c1) as f32, (1.0 / c2.sqrt()) as f32, adam.epsilon as f32);
    let keep = (1.0 - adam.learning_rate * adam.weight_decay) as f32;
    let run = |x: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (((x, m), v), g) in x.iter_mut().zip(m).zip(v).zip(g) {
                    let g = g * shrink;
                    *m = normal(beta1 * *m + (1.0 - beta1) * g);
                    *v = normal(beta2 * *v + (1.0 - beta2) * (g * g));
                    *x = *x * keep - rate * *m / (v.sqrt() * root + epsilon);
                }
            },
        );
    };
    if trained.len() <= 2 * PIECE || rayon::current_num_threads() == 1 {
        run(trained, first, second, gradient);
    } else {
        trained
            .par_chunks_mut(PIECE)
            .zip(first.par_chunks_mut(PIECE))
            .zip(second.par_chunks_mut(PIECE))
            .zip(gradient.par_chunks(PIECE))
            .for_each(|(((x, m), v), g)| run(x, m, v, g));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_without_a_gradient_end_at_zero() {
        let adam_step = AdamStep {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.9,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: None,
            step: 1,
        };
        let (mut x, mut m, mut v) = ([1.0f32; 3], [1e-3f32; 3], [1e-6f32; 3]);
        for step in 1..2000 {
            adam(&mut x, &mut m, &mut v, &[0.0; 3], 1.0, &AdamStep { step, ..adam_step });
        }
        assert_eq!((m, v), ([0.0; 3], [0.0; 3]));
    }
}
