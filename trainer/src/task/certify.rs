//! Certificates: written into a model file with a page for people, and checked again later.

use std::path::{Path, PathBuf};

use rwf_runtime::format::key;

use crate::{
    bound::Effort,
    certificate::{self, Certificate, Worst},
    compare::{Block, Report, Table},
    cost::{Clock, Cost, Target},
    error::{Error, Result},
    evaluate,
    file::{read, write_atomically},
    plot,
    signal::{self, LoadOptions, Signal},
    train::metrics::{label, short},
};

/// A signal, a model of it, and where they lie.
#[derive(Debug, Clone)]
pub struct Case {
    /// Model file.
    pub model: PathBuf,
    /// File of the signal.
    pub input: PathBuf,
    /// How to read it.
    pub options: LoadOptions,
}

/// What was certified.
#[derive(Debug)]
pub struct Certified {
    /// The certificate.
    pub certificate: Certificate,
    /// Lines for people.
    pub table: String,
}

/// Writes the certificate of a case into its model file, and `report`, a folder with report.md and report.html, where it is
/// asked for. The bound between samples may take `effort`; `run` is the folder of the run whose configuration is certified, if there is one.
///
/// # Errors
/// Bad input, naming the file; a file that cannot be written.
pub fn certify(case: &Case, effort: Effort, run: Option<&Path>, report: Option<&Path>) -> Result<Certified> {
    let (file, signal) = case.open()?;
    let config = run.map(|folder| read(&folder.join("config.toml"))).transpose()?;
    let config = config.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let bad = |message| Error::Model { path: case.model.clone(), message };
    let (certificate, worst) = Certificate::new(&file, &signal, config.as_deref(), effort).map_err(bad)?;
    let certified = certificate::with(&file, &certificate).map_err(bad)?;
    if let Some(folder) = report {
        page(&certificate, &worst, &certified, &signal)?.write(folder)?;
    }
    write_atomically(&case.model, &certified)?;
    let table = errors(&certificate, &signal).text();
    Ok(Certified { certificate, table })
}

/// Computes the certificate in a model file anew; what does not hold, a line each.
///
/// # Errors
/// Bad input, a file without a certificate among it.
pub fn verify(case: &Case) -> Result<(Certificate, Vec<String>)> {
    let (file, signal) = case.open()?;
    let bad = |message| Error::Model { path: case.model.clone(), message };
    let claim = certificate::of(&file).map_err(bad)?.ok_or_else(|| {
        bad(format!(
            "found no certificate, expected one; `rwf certify {} --against {}` writes it",
            case.model.display(),
            case.input.display()
        ))
    })?;
    // The bound depends on the arithmetic it may take: as much as it was certified with.
    let (again, _) = Certificate::new(&file, &signal, None, Effort::new(claim.effort)).map_err(bad)?;
    let broken = claim.broken(&again);
    Ok((claim, broken))
}

impl Case {
    fn open(&self) -> Result<(Vec<u8>, Signal)> {
        Ok((read(&self.model)?, signal::load(&self.input, &self.options)?))
    }
}

/// Figures of every output.
fn errors(certificate: &Certificate, signal: &Signal) -> Table {
    let header = ["output", "largest error", "RMS error", "99.9th percentile", "bound between samples"];
    let rows = signal.outputs.iter().zip(&certificate.outputs).map(|(q, o)| {
        let bound = o.bound.map_or("none".into(), short);
        vec![label(q), short(o.max), short(o.rms), short(o.p999), bound]
    });
    Table { header: header.map(String::from).to_vec(), rows: rows.collect() }
}

