//! A firmware project around a model: all that a build needs, a self-test at boot, and a start in an emulator.

use std::path::Path;

use clap::ValueEnum;
use rwf_runtime::{
    IntegerModel, LoadError, Model,
    format::{Architecture, MathBackend, key},
};

use crate::error::{Error, Result};

/// What the project is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Cortex-M0 and M0+, no floating-point unit
    Thumbv6m,
    /// Cortex-M4F and M7
    Thumbv7em,
    /// 32-bit RISC-V, no floating-point unit
    Riscv32imc,
    /// WebAssembly
    Wasm32,
}

/// The files of a project: path in it, and what it holds.
pub type Files = Vec<(&'static str, Vec<u8>)>;

/// Stack beside the scratch that an evaluation may take, in bytes; measured it is below 1 KiB.
const STACK: usize = 2048;

impl Target {
    /// As rustup knows it.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Thumbv6m => "thumbv6m-none-eabi",
            Self::Thumbv7em => "thumbv7em-none-eabihf",
            Self::Riscv32imc => "riscv32imc-unknown-none-elf",
            Self::Wasm32 => "wasm32-unknown-unknown",
        }
    }

    const fn board(self) -> &'static str {
        match self {
            Self::Thumbv6m => "a Cortex-M0",
            Self::Thumbv7em => "a Cortex-M4F",
            Self::Riscv32imc => "a 32-bit RISC-V",
            Self::Wasm32 => "WebAssembly",
        }
    }

    const fn floats_in_software(self) -> bool {
        matches!(self, Self::Thumbv6m | Self::Riscv32imc)
    }

    /// Bytes of RAM of the board that `memory.x` describes at first.
    const fn ram(self) -> usize {
        match self {
            Self::Thumbv6m => 16 << 10,
            _ => 1 << 20,
        }
    }

    /// How to start the program, and what that needs.
    const fn start(self) -> (&'static str, &'static str) {
        match self {
            Self::Thumbv6m | Self::Thumbv7em => ("cargo run --release", "qemu-system-arm, or a board and probe-rs"),
            Self::Riscv32imc => ("cargo run --release", "qemu-system-riscv32"),
            Self::Wasm32 => {
                ("cargo build --release && node run.mjs target/wasm32-unknown-unknown/release/firmware.wasm", "node")
            }
        }
    }

    fn config(self) -> String {
        let triple = self.triple();
        let (runner, flags) = match self {
            Self::Thumbv6m | Self::Thumbv7em => {
                let machine = if self == Self::Thumbv6m { "microbit" } else { "mps2-an386" };
                (
                    format!(
                        "qemu-system-arm -machine {machine} -display none -monitor none -serial none \
                         -semihosting-config enable=on,target=native -kernel"
                    ),
                    r#"["-Clink-arg=-Tlink.x", "-Clink-arg=--nmagic"]"#,
                )
            }
            Self::Riscv32imc => (
                "qemu-system-riscv32 -machine virt -bios none -display none -monitor none -serial stdio -kernel".into(),
                r#"["-Clink-arg=-Tmemory.x", "-Clink-arg=-Tlink.x"]"#,
            ),
            Self::Wasm32 => return format!("[build]\ntarget = \"{triple}\"\n"),
        };
        format!(
            "[build]\ntarget = \"{triple}\"\n\n# Another board: its own runner, such as `probe-rs run --chip \
             STM32F411RETx`.\n[target.{triple}]\nrunner = \"{runner}\"\nrustflags = {flags}\n"
        )
    }

    const fn dependencies(self) -> &'static str {
        match self {
            Self::Thumbv6m | Self::Thumbv7em => {
                "\n[target.'cfg(target_os = \"none\")'.dependencies]\ncortex-m = \"0.7.7\"\ncortex-m-rt = \
                 \"0.7.5\"\ncortex-m-semihosting = \"0.5.0\"\n"
            }
            Self::Riscv32imc => {
                "\n[target.'cfg(target_os = \"none\")'.dependencies]\nriscv = \"0.16.1\"\nriscv-rt = { version = \
                 \"0.18.0\", features = [\"single-hart\"] }\n"
            }
            Self::Wasm32 => "",
        }
    }
}

