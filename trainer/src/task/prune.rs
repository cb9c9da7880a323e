//! Fewer neurons: those whose folded weights, in and out, matter least leave the trained factors, and the rest trains on.
//!
//! Source: magnitude of units as in S. Han, J. Pool, J. Tran, W. Dally, "Learning both weights and connections", 2015, here of
//! the folded dense weights, which are all that is left of a network.

use std::path::Path;

use toml::Table;

use super::{observed::start, reopen::reopen};
use crate::{
    engine::{Device, EngineChoice, engine},
    error::{Error, Result},
    fold::fold_with_head,
    network::{DenseNetwork, DenseSpec, Network, Parameter},
    quantize::tune,
    train::{Checkpoint, Progress},
};

/// Part of the run's learning rate that is trained on with, over that of fine-tuning for integers.
const RATE: f64 = 3.0;

/// How many neurons a hidden layer keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keep {
    /// That many.
    Width(usize),
    /// All but that part.
    Part(f64),
}

/// What was left out.
#[derive(Debug, Clone)]
pub struct Report {
    /// Neurons of a hidden layer before and after.
    pub widths: [usize; 2],
    /// Part of the sum of folded norms that left, the largest of any layer.
    pub left: f64,
    /// Why the rest did not train on, where it did not.
    pub untuned: Option<String>,
}

/// Writes the checkpoint at `from` with fewer neurons to `out`, a checkpoint too, after `steps` of training where its signal
/// can be read.
///
/// # Errors
/// A checkpoint of something else than one network, a width that is none, an output that cannot be written.
pub fn run(from: &Path, out: &Path, keep: Keep, steps: u64, quiet: bool) -> Result<Report> {
    let mut checkpoint = Checkpoint::<Table>::read(from)?;
    let (network, _) = start(&checkpoint.config, &checkpoint.normalization)?;
    let before = checkpoint.config.network.hidden;
    let after = match keep {
        Keep::Width(width) => width,
        Keep::Part(part) => ((1.0 - part) * before as f64).round() as usize,
    };
    if after == 0 || after > before {
        let message = format!("found {after} neurons a layer, expected 1 to {before}, as many as there are");
        return Err(Error::Config { field: "--prune".into(), message });
    }
    let dense = fold_with_head(network.dense_f64(&checkpoint.parameters), checkpoint.head, &checkpoint.normalization);
    let (kept, left) = choose(&dense, after);
    checkpoint.parameters = cut(&network, &checkpoint.parameters, &kept);
    checkpoint.config.network.hidden = after;
    checkpoint.moments = Vec::new();
    let (smaller, _) = start(&checkpoint.config, &checkpoint.normalization)?;
    smaller
        .check(&checkpoint.parameters)
        .map_err(|e| Error::Checkpoint { path: from.into(), message: e.to_string() })?;
    let mut untuned = None;
    if steps > 0 {
        match reopen(from, &checkpoint) {
            Err(why) => untuned = Some(why.to_string()),
            Ok(mut task) => {
                let mut engine = engine(EngineChoice::Auto, &smaller, &checkpoint.parameters, &Device::Cpu)?;
                task.prepare(engine.as_mut())?;
                let plan = tune::Plan { steps, learning_rate: RATE * checkpoint.config.training.learning_rate };
                let mut gather = |engine: &mut dyn crate::engine::Engine, step| task.gather(engine, step);
                let mut progress = Progress::new(0, steps, quiet);
                let parameters = &mut checkpoint.parameters;
                // No grids: plain training.
                tune::tune(engine.as_mut(), &smaller, parameters, &[], plan, &mut gather, &mut progress)?;
            }
        }
    }
    checkpoint.write(out)?;
    Ok(Report { widths: [before, after], left, untuned })
}

/// Which neurons every hidden layer keeps, in their order, and the largest part of the norms of a layer that leaves. Layers
/// of a gated network, which are mixed neuron by neuron, keep the same ones.
fn choose(dense: &DenseNetwork, width: usize) -> (Vec<Vec<usize>>, f64) {
    let mut norms: Vec<Vec<f64>> = dense
        .layers
        .windows(2)
        .map(|pair| {
            let (layer, next) = (&pair[0], &pair[1]);
            let norm = |sum: f64| sum.sqrt();
            (0..layer.outputs)
                .map(|j| {
                    let into = layer.kernel.iter().skip(j).step_by(layer.outputs).map(|w| w * w).sum();
                    let out = next.kernel[j * next.outputs..][..next.outputs].iter().map(|w| w * w).sum();
                    norm(into) * norm(out)
                })
                .collect()
        })
        .collect();
    if !dense.encoders.is_empty() {
        let joint: Vec<f64> = (0..dense.layers[0].outputs).map(|j| norms.iter().map(|n| n[j]).sum()).collect();
        norms.iter_mut().for_each(|n| n.clone_from(&joint));
    }
    let mut most_left = 0.0f64;
    let kept = norms
        .iter()
        .map(|norms| {
            let mut order: Vec<usize> = (0..norms.len()).collect();
            order.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]));
            let (kept, gone) = order.split_at(width.min(order.len()));
            let sum = |of: &[usize]| of.iter().map(|&j| norms[j]).sum::<f64>();
            most_left = most_left.max(sum(gone) / (sum(kept) + sum(gone)).max(f64::MIN_POSITIVE));
            let mut kept = kept.to_vec();
            kept.sort_unstable();
            kept
        })
        .collect();
    (kept, most_left)
}

