//! The horizontal field of the World Magnetic Model between 80 S and 80 N as a table:
//! `cargo run --release --example declination -- WMM_2025.COF > field.csv`. Declination is atan2(east, north).

use std::{env, fs, process::ExitCode};

use rwf_tests::wmm::Wmm;

fn main() -> ExitCode {
    let Some(path) = env::args().nth(1) else {
        eprintln!("expected the path of WMM_2025.COF");
        return ExitCode::from(2);
    };
    let Some(model) = fs::read_to_string(&path).ok().and_then(|text| Wmm::parse(&text)) else {
        eprintln!("cannot read `{path}`, expected a coefficient file of the World Magnetic Model");
        return ExitCode::from(2);
    };
    print!("{}", model.table(80, 2));
    ExitCode::SUCCESS
}
