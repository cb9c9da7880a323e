//! The module for models in floats.

use rwf_runtime::{Axis, EvalError, GridDecoder, LoadError, SelfTestError, describe::Order, format::MAX_INPUTS};

use crate::{Code, arena, with};

/// What a module of this kind evaluates.
pub(crate) type Model = rwf_runtime::Model<'static>;
/// What its scratch is made of.
pub(crate) type Number = f32;

pub(crate) fn load(bytes: &'static [u8]) -> Result<Model, LoadError> {
    Model::new(bytes)
}

/// Numbers of scratch with which it is fastest.
pub(crate) fn scratch_len(model: &Model) -> usize {
    model.batch_scratch_len()
}

pub(crate) fn eval(model: &Model, x: &[f32], y: &mut [f32], scratch: &mut [Number]) -> Result<(), EvalError> {
    model.eval_batch(x, y, scratch)
}

pub(crate) fn self_test(model: &Model, scratch: &mut [Number]) -> Result<(), SelfTestError> {
    model.self_test(scratch)
}

/// Values over a regular grid: at `axes` f32 `[inputs, 3]` of first coordinate, step and count, `last` not 0 when the
/// last input runs fastest; to f32 `[samples, outputs]` at `y`, of which there are `room` f32s. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_grid(axes: usize, last: i32, y: usize, room: usize) -> i32 {
    with(|l| {
        let inputs = l.model.inputs();
        let (words, y) = arena::buffers(axes, inputs.checked_mul(3), y, Some(room))?;
        let mut all = [Axis { start: 0.0, step: 0.0, count: 1 }; MAX_INPUTS];
        for (axis, word) in all.iter_mut().zip(words.as_chunks().0) {
            let &[start, step, count] = word;
            *axis = Axis { start, step, count: count as usize };
        }
        let order = if last == 0 { Order::FirstFastest } else { Order::LastFastest };
        let axes = all.get(..inputs).unwrap_or(&[]);
        let mut decoder = GridDecoder::new(&l.model, axes, order).ok_or(Code::BadShape)?;
        if decoder.remaining().checked_mul(l.model.outputs()) != Some(room) {
            return Err(Code::BadShape);
        }
        decoder.fill(y, l.scratch).map_err(|_| Code::BadShape)?;
        Ok(0)
    })
}
