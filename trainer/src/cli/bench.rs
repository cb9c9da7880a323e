//! `rwf bench`

use std::path::PathBuf;

use crate::{
    engine::{EngineChoice, MatmulPrecision, cuda, has_cuda_driver},
    error::{Error, Result},
    network::Parameterization,
    task::{
        bench::{Timing, best_rate, cases},
        inference::{self, InferenceTiming},
        peers::{self, PeerInference, PeerTiming},
    },
};

/// Whom to race.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Against {
    /// JAX and PyTorch, with --inference LiteRT, by our scripts
    Python,
}

/// Time training steps, engine beside engine, against the machine's matrix products; or the runtime's evaluation
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  rwf bench\n  rwf bench --cases a,e --threads 2 --params rwf,plain --seconds 5\n  \
    rwf bench --engines fused --against python --python venv/bin/python\n  \
    rwf bench --inference --against python --python venv/bin/python\n\n\
    The bound is the time of the step's matrix products alone at the best rate measured in this run."
)]
pub(super) struct Args {
    /// Cases by letter
    #[arg(long, value_delimiter = ',', default_value = "a,b,c,d,e")]
    cases: Vec<char>,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Engines [default: fused, candle, and cuda where there is a GPU]
    #[arg(long, value_delimiter = ',')]
    engines: Vec<EngineChoice>,
    /// What a CUDA GPU rounds the factors of matrix products to; its bound is the one of f32 all the same
    #[arg(long, value_enum, default_value_t)]
    matmul_precision: MatmulPrecision,
    /// Parameterizations
    #[arg(long, value_delimiter = ',', default_value = "rwf", value_parser = super::words::parameterization)]
    params: Vec<Parameterization>,
    /// Seconds for each engine, parameterization and case
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Time the runtime's evaluation of one point and of 65,536 instead of training
    #[arg(long, conflicts_with_all = ["cases", "engines", "params"])]
    inference: bool,
    /// Time the same elsewhere, in the same run
    #[arg(long)]
    against: Option<Against>,
    /// Python with the packages of trainer/benches/peers/requirements.txt
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let bad = |field: &str, message: String| Err(Error::Config { field: field.into(), message });
    if args.threads.contains(&0) {
        return bad("--threads", "found 0, expected at least 1".into());
    }
    if !(args.seconds > 0.0 && args.seconds < 3600.0) {
        return bad("--seconds", format!("found {}, expected above 0 and below 3600", args.seconds));
    }
    if args.inference {
        return infer(args);
    }
    let known = cases();
    let letter = |name: &str| name.chars().next().unwrap_or_default();
    if let Some(found) = args.cases.iter().find(|c| known.iter().all(|k| letter(k.name) != **c)) {
        return bad("--cases", format!("found `{found}`, expected a, b, c, d, e"));
    }
    let (mut engines, asked) = (args.engines.clone(), !args.engines.is_empty());
    if !asked {
        engines = vec![EngineChoice::Fused, EngineChoice::Candle];
    }
    let mut gpu_rate = f64::NAN;
    if engines.contains(&EngineChoice::Cuda) || !asked && has_cuda_driver() {
        match cuda(0) {
            Ok((name, rate)) => {
                println!("{name}: {rate:.0} GFLOP/s at most, 32 steps handed over at once");
                gpu_rate = rate;
                if !asked {
                    engines.push(EngineChoice::Cuda);
                }
            }
            Err(reason) if asked => return Err(reason),
            Err(reason) => eprintln!("without cuda: {reason}"),
        }
    }
    println!(
        "{:<28} {:>7} {:<8} {:<10} {:>10} {:>10} {:>9} {:>10} {:>9} {:>6}",
        "case", "threads", "engine", "param", "median ms", "min ms", "GFLOP/s", "bound ms", "x bound", "steps"
    );
    for &threads in &args.threads {
        let pool = pool(threads)?;
        let mut ours = Vec::new();
        pool.install(|| -> Result<()> {
            let rate = best_rate();
            println!("matrix products, {threads} thread(s): {rate:.0} GFLOP/s at best");
            for case in known.iter().filter(|c| args.cases.contains(&letter(c.name))) {
                let timings =
                    case.run((&engines, args.matmul_precision), &args.params, threads, args.seconds, (rate, gpu_rate))?;
                timings.iter().for_each(print);
                ours.extend(timings);
            }
            Ok(())
        })?;
        if args.against == Some(Against::Python) {
            let theirs =
                peers::training(&args.python, &args.cases, threads, args.seconds, engines == [EngineChoice::Cuda])?;
            theirs.iter().for_each(|peer| print_peer(peer, &ours));
        }
    }
    Ok(())
}

