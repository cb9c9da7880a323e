//! Coordinate networks on a Cortex-M: self-test at boot, a grid decoded, its bits hashed, stack and instructions counted.
#![no_std]
#![no_main]

mod board;
mod console;

use board::Board;
use console::Console;
use cortex_m_rt::entry;

/// f32s of scratch; a model that needs more says so.
const SCRATCH: usize = 1536;

#[entry]
fn main() -> ! {
    let Some(mut board) = Board::take() else { console::exit(false) };
    let mut scratch = [0.0f32; SCRATCH];
    console::exit(rwf_probe::report(&mut board, &mut scratch))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Console::new().text("FAILED: panic\n");
    console::exit(false)
}
