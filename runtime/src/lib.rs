#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(feature = "build", feature = "host"))]
extern crate std;

pub mod activation;
#[cfg(target_arch = "arm")]
mod arm;
#[cfg(feature = "build")]
pub mod build;
mod decimal;
pub mod decode;
mod dense;
mod derivative;
pub mod describe;
#[cfg(feature = "entropy")]
pub mod entropy;
pub mod error;
pub mod fixed;
pub mod format;
mod header;
#[cfg(feature = "host")]
mod host;
pub mod integer;
mod json;
mod lanes;
mod load;
pub mod math;
mod model;
mod network;
#[cfg(feature = "operator")]
pub mod operator;
#[cfg(feature = "embedded-graphics")]
pub mod picture;
#[cfg(all(target_arch = "riscv32", target_feature = "m", not(target_feature = "e")))]
mod riscv;
mod row;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd;
pub mod uses;

pub use decode::{Axis, GridDecoder};
pub use describe::Quantity;
pub use error::{EvalError, LoadError, SelfTestError};
#[cfg(feature = "host")]
pub use host::Aligned;
pub use integer::IntegerModel;
pub use model::Model;
#[cfg(feature = "operator")]
pub use operator::Operator;
