//! `rwf fit --flash`: the best network within a budget, by successive halving (Karnin, Koren, Somekh 2013; Jamieson and
//! Talwalkar 2016): many short trainings, few long ones.
//!
//! ```text
//! candidates -> round 0: all -> round 1: the best third -> round 2: a third of these, and the best one smaller
//!            -> the best, trained as `rwf fit` would -> model, certificate, report
//! ```

mod budget;
mod candidate;
mod live;
mod state;
#[cfg(test)]
mod tests;
mod trial;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub use budget::{Budget, Goal, Measure};
use candidate::resized;
pub use candidate::{Candidate, candidates};
use image::RgbImage;
use live::Live;
use state::State;
use toml::Table as Toml;
pub use trial::{Outcome, Study};

use super::{
    certify::{self, Case},
    fit::{Fit, known},
    observed::{self, Observed, Place},
    quantize as integers,
};
use crate::{
    bound::Effort,
    certificate::{self, Certificate},
    compare::{Block, Report, Table},
    config::{self, RunConfig},
    cost::Cost,
    error::{Error, Result},
    evaluate,
    export::{self, Description},
    file::write_atomically,
    fold::Normalization,
    jobs,
    plot::{Chart, Line, Spacing, Stroke},
    quantize::{Ration, Weights},
    signal::{self, LoadOptions, Signal},
    train::{Metrics, metrics::short},
};

/// Rounds before the last training, and the share of the time each takes.
const ROUNDS: [f64; 3] = [0.2, 0.2, 0.2];
/// Share of the time of the last training; what is left is for measuring, certificate and report.
const LAST: f64 = 0.25;
/// Of this many candidates one is in the next round.
const KEPT: usize = 3;
/// Steps that no training goes below: fewer say nothing.
const LEAST_STEPS: u64 = 40;
/// Candidates of the second round that are tried in finer weights too.
const FINER: usize = 4;
/// Shares of the budget at which the best family is tried too, for the frontier.
const PARTS: [f64; 3] = [0.5, 0.25, 0.125];
/// Share of the last training that fine-tunes integers.
const TUNING: f64 = 0.2;
/// The model of the best trial so far, in the search's folder.
const BEST: &str = "best.safetensors";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// File of the signal.
    pub input: PathBuf,
    /// Model file to write; the search's folder lies beside it.
    pub out: PathBuf,
    /// How to read the signal.
    pub options: LoadOptions,
    /// Layers of configuration over the defaults.
    pub layers: Vec<Toml>,
    /// Limits.
    pub budget: Budget,
    /// What is made small.
    pub goal: Goal,
    /// Time for everything.
    pub minutes: f64,
    /// Whether an earlier search and model may be replaced.
    pub force: bool,
}

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// The network.
    pub candidate: Candidate,
    /// Its file's certificate.
    pub certificate: Certificate,
    /// What it costs.
    pub cost: Cost,
    /// The goal's error over all samples.
    pub error: f64,
    /// Lines for people.
    pub text: String,
    /// Whether the goal is met; true where there is none.
    pub met: bool,
}

/// Searches, trains the best, and writes model, certificate and report.
///
/// # Errors
/// Bad input, a budget that nothing fits, [`Error::ComparisonInterrupted`] after Ctrl-C: the same call goes on.
pub fn run(request: &Request, place: Place<'_>, interrupt: &AtomicBool, quiet: bool) -> Result<Found> {
    request.goal.check()?;
    if !(request.minutes > 0.0 && request.minutes.is_finite()) {
        let message = format!("found {}, expected above 0", request.minutes);
        return Err(Error::Config { field: "--minutes".into(), message });
    }
    let signal = signal::load(&request.input, &request.options)?;
    let folder = request.out.with_extension("search");
    let of = format!("{:?} {} {:?} {:?}", request.input, hash(&signal), request.budget, request.goal);
    let kept = if request.force { None } else { State::open(&folder, &of)? };
    if kept.is_none() && request.out.exists() && !request.force {
        let message = format!("`{}` is there already; `--force` replaces it", request.out.display());
        return Err(Error::Config { field: "output".into(), message });
    }
    crate::file::make_folder(&folder)?;
    let mut search = Search::new(request, &signal, kept.unwrap_or_else(|| State::new(of)), folder, interrupt, quiet)?;
    search.rounds()?;
    search.finish(place)
}