/// A layer, and which of its inputs and outputs stay; none: all.
type Cut<'a> = (&'a DenseSpec, Option<&'a Vec<usize>>, Option<&'a Vec<usize>>);

/// The trained numbers of the neurons in `kept`, a list for every hidden layer.
fn cut(network: &Network, parameters: &[Parameter], kept: &[Vec<usize>]) -> Vec<Parameter> {
    let layers =
        network.layers.iter().enumerate().map(|(n, spec)| (spec, n.checked_sub(1).map(|n| &kept[n]), kept.get(n)));
    let encoders = network.encoders.iter().map(|spec| (spec, None, kept.first()));
    let cuts: Vec<Cut<'_>> = layers.chain(encoders).collect();
    let all = |count: usize| (0..count).collect::<Vec<_>>();
    parameters
        .iter()
        .map(|p| {
            let own = |spec: &DenseSpec| p.name.strip_prefix(&spec.name).is_some_and(|rest| rest.starts_with('.'));
            let Some((spec, rows, columns)) = cuts.iter().find(|(spec, ..)| own(spec)) else { return p.clone() };
            let rows = rows.cloned().unwrap_or_else(|| all(spec.inputs));
            let columns = columns.cloned().unwrap_or_else(|| all(spec.outputs));
            let (shape, values) = match *p.shape.as_slice() {
                [inputs, outputs] if (inputs, outputs) == (spec.inputs, spec.outputs) => {
                    let at = |&i: &usize| columns.iter().map(move |&o| p.values[i * outputs + o]).collect::<Vec<_>>();
                    (vec![rows.len(), columns.len()], rows.iter().flat_map(at).collect())
                }
                [outputs] if outputs == spec.outputs => {
                    (vec![columns.len()], columns.iter().map(|&o| p.values[o]).collect())
                }
                // One number for the layer.
                _ => (p.shape.clone(), p.values.clone()),
            };
            Parameter { name: p.name.clone(), shape, values }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fold::forward_f64,
        network::{ArchitectureKind, MappingConfig, NetworkConfig, Parameterization},
        rng::Rng,
    };

    fn silence(network: &Network, parameters: &mut [Parameter], layer: usize, neuron: usize) {
        let spec = &network.layers[layer + 1];
        let weight = format!("{}.{}", spec.name, spec.parameterization.weight());
        let p = parameters.iter_mut().find(|p| p.name == weight).unwrap();
        p.values[neuron * spec.outputs..][..spec.outputs].fill(0.0);
    }

    /// Neurons that say nothing leave, and the network computes what it did.
    #[test]
    fn neurons_without_weights_leave_and_the_values_stay() {
        for (kind, mapping) in [
            (ArchitectureKind::Siren, MappingConfig::None),
            (ArchitectureKind::Mlp, MappingConfig::Gaussian { frequencies: 6, scale: 1.0 }),
        ] {
            for parameterization in [Parameterization::Plain, Parameterization::default()] {
                let config = NetworkConfig { mapping, parameterization, ..NetworkConfig::new(kind, 8, 2) };
                let (network, mut parameters) =
                    Network::new(&config, 2, 3, &mut Rng::new(5).stream("network")).unwrap();
                let gone = [[1, 4, 6], [0, 3, 7]];
                for (layer, gone) in gone.iter().enumerate() {
                    gone.iter().for_each(|&j| silence(&network, &mut parameters, layer, j));
                }
                let (kept, left) = choose(&network.dense_f64(&parameters), 5);
                assert_eq!(kept, [vec![0, 2, 3, 5, 7], vec![1, 2, 4, 5, 6]]);
                assert_eq!(left, 0.0);
                let cut = cut(&network, &parameters, &kept);
                let narrow = NetworkConfig { hidden: 5, ..config };
                let (smaller, _) = Network::new(&narrow, 2, 3, &mut Rng::new(5).stream("network")).unwrap();
                smaller.check(&cut).unwrap();
                let (a, b) = (network.dense_f64(&parameters), smaller.dense_f64(&cut));
                for x in [[0.3, -0.7], [-0.9, 0.1]] {
                    for (a, b) in forward_f64(&a, &x).iter().zip(forward_f64(&b, &x)) {
                        assert!((a - b).abs() < 1e-12, "{a} {b}");
                    }
                }
            }
        }
    }
}
