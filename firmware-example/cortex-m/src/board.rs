//! What a board has to offer: a console, a timer, a stack that can be measured.

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use rwf_probe::Platform;

use crate::console::Console;

/// The emulated board, or one on a table.
pub struct Board {
    console: Console,
    timer: SYST,
}

impl Board {
    /// The only one; none a second time.
    pub fn take() -> Option<Self> {
        let peripherals = cortex_m::Peripherals::take()?;
        Some(Self { console: Console::new(), timer: peripherals.SYST })
    }

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
