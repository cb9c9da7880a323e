//! From the dense layers of an operator to its file, and back for a given input function.

use rwf_runtime::{
    Operator,
    format::{self, Activation, Mapping, MathBackend, Precision, key, tensor},
};

use super::{Description, SELF_TEST_SAMPLES, push, self_test_inputs, stored};
use crate::{
    container::{self, Stored, Words},
    error::{Error, Result},
    fold::DenseOperator,
    network::{DenseNetwork, HostDense, find},
};

/// Input functions of the self-test.
const FUNCTIONS: usize = 2;

/// The bytes of an operator's file: `dense` in physical units, `description`, whose first input is the input function,
/// and self-test samples whose outputs are this runtime's exact bits.
///
/// # Errors
/// A weight that is not finite in the chosen precision, named with its tensor.
pub fn operator(
    dense: &DenseOperator,
    description: &Description,
    precision: Precision,
    math: MathBackend,
) -> Result<Vec<u8>> {
    let mut tensors = Vec::new();
    for (part, network) in [(tensor::BRANCH, &dense.branch), (tensor::TRUNK, &dense.trunk)] {
        let name = |text: &str| format!("{part}{text}");
        if let Some(mapping) = &network.mapping {
            push(&mut tensors, &name(tensor::MAPPING_KERNEL), &name(tensor::MAPPING_BIAS), mapping, precision)?;
        }
        for (prefix, layers) in [(tensor::ENCODER, &network.encoders), (tensor::LAYERS, &network.layers)] {
            for (n, layer) in layers.iter().enumerate() {
                let name = |suffix| format!("{part}{prefix}{n}{suffix}");
                push(&mut tensors, &name(tensor::KERNEL), &name(tensor::BIAS), layer, precision)?;
            }
        }
    }
    let head = &dense.head;
    if !dense.is_dot() {
        tensors.push(stored(tensor::HEAD_KERNEL, &[head.inputs, head.outputs], &head.kernel, precision)?);
    }
    tensors.push(stored(tensor::HEAD_BIAS, &[head.outputs], &head.bias, precision)?);

    let (sensors, inputs) = (dense.branch.architecture.inputs, dense.trunk.architecture.inputs);
    let (function, coordinates) = description.inputs.split_once(';').unwrap_or((&description.inputs, ""));
    let of = |inputs: &str| Description { inputs: inputs.to_owned(), ..description.clone() };
    // Every sensor has the range of the function.
    let functions = self_test_inputs(&of(&vec![function; sensors].join(";")), sensors);
    let functions = &functions[functions.len() - FUNCTIONS * sensors..];
    let points = self_test_inputs(&of(coordinates), inputs);
    let words = words(dense, &of(coordinates), function, math);
    let with = |outputs: &[f32]| {
        let mut tensors = tensors.clone();
        tensors.push(Stored::f32(tensor::SELF_TEST_FUNCTIONS, &[FUNCTIONS, sensors], functions));
        tensors.push(Stored::f32(tensor::SELF_TEST_POINTS, &[SELF_TEST_SAMPLES, inputs], &points));
        tensors.push(Stored::f32(tensor::SELF_TEST_OUTPUTS, &[outputs.len() / head.outputs, head.outputs], outputs));
        container::write(&tensors, &words)
    };
    // The outputs are known only once the file can be evaluated, so it is written twice.
    let mut outputs = vec![0.0; FUNCTIONS * SELF_TEST_SAMPLES * head.outputs];
    let draft = with(&outputs);
    let operator = Operator::new(&draft).map_err(|e| Error::Training(format!("cannot export: {e}")))?;
    let mut scratch = vec![0.0; operator.batch_scratch_len()];
    let mut latent = vec![0.0; operator.latent_len()];
    for (u, out) in functions.chunks(sensors).zip(outputs.chunks_mut(SELF_TEST_SAMPLES * head.outputs)) {
        operator.encode(u, &mut latent, &mut scratch).expect("lengths come from the operator");
        operator.eval_batch(&latent, &points, out, &mut scratch).expect("lengths come from the operator");
    }
    Ok(with(&outputs))
}

