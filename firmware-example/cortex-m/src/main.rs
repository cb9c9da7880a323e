//! A coordinate network on a Cortex-M4F: self-test at boot, a grid decoded, its bits hashed, instructions counted.
#![no_std]
#![no_main]

mod console;

use core::hint::black_box;

use console::{Console, fail};
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::entry;
use rwf_runtime::{Model, SelfTestError};

/// The model, in flash. Weights at a multiple of 4 are read faster, so the bytes are aligned.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.safetensors")));

/// f32s of scratch; a model that needs more says so at boot.
const SCRATCH: usize = 8192;
/// Evaluations timed at once.
const TIMED: usize = 64;
/// Ticks of the SysTick are this many instructions under QEMU's `-icount shift=0`: 1 GHz over 25 MHz.
const INSTRUCTIONS_A_TICK: u64 = 40;

#[entry]
fn main() -> ! {
    let mut console = Console::new();
    let Some(mut peripherals) = cortex_m::Peripherals::take() else { fail("peripherals are taken") };
    let bytes = &MODEL.0;
    let model = match Model::new(bytes) {
        Ok(model) => model,
        // The words for every error cost flash; `rwf info` has them.
        Err(_) => fail("the model does not load: see `rwf info`"),
    };
    console.number("model bytes", bytes.len() as u64);
    console.number("inputs", model.inputs() as u64);
    console.number("outputs", model.outputs() as u64);
    console.number("multiply-adds", model.architecture().multiply_adds() as u64);
    console.number("scratch bytes", 4 * model.scratch_len() as u64);

    let mut scratch = [0.0f32; SCRATCH];
    if model.scratch_len() > SCRATCH {
        fail("the model needs more scratch than SCRATCH");
    }
    match model.self_test(&mut scratch) {
        Ok(()) => console.line("self-test: passed"),
        Err(SelfTestError::Missing) => console.line("self-test: none in the file"),
        Err(_) => fail("self-test: the bits differ"),
    }

    match rwf_probe::hash(&model, &mut scratch) {
        Some(Ok(hash)) => {
            console.number("samples", hash.samples as u64);
            console.hex("output hash", hash.hash);
        }
        _ => fail("the grid cannot be decoded"),
    }

    for (points, name) in [(1, "instructions a point, one at a time"), (4, "instructions a point, 4 at a time")] {
        if let Some(count) = instructions(&mut peripherals.SYST, &model, points, &mut scratch) {
            console.number(name, count);
        }
    }
    console::exit(true)
}

/// Instructions of one evaluation, tiles of `points`; `None` when the scratch is too short for them or the counter
/// ran over.
fn instructions(syst: &mut SYST, model: &Model<'_>, points: usize, scratch: &mut [f32]) -> Option<u64> {
    const MOST: usize = 4 * 16;
    let (mut x, mut y) = ([0.25f32; MOST], [0.0f32; MOST]);
    let x = x.get_mut(..points * model.inputs())?;
    let y = y.get_mut(..points * model.outputs())?;
    let scratch = scratch.get_mut(..points * model.scratch_len())?;
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(0x00ff_ffff);
    syst.clear_current();
    syst.enable_counter();
    let start = SYST::get_current();
    for _ in 0..TIMED / points {
        model.eval_batch(black_box(x), y, scratch).ok()?;
        black_box(&y);
    }
    let ticks = start.wrapping_sub(SYST::get_current());
    let wrapped = syst.has_wrapped();
    syst.disable_counter();
    (!wrapped).then_some(u64::from(ticks & 0x00ff_ffff) * INSTRUCTIONS_A_TICK / TIMED as u64)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail("panic")
}
