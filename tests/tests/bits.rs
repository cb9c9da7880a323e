//! The same bits, whatever the batch, the scratch and the address of the file.

use rwf_runtime::{
    EvalError, Model,
    format::{MathBackend, Precision},
};
use rwf_tests::{Trained, points, showcases};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn batches_scratch_and_alignment_do_not_change_a_bit() {
    for (name, config) in showcases() {
        let trained = Trained::new(&config, 10);
        let x = trained.physical(&points(64, 4));
        for precision in Precision::ALL {
            let file = trained.file(precision, MathBackend::Polynomial);
            let model = Model::new(&file).unwrap();
            let one_by_one: Vec<u32> = {
                let mut scratch = vec![f32::NAN; model.scratch_len()];
                let each = x.chunks_exact(2).flat_map(|x| {
                    let mut y = [0.0; 3];
                    model.eval(x, &mut y, &mut scratch).unwrap();
                    y
                });
                bits(&each.collect::<Vec<_>>())
            };
            for batch in [1, 3, 64] {
                for length in [1, 2, 4, 7, 16, 40] {
                    let mut scratch = vec![f32::NAN; length * model.scratch_len()];
                    let mut y = vec![0.0; 3 * 64];
                    for (x, y) in x.chunks(2 * batch).zip(y.chunks_mut(3 * batch)) {
                        model.eval_batch(x, y, &mut scratch).unwrap();
                    }
                    assert_eq!(bits(&y), one_by_one, "{name} {precision:?} batch {batch} scratch {length}");
                }
            }
            for offset in 0..8 {
                let mut moved = vec![0; offset];
                moved.extend(&file);
                let model = Model::new(&moved[offset..]).unwrap();
                let mut y = vec![0.0; 3 * 64];
                model.eval_batch(&x, &mut y, &mut vec![0.0; model.batch_scratch_len()]).unwrap();
                assert_eq!(bits(&y), one_by_one, "{name} {precision:?} offset {offset}");
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused_and_leave_the_output_alone() {
    let [(_, config), ..] = showcases();
    let file = Trained::new(&config, 0).file(Precision::F32, MathBackend::Polynomial);
    let model = Model::new(&file).unwrap();
    let mut scratch = vec![0.0; model.scratch_len()];
    let mut y = [7.0; 3];
    assert_eq!(model.eval(&[0.0], &mut y, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(model.eval(&[0.0; 4], &mut y, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(model.eval(&[0.0; 2], &mut y[..2], &mut scratch), Err(EvalError::OutputLength));
    let short = scratch.len() - 1;
    assert_eq!(model.eval(&[0.0; 2], &mut y, &mut scratch[..short]), Err(EvalError::ScratchLength));
    assert_eq!(y, [7.0; 3]);
    assert_eq!(model.eval_batch(&[], &mut [], &mut scratch), Ok(()));
}

#[test]
fn inputs_that_are_not_finite_give_one_nan() {
    for (_, config) in showcases() {
        let file = Trained::new(&config, 0).file(Precision::F32, MathBackend::Polynomial);
        let model = Model::new(&file).unwrap();
        let mut y = [0.0; 3];
        let nan = f32::from_bits(0xffc0_1234);
        model.eval(&[nan, 0.0], &mut y, &mut vec![0.0; model.scratch_len()]).unwrap();
        for value in y {
            assert!(!value.is_nan() || value.to_bits() == 0x7fc0_0000);
        }
    }
}

#[test]
fn a_grid_decoder_yields_what_single_points_do() {
    let [(_, config), ..] = showcases();
    let file = Trained::new(&config, 10).file(Precision::F32, MathBackend::Polynomial);
    let model = Model::new(&file).unwrap();
    let mut scratch = vec![0.0; model.batch_scratch_len()];
    let mut decoder = rwf_runtime::GridDecoder::native(&model).unwrap();
    assert_eq!(decoder.remaining(), 32 * 16);
    let mut all = Vec::new();
    let mut row = vec![0.0; 3 * 20];
    loop {
        let n = decoder.fill(&mut row, &mut scratch).unwrap();
        if n == 0 {
            break;
        }
        all.extend_from_slice(&row[..3 * n]);
    }
    assert_eq!(all.len(), 3 * 32 * 16);
    // x runs fastest, cells of an image have their middle at whole numbers.
    for (i, found) in all.chunks_exact(3).enumerate() {
        let x = [(i % 32) as f32, -48.0 + 0.5 + (i / 32) as f32];
        let mut y = [0.0; 3];
        model.eval(&x, &mut y, &mut scratch).unwrap();
        assert_eq!(bits(found), bits(&y), "sample {i}");
    }
}
