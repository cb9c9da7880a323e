//! A model that loads evaluates everywhere without panic, by every door with the same bits.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use rwf_runtime::{Axis, EvalError, GridDecoder, LoadError, Model, describe::Order, uses};
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

    // A grid decoded row by row, with and without room for what a row's points share, and by tiles of one width.
    let axes: Vec<Axis> = (0..inputs)
        .map(|i| Axis {
            start: source.coordinate(),
            step: source.coordinate(),
            count: if i == 0 || i + 1 == inputs { 5 } else { 1 },
        })
        .collect();
    let mut room = vec![f32::NAN; model.grid_scratch_len()];
    for order in [Order::FirstFastest, Order::LastFastest] {
        let Some(mut decoder) = GridDecoder::new(&model, &axes, order) else { return };
        let mut values = vec![0.0; decoder.remaining() * outputs];
        decoder.fill(&mut values, &mut room).expect("lengths are right");
        let mut apart = vec![0.0; values.len()];
        let mut decoder = GridDecoder::new(&model, &axes, order).expect("the same axes");
        decoder.fill(&mut apart, &mut scratch[..exact]).expect("lengths are right");
        assert_eq!(bits(&values), bits(&apart), "what a row shares");
        let mut decoder = GridDecoder::new(&model, &axes, order).expect("the same axes");
        decoder
            .fill_tiled::<3>(&mut apart, &mut vec![f32::NAN; model.tiled_grid_scratch_len::<3>()])
            .expect("long enough");
        assert_eq!(bits(&values), bits(&apart), "tiles of one width");
        let x: Vec<f32> = axes.iter().map(|axis| axis.at(0)).collect();
        model.eval(&x, &mut single[..outputs], &mut scratch[..exact]).expect("lengths are right");
        assert_eq!(bits(&values[..outputs]), bits(&single[..outputs]), "a grid's first sample");
    }
    let mut memory = vec![0.0; bytes.len() / 2];
    let widened =
        Model::<{ uses::ALL }>::load_widened::<LoadError>(bytes, &mut &mut memory[..]).expect("it has loaded");
    widened.eval_batch(&x, &mut single, &mut scratch).expect("lengths are right");
    assert_eq!(bits(&batch), bits(&single), "weights made f32 beforehand");

    let _ = model.self_test(&mut scratch);
    if let Some(mut decoder) = GridDecoder::native(&model) {
        let mut values = vec![0.0; 64.max(outputs)];
        let before = decoder.remaining();
        let n = decoder.fill(&mut values, &mut scratch).expect("lengths are right");
        assert_eq!(decoder.remaining() + n, before);
    }
});