fn words(dense: &DenseOperator, description: &Description, function: &str, math: MathBackend) -> Words {
    // What both kinds of file say alike.
    let mut words = super::words(&dense.trunk, description, math);
    let mut put = |key: String, value: &str| words.insert(key, value.to_owned());
    put(key::FORMAT.into(), format::OPERATOR_FORMAT);
    put(key::VERSION.into(), &format::OPERATOR_VERSION.to_string());
    put(key::FUNCTION.into(), function);
    put(key::MERGE.into(), if dense.is_dot() { "dot" } else { dense.activation.name() });
    for (part, network) in [(tensor::BRANCH, &dense.branch), (tensor::TRUNK, &dense.trunk)] {
        let a = &network.architecture;
        let activations: Vec<&str> = a.layers.iter().map(|l| l.activation.name()).collect();
        put(format!("{part}{}", key::MAPPING), a.mapping.name());
        put(format!("{part}{}", key::ACTIVATIONS), &activations.join(","));
        if let Some(gate) = a.gate {
            put(format!("{part}{}", key::GATE), gate.name());
        }
    }
    for own in [key::MAPPING, key::ACTIVATIONS, key::GATE] {
        words.remove(own);
    }
    words
}

/// The dense layers in the file of an operator, in f64.
///
/// # Errors
/// A sentence about what is wrong with it.
pub fn read_operator(file: &[u8]) -> std::result::Result<DenseOperator, String> {
    let operator = Operator::new(file).map_err(|e| e.to_string())?;
    let (_, tensors) = container::read(file)?;
    let network = |part: &str, architecture: &format::Architecture| -> Result<DenseNetwork> {
        let dense = |kernel: &str, bias: &str, [inputs, outputs]: [usize; 2]| -> Result<HostDense> {
            let kernel = find(&tensors, &format!("{part}{kernel}"), &[inputs, outputs])?;
            let bias = find(&tensors, &format!("{part}{bias}"), &[outputs])?;
            Ok(HostDense { kernel: wide(kernel), bias: wide(bias), inputs, outputs })
        };
        let numbered = |prefix: &str, n: usize, shape| {
            dense(&format!("{prefix}{n}{}", tensor::KERNEL), &format!("{prefix}{n}{}", tensor::BIAS), shape)
        };
        let mapping = match architecture.mapping {
            Mapping::None => None,
            Mapping::Fourier { frequencies, .. } => {
                Some(dense(tensor::MAPPING_KERNEL, tensor::MAPPING_BIAS, [architecture.inputs, frequencies])?)
            }
        };
        let encoders = if architecture.gate.is_some() { 2 } else { 0 };
        let encoded = [architecture.features(), architecture.hidden()];
        Ok(DenseNetwork {
            architecture: architecture.clone(),
            mapping,
            encoders: (0..encoders).map(|n| numbered(tensor::ENCODER, n, encoded)).collect::<Result<_>>()?,
            layers: architecture
                .layers
                .iter()
                .enumerate()
                .map(|(n, l)| numbered(tensor::LAYERS, n, [l.inputs, l.outputs]))
                .collect::<Result<_>>()?,
            mask: None,
            output: None,
        })
    };
    let outputs = operator.outputs();
    let inputs = if operator.activation().is_some() { operator.latent_len() } else { 0 };
    let made = || -> Result<DenseOperator> {
        let kernel =
            if inputs > 0 { wide(find(&tensors, tensor::HEAD_KERNEL, &[inputs, outputs])?) } else { Vec::new() };
        let bias = wide(find(&tensors, tensor::HEAD_BIAS, &[outputs])?);
        Ok(DenseOperator {
            branch: network(tensor::BRANCH, operator.branch())?,
            trunk: network(tensor::TRUNK, operator.trunk())?,
            head: HostDense { kernel, bias, inputs, outputs },
            activation: operator.activation().unwrap_or(Activation::Identity),
        })
    };
    made().map_err(|e| e.to_string())
}

/// The model file of the operator in `file` for the input function `u` `[sensors]`: a plain coordinate network.
///
/// # Errors
/// A sentence about what is wrong with the file, the function, or the network that would be made.
pub fn of_function(
    file: &[u8],
    u: &[f32],
    precision: Option<Precision>,
    math: Option<MathBackend>,
) -> std::result::Result<Vec<u8>, String> {
    let operator = Operator::new(file).map_err(|e| e.to_string())?;
    if u.len() != operator.sensors() {
        return Err(format!("found an input function of {} values, expected {}", u.len(), operator.sensors()));
    }
    let dense = read_operator(file)?.of_function(&wide(u)).map_err(|e| e.to_string())?;
    let word = |name| operator.metadata(name).unwrap_or_default().to_owned();
    let description = Description {
        signal: word(key::SIGNAL),
        inputs: word(key::INPUTS),
        outputs: word(key::OUTPUTS),
        grid: operator.metadata(key::GRID).map(str::to_owned),
        error: None,
        provenance: format!("an operator at one input function; {}", word(key::PROVENANCE)),
    };
    let (precision, math) = (precision.unwrap_or(operator.precision()), math.unwrap_or(operator.math()));
    super::model(&dense, &description, precision, math).map_err(|e| e.to_string())
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}
