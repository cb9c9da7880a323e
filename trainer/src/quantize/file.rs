//! The model file in integers, version 2 of the format.

use rwf_runtime::{
    IntegerModel,
    format::{self, Activation, Mapping, key, tensor},
    integer::{ARGUMENT_BITS, Bits, GUARD_BITS, UNIT_BITS},
};
use safetensors::Dtype;

use super::{Grid, gate_range, grid, ranges, refused};
use crate::{
    container::{self, Stored},
    error::{Error, Result},
    export::{self, Description},
    network::{DenseNetwork, HostDense},
    rng::Rng,
};

/// Room above the largest value met in calibration.
const MARGIN: f64 = 1.1;
/// Largest integer of a coordinate and of an output.
const MOST: f64 = 32767.0;
/// Number of self-test samples besides both ends of the domain.
const SAMPLES: usize = 4;

/// Ends of every input's domain.
pub(super) fn domain(description: &Description, inputs: usize) -> Vec<(f64, f64)> {
    let mut parts = description.inputs.split(';').map(|part| {
        let mut ends = part.rsplit(' ').map(|v| v.parse::<f64>().unwrap_or(0.0));
        let hi = ends.next().unwrap_or(1.0);
        (ends.next().unwrap_or(-1.0), hi)
    });
    (0..inputs).map(|_| parts.next().unwrap_or((-1.0, 1.0))).collect()
}

/// A factor as multiplier/2^16·2^shift.
fn factor(r: f64) -> Option<(i32, i8)> {
    if r == 0.0 {
        return Some((0, 0));
    }
    let mut shift = r.log2().floor() as i32 + 1;
    let mut multiplier = (r * f64::from(16 - shift).exp2()).round() as i32;
    if multiplier == 1 << 16 {
        (multiplier, shift) = (1 << 15, shift + 1);
    }
    match shift {
        -31..=31 => Some((multiplier, shift as i8)),
        // Too small to move a single bit.
        ..-31 => Some((0, 0)),
        _ => None,
    }
}

fn pack(bits: Bits, weights: &[i32]) -> Vec<u8> {
    match bits {
        Bits::Four => {
            weights.chunks(2).map(|w| (w[0] & 15 | (w.get(1).copied().unwrap_or(0) & 15) << 4) as u8).collect()
        }
        Bits::Six => weights
            .chunks(4)
            .flat_map(|w| {
                let all = w.iter().enumerate().fold(0, |all, (k, w)| all | (w & 63) << (6 * k));
                [all as u8, (all >> 8) as u8, (all >> 16) as u8]
            })
            .collect(),
        Bits::Eight => weights.iter().map(|&w| w as u8).collect(),
        Bits::Sixteen => weights.iter().flat_map(|&w| (w as i16).to_le_bytes()).collect(),
    }
}

/// The weights of one neuron, the inverse of `pack`.
pub fn unpack(bits: Bits, row: &[u8], inputs: usize) -> Vec<i32> {
    let all: Vec<i32> = match bits {
        Bits::Four => row.iter().flat_map(|&b| [i32::from((b << 4) as i8 >> 4), i32::from(b as i8 >> 4)]).collect(),
        Bits::Six => row
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[a, b, c]| {
                let all = u32::from_le_bytes([a, b, c, 0]);
                (0..4).map(move |k| ((all << (26 - 6 * k)) as i32) >> 26)
            })
            .collect(),
        Bits::Eight => row.iter().map(|&b| i32::from(b as i8)).collect(),
        Bits::Sixteen => row.as_chunks::<2>().0.iter().map(|&b| i32::from(i16::from_le_bytes(b))).collect(),
    };
    all[..inputs].to_vec()
}

