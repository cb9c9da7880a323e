//! A model that loads evaluates everywhere without panic, by every door with the same bits.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use rwf_runtime::{EvalError, GridDecoder, Model};
use rwf_runtime_fuzz::{Source, mutate};

/// Larger networks say nothing more and take long.
const MOST_WORK: usize = 20_000;
const POINTS: usize = 21;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate(data, size, most, seed) });

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::new(bytes) else { return };
    if model.architecture().multiply_adds() > MOST_WORK {
        return;
    }
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let mut source = Source::new(bytes);
    let x: Vec<f32> = (0..POINTS * inputs).map(|_| source.coordinate()).collect();
    let mut scratch = vec![f32::NAN; model.batch_scratch_len().max(model.hessian_scratch_len())];
    let exact = model.scratch_len();

    let mut batch = vec![0.0; POINTS * outputs];
    model.eval_batch(&x, &mut batch, &mut scratch).expect("lengths are right");
    let mut single = vec![0.0; POINTS * outputs];
    for (x, y) in x.chunks_exact(inputs).zip(single.chunks_exact_mut(outputs)) {
        model.eval(x, y, &mut scratch[..exact]).expect("lengths are right");
    }
    assert_eq!(bits(&batch), bits(&single), "one point or many");
    if exact > 0 {
        let short = model.eval(&x[..inputs], &mut single[..outputs], &mut scratch[..exact - 1]);
        assert_eq!(short, Err(EvalError::ScratchLength));
    }

    let (mut y, mut j) = (vec![0.0; outputs], vec![0.0; outputs * inputs]);
    let (mut again, mut product) = (j.clone(), j.clone());
    let direction: Vec<f32> = (0..inputs).map(|_| source.coordinate()).collect();
    model.jacobian(&x[..inputs], &mut y, &mut j, &mut scratch).expect("lengths are right");
    assert_eq!(bits(&y), bits(&batch[..outputs]), "a value beside its derivatives");
    model
        .hessian_vector(&x[..inputs], &direction, &mut y, &mut again, &mut product, &mut scratch)
        .expect("lengths are right");
    assert_eq!(bits(&y), bits(&batch[..outputs]), "a value beside its second derivatives");

    let _ = model.self_test(&mut scratch);
    if let Some(mut decoder) = GridDecoder::native(&model) {
        let mut values = vec![0.0; 64.max(outputs)];
        let before = decoder.remaining();
        let n = decoder.fill(&mut values, &mut scratch).expect("lengths are right");
        assert_eq!(decoder.remaining() + n, before);
    }
});