/// What a project needs to know of its model.
struct Facts<'a> {
    architecture: &'a Architecture,
    math: MathBackend,
    scratch: usize,
    integers: bool,
    described: bool,
    error: Option<&'a str>,
}

/// The project for the model in `file`, which `source` names. `runtime` is the dependency on the runtime as TOML, such
/// as `version = "0.1.0"`.
///
/// # Errors
/// [`Error::Model`] for a file that is no model or does not tell of its inputs; [`Error::Config`] when its scratch
/// does not fit the memory of the target's first board.
pub fn project(file: &[u8], source: &Path, name: &str, target: Target, runtime: &str) -> Result<Files> {
    let refused = |message: String| Error::Model { path: source.into(), message };
    let (float, integer);
    let facts = match Model::new(file) {
        Ok(model) => {
            float = model;
            Facts {
                architecture: float.architecture(),
                math: float.math(),
                scratch: 4 * float.scratch_len(),
                integers: false,
                described: (0..float.inputs()).all(|i| float.input(i).is_some()),
                error: float.metadata(key::ERROR),
            }
        }
        Err(LoadError::Integer) => {
            integer = IntegerModel::new(file).map_err(|e| refused(e.to_string()))?;
            Facts {
                architecture: integer.architecture(),
                math: MathBackend::Polynomial,
                scratch: 2 * integer.scratch_len(),
                integers: true,
                described: (0..integer.inputs()).all(|i| integer.input(i).is_some()),
                error: integer.metadata(key::ERROR),
            }
        }
        Err(error) => return Err(refused(error.to_string())),
    };
    if !facts.described {
        return Err(refused("found no metadata `inputs`, expected names and domains, as `rwf fit` writes them".into()));
    }
    if facts.scratch + STACK > target.ram() {
        return Err(Error::Config {
            field: "--target".into(),
            message: format!(
                "found a network that needs {} bytes of scratch, expected at most {} on this target; fewer neurons a \
                 layer",
                facts.scratch,
                target.ram() - STACK
            ),
        });
    }
    let mut files = templates(target);
    files.push(("model.safetensors", file.to_vec()));
    files.push((".cargo/config.toml", target.config().into_bytes()));
    files.push(("Cargo.toml", manifest(name, target, runtime, facts.math).into_bytes()));
    files.push(("README.md", readme(name, source, target, &facts, file.len()).into_bytes()));
    Ok(files)
}

fn templates(target: Target) -> Files {
    macro_rules! file {
        ($path:literal) => {
            include_bytes!(concat!("../assets/firmware/", $path)).to_vec()
        };
    }
    let mut files = vec![(".gitignore", file!("gitignore.in")), ("src/lib.rs", file!("lib.rs"))];
    match target {
        Target::Thumbv6m | Target::Thumbv7em => {
            files.push(("src/main.rs", file!("cortex-m/main.rs")));
            files.push(("build.rs", file!("cortex-m/build.rs")));
            let memory =
                if target == Target::Thumbv6m { file!("cortex-m/thumbv6m.x") } else { file!("cortex-m/thumbv7em.x") };
            files.push(("memory.x", memory));
        }
        Target::Riscv32imc => {
            files.push(("src/main.rs", file!("riscv/main.rs")));
            files.push(("build.rs", file!("riscv/build.rs")));
            files.push(("memory.x", file!("riscv/memory.x")));
        }
        Target::Wasm32 => {
            files[1].1.extend(file!("wasm/module.rs"));
            files.push(("build.rs", file!("wasm/build.rs")));
            files.push(("run.mjs", file!("wasm/run.mjs")));
        }
    }
    files
}

fn manifest(name: &str, target: Target, runtime: &str, math: MathBackend) -> String {
    let program = match target {
        Target::Wasm32 => "[lib]\nname = \"firmware\"\ncrate-type = [\"cdylib\"]\ndoctest = false\n".to_owned(),
        _ => format!(
            "[lib]\nname = \"firmware\"\ndoctest = false\n\n[[bin]]\nname = \"{name}\"\npath = \"src/main.rs\"\ntest = \
             false\nbench = false\n"
        ),
    };
    let (plain, build) = match math {
        MathBackend::Polynomial => (String::new(), "\"build\"".to_owned()),
        other => (format!(", features = [\"{}\"]", other.name()), format!("\"build\", \"{}\"", other.name())),
    };
    include_str!("../assets/firmware/Cargo.toml.in")
        .replace("{{name}}", name)
        .replace("{{targets}}", &program)
        .replace("{{runtime}}", runtime)
        .replace("{{math}}", &plain)
        .replace("{{build}}", &build)
        .replace("{{dependencies}}", target.dependencies())
}

