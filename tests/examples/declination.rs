//! The horizontal field of the World Magnetic Model between 80 S and 80 N as a table:
//! `cargo run --release --example declination -- WMM_2025.COF > field.csv`. With a model of that table as well it says how
//! far the declination atan2(east, north) is off, in degrees:
//! `cargo run --release --example declination -- WMM_2025.COF field.safetensors`.

use std::{env, fs, process::ExitCode};

use rwf_tests::wmm::{Wmm, ZONES};
use rwf_trainer::evaluate;

/// Degrees of latitude on both sides of the equator, and of a step of the table.
const TABLE: (i32, usize) = (80, 2);

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<String, String> {
    let mut paths = env::args().skip(1);
    let path = paths.next().ok_or("expected the path of WMM_2025.COF, and maybe of a model")?;
    let text = fs::read_to_string(&path).map_err(|e| format!("cannot read `{path}`: {e}"))?;
    let wmm = Wmm::parse(&text)
        .ok_or_else(|| format!("`{path}`: expected a coefficient file of the World Magnetic Model"))?;
    let Some(path) = paths.next() else { return Ok(wmm.table(TABLE.0, TABLE.1)) };
    let file = fs::read(&path).map_err(|e| format!("cannot read `{path}`: {e}"))?;
    let model = evaluate::open(&file).map_err(|e| format!("`{path}`: {e}"))?;
    if (model.inputs(), model.outputs()) != (2, 2) {
        return Err(format!("`{path}`: expected two inputs, lat and lon, and two outputs, north and east"));
    }
    let zones = wmm.declination_errors(TABLE.0, |lat, lon| {
        let field = model.values(&[lat as f32, lon as f32]);
        (f64::from(field[0]), f64::from(field[1]))
    });
    let lines = zones.iter().zip(ZONES).map(|(zone, (name, ..))| {
        format!(
            "{name}: {} points of 1 degree, declination at most {:.3} degrees off, at {} N {} E\n",
            zone.points, zone.degrees, zone.at.0, zone.at.1
        )
    });
    Ok(lines.collect())
}
