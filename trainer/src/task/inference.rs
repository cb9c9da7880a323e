//! How long the runtime takes on the workstation for one point and for many, with a device's bits and without.

use std::time::{Duration, Instant};

use rwf_runtime::{
    Aligned, Model,
    format::{MathBackend, Precision},
};

use crate::{
    error::{Error, Result},
    evaluate,
    export::{self, Description},
    fold::{Normalization, fold},
    network::{ActivationKind, ArchitectureKind, Network, NetworkConfig},
    rng::Rng,
};

/// Points of a batch.
pub const BATCH: usize = 65_536;
/// Calls timed together where one point is evaluated: a clock's tick is too long for one.
const CALLS: usize = 1000;

/// A network that is evaluated.
#[derive(Debug, Clone)]
pub struct InferenceCase {
    /// Word, and sizes.
    pub name: &'static str,
    network: NetworkConfig,
}

/// How points were evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// [`Model::eval`], point by point.
    Point,
    /// [`Model::eval_batch`] in one thread.
    Batch,
    /// [`Model::eval_batch_fused`] in one thread: other bits than a device's.
    Fused,
    /// [`evaluate::evaluate`] in all threads of the pool at hand.
    Threads,
}

/// What it took.
#[derive(Debug, Clone)]
pub struct InferenceTiming {
    /// Case.
    pub case: &'static str,
    /// Way.
    pub path: Path,
    /// Median nanoseconds a point.
    pub median_ns: f64,
    /// Least nanoseconds a point.
    pub min_ns: f64,
}

impl Path {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "one point",
            Self::Batch => "batch",
            Self::Fused => "batch, fused",
            Self::Threads => "batch, all threads",
        }
    }

    /// Whether a single point is evaluated at a time.
    pub fn is_one_point(self) -> bool {
        self == Self::Point
    }
}

/// A SIREN of case (e)'s size and a small ReLU network.
pub fn cases() -> [InferenceCase; 2] {
    let relu =
        NetworkConfig { activation: Some(ActivationKind::Relu), ..NetworkConfig::new(ArchitectureKind::Mlp, 32, 2) };
    [
        InferenceCase { name: "siren 2-64-64-64-3", network: NetworkConfig::new(ArchitectureKind::Siren, 64, 3) },
        InferenceCase { name: "relu 2-32-32-3", network: relu },
    ]
}

impl InferenceCase {
    /// Times every path in turn, round by round, for about `seconds` each.
    ///
    /// # Errors
    /// [`Error::Training`] when the network cannot be made a file.
    pub fn run(&self, seconds: f64) -> Result<Vec<InferenceTiming>> {
        let bytes = Aligned::new(&self.file()?);
        let model = Model::new(&bytes).map_err(|e| Error::Training(format!("cannot load its own file: {e}")))?;
        let mut rng = Rng::new(0).stream("inference");
        let x: Vec<f32> = (0..2 * BATCH).map(|_| rng.symmetric(1.0) as f32).collect();
        let mut y = vec![0.0; 3 * BATCH];
        let mut scratch = vec![0.0; model.batch_scratch_len()];
        let mut once = |path: Path| {
            let ends = |_| unreachable!("lengths come from the model");
            let clock = Instant::now();
            match path {
                Path::Point => x[..2 * CALLS].chunks_exact(2).zip(y.chunks_exact_mut(3)).for_each(|(x, y)| {
                    model.eval(std::hint::black_box(x), y, &mut scratch).unwrap_or_else(ends);
                }),
                Path::Batch => model.eval_batch(&x, &mut y, &mut scratch).unwrap_or_else(ends),
                Path::Fused => model.eval_batch_fused(&x, &mut y, &mut scratch).unwrap_or_else(ends),
                Path::Threads => y = evaluate::evaluate(&model, &x),
            }
            std::hint::black_box(&mut y);
            let points = if path.is_one_point() { CALLS } else { BATCH };
            1e9 * clock.elapsed().as_secs_f64() / points as f64
        };
        let mut all = [Path::Point, Path::Batch, Path::Fused, Path::Threads].map(|path| (path, Vec::new()));
        let budget = Duration::from_secs_f64(seconds * all.len() as f64);
        let started = Instant::now();
        while all[0].1.len() < 5 || started.elapsed() < budget {
            all.iter_mut().for_each(|(path, times)| times.push(once(*path)));
        }
        let finish = |(path, mut times): (Path, Vec<f64>)| {
            times.sort_by(f64::total_cmp);
            InferenceTiming { case: self.name, path, median_ns: times[times.len() / 2], min_ns: times[0] }
        };
        Ok(all.into_iter().map(finish).collect())
    }

    /// The network at its start as a model file.
    fn file(&self) -> Result<Vec<u8>> {
        let (network, start) = Network::new(&self.network, 2, 3, &mut Rng::new(0))?;
        let dense = fold(&network.dense_f64(&start), &Normalization::identity(2, 3));
        let description = Description {
            signal: "bench".into(),
            inputs: "x[] -1 1;y[] -1 1".into(),
            outputs: "r[] -1 1;g[] -1 1;b[] -1 1".into(),
            grid: None,
            error: None,
            provenance: "not trained".into(),
        };
        export::model(&dense, &description, Precision::F32, MathBackend::Polynomial)
    }
}
