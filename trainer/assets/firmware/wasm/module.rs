
use core::sync::atomic::{AtomicU32, Ordering};

// The module has one thread; atomics are the statics one may write without `unsafe`.
static X: [AtomicU32; model::INPUTS] = [const { AtomicU32::new(0) }; model::INPUTS];
static Y: [AtomicU32; model::OUTPUTS] = [const { AtomicU32::new(0) }; model::OUTPUTS];

/// 0 when the network's own samples have the bits of the workstation.
#[unsafe(no_mangle)]
pub extern "C" fn self_test() -> i32 {
    if model::self_test().is_ok() { 0 } else { -1 }
}

/// Sets coordinate `axis`, in physical units; those beyond the last are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn set(axis: usize, value: f32) {
    if let Some(x) = X.get(axis) {
        x.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// Evaluates the network at the coordinates that were set.
#[unsafe(no_mangle)]
pub extern "C" fn evaluate() {
    let x = core::array::from_fn(|axis| f32::from_bits(X[axis].load(Ordering::Relaxed)));
    for (slot, value) in Y.iter().zip(model::eval(&x)) {
        slot.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// Value `output` of the last evaluation; 0 beyond the last.
#[unsafe(no_mangle)]
pub extern "C" fn get(output: usize) -> f32 {
    Y.get(output).map_or(0.0, |y| f32::from_bits(y.load(Ordering::Relaxed)))
}

/// Number of coordinates.
#[unsafe(no_mangle)]
pub extern "C" fn inputs() -> usize {
    model::INPUTS
}

/// Number of values.
#[unsafe(no_mangle)]
pub extern "C" fn outputs() -> usize {
    model::OUTPUTS
}

/// Middle of the fitted domain along `axis`; 0 beyond the last.
#[unsafe(no_mangle)]
pub extern "C" fn centre(axis: usize) -> f32 {
    middle().get(axis).copied().unwrap_or(0.0)
}

#[cfg(target_family = "wasm")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
