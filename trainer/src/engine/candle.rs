//! The general engine: candle's autograd, for every network and device. Reference of the fast ones.

use candle_core::{D, DType, Device, Tensor, Var};
use rwf_runtime::format::{Architecture, Mapping};

use super::{
    AdamStep, Batch, DenseGradient, Engine, Loss, Observation,
    activation::apply,
    adam::{Trained, update},
    check_dense, pieces, whole_groups,
};
use crate::{
    error::{Error, Result},
    network::{DenseNetwork, DenseSpec, HostDense, Network, Parameter, materialize},
};

/// Most values of features kept for the whole signal; beyond that they are made anew for every batch.
const CACHED_FEATURES: usize = 1 << 26;

/// Most points whose graph is kept at once while they are observed.
const OBSERVED: usize = 1 << 14;

/// A network under candle's autograd.
#[derive(Debug)]
pub struct CandleEngine {
    network: Network,
    trained: Vec<Trained>,
    mapping: Option<(Tensor, Tensor)>,
    device: Device,
    /// Coordinates or features of the loaded samples.
    x: Tensor,
    /// Whether `x` holds features.
    mapped: bool,
    y: Tensor,
    /// Gradients gathered since the last update, one a trained tensor.
    gathered: Option<Vec<Tensor>>,
}

/// Kernel `[in, out]` and bias `[out]` as tensors.
type DenseTensors = (Tensor, Tensor);

impl CandleEngine {
    /// `network` with these trained numbers on `device`.
    ///
    /// # Errors
    /// Those of the device, or a parameter that is missing or has another shape.
    pub fn new(network: &Network, parameters: &[Parameter], device: &Device) -> Result<Self> {
        let mut trained = Vec::new();
        for spec in network.encoders.iter().chain(&network.layers) {
            let mut tensors = vec![(spec.parameterization.weight(), vec![spec.inputs, spec.outputs])];
            if let Some((name, count)) = spec.parameterization.extra(spec.outputs) {
                tensors.push((name, vec![count]));
            }
            tensors.push(("bias", vec![spec.outputs]));
            for (suffix, shape) in tensors {
                let name = format!("{}.{suffix}", spec.name);
                let count: usize = shape.iter().product();
                trained.push(Trained {
                    value: Var::zeros(shape, DType::F32, device)?,
                    moments: Var::zeros((2, count), DType::F32, device)?,
                    name,
                });
            }
        }
        let mapping = match &network.mapping {
            None => None,
            Some(m) => {
                let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
                let kernel = Tensor::from_vec(single(&m.kernel), (m.inputs, m.outputs), device)?;
                Some((kernel, Tensor::from_vec(single(&m.bias), m.outputs, device)?))
            }
        };
        let nothing = Tensor::zeros((0, 1), DType::F32, device)?;
        let mut engine = Self {
            network: network.clone(),
            trained,
            mapping,
            device: device.clone(),
            x: nothing.clone(),
            mapped: false,
            y: nothing,
            gathered: None,
        };
        engine.set_parameters(parameters)?;
        Ok(engine)
    }

    fn architecture(&self) -> &Architecture {
        &self.network.architecture
    }

    /// The dense layers of `specs`, still attached to what is trained.
    fn materialize(&self, specs: &[DenseSpec]) -> Result<Vec<DenseTensors>> {
        let get = |spec: &DenseSpec, suffix: &str| {
            let name = format!("{}.{suffix}", spec.name);
            let found = self.trained.iter().find(|t| t.name == name);
            found.expect("made in `new`").value.as_tensor()
        };
        specs
            .iter()
            .map(|spec| {
                let extra = spec.parameterization.extra(spec.outputs).map(|(name, _)| get(spec, name));
                materialize(spec, get(spec, spec.parameterization.weight()), extra, get(spec, "bias"))
            })
            .collect()
    }

    /// Coordinates to features, `[n, inputs] -> [n, features]`.
    fn features(&self, x: &Tensor) -> Result<Tensor> {
        let (Some((kernel, bias)), Mapping::Fourier { raw, .. }) = (&self.mapping, self.architecture().mapping) else {
            return Ok(x.clone());
        };
        let turns = x.matmul(kernel)?.broadcast_add(bias)?;
        let angle = (turns * std::f64::consts::TAU)?;
        let (sin, cos) = (angle.sin()?, angle.cos()?);
        let parts = if raw { vec![x.clone(), sin, cos] } else { vec![sin, cos] };
        Ok(Tensor::cat(&parts, D::Minus1)?)
    }

