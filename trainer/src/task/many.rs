//! `rwf fit --all`: every signal of a folder, each an independent job with a stable name.
//!
//! ```text
//! OUT/NAME.safetensors     the model of FOLDER/NAME.*
//! OUT/results/NAME.json    what came of it, a failure too; a job that is done is not done again
//! OUT/index.csv            all of them, by `rwf fit --all` for all jobs or by `rwf merge` behind shards
//! ```

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::{
    fit::{Blind, Fit, known},
    observed::{Findings, Observed, load, start},
};
use crate::{
    certificate::sha256,
    config::{self, RunConfig},
    engine::{Device, EngineChoice, engine},
    error::{Error, Result},
    export::{self, Description},
    file::write_atomically,
    fold::fold,
    jobs,
    signal::{self, LoadOptions},
    train::{self, Progress},
};

/// Time between two plain lines, and between two times the index is written.
const EVERY: Duration = Duration::from_secs(5);

/// One of `of` parts of the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let read = || {
            let (index, of) = text.split_once('/')?;
            Some(Self { index: index.parse().ok()?, of: of.parse().ok()? })
        };
        read()
            .filter(|s| (1..=s.of).contains(&s.index))
            .ok_or_else(|| format!("found `{text}`, expected I/N with I from 1 to N, such as 3/16"))
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder of signals.
    pub folder: PathBuf,
    /// Folder for models and index.
    pub out: PathBuf,
    /// How to read the signals.
    pub options: LoadOptions,
    /// Layers of configuration over each signal's defaults.
    pub layers: Vec<Table>,
    /// A part of the jobs; none: all.
    pub shard: Option<Shard>,
    /// Whether jobs that are done are done again.
    pub force: bool,
}

/// A signal to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Name of the file without its extension: the job's id, the same on every machine.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The job.
    pub name: String,
    /// Name of its file.
    pub file: String,
    /// Hash of file and settings: a job whose hash is another is done again.
    pub hash: String,
    /// Why it failed; none: the model is there.
    pub failure: Option<String>,
    /// Samples of the signal.
    pub samples: usize,
    /// Bytes of the model.
    pub bytes: usize,
    /// PSNR in dB, as measured by the runtime.
    pub psnr: f64,
    /// Largest root mean square error of an output.
    pub rmse: f64,
    /// Largest error of an output.
    pub max: f64,
    /// Seconds it took.
    pub seconds: f64,
}

/// How the jobs went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Jobs of this call.
    pub jobs: usize,
    /// Of these, done in an earlier one.
    pub kept: usize,
    /// Names of those that failed, and why.
    pub failed: Vec<(String, String)>,
    /// Names of those without a result.
    pub missing: Vec<String>,
}

/// The signals of `folder`, by name.
///
/// # Errors
/// [`Error::Io`] for no such folder, [`Error::Config`] for none of a known kind in it, or two of the same name.
pub fn list(folder: &Path) -> Result<Vec<Job>> {
    let failed = |source| Error::Io { path: folder.into(), action: "read", source };
    let mut jobs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_stem().map(|s| s.to_string_lossy().into_owned()) else { continue };
        if path.is_file() && !name.starts_with('.') && signal::kind_of(&path).is_some() {
            jobs.push(Job { name, path });
        }
    }
    jobs.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    let refuse = |message: String| Err(Error::Config { field: format!("folder `{}`", folder.display()), message });
    if let Some(pair) = jobs.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let [a, b] = [0, 1].map(|i| pair[i].path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        return refuse(format!(
            "found `{a}` and `{b}`, expected one signal of each name: their models would be one file"
        ));
    }
    if jobs.is_empty() {
        return refuse("found no signals, expected files of png, jpg, tif, csv, tsv, txt, wav or npy".into());
    }
    Ok(jobs)
}

/// Fits every signal of a folder, or of a shard of it; a failure is a row of the index and stops no other.
///
/// # Errors
/// A folder that cannot be read or written, settings that cannot be, [`Error::ComparisonInterrupted`] after Ctrl-C.
pub fn run(request: &Request, interrupt: &AtomicBool, quiet: bool) -> Result<Summary> {
    let settings: String =
        request.layers.iter().map(Table::to_string).collect::<String>() + &format!("{:?}", request.options);
    let work = Work {
        settings: &settings,
        file: &|name| model(&request.out, name),
        make: &|job| fit(job, request, interrupt),
    };
    each(request, &work, interrupt, quiet)
}

