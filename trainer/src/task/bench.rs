//! How long a training step takes, engine beside engine, and how near that is to the machine's matrix products alone.

use std::time::{Duration, Instant};

use crate::{
    engine::{
        AdamStep, Batch, Device, Engine, EngineChoice, JetObservation, Loss, MatmulPrecision, Plan, Wanted, engine,
        peak,
    },
    error::Result,
    network::{ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig, Parameterization},
    rng::Rng,
};

/// A network and a number of points.
#[derive(Debug, Clone)]
pub struct Case {
    /// Letter and words.
    pub name: &'static str,
    network: NetworkConfig,
    inputs: usize,
    outputs: usize,
    /// Points a step.
    pub points: usize,
    /// Whether the loss is the residual of Burgers' equation, which takes derivatives.
    residual: bool,
}

/// What a case took with one engine.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Case.
    pub case: &'static str,
    /// Engine.
    pub engine: &'static str,
    /// Parameterization.
    pub parameterization: &'static str,
    /// Threads.
    pub threads: usize,
    /// Median milliseconds of a step.
    pub median_ms: f64,
    /// Least milliseconds of a step.
    pub min_ms: f64,
    /// Steps timed.
    pub steps: usize,
    /// Matrix products of a step in units of 10^9 operations.
    pub gflop: f64,
    /// Milliseconds these products alone would take at the machine's best rate.
    pub bound_ms: f64,
}

/// The cases, (a) a random field, (b) a picture by Fourier features, (c) and (e) by SIRENs, (d) a differential equation.
pub fn cases() -> Vec<Case> {
    let mlp = |hidden, depth| NetworkConfig {
        activation: Some(ActivationKind::Relu),
        ..NetworkConfig::new(ArchitectureKind::Mlp, hidden, depth)
    };
    let siren = |hidden, depth| NetworkConfig::new(ArchitectureKind::Siren, hidden, depth);
    let mapping = MappingConfig::Gaussian { frequencies: 256, scale: 10.0 };
    vec![
        Case {
            name: "a: 1-128-128-128-1 ReLU",
            network: mlp(128, 3),
            inputs: 1,
            outputs: 1,
            points: 256,
            residual: false,
        },
        Case {
            name: "b: Fourier 512-4x256-3 ReLU",
            network: NetworkConfig { mapping, ..mlp(256, 4) },
            inputs: 2,
            outputs: 3,
            points: 16_384,
            residual: false,
        },
        Case {
            name: "c: SIREN 2-3x256-3",
            network: siren(256, 3),
            inputs: 2,
            outputs: 3,
            points: 65_536,
            residual: false,
        },
        Case {
            name: "d: Burgers 2-4x128-1 tanh",
            network: NetworkConfig { activation: Some(ActivationKind::Tanh), ..mlp(128, 4) },
            inputs: 2,
            outputs: 1,
            points: 4096,
            residual: true,
        },
        Case {
            name: "e: SIREN 2-3x64-3",
            network: siren(64, 3),
            inputs: 2,
            outputs: 3,
            points: 65_536,
            residual: false,
        },
    ]
}

impl Case {
    /// Operations of a step's matrix products: forward, gradients of weights, and of all inputs but the first.
    fn operations(&self, network: &Network) -> f64 {
        let products = network.layers.iter().enumerate().map(|(n, l)| {
            let times = if n == 0 { 2 } else { 3 };
            (2 * times * l.inputs * l.outputs) as f64
        });
        // A value, two first derivatives and a second one.
        let rows = if self.residual { 4 } else { 1 };
        products.sum::<f64>() * (rows * self.points) as f64
    }