    /// Features to values, `[n, features] -> [n, outputs]`.
    fn network_forward(&self, features: &Tensor) -> Result<Tensor> {
        let layers = self.materialize(&self.network.layers)?;
        let encoders = self.materialize(&self.network.encoders)?;
        let dense = |x: &Tensor, (kernel, bias): &DenseTensors| -> Result<Tensor> {
            Ok(x.matmul(kernel)?.broadcast_add(bias)?)
        };
        let gate = match self.architecture().gate {
            None => None,
            Some(activation) => {
                let u = apply(&dense(features, &encoders[0])?, activation)?;
                let v = apply(&dense(features, &encoders[1])?, activation)?;
                Some(((&u - &v)?, v))
            }
        };
        let mut h = features.clone();
        let described = &self.architecture().layers;
        for (n, (layer, described)) in layers.iter().zip(described).enumerate() {
            h = apply(&dense(&h, layer)?, described.activation)?;
            if let Some((difference, v)) = gate.as_ref().filter(|_| n + 1 < layers.len()) {
                h = (v + (h * difference)?)?;
            }
        }
        Ok(h)
    }

    /// The loss as a tensor that gradients flow from.
    fn loss(&self, batch: Batch<'_>, loss: Loss) -> Result<Tensor> {
        let (x, y) = match batch {
            Batch::Full => (self.x.clone(), self.y.clone()),
            Batch::Indices(indices) => {
                let indices = Tensor::from_slice(indices, indices.len(), &self.device)?;
                (self.x.index_select(&indices, 0)?, self.y.index_select(&indices, 0)?)
            }
        };
        let features = if self.mapped { x } else { self.features(&x)? };
        let fit = self.network_forward(&features)?;
        match loss {
            Loss::MeanSquaredError => Ok(candle_nn::loss::mse(&fit, &y)?),
            Loss::BinaryCrossEntropy => {
                // max(z, 0) - z·y + ln(1 + exp(-|z|)), which overflows nowhere.
                let log = ((fit.abs()?.neg()?.exp()? + 1.0)?).log()?;
                Ok(((fit.relu()? - (&fit * &y)?)? + log)?.mean_all()?)
            }
        }
    }

    /// Adds the gradient of `loss` with respect to every trained tensor to what is gathered.
    fn gather(&mut self, loss: &Tensor) -> Result<()> {
        let store = loss.backward()?;
        let before = self.gathered.take();
        let each = self.trained.iter().enumerate().map(|(n, t)| {
            let now = store.get(&t.value);
            match (before.as_ref().map(|b| &b[n]), now) {
                (Some(before), Some(now)) => Ok((before + now)?),
                (Some(one), None) | (None, Some(one)) => Ok(one.clone()),
                (None, None) => Ok(t.value.zeros_like()?),
            }
        });
        self.gathered = Some(each.collect::<Result<_>>()?);
        Ok(())
    }

    /// What is gathered; afterwards nothing is.
    fn take(&mut self) -> Result<Vec<Tensor>> {
        match self.gathered.take() {
            Some(gathered) => Ok(gathered),
            None => self.trained.iter().map(|t| Ok(t.value.zeros_like()?)).collect(),
        }
    }

    fn replace(&self, name: &str, to: &Var, from: &[Parameter]) -> Result<()> {
        let wrong = |message: String| Error::Config { field: format!("tensor `{name}`"), message };
        let found = from.iter().find(|p| p.name == name).ok_or_else(|| wrong("is missing".into()))?;
        if found.shape != to.dims() {
            return Err(wrong(format!("found shape {:?}, expected {:?}", found.shape, to.dims())));
        }
        to.set(&Tensor::from_slice(&found.values, to.shape(), &self.device)?)?;
        Ok(())
    }
}

/// A tensor on the host.
fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

impl Engine for CandleEngine {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn load(&mut self, x: &[f32], y: &[f32]) -> Result<()> {
        let (inputs, outputs) = (self.architecture().inputs, self.architecture().outputs());
        let x = Tensor::from_slice(x, (x.len() / inputs, inputs), &self.device)?;
        self.y = Tensor::from_slice(y, (y.len() / outputs, outputs), &self.device)?;
        // The mapping is not trained, so its features are those of the first step for ever.
        self.mapped = x.dims()[0] * self.architecture().features() <= CACHED_FEATURES;
        self.x = if self.mapped { self.features(&x)? } else { x };
        Ok(())
    }

