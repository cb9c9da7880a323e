//! A model in floats as a Rust module.

use std::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::text::{self, Text, variant};
use crate::{
    Model,
    dense::{Dense, Values},
    format::{Activation, Mapping, Precision},
};

pub(crate) fn module(model: &Model<'_>, source: &str) -> String {
    let mut text = Text::new(source);
    let architecture = model.architecture();
    let samples = model.self_test.as_ref().map_or(0, |(x, y)| 4 * (x.len() + y.len()));
    text.sizes(architecture, model.weight_bytes() + samples, model.scratch_len(), ("f32", 4));
    text.description(architecture, |i| model.input(i), |i| model.output(i), model.grid());

    let mut uses = vec![
        format!("::rwf_runtime::uses::math(::rwf_runtime::format::MathBackend::{})", variant(model.math())),
        format!("::rwf_runtime::uses::precision(::rwf_runtime::format::Precision::{})", variant(model.precision())),
    ];
    let mut activations: Vec<Activation> = architecture.layers.iter().map(|l| l.activation).collect();
    activations.extend(architecture.gate);
    uses.extend(activations.into_iter().filter(|a| *a != Activation::Identity).map(used));

    let mut dense = |name: &str, dense: &Dense<'_>, activation: Activation| {
        let kernel = numbers(&mut text, &format!("{name}_KERNEL"), "Weights, `[in, out]`.", &dense.kernel);
        let bias = numbers(&mut text, &format!("{name}_BIAS"), "Biases, `[out]`.", &dense.bias);
        let activation = variant(activation);
        format!(
            "::rwf_runtime::fixed::Dense {{ kernel: {kernel}, bias: {bias}, activation: \
             ::rwf_runtime::format::Activation::{activation} }}"
        )
    };
    let mapping = match (&model.mapping, architecture.mapping) {
        (Some(mapping), Mapping::Fourier { raw, .. }) => {
            uses.push("::rwf_runtime::uses::MAPPING".to_string());
            format!("Some(({}, {raw}))", dense("MAPPING", mapping, Activation::Sine))
        }
        _ => "None".to_string(),
    };
    let encoders = match (&model.encoders, architecture.gate) {
        (Some([first, second]), Some(gate)) => {
            uses.push("::rwf_runtime::uses::GATE".to_string());
            format!("Some([{}, {}])", dense("ENCODER_0", first, gate), dense("ENCODER_1", second, gate))
        }
        _ => "None".to_string(),
    };
    let layers: String = model
        .layers
        .iter()
        .zip(&architecture.layers)
        .enumerate()
        .map(|(n, (layer, described))| {
            format!("        {},\n", dense(&format!("LAYER_{n}"), layer, described.activation))
        })
        .collect();
    let mask = match &model.mask {
        Some(mask) => {
            uses.push("::rwf_runtime::uses::OUTPUT_MASK".to_string());
            let what = "Factors of the outputs by coordinates, `[outputs, 4·inputs]`.";
            format!("Some({})", text.floats("OUTPUT_MASK", what, &values(mask)))
        }
        None => "None".to_string(),
    };
    let output = match &model.output {
        Some((scale, offset)) => {
            uses.push("::rwf_runtime::uses::OUTPUT_AFFINE".to_string());
            let scale = numbers(&mut text, "OUTPUT_SCALE", "Scale of the outputs.", scale);
            let offset = numbers(&mut text, "OUTPUT_OFFSET", "Offset of the outputs.", offset);
            format!("Some([{scale}, {offset}])")
        }
        None => "None".to_string(),
    };
    let self_test = match &model.self_test {
        Some((x, y)) => {
            let x = text.floats("SELF_TEST_INPUTS", "Samples.", &values(x));
            let y = text.floats("SELF_TEST_OUTPUTS", "Their exact values.", &values(y));
            format!("Some([{x}, {y}])")
        }
        None => "None".to_string(),
    };
    let math = variant(model.math());
    let parts = format!(
        "::rwf_runtime::fixed::Parts {{\n    inputs: INPUTS,\n    math: \
         ::rwf_runtime::format::MathBackend::{math},\n    mapping: {mapping},\n    encoders: {encoders},\n    layers: \
         [\n{layers}    ],\n    mask: {mask},\n    output: {output},\n    self_test: {self_test},\n}}"
    );
    text::model(&mut text, &uses, "Model", &parts);
    text.functions("0.0", model.self_test.is_some());
    text.0
}

/// The bit of an activation.
pub(crate) fn used(activation: Activation) -> String {
    format!("::rwf_runtime::uses::activation(::rwf_runtime::format::Activation::{})", variant(activation))
}

fn numbers(text: &mut Text, name: &str, what: &str, numbers: &Values<'_>) -> String {
    match numbers {
        Values::Half(halves) => {
            let of = text.bytes(name, what, halves.as_flattened());
            format!("::rwf_runtime::fixed::Numbers::{}({of})", variant(Precision::F16))
        }
        _ => {
            let of = text.floats(name, what, &values(numbers));
            format!("::rwf_runtime::fixed::Numbers::{}({of})", variant(Precision::F32))
        }
    }
}

pub(crate) fn values(values: &Values<'_>) -> Vec<f32> {
    (0..values.len()).filter_map(|i| values.get(i)).collect()
}
