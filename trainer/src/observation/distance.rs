//! The signed distance to a surface: its values where they are known, and slope 1 everywhere.

use std::ops::Range;

use crate::{
    engine::{Engine, JetObservation, Observation, Plan, Wanted},
    error::Result,
};

/// Errors below this count by their square, above by their size, in units of half the domain.
const KNEE: f32 = 5e-3;

/// Mean over points of a pseudo-Huber error of the distance, plus `eikonal` times (|∇f| - 1)² (Gropp et al. 2020), f and
/// x in the same unit.
#[derive(Debug, Clone, Copy)]
pub struct SignedDistance<'a> {
    /// Distances, `[n]`.
    target: &'a [f32],
    eikonal: f32,
}

impl<'a> SignedDistance<'a> {
    /// With these distances.
    pub fn new(target: &'a [f32], eikonal: f64) -> Self {
        Self { target, eikonal: eikonal as f32 }
    }

    /// Gathers value and slope at `x` `[n, 3]` through the jets of `engine`; the loss comes back.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn observe_slopes(&self, engine: &mut dyn Engine, x: &[f32]) -> Result<f64> {
        let plan = Self::plan()?;
        engine.jets(&[&plan])?.observe_jets(&plan, x, self, 1.0, &mut [])
    }

    /// The value and its three first derivatives, a row each.
    ///
    /// # Errors
    /// None that there are.
    pub fn plan() -> Result<Plan> {
        let wanted: Vec<Wanted> = (0..3).map(|axis| Wanted::Partial(vec![axis])).collect();
        Ok(Plan::new(&[1.0; 3], &wanted)?.0)
    }

    /// Share of one point with value `f` in the loss, and its derivative.
    fn value(&self, at: usize, f: f32) -> (f32, f32) {
        let error = f - self.target[at];
        let root = (error * error + KNEE * KNEE).sqrt();
        let share = 1.0 / self.target.len() as f32;
        (share * (root - KNEE), share * error / root)
    }
}

/// Values alone.
impl Observation for SignedDistance<'_> {
    fn group(&self) -> usize {
        1
    }

    fn pull(&self, first: usize, y: &[f32], dy: &mut [f32]) -> f64 {
        let mut sum = 0.0;
        for (n, (y, dy)) in y.iter().zip(dy).enumerate() {
            let (loss, slope) = self.value(first + n, *y);
            sum += f64::from(loss);
            *dy = slope;
        }
        sum
    }
}

/// Values and slopes.
impl JetObservation for SignedDistance<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32], _: &mut [f64]) -> f64 {
        let n = points.len();
        let weight = self.eikonal / self.target.len() as f32;
        let mut sum = 0.0;
        for p in 0..n {
            let (loss, slope) = self.value(points.start + p, jets[p]);
            sum += f64::from(loss);
            cotangents[p] = slope;
            let gradient: [f32; 3] = std::array::from_fn(|k| jets[(k + 1) * n + p]);
            let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
            sum += f64::from(weight * (norm - 1.0) * (norm - 1.0));
            for (k, g) in gradient.iter().enumerate() {
                // A flat place has no direction to become steep in.
                cotangents[(k + 1) * n + p] = if norm > 0.0 { 2.0 * weight * (norm - 1.0) * g / norm } else { 0.0 };
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::FusedEngine,
        fold::forward_f64,
        network::{
            ActivationKind, ArchitectureKind, MappingConfig, Network, NetworkConfig, Parameter, materialize_from,
        },
        rng::Rng,
        tolerance,
    };

    /// The loss in f64, slopes by central differences.
    fn oracle(network: &Network, trained: &[(String, Vec<f64>)], x: &[f32], d: &[f32], eikonal: f64) -> f64 {
        let find = |name: &str| trained.iter().find(|(n, _)| n == name).expect("a tensor").1.clone();
        let dense = network.dense_by(&|spec| materialize_from(spec, &find));
        let knee = f64::from(KNEE);
        let each = x.chunks_exact(3).zip(d).map(|(x, d)| {
            let at: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            let error = forward_f64(&dense, &at)[0] - f64::from(*d);
            let slope = |k: usize| {
                let moved = |h: f64| {
                    let mut to = at.clone();
                    to[k] += h;
                    forward_f64(&dense, &to)[0]
                };
                (moved(1e-5) - moved(-1e-5)) / 2e-5
            };
            let norm = (0..3).map(|k| slope(k).powi(2)).sum::<f64>().sqrt();
            (error * error + knee * knee).sqrt() - knee + eikonal * (norm - 1.0).powi(2)
        });
        each.sum::<f64>() / d.len() as f64
    }

    #[test]
    fn loss_and_gradients_are_those_of_differences() {
        let mut rng = Rng::new(1);
        // Not a whole number of lanes, and more than a tile.
        let n = 133;
        let x: Vec<f32> = (0..3 * n).map(|_| rng.symmetric(1.0) as f32).collect();
        let d: Vec<f32> = (0..n).map(|_| rng.symmetric(0.5) as f32).collect();
        let siren =
            NetworkConfig { omega0: 3.0, omega0_first: 3.0, ..NetworkConfig::new(ArchitectureKind::Siren, 6, 2) };
        let mapped = NetworkConfig {
            mapping: MappingConfig::Gaussian { frequencies: 4, scale: 0.5 },
            activation: Some(ActivationKind::Gelu),
            ..NetworkConfig::new(ArchitectureKind::Mlp, 6, 2)
        };
        for config in [siren, mapped] {
            for eikonal in [0.0, 0.3] {
                let (network, start) = Network::new(&config, 3, 1, &mut Rng::new(3)).unwrap();
                let mut engine = FusedEngine::new(&network, &start).unwrap();
                let observation = SignedDistance::new(&d, eikonal);
                let loss = if eikonal == 0.0 {
                    Engine::observe(&mut engine, &x, &observation, 1.0).unwrap()
                } else {
                    observation.observe_slopes(&mut engine, &x).unwrap()
                };
                let found: Vec<Parameter> = engine.take_gradients().unwrap();
                let wide = |p: &Parameter| (p.name.clone(), p.values.iter().map(|&v| f64::from(v)).collect());
                let mut trained: Vec<(String, Vec<f64>)> = start.iter().map(wide).collect();
                let expected = oracle(&network, &trained, &x, &d, eikonal);
                assert!((loss - expected).abs() < tolerance::JET * expected, "{loss} {expected}");
                for (k, gradient) in found.iter().enumerate() {
                    let largest = gradient.values.iter().fold(1e-4f64, |m, g| m.max(f64::from(g.abs())));
                    // A few of each tensor: every one costs hundreds of evaluations.
                    for i in (0..gradient.values.len()).step_by(gradient.values.len().div_ceil(5)) {
                        let at = trained[k].1[i];
                        let mut moved = |to: f64| {
                            trained[k].1[i] = to;
                            oracle(&network, &trained, &x, &d, eikonal)
                        };
                        let slope = (moved(at + 1e-4) - moved(at - 1e-4)) / 2e-4;
                        trained[k].1[i] = at;
                        let error = (f64::from(gradient.values[i]) - slope).abs() / largest;
                        assert!(error < tolerance::JET_GRADIENT, "{} {i}: {error:e}", gradient.name);
                    }
                }
            }
        }
    }
}
