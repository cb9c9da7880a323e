//! 6 From dense layers to the model file, with the self-test and the error the runtime itself measures.

mod operator;

use rwf_runtime::{
    Model,
    format::{self, Activation, MathBackend, Precision, key, tensor},
};

pub use operator::{of_function, operator, read_operator};

use crate::{
    container::{self, Stored, Words},
    error::{Error, Result},
    fold::{Normalization, fold_with_head},
    network::{DenseNetwork, HostDense, Networks, Parameter},
    rng::Rng,
    signal::Signal,
};

/// Number of self-test samples in every file.
const SELF_TEST_SAMPLES: usize = 4;

/// What a model file says about itself besides its weights.
#[derive(Debug, Clone)]
pub struct Description {
    /// Kind of signal, one word.
    pub signal: String,
    /// Inputs as `name[unit] lo hi;...`.
    pub inputs: String,
    /// Outputs as `name[unit] lo hi;...`.
    pub outputs: String,
    /// Native sampling, `cell|node first|last N0 N1 ...`.
    pub grid: Option<String>,
    /// Error as measured by the runtime.
    pub error: Option<String>,
    /// How the weights came to be, for people.
    pub provenance: String,
}

impl Description {
    /// Of a network fitted to `signal`.
    pub fn of(signal: &Signal, provenance: String) -> Self {
        Self {
            signal: signal.kind.to_string(),
            inputs: signal.metadata_inputs(),
            outputs: signal.metadata_outputs(),
            grid: signal.metadata_grid(),
            error: None,
            provenance,
        }
    }
}

/// The bytes of a model file: `dense` in physical units, `description`, and self-test samples whose outputs are
/// this runtime's exact bits.
///
/// # Errors
/// A weight that is not finite in the chosen precision (f16 ends at 65,504), named with its tensor.
pub fn model(
    dense: &DenseNetwork,
    description: &Description,
    precision: Precision,
    math: MathBackend,
) -> Result<Vec<u8>> {
    let mut weights = Vec::new();
    if let Some(mapping) = &dense.mapping {
        push(&mut weights, tensor::MAPPING_KERNEL, tensor::MAPPING_BIAS, mapping, precision)?;
    }
    for (prefix, layers) in [(tensor::ENCODER, &dense.encoders), (tensor::LAYERS, &dense.layers)] {
        for (n, layer) in layers.iter().enumerate() {
            let name = |suffix| format!("{prefix}{n}{suffix}");
            push(&mut weights, &name(tensor::KERNEL), &name(tensor::BIAS), layer, precision)?;
        }
    }
    if let Some(mask) = &dense.mask {
        let shape = [dense.architecture.outputs(), 4 * dense.architecture.inputs];
        weights.push(stored(tensor::OUTPUT_MASK, &shape, mask, Precision::F32)?);
    }
    if let Some((scale, offset)) = &dense.output {
        weights.push(stored(tensor::OUTPUT_SCALE, &[scale.len()], scale, precision)?);
        weights.push(stored(tensor::OUTPUT_OFFSET, &[offset.len()], offset, precision)?);
    }

    let words = words(dense, description, math);
    let inputs = self_test_inputs(description, dense.architecture.inputs);
    let outputs = vec![0.0; SELF_TEST_SAMPLES * dense.architecture.outputs()];
    // The outputs are known only once the file can be evaluated, so it is written twice.
    let draft = with_self_test(&weights, &words, &dense.architecture, &inputs, &outputs);
    let outputs = {
        let model = Model::new(&draft).map_err(|e| Error::Training(format!("cannot export: {e}")))?;
        let mut outputs = outputs;
        let mut scratch = vec![0.0; model.batch_scratch_len()];
        model.eval_batch(&inputs, &mut outputs, &mut scratch).expect("lengths come from the model");
        outputs
    };
    Ok(with_self_test(&weights, &words, &dense.architecture, &inputs, &outputs))
}

/// [`model`] or [`operator`] of whatever a run trained, folded in f64 from these trained numbers; `head` is the activation
/// of the outputs that training sees what is before.
///
/// # Errors
/// As theirs.
pub fn folded(
    networks: &Networks,
    parameters: &[Parameter],
    (head, normalization): (Activation, &Normalization),
    description: &Description,
    precision: Precision,
    math: MathBackend,
) -> Result<Vec<u8>> {
    match networks {
        Networks::One(network) => {
            let dense = fold_with_head(network.dense_f64(parameters), head, normalization);
            model(&dense, description, precision, math)
        }
        Networks::Operator(deeponet) => {
            operator(&deeponet.dense_f64(parameters).fold(normalization), description, precision, math)
        }
    }
}

/// The same file with another [`key::ERROR`]; everything else keeps its bytes.
///
/// # Errors
/// When `model` is no safetensors file.
pub fn with_error(model: &[u8], error: &str) -> Result<Vec<u8>> {
    let foreign = |message| Error::Training(format!("cannot export: {message}"));
    let mut words = container::words(model).map_err(foreign)?;
    words.insert(key::ERROR.into(), error.into());
    let file = safetensors::SafeTensors::deserialize(model).map_err(|e| foreign(e.to_string()))?;
    let tensors: Vec<Stored> = file.iter().map(|(name, view)| Stored::raw(name, &view)).collect();
    Ok(container::write(&tensors, &words))
}

