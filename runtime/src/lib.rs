#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod activation;
pub mod decode;
mod dense;
mod derivative;
pub mod describe;
pub mod error;
pub mod format;
mod header;
pub mod integer;
mod load;
pub mod math;
mod model;
mod network;

pub use decode::{Axis, GridDecoder};
pub use describe::Quantity;
pub use error::{EvalError, LoadError, SelfTestError};
pub use integer::IntegerModel;
pub use model::Model;
