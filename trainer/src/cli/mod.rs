//! The command line: one file per subcommand; parse and hand over, nothing else.

mod bench;
mod certify;
mod compare;
mod ct;
mod demo;
mod eval;
mod export;
mod fit;
mod frontier;
mod import;
mod info;
mod inspect;
mod merge;
mod new_firmware;
mod operator;
mod pde;
mod race;
mod render;
mod settings;
mod shape;
mod verify;
mod words;

use std::{
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::{Parser, Subcommand};
use rwf_runtime::{LoadError, Model, Operator, operator::is_operator};

use crate::{
    error::{Error, Result},
    evaluate::{self, Evaluate},
    file::read,
};

/// Fits coordinate networks with Random Weight Factorization to images, tables, sounds and arrays, and writes
/// them as compact model files for microcontrollers and browsers.
#[derive(Parser)]
#[command(
    name = "rwf",
    version,
    after_help = "Start here:\n  rwf demo\n  rwf fit photo.png\n  rwf fit calibration.csv\n\nEvery subcommand has an example in its --help."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Fit(Box<fit::Args>),
    Shape(Box<shape::Args>),
    Eval(eval::Args),
    Info(info::Args),
    Export(export::Args),
    Import(import::Args),
    Certify(certify::Args),
    Verify(verify::Args),
    Race(race::Args),
    Frontier(frontier::Args),
    Merge(merge::Args),
    Compare(Box<compare::Args>),
    Render(Box<render::Args>),
    Ct(Box<ct::Args>),
    Pde(Box<pde::Args>),
    Operator(Box<operator::Args>),
    Inspect(inspect::Args),
    NewFirmware(new_firmware::Args),
    Bench(bench::Args),
    Demo(demo::Args),
}

/// Runs the command; 0 when all went well, 2 for bad input, 1 for a failed run, 130 after Ctrl-C.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Fit(args) => fit::run(*args),
        Command::Shape(args) => shape::run(*args),
        Command::Eval(args) => eval::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Certify(args) => certify::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Race(args) => race::run(&args),
        Command::Frontier(args) => frontier::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Render(args) => render::run(*args),
        Command::Ct(args) => ct::run(*args),
        Command::Pde(args) => pde::run(*args),
        Command::Operator(args) => operator::run(*args),
        Command::Compare(args) => compare::run(*args),
        Command::NewFirmware(args) => new_firmware::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rwf: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// A flag that Ctrl-C raises, telling what will be `kept`; a second Ctrl-C ends the program at once.
fn interrupt(kept: &'static str) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Setting a handler fails only when one is set already, and then that one is in charge.
    let _ = ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this step; {kept} (again: stop at once)");
    });
    flag
}

/// A model in floats.
fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<Model<'a>> {
    Model::new(bytes).map_err(|e| not_a_model(path, bytes, e))
}

/// A model in floats or integers.
fn open_any<'a>(path: &Path, bytes: &'a [u8]) -> Result<Box<dyn Evaluate + 'a>> {
    evaluate::open(bytes).map_err(|e| not_a_model(path, bytes, e))
}

fn not_a_model(path: &Path, bytes: &[u8], error: LoadError) -> Error {
    let message = if is_operator(bytes) {
        "found an operator of two networks, expected a coordinate network; `rwf export FILE --fold-input u.npy` makes one \
         of it for a given input function"
            .into()
    } else {
        error.to_string()
    };
    Error::Model { path: path.into(), message }
}

/// An operator.
fn open_operator<'a>(path: &Path, bytes: &'a [u8]) -> Result<Operator<'a>> {
    Operator::new(bytes).map_err(|e| Error::Model { path: path.into(), message: e.to_string() })
}
