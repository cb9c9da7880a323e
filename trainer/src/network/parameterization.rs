//! From what is trained to dense weights, and back at the start.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{DenseSpec, HostDense, Parameter};
use crate::{error::Result, rng::Rng};

/// How often an adaptive activation has its slope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// One a layer.
    #[default]
    Layer,
    /// One a neuron.
    Neuron,
}

/// What of the factorization's scale is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Its logarithm s: W = diag(exp(s))·V, as in the paper.
    #[default]
    Log,
    /// Itself: W = diag(g)·V with g = exp(s) at the start, as in the authors' library jaxpi.
    Direct,
}

/// How the dense weight of a layer is made. Rows of the literature's W are columns of a kernel `[in, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Parameterization {
    /// W and b themselves.
    Plain,
    /// a·W and a·b, so that the activation is act(a·(Wx + b)) (Jagtap et al. 2020).
    AdaptiveActivation {
        /// How many slopes.
        #[serde(default)]
        per: Per,
    },
    /// g·V/‖V‖ per neuron (Salimans and Kingma 2016).
    WeightNorm,
    /// diag(exp(s))·V (Wang, Wang, Seidman, Perdikaris 2022).
    RandomWeightFactorization {
        /// What of the scale is trained.
        #[serde(default)]
        scale: Scale,
        /// Mean of s at the start.
        #[serde(default = "mu")]
        mu: f64,
        /// Standard deviation of s at the start.
        #[serde(default = "sigma")]
        sigma: f64,
    },
}

fn mu() -> f64 {
    1.0
}
fn sigma() -> f64 {
    0.1
}

impl Default for Parameterization {
    fn default() -> Self {
        Self::RandomWeightFactorization { scale: Scale::Log, mu: mu(), sigma: sigma() }
    }
}

impl Parameterization {
    /// Every form with the paper's settings, for comparisons and tests.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::AdaptiveActivation { per: Per::Layer },
        Self::AdaptiveActivation { per: Per::Neuron },
        Self::WeightNorm,
        Self::RandomWeightFactorization { scale: Scale::Log, mu: 1.0, sigma: 0.1 },
        Self::RandomWeightFactorization { scale: Scale::Direct, mu: 1.0, sigma: 0.1 },
    ];

    /// Short name, as the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::AdaptiveActivation { per: Per::Layer } => "aa",
            Self::AdaptiveActivation { per: Per::Neuron } => "aa-neuron",
            Self::WeightNorm => "wn",
            Self::RandomWeightFactorization { scale: Scale::Log, .. } => "rwf",
            Self::RandomWeightFactorization { scale: Scale::Direct, .. } => "rwf-direct",
        }
    }

    /// The form with this short name and the paper's settings.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// Name of the tensor trained beside the weights, and its length; `None` for plain weights.
    pub fn extra(self, outputs: usize) -> Option<(&'static str, usize)> {
        match self {
            Self::Plain => None,
            Self::AdaptiveActivation { per: Per::Layer } => Some(("a", 1)),
            Self::AdaptiveActivation { per: Per::Neuron } => Some(("a", outputs)),
            Self::WeightNorm => Some(("g", outputs)),
            Self::RandomWeightFactorization { scale: Scale::Log, .. } => Some(("s", outputs)),
            Self::RandomWeightFactorization { scale: Scale::Direct, .. } => Some(("g", outputs)),
        }
    }

    /// Name of the tensor that holds the weights or their direction.
    pub fn weight(self) -> &'static str {
        match self {
            Self::Plain | Self::AdaptiveActivation { .. } => "w",
            Self::WeightNorm | Self::RandomWeightFactorization { .. } => "v",
        }
    }

    /// What is trained, so that the dense weight is W0: the weight tensor `[in, out]` and what stands beside it.
    pub fn factorize(self, w0: &[f64], outputs: usize, rng: &mut Rng) -> (Vec<f64>, Option<Vec<f64>>) {
        let per_column = |scale: &[f64]| w0.iter().enumerate().map(|(i, w)| w / scale[i % outputs]).collect();
        match self {
            Self::Plain => (w0.to_vec(), None),
            Self::AdaptiveActivation { .. } => {
                let (_, count) = self.extra(outputs).expect("has slopes");
                (w0.to_vec(), Some(vec![1.0; count]))
            }
            Self::WeightNorm => (w0.to_vec(), Some(norms(w0, outputs))),
            Self::RandomWeightFactorization { scale, mu, sigma } => {
                let s: Vec<f64> = (0..outputs).map(|_| mu + sigma * rng.normal()).collect();
                let g: Vec<f64> = s.iter().map(|s| s.exp()).collect();
                let v = per_column(&g);
                (v, Some(if scale == Scale::Log { s } else { g }))
            }
        }
    }

    /// The field that makes it impossible, what was found and what was expected.
    pub(super) fn problem(&self) -> Option<(&'static str, String, &'static str)> {
        let Self::RandomWeightFactorization { mu, sigma, .. } = *self else { return None };
        if !(-10.0..=10.0).contains(&mu) {
            return Some(("mu", mu.to_string(), "-10 to 10"));
        }
        (!(0.0..=3.0).contains(&sigma)).then(|| ("sigma", sigma.to_string(), "0 to 3"))
    }
}