    fn observe_batch(&mut self, batch: Batch<'_>, loss: Loss, weight: f64) -> Result<f64> {
        let loss = self.loss(batch, loss)?;
        self.gather(&(&loss * weight)?)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn observe(&mut self, x: &[f32], observation: &dyn Observation, weight: f64) -> Result<f64> {
        let (inputs, outputs) = (self.architecture().inputs, self.architecture().outputs());
        whole_groups(observation, x.len() / inputs)?;
        let cuts = match observation.offsets() {
            Some(offsets) => pieces(offsets, OBSERVED),
            None => {
                let (group, points) = (observation.group(), x.len() / inputs);
                let piece = (OBSERVED / group).max(1) * group;
                (0..points).step_by(piece).chain([points]).map(|point| (point / group, point)).collect()
            }
        };
        let mut loss = 0.0;
        for pair in cuts.windows(2) {
            let ((first, from), (_, to)) = (pair[0], pair[1]);
            let x = Tensor::from_slice(&x[from * inputs..to * inputs], (to - from, inputs), &self.device)?;
            let fit = self.network_forward(&self.features(&x)?)?;
            let y = host(&fit)?;
            let mut dy = vec![0.0; y.len()];
            loss += observation.pull(first, &y, &mut dy);
            let dy = Tensor::from_vec(dy, (y.len() / outputs, outputs), &self.device)?;
            self.gather(&((fit * dy)?.sum_all()? * weight)?)?;
        }
        Ok(loss)
    }

    fn observe_dense(&mut self, gradients: &[DenseGradient]) -> Result<()> {
        let specs = [&self.network.encoders[..], &self.network.layers].concat();
        check_dense(&specs.iter().collect::<Vec<_>>(), gradients)?;
        for ((kernel, bias), gradient) in self.materialize(&specs)?.iter().zip(gradients) {
            let dw = Tensor::from_slice(&gradient.kernel, kernel.shape(), &self.device)?;
            let db = Tensor::from_slice(&gradient.bias, bias.shape(), &self.device)?;
            self.gather(&((kernel * dw)?.sum_all()? + (bias * db)?.sum_all()?)?)?;
        }
        Ok(())
    }

    fn take_gradients(&mut self) -> Result<Vec<Parameter>> {
        let gradients = self.take()?;
        let named = self
            .trained
            .iter()
            .zip(&gradients)
            .map(|(t, g)| Ok(Parameter { name: t.name.clone(), shape: g.dims().to_vec(), values: host(g)? }));
        named.collect()
    }

    fn update(&mut self, adam: &AdamStep) -> Result<f64> {
        let gradients = self.take()?;
        let mut square = 0.0;
        for gradient in &gradients {
            square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let norm = square.sqrt();
        let shrink = match adam.clip {
            Some(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        for (trained, gradient) in self.trained.iter().zip(&gradients) {
            update(trained, gradient, shrink, adam)?;
        }
        Ok(norm)
    }

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let inputs = self.architecture().inputs;
        let x = Tensor::from_slice(x, (x.len() / inputs, inputs), &self.device)?;
        host(&self.network_forward(&self.features(&x)?)?)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let each = self
            .trained
            .iter()
            .map(|t| Ok(Parameter { name: t.name.clone(), shape: t.value.dims().to_vec(), values: host(&t.value)? }));
        each.collect()
    }

    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        for trained in &self.trained {
            self.replace(&trained.name, &trained.value, parameters)?;
        }
        Ok(())
    }

    fn moments(&self) -> Result<Vec<Parameter>> {
        let each = self.trained.iter().map(|t| {
            let name = format!("adam.{}", t.name);
            Ok(Parameter { name, shape: t.moments.dims().to_vec(), values: host(&t.moments)? })
        });
        each.collect()
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        for trained in &self.trained {
            self.replace(&format!("adam.{}", trained.name), &trained.moments, moments)?;
        }
        Ok(())
    }

    fn dense(&self) -> Result<DenseNetwork> {
        let wide = |specs: &[DenseSpec]| -> Result<Vec<HostDense>> {
            let tensors = self.materialize(specs)?;
            let each = specs.iter().zip(tensors).map(|(spec, (kernel, bias))| {
                let wide = |t: &Tensor| Ok::<_, Error>(host(t)?.into_iter().map(f64::from).collect());
                Ok(HostDense { kernel: wide(&kernel)?, bias: wide(&bias)?, inputs: spec.inputs, outputs: spec.outputs })
            });
            each.collect()
        };
        Ok(DenseNetwork {
            architecture: self.architecture().clone(),
            mapping: self.network.mapping.clone(),
            encoders: wide(&self.network.encoders)?,
            layers: wide(&self.network.layers)?,
            mask: None,
            output: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract;

    fn make(network: &Network, start: &[Parameter]) -> Result<Box<dyn Engine>> {
        Ok(Box::new(CandleEngine::new(network, start, &Device::Cpu)?))
    }

    #[test]
    fn gradients_equal_differences_for_every_network() {
        contract::gradients_of_every_network(make);
    }

    #[test]
    fn gradients_equal_differences_for_every_activation() {
        contract::gradients_of_every_activation(make);
    }

    #[test]
    fn dense_layers_equal_the_f64_twin() {
        contract::dense_layers(make);
    }

    #[test]
    fn observations() {
        contract::observations(make);
    }

    #[test]
    fn groups_of_different_sizes() {
        contract::uneven_groups(make);
    }

    #[test]
    fn cross_entropy() {
        contract::cross_entropy(make);
    }

    #[test]
    fn batches_and_clipping() {
        contract::batches_and_clipping(make);
    }

    #[test]
    fn parameters_that_do_not_fit_are_named() {
        contract::parameters_that_do_not_fit(make);
    }
}