/// Times the runtime, and others beside it.
fn infer(args: &Args) -> Result<()> {
    println!("{:<22} {:>7} {:<20} {:>12} {:>12}", "case", "threads", "path", "median ns", "min ns");
    for &threads in &args.threads {
        let pool = pool(threads)?;
        let mut ours = Vec::new();
        for case in inference::cases() {
            let timings = pool.install(|| case.run(args.seconds))?;
            for t in timings.iter().filter(|t| threads == 1 || t.path == inference::Path::Threads) {
                let (path, median, least) = (t.path.name(), t.median_ns, t.min_ns);
                println!("{:<22} {threads:>7} {path:<20} {median:>12.1} {least:>12.1}", t.case);
            }
            ours.extend(timings);
        }
        if args.against == Some(Against::Python) {
            let words: Vec<&str> = inference::cases().iter().filter_map(|c| c.name.split(' ').next()).collect();
            let theirs = peers::inference(&args.python, &words, threads, args.seconds)?;
            theirs.iter().for_each(|peer| print_inference(peer, &ours));
        }
    }
    Ok(())
}

/// A peer's line, with how many times longer it took than we do for the same number of points in as many threads.
fn print_inference(peer: &PeerInference, ours: &[InferenceTiming]) {
    use inference::Path;
    let one = peer.path == Path::Point.name();
    let same = ours.iter().filter(|t| t.case.starts_with(&peer.case) && t.path.is_one_point() == one);
    let comparable = same.filter(|t| one || (t.path == Path::Threads) == (peer.threads > 1));
    let ratios: Vec<String> =
        comparable.map(|t| format!("{:.2} times {}", peer.median_ns / t.median_ns, t.path.name())).collect();
    println!(
        "{:<22} {:>7} {:<20} {:>12.1} {:>12.1}   {}",
        peer.case,
        peer.threads,
        format!("{}, {}", peer.peer, peer.path),
        peer.median_ns,
        peer.min_ns,
        ratios.join(", ")
    );
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Training(format!("cannot start {threads} threads: {e}")))
}

fn print(t: &Timing) {
    println!(
        "{:<28} {:>7} {:<8} {:<10} {:>10.3} {:>10.3} {:>9.1} {:>10.3} {:>9.2} {:>6}",
        t.case,
        t.threads,
        t.engine,
        t.parameterization,
        t.median_ms,
        t.min_ms,
        1e3 * t.gflop / t.median_ms,
        t.bound_ms,
        t.median_ms / t.bound_ms,
        t.steps
    );
}

/// A peer's line, with how many times longer it took than our fastest engine with RWF layers.
fn print_peer(peer: &PeerTiming, ours: &[Timing]) {
    let same = ours.iter().filter(|t| t.case.starts_with(&peer.case) && t.parameterization == "rwf");
    let ratio = match same.map(|t| t.median_ms).min_by(f64::total_cmp) {
        Some(ms) => format!("{:.2} times ours", peer.median_ms / ms),
        None => String::new(),
    };
    println!(
        "{:<28} {:>7} {:<19} {:>10.3} {:>10.3}   {ratio}",
        peer.case, peer.threads, peer.peer, peer.median_ms, peer.min_ms
    );
}
