//! Lines of text and whole numbers over semihosting, without core::fmt: printing an f32 through that costs 27 KB.

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

    fn text(&mut self, text: &str) {
        if let Some(out) = &mut self.0 {
            // A console that has gone away is no reason to stop.
            let _ = out.write_all(text.as_bytes());
        }
    }

    pub fn line(&mut self, text: &str) {
        self.text(text);
        self.text("\n");
    }

    pub fn number(&mut self, name: &str, value: u64) {
        self.text(name);
        self.text(": ");
        self.digits::<20>(value, 10);
        self.text("\n");
    }

    pub fn hex(&mut self, name: &str, value: u64) {
        self.text(name);
        self.text(": ");
        for shift in (0..16).rev() {
            self.digits::<1>(value >> (4 * shift) & 15, 16);
        }
        self.text("\n");
    }

    /// At most `N` digits of `value`, no leading zeros.
    fn digits<const N: usize>(&mut self, mut value: u64, base: u64) {
        let mut digits = [b'0'; N];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b"0123456789abcdef".get((value % base) as usize).copied().unwrap_or(b'?');
            value /= base;
            used += 1;
            if value == 0 {
                break;
            }
        }
        let shown = digits.get(N - used..).unwrap_or(&[]);
        self.text(core::str::from_utf8(shown).unwrap_or("?"));
    }
}

/// Ends the emulation; on a board without a debugger the program stands still here.
pub fn exit(passed: bool) -> ! {
    debug::exit(if passed { EXIT_SUCCESS } else { EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Says why and ends with failure.
pub fn fail(why: &str) -> ! {
    let mut console = Console::new();
    console.text("FAILED: ");
    console.line(why);
    exit(false)
}
