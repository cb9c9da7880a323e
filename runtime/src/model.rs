//! A model in flash: checked once, then evaluated point by point or in tiles of points.

use heapless::Vec;

use crate::{
    activation,
    dense::{Dense, Values},
    describe::{NativeGrid, Quantity},
    error::{EvalError, LoadError, SelfTestError, Word},
    format::{self, Architecture, MAX_INPUTS, MAX_LAYERS, MathBackend, Precision, key},
    header::{self, Header, Spans},
    load::Reader,
    network::Points,
    uses,
};

/// Points of the widest tile; a microcontroller has no registers for more than [`NARROW`], and a WebAssembly module is to
/// be small.
pub(crate) const WIDE: usize = match () {
    () if cfg!(any(target_os = "none", target_family = "wasm")) => NARROW,
    () if cfg!(feature = "host") => 32,
    () => 16,
};
/// Points of the narrow tile, for cores with few registers.
pub(crate) const NARROW: usize = 4;

/// A coordinate network `[n, inputs] -> [n, outputs]`, borrowed from the bytes of its file, or made at build time of what
/// `USES` says (see [`uses`]).
#[derive(Debug, Clone)]
pub struct Model<'a, const USES: u32 = { uses::ALL }> {
    pub(crate) architecture: Architecture,
    pub(crate) precision: Precision,
    pub(crate) math: MathBackend,
    pub(crate) header: &'a [u8],
    pub(crate) weight_bytes: usize,
    pub(crate) mapping: Option<Dense<'a>>,
    pub(crate) encoders: Option<[Dense<'a>; 2]>,
    pub(crate) layers: Vec<Dense<'a>, MAX_LAYERS>,
    pub(crate) output: Option<(Values<'a>, Values<'a>)>,
    pub(crate) self_test: Option<(Values<'a>, Values<'a>)>,
}

impl<'a> Model<'a> {
    /// Reads a model file in place; `bytes` may start at any address, though weights at a multiple of 4 are faster.
    ///
    /// # Errors
    /// Everything that is not exactly as FORMAT.md says: see [`LoadError`]. Afterwards only a slice of the wrong
    /// length can fail.
    pub fn new(bytes: &'a [u8]) -> Result<Self, LoadError> {
        Self::load(bytes)
    }
}

impl<'a, const USES: u32> Model<'a, USES> {
    /// Reads a model file in place, as [`Model::new`] does, in a program that says what its models hold: code for what
    /// is not among `USES` is not linked. `Model::<{ uses::SIREN }>::load` is half as large.
    ///
    /// # Errors
    /// As [`Model::new`]; [`LoadError::NotInUses`] for a file that holds anything else.
    pub fn load(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let mut spans = Spans::new();
        let header = Header::read(bytes, &mut spans)?;
        let words = header.words;
        match header.version()? {
            1..=format::VERSION => {}
            format::INTEGER_VERSION => return Err(LoadError::Integer),
            version => return Err(LoadError::UnsupportedVersion(version)),
        }
        let math = words.math.ok_or(LoadError::MissingWord(Word::Math))?;
        let math = MathBackend::from_bytes(math).ok_or(LoadError::UnknownWord(Word::Math))?;
        if !activation::available(math) {
            return Err(LoadError::MathNotBuiltIn(math));
        }
        if !uses::has(USES, uses::math(math)) {
            return Err(LoadError::NotInUses);
        }
        header.check_spans()?;

        let mut reader = Reader::<USES>::new(&header);
        let (architecture, mapping) = reader.architecture::<MAX_INPUTS>(&words)?;
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
}

impl<'a, const USES: u32> Model<'a, USES> {
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
        self.check_point(x.len(), y.len(), (scratch.len(), self.scratch_len()))?;
        self.tiles::<1, false>(x, y, scratch);
        Ok(())
    }

    /// Values at n points: `x` is `[n, inputs]`, `y` is `[n, outputs]`. The bits do not depend on n nor on how much
    /// more scratch than [`Model::scratch_len`] there is; the speed does.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length; `y` is then untouched.
    pub fn eval_batch(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        self.batch::<false>(x, y, scratch)
    }

    /// [`Model::eval_batch`] with product and sum of a dense layer rounded once, where the machine can: quicker, but other
    /// bits than devices have.
    ///
    /// # Errors
    /// As [`Model::eval_batch`].
    #[cfg(feature = "fma")]
    pub fn eval_batch_fused(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        self.batch::<true>(x, y, scratch)
    }

    fn batch<const FUSED: bool>(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
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
        let (x, y) = if scratch.len() >= WIDE * need { self.tiles::<WIDE, FUSED>(x, y, scratch) } else { (x, y) };
        let (x, y) = if scratch.len() >= NARROW * need { self.tiles::<NARROW, FUSED>(x, y, scratch) } else { (x, y) };
        self.tiles::<1, FUSED>(x, y, scratch);
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
            let point = Points::<false> { x, inputs: width };
            self.tile::<_, 1>(&point, scratch.as_chunks_mut().0, &mut |output, value| {
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
    fn tiles<'x, 'y, const L: usize, const FUSED: bool>(
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
            self.tile::<_, L>(&Points::<FUSED> { x: points, inputs }, scratch, &mut |output, lanes| {
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
}
