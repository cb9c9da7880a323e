//! How deep the stack went: it is painted below the caller, and afterwards one sees what was painted over.
#![allow(unsafe_code, reason = "reads and writes memory that belongs to nobody yet")]

/// What unused stack is painted with.
const PAINT: u32 = 0x57ac_57ac;
/// Deepest use that is seen, in bytes.
const DEEPEST: usize = 16 * 1024;
/// Left alone below the caller for this function itself, in bytes: also the least that is reported.
const OWN: usize = 192;

/// Bytes of stack that `work` took.
///
/// # Safety
/// All memory from `lowest` up to here is free for the stack, on a single core without interrupts.
#[inline(never)]
pub unsafe fn used(lowest: usize, work: &mut dyn FnMut()) -> usize {
    let here = 0u32;
    let top = (&raw const here).addr() & !3;
    let from = lowest.max(top.saturating_sub(DEEPEST)).next_multiple_of(4);
    for address in (from..top.saturating_sub(OWN)).step_by(4) {
        // SAFETY: free for the stack, the caller promises, and aligned.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
    }
    work();
    let painted = |&address: &usize| {
        // SAFETY: as above.
        unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() == PAINT }
    };
    top - (from..top.saturating_sub(OWN)).step_by(4).find(|a| !painted(a)).unwrap_or(top.saturating_sub(OWN))
}
