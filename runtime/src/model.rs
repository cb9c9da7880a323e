//! A model in flash: checked once, then evaluated point by point or in tiles of points.

use heapless::Vec;

use crate::{
    activation,
    dense::{Dense, Values},
    describe::{NativeGrid, Quantity},
    error::{EvalError, LoadError, SelfTestError, TensorName, Word},
    format::{
        self, Activation, Architecture, Layer, Layers, MAX_INPUTS, MAX_LAYERS, MAX_WIDTH, Mapping, MathBackend,
        Precision, key,
    },
    header::{self, Header, Words},
};

/// Points of the widest tile; a microcontroller has no registers for more than [`NARROW`].
const WIDE: usize = if cfg!(target_os = "none") { NARROW } else { 16 };
/// Points of the narrow tile, for cores with few registers.
const NARROW: usize = 4;
/// The one NaN that leaves the runtime: which one arithmetic makes differs from target to target.
const NAN: u32 = 0x7fc0_0000;

/// A coordinate network `[n, inputs] -> [n, outputs]`, borrowed from the bytes of its file.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    architecture: Architecture,
    precision: Precision,
    math: MathBackend,
    header: &'a [u8],
    weight_bytes: usize,
    mapping: Option<Dense<'a>>,
    encoders: Option<[Dense<'a>; 2]>,
    layers: Vec<Dense<'a>, MAX_LAYERS>,
    output: Option<(Values<'a>, Values<'a>)>,
    self_test: Option<(Values<'a>, Values<'a>)>,
}

impl<'a> Model<'a> {
    /// Reads a model file in place; `bytes` may start at any address, though weights at a multiple of 4 are faster.
    ///
    /// # Errors
    /// Everything that is not exactly as FORMAT.md says: see [`LoadError`]. Afterwards only a slice of the wrong
    /// length can fail.
    pub fn new(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let header = Header::read(bytes)?;
        let words = header.words;
        match words.format {
            Some(format::FORMAT) => {}
            Some(format::CHECKPOINT_FORMAT) => return Err(LoadError::Checkpoint),
            _ => return Err(LoadError::Foreign),
        }
        let version = words.version.ok_or(LoadError::MissingWord(Word::Version))?;
        let version: u32 = version.parse().map_err(|_| LoadError::UnknownWord(Word::Version))?;
        if version == 0 || version > format::VERSION {
            return Err(LoadError::UnsupportedVersion(version));
        }
        let math = words.math.ok_or(LoadError::MissingWord(Word::Math))?;
        let math = MathBackend::from_name(math).ok_or(LoadError::UnknownWord(Word::Math))?;
        if !activation::available(math) {
            return Err(LoadError::MathNotBuiltIn(math));
        }
        header.check_spans()?;

        let mut reader = Reader { header: &header, precision: None, taken: 0, weight_bytes: 0 };
        let (architecture, mapping) = reader.architecture(&words)?;
        let layers = reader.layers(&architecture)?;
        let encoders = reader.encoders(&architecture)?;
        let output = reader.output(&architecture)?;
        let weight_bytes = reader.weight_bytes;
        let self_test = reader.self_test(&architecture)?;
        if reader.taken != header.spans.len() {
            return Err(LoadError::UnknownTensor);
        }
        Ok(Self {
            precision: reader.precision.unwrap_or_default(),
            architecture,
            math,
            header: header.text,
            weight_bytes,
            mapping,
            encoders,
            layers,
            output,
            self_test,
        })
    }

    /// What the network is.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// How its weights are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Which routines its bits come from.
    pub fn math(&self) -> MathBackend {
        self.math
    }

    /// Number of coordinates of a point.
    pub fn inputs(&self) -> usize {
        self.architecture.inputs
    }

    /// Number of values at a point.
    pub fn outputs(&self) -> usize {
        self.architecture.outputs()
    }