    /// Times every engine and parameterization in turn, round by round, for about `seconds` each, beside the best rates of
    /// processor and GPU in 10^9 operations a second.
    ///
    /// # Errors
    /// Those of the engines.
    pub fn run(
        &self,
        (engines, matmul): (&[EngineChoice], MatmulPrecision),
        parameterizations: &[Parameterization],
        threads: usize,
        seconds: f64,
        (best_rate, gpu_rate): (f64, f64),
    ) -> Result<Vec<Timing>> {
        let mut rng = Rng::new(0).stream("bench");
        let mut draw = |n: usize| (0..n).map(|_| rng.symmetric(1.0) as f32).collect::<Vec<f32>>();
        let (x, y) = (draw(self.points * self.inputs), draw(self.points * self.outputs));
        let mut runs: Vec<(Timing, Runner, Vec<f64>)> = Vec::new();
        for &parameterization in parameterizations {
            let config = NetworkConfig { parameterization, ..self.network.clone() };
            let (network, start) = Network::new(&config, self.inputs, self.outputs, &mut Rng::new(0))?;
            let gflop = 1e-9 * self.operations(&network);
            for &choice in engines {
                let on_gpu = choice == EngineChoice::Cuda;
                let device = if on_gpu { Device::Cuda { ordinal: 0, or_cpu: false, matmul } } else { Device::Cpu };
                let engine = match (self.residual, choice) {
                    (false, _) => {
                        let mut engine = engine(choice, &network, &start, &device)?;
                        engine.load(&x, &y)?;
                        Runner::Samples(engine)
                    }
                    // candle carries no derivatives by coordinates.
                    (true, EngineChoice::Candle) => continue,
                    (true, _) => Runner::burgers(engine(choice, &network, &start, &device)?)?,
                };
                let timing = Timing {
                    case: self.name,
                    engine: engine.name(),
                    parameterization: parameterization.name(),
                    threads,
                    median_ms: 0.0,
                    min_ms: 0.0,
                    steps: 0,
                    gflop,
                    bound_ms: 1e3 * gflop / if on_gpu { gpu_rate } else { best_rate },
                };
                runs.push((timing, engine, Vec::new()));
            }
        }
        // Engines take turns, so that a slow moment of the machine meets them all.
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let budget = Duration::from_secs_f64(seconds * runs.len() as f64);
        let started = Instant::now();
        let mut n = 0;
        while n < 4 || started.elapsed() < budget {
            n += 1;
            for (_, engine, times) in &mut runs {
                let clock = Instant::now();
                let steps = engine.step(&x, &adam(n))?;
                times.push(1e3 * clock.elapsed().as_secs_f64() / steps as f64);
            }
        }
        let finish = |(mut timing, _, mut times): (Timing, _, Vec<f64>)| {
            // The first step makes rooms that the others use.
            times.remove(0);
            times.sort_by(f64::total_cmp);
            (timing.median_ms, timing.min_ms, timing.steps) = (times[times.len() / 2], times[0], times.len());
            timing
        };
        Ok(runs.into_iter().map(finish).collect())
    }
}

/// The best rate of matrix products with the threads of the pool at hand, in 10^9 operations a second.
pub fn best_rate() -> f64 {
    // The first is a tile of ours through a layer of case (b); large ones suit the library.
    [(96, 256, 256), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 256, 256)]
        .into_iter()
        .map(|shape| peak(shape, Duration::from_millis(400)))
        .fold(0.0, f64::max)
}

fn adam(step: u64) -> AdamStep {
    AdamStep { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: None, step }
}

/// An engine, and what it makes small.
enum Runner {
    /// Squared error of the loaded samples.
    Samples(Box<dyn Engine>),
    /// The residual of Burgers' equation.
    Burgers { engine: Box<dyn Engine>, plan: Plan, residual: Residual },
}

impl Runner {
    fn burgers(engine: Box<dyn Engine>) -> Result<Self> {
        let wanted = [vec![], vec![0], vec![1], vec![1, 1]].map(Wanted::Partial);
        let (plan, combinations) = Plan::new(&[1.0, 1.0], &wanted)?;
        // Each derivative is a multiple of one row.
        let rows = combinations.iter().map(|c| (c[0].0, c[0].1 as f32)).collect();
        Ok(Self::Burgers { engine, plan, residual: Residual { rows } })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Samples(engine) => engine.name(),
            Self::Burgers { engine, .. } => engine.name(),
        }
    }

    /// As many steps as the engine takes at once; their number.
    fn step(&mut self, x: &[f32], adam: &AdamStep) -> Result<usize> {
        match self {
            Self::Samples(engine) => {
                let count = engine.steps_together();
                engine.steps(&vec![Batch::Full; count], Loss::MeanSquaredError, &vec![*adam; count])?;
                Ok(count)
            }
            Self::Burgers { engine, plan, residual } => {
                engine.jets(&[plan])?.observe_jets(plan, x, residual, 2.0 / x.len() as f64, &mut [])?;
                engine.update(adam)?;
                Ok(1)
            }
        }
    }
}

/// The sum of (u_t + u·u_x - 0.01/π·u_xx)² over points.
struct Residual {
    /// Row and factor of u, u_t, u_x and u_xx.
    rows: Vec<(usize, f32)>,
}

impl JetObservation for Residual {
    fn observe(&self, points: std::ops::Range<usize>, jets: &[f32], cotangents: &mut [f32], _: &mut [f64]) -> f64 {
        const NU: f32 = 0.01 / std::f32::consts::PI;
        let n = points.len();
        let mut sum = 0.0;
        for p in 0..n {
            let [u, u_t, u_x, u_xx] = [0, 1, 2, 3].map(|i| self.rows[i].1 * jets[self.rows[i].0 * n + p]);
            let r = u_t + u * u_x - NU * u_xx;
            for ((row, factor), slope) in self.rows.iter().zip([u_x, 1.0, u, -NU]) {
                cotangents[row * n + p] += 2.0 * r * slope * factor;
            }
            sum += f64::from(r * r);
        }
        sum
    }
}