/// Length of every column of `w`, `[in, out]` -> `[out]`.
pub(crate) fn norms(w: &[f64], outputs: usize) -> Vec<f64> {
    let mut square = vec![0.0; outputs];
    for row in w.chunks_exact(outputs) {
        for (sum, w) in square.iter_mut().zip(row) {
            *sum += w * w;
        }
    }
    square.into_iter().map(f64::sqrt).collect()
}

/// Dense kernel `[in, out]` and bias `[out]` of one layer as tensors, so that gradients flow back to what is trained.
///
/// # Errors
/// Those of the tensor library.
pub fn materialize(
    spec: &DenseSpec,
    weight: &Tensor,
    extra: Option<&Tensor>,
    bias: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (kernel, bias) = match (spec.parameterization, extra) {
        (Parameterization::Plain, _) | (_, None) => (weight.clone(), bias.clone()),
        (Parameterization::AdaptiveActivation { .. }, Some(a)) => (weight.broadcast_mul(a)?, bias.broadcast_mul(a)?),
        (Parameterization::WeightNorm, Some(g)) => {
            let norm = weight.sqr()?.sum(0)?.sqrt()?;
            (weight.broadcast_mul(&g.div(&norm)?)?, bias.clone())
        }
        (Parameterization::RandomWeightFactorization { scale: Scale::Log, .. }, Some(s)) => {
            (weight.broadcast_mul(&s.exp()?)?, bias.clone())
        }
        (Parameterization::RandomWeightFactorization { scale: Scale::Direct, .. }, Some(g)) => {
            (weight.broadcast_mul(g)?, bias.clone())
        }
    };
    if spec.gain == 1.0 {
        return Ok((kernel, bias));
    }
    Ok(((kernel * spec.gain)?, (bias * spec.gain)?))
}

/// The same in f64 on the host, the oracle of [`materialize`].
pub fn materialize_f64(spec: &DenseSpec, parameters: &[Parameter]) -> HostDense {
    materialize_from(spec, &|name| {
        let found = parameters.iter().find(|p| p.name == name).expect("a parameter of the network");
        found.values.iter().map(|&v| f64::from(v)).collect()
    })
}

/// The same from trained numbers in f64, asked for by the name of their tensor.
pub fn materialize_from(spec: &DenseSpec, trained: &dyn Fn(&str) -> Vec<f64>) -> HostDense {
    let wide = |suffix: &str| trained(&format!("{}.{suffix}", spec.name));
    let (weight, mut bias) = (wide(spec.parameterization.weight()), wide("bias"));
    let extra = spec.parameterization.extra(spec.outputs).map(|(name, _)| wide(name));
    let column: Vec<f64> = match (spec.parameterization, extra) {
        (Parameterization::Plain, _) | (_, None) => vec![1.0; spec.outputs],
        (Parameterization::AdaptiveActivation { .. }, Some(a)) => {
            let a: Vec<f64> = (0..spec.outputs).map(|o| a[o % a.len()]).collect();
            bias.iter_mut().zip(&a).for_each(|(b, a)| *b *= a);
            a
        }
        (Parameterization::WeightNorm, Some(g)) => {
            g.iter().zip(norms(&weight, spec.outputs)).map(|(g, n)| g / n).collect()
        }
        (Parameterization::RandomWeightFactorization { scale, .. }, Some(s)) => match scale {
            Scale::Log => s.into_iter().map(libm::exp).collect(),
            Scale::Direct => s,
        },
    };
    HostDense {
        kernel: weight.iter().enumerate().map(|(i, w)| spec.gain * w * column[i % spec.outputs]).collect(),
        bias: bias.into_iter().map(|b| spec.gain * b).collect(),
        inputs: spec.inputs,
        outputs: spec.outputs,
    }
}
