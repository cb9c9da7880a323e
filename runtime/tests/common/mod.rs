//! Model files made by hand, good ones and others.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod oracle;

/// A tensor as the header tells of it.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
    /// Offsets to write instead of the true ones.
    pub offsets: Option<(usize, usize)>,
}

/// A file to be.
#[derive(Clone)]
pub struct File {
    pub words: Vec<(&'static str, String)>,
    pub tensors: Vec<Tensor>,
}

pub fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Numbers that look random, the same every time.
pub fn numbers(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 12345u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
        })
        .collect()
}

impl File {
    /// A 2-5-5-3 network with these words.
    pub fn network(mapping: &str, activations: &str, gate: Option<&str>) -> Self {
        Self::on_inputs(2, mapping, activations, gate)
    }

    /// The same on any number of coordinates; its words describe two.
    pub fn on_inputs(inputs: usize, mapping: &str, activations: &str, gate: Option<&str>) -> Self {
        let features = match mapping {
            "none" => inputs,
            "fourier" => 6,
            _ => 6 + inputs,
        };
        let mut file = Self {
            words: vec![
                ("format", "rwf-model".into()),
                ("format_version", "1".into()),
                ("mapping", mapping.into()),
                ("activations", activations.into()),
                ("math", "polynomial".into()),
                ("inputs", "x[px] 0 31;y 0 15".into()),
                ("outputs", "a 0 1;b 0 1;c[K] 0 1".into()),
                ("grid", "node last 32 16".into()),
            ],
            tensors: Vec::new(),
        };
        if mapping != "none" {
            file.push("mapping.kernel", &[inputs, 3], 1.0);
            file.push("mapping.bias", &[3], 0.5);
        }
        if let Some(gate) = gate {
            file.words.push(("gate", gate.into()));
            for n in 0..2 {
                file.push(&format!("encoder.{n}.kernel"), &[features, 5], 0.6);
                file.push(&format!("encoder.{n}.bias"), &[5], 0.6);
            }
        }
        for (n, [i, o]) in [[features, 5], [5, 5], [5, 3]].into_iter().enumerate() {
            file.push(&format!("layers.{n}.kernel"), &[i, o], 0.7);
            file.push(&format!("layers.{n}.bias"), &[o], 0.3);
        }
        file
    }

    pub fn push(&mut self, name: &str, shape: &[usize], scale: f32) {
        let bytes = f32s(&numbers(shape.iter().product(), scale));
        self.tensors.push(Tensor { name: name.into(), dtype: "F32", shape: shape.into(), bytes, offsets: None });
    }

    pub fn word(&mut self, key: &str) -> &mut String {
        &mut self.words.iter_mut().find(|w| w.0 == key).expect("a word of the file").1
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|t| t.name == name).expect("a tensor of the file")
    }

    /// With factors that make outputs vanish on walls, of any kind.
    pub fn masked(mut self, inputs: usize) -> Self {
        self.push("output.mask", &[3, 4 * inputs], 1.5);
        self
    }

    /// Every weight as f16, but for a mask; the values are halved until each is one of f16's.
    pub fn halve(mut self) -> Self {
        for tensor in self.tensors.iter_mut().filter(|t| t.name != "output.mask") {
            let values = tensor.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            tensor.bytes = values.flat_map(|v| to_half(v).to_le_bytes()).collect();
            tensor.dtype = "F16";
        }
        self
    }

    pub fn header(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|(k, v)| format!("\"{k}\":\"{v}\"")).collect();
        let mut at = 0;
        let tensors: Vec<String> = self
            .tensors
            .iter()
            .map(|t| {
                let (start, end) = t.offsets.unwrap_or((at, at + t.bytes.len()));
                at += t.bytes.len();
                let (name, dtype, shape) = (&t.name, t.dtype, &t.shape);
                format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}")
            })
            .collect();
        format!("{{\"__metadata__\":{{{}}},{}}}", words.join(","), tensors.join(","))
    }

    pub fn bytes(&self) -> Vec<u8> {
        with_header(&self.header(), &self.data())
    }

    pub fn data(&self) -> Vec<u8> {
        self.tensors.iter().flat_map(|t| t.bytes.clone()).collect()
    }
}

pub fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let padded = header.len().next_multiple_of(8);
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend(format!("{header:padded$}").bytes());
    bytes.extend(data);
    bytes
}

/// Nearest half below in magnitude, for values of normal size.
pub fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 255) as i32 - 112;
    let sign = (bits >> 16 & 0x8000) as u16;
    if exponent <= 0 { sign } else { sign | (exponent as u16) << 10 | (bits >> 13 & 1023) as u16 }
}

pub fn from_half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = if exponent == 0 { fraction * 2f64.powi(-24) } else { (1024.0 + fraction) * 2f64.powi(exponent - 25) };
    if bits >> 15 == 1 { -size } else { size }
}
