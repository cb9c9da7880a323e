//! The network, made from `model.safetensors` by the build script, apart from the board so that its own samples are
//! tested on the workstation too.
#![no_std]

/// The network: `eval`, `MODEL`, and its sizes as constants.
pub mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

/// Coordinates in the middle of the fitted domain.
pub fn middle() -> [f32; model::INPUTS] {
    model::INPUT_QUANTITIES.map(|q| 0.5 * (q.lo + q.hi))
}

/// Nearest whole number of thousandths: printing an f32 by `core::fmt` would cost 27 KB of flash.
pub fn thousandths(value: f32) -> i32 {
    let scaled = value * 1000.0;
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}