/// What is done with every signal.
pub(super) struct Work<'a> {
    /// What it depends on beside the signal's file.
    pub(super) settings: &'a str,
    /// The file it makes of the signal with this name.
    pub(super) file: &'a (dyn Fn(&str) -> PathBuf + Sync),
    /// Makes that file: its bytes, and how good it is; none when interrupted.
    pub(super) make: &'a Make<'a>,
}

/// From a job to the size of its file and the errors there are.
pub(super) type Make<'a> = dyn Fn(&Job) -> Result<Option<(usize, train::Metrics)>> + Sync + 'a;

/// Does `work` for every signal of the folder or of a shard of it that has no result yet, and writes the index.
///
/// # Errors
/// As [`run`].
pub(super) fn each(request: &Request, work: &Work<'_>, interrupt: &AtomicBool, quiet: bool) -> Result<Summary> {
    let all = list(&request.folder)?;
    let mine = |n: usize| request.shard.is_none_or(|s| n % s.of == s.index - 1);
    let jobs: Vec<Job> = all.into_iter().enumerate().filter(|(n, _)| mine(*n)).map(|(_, job)| job).collect();
    let results = request.out.join("results");
    crate::file::make_folder(&results)?;
    let mut kept = 0;
    let mut todo = Vec::new();
    for job in &jobs {
        // A file that cannot be read is a failure of its job.
        let bytes = std::fs::read(&job.path).unwrap_or_default();
        let hash = sha256(&[&bytes, work.settings.as_bytes()].concat());
        let known = read(&results, &job.name).filter(|row| row.hash == hash);
        let there = known.is_some_and(|row| row.failure.is_some() || (work.file)(&job.name).is_file());
        if there && !request.force {
            kept += 1;
        } else {
            todo.push((job.clone(), hash));
        }
    }
    let bar = Bar::new(jobs.len(), kept, quiet);
    let stop = || interrupt.load(Ordering::Relaxed);
    let done = jobs::parallel(&todo, jobs::cores(), &stop, &|(job, hash)| -> Result<()> {
        let Some(row) = one(job, hash, work.make) else { return Ok(()) };
        write_atomically(
            &results.join(format!("{}.json", row.name)),
            &serde_json::to_vec(&row).expect("plain values"),
        )?;
        bar.done(&row);
        Ok(())
    });
    bar.finish();
    done.into_iter().flatten().collect::<Result<()>>()?;
    if stop() {
        return Err(Error::ComparisonInterrupted);
    }
    let mut summary = index(&request.out, &jobs, request.shard)?;
    summary.kept = kept;
    Ok(summary)
}

/// Whether every signal of `folder` has its result in `out`, whatever shard made it; writes the index of all.
///
/// # Errors
/// As [`run`].
pub fn merge(folder: &Path, out: &Path) -> Result<Summary> {
    index(out, &list(folder)?, None)
}

/// The result of a job, unless there is none or it is damaged.
fn read(results: &Path, name: &str) -> Option<Row> {
    serde_json::from_slice(&std::fs::read(results.join(format!("{name}.json"))).ok()?).ok()
}

fn model(out: &Path, name: &str) -> PathBuf {
    out.join(format!("{name}.safetensors"))
}

/// A job from file to model; none when interrupted.
fn one(job: &Job, hash: &str, make: &Make<'_>) -> Option<Row> {
    let started = Instant::now();
    let row = Row {
        name: job.name.clone(),
        file: job.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        hash: hash.into(),
        failure: None,
        samples: 0,
        bytes: 0,
        psnr: 0.0,
        rmse: 0.0,
        max: 0.0,
        seconds: 0.0,
    };
    let row = match make(job) {
        Ok(None) => return None,
        Ok(Some((bytes, found))) => {
            let worst = |f: fn(&train::metrics::OutputError) -> f64| found.outputs.iter().map(f).fold(0.0, f64::max);
            Row {
                samples: found.samples,
                bytes,
                // JSON has no infinity: a constant signal may be fitted without error.
                psnr: found.psnr.min(999.0),
                rmse: worst(|o| o.rmse),
                max: worst(|o| o.max),
                ..row
            }
        }
        Err(error) => Row { failure: Some(error.to_string()), ..row },
    };
    Some(Row { seconds: started.elapsed().as_secs_f64(), ..row })
}