fn hash(signal: &Signal) -> String {
    let all = signal.coordinates_f32().into_iter().chain(signal.values.iter().copied());
    format!("{:016x}", observed::hash(all))
}

/// Networks and what came of them.
fn table(outcomes: &[&Outcome], goal: &Goal) -> Table {
    let header = ["network", "steps", "flash", "memory", "multiply-adds", "error"].map(String::from).to_vec();
    let rows = outcomes.iter().map(|o| {
        let numbers = [o.steps as usize, o.flash, o.ram, o.macs].map(|n| n.to_string());
        let mut row = vec![o.candidate.words()];
        row.extend(numbers);
        row.push(goal.words(o.error));
        row
    });
    Table { header, rows: rows.collect() }
}

/// Runs `work` with a flag that is raised after `limit`, or with `interrupt`.
fn until<R>(limit: Duration, interrupt: &AtomicBool, work: impl FnOnce(&AtomicBool) -> R) -> R {
    let (stop, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if interrupt.load(Ordering::Relaxed) || began.elapsed() >= limit {
                    stop.store(true, Ordering::Relaxed);
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let result = work(&stop);
        done.store(true, Ordering::Relaxed);
        result
    })
}

struct Search<'a> {
    request: &'a Request,
    signal: &'a Signal,
    layers: Vec<Toml>,
    normalization: Normalization,
    description: Description,
    state: State,
    folder: PathBuf,
    began: Instant,
    before: f64,
    interrupt: &'a AtomicBool,
    quiet: bool,
    live: Mutex<Live>,
}

impl<'a> Search<'a> {
    fn new(
        request: &'a Request,
        signal: &'a Signal,
        state: State,
        folder: PathBuf,
        interrupt: &'a AtomicBool,
        quiet: bool,
    ) -> Result<Self> {
        let mut layers = vec![config::defaults(signal.kind, signal.inputs.len(), signal.len())];
        // A budget is for the whole signal: nothing is held out unless it is asked for.
        layers.push("[signal]\nvalidation = 0.0".parse().expect("constant text"));
        layers.extend(request.layers.iter().cloned());
        layers.push(known(&request.input, &request.options, signal.kind));
        let config: RunConfig = config::resolve(layers.iter().cloned())?;
        let task = Fit::new(signal.clone(), &config)?;
        let subject = task.subject();
        Ok(Self {
            request,
            signal,
            normalization: subject.normalization.clone(),
            description: subject.description.clone(),
            layers,
            before: state.spent,
            state,
            folder,
            began: Instant::now(),
            interrupt,
            quiet,
            live: Mutex::new(Live::new(quiet)),
        })
    }

