//! Calls of all that a device may ask of the runtime, with bytes and lengths the compiler does not know.

use core::hint::black_box;

use rwf_runtime::{Axis, GridDecoder, IntegerModel, LoadError, Model, SelfTestError, describe::Order, entropy, uses};

/// Every function of [`Model`], [`GridDecoder`] and [`IntegerModel`] that computes or reads.
pub fn everything(x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    static FILE: [u8; 1] = [0];
    let file: &[u8] = black_box(&FILE);
    let (x, y) = (black_box(x), black_box(y));
    if let Ok(model) = Model::new(file) {
        floats(&model, x, y, black_box(scratch));
    }
    let (mut memory, mut more) = ([0.0; 8], [0.0; 64]);
    let widened = Model::<{ uses::ALL }>::load_widened::<LoadError>(file, &mut &mut black_box(&mut memory)[..]);
    if let Ok(model) = widened {
        floats(&model, x, y, black_box(&mut more));
    }
    let mut unpacked = [0; 8];
    if entropy::is_packed(file) {
        black_box((entropy::decoded_len(file).is_ok(), entropy::decode_into(file, black_box(&mut unpacked)).is_ok()));
    }
    if let Ok(model) = IntegerModel::new(file) {
        integers(&model, x, y);
    }
}

fn floats(model: &Model<'_>, x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    let (mut jacobian, mut product) = ([0.0; 6], [0.0; 6]);
    let (jacobian, product): (&mut [f32], &mut [f32]) = (black_box(&mut jacobian), black_box(&mut product));
    black_box(model.self_test(scratch).is_ok());
    black_box(model.eval(x, y, scratch).is_ok());
    black_box(model.eval_batch(x, y, scratch).is_ok());
    black_box(model.eval_tiled::<2>(x, y, scratch).is_ok());
    black_box(model.self_test_tiled::<SelfTestError, 2>(scratch).is_ok());
    black_box((model.grid_scratch_len(), model.tiled_grid_scratch_len::<2>(), model.has_self_test()));
    black_box(model.jacobian(x, y, jacobian, scratch).is_ok());
    black_box(model.hessian_vector(x, x, y, jacobian, product, scratch).is_ok());
    black_box((model.batch_scratch_len(), model.jacobian_scratch_len(), model.hessian_scratch_len()));
    black_box((model.architecture().multiply_adds(), model.architecture().parameters()));
    black_box((model.metadata("error"), model.input(black_box(1)), model.output(black_box(1)), model.grid()));
    if let Some(mut decoder) = GridDecoder::native(model) {
        black_box(decoder.fill(y, scratch).is_ok());
    }
    let axes = [Axis { start: 0.0, step: 1.0, count: 3 }; 2];
    if let Some(mut decoder) = GridDecoder::new(model, black_box(&axes), black_box(Order::LastFastest)) {
        black_box(decoder.fill(y, scratch).is_ok());
        black_box(decoder.remaining());
        black_box(decoder.fill_tiled::<2>(y, scratch).is_ok());
    }
}

fn integers(model: &IntegerModel<'_>, x: &[f32], y: &mut [f32]) {
    let (mut scratch, input, mut output) = ([0i16; 64], [0i16; 2], [0i16; 3]);
    let scratch: &mut [i16] = black_box(&mut scratch);
    let (input, output): (&[i16], &mut [i16]) = (black_box(&input), black_box(&mut output));
    black_box(model.self_test(scratch).is_ok());
    black_box(model.eval(x, y, scratch).is_ok());
    black_box(model.eval_integers(input, output, scratch).is_ok());
    black_box((model.metadata("error"), model.input(black_box(1)), model.output(black_box(1)), model.grid()));
    black_box((model.scratch_len(), model.weight_bytes(), model.bits(black_box(1)).is_some()));
}