/// The report, on one page.
///
/// # Errors
/// A picture that cannot be drawn.
fn page(certificate: &Certificate, worst: &[Worst], file: &[u8], signal: &Signal) -> Result<Report> {
    let failed = |message| Error::Training(format!("cannot report: {message}"));
    let cost = Cost::of(file).map_err(failed)?;
    let model = evaluate::open(file).map_err(|e| failed(e.to_string()))?;
    let mut blocks = vec![
        Block::Text(format!(
            "{} samples of `{}`, evaluated by the runtime: the bits of every device. {}",
            certificate.samples,
            signal.name,
            model.metadata(key::PROVENANCE).unwrap_or_default()
        )),
        Block::Table(errors(certificate, signal)),
        Block::Text(assumption(&certificate.between)),
        Block::Figure(
            "comparison".into(),
            "Signal, model and error".into(),
            plot::comparison(signal, &model.values(&signal.coordinates_f32()))?,
        ),
        Block::Heading("Samples that are furthest off".into()),
    ];
    let mut header: Vec<String> = signal.inputs.iter().map(label).collect();
    header.extend(["output".into(), "error".into()]);
    let rows = worst.iter().map(|w| {
        let mut row: Vec<String> = w.at.iter().map(|x| format!("{x}")).collect();
        row.extend([label(&signal.outputs[w.output]), format!("{:+.3e}", w.error)]);
        row
    });
    blocks.push(Block::Table(Table { header, rows: rows.collect() }));
    blocks.push(Block::Heading("What it costs".into()));
    blocks.push(Block::Text(format!(
        "{} bytes of flash as a module made at build time (file: {} bytes), {} bytes of memory, {} multiply-adds and {} \
         activations a point.",
        cost.flash, cost.file, cost.ram, cost.macs, cost.activations
    )));
    blocks.push(Block::Table(targets(&cost)));
    blocks.push(Block::Text(
        "Instructions are a price for every multiply-add and every activation, fitted to counts of SIRENs under emulation, \
         within 30 %; cycles are these times 0.8 (Cortex-M7), 1.3 (M33) or 1.5, a guess for memory without wait \
         states."
            .into(),
    ));
    blocks.push(Block::Heading("Of what".into()));
    let row = |what: &str, hash: &str| vec![what.to_owned(), format!("`{hash}`")];
    blocks.push(Block::Table(Table {
        header: vec!["what".into(), "SHA-256".into()],
        rows: vec![
            row("model file without this certificate", &certificate.model),
            row("samples: coordinates and values as f32", &certificate.data),
            row("configuration", &certificate.config),
        ],
    }));
    Ok(Report { title: format!("Certificate of a model of {}", signal.name), blocks })
}

fn assumption(between: &str) -> String {
    if between == "unknown" {
        return "Between the samples nothing is certified: they are scattered over several inputs, or the effort did not go through all cells."
            .into();
    }
    format!(
        "The bound holds for every f32 coordinate between samples, if the signal is {between} there. It encloses the network \
         by Taylor forms over parts of each cell, activations and rounding taken in; of a model in integers of one input all \
         coordinates are computed."
    )
}

fn targets(cost: &Cost) -> Table {
    let header = ["core", "instructions a point", "cycles a point", "points a second at 100 MHz"];
    let rows = Target::ALL.into_iter().map(|target| {
        let estimate = target.estimate(cost);
        vec![
            target.name().to_owned(),
            format!("{:.0}", estimate.instructions),
            format!("{:.0}", estimate.cycles),
            format!("{:.0}", 1e8 / estimate.cycles),
        ]
    });
    Table { header: header.map(String::from).to_vec(), rows: rows.collect() }
}

/// Microseconds of a point on a target at a clock.
pub fn microseconds(cost: &Cost, clock: Clock) -> f64 {
    1e6 * clock.target.estimate(cost).cycles / clock.hertz
}

#[cfg(test)]
mod tests {
    use rwf_runtime::format::{MathBackend, Precision};

    use super::*;
    use crate::{
        export::{self, Description},
        fold::forward_f64,
        network::{ArchitectureKind, Network, NetworkConfig},
        rng::Rng,
    };

    fn case(folder: &Path) -> Case {
        let input = folder.join("table.csv");
        let rows: String =
            (0..40).map(|i| format!("{},{}\n", f64::from(i) * 0.1, (f64::from(i) * 0.1).sin())).collect();
        std::fs::write(&input, format!("t[s],v[V]\n{rows}")).unwrap();
        let signal = signal::load(&input, &LoadOptions::default()).unwrap();
        let config = NetworkConfig::new(ArchitectureKind::Siren, 8, 2);
        let (network, start) = Network::new(&config, 1, 1, &mut Rng::new(4)).unwrap();
        let mut dense = network.dense_f64(&start);
        // Over 4 seconds a few waves, not hundreds.
        dense.layers[0].kernel.iter_mut().for_each(|w| *w *= 0.05);
        let description = Description::of(&signal, "seed 4".into());
        let file = export::model(&dense, &description, Precision::F32, MathBackend::Polynomial).unwrap();
        let model = folder.join("model.safetensors");
        std::fs::write(&model, file).unwrap();
        Case { model, input, options: LoadOptions::default() }
    }

