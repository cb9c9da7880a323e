//! Makes a Rust module of the network, and hands the linker the memory map.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), rwf_runtime::build::Error> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    println!("cargo:rerun-if-changed=memory.x");
    fs::copy("memory.x", out.join("memory.x")).expect("memory.x stands beside this script");
    println!("cargo:rustc-link-search={}", out.display());
    rwf_runtime::build::model("model.safetensors")
}