fn fit(job: &Job, request: &Request, interrupt: &AtomicBool) -> Result<Option<(usize, train::Metrics)>> {
    let signal = signal::load(&job.path, &request.options)?;
    let defaults = config::defaults(signal.kind, signal.inputs.len(), signal.len());
    let known = known(&job.path, &request.options, signal.kind);
    // Nobody looks on: one measurement at the end.
    let layers = [defaults].into_iter().chain(request.layers.iter().cloned()).chain([known]);
    let mut config: RunConfig = config::resolve(layers)?;
    config.training.evaluate_every = config.training.steps;
    let mut task = Fit::new(signal, &config)?;
    let subject = task.subject().clone();
    let (network, parameters) = start(&config, &subject.normalization)?;
    let mut engine = engine(EngineChoice::Auto, &network, &parameters, &Device::Cpu)?;
    task.prepare(engine.as_mut())?;
    let outcome =
        train::fit(engine.as_mut(), &config.training, 0, &mut Blind(&mut task), interrupt, &mut Progress::Quiet)?;
    if !outcome.stop.ended()? {
        return Ok(None);
    }
    let dense = fold(&network.dense_f64(&engine.parameters()?), &subject.normalization);
    let description = Description { provenance: config.provenance(outcome.step, "cpu"), ..subject.description };
    let bytes = export::model(&dense, &description, config.export.precision, config.export.math)?;
    let findings = task.findings(load(&bytes)?.as_ref())?;
    let bytes = export::with_error(&bytes, &findings.summary())?;
    write_atomically(&model(&request.out, &job.name), &bytes)?;
    Ok(Some((bytes.len(), findings.all)))
}

/// Writes the index of `jobs` and says how they went.
fn index(out: &Path, jobs: &[Job], shard: Option<Shard>) -> Result<Summary> {
    let results = out.join("results");
    let mut summary = Summary { jobs: jobs.len(), ..Summary::default() };
    let mut text = "name,file,status,samples,bytes,psnr_db,rmse,max,seconds,message\n".to_owned();
    for job in jobs {
        let Some(row) = read(&results, &job.name) else {
            summary.missing.push(job.name.clone());
            continue;
        };
        let quote = |word: &str| format!("\"{}\"", word.replace('"', "\"\"").replace(['\n', '\r'], " "));
        let (status, message) = match &row.failure {
            None => ("ok", String::new()),
            Some(why) => {
                summary.failed.push((row.name.clone(), why.clone()));
                ("failed", quote(why))
            }
        };
        writeln!(
            text,
            "{},{},{status},{},{},{:.3},{:e},{:e},{:.2},{message}",
            quote(&row.name),
            quote(&row.file),
            row.samples,
            row.bytes,
            row.psnr,
            row.rmse,
            row.max,
            row.seconds
        )
        .expect("a string");
    }
    let name = shard.map_or("index.csv".into(), |s| format!("index-{}-of-{}.csv", s.index, s.of));
    write_atomically(&out.join(name), text.as_bytes())?;
    Ok(summary)
}

/// A word on how the jobs go.
struct Bar {
    bar: Option<ProgressBar>,
    state: Mutex<(usize, usize, Instant)>,
    started: Instant,
    total: usize,
    from: usize,
    quiet: bool,
}

