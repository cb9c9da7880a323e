//! Coordinate networks on a Cortex-M: self-test at boot, a grid decoded, its bits hashed, stack and instructions counted.
#![no_std]
#![no_main]

mod console;

use console::Console;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::entry;
use rwf_probe::Platform;

/// f32s of scratch; a model that needs more says so.
const SCRATCH: usize = 1536;

#[entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { console::exit(false) };
    let mut board = Board { console: Console::new(), timer: peripherals.SYST };
    let mut scratch = [0.0f32; SCRATCH];
    console::exit(rwf_probe::report(&mut board, &mut scratch))
}

struct Board {
    console: Console,
    timer: SYST,
}

impl Board {
    /// Ticks `work` took; `None` when the counter ran over.
    fn ticks(&mut self, work: &mut dyn FnMut()) -> Option<u64> {
        self.timer.set_clock_source(SystClkSource::Core);
        self.timer.set_reload(0x00ff_ffff);
        self.timer.clear_current();
        self.timer.enable_counter();
        let start = SYST::get_current();
        work();
        let ticks = start.wrapping_sub(SYST::get_current());
        let wrapped = self.timer.has_wrapped();
        self.timer.disable_counter();
        (!wrapped).then_some(u64::from(ticks & 0x00ff_ffff))
    }
}

impl Platform for Board {
    fn text(&mut self, text: &str) {
        self.console.text(text);
    }

    /// Under QEMU's `-icount shift=0` one instruction takes one nanosecond; how many make a tick of this board's timer
    /// is found by a loop of a known number. On silicon this counts time, in units of an instruction of that loop.
    fn instructions(&mut self, work: &mut dyn FnMut()) -> Option<u64> {
        const TURNS: u32 = 2_000_000;
        const INSTRUCTIONS_A_TURN: u64 = 2;
        let known = self.ticks(&mut || cortex_m::asm::delay(TURNS))?;
        let ticks = self.ticks(work)?;
        (ticks * u64::from(TURNS) * INSTRUCTIONS_A_TURN).checked_div(known)
    }

    fn stack(&mut self, work: &mut dyn FnMut()) -> Option<usize> {
        unsafe extern "C" {
            static _stack_end: u32;
        }
        // SAFETY: the linker script's lower end of the stack; one core, no interrupts are enabled.
        Some(unsafe { rwf_probe::stack::used((&raw const _stack_end).addr(), work) })
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Console::new().text("FAILED: panic\n");
    console::exit(false)
}
