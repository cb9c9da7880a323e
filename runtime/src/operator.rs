//! Networks that take a function: a branch that sees its values at sensors, once, and a trunk that sees a point.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! # let (file, sensors) = ([0u8; 0], [0.0f32; 100]);
//! let operator = rwf_runtime::Operator::new(&file)?;
//! # const LATENT: usize = 0; const SCRATCH: usize = 0;
//! let (mut latent, mut scratch) = ([0.0; LATENT], [0.0; SCRATCH]);
//! // The branch, once for an input function; `latent` is all that is kept of it.
//! operator.encode(&sensors, &mut latent, &mut scratch)?;
//! // The trunk, at any point, as often as wanted.
//! let mut s = [0.0];
//! operator.eval(&latent, &[0.5, 0.25], &mut s, &mut scratch)?;
//! # Ok(())
//! # }
//! ```
//!
//! Bits are those of FORMAT.md on every machine, one point or many. Feature `operator`: a loader shared with this module is
//! larger, for programs that read coordinate networks alone.

use core::fmt;

use heapless::Vec;

use crate::{
    activation,
    dense::{Dense, Values},
    describe::Quantity,
    error::{EvalError, LoadError, SelfTestError, TensorName, Word},
    format::{
        Activation, Architecture, Layers, MAX_INPUTS, MAX_LAYERS, MAX_WIDTH, Mapping, MathBackend, OPERATOR_FORMAT,
        OPERATOR_VERSION, Precision, key, tensor,
    },
    header::{self, Header, Info, MAX_HEADER, METADATA, Spans},
    json::{Json, decimal},
    load::Reader,
    model::{Model, NARROW, WIDE},
    network::Points,
    uses,
};

/// Two networks of up to 16 layers with encoders, a mapping, a head and the self-test.
const MAX_TENSORS: usize = 4 * MAX_LAYERS + 16;
/// The one NaN that leaves the runtime.
const NAN: u32 = 0x7fc0_0000;

/// Why bytes are not an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OperatorError {
    /// The file, or what belongs to neither network.
    File(LoadError),
    /// In the branch.
    Branch(LoadError),
    /// In the trunk.
    Trunk(LoadError),
    /// Branch and trunk do not give as many numbers, or not as many for every output.
    Widths,
    /// The word that says how they are merged is missing or none the format knows.
    Merge,
}

impl fmt::Display for OperatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Branch(error) => write!(f, "branch: {error}"),
            Self::Trunk(error) => write!(f, "trunk: {error}"),
            Self::Widths => {
                f.write_str("branch and trunk give different numbers of values, or not as many for every output")
            }
            Self::Merge => f.write_str("`merge` is missing or not one the format knows"),
        }
    }
}

impl core::error::Error for OperatorError {}

/// An operator G(u)(y): from an input function u `[sensors]` and points y `[n, inputs]` to `[n, outputs]`, borrowed from
/// the bytes of its file.
#[derive(Debug, Clone)]
pub struct Operator<'a> {
    branch: Model<'a>,
    trunk: Model<'a>,
    /// Weights `[width, outputs]` behind the activation; none: values are inner products.
    head: Option<(Dense<'a>, Activation)>,
    bias: Values<'a>,
    math: MathBackend,
    weight_bytes: usize,
    /// Functions, points, outputs.
    self_test: Option<[Values<'a>; 3]>,
}

/// Whether `file` says that it is an operator.
pub fn is_operator(file: &[u8]) -> bool {
    text(file).is_ok_and(|(text, _)| header::find_word(text, key::FORMAT) == Some(OPERATOR_FORMAT))
}

/// Header and data of a safetensors file.
fn text(file: &[u8]) -> Result<(&[u8], &[u8]), LoadError> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or(LoadError::Truncated)?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER as u64 {
        return Err(LoadError::HeaderTooLong);
    }
    rest.split_at_checked(length as usize).ok_or(LoadError::Truncated)
}

/// A tensor that belongs to neither network.
fn own_name(name: &[u8]) -> Option<TensorName> {
    const NAMES: [(&str, TensorName); 5] = [
        (tensor::HEAD_KERNEL, TensorName::HeadKernel),
        (tensor::HEAD_BIAS, TensorName::HeadBias),
        (tensor::SELF_TEST_FUNCTIONS, TensorName::SelfTestFunctions),
        (tensor::SELF_TEST_POINTS, TensorName::SelfTestPoints),
        (tensor::SELF_TEST_OUTPUTS, TensorName::SelfTestOutputs),
    ];
    NAMES.iter().find(|(text, _)| text.as_bytes() == name).map(|(_, name)| *name)
}