    /// Bytes of weights, biases and frequencies in the file.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// A word of the file's metadata, by a name of [`key`] or of the writer's own.
    pub fn metadata(&self, name: &str) -> Option<&'a str> {
        header::find_word(self.header, name)
    }

    /// Name, unit and fitted domain of an input.
    pub fn input(&self, index: usize) -> Option<Quantity<'a>> {
        Quantity::parse(self.metadata(key::INPUTS)?, index)
    }

    /// Name, unit and range of an output.
    pub fn output(&self, index: usize) -> Option<Quantity<'a>> {
        Quantity::parse(self.metadata(key::OUTPUTS)?, index)
    }

    /// The grid the model was fitted on; `None` for scattered samples.
    pub fn grid(&self) -> Option<NativeGrid> {
        NativeGrid::parse(self.metadata(key::GRID)?).filter(|g| g.counts.len() == self.inputs())
    }

    /// Length of the scratch [`Model::eval`] needs, in f32s.
    pub fn scratch_len(&self) -> usize {
        let (a, b, gate) = self.buffers();
        a + b + 2 * gate
    }

    /// Length of the scratch with which [`Model::eval_batch`] is fastest, in f32s.
    pub fn batch_scratch_len(&self) -> usize {
        WIDE * self.scratch_len()
    }

    /// Values at one point: `x` is `[inputs]`, `y` is `[outputs]`, both in physical units.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length; `y` is then untouched.
    pub fn eval(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        if x.len() != self.inputs() {
            return Err(EvalError::InputLength);
        }
        self.eval_batch(x, y, scratch)
    }

    /// Values at n points: `x` is `[n, inputs]`, `y` is `[n, outputs]`. The bits do not depend on n nor on how much
    /// more scratch than [`Model::scratch_len`] there is; the speed does.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length; `y` is then untouched.
    pub fn eval_batch(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        let (inputs, outputs, need) = (self.inputs(), self.outputs(), self.scratch_len());
        if inputs == 0 || outputs == 0 || !x.len().is_multiple_of(inputs) {
            return Err(EvalError::InputLength);
        }
        if !y.len().is_multiple_of(outputs) || y.len() / outputs != x.len() / inputs {
            return Err(EvalError::OutputLength);
        }
        if scratch.len() < need {
            return Err(EvalError::ScratchLength);
        }
        let (x, y) = if scratch.len() >= WIDE * need { self.tiles::<WIDE>(x, y, scratch) } else { (x, y) };
        let (x, y) = if scratch.len() >= NARROW * need { self.tiles::<NARROW>(x, y, scratch) } else { (x, y) };
        self.tiles::<1>(x, y, scratch);
        Ok(())
    }

    /// Evaluates the file's own samples and compares bits.
    ///
    /// # Errors
    /// [`SelfTestError`]: no samples in the file, a scratch below [`Model::scratch_len`], or other bits.
    pub fn self_test(&self, scratch: &mut [f32]) -> Result<(), SelfTestError> {
        let (inputs, outputs) = self.self_test.as_ref().ok_or(SelfTestError::Missing)?;
        if scratch.len() < self.scratch_len() {
            return Err(SelfTestError::ScratchLength);
        }
        let width = self.inputs();
        let samples = outputs.len().checked_div(self.outputs()).unwrap_or(0);
        for sample in 0..samples {
            let mut x = [0.0; MAX_INPUTS];
            let x = x.get_mut(..width).ok_or(SelfTestError::ScratchLength)?;
            for (k, x) in x.iter_mut().enumerate() {
                *x = inputs.get(sample * width + k).unwrap_or(0.0);
            }
            let mut problem = None;
            self.tile::<1>(x, scratch.as_chunks_mut().0, |output, value| {
                let expected = outputs.get(sample * self.outputs() + output).unwrap_or(0.0).to_bits();
                let [value] = value;
                let found = value.to_bits();
                if found != expected && problem.is_none() {
                    problem = Some(SelfTestError::Mismatch { sample, output, found, expected });
                }
            });
            if let Some(problem) = problem {
                return Err(problem);
            }
        }
        Ok(())
    }

    /// As many tiles of `L` points as there are; what is left comes back.
    fn tiles<'x, 'y, const L: usize>(
        &self,
        mut x: &'x [f32],
        mut y: &'y mut [f32],
        scratch: &mut [f32],
    ) -> (&'x [f32], &'y mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let scratch = scratch.as_chunks_mut::<L>().0;
        while let Some((points, rest)) = x.split_at_checked(L * inputs) {
            if points.is_empty() {
                break;
            }
            let Some((values, after)) = core::mem::take(&mut y).split_at_mut_checked(L * outputs) else { break };
            self.tile::<L>(points, scratch, |output, lanes| {
                for (lane, value) in lanes.into_iter().enumerate() {
                    if let Some(slot) = values.get_mut(lane * outputs + output) {
                        *slot = value;
                    }
                }
            });
            (x, y) = (rest, after);
        }
        (x, y)
    }

    /// `L` points, `x` is `[L, inputs]`; each output's values go to `store`.
    fn tile<const L: usize>(&self, x: &[f32], scratch: &mut [[f32; L]], mut store: impl FnMut(usize, [f32; L])) {
        let (len_a, len_b, len_gate) = self.buffers();
        let Some((a, rest)) = scratch.split_at_mut_checked(len_a) else { return };
        let Some((b, rest)) = rest.split_at_mut_checked(len_b) else { return };
        let Some((u, rest)) = rest.split_at_mut_checked(len_gate) else { return };
        let Some((v, _)) = rest.split_at_mut_checked(len_gate) else { return };

        self.features(x, a, b);
        let features = self.architecture.features();
        if let (Some([first, second]), Some(gate)) = (&self.encoders, self.architecture.gate) {
            let features = a.get(..features).unwrap_or(&[]);
            first.forward(features, u);
            second.forward(features, v);
            activation::apply(self.math, gate, u.as_flattened_mut());
            activation::apply(self.math, gate, v.as_flattened_mut());
            for (u, v) in u.as_flattened_mut().iter_mut().zip(v.as_flattened()) {
                *u -= *v;
            }
        }
        let last = self.layers.len().saturating_sub(1);
        let (mut from, mut to) = (a, b);
        let mut outputs = 0;
        for (n, (dense, layer)) in self.layers.iter().zip(&self.architecture.layers).enumerate() {
            let Some(x) = from.get(..layer.inputs) else { return };
            let Some(y) = to.get_mut(..layer.outputs) else { return };
            dense.forward(x, y);
            activation::apply(self.math, layer.activation, y.as_flattened_mut());
            if n < last && self.encoders.is_some() {
                let gate = u.as_flattened().iter().zip(v.as_flattened());
                for (h, (difference, v)) in y.as_flattened_mut().iter_mut().zip(gate) {
                    *h = *v + *h * *difference;
                }
            }
            outputs = layer.outputs;
            core::mem::swap(&mut from, &mut to);
        }
        for (k, lanes) in from.iter().take(outputs).enumerate() {
            let mut lanes = *lanes;
            if let Some((scale, offset)) = &self.output {
                let (scale, offset) = (scale.get(k).unwrap_or(1.0), offset.get(k).unwrap_or(0.0));
                for lane in &mut lanes {
                    *lane = *lane * scale + offset;
                }
            }
            for lane in &mut lanes {
                if lane.is_nan() {
                    *lane = f32::from_bits(NAN);
                }
            }
            store(k, lanes);
        }
    }

    /// Coordinates to features: into `a`, by way of `b` where there is a mapping.
    fn features<const L: usize>(&self, x: &[f32], a: &mut [[f32; L]], b: &mut [[f32; L]]) {
        let inputs = self.inputs();
        let transpose = |to: &mut [[f32; L]]| {
            for (axis, lanes) in to.iter_mut().take(inputs).enumerate() {
                for (lane, value) in lanes.iter_mut().enumerate() {
                    *value = x.get(lane * inputs + axis).copied().unwrap_or(0.0);
                }
            }
        };
        let (Some(dense), Mapping::Fourier { frequencies, raw }) = (&self.mapping, self.architecture.mapping) else {
            transpose(a);
            return;
        };
        transpose(b);
        let before = if raw { inputs } else { 0 };
        if raw {
            transpose(a);
        }
        let Some(turns) = a.get_mut(before..) else { return };
        let Some((sin, rest)) = turns.split_at_mut_checked(frequencies) else { return };
        let Some((cos, _)) = rest.split_at_mut_checked(frequencies) else { return };
        dense.forward(b.get(..inputs).unwrap_or(&[]), sin);
        activation::sin_cos_turns(self.math, sin.as_flattened_mut(), cos.as_flattened_mut());
    }

    /// Vectors one point needs: layers go back and forth between the first two, the gate keeps two of the third.
    fn buffers(&self) -> (usize, usize, usize) {
        let architecture = &self.architecture;
        let mut a = architecture.features();
        let mut b = match architecture.mapping {
            Mapping::None => 0,
            Mapping::Fourier { .. } => architecture.inputs,
        };
        for (n, layer) in architecture.layers.iter().enumerate() {
            let side = if n % 2 == 0 { &mut b } else { &mut a };
            *side = (*side).max(layer.outputs);
        }
        let gate = if architecture.gate.is_some() { architecture.hidden() } else { 0 };
        (a, b, gate)
    }
}

