//! Writes the corpus: small good models of every kind. `cargo run --bin seeds`, in this folder.

#[path = "../../../tests/common/mod.rs"]
mod common;

use std::{fs, path::Path};

use common::{File, Tensor, f32s, numbers};
use rwf_runtime::entropy::encode;

fn main() {
    let mut floats = Vec::new();
    for mapping in ["none", "fourier", "fourier+raw"] {
        for (n, activations) in ["sine,sine,identity", "relu,gelu,sigmoid", "tanh,swish,tanh"].into_iter().enumerate() {
            for gate in [None, Some("tanh")] {
                let mut file = File::network(mapping, activations, gate);
                if n == 1 {
                    file.push("output.scale", &[3], 2.0);
                    file.push("output.offset", &[3], 5.0);
                }
                let name = format!("{mapping}-{n}{}", if gate.is_some() { "-gated" } else { "" });
                if n == 0 {
                    floats.push((format!("{name}-f16"), file.clone().halve().bytes()));
                }
                if n == 2 {
                    *file.word("math") = if gate.is_some() { "libm" } else { "micromath" }.into();
                }
                floats.push((name, file.bytes()));
            }
        }
    }
    let mut integers = Vec::new();
    for mapping in ["none", "fourier", "fourier+raw"] {
        for (bits, activations) in [("4", "sine,relu"), ("6", "relu,tanh"), ("8", "tanh,sigmoid"), ("16", "swish,gelu")]
        {
            integers.push((format!("{mapping}-{bits}"), quantised(mapping, bits, activations)));
        }
    }
    write("load", floats.iter().chain(&integers));
    write("eval", floats.iter());
    write("quantised", integers.iter());
    let all = floats.iter().chain(&integers);
    let packed: Vec<_> = all.clone().map(|(name, file)| (format!("{name}.rwfz"), encode(file))).collect();
    write("unpack", all.chain(&packed).filter(|(name, _)| name.starts_with("fourier-")));
}

fn write<'a>(target: &str, files: impl Iterator<Item = &'a (String, Vec<u8>)>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the corpus can be written");
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("the corpus can be written");
    }
}

/// A 2-4-4-2 network in integers.
fn quantised(mapping: &str, bits: &str, activations: &str) -> Vec<u8> {
    let features = match mapping {
        "none" => 2,
        "fourier" => 6,
        _ => 8,
    };
    let mut file = File::network(mapping, &format!("{activations},identity"), None);
    file.tensors.clear();
    file.words.retain(|(key, _)| *key != "math");
    *file.word("format_version") = "2".into();
    *file.word("outputs") = "a 0 1;b 0 1".into();
    file.words.push(("fractions", "12,12,12".into()));
    let first = if mapping == "none" { "32" } else { bits };
    file.words.push(("bits", format!("{first},{bits},{bits}")));
    let mut seed = 0;
    let mut random = |count: usize, least: i32, most: i32| -> Vec<i32> {
        seed += 1;
        let spread = f64::from(most) - f64::from(least);
        let all = numbers(count + seed, 0.5);
        all[seed..].iter().map(|v| (f64::from(*v) + 0.5).mul_add(spread, f64::from(least)) as i32).collect()
    };
    let mut push = |name: String, dtype: &'static str, shape: Vec<usize>, bytes: Vec<u8>| {
        file.tensors.push(Tensor { name, dtype, shape, bytes, offsets: None });
    };
    let words = |v: Vec<i32>| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let bytes = |v: Vec<i32>| v.iter().map(|v| *v as u8).collect::<Vec<u8>>();
    if mapping != "none" {
        push("mapping.kernel".into(), "I32", vec![2, 3], words(random(6, i32::MIN, i32::MAX)));
        push("mapping.bias".into(), "I32", vec![3], words(random(3, i32::MIN, i32::MAX)));
    }
    for (n, [i, o]) in [[features, 4], [4, 4], [4, 2]].into_iter().enumerate() {
        let name = |suffix: &str| format!("layers.{n}.{suffix}");
        if n == 0 && mapping == "none" {
            push(name("kernel"), "I32", vec![i, o], words(random(i * o, -20_000, 20_000)));
            push(name("bias"), "I32", vec![o], words(random(o, -100_000_000, 100_000_000)));
            continue;
        }
        let (dtype, row) = match bits {
            "4" => ("U8", i.div_ceil(2)),
            "6" => ("U8", i.div_ceil(4) * 3),
            "8" => ("I8", i),
            _ => ("I16", i),
        };
        let size = if bits == "16" { 2 } else { 1 };
        let weights = match bits {
            "16" => random(row * o, -3000, 3000).iter().flat_map(|v| (*v as i16).to_le_bytes()).collect(),
            _ => bytes(random(row * o * size, 0, 255)),
        };
        push(name("weight"), dtype, vec![o, row], weights);
        push(name("bias"), "I32", vec![o], words(random(o, -1_000_000, 1_000_000)));
        push(name("multiplier"), "I32", vec![o], words(random(o, 30_000, 65_535)));
        push(name("shift"), "I8", vec![o], bytes(random(o, 0, 12)));
    }
    for (name, count) in [("input", 2), ("output", 2)] {
        push(format!("{name}.scale"), "F32", vec![count], f32s(&[1000.0, 0.01][..count]));
        push(format!("{name}.offset"), "F32", vec![count], f32s(&[-3.0, 7.0][..count]));
    }
    let file = file.bytes();
    rwf_runtime::IntegerModel::new(&file).unwrap_or_else(|e| panic!("{mapping} {bits}: {e}"));
    file
}