/// What of the file's words and tensors is called `prefix`, without it; for no prefix what is the file's own.
fn read<'s, 'a>(
    (text, data): (&'a [u8], &'a [u8]),
    prefix: &str,
    spans: &'s mut Spans,
) -> Result<Header<'s, 'a, LoadError>, LoadError> {
    let mut header = Header::over(text, data, spans);
    let mut problem = None;
    let mut json = Json::new(text);
    let parsed = json.object(&mut |json, name| {
        if name == METADATA {
            return json.object(&mut |json, name| match name.strip_prefix(prefix.as_bytes()) {
                Some(rest) => header.words.read(json, rest),
                None => json.string(true).map(|_| ()),
            });
        }
        let info = Info::read(json)?;
        let part = [tensor::BRANCH, tensor::TRUNK].iter().any(|p| name.starts_with(p.as_bytes()));
        let added = match name.strip_prefix(prefix.as_bytes()) {
            Some(_) if prefix.is_empty() && part => Ok(()),
            Some(rest) if prefix.is_empty() => {
                own_name(rest).ok_or(LoadError::UnknownTensor).and_then(|name| header.insert(name, &info))
            }
            Some(rest) => header.add(rest, &info),
            None => Ok(()),
        };
        if let Err(wrong) = added {
            problem.get_or_insert(wrong);
        }
        Ok(())
    });
    match (parsed.and_then(|()| json.end()), problem) {
        (Err(_), _) => Err(LoadError::BadHeader),
        (Ok(()), Some(problem)) => Err(problem),
        (Ok(()), None) => Ok(header),
    }
}

/// Every byte of the data belongs to exactly one tensor.
fn check_coverage(text: &[u8], data: &[u8]) -> Result<(), LoadError> {
    let mut spans: Vec<[usize; 2], MAX_TENSORS> = Vec::new();
    let mut full = false;
    let parsed = Json::new(text).object(&mut |json, name| {
        if name == METADATA {
            return json.object(&mut |json, _| json.string(true).map(|_| ()));
        }
        // What is not a pair has been refused where its name is looked at.
        let span = Info::read(json)?.offsets.map_or([0, 0], |(pair, _)| pair);
        full |= spans.push(span).is_err();
        Ok(())
    });
    if parsed.is_err() {
        return Err(LoadError::BadHeader);
    }
    if full {
        return Err(LoadError::UnknownTensor);
    }
    spans.sort_unstable();
    let mut reach = 0;
    for [start, end] in &spans {
        // Sorted, each begins where the one before it ends.
        if *start != reach || end <= start {
            return Err(LoadError::Gap);
        }
        reach = *end;
    }
    match () {
        () if reach < data.len() => Err(LoadError::TrailingBytes),
        () if reach > data.len() => Err(LoadError::Truncated),
        () => Ok(()),
    }
}

/// One of the two networks.
fn network<'a, const MOST: usize>(
    file: (&'a [u8], &'a [u8]),
    prefix: &str,
    math: MathBackend,
) -> Result<Model<'a>, LoadError> {
    let mut spans = Spans::new();
    let header = read(file, prefix, &mut spans)?;
    let mut model = Model {
        precision: Precision::F32,
        weight_bytes: 0,
        architecture: Architecture {
            inputs: 0,
            mapping: Mapping::None,
            gate: None,
            layers: Layers::new(),
            output_mask: false,
            output_affine: false,
        },
        math,
        header: header.text,
        mapping: None,
        encoders: None,
        layers: Vec::new(),
        mask: None,
        output: None,
        self_test: None,
    };
    let mut reader = reader(&header);
    reader.read::<MOST>(&header.words, &mut model)?;
    if model.mask.is_some() || model.output.is_some() || model.self_test.is_some() {
        return Err(LoadError::UnknownTensor);
    }
    model.precision = reader.precision.unwrap_or_default();
    model.weight_bytes = reader.weight_bytes;
    Ok(model)
}

/// Takes tensors out of a header of this file.
fn reader<'h, 'a>(header: &'h Header<'h, 'a, LoadError>) -> Reader<'h, 'a, LoadError, { uses::ALL }, false> {
    Reader { header, memory: &mut [], precision: None, taken: 0, weight_bytes: 0 }
}

