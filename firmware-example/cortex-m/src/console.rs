//! Text over semihosting.

use cortex_m_semihosting::{
    debug::{self, EXIT_FAILURE, EXIT_SUCCESS},
    hio::{self, HostStream},
};

/// The debugger's console; silent where there is none to take it.
pub struct Console(Option<HostStream>);

impl Console {
    pub fn new() -> Self {
        Self(hio::hstdout().ok())
    }

    pub fn text(&mut self, text: &str) {
        if let Some(out) = &mut self.0 {
            // A console that has gone away is no reason to stop.
            let _ = out.write_all(text.as_bytes());
        }
    }
}

/// Ends the emulation; on a board without a debugger the program stands still here.
pub fn exit(passed: bool) -> ! {
    debug::exit(if passed { EXIT_SUCCESS } else { EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}
