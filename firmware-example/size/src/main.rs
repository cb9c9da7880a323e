//! With the feature `runtime` a program that loads a model and evaluates a point, with `siren` the same for SIRENs in
//! f32 alone, with `built` one that evaluates a model made at build time, with `unpack` one that unpacks a packed file;
//! without any of these the same program less that. The difference of their sections is what the runtime costs. With `proof` it calls all there is, and links only when none of that can panic.
#![no_std]
#![no_main]

use core::hint::black_box;

#[cfg(feature = "proof")]
mod proof;

/// f32s of scratch, in every variant.
const SCRATCH: usize = 64;

/// Where execution starts; nothing else is needed to measure sizes.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let (x, mut y, mut scratch) = ([0.0f32; 2], [0.0f32; 3], [0.0f32; SCRATCH]);
    evaluate(black_box(&x), black_box(&mut y), black_box(&mut scratch));
    black_box(&y);
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(feature = "built")]
mod siren {
    include!(concat!(env!("OUT_DIR"), "/siren32_f32.rs"));
}

/// One point of a model made at build time; its weights are in the sections that are measured.
#[cfg(feature = "built")]
fn evaluate(x: &[f32; 2], y: &mut [f32; 3], scratch: &mut [f32; SCRATCH]) {
    black_box(siren::MODEL.eval(x, &mut y[..1], scratch).is_ok());
}

#[cfg(feature = "runtime")]
fn evaluate(x: &[f32; 2], y: &mut [f32; 3], scratch: &mut [f32; SCRATCH]) {
    static FILE: [u8; 1] = [0];
    if let Ok(model) = rwf_runtime::Model::new(black_box(&FILE)) {
        black_box(model.eval(x, y, scratch).is_ok());
    }
}

/// The loader for files of one kind.
#[cfg(feature = "siren")]
fn evaluate(x: &[f32; 2], y: &mut [f32; 3], scratch: &mut [f32; SCRATCH]) {
    static FILE: [u8; 1] = [0];
    if let Ok(model) = rwf_runtime::Model::<{ rwf_runtime::uses::SIREN }>::load(black_box(&FILE)) {
        black_box(model.eval(x, y, scratch).is_ok());
    }
}

#[cfg(feature = "unpack")]
fn evaluate(_: &[f32; 2], y: &mut [f32; 3], _: &mut [f32; SCRATCH]) {
    static FILE: [u8; 1] = [0];
    let mut memory = [0; 8];
    if let Ok(file) = rwf_runtime::entropy::decode_into(black_box(&FILE), black_box(&mut memory)) {
        y[0] = f32::from(file.len() as u8);
    }
}

#[cfg(feature = "proof")]
fn evaluate(x: &[f32; 2], y: &mut [f32; 3], scratch: &mut [f32; SCRATCH]) {
    proof::everything(x, y, scratch);
}

#[cfg(not(any(feature = "runtime", feature = "siren", feature = "built", feature = "unpack", feature = "proof")))]
fn evaluate(_: &[f32; 2], _: &mut [f32; 3], _: &mut [f32; SCRATCH]) {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "proof")]
    {
        unsafe extern "C" {
            /// Is nowhere: the linker complains when a call of it is left.
            fn rwf_runtime_can_panic() -> !;
        }
        // SAFETY: a program that calls this is not linked.
        unsafe { rwf_runtime_can_panic() }
    }
    #[cfg(not(feature = "proof"))]
    loop {
        core::hint::spin_loop();
    }
}
