//! Hands the linker its memory map and the program its model.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    for (variable, default, name) in
        [("RWF_MODEL", "model.safetensors", "model.safetensors"), ("RWF_MEMORY", "memory.x", "memory.x")]
    {
        println!("cargo:rerun-if-env-changed={variable}");
        let path = env::var_os(variable).map_or_else(|| here.join(default), PathBuf::from);
        println!("cargo:rerun-if-changed={}", path.display());
        if let Err(error) = fs::copy(&path, out.join(name)) {
            panic!("{variable}: cannot read `{}`: {error}", path.display());
        }
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=--nmagic");
}