impl<'a> Operator<'a> {
    /// Reads a file of two networks in place; `bytes` may start at any address, though weights at a multiple of 4 are
    /// faster.
    ///
    /// # Errors
    /// Everything that is not exactly as FORMAT.md says. Afterwards only a slice of the wrong length can fail.
    pub fn new(bytes: &'a [u8]) -> Result<Self, OperatorError> {
        let file = text(bytes).map_err(OperatorError::File)?;
        let math = Self::words(file).map_err(OperatorError::File)?;
        check_coverage(file.0, file.1).map_err(OperatorError::File)?;
        let branch = network::<MAX_WIDTH>(file, tensor::BRANCH, math).map_err(OperatorError::Branch)?;
        let trunk = network::<MAX_INPUTS>(file, tensor::TRUNK, math).map_err(OperatorError::Trunk)?;
        let width = trunk.outputs();
        if branch.outputs() != width || branch.precision != trunk.precision {
            return Err(OperatorError::Widths);
        }
        let merge = match header::find_word(file.0, key::MERGE) {
            Some("dot") => None,
            Some(word) => Some(Activation::from_name(word).ok_or(OperatorError::Merge)?),
            None => return Err(OperatorError::Merge),
        };
        let mut operator = Self {
            weight_bytes: branch.weight_bytes + trunk.weight_bytes,
            branch,
            trunk,
            head: None,
            bias: Values::Aligned(&[]),
            math,
            self_test: None,
        };
        operator.head(file, merge).map_err(OperatorError::File)?;
        let fits = if merge.is_some() { true } else { width.is_multiple_of(operator.outputs().max(1)) };
        if fits && operator.outputs() > 0 { Ok(operator) } else { Err(OperatorError::Widths) }
    }

    /// What the file says of itself.
    fn words(file: (&'a [u8], &'a [u8])) -> Result<MathBackend, LoadError> {
        let word = |name| header::find_word(file.0, name);
        match word(key::FORMAT) {
            Some(OPERATOR_FORMAT) => {}
            _ => return Err(LoadError::Foreign),
        }
        let version = word(key::VERSION).ok_or(LoadError::MissingWord(Word::Version))?;
        match decimal(version.as_bytes()).ok_or(LoadError::UnknownWord(Word::Version))? {
            OPERATOR_VERSION => {}
            version => return Err(LoadError::UnsupportedVersion(version)),
        }
        let math = word(key::MATH).ok_or(LoadError::MissingWord(Word::Math))?;
        let math = MathBackend::from_bytes(math.as_bytes()).ok_or(LoadError::UnknownWord(Word::Math))?;
        if activation::available(math) { Ok(math) } else { Err(LoadError::MathNotBuiltIn(math)) }
    }

    /// What belongs to neither network.
    fn head(&mut self, file: (&'a [u8], &'a [u8]), merge: Option<Activation>) -> Result<(), LoadError> {
        let mut spans = Spans::new();
        let header = read(file, "", &mut spans)?;
        let mut reader = reader(&header);
        reader.precision = Some(self.trunk.precision);
        let [_, outputs] = header.span(TensorName::HeadBias)?.shape;
        if outputs > MAX_WIDTH {
            return Err(LoadError::Shape(TensorName::HeadBias));
        }
        self.bias = reader.weights(TensorName::HeadBias, 1)?.0;
        if let Some(activation) = merge {
            let (kernel, shape) = reader.weights(TensorName::HeadKernel, 2)?;
            if shape != [self.trunk.outputs(), outputs] {
                return Err(LoadError::Shape(TensorName::HeadKernel));
            }
            self.head = Some((Dense { kernel, bias: self.bias }, activation));
        }
        self.weight_bytes += reader.weight_bytes;
        if let Ok(functions) = header.span(TensorName::SelfTestFunctions) {
            let [functions, points] = [functions.shape[0], header.span(TensorName::SelfTestPoints)?.shape[0]];
            let mut samples = |name, rows, width| reader.samples(name, [rows, width]);
            let rows = functions.checked_mul(points).ok_or(LoadError::Shape(TensorName::SelfTestOutputs))?;
            self.self_test = Some([
                samples(TensorName::SelfTestFunctions, functions, self.branch.inputs())?,
                samples(TensorName::SelfTestPoints, points, self.trunk.inputs())?,
                samples(TensorName::SelfTestOutputs, rows, outputs)?,
            ]);
        }
        if reader.taken == header.spans.len() { Ok(()) } else { Err(LoadError::UnknownTensor) }
    }

    /// What the branch is.
    pub fn branch(&self) -> &Architecture {
        self.branch.architecture()
    }

    /// What the trunk is.
    pub fn trunk(&self) -> &Architecture {
        self.trunk.architecture()
    }

    /// The activation in front of a dense layer behind the product; `None`: values are inner products.
    pub fn activation(&self) -> Option<Activation> {
        self.head.as_ref().map(|(_, activation)| *activation)
    }

    /// Values of the input function.
    pub fn sensors(&self) -> usize {
        self.branch.inputs()
    }

