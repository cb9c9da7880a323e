//! Memory of the module: taken from the end, given back all at once with the instance.

use core::{
    arch::wasm32,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::Code;

const PAGE: usize = 65_536;
/// Alignment of everything taken.
const ALIGN: usize = 16;

/// First byte not yet taken; 0 before the first call.
static NEXT: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// Put by the linker behind statics and stack.
    static __heap_base: u8;
}

fn base() -> usize {
    (&raw const __heap_base).addr().next_multiple_of(ALIGN)
}

fn size() -> usize {
    wasm32::memory_size(0).saturating_mul(PAGE)
}

/// Takes `bytes`, growing the memory where needed; `None` when it cannot.
pub(crate) fn take(bytes: usize) -> Option<usize> {
    let start = NEXT.load(Ordering::Relaxed).max(base());
    let end = start.checked_add(bytes)?.checked_next_multiple_of(ALIGN)?;
    let missing = end.saturating_sub(size());
    if missing > 0 && wasm32::memory_grow(0, missing.div_ceil(PAGE)) == usize::MAX {
        return None;
    }
    NEXT.store(end, Ordering::Relaxed);
    Some(start)
}

/// `length` new numbers, all 0.
pub(crate) fn array<T: Zero>(length: usize) -> Option<&'static mut [T]> {
    let start = take(length.checked_mul(size_of::<T>())?)?;
    // SAFETY: just taken, for nobody else, and aligned; the memory comes as zeros, and any bits are such a number.
    Some(unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(start), length) })
}

/// Gives back what was taken last and is not needed: from `rest` on.
#[cfg(not(feature = "integers"))]
pub(crate) fn give_back(rest: &'static mut [f32]) {
    NEXT.store(rest.as_ptr().addr().next_multiple_of(ALIGN), Ordering::Relaxed);
}

/// Numbers of which any bits are one.
pub(crate) trait Zero {}
impl Zero for f32 {}
impl Zero for i16 {}

/// Whether `length` values of `size` bytes at `address` are aligned and in memory that was taken.
fn is_taken(address: usize, length: usize, size: usize) -> bool {
    let bytes = length as u64 * size as u64;
    address >= base() && address as u64 + bytes <= NEXT.load(Ordering::Relaxed) as u64 && address.is_multiple_of(size)
}

/// `length` bytes at `address`; `None` when they are not all in memory that was taken.
///
/// # Safety
/// Nobody writes there while the slice lives.
pub(crate) unsafe fn bytes(address: usize, length: usize) -> Option<&'static [u8]> {
    // SAFETY: in memory that was taken, and left alone by promise of the caller.
    is_taken(address, length, 1)
        .then(|| unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address), length) })
}

/// What the host reads from and writes to, `rows` of `from.1` and of `to.1` numbers; refused where they overlap.
pub(crate) fn buffers(
    from: (usize, usize),
    to: (usize, usize),
    rows: usize,
) -> Result<(&'static [f32], &'static mut [f32]), Code> {
    let length = |(_, width): (usize, usize)| rows.checked_mul(width).ok_or(Code::BadShape);
    let (length, room) = (length(from)?, length(to)?);
    let (from, to) = (from.0, to.0);
    let fine = is_taken(from, length, 4) && is_taken(to, room, 4);
    if !fine || (from < to + 4 * room && to < from + 4 * length) {
        return Err(Code::BadAddress);
    }
    // SAFETY: both are inside the host's part of the memory, aligned, and apart.
    unsafe {
        Ok((
            core::slice::from_raw_parts(core::ptr::with_exposed_provenance(from), length),
            core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(to), room),
        ))
    }
}
