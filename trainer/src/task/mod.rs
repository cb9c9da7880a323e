//! Wiring, and nothing else: a signal, a network, an observation, the loop.

pub mod bench;
pub mod compare;
pub mod decode;
pub mod export;
pub mod fit;
pub mod inspect;
pub mod peers;
pub mod quantize;
