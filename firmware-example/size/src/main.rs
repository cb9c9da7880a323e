//! With the feature `runtime` a program that loads a model and evaluates a point; without it the same program less
//! that. The difference of their sections is what the runtime costs.
#![no_std]
#![no_main]

/// Where execution starts; nothing else is needed to measure sizes.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    #[cfg(feature = "runtime")]
    evaluate();
    loop {
        core::hint::spin_loop();
    }
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
