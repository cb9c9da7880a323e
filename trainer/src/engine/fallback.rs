//! A GPU that nobody insists on: what fails there, or is not there, goes on on the CPU, which is said once.

use super::{
    AdamStep, Batch, DeepOnetEngine, DenseGradient, Engine, FusedEngine, Gather, JetEngine, JetObservation, Loss,
    MatmulPrecision, Observation, Plan, StepReport,
};
use crate::{
    error::{Error, Result},
    network::{DenseNetwork, Network, Parameter},
    rng::Rng,
    tolerance,
};

/// Points at which GPU and CPU must agree before the GPU is trusted.
const POINTS: usize = 64;

/// What `gpu` makes where it works and agrees with the CPU, else the CPU's engine.
///
/// # Errors
/// Those of the CPU's engine.
pub(super) fn engine<E: Engine + 'static>(
    network: &Network,
    parameters: &[Parameter],
    matmul: MatmulPrecision,
    gpu: impl FnOnce() -> Result<E>,
) -> Result<Box<dyn Engine>> {
    let mut cpu = FusedEngine::new(network, parameters)?;
    let found = gpu().and_then(|mut gpu| {
        check(network, &mut gpu, &mut cpu, matmul)?;
        Ok(gpu)
    });
    match found {
        Ok(gpu) => Ok(Box::new(Preferred { now: Box::new(gpu), cpu: Some(Box::new(cpu)), samples: None })),
        Err(reason) => {
            say(&reason);
            Ok(Box::new(cpu))
        }
    }
}

fn say(reason: &dyn std::fmt::Display) {
    eprintln!("on the CPU: {reason}");
}

/// Whether loss and gradients of both are the same at some points.
fn check(network: &Network, gpu: &mut dyn Engine, cpu: &mut dyn Engine, matmul: MatmulPrecision) -> Result<()> {
    let mut rng = Rng::new(0).stream("agree");
    let mut draw = |n: usize| (0..n * POINTS).map(|_| rng.uniform() as f32).collect::<Vec<f32>>();
    let (x, y) = (draw(network.architecture.inputs), draw(network.architecture.outputs()));
    let run = |engine: &mut dyn Engine| {
        engine.load(&x, &y)?;
        engine.loss_and_gradients(Batch::Full, Loss::MeanSquaredError)
    };
    let ((loss, found), (expected_loss, expected)) = (run(gpu)?, run(cpu)?);
    let mut off = (loss / expected_loss - 1.0).abs();
    for (found, expected) in found.iter().zip(&expected) {
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let pairs = found.values.iter().zip(&expected.values);
        let size = square(&mut expected.values.iter().copied());
        let difference = square(&mut pairs.map(|(a, b)| a - b)) / (size + 1e-6);
        // A NaN must not pass.
        off = if difference.is_finite() { off.max(difference) } else { f64::INFINITY };
    }
    if off < tolerance::devices(matmul) {
        return Ok(());
    }
    Err(Error::Device(format!(
        "the GPU's loss and gradients differ from the CPU's by {off:.1e}, expected at most {:.0e}: it is not used",
        tolerance::devices(matmul)
    )))
}

/// The GPU's engine until something fails there.
struct Preferred {
    now: Box<dyn Engine>,
    /// What takes over.
    cpu: Option<Box<FusedEngine>>,
    /// What is loaded.
    samples: Option<(Vec<f32>, Vec<f32>)>,
}

impl Preferred {
    /// Goes on on the CPU; `reason` comes back where that is so already or the GPU no longer tells its numbers.
    fn give_up(&mut self, reason: Error) -> Result<()> {
        let Some(mut cpu) = self.cpu.take().filter(|_| matches!(reason, Error::Device(_))) else { return Err(reason) };
        let (Ok(parameters), Ok(moments)) = (self.now.parameters(), self.now.moments()) else { return Err(reason) };
        cpu.set_parameters(&parameters)?;
        cpu.set_moments(&moments)?;
        if let Some((x, y)) = &self.samples {
            cpu.load(x, y)?;
        }
        say(&reason);
        self.now = cpu;
        Ok(())
    }

    fn attempt<T>(&mut self, run: impl Fn(&mut dyn Engine) -> Result<T>) -> Result<T> {
        match run(self.now.as_mut()) {
            Err(reason) => {
                self.give_up(reason)?;
                run(self.now.as_mut())
            }
            done => done,
        }
    }
}

impl Engine for Preferred {
    fn name(&self) -> &'static str {
        self.now.name()
    }

    fn jets(&mut self, plans: &[&Plan]) -> Result<&mut dyn JetEngine> {
        if let Some(reason) = self.now.jets(plans).err() {
            self.give_up(Error::Device(reason.to_string()))?;
        }
        Ok(self)
    }

    fn operator(&mut self) -> Option<&mut DeepOnetEngine> {
        None
    }

    fn steps_together(&self) -> usize {
        self.now.steps_together()
    }

    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()> {
        self.samples = self.cpu.is_some().then(|| (x.to_vec(), y.to_vec()));
        self.attempt(|e| e.load(x, y))
    }

    fn observe_batch(&mut self, batch: Batch<'_>, loss: Loss, weight: f64) -> Result<f64> {
        self.attempt(|e| e.observe_batch(batch, loss, weight))
    }

    fn observe(&mut self, x: &[f32], observation: &dyn Observation, weight: f64) -> Result<f64> {
        self.attempt(|e| e.observe(x, observation, weight))
    }

    fn observe_dense(&mut self, gradients: &[DenseGradient]) -> Result<()> {
        self.now.observe_dense(gradients)
    }

    fn take_gradients(&mut self) -> Result<Vec<Parameter>> {
        self.now.take_gradients()
    }

    fn update(&mut self, adam: &AdamStep) -> Result<f64> {
        self.now.update(adam)
    }

    fn steps(&mut self, batches: &[Batch<'_>], loss: Loss, adam: &[AdamStep]) -> Result<Vec<StepReport>> {
        self.attempt(|e| e.steps(batches, loss, adam))
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.now.forward(x)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        self.now.parameters()
    }

    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        self.now.set_parameters(parameters)
    }

    fn moments(&self) -> Result<Vec<Parameter>> {
        self.now.moments()
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        self.now.set_moments(moments)
    }

    fn dense(&self) -> Result<DenseNetwork> {
        self.now.dense()
    }
}

impl JetEngine for Preferred {
    fn observe_jets(
        &mut self,
        plan: &Plan,
        x: &[f32],
        observation: &dyn JetObservation,
        weight: f64,
        extra: &mut [f64],
    ) -> Result<f64> {
        let (sum, own) = self.attempt(|e| {
            let mut own = vec![0.0; extra.len()];
            let sum = e.jets(&[plan])?.observe_jets(plan, x, observation, weight, &mut own)?;
            Ok((sum, own))
        })?;
        extra.iter_mut().zip(own).for_each(|(all, one)| *all += one);
        Ok(sum)
    }

    fn look(&mut self, plan: &Plan, x: &[f32], observation: &dyn JetObservation, extra: usize) -> Result<f64> {
        self.attempt(|e| e.jets(&[plan])?.look(plan, x, observation, extra))
    }

    fn descend(&mut self, function: u64, beside: &mut [f32], gather: &mut Gather<'_>) -> Result<Option<StepReport>> {
        self.now.jets(&[])?.descend(function, beside, gather)
    }
}
