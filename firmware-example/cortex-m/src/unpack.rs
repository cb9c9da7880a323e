//! A packed model on a Cortex-M: unpacked into RAM, loaded, self-tested; instructions and stack counted. Embeds the file
//! that `RWF_PACKED` names.
#![no_std]
#![no_main]

mod board;
mod console;

use board::Board;
use console::Console;
use cortex_m_rt::entry;
use rwf_probe::Platform;
use rwf_runtime::{IntegerModel, LoadError, Model, entropy, fixed::Aligned};

static PACKED: &[u8] = include_bytes!(env!("RWF_PACKED"));
/// Bytes of the model file, as the packed one says.
const MEMORY: usize = match entropy::decoded_len(PACKED) {
    Ok(length) => length,
    Err(_) => panic!("RWF_PACKED is no packed file"),
};
/// f32s of scratch; a model that needs more says so.
const SCRATCH: usize = 256;

#[entry]
fn main() -> ! {
    let Some(mut board) = Board::take() else { console::exit(false) };
    let problem = match run(&mut board) {
        Ok(()) => console::exit(true),
        Err(problem) => problem,
    };
    board.text("FAILED ");
    board.text(problem);
    board.text("\n");
    console::exit(false)
}

fn run(board: &mut Board) -> Result<(), &'static str> {
    let mut memory = Aligned([0u8; MEMORY]);
    let mut fine = true;
    let stack = board.stack(&mut || fine &= entropy::decode_into(PACKED, &mut memory.0).is_ok());
    let instructions = board.instructions(&mut || fine &= entropy::decode_into(PACKED, &mut memory.0).is_ok());
    if !fine {
        return Err("does not unpack");
    }
    let file = &memory.0;
    let mut scratch = [0.0f32; SCRATCH];
    match Model::new(file) {
        Ok(model) => model.self_test(&mut scratch).map_err(|_| "self-test")?,
        Err(LoadError::Integer) => {
            let model = IntegerModel::new(file).map_err(|_| "does not load")?;
            model.self_test(&mut [0; 2 * SCRATCH]).map_err(|_| "self-test")?;
        }
        Err(_) => return Err("does not load"),
    }
    let hash =
        file.iter().fold(rwf_probe::HASH_START, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    line(board, "packed", PACKED.len() as u64);
    line(board, "bytes", MEMORY as u64);
    line(board, "hash", hash);
    line(board, "stack", stack.ok_or("no stack to measure")? as u64);
    line(board, "instructions", instructions.ok_or("the timer ran over")?);
    Ok(())
}

/// `unpack QUANTITY VALUE`, whole numbers.
fn line(board: &mut Board, quantity: &str, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len() - 1;
    for (n, digit) in digits.iter_mut().enumerate().rev() {
        if value == 0 {
            break;
        }
        *digit += (value % 10) as u8;
        value /= 10;
        first = n;
    }
    board.text("unpack ");
    board.text(quantity);
    board.text(" ");
    board.text(digits.get(first..).and_then(|d| core::str::from_utf8(d).ok()).unwrap_or_default());
    board.text("\n");
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Console::new().text("FAILED: panic\n");
    console::exit(false)
}