    #[test]
    fn figures_are_those_of_an_independent_evaluation() {
        let folder = tempfile::tempdir().unwrap();
        let case = case(folder.path());
        let found = certify(&case, Effort::new(1e9), None, Some(&folder.path().join("report"))).unwrap().certificate;
        let signal = signal::load(&case.input, &case.options).unwrap();
        let dense = export::dense(&std::fs::read(&case.model).unwrap()).unwrap();
        let errors: Vec<f64> = (0..signal.len())
            .map(|i| {
                let mut at = [0.0];
                signal.coordinate(i, &mut at);
                (forward_f64(&dense, &at)[0] - f64::from(signal.values[i])).abs()
            })
            .collect();
        let max = errors.iter().copied().fold(0.0, f64::max);
        let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b}");
        near(found.outputs[0].max, max);
        near(found.outputs[0].rms, rms);
        near(found.outputs[0].p999, max);
        // Between samples, too, by brute force.
        let bound = found.outputs[0].bound.unwrap();
        let model_at = |x: f64| forward_f64(&dense, &[x])[0];
        let mut most = 0.0f64;
        for i in 0..39 {
            let ends = [i, i + 1].map(|i| f64::from(signal.values[i]));
            for part in 0..=50 {
                let share = f64::from(part) / 50.0;
                let truth = ends[0] + share * (ends[1] - ends[0]);
                most = most.max((model_at(0.1 * (i as f64 + share)) - truth).abs());
            }
        }
        assert!(most <= bound && bound < 1.1 * most, "{most} {bound}");
        let report = std::fs::read_to_string(folder.path().join("report/report.md")).unwrap();
        assert!(report.contains("cortex-m33") && report.contains(&found.data), "{report}");
    }

    #[test]
    fn a_certificate_holds_until_model_signal_or_claim_change() {
        let folder = tempfile::tempdir().unwrap();
        let case = case(folder.path());
        let error = verify(&case).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("rwf certify"), "{error}");
        let written = certify(&case, Effort::new(1e9), None, None).unwrap().certificate;
        let (claim, broken) = verify(&case).unwrap();
        assert_eq!((claim, broken), (written.clone(), Vec::new()));
        // Certified twice is certified once.
        assert_eq!(certify(&case, Effort::new(1e9), None, None).unwrap().certificate, written);

        let file = std::fs::read(&case.model).unwrap();
        let mut lie = written.clone();
        lie.outputs[0].max *= 0.9;
        lie.outputs[0].bound = lie.outputs[0].bound.map(|b| 0.9 * b);
        std::fs::write(&case.model, certificate::with(&file, &lie).unwrap()).unwrap();
        let lines = verify(&case).unwrap().1;
        assert!(lines.len() == 2 && lines[0].contains("largest error"), "{lines:?}");

        let other = export::with_error(&file, "rmse=0").unwrap();
        std::fs::write(&case.model, other).unwrap();
        assert!(verify(&case).unwrap().1[0].contains("model"));
        std::fs::write(&case.model, &file).unwrap();
        let text = std::fs::read_to_string(&case.input).unwrap();
        std::fs::write(&case.input, text.replacen("0,0\n", "0,0.001\n", 1)).unwrap();
        assert!(verify(&case).unwrap().1[0].contains("data"));
    }

    #[test]
    fn a_damaged_certificate_names_the_word() {
        for (text, word) in [
            ("samples=1", "max"),
            ("samples=x;max=1;rms=1;p999=1;bound=none;between=a;effort=1;model=;data=;config=", "samples"),
            ("samples=1;max=1|2;rms=1;p999=1;bound=none;between=a;effort=1;model=;data=;config=", "each figure"),
            ("samples=1;max=1;rms=?;p999=1;bound=none;between=a;effort=1;model=;data=;config=", "`rms`"),
        ] {
            let error = Certificate::parse(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
