//! A network trained elsewhere: PyTorch-style safetensors in, our model file out.

use std::path::Path;

use rwf_runtime::format::{self, Activation, Architecture, Layer, MAX_LAYERS, Mapping, MathBackend, Precision};

use crate::{
    container,
    error::{Error, Result},
    export::{self, Description},
    network::{DenseNetwork, HostDense, Parameter},
};

/// What a plain list of weights does not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// Activation of hidden layers; `Sine` for a SIREN.
    pub activation: Activation,
    /// Activation of the last layer.
    pub output_activation: Activation,
    /// omega0 of the first layer, for a SIREN.
    pub omega0_first: f64,
    /// omega0 of the other hidden layers, for a SIREN.
    pub omega0: f64,
    /// Inputs as `name[unit] lo hi;...`; empty: `x0 -1 1;...`.
    pub inputs: String,
    /// Outputs in the same form.
    pub outputs: String,
}

/// The model file of the network in `path`: pairs `*.weight` `[out, in]` and `*.bias` `[out]`, layers in the order
/// of the numbers in their names.
///
/// # Errors
/// [`Error::Model`] naming the tensor, what was found and what was expected.
pub fn model(path: &Path, options: &Options, precision: Precision, math: MathBackend) -> Result<Vec<u8>> {
    let bytes = crate::file::read(path)?;
    let bad = |message: String| Error::Model { path: path.into(), message };
    let (_, tensors) = container::read(&bytes).map_err(bad)?;
    let dense = dense(tensors, options).map_err(bad)?;
    let description = Description {
        signal: "imported".into(),
        inputs: or_plain(&options.inputs, 'x', dense.architecture.inputs).map_err(bad)?,
        outputs: or_plain(&options.outputs, 'y', dense.architecture.outputs()).map_err(bad)?,
        grid: None,
        error: None,
        provenance: format!(
            "imported from {}",
            path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        ),
    };
    export::model(&dense, &description, precision, math)
}

fn dense(tensors: Vec<Parameter>, options: &Options) -> std::result::Result<DenseNetwork, String> {
    let mut weights: Vec<Parameter> = Vec::new();
    let mut biases: Vec<Parameter> = Vec::new();
    for tensor in tensors {
        match tensor.name.rsplit('.').next() {
            Some("weight") => weights.push(tensor),
            Some("bias") => biases.push(tensor),
            _ => {
                return Err(format!("found tensor `{}`, expected only `*.weight` and `*.bias`", tensor.name));
            }
        }
    }
    weights.sort_by_key(|w| natural(&w.name));
    if weights.is_empty() || weights.len() > MAX_LAYERS {
        return Err(format!("found {} layers, expected 1 to {MAX_LAYERS}", weights.len()));
    }
    let count = weights.len();
    let mut layers = Vec::with_capacity(count);
    let mut described = format::Layers::new();
    for (n, weight) in weights.iter().enumerate() {
        let [outputs, inputs] = weight.shape[..] else {
            return Err(format!("`{}` has shape {:?}, expected [out, in]", weight.name, weight.shape));
        };
        let before = layers.last().map_or(inputs, |l: &HostDense| l.outputs);
        if before != inputs {
            return Err(format!("`{}` takes {inputs} values, the layer before gives {before}", weight.name));
        }
        let stem = weight.name.trim_end_matches("weight");
        let name = format!("{stem}bias");
        let bias = match biases.iter().position(|b| b.name == name) {
            Some(at) => biases.swap_remove(at).values,
            None => vec![0.0; outputs],
        };
        if bias.len() != outputs {
            return Err(format!("`{name}` has {} values, expected {outputs}", bias.len()));
        }
        let activation = if n + 1 == count { options.output_activation } else { options.activation };
        let gain = match (activation, n) {
            (Activation::Sine, 0) => options.omega0_first / std::f64::consts::TAU,
            (Activation::Sine, _) => options.omega0 / std::f64::consts::TAU,
            _ => 1.0,
        };
        let mut kernel = vec![0.0; inputs * outputs];
        for o in 0..outputs {
            for i in 0..inputs {
                kernel[i * outputs + o] = gain * f64::from(weight.values[o * inputs + i]);
            }
        }
        let bias = bias.iter().map(|&b| gain * f64::from(b)).collect();
        layers.push(HostDense { kernel, bias, inputs, outputs });
        described.push(Layer { inputs, outputs, activation }).expect("counted above");
    }
    if let Some(left) = biases.first() {
        return Err(format!("`{}` belongs to no weight", left.name));
    }
    let architecture = Architecture {
        inputs: layers[0].inputs,
        mapping: Mapping::None,
        gate: None,
        layers: described,
        output_mask: false,
        output_affine: false,
    };
    Ok(DenseNetwork { mapping: None, encoders: Vec::new(), layers, mask: None, output: None, architecture })
}

/// A name as text and numbers, so that `net.10` comes after `net.9`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(text);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((word.to_owned(), number.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

fn or_plain(text: &str, letter: char, count: usize) -> std::result::Result<String, String> {
    if text.is_empty() {
        let each: Vec<String> = (0..count).map(|i| format!("{letter}{i} -1 1")).collect();
        return Ok(each.join(";"));
    }
    let parts: Vec<&str> = text.split(';').map(str::trim).collect();
    let fine = parts.iter().all(|p| {
        let words: Vec<&str> = p.split_whitespace().collect();
        matches!(words[..], [_, lo, hi] if lo.parse::<f64>().is_ok() && hi.parse::<f64>().is_ok())
    });
    if parts.len() != count || !fine || text.contains(['"', '\\']) {
        return Err(format!("`{text}` found, expected {count} times `name[unit] lo hi` joined by `;`"));
    }
    Ok(parts.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_their_numbers() {
        let mut names = ["net.10.weight", "net.2.weight", "net.0.linear.weight"];
        names.sort_by_key(|n| natural(n));
        assert_eq!(names, ["net.0.linear.weight", "net.2.weight", "net.10.weight"]);
    }

    #[test]
    fn a_list_of_quantities_is_checked() {
        assert_eq!(or_plain("", 'x', 2).unwrap(), "x0 -1 1;x1 -1 1");
        assert_eq!(or_plain("t[s] 0 1; v[m] 2 3", 'x', 2).unwrap(), "t[s] 0 1;v[m] 2 3");
        assert!(or_plain("t[s] 0", 'x', 1).is_err());
        assert!(or_plain("t 0 1", 'x', 2).is_err());
    }
}
