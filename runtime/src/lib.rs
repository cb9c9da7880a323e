//! Evaluates folded coordinate networks without an allocator.
#![no_std]
#![forbid(unsafe_code)]
pub mod format;