impl Bar {
    fn new(total: usize, kept: usize, quiet: bool) -> Self {
        use std::io::IsTerminal;
        if !quiet && kept > 0 {
            eprintln!("{kept} of {total} signals are fitted already");
        }
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total as u64).with_position(kept as u64);
            let template = "{bar:32} {pos}/{len} signals  {msg}  {per_sec}  ETA {eta}";
            bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { bar, state: Mutex::new((kept, 0, now)), started: now, total, from: kept, quiet }
    }

    fn done(&self, row: &Row) {
        let mut state = self.state.lock().expect("no panic holds it");
        state.0 += 1;
        state.1 += usize::from(row.failure.is_some());
        if self.quiet {
            return;
        }
        if let Some(why) = &row.failure {
            let line = format!("{}: {why}", row.name);
            match &self.bar {
                Some(bar) => bar.println(line),
                None => eprintln!("{line}"),
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(state.0 as u64);
            bar.set_message(format!("{} failed; {} {:.1} dB", state.1, row.name, row.psnr));
        } else if state.2.elapsed() >= EVERY {
            state.2 = Instant::now();
            let rate = (state.0 - self.from) as f64 / self.started.elapsed().as_secs_f64();
            let left = (self.total - state.0) as f64 / rate;
            eprintln!(
                "{} of {} signals, {} failed, {rate:.1} signals/s, ETA {left:.0} s",
                state.0, self.total, state.1
            );
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (k, name) in names.iter().enumerate() {
            let rows: String = (0..20).map(|i| format!("{i},{}\n", (f64::from(i) * 0.1 + k as f64).sin())).collect();
            std::fs::write(folder.path().join(name), format!("x,y\n{rows}")).unwrap();
        }
        folder
    }

    fn request(folder: &Path, out: &Path) -> Request {
        Request {
            folder: folder.into(),
            out: out.into(),
            options: LoadOptions::default(),
            layers: vec!["[network]\nhidden = 6\ndepth = 1\n[training]\nsteps = 30".parse().unwrap()],
            shard: None,
            force: false,
        }
    }

    #[test]
    fn a_bad_one_stops_no_other_and_what_is_done_is_not_done_again() {
        let (input, out) = (folder(&["a.csv", "b.csv", "c.csv"]), tempfile::tempdir().unwrap());
        std::fs::write(input.path().join("b.csv"), "x,y\n1,2\n3,abc\n").unwrap();
        std::fs::write(input.path().join("notes.md"), "not a signal").unwrap();
        let request = request(input.path(), out.path());
        let go = AtomicBool::new(false);
        let summary = run(&request, &go, true).unwrap();
        assert_eq!((summary.jobs, summary.kept, summary.missing.len()), (3, 0, 0));
        assert!(summary.failed.len() == 1 && summary.failed[0].0 == "b" && summary.failed[0].1.contains("abc"));
        let text = std::fs::read_to_string(out.path().join("index.csv")).unwrap();
        assert!(text.lines().count() == 4 && text.contains("\"b\",\"b.csv\",failed"), "{text}");
        let file = std::fs::read(out.path().join("a.safetensors")).unwrap();
        assert!(rwf_runtime::Model::new(&file).is_ok() && !out.path().join("b.safetensors").exists());

        // A signal that was mended is done again, the others are kept; the same seed gives the same file.
        std::fs::write(input.path().join("b.csv"), "x,y\n1,2\n3,4\n5,5\n6,5\n7,4\n").unwrap();
        std::fs::remove_file(out.path().join("a.safetensors")).unwrap();
        let again = run(&request, &go, true).unwrap();
        assert!(again.kept == 1 && again.failed.is_empty(), "{again:?}");
        assert_eq!(std::fs::read(out.path().join("a.safetensors")).unwrap(), file);
    }

    #[test]
    fn shards_are_all_jobs_and_merge_knows_what_is_missing() {
        let (input, out) = (folder(&["a.csv", "b.csv", "c.csv", "d.csv", "e.csv"]), tempfile::tempdir().unwrap());
        let mut request = request(input.path(), out.path());
        let go = AtomicBool::new(false);
        request.shard = Some("1/2".parse().unwrap());
        assert_eq!(run(&request, &go, true).unwrap().jobs, 3);
        assert_eq!(merge(input.path(), out.path()).unwrap().missing, ["b", "d"]);
        request.shard = Some("2/2".parse().unwrap());
        assert_eq!(run(&request, &go, true).unwrap().jobs, 2);
        let merged = merge(input.path(), out.path()).unwrap();
        assert!(merged.missing.is_empty() && merged.failed.is_empty());
        assert_eq!(std::fs::read_to_string(out.path().join("index.csv")).unwrap().lines().count(), 6);
        for bad in ["0/2", "3/2", "1", "a/b"] {
            assert!(bad.parse::<Shard>().unwrap_err().contains("3/16"));
        }
    }

    #[test]
    fn two_signals_of_one_name_are_refused_before_anything_runs() {
        let input = folder(&["a.csv", "a.txt"]);
        let error = list(input.path()).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("a.txt"), "{error}");
        let error = list(folder(&[]).path()).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("csv"), "{error}");
    }
}
