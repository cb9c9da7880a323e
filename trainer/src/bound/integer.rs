//! A model in integers as a real network whose neurons are off by known steps.
//!
//! Everything is in steps of the integers. What each operation of the runtime (`FORMAT.md`, version 2) may add is derived
//! here; sums of products are exact, as no accumulator can overflow.

use rwf_runtime::{
    IntegerModel,
    format::{Activation, Mapping, key, tensor},
    integer::{ARGUMENT_BITS, Bits, GUARD_BITS, UNIT_BITS},
};
use safetensors::SafeTensors;

use super::{
    Network,
    network::{Arithmetic, Entry, Gate, Layer, Steps},
};
use crate::{network::HostDense, quantize::unpack};

/// Where activations of 16 bits are held.
const MOST: f64 = 32767.0;

/// Largest error of the runtime's table of sines, in steps of 2^-15: 1 of its entries (those above 32,767 are held there,
/// all others round to a half), 0.155 between them (h²/8·max|f''|, h = π/512), 0.5 as the product rounds, 0.0062 as the
/// phase loses its last 7 bits.
const SINE: f64 = 1.67;
/// The same of tanh: 1 of entries, 3.08 between them (h = 1/32, |f''| <= 0.77), 0.5, and 0.032 as the argument loses its
/// last 6 bits. Beyond the table it is 32,767, off by less than 1.
const TANH: f64 = 4.62;
/// The same of the logistic function: half of that, 0.5 as it is halved downwards, and the argument's last bit.
const SIGMOID: f64 = 2.82;
/// The same of x·logistic(x), in units of 1: 16 steps of 2^-16 between entries (h = 1/16, |f''| <= 0.5), 0.5 of entries, 0.5
/// as the product rounds, 0.07 as the argument loses its last 7 bits; beyond the table 0.12 at most.
const SWISH: f64 = 17.1 / 65536.0;
/// The same of gelu: 6.39 between entries (h = 1/32, |f''| <= 0.7979), 1 and 0.04 as above.
const GELU: f64 = 7.5 / 65536.0;

/// Tensors of a file of integers.
struct Reader<'a> {
    tensors: SafeTensors<'a>,
}

impl Network {
    /// Of a model file in integers.
    ///
    /// # Errors
    /// A sentence when it is none, or has shifts this does not know how to enclose.
    pub fn of_integers(file: &[u8]) -> Result<Self, String> {
        let model = IntegerModel::new(file).map_err(|e| e.to_string())?;
        let reader = Reader { tensors: SafeTensors::deserialize(file).map_err(|e| e.to_string())? };
        let architecture = model.architecture().clone();
        let fractions = fractions(&model)?;
        let single = |name: &str| reader.floats(name);
        let (scale, offset) = (single(tensor::INPUT_SCALE)?, single(tensor::INPUT_OFFSET)?);
        let entry = scale.into_iter().zip(offset).map(|(scale, offset)| Entry { scale, offset }).collect();
        let mapping = match architecture.mapping {
            Mapping::None => None,
            Mapping::Fourier { .. } => {
                let (kernel, bias) = (reader.words(tensor::MAPPING_KERNEL)?, reader.words(tensor::MAPPING_BIAS)?);
                Some(wide(&kernel, &bias, Activation::Sine, UNIT_BITS))
            }
        };
        let layer = |name: String, bits: Option<Bits>, inputs: usize, activation, fraction| -> Result<Layer, String> {
            match bits {
                None => {
                    let kernel = reader.words(&format!("{name}{}", tensor::KERNEL))?;
                    Ok(wide(&kernel, &reader.words(&format!("{name}{}", tensor::BIAS))?, activation, fraction))
                }
                Some(bits) => reader.narrow(&name, bits, inputs, activation, fraction),
            }
        };
        let described = architecture.layers.iter().zip(&fractions).enumerate();
        let layers = described.map(|(n, (l, &fraction))| {
            layer(format!("{}{n}", tensor::LAYERS), model.bits(n), l.inputs, l.activation, fraction)
        });
        let layers: Vec<Layer> = layers.collect::<Result<_, _>>()?;
        let (mut encoders, mut gates) = (Vec::new(), None);
        if let Some(activation) = architecture.gate {
            let fraction = fractions[layers.len()];
            let bits = model.metadata(key::BITS).and_then(|w| w.split(',').nth(layers.len())).unwrap_or_default();
            for n in 0..2 {
                let name = format!("{}{n}", tensor::ENCODER);
                let encoder = layer(name, Bits::from_name(bits), architecture.features(), activation, fraction)?;
                encoders.push(to_gate(encoder, fraction));
            }
            let each = &fractions[..layers.len()];
            gates = Some(each.iter().map(|&f| gate(f)).collect());
        }
        let output = Some((single(tensor::OUTPUT_SCALE)?, single(tensor::OUTPUT_OFFSET)?));
        Ok(Self { architecture, entry: Some(entry), mapping, encoders, layers, gates, mask: None, output })
    }
}

