//! The module for models in floats.

use rwf_runtime::{Axis, EvalError, GridDecoder, describe::Order, format::Precision, uses};

use crate::{Code, Refused, arena, with};

/// Points evaluated together: as many as a vector has, where there are any.
const LANES: usize = if cfg!(target_feature = "simd128") { 4 } else { 1 };
/// Of weights only aligned f32: [`load`] makes them so. Outputs that vanish on walls are left to the module without vectors,
/// so that each stays below 16 KiB.
const USES: u32 = uses::ALL
    & !(uses::UNALIGNED
        | uses::precision(Precision::F16)
        | if cfg!(target_feature = "simd128") { uses::OUTPUT_MASK } else { 0 });

/// What a module of this kind evaluates.
pub(crate) type Model = rwf_runtime::Model<'static, USES>;
/// What its scratch is made of.
pub(crate) type Number = f32;

pub(crate) fn load(bytes: &'static [u8]) -> Result<Model, Code> {
    let mut memory = arena::array(bytes.len() / 2).ok_or(Code::NoMemory)?;
    let model = Model::load_widened::<Refused>(bytes, &mut memory).map_err(|_| Code::BadModel)?;
    arena::give_back(memory);
    Ok(model)
}

/// Numbers of scratch with which it is fastest.
pub(crate) fn scratch_len(model: &Model) -> usize {
    model.tiled_grid_scratch_len::<LANES>()
}

pub(crate) fn eval(model: &Model, x: &[f32], y: &mut [f32], scratch: &mut [Number]) -> Result<(), EvalError> {
    model.eval_tiled::<LANES>(x, y, scratch)
}

pub(crate) fn self_test(model: &Model, scratch: &mut [Number]) -> Result<(), Refused> {
    model.self_test_tiled::<_, LANES>(scratch)
}

/// Values over a regular grid: at `axes` f32 `[inputs, 3]` of first coordinate, step and count, `last` not 0 when the
/// last input runs fastest; to f32 `[samples, outputs]` at `y`, of which there are `room` f32s. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_grid(axes: usize, last: i32, y: usize, room: usize) -> i32 {
    with(|l| {
        let inputs = l.model.inputs();
        let (words, y) = arena::buffers((axes, 3 * inputs), (y, room), 1)?;
        let order = if last == 0 { Order::FirstFastest } else { Order::LastFastest };
        let axis = |i: usize| match words.as_chunks().0.get(i) {
            Some(&[start, step, count]) => Axis { start, step, count: count as usize },
            None => Axis { start: 0.0, step: 0.0, count: 1 },
        };
        let mut decoder = GridDecoder::with(&l.model, axis, order).ok_or(Code::BadShape)?;
        if decoder.remaining().checked_mul(l.model.outputs()) != Some(room) {
            return Err(Code::BadShape);
        }
        decoder.fill_tiled::<LANES>(y, l.scratch).map_err(|_| Code::BadShape)?;
        Ok(0)
    })
}