    fn study(&self) -> Study<'_> {
        Study { signal: self.signal, layers: &self.layers, goal: self.request.goal }
    }

    fn say(&self, line: &str) {
        self.live.lock().expect("no panic holds it").say(line);
    }

    fn seconds(&self) -> f64 {
        60.0 * self.request.minutes
    }

    /// All rounds, those that are done already left out.
    fn rounds(&mut self) -> Result<()> {
        for rung in 0..ROUNDS.len() {
            if self.state.rungs.len() == rung {
                let planned = self.plan(rung)?;
                self.state.rungs.push(planned);
                self.state.write(&self.folder)?;
            }
            self.round(rung)?;
        }
        Ok(())
    }

    /// Who is in round `rung`, and for how many steps.
    fn plan(&mut self, rung: usize) -> Result<Vec<(Candidate, u64)>> {
        let cores = jobs::cores() as f64;
        let chosen: Vec<Candidate> = if rung == 0 {
            let all = candidates(&self.request.budget, &self.normalization, &self.description);
            if all.is_empty() {
                return Err(self.impossible());
            }
            self.say(&format!(
                "{} networks within {}; {} minutes on {} core(s)",
                all.len(),
                self.request.budget.words(),
                self.request.minutes,
                jobs::cores()
            ));
            let study = self.study();
            let pace = jobs::parallel(&all, jobs::cores(), &|| false, &|c| study.pace(c));
            self.state.pace = pace.into_iter().flatten().collect::<Result<_>>()?;
            all
        } else {
            let mut done: Vec<&Outcome> = self.state.outcomes.iter().filter(|o| o.rung == rung - 1).collect();
            done.sort_by(|a, b| a.error.total_cmp(&b.error));
            let keep = done.len().div_ceil(KEPT);
            let mut chosen: Vec<Candidate> = done[..keep].iter().map(|o| o.candidate.clone()).collect();
            if rung == 1 {
                // The same in weights that nothing is lost by, or less than by half floats, for the best of each family.
                let sibling = |(candidate, weights): (&Candidate, &str)| {
                    let candidate = Candidate { weights: weights.into(), ..candidate.clone() };
                    resized(&candidate, &self.request.budget, &self.normalization, &self.description)
                };
                let finer = chosen.iter().take(FINER).flat_map(|c| ["int16", "f32"].map(|weights| (c, weights)));
                let finer: Vec<Candidate> = finer.filter_map(sibling).filter(|c| !chosen.contains(c)).collect();
                chosen.extend(finer);
            }
            if rung + 1 == ROUNDS.len() {
                let smaller = PARTS.iter().filter_map(|&part| {
                    let budget = self.request.budget.part(part);
                    resized(&chosen[0], &budget, &self.normalization, &self.description)
                });
                let smaller: Vec<Candidate> = smaller.collect();
                chosen.extend(smaller);
            }
            let mut seen: Vec<Candidate> = Vec::new();
            chosen.retain(|c| {
                !seen.contains(c) && {
                    seen.push(c.clone());
                    true
                }
            });
            chosen
        };
        let each = self.seconds() * ROUNDS[rung] * cores.min(chosen.len() as f64) / chosen.len() as f64;
        let planned = chosen.into_iter().enumerate().map(|(n, candidate)| {
            let pace = if rung == 0 { self.state.pace[n] } else { self.pace(&candidate) };
            let steps = ((each / pace) as u64).max(LEAST_STEPS);
            (candidate, steps)
        });
        Ok(planned.collect())
    }

    /// Seconds of a step of one thread: as measured, for another width or other weights as for the slowest of the family.
    fn pace(&self, candidate: &Candidate) -> f64 {
        let slowest = |all: &mut dyn Iterator<Item = f64>| all.fold(1e-6, f64::max);
        let first = self.state.rungs.first().map_or(&[][..], |first| first.as_slice());
        let known = || first.iter().zip(&self.state.pace);
        if let Some((_, pace)) = known().find(|((c, _), _)| c == candidate) {
            return *pace;
        }
        let family = known().filter(|((c, _), _)| c.family() == candidate.family());
        let found = slowest(&mut family.map(|(_, pace)| *pace));
        if found > 1e-6 { found } else { slowest(&mut self.state.pace.iter().copied()) }
    }

    fn round(&mut self, rung: usize) -> Result<()> {
        let planned = self.state.rungs[rung].clone();
        let missing: Vec<&(Candidate, u64)> =
            planned.iter().filter(|(c, _)| self.state.outcome(rung, c).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let limit = self.seconds() * ROUNDS[rung] * jobs::cores().min(planned.len()) as f64 / planned.len() as f64;
        let limit = Duration::from_secs_f64(1.2 * limit + 0.5);
        self.say(&format!("round {}: {} networks, {:.0} s each at most", rung + 1, planned.len(), limit.as_secs_f64()));
        let study = Study { signal: self.signal, layers: &self.layers, goal: self.request.goal };
        let state = Mutex::new(self.state.clone());
        let (folder, began, before, live) = (&self.folder, self.began, self.before, &self.live);
        let total = planned.len();
        let stop = || self.interrupt.load(Ordering::Relaxed);
        let results = jobs::parallel(&missing, jobs::cores(), &stop, &|(candidate, steps)| -> Result<bool> {
            let Some((outcome, file)) = study.run(candidate, (rung, *steps), limit, self.interrupt)? else {
                return Ok(false);
            };
            let mut state = state.lock().expect("no panic holds it");
            if outcome.error.is_finite() && state.outcomes.iter().all(|o| outcome.error < o.error) {
                write_atomically(&folder.join(BEST), &file)?;
            }
            let done = state.outcomes.iter().filter(|o| o.rung == rung).count() + 1;
            let error = if outcome.error.is_finite() { study.goal.words(outcome.error) } else { "broke".into() };
            let line = format!("  {done:>2}/{total} {:<44} {:>7} steps  {error}", candidate.words(), outcome.steps);
            state.outcomes.push(outcome);
            live.lock().expect("no panic holds it").trial(&line, &|| table(&state.frontier(), &study.goal).text());
            state.spent = before + began.elapsed().as_secs_f64();
            state.write(folder)?;
            Ok(true)
        });
        self.state = state.into_inner().expect("no panic held it");
        // Whoever finished first, the order is that of the plan.
        let place = |o: &Outcome| (o.rung, planned.iter().position(|(c, _)| *c == o.candidate));
        self.state.outcomes.sort_by_key(place);
        for result in results {
            result.transpose()?;
        }
        if stop() {
            return Err(Error::ComparisonInterrupted);
        }
        let frontier = || table(&self.state.frontier(), &self.request.goal).text();
        self.live.lock().expect("no panic holds it").round(&frontier);
        self.picture()?;
        Ok(())
    }

    fn impossible(&self) -> Error {
        let unlimited = Budget::default();
        let least = candidates(&unlimited, &self.normalization, &self.description);
        let smallest = least
            .into_iter()
            .filter_map(|mut candidate| {
                candidate.network.hidden = 1;
                candidate.cost_of(&self.normalization, &self.description).ok().map(|cost| (cost, candidate))
            })
            .min_by_key(|(cost, _)| cost.flash);
        let hint = smallest.map_or_else(String::new, |(cost, candidate)| {
            format!(
                "; the smallest there is, {}, takes {} bytes of flash, {} of memory and {} multiply-adds",
                candidate.words(),
                cost.flash,
                cost.ram,
                cost.macs
            )
        });
        Error::Config {
            field: "budget".into(),
            message: format!("found {}, which no network fits{hint}", self.request.budget.words()),
        }
    }

    /// Trains the best for what time is left, and writes everything.
    fn finish(self, place: Place<'_>) -> Result<Found> {
        let last = ROUNDS.len() - 1;
        let mut final_round: Vec<&Outcome> = self.state.outcomes.iter().filter(|o| o.rung == last).collect();
        final_round.sort_by(|a, b| a.error.total_cmp(&b.error));
        let best = final_round.first().filter(|o| o.error.is_finite()).ok_or_else(|| {
            Error::Training("every network that was tried broke; try --lr 1e-4, or look at the signal's values".into())
        })?;
        let candidate = best.candidate.clone();
        self.say(&format!("training {}", candidate.words()));
        let weights = candidate.weights()?;
        let integer = matches!(weights, Weights::Integer(_));
        let left = (self.seconds() - self.before - self.began.elapsed().as_secs_f64()).max(0.0);
        let budget = (self.seconds() * LAST).min(0.8 * left);
        // The pace of all threads, and of whatever else this machine does now.
        let pace = self.study().pace(&candidate)?;
        let share = if integer { 1.0 - TUNING } else { 1.0 };
        let steps = ((budget * share / pace) as u64).max(LEAST_STEPS);
        let config = self.study().config(&candidate, steps, steps.div_ceil(10))?;
        let task = Box::new(Fit::new(self.signal.clone(), &config)?);
        let out = &self.request.out;
        let request = observed::Request::New { task, config: Box::new(config), out: out.clone(), force: true };
        // A machine that slows down ends the training early rather than late.
        let limit = Duration::from_secs_f64((0.9 * left * share).max(1.0));
        let report = until(limit, self.interrupt, |stop| observed::run::<Fit>(request, place, stop, self.quiet))?;
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::ComparisonInterrupted);
        }
        if let Weights::Integer(width) = weights {
            // A step of tuning costs some half more than one of training.
            let tuning = (budget * TUNING / (1.5 * pace)).ceil() as u64;
            let bits = (width, Ration::default());
            integers::run(&report.folder.join("checkpoint.safetensors"), out, bits, tuning, self.quiet)?;
        }
        match self.better()? {
            Some(trial) => self.write(trial, None),
            None => self.write(candidate, Some(&report.folder)),
        }
    }

    /// A machine that became slow leaves little time for the last training: where it ended worse than the best trial, the
    /// model of that takes its place. Who that was.
    fn better(&self) -> Result<Option<Candidate>> {
        let out = &self.request.out;
        let measured = |file: &[u8]| -> Result<Metrics> {
            let model = evaluate::open(file).map_err(|e| Error::Training(e.to_string()))?;
            Ok(Metrics::new(&self.signal.outputs, &model.values(&self.signal.coordinates_f32()), &self.signal.values))
        };
        // A folder of a search that knew no such file has none.
        let Ok(trial) = crate::file::read(&self.folder.join(BEST)) else { return Ok(None) };
        let (of_trial, of_last) = (measured(&trial)?, measured(&crate::file::read(out)?)?);
        let [better, worse] = [&of_trial, &of_last].map(|m| self.request.goal.error(m));
        let best = self.state.outcomes.iter().min_by(|a, b| a.error.total_cmp(&b.error));
        let Some(best) = best.filter(|_| better < worse) else { return Ok(None) };
        self.say(&format!(
            "the last training came to {}, {} in round {} to {}: its model is taken",
            self.request.goal.words(worse),
            best.candidate.words(),
            best.rung + 1,
            self.request.goal.words(better)
        ));
        write_atomically(out, &export::with_error(&trial, &of_trial.summary())?)?;
        Ok(Some(best.candidate.clone()))
    }

    /// Certificate, budget and report of the model that is written; `run` is the folder it was trained in, unless it was a
    /// trial.
    fn write(self, candidate: Candidate, run: Option<&Path>) -> Result<Found> {
        let Request { out, input, options, budget, goal, .. } = self.request;
        let case = Case { model: out.clone(), input: input.clone(), options: options.clone() };
        // The bound may take what time is left, at some 2e9 multiply-adds a second and core.
        let left = self.seconds() - self.before - self.began.elapsed().as_secs_f64();
        let effort = Effort {
            until: Some(Instant::now() + Duration::from_secs_f64(0.8 * left.clamp(1.0, 60.0))),
            ..Effort::default()
        };
        let certified = certify::certify(&case, effort, run, Some(&self.folder.join("certificate")))?;
        let file = crate::file::read(out)?;
        let cost = Cost::of(&file).map_err(Error::Training)?;
        let error = self.error(&certified.certificate);
        let met = goal.limit().is_none_or(|limit| error <= limit);
        if !budget.holds(&cost) {
            return Err(Error::Training(format!("the model is outside the budget: {cost:?}, {}", budget.words())));
        }
        let mut text = format!(
            "{}: {} over all samples\n{}{} bytes of flash (file: {} bytes), {} bytes of memory, {} multiply-adds\n",
            candidate.words(),
            goal.words(error),
            certified.table,
            cost.flash,
            cost.file,
            cost.ram,
            cost.macs
        );
        if let Some(limit) = goal.limit().filter(|_| !met) {
            text += &format!(
                "the goal is not met: {}, asked for {}. {}\n",
                goal.words(error),
                goal.words(limit),
                self.needs(limit)
            );
        }
        self.report(&text)?.write(&self.folder)?;
        let run = run.map_or(String::new(), |run| format!(", {}/", run.display()));
        text += &format!("wrote {}{run} and {}/report.html", out.display(), self.folder.display());
        Ok(Found { candidate, certificate: certified.certificate, cost, error, text, met })
    }

    /// The goal's error by the figures of a certificate.
    fn error(&self, certificate: &Certificate) -> f64 {
        let worst = |f: fn(&certificate::Figures) -> f64| certificate.outputs.iter().map(f).fold(0.0, f64::max);
        match self.request.goal.measure {
            Measure::Max => worst(|o| o.max),
            Measure::Rmse => worst(|o| o.rms),
            Measure::Psnr => {
                let parts = certificate.outputs.iter().zip(&self.signal.outputs);
                let square: f64 = parts.map(|(o, q)| (o.rms / (q.hi - q.lo)).powi(2)).sum();
                (square / self.signal.outputs.len() as f64).sqrt()
            }
        }
    }

    /// Flash that would do, if the error goes on as along the frontier.
    fn needs(&self, limit: f64) -> String {
        let points: Vec<(f64, f64)> =
            self.state.frontier().iter().map(|o| ((o.flash as f64).ln(), o.error.ln())).collect();
        let n = points.len() as f64;
        let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
        let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>()
            / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
        if points.len() < 3 || slope.is_nan() || slope > -0.1 {
            return "More bytes did not help in this search: try more --minutes".into();
        }
        let needed = (mx + (limit.ln() - my) / slope).exp();
        format!(
            "Going on along the frontier (error falls by bytes to the power {slope:.1}) it would need about {} bytes of flash",
            short(needed)
        )
    }

    /// frontier.png: every network at its latest round.
    fn picture(&self) -> Result<RgbImage> {
        let goal = &self.request.goal;
        let points = |all: &[&Outcome]| -> Vec<(f64, f64)> {
            all.iter().filter(|o| o.error.is_finite()).map(|o| (o.flash as f64, o.error)).collect()
        };
        let line = |name: &str, points, colour, stroke| Line { name: name.into(), points, colour, stroke };
        let what = match goal.measure {
            Measure::Max => "largest error",
            Measure::Rmse => "RMS error",
            Measure::Psnr => "error in parts of the range",
        };
        let mut lines = vec![
            line("tried", points(&self.state.latest()), 1, Stroke::Points),
            line("frontier", points(&self.state.frontier()), 0, Stroke::Solid),
        ];
        if let (Some(limit), Some(flash)) = (goal.limit(), self.request.budget.flash) {
            lines.push(line("asked for", vec![(flash as f64 / 10.0, limit), (flash as f64, limit)], 2, Stroke::Dashed));
        }
        let chart = Chart {
            title: format!("{}: error against bytes", self.signal.name),
            x: ("bytes of flash".into(), Spacing::Logarithmic),
            y: (what.into(), Spacing::Logarithmic),
            lines,
        };
        let picture = chart.draw()?;
        crate::plot::save_png(&self.folder.join("frontier.png"), &picture)?;
        Ok(picture)
    }

    fn report(&self, text: &str) -> Result<Report> {
        let goal = &self.request.goal;
        let picture = self.picture()?;
        self.csv()?;
        Ok(Report {
            title: format!("Search within {} for {}", self.request.budget.words(), self.signal.name),
            blocks: vec![
                Block::Text(text.trim_end().replace('\n', "; ")),
                Block::Figure("frontier".into(), "Every network at its latest round".into(), picture),
                Block::Table(table(&self.state.latest(), goal)),
                Block::Text("The certificate lies in `certificate/`, every trial in `search.json`.".into()),
            ],
        })
    }

    fn csv(&self) -> Result<()> {
        let mut text = "network,round,steps,seconds,flash,memory,multiply_adds,error\n".to_owned();
        for o in &self.state.outcomes {
            text += &format!(
                "{},{},{},{:.2},{},{},{},{:e}\n",
                o.candidate.words(),
                o.rung + 1,
                o.steps,
                o.seconds,
                o.flash,
                o.ram,
                o.macs,
                o.error
            );
        }
        write_atomically(&self.folder.join("trials.csv"), text.as_bytes())
    }
}
