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

/// Where `length` values from `address` on end; `None` when they are not aligned or not all in memory that was taken.
pub(crate) fn end<T>(address: usize, length: usize) -> Option<usize> {
    let end = address.checked_add(length.checked_mul(size_of::<T>())?)?;
    let inside = address >= base() && end <= NEXT.load(Ordering::Relaxed) && address.is_multiple_of(align_of::<T>());
    inside.then_some(end)
}

/// `length` values at `address`; `None` as for [`end`].
///
/// # Safety
/// Nobody writes there while the slice lives.
pub(crate) unsafe fn slice<T>(address: usize, length: usize) -> Option<&'static [T]> {
    end::<T>(address, length)?;
    // SAFETY: in memory that was taken, aligned, and left alone by promise of the caller.
    Some(unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address), length) })
}

/// `length` values at `address` to write; `None` as for [`end`].
///
/// # Safety
/// Nobody else reads or writes there while the slice lives.
pub(crate) unsafe fn slice_mut<T>(address: usize, length: usize) -> Option<&'static mut [T]> {
    end::<T>(address, length)?;
    // SAFETY: in memory that was taken, aligned, and left alone by promise of the caller.
    Some(unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(address), length) })
}

/// What the host reads from and writes to; refused where they overlap.
pub(crate) fn buffers(
    from: usize,
    length: Option<usize>,
    to: usize,
    room: Option<usize>,
) -> Result<(&'static [f32], &'static mut [f32]), Code> {
    let (length, room) = (length.ok_or(Code::BadShape)?, room.ok_or(Code::BadShape)?);
    let (from_end, to_end) = (end::<f32>(from, length), end::<f32>(to, room));
    let (from_end, to_end) = (from_end.ok_or(Code::BadAddress)?, to_end.ok_or(Code::BadAddress)?);
    if from < to_end && to < from_end {
        return Err(Code::BadAddress);
    }
    // SAFETY: both are inside the host's part of the memory, aligned, and apart.
    unsafe {
        let from = slice(from, length).ok_or(Code::BadAddress)?;
        Ok((from, slice_mut(to, room).ok_or(Code::BadAddress)?))
    }
}
