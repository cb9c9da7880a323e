//! What a program may want to log has defmt's form.
#![cfg(feature = "defmt")]

use rwf_runtime::{
    Axis, EvalError, LoadError, Quantity, SelfTestError,
    error::{TensorName, Word},
    format::{Activation, MathBackend, Precision},
};

#[test]
fn errors_and_descriptions_have_a_format() {
    fn has_format<T: defmt::Format>() {}
    has_format::<(LoadError, EvalError, SelfTestError)>();
    has_format::<(TensorName, Word, Activation, MathBackend, Precision)>();
    has_format::<(Axis, Quantity<'static>)>();
}
