//! What training does inside a network: tangent kernel, sizes of factors, change of weights, shape of the loss. All in
//! f64 on the host, from dense layers and trained numbers; no engine is asked.

pub mod factors;
pub mod landscape;
mod sensitivity;
pub mod tangent;
