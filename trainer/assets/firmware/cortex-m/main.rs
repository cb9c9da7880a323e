//! Tests the network at boot and prints its values in the middle of the domain by semihosting, which needs an emulator
//! or a debugger: without either the first call stops the core, so a board that runs alone prints otherwise or not.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::{
    debug::{self, EXIT_FAILURE, EXIT_SUCCESS},
    hprintln,
};
use firmware::{middle, model, thousandths};

#[entry]
fn main() -> ! {
    if model::self_test().is_err() {
        hprintln!("self-test FAILED: other bits than on the workstation");
        debug::exit(EXIT_FAILURE);
    }
    hprintln!("self-test passed");
    for (k, value) in model::eval(&middle()).iter().enumerate() {
        hprintln!("value {} = {} thousandths, bits {:08x}", k, thousandths(*value), value.to_bits());
    }
    debug::exit(EXIT_SUCCESS);
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    debug::exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
