//! A model in integers that loads evaluates everywhere without panic or overflow, by every door alike.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use rwf_runtime::{EvalError, IntegerModel};
use rwf_runtime_fuzz::{Source, mutate};

const MOST_WORK: usize = 20_000;
const POINTS: usize = 21;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = IntegerModel::new(bytes) else { return };
    if model.architecture().multiply_adds() > MOST_WORK {
        return;
    }
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let mut source = Source::new(bytes);
    let mut scratch = vec![-1; model.scratch_len()];

    let x: Vec<f32> = (0..POINTS * inputs).map(|_| source.coordinate()).collect();
    let mut y = vec![0.0; POINTS * outputs];
    model.eval(&x, &mut y, &mut scratch).expect("lengths are right");
    for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact(outputs)) {
        let point: Vec<i16> = x.iter().enumerate().map(|(axis, x)| model.to_integer(axis, *x)).collect();
        let mut found = vec![0; outputs];
        model.eval_integers(&point, &mut found, &mut scratch).expect("lengths are right");
        for (k, (found, y)) in found.iter().zip(y).enumerate() {
            assert_eq!(model.to_physical(k, *found).to_bits(), y.to_bits(), "integers and floats");
        }
    }
    // Any 16 bits are a coordinate.
    let wild: Vec<i16> = (0..POINTS * inputs).map(|_| source.bits() as i16).collect();
    let mut found = vec![0; POINTS * outputs];
    model.eval_integers(&wild, &mut found, &mut scratch).expect("lengths are right");
    if let Some(short) = scratch.len().checked_sub(1) {
        let refused = model.eval(&x[..inputs], &mut y[..outputs], &mut scratch[..short]);
        assert_eq!(refused, Err(EvalError::ScratchLength));
    }
    let _ = model.self_test(&mut scratch);
});
