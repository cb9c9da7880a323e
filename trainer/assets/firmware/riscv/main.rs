//! Tests the network at boot and prints its values in the middle of the domain to the serial port of QEMU's board
//! `virt`; another board has its port and its way to stop elsewhere.
#![no_std]
#![no_main]

use core::fmt::Write;

use firmware::{middle, model, thousandths};
use riscv_rt::entry;

/// Transmit register of the board's serial port.
const SERIAL: *mut u8 = core::ptr::without_provenance_mut(0x1000_0000);
/// The board's switch: these words end the emulation.
const SWITCH: *mut u32 = core::ptr::without_provenance_mut(0x0010_0000);
const PASSED: u32 = 0x5555;
const FAILED: u32 = 0x0001_3333;

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            // SAFETY: the address of the emulated serial port, which is always ready.
            unsafe { SERIAL.write_volatile(byte) };
        }
        Ok(())
    }
}

#[entry]
fn main() -> ! {
    // Writing to this port cannot fail.
    if model::self_test().is_err() {
        let _ = writeln!(Serial, "self-test FAILED: other bits than on the workstation");
        exit(FAILED);
    }
    let _ = writeln!(Serial, "self-test passed");
    for (k, value) in model::eval(&middle()).iter().enumerate() {
        let _ = writeln!(Serial, "value {} = {} thousandths, bits {:08x}", k, thousandths(*value), value.to_bits());
    }
    exit(PASSED)
}

fn exit(word: u32) -> ! {
    // SAFETY: the address of the emulated switch.
    unsafe { SWITCH.write_volatile(word) };
    loop {
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(FAILED)
}
