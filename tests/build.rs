//! Writes the committed models as Rust modules, as a firmware's build script does.

use std::{env, fmt::Write, fs, path::PathBuf};

fn main() -> Result<(), rwf_runtime::build::Error> {
    let mut modules = String::new();
    for folder in ["../firmware-example/models", "../firmware-example/wasm/page", "golden"] {
        println!("cargo:rerun-if-changed={folder}");
        let entries = fs::read_dir(folder).expect("a folder of the repository");
        let mut files: Vec<PathBuf> = entries.map(|e| e.expect("a folder that stays").path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "safetensors"));
        files.sort();
        for file in files {
            rwf_runtime::build::model(&file)?;
            let name = rwf_runtime::build::name(&file);
            let bytes = file.canonicalize().expect("it was just read");
            writeln!(
                modules,
                "mod {name} {{\n    pub(crate) static FILE: &[u8] = include_bytes!({bytes:?});\n    \
                 include!(concat!(env!(\"OUT_DIR\"), \"/{name}.rs\"));\n}}"
            )
            .expect("a string grows");
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("modules.rs"), modules).expect("OUT_DIR is writable");
    Ok(())
}
