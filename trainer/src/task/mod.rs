//! Wiring, and nothing else: a signal, a network, an observation, the loop. [`observed`] is the run around every task.

pub mod bench;
pub mod certify;
pub mod compare;
pub mod ct;
pub mod decode;
pub mod export;
pub mod fit;
pub mod frontier;
pub mod inference;
pub mod inspect;
pub mod many;
pub mod observed;
pub mod operator;
pub mod pde;
pub mod peers;
pub mod prune;
pub mod quantize;
pub mod race;
pub mod render;
pub mod reopen;
pub mod search;
pub mod shape;
pub mod share;
