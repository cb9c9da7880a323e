//! With the feature `runtime` a program that loads a model and evaluates a point, with `built` one that evaluates a
//! model made at build time; without either the same program less
//! that. The difference of their sections is what the runtime costs.
#![no_std]
#![no_main]

/// Where execution starts; nothing else is needed to measure sizes.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    #[cfg(feature = "runtime")]
    evaluate();
    #[cfg(feature = "built")]
    evaluate_built();
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
fn evaluate_built() {
    use core::hint::black_box;
    let (x, mut y, mut scratch) = ([0.0f32; siren::INPUTS], [0.0f32; siren::OUTPUTS], [0.0f32; siren::SCRATCH]);
    let done = siren::MODEL.eval(black_box(&x), &mut y, black_box(&mut scratch));
    black_box((done.is_ok(), &y));
}

#[cfg(feature = "runtime")]
fn evaluate() {
    use core::hint::black_box;
    static FILE: [u8; 1] = [0];
    if let Ok(model) = rwf_runtime::Model::new(black_box(&FILE)) {
        let (x, mut y, mut scratch) = ([0.0f32; 2], [0.0f32; 3], [0.0f32; 64]);
        let done = model.eval(black_box(&x), &mut y, black_box(&mut scratch));
        black_box((done.is_ok(), &y));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