/// The dense layers of a model file in floats, weights as the file has them: what [`model`] wrote.
///
/// # Errors
/// A sentence when it is no model file in floats.
pub fn dense(file: &[u8]) -> std::result::Result<DenseNetwork, String> {
    let architecture = Model::new(file).map_err(|e| e.to_string())?.architecture().clone();
    let (_, tensors) = container::read(file)?;
    let values = |name: &str| -> Option<Vec<f64>> {
        let found = tensors.iter().find(|p| p.name == name)?;
        Some(found.values.iter().map(|&v| f64::from(v)).collect())
    };
    let layer = |kernel: &str, bias: &str| -> Option<HostDense> {
        let (kernel, bias) = (values(kernel)?, values(bias)?);
        let outputs = bias.len();
        Some(HostDense { inputs: kernel.len() / outputs, outputs, kernel, bias })
    };
    let list = |prefix: &str| {
        let name = |n: usize, suffix| format!("{prefix}{n}{suffix}");
        (0..).map_while(|n| layer(&name(n, tensor::KERNEL), &name(n, tensor::BIAS))).collect()
    };
    Ok(DenseNetwork {
        mapping: layer(tensor::MAPPING_KERNEL, tensor::MAPPING_BIAS),
        encoders: list(tensor::ENCODER),
        layers: list(tensor::LAYERS),
        mask: values(tensor::OUTPUT_MASK),
        output: values(tensor::OUTPUT_SCALE).zip(values(tensor::OUTPUT_OFFSET)),
        architecture,
    })
}

pub(crate) fn words(dense: &DenseNetwork, description: &Description, math: MathBackend) -> Words {
    let architecture = &dense.architecture;
    let activations: Vec<&str> = architecture.layers.iter().map(|l| l.activation.name()).collect();
    let mut words = Words::new();
    let mut put = |key: &str, value: &str| words.insert(key.to_owned(), value.to_owned());
    put(key::FORMAT, format::FORMAT);
    put(key::VERSION, &format::VERSION.to_string());
    put(key::MAPPING, architecture.mapping.name());
    put(key::ACTIVATIONS, &activations.join(","));
    put(key::MATH, math.name());
    put(key::SIGNAL, &description.signal);
    put(key::INPUTS, &description.inputs);
    put(key::OUTPUTS, &description.outputs);
    put(key::CREATED_BY, concat!("rwf ", env!("CARGO_PKG_VERSION")));
    put(key::PROVENANCE, &description.provenance.replace(['"', '\\'], "'"));
    if let Some(gate) = architecture.gate.map(Activation::name) {
        put(key::GATE, gate);
    }
    if let Some(grid) = &description.grid {
        put(key::GRID, grid);
    }
    if let Some(error) = &description.error {
        put(key::ERROR, error);
    }
    words
}

fn push(weights: &mut Vec<Stored>, kernel: &str, bias: &str, layer: &HostDense, precision: Precision) -> Result<()> {
    weights.push(stored(kernel, &[layer.inputs, layer.outputs], &layer.kernel, precision)?);
    weights.push(stored(bias, &[layer.outputs], &layer.bias, precision)?);
    Ok(())
}

fn stored(name: &str, shape: &[usize], values: &[f64], precision: Precision) -> Result<Stored> {
    let single: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    let limit = match precision {
        Precision::F32 => f32::MAX,
        Precision::F16 => half::f16::MAX.to_f32(),
    };
    if let Some(v) = single.iter().find(|v| v.is_nan() || v.abs() > limit) {
        return Err(Error::Training(format!(
            "cannot export: tensor `{name}` holds {v}, expected finite values of at most {limit} in {}",
            precision.name()
        )));
    }
    Ok(match precision {
        Precision::F32 => Stored::f32(name, shape, &single),
        Precision::F16 => Stored::f16(name, shape, &single),
    })
}

fn with_self_test(
    weights: &[Stored],
    words: &Words,
    architecture: &format::Architecture,
    inputs: &[f32],
    outputs: &[f32],
) -> Vec<u8> {
    let mut tensors = weights.to_vec();
    let n = SELF_TEST_SAMPLES;
    tensors.push(Stored::f32(tensor::SELF_TEST_INPUTS, &[n, architecture.inputs], inputs));
    tensors.push(Stored::f32(tensor::SELF_TEST_OUTPUTS, &[n, architecture.outputs()], outputs));
    container::write(&tensors, words)
}

/// Both ends of the domain and two points inside, the same for the same description.
fn self_test_inputs(description: &Description, inputs: usize) -> Vec<f32> {
    let domain: Vec<(f64, f64)> = description
        .inputs
        .split(';')
        .map(|part| {
            let mut ends = part.rsplit(' ').map(|v| v.parse::<f64>().unwrap_or(0.0));
            let hi = ends.next().unwrap_or(1.0);
            (ends.next().unwrap_or(0.0), hi)
        })
        .collect();
    let mut rng = Rng::new(0).stream("self-test");
    let mut out = Vec::with_capacity(SELF_TEST_SAMPLES * inputs);
    for sample in 0..SELF_TEST_SAMPLES {
        for axis in 0..inputs {
            let (lo, hi) = domain.get(axis).copied().unwrap_or((0.0, 1.0));
            let at = match sample {
                0 => 0.0,
                1 => 1.0,
                _ => rng.uniform(),
            };
            out.push((lo + at * (hi - lo)) as f32);
        }
    }
    out
}