/// Fraction bits of every layer, then of the gate.
fn fractions(model: &IntegerModel<'_>) -> Result<Vec<i32>, String> {
    let words = model.metadata(key::FRACTIONS).unwrap_or_default();
    let each: Option<Vec<i32>> = words.split(',').map(|w| w.parse().ok()).collect();
    let each = each.ok_or("fractions are no numbers")?;
    // Beyond this a shift to the left would lose all bits.
    match each.iter().find(|&&f| f < -29) {
        Some(f) => Err(format!("fraction bits: found {f}, enclosed from -29 on")),
        None => Ok(each),
    }
}

/// h·(u - v) with the fraction bits of what leaves the gate: h·half, half = (u - v)/2, times 2^(1 - fraction).
fn gate(fraction: i32) -> Gate {
    let (shift, noise) = rounded(1 - fraction);
    Gate { factor: 0.5 * shift, noise, limit: MOST }
}

/// An encoder whose values stay within ±1 has [`UNIT_BITS`] and is moved to those of the gate.
fn to_gate(mut encoder: Layer, fraction: i32) -> Layer {
    if bounded(encoder.activation) {
        let (shift, noise) = rounded(fraction - UNIT_BITS);
        encoder.gain *= shift;
        if let Arithmetic::Steps(steps) = &mut encoder.arithmetic {
            steps.after = steps.after * shift + noise;
            steps.most = if fraction > UNIT_BITS { MOST } else { f64::INFINITY };
        }
    }
    encoder
}

/// The factor of a saturating shift, and what it rounds off.
fn rounded(shift: i32) -> (f64, f64) {
    (f64::from(shift.max(-31)).exp2(), if shift < 0 { 0.5 } else { 0.0 })
}

/// Where a saturating shift holds its result.
fn held(shift: i32) -> f64 {
    let end = f64::from(31).exp2();
    if shift >= 31 {
        0.0
    } else if shift >= 0 {
        end - f64::from(shift).exp2()
    } else {
        end * f64::from(shift.max(-31)).exp2() - 1.0
    }
}

const fn bounded(activation: Activation) -> bool {
    matches!(activation, Activation::Sine | Activation::Tanh | Activation::Sigmoid)
}

/// Steps of the argument of an activation in a unit of it, the steps of its value in a unit of that, the largest error of
/// such a value and where it is held.
fn scales(activation: Activation, fraction: i32) -> (f64, f64, f64, f64) {
    let unit = f64::from(UNIT_BITS).exp2();
    let argument = f64::from(ARGUMENT_BITS).exp2();
    let smooth = |error: f64| {
        let (shift, noise) = rounded(fraction - ARGUMENT_BITS);
        let gain = argument * shift;
        (argument, gain, error * gain + noise, MOST.min(held(fraction - ARGUMENT_BITS)))
    };
    match activation {
        Activation::Sine => (f64::from(32).exp2(), unit, SINE, f64::INFINITY),
        Activation::Tanh => (argument, unit, TANH, f64::INFINITY),
        Activation::Sigmoid => (argument, unit, SIGMOID, f64::INFINITY),
        Activation::Swish => smooth(SWISH),
        Activation::Gelu => smooth(GELU),
        // Their arguments are rounded and held, and then are their values.
        Activation::Relu | Activation::Identity => (1.0, 1.0, 0.0, f64::INFINITY),
    }
}

/// A layer at full width: its sums are exact, in the steps of the argument; those without one keep [`GUARD_BITS`] more.
fn wide(kernel: &[i32], bias: &[i32], activation: Activation, fraction: i32) -> Layer {
    let (argument, gain, after, most) = scales(activation, fraction);
    let straight = matches!(activation, Activation::Relu | Activation::Identity);
    let unit = if straight { f64::from(GUARD_BITS).exp2() } else { argument };
    let real = |words: &[i32]| words.iter().map(|&w| f64::from(w) / unit).collect::<Vec<f64>>();
    let outputs = bias.len();
    let dense = HostDense { inputs: kernel.len() / outputs, outputs, kernel: real(kernel), bias: real(bias) };
    let (before, limit) = if straight { (0.5, MOST) } else { (0.0, f64::INFINITY) };
    let steps = Steps { before: vec![before; outputs], limit: vec![limit; outputs], after, most };
    Layer::new(dense, activation, gain, Arithmetic::Steps(steps))
}

