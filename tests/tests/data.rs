//! Real measurements: `RWF_DATA=path/to/data cargo test --release -p rwf-tests --test data -- --nocapture`.
//! Without `RWF_DATA` these tests say that they are skipped.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use rwf_runtime::Model;
use rwf_tests::wmm::Wmm;
use rwf_trainer::{
    engine::{Device, EngineChoice},
    evaluate::evaluate,
    signal::{LoadOptions, Signal, load},
    task::fit::{Place, Report, Request, run},
};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("RWF_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: set RWF_DATA to the folder of real data");
    }
    folder
}

/// What `rwf fit INPUT` does, with a configuration over the defaults.
fn fit(folder: &Path, input: &Path, options: LoadOptions, layer: &str) -> Report {
    let request = Request::New {
        input: input.into(),
        out: folder.join("model.safetensors"),
        options,
        layers: vec![layer.parse().expect("TOML")],
        force: true,
    };
    let place = Place { engine: EngineChoice::Auto, device: &Device::Cpu, name: "cpu" };
    run(request, place, &AtomicBool::new(false), true).expect("a run")
}

/// The fit at every sample, from the file that was written.
fn values(report: &Report, signal: &Signal) -> Vec<f32> {
    let bytes = std::fs::read(&report.out).expect("the model");
    evaluate(&Model::new(&bytes).expect("a model"), &signal.coordinates_f32())
}

#[test]
fn a_photograph_reaches_30_db_with_the_defaults() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let photo = image::open(data.join("images/astronaut.png")).unwrap();
    for (x, y) in [(160, 32), (0, 0), (256, 256), (384, 128)] {
        let path = folder.path().join("crop.png");
        photo.crop_imm(x, y, 128, 128).save(&path).unwrap();
        let report = fit(folder.path(), &path, LoadOptions::default(), "");
        println!(
            "astronaut crop at {x},{y}: {:.2} dB in {:.0} s, {} bytes",
            report.findings.all.psnr, report.seconds, report.bytes
        );
        assert!(report.findings.all.psnr >= 30.0);
    }
}

/// Rows of a NIST file: the response first.
fn nist(data: &Path, name: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(data.join("sensors").join(name)).unwrap();
    let start = text.lines().enumerate().filter(|(_, l)| l.starts_with("Data:")).last().unwrap().0;
    let numbers = |line: &str| line.split_whitespace().map_while(|w| w.parse().ok()).collect::<Vec<f64>>();
    text.lines().skip(start + 1).map(numbers).filter(|r| r.len() > 1).collect()
}

#[test]
fn thurber_fits_as_well_as_the_certified_model() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let rows = nist(&data, "Thurber.dat");
    let path = folder.path().join("thurber.csv");
    let lines: Vec<String> = rows.iter().map(|r| format!("{},{}", r[1], r[0])).collect();
    std::fs::write(&path, format!("log_density,mobility\n{}\n", lines.join("\n"))).unwrap();
    let report = fit(folder.path(), &path, LoadOptions::default(), "");
    let energy: f64 = rows.iter().map(|r| r[0] * r[0]).sum();
    // NIST's residual sum of squares of its certified 7-parameter model.
    let certified = (5.642_708_239_7e3 / energy).sqrt();
    let found = report.findings.all.relative_l2();
    println!("Thurber: relative RMSE {found:.5}, certified {certified:.5}, ratio {:.2}", found / certified);
    assert!(found <= 1.2 * certified);
}

#[test]
fn nelson_fits_as_well_as_the_certified_model() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let rows = nist(&data, "Nelson.dat");
    let path = folder.path().join("nelson.csv");
    // NIST's model is one of log(y), and so is its residual.
    let lines: Vec<String> = rows.iter().map(|r| format!("{},{},{}", r[1], r[2], r[0].ln())).collect();
    std::fs::write(&path, format!("time[weeks],temp[degC],log_strength\n{}\n", lines.join("\n"))).unwrap();
    let report = fit(folder.path(), &path, LoadOptions::default(), "");
    let energy: f64 = rows.iter().map(|r| r[0].ln().powi(2)).sum();
    let certified = (3.797_683_317_6 / energy).sqrt();
    let found = report.findings.all.relative_l2();
    let held_out = report.findings.validation.as_ref().map_or(f64::NAN, |v| v.relative_l2());
    println!(
        "Nelson: relative RMSE {found:.5} (held out {held_out:.5}), certified {certified:.5}, ratio {:.2}",
        found / certified
    );
    assert!(found <= 1.2 * certified);
}

#[test]
fn magnetic_declination_fits_20_kilobytes() {
    let Some(data) = data() else { return };
    let wmm = Wmm::parse(&std::fs::read_to_string(data.join("sensors/WMM_2025.COF")).unwrap()).unwrap();
    check_against_published(&wmm, &data);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wmm.csv");
    std::fs::write(&path, wmm.table(88, 2)).unwrap();
    if let Some(keep) = std::env::var_os("RWF_KEEP") {
        std::fs::copy(&path, Path::new(&keep).join("wmm.csv")).unwrap();
    }
    let options = LoadOptions { outputs: vec!["north".into(), "east".into()], ..LoadOptions::default() };
    let report = fit(folder.path(), &path, options.clone(), WMM_CONFIG);
    let signal = load(&path, &options).unwrap();
    let fit = values(&report, &signal);
    let angle = |v: &[f32]| f64::from(v[1]).atan2(f64::from(v[0])).to_degrees();
    let (mut square, mut worst) = (0.0, 0.0f64);
    for (fit, truth) in fit.chunks_exact(2).zip(signal.values.chunks_exact(2)) {
        let off = (angle(fit) - angle(truth) + 540.0).rem_euclid(360.0) - 180.0;
        square += off * off;
        worst = worst.max(off.abs());
    }
    let rmse = (square / signal.len() as f64).sqrt();
    println!(
        "WMM 2025 declination: RMSE {rmse:.3} deg, largest {worst:.1} deg, {} bytes, {:.0} s",
        report.bytes, report.seconds
    );
    assert!(rmse <= 0.5 && report.bytes < 20_000);
}

const WMM_CONFIG: &str = "
    [network]
    architecture = 'siren'
    hidden = 64
    depth = 3
    omega0 = 10.0
    omega0_first = 5.0
    [training]
    steps = 8000
    batch = 4096
    learning_rate = 1e-3
    [export]
    precision = 'f16'
    [signal]
    validation = 0.0
    ";

/// The helper gives the declinations published with the model.
fn check_against_published(wmm: &Wmm, data: &Path) {
    let text = std::fs::read_to_string(data.join("sensors/WMM2025_TEST_VALUES.txt")).unwrap();
    let mut checked = 0;
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let fields: Vec<f64> = line.split_whitespace().map_while(|w| w.parse().ok()).collect();
        let [year, height, lat, lon, declination, ..] = fields[..] else { continue };
        let (north, east) = wmm.north_east(lat, lon, height, year);
        let off = (east.atan2(north).to_degrees() - declination + 540.0).rem_euclid(360.0) - 180.0;
        assert!(off.abs() < 0.01, "{line}: {}", east.atan2(north).to_degrees());
        checked += 1;
    }
    assert_eq!(checked, 100);
}
