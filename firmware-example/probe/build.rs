//! Embeds the models: every file in `models/`, or the one (or the folder) that `RWF_MODEL` names.

use std::{env, fmt::Write, fs, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=RWF_MODEL");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let path = env::var_os("RWF_MODEL").map_or_else(|| here.join("../models"), PathBuf::from);
    println!("cargo:rerun-if-changed={}", path.display());
    let mut files = vec![path.clone()];
    if path.is_dir() {
        let entries =
            fs::read_dir(&path).unwrap_or_else(|e| panic!("RWF_MODEL: cannot read `{}`: {e}", path.display()));
        files = entries.map(|e| e.expect("a folder that stays").path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "safetensors"));
        files.sort();
    }
    let mut list = String::new();
    for file in files {
        println!("cargo:rerun-if-changed={}", file.display());
        let file = file.canonicalize().unwrap_or_else(|e| panic!("RWF_MODEL: cannot read `{}`: {e}", file.display()));
        let name = file.file_stem().expect("a file has a name").to_string_lossy().replace(char::is_whitespace, "_");
        writeln!(list, "({name:?}, &Aligned(*include_bytes!({file:?})).0),").expect("a string grows");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("models.rs"), format!("&[\n{list}]")).expect("OUT_DIR is writable");
}