impl Reader<'_> {
    fn bytes(&self, name: &str) -> Result<&[u8], String> {
        self.tensors.tensor(name).map(|t| t.data()).map_err(|e| format!("tensor `{name}`: {e}"))
    }

    fn words(&self, name: &str) -> Result<Vec<i32>, String> {
        let (words, _) = self.bytes(name)?.as_chunks::<4>();
        Ok(words.iter().map(|w| i32::from_le_bytes(*w)).collect())
    }

    fn floats(&self, name: &str) -> Result<Vec<f64>, String> {
        let (words, _) = self.bytes(name)?.as_chunks::<4>();
        Ok(words.iter().map(|w| f64::from(f32::from_le_bytes(*w))).collect())
    }

    /// A layer of narrow weights: (bias + Σ w·x)·multiplier/2^16·2^shift, which rounds down once where both shifts are to
    /// the right, and before a shift to the left; a saturating shift to the right rounds to the nearest.
    fn narrow(
        &self,
        name: &str,
        bits: Bits,
        inputs: usize,
        activation: Activation,
        fraction: i32,
    ) -> Result<Layer, String> {
        let of = |suffix: &str| format!("{name}{suffix}");
        let weight = self.bytes(&of(tensor::WEIGHT))?;
        let (bias, multiplier) = (self.words(&of(tensor::BIAS))?, self.words(&of(tensor::MULTIPLIER))?);
        let shift: Vec<i32> = self.bytes(&of(tensor::SHIFT))?.iter().map(|&b| i32::from(b as i8)).collect();
        let outputs = bias.len();
        let (argument, gain, after, most) = scales(activation, fraction);
        let mut dense = HostDense { inputs, outputs, kernel: vec![0.0; inputs * outputs], bias: vec![0.0; outputs] };
        let mut steps = Steps { before: Vec::new(), limit: Vec::new(), after, most };
        for (o, row) in weight.chunks_exact(bits.row(inputs)).enumerate() {
            let factor = f64::from(multiplier[o]) / 65536.0 * f64::from(shift[o].max(-31)).exp2() / argument;
            for (i, w) in unpack(bits, row, inputs).into_iter().enumerate() {
                dense.kernel[i * outputs + o] = f64::from(w) * factor;
            }
            dense.bias[o] = f64::from(bias[o]) * factor;
            // Downwards is half a step down and half a step around that; a sine's shift to the right goes on downwards.
            let down = if shift[o] >= 0 { f64::from(shift[o]).exp2() } else { 1.0 } / argument;
            let nearest = shift[o] < 0 && activation != Activation::Sine;
            if !nearest {
                dense.bias[o] -= 0.5 * down;
            }
            steps.before.push(0.5 * down);
            steps.limit.push(match activation {
                Activation::Sine => f64::INFINITY,
                Activation::Relu | Activation::Identity => MOST.min(held(shift[o])),
                _ => held(shift[o]) / argument,
            });
        }
        Ok(Layer::new(dense, activation, gain, Arithmetic::Steps(steps)))
    }
}

#[cfg(test)]
mod tests {
    use rwf_runtime::format::Layer as Described;

    use super::*;
    use crate::{
        export::Description,
        fold::activate,
        network::{DenseNetwork, HostDense},
        quantize,
    };

    /// Single neurons over all 65,535 coordinates: what the runtime makes of them is within the constants, and these are
    /// not wide without need.
    #[test]
    fn tables_are_within_their_constants() {
        for (activation, reach, constant) in [
            (Activation::Sine, 1.3, SINE),
            (Activation::Tanh, 9.0, TANH),
            (Activation::Sigmoid, 18.0, SIGMOID),
            (Activation::Swish, 17.0, SWISH),
            (Activation::Gelu, 9.0, GELU),
        ] {
            let architecture = rwf_runtime::format::Architecture {
                inputs: 1,
                mapping: Mapping::None,
                gate: None,
                layers: std::iter::once(Described { inputs: 1, outputs: 1, activation }).collect(),
                output_mask: false,
                output_affine: false,
            };
            let layer = HostDense { kernel: vec![reach], bias: vec![0.013], inputs: 1, outputs: 1 };
            let dense = DenseNetwork {
                architecture,
                mapping: None,
                encoders: vec![],
                layers: vec![layer],
                mask: None,
                output: None,
            };
            let description = Description {
                signal: String::new(),
                inputs: "x -1 1".into(),
                outputs: "v -1 1".into(),
                grid: None,
                error: None,
                provenance: String::new(),
            };
            let file = quantize::model(&dense, &description, &[], &[-1.0, 0.0, 1.0]).unwrap();
            let model = IntegerModel::new(&file).unwrap();
            let network = Network::of_integers(&file).unwrap();
            let layer = &network.layers[0];
            let Arithmetic::Steps(steps) = &layer.arithmetic else { panic!("integers") };
            let mut worst = 0.0f64;
            for x in -32767..=32767 {
                let mut y = [0];
                model.eval_integers(&[x], &mut y, &mut vec![0; model.scratch_len()]).unwrap();
                let z = f64::from(x) * layer.dense.kernel[0] + layer.dense.bias[0];
                worst = worst.max((f64::from(y[0]) - layer.gain * activate(activation, z)).abs());
            }
            assert!(worst <= steps.after, "{activation:?}: {worst} {}", steps.after);
            assert!(worst > 0.4 * steps.after, "{activation:?}: {worst} {}, {constant}", steps.after);
        }
    }
}
