//! Hands the linker its memory map: `RWF_MEMORY`, or the emulated board of the target.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=RWF_MEMORY");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let target = env::var("TARGET").expect("cargo sets it");
    let board = match target.as_str() {
        t if t.starts_with("thumbv6m") => "boards/microbit.x",
        t if t.starts_with("thumbv8m") => "boards/mps2-an505.x",
        _ => "boards/mps2.x",
    };
    let path = env::var_os("RWF_MEMORY").map_or_else(|| here.join(board), PathBuf::from);
    println!("cargo:rerun-if-changed={}", path.display());
    if let Err(error) = fs::copy(&path, out.join("memory.x")) {
        panic!("RWF_MEMORY: cannot read `{}`: {error}", path.display());
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=--nmagic");
}
