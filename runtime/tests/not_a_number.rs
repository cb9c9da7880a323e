//! What is not a number stays so, whatever its sign: which one arithmetic makes differs from target to target.

use rwf_runtime::{
    activation::{apply, available, sin_cos_turns},
    format::{Activation, MathBackend},
};

#[test]
fn not_a_number_in_gives_not_a_number_out() {
    for math in MathBackend::ALL.into_iter().filter(|m| available(*m)) {
        for bits in [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xffff_ffff] {
            let nan = f32::from_bits(bits);
            for activation in Activation::ALL {
                let mut values = [nan; 5];
                apply(math, activation, &mut values);
                assert!(values.iter().all(|v| v.is_nan()), "{math:?} {activation:?} {bits:08x}: {values:?}");
            }
            let (mut sin, mut cos) = ([nan, f32::INFINITY, f32::NEG_INFINITY], [0.0; 3]);
            sin_cos_turns(math, &mut sin, &mut cos);
            assert!(sin.iter().chain(&cos).all(|v| v.is_nan()), "{math:?} {bits:08x}: {sin:?} {cos:?}");
        }
    }
}
