//! Inner loops for Arm in assembly, as the compiler has no way to be told of them. All unsafe code of this
//! crate is here and in `riscv`.
//!
//! Their scalar twins are in [`crate::dense`] and [`crate::integer`]; the emulated boards are held to the bits of the host,
//! which has only those.
#![allow(unsafe_code, reason = "assembly; what it reads and writes is checked before")]

#[cfg(feature = "dsp")]
pub(crate) mod dsp;
#[cfg(target_abi = "eabihf")]
pub(crate) mod float;
