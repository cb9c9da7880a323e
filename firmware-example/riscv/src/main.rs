//! Coordinate networks on QEMU's RISC-V board `virt`: self-test at boot, a grid decoded, its bits hashed, stack and
//! instructions counted.
#![no_std]
#![no_main]

use riscv::register::minstret;
use riscv_rt::entry;
use rwf_probe::Platform;

/// f32s of scratch; a model that needs more says so.
const SCRATCH: usize = 1536;
/// Transmit register of the board's serial port.
const SERIAL: *mut u8 = core::ptr::without_provenance_mut(0x1000_0000);
/// The board's switch: these words end the emulation.
const SWITCH: *mut u32 = core::ptr::without_provenance_mut(0x0010_0000);
const PASSED: u32 = 0x5555;
const FAILED: u32 = 0x0001_3333;
/// The lower half of the board's memory holds the program, the stack comes down from the end.
const LOWEST: usize = 0x8080_0000;

#[entry]
fn main() -> ! {
    let mut scratch = [0.0f32; SCRATCH];
    exit(rwf_probe::report(&mut Board, &mut scratch))
}

struct Board;

impl Platform for Board {
    fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            // SAFETY: the address of the emulated serial port, which is always ready.
            unsafe { SERIAL.write_volatile(byte) };
        }
    }

    fn instructions(&mut self, work: &mut dyn FnMut()) -> Option<u64> {
        let start = minstret::read64();
        work();
        minstret::read64().checked_sub(start)
    }

    fn stack(&mut self, work: &mut dyn FnMut()) -> Option<usize> {
        // SAFETY: one core, no interrupts are enabled, and the stack has all memory from there on.
        Some(unsafe { rwf_probe::stack::used(LOWEST, work) })
    }
}

fn exit(passed: bool) -> ! {
    // SAFETY: the address of the emulated switch.
    unsafe { SWITCH.write_volatile(if passed { PASSED } else { FAILED }) };
    loop {
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Board.text("FAILED: panic\n");
    exit(false)
}
