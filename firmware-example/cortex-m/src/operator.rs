//! An operator on a Cortex-M: self-test at boot, an input function encoded once, the bits at points hashed. Embeds the file
//! that `RWF_OPERATOR` names.
#![no_std]
#![no_main]

mod console;

use console::Console;
use cortex_m_rt::entry;
use rwf_runtime::{Operator, fixed::Aligned};

static FILE: Aligned<[u8; include_bytes!(env!("RWF_OPERATOR")).len()]> = Aligned(*include_bytes!(env!("RWF_OPERATOR")));

/// f32s of room; an operator that needs more says so.
const LATENT: usize = 256;
const SENSORS: usize = 256;
const SCRATCH: usize = 2048;

#[entry]
fn main() -> ! {
    let mut console = Console::new();
    let problem = match run(&mut console) {
        Ok(()) => console::exit(true),
        Err(problem) => problem,
    };
    console.text("FAILED ");
    console.text(problem);
    console.text("\n");
    console::exit(false)
}

fn run(console: &mut Console) -> Result<(), &'static str> {
    let operator = Operator::new(&FILE.0).map_err(|_| "not an operator")?;
    let (mut latent, mut sensors, mut scratch) = ([0.0f32; LATENT], [0.0f32; SENSORS], [0.0f32; SCRATCH]);
    let latent = latent.get_mut(..operator.latent_len()).ok_or("needs more room for what is kept of a function")?;
    operator.self_test(latent, &mut scratch).map_err(|_| "self-test")?;
    console.text("self-test passed\n");

    let u = sensors.get_mut(..operator.sensors()).ok_or("needs more room for sensors")?;
    let function = operator.function().ok_or("no described function")?;
    let count = u.len() as f32;
    for (i, u) in u.iter_mut().enumerate() {
        *u = function.lo + (function.hi - function.lo) * (i as f32 / count);
    }
    operator.encode(u, latent, &mut scratch).map_err(|_| "needs more scratch")?;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for k in 0..64 {
        let (mut y, mut out) = ([0.0f32; 16], [0.0f32; 16]);
        let y = y.get_mut(..operator.inputs()).ok_or("too many coordinates")?;
        let out = out.get_mut(..operator.outputs()).ok_or("too many outputs")?;
        for (axis, y) in y.iter_mut().enumerate() {
            let q = operator.input(axis).ok_or("no described input")?;
            *y = q.lo + (q.hi - q.lo) * (k as f32 / 64.0);
        }
        operator.eval(latent, y, out, &mut scratch).map_err(|_| "needs more scratch")?;
        for byte in out.iter().flat_map(|v| v.to_bits().to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let mut text = [0u8; 16];
    for (i, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(hash >> (60 - 4 * i)) as usize & 15];
    }
    console.text("hash ");
    console.text(core::str::from_utf8(&text).unwrap_or_default());
    console.text("\n");
    Ok(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Console::new().text("FAILED: panic\n");
    console::exit(false)
}