    /// Number of coordinates of a point.
    pub fn inputs(&self) -> usize {
        self.trunk.inputs()
    }

    /// Number of values at a point.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Numbers that are kept of an input function, in f32s.
    pub fn latent_len(&self) -> usize {
        self.trunk.outputs()
    }

    /// How weights are stored.
    pub fn precision(&self) -> Precision {
        self.trunk.precision()
    }

    /// Which routines the bits come from.
    pub fn math(&self) -> MathBackend {
        self.math
    }

    /// Bytes of weights, biases and frequencies in the file.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// A word of the file's metadata.
    pub fn metadata(&self, name: &str) -> Option<&'a str> {
        self.trunk.metadata(name)
    }

    /// Name, unit and range of the input function.
    pub fn function(&self) -> Option<Quantity<'a>> {
        Quantity::parse(self.metadata(key::FUNCTION)?, 0)
    }

    /// Name, unit and domain of a point's coordinate.
    pub fn input(&self, index: usize) -> Option<Quantity<'a>> {
        self.trunk.input(index)
    }

    /// Name, unit and range of an output.
    pub fn output(&self, index: usize) -> Option<Quantity<'a>> {
        Quantity::parse(self.metadata(key::OUTPUTS)?, index)
    }

    /// Multiply-adds for an input function, and for a point.
    pub fn multiply_adds(&self) -> [usize; 2] {
        let merged = self.latent_len() * if self.head.is_some() { 1 + self.outputs() } else { 1 };
        [self.branch.architecture.multiply_adds(), self.trunk.architecture.multiply_adds() + merged]
    }

    /// Length of the scratch that [`Operator::encode`] and [`Operator::eval`] need, in f32s.
    pub fn scratch_len(&self) -> usize {
        self.branch.scratch_len().max(self.point_len())
    }

    /// Length of the scratch with which [`Operator::eval_batch`] is fastest, in f32s.
    pub fn batch_scratch_len(&self) -> usize {
        self.branch.scratch_len().max(WIDE * self.point_len())
    }

    /// What one point needs.
    fn point_len(&self) -> usize {
        self.trunk.scratch_len() + if self.head.is_some() { self.latent_len() + self.outputs() } else { 0 }
    }

    /// What is kept of the input function `u` `[sensors]`, in physical units: `latent` `[latent_len]`.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length; `latent` is then untouched.
    pub fn encode(&self, u: &[f32], latent: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        self.branch.eval(u, latent, scratch)
    }

    /// Values at one point: `y` is `[inputs]`, `out` is `[outputs]`, both in physical units.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length, `latent` counting as input; `out` is then untouched.
    pub fn eval(&self, latent: &[f32], y: &[f32], out: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        self.check(latent, y.len() == self.inputs(), out.len() == self.outputs(), scratch)?;
        self.tiles::<1>(latent, y, out, scratch);
        Ok(())
    }

    /// Values at n points: `y` is `[n, inputs]`, `out` is `[n, outputs]`. The bits do not depend on n nor on how much
    /// more scratch than [`Operator::scratch_len`] there is; the speed does.
    ///
    /// # Errors
    /// As [`Operator::eval`].
    pub fn eval_batch(&self, latent: &[f32], y: &[f32], out: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        let points = y.len().checked_div(self.inputs()).unwrap_or(0);
        let whole = y.len() == points * self.inputs();
        self.check(latent, whole, out.len() == points * self.outputs(), scratch)?;
        let need = self.point_len();
        let (y, out) =
            if scratch.len() >= WIDE * need { self.tiles::<WIDE>(latent, y, out, scratch) } else { (y, out) };
        let (y, out) =
            if scratch.len() >= NARROW * need { self.tiles::<NARROW>(latent, y, out, scratch) } else { (y, out) };
        self.tiles::<1>(latent, y, out, scratch);
        Ok(())
    }

    fn check(&self, latent: &[f32], inputs: bool, outputs: bool, scratch: &[f32]) -> Result<(), EvalError> {
        match () {
            () if !inputs || latent.len() != self.latent_len() => Err(EvalError::InputLength),
            () if !outputs => Err(EvalError::OutputLength),
            () if scratch.len() < self.point_len() => Err(EvalError::ScratchLength),
            () => Ok(()),
        }
    }

    /// As many tiles of `L` points as there are; what is left comes back.
    fn tiles<'x, 'y, const L: usize>(
        &self,
        latent: &[f32],
        mut y: &'x [f32],
        mut out: &'y mut [f32],
        scratch: &mut [f32],
    ) -> (&'x [f32], &'y mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let scratch = scratch.as_chunks_mut::<L>().0;
        while let Some((points, rest)) = y.split_at_checked(L * inputs) {
            if points.is_empty() {
                break;
            }
            let Some((values, after)) = core::mem::take(&mut out).split_at_mut_checked(L * outputs) else { break };
            self.tile::<L>(latent, points, values, scratch);
            (y, out) = (rest, after);
        }
        (y, out)
    }

    /// `L` points, values `[L, outputs]`.
    fn tile<const L: usize>(&self, latent: &[f32], points: &[f32], values: &mut [f32], scratch: &mut [[f32; L]]) {
        let outputs = self.outputs();
        let point = Points::<false> { x: points, inputs: self.inputs() };
        let Some((scratch, behind)) = scratch.split_at_mut_checked(self.trunk.scratch_len()) else { return };
        let mut put = |o: usize, lanes: [f32; L]| {
            for (value, lane) in values.chunks_exact_mut(outputs.max(1)).zip(lanes) {
                if let Some(value) = value.get_mut(o) {
                    *value = if lane.is_nan() { f32::from_bits(NAN) } else { lane };
                }
            }
        };
        let Some((head, kind)) = &self.head else {
            let each = self.latent_len().checked_div(outputs).unwrap_or(0);
            let (mut output, mut left, mut sum) = (0, 0, [0.0; L]);
            self.trunk.tile::<_, L>(&point, scratch, &mut |k, lanes| {
                if left == 0 {
                    sum = [self.bias.get(output).unwrap_or(0.0); L];
                    left = each;
                }
                let b = latent.get(k).copied().unwrap_or(0.0);
                for (sum, t) in sum.iter_mut().zip(lanes) {
                    *sum += t * b;
                }
                left -= 1;
                if left == 0 {
                    put(output, sum);
                    output += 1;
                }
            });
            return;
        };
        let Some((product, out)) = behind.split_at_mut_checked(self.latent_len()) else { return };
        let Some(out) = out.get_mut(..outputs) else { return };
        self.trunk.tile::<_, L>(&point, scratch, &mut |k, lanes| {
            if let (Some(slot), Some(b)) = (product.get_mut(k), latent.get(k)) {
                *slot = lanes.map(|t| t * b);
            }
        });
        activation::apply(self.math, *kind, product.as_flattened_mut());
        head.forward::<Points<'_>, L, { uses::ALL }>(product, out);
        for (o, lanes) in out.iter().enumerate() {
            put(o, *lanes);
        }
    }

    /// Length of the scratch that [`Operator::self_test`] needs, in f32s.
    pub fn self_test_scratch_len(&self) -> usize {
        self.scratch_len() + self.sensors() + self.outputs()
    }

    /// Evaluates the file's own functions and points and compares bits; `latent` is `[latent_len]`.
    ///
    /// # Errors
    /// [`SelfTestError`]: no samples in the file, a `latent` or a scratch that is too short, or other bits.
    pub fn self_test(&self, latent: &mut [f32], scratch: &mut [f32]) -> Result<(), SelfTestError> {
        let [functions, points, expected] = self.self_test.as_ref().ok_or(SelfTestError::Missing)?;
        let short = SelfTestError::ScratchLength;
        let (u, scratch) = scratch.split_at_mut_checked(self.sensors()).ok_or(short)?;
        let (out, scratch) = scratch.split_at_mut_checked(self.outputs()).ok_or(short)?;
        let latent = latent.get_mut(..self.latent_len()).ok_or(short)?;
        let count = points.len().checked_div(self.inputs()).unwrap_or(0);
        for function in 0..functions.len().checked_div(self.sensors()).unwrap_or(0) {
            for (i, u) in u.iter_mut().enumerate() {
                *u = functions.get(function * self.sensors() + i).unwrap_or(0.0);
            }
            self.encode(u, latent, scratch).map_err(|_| short)?;
            for point in 0..count {
                let mut y = [0.0; MAX_INPUTS];
                let y = y.get_mut(..self.inputs()).ok_or(short)?;
                for (i, y) in y.iter_mut().enumerate() {
                    *y = points.get(point * self.inputs() + i).unwrap_or(0.0);
                }
                self.eval(latent, y, out, scratch).map_err(|_| short)?;
                let sample = function * count + point;
                for (output, found) in out.iter().enumerate() {
                    let expected = expected.get(sample * self.outputs() + output).unwrap_or(0.0).to_bits();
                    let found = found.to_bits();
                    if found != expected {
                        return Err(SelfTestError::Mismatch { sample, output, found, expected });
                    }
                }
            }
        }
        Ok(())
    }
}
