//! Steps of L-BFGS over all that is trained, for an observation that stays the same.

use super::{
    StepReport,
    jet::{Gather, JetEngine},
    lbfgs::{Lbfgs, Place},
};
use crate::{
    error::{Error, Result},
    network::Parameter,
};

/// Names of what L-BFGS remembers among the moments: changes of place and of gradients.
const NAMES: [&str; 2] = ["lbfgs.s", "lbfgs.y"];

/// What L-BFGS knows from one step to the next.
#[derive(Debug, Default)]
pub(super) struct Descent {
    memory: Lbfgs,
    /// Where the last step ended, and which function it was of, so that its gradient is not made twice.
    here: Option<(u64, Place)>,
}

/// An engine that a descent moves.
pub(super) trait Descends: JetEngine + Sized {
    /// What L-BFGS knows of it.
    fn descent(&mut self) -> &mut Descent;

    /// The trained numbers, behind each other.
    fn trained(&self) -> Result<Vec<f32>>;

    /// Takes these trained numbers.
    fn place(&mut self, trained: &[f32]) -> Result<()>;

    /// What is gathered, by the trained numbers.
    fn gradient(&mut self) -> Result<Vec<f32>>;
}

/// [`JetEngine::descend`]
pub(super) fn descend<E: Descends>(
    engine: &mut E,
    function: u64,
    beside: &mut [f32],
    gather: &mut Gather<'_>,
) -> Result<Option<StepReport>> {
    let mut descent = std::mem::take(engine.descent());
    let trained = engine.trained()?;
    let x = [trained.as_slice(), beside].concat();
    let own = trained.len();
    let mut look = |x: &[f32]| {
        engine.place(&x[..own])?;
        let (loss, slopes) = gather(engine, &x[own..])?;
        Ok((loss, [engine.gradient()?, slopes].concat()))
    };
    let from = match descent.here.take() {
        Some((of, here)) if of == function && here.x == x => here,
        _ => {
            let (loss, gradient) = look(&x)?;
            Place { x, loss, gradient }
        }
    };
    let to = descent.memory.step(&from, &mut look)?;
    let end = to.as_ref().unwrap_or(&from);
    engine.place(&end.x[..own])?;
    beside.copy_from_slice(&end.x[own..]);
    let report = to.is_some().then(|| {
        let norm = end.gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        StepReport { loss: end.loss, gradient_norm: norm }
    });
    descent.here = Some((function, to.unwrap_or(from)));
    *engine.descent() = descent;
    Ok(report)
}

impl Descent {
    /// What L-BFGS remembers, as moments.
    pub(super) fn memory(&self) -> Vec<Parameter> {
        let pairs = self.memory.len();
        if pairs == 0 {
            return Vec::new();
        }
        let each = NAMES.into_iter().zip(self.memory.memory());
        each.map(|(name, values)| Parameter { name: name.into(), shape: vec![pairs, values.len() / pairs], values })
            .collect()
    }

    /// Takes up what [`Descent::memory`] gave for `trained` numbers, or forgets all.
    pub(super) fn set_memory(&mut self, moments: &[Parameter], trained: usize) -> Result<()> {
        *self = Self::default();
        let [s, y] = NAMES.map(|name| moments.iter().find(|p| p.name == name));
        let (Some(s), Some(y)) = (s, y) else { return Ok(()) };
        let fits = |shape: &[usize]| shape.len() == 2 && shape[1] >= trained;
        if s.shape != y.shape || !fits(&s.shape) {
            let message = format!("found shape {:?}, expected pairs of at least {trained}", s.shape);
            return Err(Error::Config { field: format!("tensor `{}`", NAMES[0]), message });
        }
        self.memory.set_memory(&s.values, &y.values, s.shape[1]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Batch, Engine, FusedEngine, Loss},
        network::{ArchitectureKind, Network, NetworkConfig},
        rng::Rng,
    };

    /// What another function comes to is not what the last one came to.
    #[test]
    fn another_function_is_looked_at_anew() {
        let config = NetworkConfig::new(ArchitectureKind::Mlp, 4, 1);
        let (network, start) = Network::new(&config, 1, 1, &mut Rng::new(3)).unwrap();
        let mut engine = FusedEngine::new(&network, &start).unwrap();
        let mut beside = [0.0f32];
        for (function, goal) in [(0, 2.0f32), (1, 3.0)] {
            let mut looks = Vec::new();
            let mut gather = |_: &mut dyn JetEngine, beside: &[f32]| {
                looks.push(beside[0]);
                let off = beside[0] - goal;
                Ok((f64::from(off * off), vec![2.0 * off]))
            };
            let from = beside[0];
            while engine.descend(function, &mut beside, &mut gather).unwrap().is_some() {}
            assert!((beside[0] - goal).abs() < 1e-3, "{beside:?} {goal}");
            assert_eq!(looks[0], from);
        }
    }

    /// A fit with a number beside it falls at every step, and goes on to the same bits from what is remembered.
    #[test]
    fn a_fit_falls_and_goes_on_to_the_same_bits() {
        let config = NetworkConfig::new(ArchitectureKind::Mlp, 12, 2);
        let (network, start) = Network::new(&config, 1, 1, &mut Rng::new(3)).unwrap();
        let x: Vec<f32> = (0..64).map(|i| i as f32 / 31.5 - 1.0).collect();
        let y: Vec<f32> = x.iter().map(|x| (3.0 * x).sin()).collect();
        let new = |parameters: &[Parameter]| {
            let mut engine = FusedEngine::new(&network, parameters).unwrap();
            engine.load(&x, &y).unwrap();
            engine
        };
        // The number beside is drawn to 2.
        let mut gather = |engine: &mut dyn JetEngine, beside: &[f32]| {
            let loss = engine.observe_batch(Batch::Full, Loss::MeanSquaredError, 1.0)?;
            let off = beside[0] - 2.0;
            Ok((loss + f64::from(off * off), vec![2.0 * off]))
        };
        let (mut engine, mut beside, mut last) = (new(&start), [0.0f32], f64::INFINITY);
        for _ in 0..40 {
            let report = engine.descend(0, &mut beside, &mut gather).unwrap().unwrap();
            assert!(report.loss < last, "{} {last}", report.loss);
            last = report.loss;
        }
        let mut other = new(&engine.parameters().unwrap());
        other.set_moments(&engine.moments().unwrap()).unwrap();
        let mut beside_other = beside;
        for _ in 0..40 {
            let report = engine.descend(0, &mut beside, &mut gather).unwrap();
            assert_eq!(report, other.descend(0, &mut beside_other, &mut gather).unwrap());
            last = report.map_or(last, |r| r.loss);
        }
        assert_eq!(engine.parameters().unwrap(), other.parameters().unwrap());
        assert!(last < 1e-4 && (beside[0] - 2.0).abs() < 1e-3, "{last:e} {beside:?}");
    }
}
