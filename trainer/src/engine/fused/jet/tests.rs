use super::*;
use crate::{
    engine::{
        Engine, Wanted,
        contract::samples,
        jet::{
            MAX_ORDER,
            contract::{Mixture, Scaled, every_activation, every_network, everything},
        },
    },
    network::{ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig, Parameter, Parameterization},
    rng::Rng,
    tolerance,
};

fn make(network: &Network, start: &[Parameter]) -> Result<Box<dyn Engine>> {
    Ok(Box::new(FusedEngine::new(network, start)?))
}

#[test]
fn jets_and_their_gradients_equal_the_slow_twin_for_every_network() {
    every_network(&[ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp], MAX_ORDER, make);
}

#[test]
fn jets_and_their_gradients_equal_the_slow_twin_for_every_activation() {
    every_activation(MAX_ORDER, make);
}

#[test]
fn one_neuron_has_the_derivatives_of_its_closed_form() {
    // u = sin(2π(0.3x - 0.2y)·…): the mixed derivatives of sin(a·x + b·y) are powers of a and b times a wave.
    let config = NetworkConfig {
        mapping: MappingConfig::None,
        parameterization: Parameterization::Plain,
        output_activation: ActivationKind::Sine,
        omega0_first: std::f64::consts::TAU,
        ..NetworkConfig::new(ArchitectureKind::Mlp, 1, 0)
    };
    let (network, mut start) = Network::new(&config, 2, 1, &mut Rng::new(0)).unwrap();
    let (a, b) = (0.3f32, -0.2f32);
    start[0].values = vec![a, b];
    let mut engine = make(&network, &start).unwrap();
    let wanted = everything(MAX_ORDER);
    let (plan, combinations) = Plan::new(&[1.0, 1.0], &wanted).unwrap();
    struct Closed<'a>(&'a Mixture, &'a [Wanted], [f64; 2], [f64; 2]);
    impl JetObservation for Closed<'_> {
        fn observe(&self, _: Range<usize>, jets: &[f32], _: &mut [f32], _: &mut [f64]) -> f64 {
            let ([a, b], [x, y]) = (self.2, self.3);
            let phase = a * x + b * y;
            for (found, wanted) in self.0.values(jets, 1, 0, 0).iter().zip(self.1) {
                let expected = match wanted {
                    Wanted::Laplacian(_) => -(a * a + b * b) * phase.sin(),
                    Wanted::Partial(axes) => {
                        let factor: f64 = axes.iter().map(|&i| [a, b][i]).product();
                        factor * (phase + axes.len() as f64 * std::f64::consts::FRAC_PI_2).sin()
                    }
                };
                assert!(
                    (found - expected).abs() < tolerance::JET * (1.0 + expected.abs()),
                    "{wanted:?} {found} {expected}"
                );
            }
            1.0
        }
    }
    let tau = std::f64::consts::TAU;
    let mixture = Mixture { combinations, outputs: 1 };
    let x = [0.4f32, -0.7];
    let closed = Closed(&mixture, &wanted, [tau * f64::from(a), tau * f64::from(b)], x.map(f64::from));
    assert_eq!(engine.jets(&[&plan]).unwrap().look(&plan, &x, &closed, 0).unwrap(), 1.0);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let config = NetworkConfig::new(ArchitectureKind::ModifiedMlp, 20, 2);
    let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
    let (plan, combinations) = Plan::new(&[1.0, 1.0], &everything(MAX_ORDER)).unwrap();
    let sizes = vec![1.0; combinations.len()];
    let mixture = Mixture { combinations, outputs: 2 };
    let (x, _) = samples(333);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut engine = FusedEngine::new(&network, &start).unwrap();
            let sum = engine.observe_jets(&plan, &x, &Scaled(&mixture, &sizes), 1.0, &mut [0.0]).unwrap();
            (sum, engine.take_gradients().unwrap())
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn values_of_jets_are_those_of_the_engine() {
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 24, 3);
    let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(3)).unwrap();
    let mut engine = FusedEngine::new(&network, &start).unwrap();
    let (plan, _) = Plan::new(&[1.0, 1.0], &[Wanted::Partial(vec![])]).unwrap();
    let (x, _) = samples(64);
    struct Same(Vec<f32>);
    impl JetObservation for Same {
        fn observe(&self, points: Range<usize>, jets: &[f32], _: &mut [f32], _: &mut [f64]) -> f64 {
            for (a, b) in jets.iter().zip(&self.0[points.start * 2..]) {
                assert!(f64::from((a - b).abs()) < tolerance::FORWARD, "{a} {b}");
            }
            points.len() as f64
        }
    }
    let same = Same(engine.forward(&x).unwrap());
    assert_eq!(engine.look(&plan, &x, &same, 0).unwrap(), 64.0);
}

/// Squares of values alone, without any line through the points.
struct Squares;

impl JetObservation for Squares {
    fn observe(&self, _: Range<usize>, jets: &[f32], cotangents: &mut [f32], _: &mut [f64]) -> f64 {
        cotangents.iter_mut().zip(jets).for_each(|(c, j)| *c = 2.0 * j);
        jets.iter().map(|&j| f64::from(j) * f64::from(j)).sum()
    }
}

/// A plan of values alone sees what the values' own pass sees, through every mapping.
#[test]
fn values_alone_are_those_of_the_plain_pass() {
    let (plan, _) = Plan::new(&[1.0, 1.0], &[Wanted::Partial(Vec::new())]).unwrap();
    let mut rng = Rng::new(3);
    let x: Vec<f32> = (0..2 * 37).map(|_| rng.symmetric(1.0) as f32).collect();
    for mapping in [
        MappingConfig::None,
        MappingConfig::Gaussian { frequencies: 5, scale: 1.0 },
        MappingConfig::PositionalOctaves { levels: 2, raw: true },
        MappingConfig::Periodic { harmonics: 2, waves: 3, scale: 1.0 },
    ] {
        let config = NetworkConfig { mapping, ..NetworkConfig::new(ArchitectureKind::Mlp, 9, 2) };
        let (network, start) = Network::new(&config, 2, 1, &mut Rng::new(0)).unwrap();
        let mut engine = FusedEngine::new(&network, &start).unwrap();
        let expected: f64 = engine.forward(&x).unwrap().iter().map(|&y| f64::from(y) * f64::from(y)).sum();
        let found = engine.observe_jets(&plan, &x, &Squares, 1.0, &mut []).unwrap();
        assert!((found / expected - 1.0).abs() < tolerance::FORWARD, "{mapping:?}: {found} {expected}");
    }
}
