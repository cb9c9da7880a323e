//! A model in integers as a Rust module, for [`build`](crate::build).

use std::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{Dense, IntegerModel, Pairs, kernel::Wide};
use crate::{
    build::{
        float::{used, values},
        text::{self, Text, variant},
    },
    format::{Activation, Mapping},
};

pub(crate) fn module(model: &IntegerModel<'_>, source: &str) -> String {
    let mut text = Text::new(source);
    let architecture = model.architecture();
    let samples = model.self_test.map_or(0, |(x, y)| 2 * (x.len() + y.len()));
    text.sizes(architecture, model.weight_bytes() + samples, model.scratch_len(), ("i16", 2));
    text.description(architecture, |i| model.input(i), |i| model.output(i), model.grid());

    let activations = architecture.layers.iter().map(|l| l.activation);
    let mut uses: Vec<String> = activations.filter(|a| *a != Activation::Identity).map(used).collect();
    let mapping = match (&model.mapping, architecture.mapping) {
        (Some(mapping), Mapping::Fourier { raw, .. }) => {
            uses.push("::rwf_runtime::uses::MAPPING".to_string());
            format!("Some(({}, {raw}))", wide(&mut text, "MAPPING", mapping))
        }
        _ => "None".to_string(),
    };
    let encoders = match (&model.encoders, architecture.gate) {
        (Some([first, second]), Some(gate)) => {
            uses.push("::rwf_runtime::uses::GATE".to_string());
            if gate != Activation::Identity {
                uses.push(used(gate));
            }
            let (first, second) = (dense(&mut text, "ENCODER_0", first), dense(&mut text, "ENCODER_1", second));
            let (gate, fraction) = (variant(gate), model.gate_fraction);
            format!("Some(([{first}, {second}], ::rwf_runtime::format::Activation::{gate}, {fraction}))")
        }
        _ => "None".to_string(),
    };
    let mut layers = String::new();
    for (n, layer) in model.layers.iter().enumerate() {
        let layer = dense(&mut text, &format!("LAYER_{n}"), layer);
        let activation = architecture.layers.get(n).map_or(Activation::Identity, |l| l.activation);
        let fraction = model.fractions.get(n).copied().unwrap_or(0);
        layers.push_str(&format!(
            "        ({layer}, ::rwf_runtime::format::Activation::{}, {fraction}),\n",
            variant(activation)
        ));
    }
    let mut scales = |name: &str, what: &str, (scale, offset): &(_, _)| {
        let scale = text.floats(&format!("{name}_SCALE"), what, &values(scale));
        format!("[{scale}, {}]", text.floats(&format!("{name}_OFFSET"), what, &values(offset)))
    };
    let input = scales("INPUT", "From physical units to integers.", &model.input);
    let output = scales("OUTPUT", "From integers to physical units.", &model.output);
    let self_test = match model.self_test {
        Some((x, y)) => {
            let mut samples = |name: &str, what: &str, v: Pairs<'_>| text.bytes(name, what, v.as_flattened());
            let x = samples("SELF_TEST_INPUTS", "Samples, i16.", x);
            format!("Some([{x}, {}])", samples("SELF_TEST_OUTPUTS", "Their exact values, i16.", y))
        }
        None => "None".to_string(),
    };
    let parts = format!(
        "::rwf_runtime::integer::fixed::IntegerParts {{\n    inputs: INPUTS,\n    mapping: {mapping},\n    encoders: \
         {encoders},\n    layers: [\n{layers}    ],\n    input: {input},\n    output: {output},\n    self_test: {self_test},\n}}"
    );
    text::model(&mut text, &uses, "IntegerModel", &parts);
    text.functions("0", model.self_test.is_some());
    text.0
}

fn dense(text: &mut Text, name: &str, dense: &Dense<'_>) -> String {
    match dense {
        Dense::Wide(dense) => {
            format!("::rwf_runtime::integer::fixed::LayerBytes::Wide({})", wide(text, name, dense))
        }
        Dense::Narrow(dense) => {
            let mut tensor =
                |suffix: &str, what: &str, bytes: &[u8]| text.bytes(&format!("{name}_{suffix}"), what, bytes);
            let weight = tensor("WEIGHT", "Weights, packed, `[out, in]`.", dense.weight);
            let bias = tensor("BIAS", "Biases, i32, `[out]`.", dense.bias.as_flattened());
            let multiplier = tensor("MULTIPLIER", "Multipliers, i32, `[out]`.", dense.multiplier.as_flattened());
            let shift = tensor("SHIFT", "Shifts, i8, `[out]`.", dense.shift);
            let bits = variant(dense.bits);
            format!(
                "::rwf_runtime::integer::fixed::LayerBytes::Narrow {{ bits: ::rwf_runtime::integer::Bits::{bits}, \
                 weight: {weight}, bias: {bias}, multiplier: {multiplier}, shift: {shift} }}"
            )
        }
    }
}

fn wide(text: &mut Text, name: &str, wide: &Wide<'_>) -> String {
    let kernel = text.bytes(&format!("{name}_KERNEL"), "Weights, i32, `[in, out]`.", wide.kernel.as_flattened());
    let bias = text.bytes(&format!("{name}_BIAS"), "Biases, i32, `[out]`.", wide.bias.as_flattened());
    format!("::rwf_runtime::integer::fixed::WideBytes {{ kernel: {kernel}, bias: {bias} }}")
}