fn readme(name: &str, source: &Path, target: Target, facts: &Facts<'_>, bytes: usize) -> String {
    let (start, tool) = target.start();
    let mut rows = format!(
        "| model file | {bytes} bytes |\n| multiply-adds a point | {} |\n| scratch RAM | {} bytes |\n",
        facts.architecture.multiply_adds(),
        facts.scratch
    );
    if let Some(error) = facts.error {
        rows += &format!("| error | {} |\n", error.replace(';', ", ").replace('|', "\\|"));
    }
    let mut next = match target {
        Target::Wasm32 => String::new(),
        _ => "\nAnother chip: its memory goes into `memory.x`, its runner into `.cargo/config.toml`.".to_owned(),
    };
    if target.floats_in_software() && !facts.integers {
        next += "\n\nThis core has no floating-point unit: `rwf export RUN --precision int8` makes a model that needs \
                 tens of times fewer instructions on it.";
    }
    include_str!("../assets/firmware/README.md.in")
        .replace("{{name}}", name)
        .replace("{{board}}", target.board())
        .replace("{{model}}", &source.file_name().unwrap_or_default().to_string_lossy())
        .replace("{{triple}}", target.triple())
        .replace("{{start}}", start)
        .replace("{{tool}}", tool)
        .replace("{{facts}}", &rows)
        .replace("{{next}}", &next)
}

/// A name cargo takes, after a folder's.
pub fn package_name(folder: &Path) -> String {
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
    let name: String = folder.chars().map(plain).collect();
    let name = name.trim_matches('-');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name != "firmware" && name != "test" {
        name.to_owned()
    } else {
        format!("model-{name}").trim_end_matches('-').to_owned()
    }
}

/// Writes `files` into `folder`, all or none.
///
/// # Errors
/// [`Error::Config`] when `folder` is there and not empty, [`Error::Io`] when it cannot be written.
pub fn write(folder: &Path, files: &Files) -> Result<()> {
    let failed = |source| Error::Io { path: folder.into(), action: "write", source };
    let occupied = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => folder.exists(),
    };
    if occupied {
        return Err(Error::Config {
            field: "DIR".into(),
            message: format!("`{}` is there already; expected a new or an empty folder", folder.display()),
        });
    }
    let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new();
    beside.prefix(".rwf-").suffix(".tmp");
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755));
    let beside = beside.tempdir_in(parent).map_err(failed)?;
    for (path, bytes) in files {
        let path = beside.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(parent)).map_err(failed)?;
        std::fs::write(path, bytes).map_err(failed)?;
    }
    if folder.exists() {
        std::fs::remove_dir(folder).map_err(failed)?;
    }
    std::fs::rename(beside.path(), folder).map_err(failed)?;
    // It has moved, so there is nothing left to remove.
    let _ = beside.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_names_that_cargo_takes() {
        for (folder, name) in [("photo", "photo"), ("a/My Photo_2", "my-photo-2"), ("3d", "model-3d"), ("ü", "model")]
        {
            assert_eq!(package_name(Path::new(folder)), name);
        }
    }

    #[test]
    fn a_folder_in_use_is_left_alone_and_an_empty_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let files: Files = vec![("a", b"1".to_vec()), ("src/b", b"2".to_vec())];
        let empty = folder.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        write(&empty, &files).unwrap();
        assert_eq!(std::fs::read(empty.join("src/b")).unwrap(), b"2");
        let error = write(&empty, &vec![("a", b"3".to_vec())]).unwrap_err();
        assert!(error.to_string().contains("empty") && error.exit_code() == 2, "{error}");
        assert_eq!(std::fs::read(empty.join("a")).unwrap(), b"1");
        assert!(write(&empty.join("a"), &files).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
