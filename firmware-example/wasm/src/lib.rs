//! The runtime as a WebAssembly module of a few plain functions over its own memory: one instance, one model.
//!
//! The host takes memory by `rwf_alloc`, copies the file in, calls `rwf_load`, then evaluates between buffers it took
//! the same way. Addresses and lengths are the host's: what lies outside the memory or is not aligned is refused. All
//! functions but `rwf_alloc` return a code: 0 and above for success, below 0 a [`Code`]. `../rwf.js` wraps this.
#![no_std]

mod arena;

use core::cell::UnsafeCell;

use rwf_runtime::{Axis, GridDecoder, Model, describe::Order, format::MAX_INPUTS};

/// Why a call failed.
#[repr(i32)]
#[derive(Clone, Copy)]
enum Code {
    /// No model is loaded.
    NoModel = -1,
    /// The bytes are not a model: see `rwf info`.
    BadModel = -2,
    /// An address or length is outside of the memory or not aligned.
    BadAddress = -3,
    /// Lengths do not match the model, or the grid is empty.
    BadShape = -4,
    /// The memory cannot grow.
    NoMemory = -5,
    /// The file has no self-test.
    NoSelfTest = -6,
    /// The self-test found other bits.
    OtherBits = -7,
}

/// A loaded model and the scratch it works in.
struct Loaded {
    model: Model<'static>,
    scratch: &'static mut [f32],
}

struct State(UnsafeCell<Option<Loaded>>);
// SAFETY: the module is built without threads, and no function calls back into the host.
unsafe impl Sync for State {}
static STATE: State = State(UnsafeCell::new(None));

/// Runs `f` on the loaded model.
fn with(f: impl FnOnce(&mut Loaded) -> Result<i32, Code>) -> i32 {
    // SAFETY: one thread, and no exported function runs inside another.
    let state = unsafe { &mut *STATE.0.get() };
    state.as_mut().ok_or(Code::NoModel).and_then(f).unwrap_or_else(|code| code as i32)
}

/// Takes `bytes` of memory at a multiple of 16; 0 when there is none. It is given back by dropping the instance.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_alloc(bytes: usize) -> usize {
    arena::take(bytes).unwrap_or(0)
}

/// Loads the model in `length` bytes at `address`, which must stay as they are; returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_load(address: usize, length: usize) -> i32 {
    let load = || {
        // SAFETY: inside the memory, and the host has promised to leave it alone.
        let bytes = unsafe { arena::slice::<u8>(address, length) }.ok_or(Code::BadAddress)?;
        let model = Model::new(bytes).map_err(|_| Code::BadModel)?;
        let floats = model.batch_scratch_len();
        let scratch = arena::take(4 * floats).ok_or(Code::NoMemory)?;
        // SAFETY: just taken, for nobody else.
        let scratch = unsafe { arena::slice_mut::<f32>(scratch, floats) }.ok_or(Code::NoMemory)?;
        // SAFETY: one thread, and no exported function runs inside another.
        unsafe { *STATE.0.get() = Some(Loaded { model, scratch }) };
        Ok(0)
    };
    load().unwrap_or_else(|code: Code| code as i32)
}

/// Number of coordinates of a point.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_inputs() -> i32 {
    with(|l| Ok(l.model.inputs() as i32))
}

/// Number of values at a point.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_outputs() -> i32 {
    with(|l| Ok(l.model.outputs() as i32))
}

/// Multiply-adds of one point.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_multiply_adds() -> i32 {
    with(|l| Ok(l.model.architecture().multiply_adds() as i32))
}

/// Compares the bits of the file's own samples; 0 when they are the same.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_self_test() -> i32 {
    with(|l| match l.model.self_test(l.scratch) {
        Ok(()) => Ok(0),
        Err(rwf_runtime::SelfTestError::Missing) => Err(Code::NoSelfTest),
        Err(_) => Err(Code::OtherBits),
    })
}

/// Values at `count` points: f32 `[count, inputs]` at `x` to f32 `[count, outputs]` at `y`; returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_eval(x: usize, count: usize, y: usize) -> i32 {
    with(|l| {
        let (x, y) = buffers(x, count.checked_mul(l.model.inputs()), y, count.checked_mul(l.model.outputs()))?;
        l.model.eval_batch(x, y, l.scratch).map_err(|_| Code::BadShape)?;
        Ok(0)
    })
}

/// Values over a regular grid: at `axes` f32 `[inputs, 3]` of first coordinate, step and count, `last` not 0 when the
/// last input runs fastest; to f32 `[samples, outputs]` at `y`, of which there are `room` f32s. Returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_grid(axes: usize, last: i32, y: usize, room: usize) -> i32 {
    with(|l| {
        let inputs = l.model.inputs();
        let (words, y) = buffers(axes, inputs.checked_mul(3), y, Some(room))?;
        let mut all = [Axis { start: 0.0, step: 0.0, count: 1 }; MAX_INPUTS];
        for (axis, word) in all.iter_mut().zip(words.as_chunks().0) {
            let &[start, step, count] = word;
            *axis = Axis { start, step, count: count as usize };
        }
        let order = if last == 0 { Order::FirstFastest } else { Order::LastFastest };
        let axes = all.get(..inputs).unwrap_or(&[]);
        let mut decoder = GridDecoder::new(&l.model, axes, order).ok_or(Code::BadShape)?;
        if decoder.remaining().checked_mul(l.model.outputs()) != Some(room) {
            return Err(Code::BadShape);
        }
        decoder.fill(y, l.scratch).map_err(|_| Code::BadShape)?;
        Ok(0)
    })
}

/// What the host reads from and writes to; refused where they overlap.
fn buffers(
    from: usize,
    length: Option<usize>,
    to: usize,
    room: Option<usize>,
) -> Result<(&'static [f32], &'static mut [f32]), Code> {
    let (length, room) = (length.ok_or(Code::BadShape)?, room.ok_or(Code::BadShape)?);
    let (from_end, to_end) = (arena::end::<f32>(from, length), arena::end::<f32>(to, room));
    let (from_end, to_end) = (from_end.ok_or(Code::BadAddress)?, to_end.ok_or(Code::BadAddress)?);
    if from < to_end && to < from_end {
        return Err(Code::BadAddress);
    }
    // SAFETY: both are inside the host's part of the memory, aligned, and apart.
    unsafe {
        let from = arena::slice(from, length).ok_or(Code::BadAddress)?;
        Ok((from, arena::slice_mut(to, room).ok_or(Code::BadAddress)?))
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        /// Given by nobody. The linker leaves it out, as nothing here can panic; otherwise it would become an import, and
        /// the module is tested to have none.
        fn rwf_can_panic() -> !;
    }
    // SAFETY: a module that calls this cannot be instantiated.
    unsafe { rwf_can_panic() }
}
