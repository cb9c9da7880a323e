//! The module for models in integers.

use rwf_runtime::{EvalError, IntegerModel};

use crate::{Code, Refused};

/// What a module of this kind evaluates.
pub(crate) type Model = IntegerModel<'static>;
/// What its scratch is made of.
pub(crate) type Number = i16;

pub(crate) fn load(bytes: &'static [u8]) -> Result<Model, Code> {
    Model::load_or::<Refused>(bytes).map_err(|_| Code::BadModel)
}

/// Numbers of scratch it needs.
pub(crate) fn scratch_len(model: &Model) -> usize {
    model.scratch_len()
}

pub(crate) fn eval(model: &Model, x: &[f32], y: &mut [f32], scratch: &mut [Number]) -> Result<(), EvalError> {
    model.eval(x, y, scratch)
}

pub(crate) fn self_test(model: &Model, scratch: &mut [Number]) -> Result<(), Refused> {
    model.self_test_or(scratch)
}
