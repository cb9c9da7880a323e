//! Hands the linker its memory map: `RWF_MEMORY`, or the emulated board.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=RWF_MEMORY");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let path = env::var_os("RWF_MEMORY").map_or_else(|| here.join("virt.x"), PathBuf::from);
    println!("cargo:rerun-if-changed={}", path.display());
    if let Err(error) = fs::copy(&path, out.join("memory.x")) {
        panic!("RWF_MEMORY: cannot read `{}`: {error}", path.display());
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tmemory.x");
    println!("cargo:rustc-link-arg=-Tlink.x");
}
