//! Fine-tuning with integers in view: the loss is that of the weights on their grid, the gradient moves the trained
//! factors behind them (straight-through; Bengio et al. 2013, Jacob et al. 2018).

use rwf_runtime::{format::Mapping, integer::Bits};

use super::grid;
use crate::{
    engine::Engine,
    error::Result,
    network::{DenseSpec, Network, Parameter, Parameterization, materialize_f64},
    train::Progress,
};

/// Fraction of the run's learning rate to start from; it falls to 0 along half a cosine.
const RATE: f64 = 0.1;

/// The trained numbers that stand for the same network with its narrow layers on their grids.
pub fn on_grid(network: &Network, parameters: &[Parameter], bits: &[Bits]) -> Vec<Parameter> {
    let mut out = parameters.to_vec();
    let first = usize::from(network.architecture.mapping == Mapping::None);
    for (spec, &bits) in network.layers.iter().skip(first).zip(bits) {
        put_on_grid(spec, parameters, bits, &mut out);
    }
    // Encoders behind a mapping are narrow too; their bits are the last.
    if let (0, Some(&bits)) = (first, bits.last()) {
        for spec in &network.encoders {
            put_on_grid(spec, parameters, bits, &mut out);
        }
    }
    out
}

fn put_on_grid(spec: &DenseSpec, parameters: &[Parameter], bits: Bits, out: &mut [Parameter]) {
    let dense = materialize_f64(spec, parameters);
    let width = spec.outputs;
    let mut kernel = dense.kernel.clone();
    for o in 0..width {
        let column: Vec<f64> = dense.kernel.iter().skip(o).step_by(width).copied().collect();
        // Bounds and the bias's share of them are the exporter's business.
        let Some(found) = grid(&column, 0.0, bits) else { continue };
        for (i, q) in found.weights.iter().enumerate() {
            kernel[i * width + o] = found.scale * f64::from(*q);
        }
    }
    if spec.parameterization == Parameterization::WeightNorm {
        // Direction and length are both those of the grid.
        let norm = |o: usize| kernel.iter().skip(o).step_by(width).map(|w| (w / spec.gain).powi(2)).sum::<f64>();
        find(out, spec, "g").values = (0..width).map(|o| norm(o).sqrt() as f32).collect();
        find(out, spec, "v").values = kernel.iter().map(|w| (w / spec.gain) as f32).collect();
        return;
    }
    let weight = find(out, spec, spec.parameterization.weight());
    // Every other form multiplies a neuron's weights by one factor, which the dense weights tell.
    for (o, _) in dense.bias.iter().enumerate() {
        let places = || (0..spec.inputs).map(|i| i * width + o);
        let largest = places().max_by(|&a, &b| dense.kernel[a].abs().total_cmp(&dense.kernel[b].abs()));
        let Some(at) = largest.filter(|&at| dense.kernel[at] != 0.0) else { continue };
        let factor = f64::from(weight.values[at]) / dense.kernel[at];
        for i in places() {
            weight.values[i] = (kernel[i] * factor) as f32;
        }
    }
}

fn find<'a>(parameters: &'a mut [Parameter], spec: &DenseSpec, suffix: &str) -> &'a mut Parameter {
    let name = format!("{}.{suffix}", spec.name);
    parameters.iter_mut().find(|p| p.name == name).expect("a parameter of the network")
}

/// How long and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Steps.
    pub steps: u64,
    /// Learning rate of the run that is continued.
    pub learning_rate: f64,
}

/// Adds the gradients of a step to what an engine gathers and gives the loss.
pub type Gather<'a> = dyn FnMut(&mut dyn Engine, u64) -> Result<f64> + 'a;

/// Moves `parameters` so that the network on its grids makes small what `gather` gathers.
///
/// # Errors
/// Those of the engine.
pub fn tune(
    engine: &mut dyn Engine,
    network: &Network,
    parameters: &mut [Parameter],
    bits: &[Bits],
    plan: Plan,
    gather: &mut Gather<'_>,
    progress: &mut Progress,
) -> Result<()> {
    let count: usize = parameters.iter().map(|p| p.values.len()).sum();
    let (mut first, mut second) = (vec![0.0f64; count], vec![0.0f64; count]);
    for step in 1..=plan.steps {
        engine.set_parameters(&on_grid(network, parameters, bits))?;
        let loss = gather(engine, step)?;
        let gradients = engine.take_gradients()?;
        let at = (step - 1) as f64 / plan.steps as f64;
        let rate = plan.learning_rate * RATE * 0.5 * (1.0 + (std::f64::consts::PI * at).cos());
        let (c1, c2) = (1.0 - 0.9f64.powf(step as f64), 1.0 - 0.999f64.powf(step as f64));
        let mut k = 0;
        for (p, g) in parameters.iter_mut().zip(&gradients) {
            for (p, g) in p.values.iter_mut().zip(&g.values) {
                let g = f64::from(*g);
                first[k] = 0.9 * first[k] + 0.1 * g;
                second[k] = 0.999 * second[k] + 0.001 * g * g;
                *p -= (rate * first[k] / c1 / ((second[k] / c2).sqrt() + 1e-8)) as f32;
                k += 1;
            }
        }
        progress.update(step, loss, None);
    }
    progress.finish();
    engine.set_parameters(parameters)
}
