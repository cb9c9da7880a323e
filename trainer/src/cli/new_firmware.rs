//! `rwf new-firmware`

use std::path::PathBuf;

use super::read;
use crate::{
    error::{Error, Result},
    firmware::{self, Target},
};

const EXAMPLES: &str = "Examples:
  rwf new-firmware photo.safetensors --target thumbv7em photo-firmware
  cd photo-firmware && cargo run --release          in the emulator; memory.x and .cargo/config.toml have your chip
  rwf new-firmware photo-int8.safetensors --target thumbv6m small";

/// Make a buildable project of a model, for a microcontroller or WebAssembly
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Model file, in floats or integers
    model: PathBuf,
    /// Folder to make
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Core to build for
    #[arg(long, value_enum)]
    target: Target,
    /// Folder of rwf-runtime's source, instead of the published version
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let file = read(&args.model)?;
    let runtime = match &args.runtime {
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        Some(path) => {
            let manifest = path.join("Cargo.toml");
            if !std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains("rwf-runtime")) {
                return Err(Error::Config {
                    field: "--runtime".into(),
                    message: format!("found no `{}` of rwf-runtime, expected its source folder", manifest.display()),
                });
            }
            let path =
                std::path::absolute(path).map_err(|source| Error::Io { path: path.clone(), action: "read", source })?;
            format!("path = {}", toml::Value::from(path.to_string_lossy().into_owned()))
        }
    };
    let name = firmware::package_name(&args.folder);
    let files = firmware::project(&file, &args.model, &name, args.target, &runtime)?;
    firmware::write(&args.folder, &files)?;
    println!("wrote {} ({} files); its README.md says how to build and run it", args.folder.display(), files.len());
    Ok(())
}