fn words32(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A layer on integer coordinates at full width, in units of 1/`unit` an output; turns wrap.
fn wide(
    layer: &HostDense,
    centre: &[f64],
    step: &[f64],
    unit: &[f64],
    wraps: bool,
    name: &str,
) -> Result<[Vec<i32>; 2]> {
    let outputs = layer.outputs;
    let whole =
        |v: f64| -> i32 { if wraps { v.round().rem_euclid(4_294_967_296.0) as u32 as i32 } else { v.round() as i32 } };
    let mut kernel = vec![0; layer.kernel.len()];
    let mut bias = vec![0; outputs];
    for o in 0..outputs {
        let mut start = layer.bias[o];
        let mut sum = 0.0;
        for i in 0..layer.inputs {
            let w = layer.kernel[i * outputs + o];
            start += w * centre[i];
            sum += (w * step[i] * unit[o]).abs();
            kernel[i * outputs + o] = whole(w * step[i] * unit[o]);
        }
        if wraps {
            start -= start.round();
        }
        bias[o] = whole(start * unit[o]);
        if !wraps && sum * 32768.0 + (start * unit[o]).abs() > 0.999 * f64::from(i32::MAX) {
            return Err(overflow(name, o));
        }
    }
    Ok([kernel, bias])
}

fn overflow(name: &str, neuron: usize) -> Error {
    Error::Training(format!(
        "cannot export: accumulators of layer `{name}` (neuron {neuron}) could overflow 32 bits; fewer inputs, fewer \
         bits, or `--precision f16` for this network"
    ))
}

/// The bytes of a model file in integers: `dense` in physical units, `bits` for each narrow layer, ranges of
/// activations from `points`, `[n, inputs]` in physical units.
///
/// # Errors
/// A layer whose accumulators could overflow, by name; a network with a mask.
pub fn model(dense: &DenseNetwork, description: &Description, bits: &[Bits], points: &[f32]) -> Result<Vec<u8>> {
    if dense.mask.is_some() {
        let message = "found integers, expected f32 or f16: the network vanishes on walls by factors in floats";
        return Err(Error::Config { field: "precision".into(), message: message.into() });
    }
    let architecture = &dense.architecture;
    let inputs = architecture.inputs;
    let ends = domain(description, inputs);
    let centre: Vec<f64> = ends.iter().map(|(lo, hi)| 0.5 * (lo + hi)).collect();
    let step: Vec<f64> = ends.iter().map(|(lo, hi)| if hi > lo { 0.5 * (hi - lo) / MOST } else { 1.0 }).collect();
    let (largest, outputs) = ranges(dense, points);

    let mut tensors = Vec::new();
    let turns = f64::from(32).exp2();
    // Real value of one step of every activation that enters the next layer, and its offset.
    let mut unit_in: Vec<(f64, f64)> = step.iter().zip(&centre).map(|(&s, &c)| (s, c)).collect();
    if let (Some(mapping), Mapping::Fourier { frequencies, raw }) = (&dense.mapping, architecture.mapping) {
        let unit = vec![turns; frequencies];
        let [kernel, bias] = wide(mapping, &centre, &step, &unit, true, tensor::MAPPING_KERNEL)?;
        let shape = [inputs, frequencies];
        tensors.push(Stored::integers(tensor::MAPPING_KERNEL, Dtype::I32, &shape, words32(&kernel)));
        tensors.push(Stored::integers(tensor::MAPPING_BIAS, Dtype::I32, &[frequencies], words32(&bias)));
        if !raw {
            unit_in.clear();
        }
        unit_in.extend(vec![(f64::from(-UNIT_BITS).exp2(), 0.0); 2 * frequencies]);
    }
    let features = unit_in.clone();
    let mut narrow = bits.iter();
    let (mut widths, mut fractions) = (Vec::new(), Vec::new());
    let mut output = (Vec::new(), Vec::new());
    // The gate keeps its vectors on one grid, and so does what leaves it.
    let gate = architecture.gate.map(|activation| {
        let bounded = matches!(activation, Activation::Sine | Activation::Tanh | Activation::Sigmoid);
        let fraction = fraction_bits(gate_range(dense, points));
        (activation, if bounded { fraction.min(UNIT_BITS) } else { fraction })
    });
    let last = dense.layers.len() - 1;
    for (n, (layer, described)) in dense.layers.iter().zip(&architecture.layers).enumerate() {
        let name = |suffix: &str| format!("{}{n}{suffix}", tensor::LAYERS);
        let fraction = match described.activation {
            Activation::Sine | Activation::Tanh | Activation::Sigmoid => UNIT_BITS,
            _ => fraction_bits(largest[n]),
        };
        let real = f64::from(-fraction).exp2();
        // Steps of the pre-activation per real unit, and what is taken off first.
        let mut unit = vec![steps(described.activation, real); layer.outputs];
        let mut layer = layer.clone();
        if n == last {
            output = (vec![real; layer.outputs], vec![0.0; layer.outputs]);
            if described.activation == Activation::Identity {
                for (o, &(lo, hi)) in outputs.iter().enumerate() {
                    let half = (0.5 * (hi - lo) * MARGIN).max(1e-30 + 1e-6 * hi.abs().max(lo.abs()));
                    (output.0[o], output.1[o]) = (half / MOST, 0.5 * (lo + hi));
                    layer.bias[o] -= output.1[o];
                    unit[o] = MOST / half;
                }
            }
        }
        let sine = described.activation == Activation::Sine;
        if n == 0 && architecture.mapping == Mapping::None {
            guard(described.activation, &mut unit);
            tensors.extend(wide_layer(&layer, &centre, &step, &unit, sine, &name)?);
            widths.push("32");
        } else {
            let bits = *narrow.next().expect("bits for every narrow layer");
            widths.push(bits.name());
            tensors.extend(narrow_layer(&layer, &unit_in, &unit, bits, sine, &name)?);
        }
        fractions.push(fraction.to_string());
        let behind = gate.map_or(real, |(_, fraction)| f64::from(-fraction).exp2());
        unit_in = vec![(behind, 0.0); layer.outputs];
    }
    if let Some((activation, fraction)) = gate {
        let sine = activation == Activation::Sine;
        let bits = narrow.next();
        for (n, encoder) in dense.encoders.iter().enumerate() {
            let name = |suffix: &str| format!("{}{n}{suffix}", tensor::ENCODER);
            let mut unit = vec![steps(activation, f64::from(-fraction).exp2()); encoder.outputs];
            tensors.extend(match bits {
                Some(&bits) => narrow_layer(encoder, &features, &unit, bits, sine, &name)?,
                None => {
                    guard(activation, &mut unit);
                    wide_layer(encoder, &centre, &step, &unit, sine, &name)?
                }
            });
        }
        widths.push(bits.map_or("32", |b| b.name()));
        fractions.push(fraction.to_string());
    }
    if let Some((scale, offset)) = &dense.output {
        for o in 0..scale.len() {
            output.1[o] = output.1[o] * scale[o] + offset[o];
            output.0[o] *= scale[o];
        }
    }
    let floats = |name: &str, values: Vec<f64>| {
        let single: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        Stored::f32(name, &[single.len()], &single)
    };
    tensors.push(floats(tensor::INPUT_SCALE, step.iter().map(|s| 1.0 / s).collect()));
    tensors.push(floats(tensor::INPUT_OFFSET, step.iter().zip(&centre).map(|(s, c)| -c / s).collect()));
    tensors.push(floats(tensor::OUTPUT_SCALE, output.0));
    tensors.push(floats(tensor::OUTPUT_OFFSET, output.1));

    let mut words = export::words(dense, description, format::MathBackend::Polynomial);
    words.remove(key::MATH);
    words.insert(key::VERSION.into(), format::INTEGER_VERSION.to_string());
    words.insert(key::BITS.into(), widths.join(","));
    words.insert(key::FRACTIONS.into(), fractions.join(","));
    with_self_test(tensors, &words, inputs, architecture.outputs())
}

/// Fraction bits with which values up to `largest` fit 16 bits.
fn fraction_bits(largest: f64) -> i32 {
    ((MOST / (MARGIN * largest.max(1e-6))).log2().floor() as i32).clamp(-16, 30)
}

/// Steps of the argument of `activation` per real unit; `real` is one step of its value.
fn steps(activation: Activation, real: f64) -> f64 {
    match activation {
        Activation::Sine => f64::from(32).exp2(),
        Activation::Relu | Activation::Identity => 1.0 / real,
        _ => f64::from(ARGUMENT_BITS).exp2(),
    }
}

/// A layer at full width keeps more bits below those of an activation that has no argument of its own.
fn guard(activation: Activation, unit: &mut [f64]) {
    if matches!(activation, Activation::Relu | Activation::Identity) {
        unit.iter_mut().for_each(|u| *u *= f64::from(GUARD_BITS).exp2());
    }
}

fn wide_layer(
    layer: &HostDense,
    centre: &[f64],
    step: &[f64],
    unit: &[f64],
    sine: bool,
    name: &dyn Fn(&str) -> String,
) -> Result<Vec<Stored>> {
    let [kernel, bias] = wide(layer, centre, step, unit, sine, &name(tensor::KERNEL))?;
    Ok(vec![
        Stored::integers(name(tensor::KERNEL), Dtype::I32, &[layer.inputs, layer.outputs], words32(&kernel)),
        Stored::integers(name(tensor::BIAS), Dtype::I32, &[layer.outputs], words32(&bias)),
    ])
}

fn narrow_layer(
    layer: &HostDense,
    unit_in: &[(f64, f64)],
    unit: &[f64],
    bits: Bits,
    sine: bool,
    name: &dyn Fn(&str) -> String,
) -> Result<Vec<Stored>> {
    let outputs = layer.outputs;
    let (mut weight, mut bias, mut multiplier, mut shift) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (o, &unit) in unit.iter().enumerate() {
        let mut start = layer.bias[o];
        let column: Vec<f64> = unit_in
            .iter()
            .enumerate()
            .map(|(i, (step, centre))| {
                start += layer.kernel[i * outputs + o] * centre;
                layer.kernel[i * outputs + o] * step
            })
            .collect();
        if sine {
            start -= start.round();
        }
        let refuse = || overflow(&name(tensor::WEIGHT), o);
        let Grid { weights, scale, bias: start } = grid(&column, start, bits).ok_or_else(refuse)?;
        let (m, s) = factor(scale * unit).ok_or_else(refuse)?;
        weight.extend(pack(bits, &weights));
        bias.push(start);
        multiplier.push(m);
        shift.push(s as u8);
    }
    let (dtype, width) = match bits {
        Bits::Four | Bits::Six => (Dtype::U8, bits.row(layer.inputs)),
        Bits::Eight => (Dtype::I8, layer.inputs),
        Bits::Sixteen => (Dtype::I16, layer.inputs),
    };
    Ok(vec![
        Stored::integers(name(tensor::WEIGHT), dtype, &[outputs, width], weight),
        Stored::integers(name(tensor::BIAS), Dtype::I32, &[outputs], words32(&bias)),
        Stored::integers(name(tensor::MULTIPLIER), Dtype::I32, &[outputs], words32(&multiplier)),
        Stored::integers(name(tensor::SHIFT), Dtype::I8, &[outputs], shift),
    ])
}

/// The file with samples whose outputs are this runtime's own.
fn with_self_test(tensors: Vec<Stored>, words: &container::Words, inputs: usize, outputs: usize) -> Result<Vec<u8>> {
    let mut rng = Rng::new(0).stream("self-test");
    let mut x: Vec<i16> = vec![-32767; inputs];
    x.extend(vec![32767; inputs]);
    x.extend((0..SAMPLES * inputs).map(|_| rng.symmetric(MOST) as i16));
    let rows = x.len() / inputs;
    let bytes = |values: &[i16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let file = |y: &[i16]| {
        let mut tensors = tensors.clone();
        tensors.push(Stored::integers(tensor::SELF_TEST_INPUTS, Dtype::I16, &[rows, inputs], bytes(&x)));
        tensors.push(Stored::integers(tensor::SELF_TEST_OUTPUTS, Dtype::I16, &[rows, outputs], bytes(y)));
        container::write(&tensors, words)
    };
    let mut y = vec![0; rows * outputs];
    let draft = file(&y);
    let model = IntegerModel::new(&draft).map_err(refused)?;
    model.eval_integers(&x, &mut y, &mut vec![0; model.scratch_len()]).expect("lengths come from the model");
    Ok(file(&y))
}
