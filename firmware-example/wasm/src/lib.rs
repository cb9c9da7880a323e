//! The runtime as a WebAssembly module of a few plain functions over its own memory: one instance, one model.
//!
//! The host takes memory by `rwf_alloc`, copies the file in, calls `rwf_load`, then evaluates between buffers it took
//! the same way. Addresses and lengths are the host's: what lies outside the memory or is not aligned is refused. All
//! functions but `rwf_alloc` return a code: 0 and above for success, below 0 a [`Code`]. `../rwf.js` wraps this.
#![no_std]

mod arena;
#[cfg(not(feature = "integers"))]
mod floats;
#[cfg(feature = "integers")]
mod integers;

use core::sync::atomic::{AtomicUsize, Ordering};

#[cfg(not(feature = "integers"))]
use floats as kind;
#[cfg(feature = "integers")]
use integers as kind;
use rwf_runtime::{LoadError, SelfTestError};

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

/// Something was not in order; what is not kept, as the reasons would be a tenth of the module.
struct Refused;

impl From<LoadError> for Refused {
    fn from(_: LoadError) -> Self {
        Self
    }
}

impl From<SelfTestError> for Refused {
    fn from(_: SelfTestError) -> Self {
        Self
    }
}

/// A loaded model and the scratch it works in.
struct Loaded {
    model: kind::Model,
    scratch: &'static mut [kind::Number],
}

/// Where what is loaded lies in the arena; 0 for nowhere.
static LOADED: AtomicUsize = AtomicUsize::new(0);

/// Runs `f` on the loaded model.
fn with(f: impl FnOnce(&mut Loaded) -> Result<i32, Code>) -> i32 {
    let loaded = core::ptr::with_exposed_provenance_mut::<Loaded>(LOADED.load(Ordering::Relaxed));
    // SAFETY: null, or where `rwf_load` has written one; one thread, and no exported function runs inside another.
    let loaded = unsafe { loaded.as_mut() };
    loaded.ok_or(Code::NoModel).and_then(f).unwrap_or_else(|code| code as i32)
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
        let bytes = unsafe { arena::bytes(address, length) }.ok_or(Code::BadAddress)?;
        let model = kind::load(bytes)?;
        let scratch = arena::array(kind::scratch_len(&model)).ok_or(Code::NoMemory)?;
        let at = arena::take(size_of::<Loaded>()).ok_or(Code::NoMemory)?;
        // SAFETY: just taken, for nobody else, aligned to 16 as nothing in it needs more.
        unsafe { core::ptr::with_exposed_provenance_mut::<Loaded>(at).write(Loaded { model, scratch }) };
        LOADED.store(at, Ordering::Relaxed);
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
    with(|l| match kind::self_test(&l.model, l.scratch) {
        _ if !l.model.has_self_test() => Err(Code::NoSelfTest),
        Ok(()) => Ok(0),
        Err(Refused) => Err(Code::OtherBits),
    })
}

/// Values at `count` points: f32 `[count, inputs]` at `x` to f32 `[count, outputs]` at `y`; returns 0.
#[unsafe(no_mangle)]
pub extern "C" fn rwf_eval(x: usize, count: usize, y: usize) -> i32 {
    with(|l| {
        let (x, y) = arena::buffers((x, l.model.inputs()), (y, l.model.outputs()), count)?;
        kind::eval(&l.model, x, y, l.scratch).map_err(|_| Code::BadShape)?;
        Ok(0)
    })
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
