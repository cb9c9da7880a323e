//! What the whole-pipeline tests share: networks trained a little and folded into files.

pub mod wmm;

use candle_core::Device;
use rwf_runtime::format::{MathBackend, Precision};
use rwf_trainer::{
    engine::{AdamStep, Batch, CandleEngine, Engine, Loss},
    export::{self, Description},
    fold::{Normalization, fold},
    network::{ActivationKind, ArchitectureKind, DenseNetwork, MappingConfig, Network, NetworkConfig},
    rng::Rng,
};

/// A network after some steps of training on a smooth signal of two inputs and three outputs.
pub struct Trained {
    /// The engine it was trained by.
    pub engine: CandleEngine,
    /// Physical units it is folded into.
    pub normalization: Normalization,
}

/// Points spread over [-1, 1] x [-1, 1], `[n, 2]`.
pub fn points(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed).stream("points");
    (0..2 * n).map(|_| rng.symmetric(1.0) as f32).collect()
}

impl Trained {
    /// `config` after `steps` steps of Adam.
    pub fn new(config: &NetworkConfig, steps: u64) -> Self {
        let (network, start) = Network::new(config, 2, 3, &mut Rng::new(7)).expect("a possible network");
        let mut engine = CandleEngine::new(&network, &start, &Device::Cpu).expect("the CPU is there");
        let x = points(64, 1);
        let y: Vec<f32> = x
            .chunks_exact(2)
            .flat_map(|p| [(3.0 * p[0]).sin() * p[1], 0.5 * p[0] - p[1] * p[1], (p[0] + p[1]).cos()])
            .collect();
        engine.load(&x, &y).expect("memory");
        for step in 1..=steps {
            let adam = AdamStep {
                learning_rate: 1e-3,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                clip: None,
                step,
            };
            engine.step(Batch::Full, Loss::MeanSquaredError, &adam).expect("a step");
        }
        let normalization = Normalization {
            input_centre: vec![15.5, -40.0],
            input_half: vec![16.0, 8.0],
            output_centre: vec![127.5, 0.0, 300.0],
            output_half: vec![127.5, 1.0, 20.0],
            mask: None,
        };
        Self { engine, normalization }
    }

    /// Its dense layers, in the network's own units.
    pub fn dense(&self) -> DenseNetwork {
        self.engine.dense().expect("dense layers")
    }

    /// Its model file in physical units, over a grid of 32 x 16 cells.
    pub fn file(&self, precision: Precision, math: MathBackend) -> Vec<u8> {
        let dense = fold(&self.dense(), &self.normalization);
        export::model(&dense, &description(), precision, math).expect("finite weights")
    }

    /// Physical coordinates of points in the network's own, `[n, 2]`.
    pub fn physical(&self, x: &[f32]) -> Vec<f32> {
        let n = &self.normalization;
        let unit = |(i, &x): (usize, &f32)| (n.input_centre[i % 2] + n.input_half[i % 2] * f64::from(x)) as f32;
        x.iter().enumerate().map(unit).collect()
    }
}

/// The three networks whose bits are compared between host and emulator.
pub fn showcases() -> [(&'static str, NetworkConfig); 3] {
    let siren = NetworkConfig::new(ArchitectureKind::Siren, 24, 3);
    let fourier = NetworkConfig {
        activation: Some(ActivationKind::Relu),
        mapping: MappingConfig::Gaussian { frequencies: 16, scale: 3.0 },
        output_activation: ActivationKind::Sigmoid,
        ..NetworkConfig::new(ArchitectureKind::Mlp, 24, 2)
    };
    let modified = NetworkConfig {
        mapping: MappingConfig::PositionalOctaves { levels: 3, raw: true },
        ..NetworkConfig::new(ArchitectureKind::ModifiedMlp, 20, 2)
    };
    [("siren", siren), ("fourier-relu", fourier), ("modified-mlp", modified)]
}

/// What a [`Trained`] network's file tells of its signal: two inputs, three outputs, a grid of 32 x 16 cells.
pub fn description() -> Description {
    Description {
        signal: "image".into(),
        inputs: "x[px] -0.5 31.5;y[mm] -48 -32".into(),
        outputs: "a 0 255;b -1 1;c[K] 280 320".into(),
        grid: Some("cell first 32 16".into()),
        error: None,
        provenance: "a test".into(),
    }
}