/// Takes tensors out of a header, each once, each of the shape the architecture asks for.
struct Reader<'h, 'a> {
    header: &'h Header<'a>,
    precision: Option<Precision>,
    taken: usize,
    weight_bytes: usize,
}

impl<'a> Reader<'_, 'a> {
    /// The weights of `name`, of one precision throughout, finite, `[rows, columns]` or `[columns]`.
    fn weights(&mut self, name: TensorName, rank: u8, shape: [usize; 2]) -> Result<Values<'a>, LoadError> {
        let span = self.header.span(name)?;
        if span.rank != rank || span.shape != shape {
            return Err(LoadError::Shape(name));
        }
        if *self.precision.get_or_insert(span.precision) != span.precision {
            return Err(LoadError::Dtype(name));
        }
        let bytes = span.bytes(self.header.data);
        let values = Values::new(bytes, span.precision);
        if !values.all_finite() {
            return Err(LoadError::NotFinite(name));
        }
        self.taken += 1;
        self.weight_bytes += bytes.len();
        Ok(values)
    }

    fn dense(
        &mut self,
        (kernel, bias): (TensorName, TensorName),
        [inputs, outputs]: [usize; 2],
    ) -> Result<Dense<'a>, LoadError> {
        Ok(Dense { kernel: self.weights(kernel, 2, [inputs, outputs])?, bias: self.weights(bias, 1, [1, outputs])? })
    }

    /// The shape of a matrix, within the format's limits.
    fn matrix(&self, name: TensorName) -> Result<[usize; 2], LoadError> {
        let span = self.header.span(name)?;
        let fine = span.rank == 2 && span.shape.iter().all(|n| (1..=MAX_WIDTH).contains(n));
        if fine { Ok(span.shape) } else { Err(LoadError::Shape(name)) }
    }

    /// The architecture from words and shapes, and the mapping's tensors.
    fn architecture(&mut self, words: &Words<'_>) -> Result<(Architecture, Option<Dense<'a>>), LoadError> {
        let mut layers = Layers::new();
        let activations = words.activations.ok_or(LoadError::MissingWord(Word::Activations))?;
        for (n, word) in activations.split(',').enumerate() {
            let activation = Activation::from_name(word).ok_or(LoadError::UnknownWord(Word::Activations))?;
            if n >= MAX_LAYERS {
                return Err(LoadError::LayerCount);
            }
            let [inputs, outputs] = self.matrix(TensorName::LayerKernel(n as u8))?;
            layers.push(Layer { inputs, outputs, activation }).map_err(|_| LoadError::LayerCount)?;
        }
        let first = layers.first().ok_or(LoadError::LayerCount)?.inputs;
        let raw = match words.mapping.ok_or(LoadError::MissingWord(Word::Mapping))? {
            "none" => None,
            "fourier" => Some(false),
            "fourier+raw" => Some(true),
            _ => return Err(LoadError::UnknownWord(Word::Mapping)),
        };
        let (inputs, mapping, dense) = match raw {
            None => (first, Mapping::None, None),
            Some(raw) => {
                let [inputs, frequencies] = self.matrix(TensorName::MappingKernel)?;
                let names = (TensorName::MappingKernel, TensorName::MappingBias);
                let dense = self.dense(names, [inputs, frequencies])?;
                (inputs, Mapping::Fourier { frequencies, raw }, Some(dense))
            }
        };
        let gate = match words.gate {
            None => None,
            Some(word) => Some(Activation::from_name(word).ok_or(LoadError::UnknownWord(Word::Gate))?),
        };
        let output_affine = self.header.span(TensorName::OutputScale).is_ok();
        let architecture = Architecture { inputs, mapping, gate, layers, output_affine };
        if inputs > MAX_INPUTS || architecture.features() != first {
            return Err(LoadError::Shape(TensorName::LayerKernel(0)));
        }
        Ok((architecture, dense))
    }

    fn layers(&mut self, architecture: &Architecture) -> Result<Vec<Dense<'a>, MAX_LAYERS>, LoadError> {
        let mut layers = Vec::new();
        let mut before = architecture.features();
        let last = architecture.layers.len().saturating_sub(1);
        for (n, layer) in architecture.layers.iter().enumerate() {
            let names = (TensorName::LayerKernel(n as u8), TensorName::LayerBias(n as u8));
            // Every hidden layer goes through the gate, so all have its width.
            let gated = architecture.gate.is_some() && n < last;
            if layer.inputs != before || (gated && layer.outputs != architecture.hidden()) {
                return Err(LoadError::Shape(names.0));
            }
            let dense = self.dense(names, [layer.inputs, layer.outputs])?;
            layers.push(dense).map_err(|_| LoadError::LayerCount)?;
            before = layer.outputs;
        }
        Ok(layers)
    }

    fn encoders(&mut self, architecture: &Architecture) -> Result<Option<[Dense<'a>; 2]>, LoadError> {
        if architecture.gate.is_none() {
            return Ok(None);
        }
        if architecture.layers.len() < 2 {
            return Err(LoadError::LayerCount);
        }
        let shape = [architecture.features(), architecture.hidden()];
        let mut encoder = |n| self.dense((TensorName::EncoderKernel(n), TensorName::EncoderBias(n)), shape);
        Ok(Some([encoder(0)?, encoder(1)?]))
    }

    fn output(&mut self, architecture: &Architecture) -> Result<Option<(Values<'a>, Values<'a>)>, LoadError> {
        if !architecture.output_affine {
            return Ok(None);
        }
        let shape = [1, architecture.outputs()];
        let scale = self.weights(TensorName::OutputScale, 1, shape)?;
        Ok(Some((scale, self.weights(TensorName::OutputOffset, 1, shape)?)))
    }

    /// The self-test's samples: f32 whatever the weights are; the outputs may be anything, NaN included.
    fn self_test(&mut self, architecture: &Architecture) -> Result<Option<(Values<'a>, Values<'a>)>, LoadError> {
        let Ok(inputs) = self.header.span(TensorName::SelfTestInputs) else { return Ok(None) };
        let outputs = self.header.span(TensorName::SelfTestOutputs)?;
        let rows = inputs.shape[0];
        for (span, width) in [(inputs, architecture.inputs), (outputs, architecture.outputs())] {
            if span.precision != Precision::F32 {
                return Err(LoadError::Dtype(span.name));
            }
            if span.rank != 2 || span.shape != [rows, width] {
                return Err(LoadError::Shape(span.name));
            }
        }
        let values = |span: &header::Span| Values::new(span.bytes(self.header.data), Precision::F32);
        self.taken += 2;
        Ok(Some((values(inputs), values(outputs))))
    }
}
