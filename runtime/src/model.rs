//! A model in flash: checked once, then evaluated point by point or in tiles of points.

use heapless::Vec;

use crate::{
    activation,
    dense::{Dense, Values},
    describe::{NativeGrid, Quantity},
    error::{EvalError, LoadError, SelfTestError, Word},
    format::{self, Architecture, Layers, MAX_INPUTS, MAX_LAYERS, Mapping, MathBackend, Precision, key},
    header::{self, Header, Key, Spans},
    load::Reader,
    network::{Algebra, Points, RowPoints},
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
    pub(crate) mask: Option<Values<'a>>,
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
        Self::load_or(bytes)
    }

    /// [`Model::load`] with an error of the caller's: one that does not keep the reason costs no code for reasons.
    ///
    /// # Errors
    /// What `E` makes of the [`LoadError`].
    pub fn load_or<E: From<LoadError>>(bytes: &'a [u8]) -> Result<Self, E> {
        Self::read::<E, false>(bytes, &mut &mut [][..])
    }

    /// [`Model::load_or`] with weights that are not aligned f32 made so in `memory`, once, for machines that have some:
    /// quicker, same bits, and `USES` need not have them. As many f32s as half the bytes of the file are enough; what was
    /// not needed is left in `memory`.
    ///
    /// # Errors
    /// As [`Model::load_or`].
    pub fn load_widened<E: From<LoadError>>(bytes: &'a [u8], memory: &mut &'a mut [f32]) -> Result<Self, E> {
        Self::read::<E, true>(bytes, memory)
    }

    fn read<E: From<LoadError>, const WIDEN: bool>(bytes: &'a [u8], memory: &mut &'a mut [f32]) -> Result<Self, E> {
        let mut spans = Spans::new();
        let header = Header::<E>::read(bytes, &mut spans)?;
        let words = &header.words;
        match header.version()? {
            1..=format::VERSION => {}
            format::INTEGER_VERSION => return Err(LoadError::Integer.into()),
            version => return Err(LoadError::UnsupportedVersion(version).into()),
        }
        let math = words.get(Key::Math).ok_or(LoadError::MissingWord(Word::Math))?;
        let math = MathBackend::from_bytes(math).ok_or(LoadError::UnknownWord(Word::Math))?;
        if !activation::available(math) {
            return Err(LoadError::MathNotBuiltIn(math).into());
        }
        if !uses::has(USES, uses::math(math)) {
            return Err(LoadError::NotInUses.into());
        }
        header.check_spans()?;

        let mut model = Self {
            architecture: Architecture {
                inputs: 0,
                mapping: Mapping::None,
                gate: None,
                layers: Layers::new(),
                output_mask: false,
                output_affine: false,
            },
            precision: Precision::F32,
            math,
            header: header.text,
            weight_bytes: 0,
            mapping: None,
            encoders: None,
            layers: Vec::new(),
            mask: None,
            output: None,
            self_test: None,
        };
        let memory_given = core::mem::take(memory);
        let mut reader = Reader::<E, USES, WIDEN> {
            header: &header,
            memory: memory_given,
            precision: None,
            taken: 0,
            weight_bytes: 0,
        };
        reader.read::<{ format::MAX_INPUTS }>(words, &mut model)?;
        model.precision = reader.precision.unwrap_or_default();
        model.weight_bytes = reader.weight_bytes;
        *memory = reader.memory;
        Ok(model)
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
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub fn scratch_len(&self) -> usize {
        let (a, b, gate) = self.buffers();
        a + b + 2 * gate
    }

    /// Length of the scratch with which [`Model::eval_batch`] is fastest, in f32s.
    pub fn batch_scratch_len(&self) -> usize {
        WIDE * self.scratch_len()
    }

    /// Length of the scratch with which [`GridDecoder::fill`](crate::GridDecoder::fill) is fastest, in f32s: that of a batch,
    /// and what a row's points share.
    pub fn grid_scratch_len(&self) -> usize {
        self.batch_scratch_len().saturating_add(self.row_len())
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
        let need = self.scratch_len();
        self.check_points(x.len(), y.len(), (scratch.len(), need))?;
        let (x, y) = if scratch.len() >= WIDE * need { self.tiles::<WIDE, FUSED>(x, y, scratch) } else { (x, y) };
        let (x, y) = if scratch.len() >= NARROW * need { self.tiles::<NARROW, FUSED>(x, y, scratch) } else { (x, y) };
        self.tiles::<1, FUSED>(x, y, scratch);
        Ok(())
    }

    /// Length of the scratch [`Model::eval_tiled`] needs, in f32s.
    pub fn tiled_scratch_len<const L: usize>(&self) -> usize {
        L.saturating_mul(self.scratch_len())
    }

    /// The same for [`GridDecoder::fill_tiled`](crate::GridDecoder::fill_tiled).
    pub fn tiled_grid_scratch_len<const L: usize>(&self) -> usize {
        self.tiled_scratch_len::<L>().saturating_add(self.row_len())
    }

    /// [`Model::eval_batch`] by tiles of `L` points alone, the last filled up with points that are thrown away: one set of
    /// loops is linked, not one for each of several widths, for programs that are to be small.
    ///
    /// # Errors
    /// [`EvalError`] when a slice has the wrong length, the scratch below [`Model::tiled_scratch_len`]; `y` is then
    /// untouched.
    pub fn eval_tiled<const L: usize>(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32]) -> Result<(), EvalError> {
        self.check_points(x.len(), y.len(), (scratch.len(), self.tiled_scratch_len::<L>()))?;
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let (mut x, mut y) = (x, y);
        while !x.is_empty() {
            let tile = core::mem::take(&mut y);
            let (now, later) = tile.split_at_mut_checked((L * outputs).min(tile.len())).unwrap_or_default();
            let (points, rest) = x.split_at_checked((L * inputs).min(x.len())).unwrap_or_default();
            self.store_tile::<_, L>(&RowPoints { points: Points { x: points, inputs }, row: None }, now, scratch);
            (x, y) = (rest, later);
        }
        Ok(())
    }

    /// Whether the file has samples to test itself by.
    pub fn has_self_test(&self) -> bool {
        self.self_test.is_some()
    }

    /// Evaluates the file's own samples and compares bits.
    ///
    /// # Errors
    /// [`SelfTestError`]: no samples in the file, a scratch below [`Model::scratch_len`], or other bits.
    pub fn self_test(&self, scratch: &mut [f32]) -> Result<(), SelfTestError> {
        self.samples::<SelfTestError, 1, false>(scratch)
    }

    /// [`Model::self_test`] by the loops of [`Model::eval_tiled`], with an error of the caller's.
    ///
    /// # Errors
    /// As [`Model::self_test`], with a scratch of [`Model::tiled_scratch_len`].
    pub fn self_test_tiled<E: From<SelfTestError>, const L: usize>(&self, scratch: &mut [f32]) -> Result<(), E> {
        self.samples::<E, L, true>(scratch)
    }

    /// The self-test by tiles of `L` points of which the first is one of the file's; `TILED`: by the loops of
    /// [`Model::eval_tiled`].
    fn samples<E: From<SelfTestError>, const L: usize, const TILED: bool>(&self, scratch: &mut [f32]) -> Result<(), E> {
        let (inputs, outputs) = self.self_test.as_ref().ok_or(SelfTestError::Missing)?;
        if scratch.len() < self.tiled_scratch_len::<L>() {
            return Err(SelfTestError::ScratchLength.into());
        }
        let width = self.inputs();
        for sample in 0..outputs.len() {
            if sample * self.outputs() >= outputs.len() {
                break;
            }
            let mut x = [0.0; MAX_INPUTS];
            let x = x.get_mut(..width).ok_or(SelfTestError::ScratchLength)?;
            for (k, x) in x.iter_mut().enumerate() {
                *x = inputs.get(sample * width + k).unwrap_or(0.0);
            }
            let mut problem = None;
            let mut compare = |output, lanes: [f32; L]| {
                let expected = outputs.get(sample * self.outputs() + output).unwrap_or(0.0).to_bits();
                let found = lanes.first().map_or(expected, |value| value.to_bits());
                if found != expected && problem.is_none() {
                    problem = Some(E::from(SelfTestError::Mismatch { sample, output, found, expected }));
                }
            };
            let points = Points::<false> { x, inputs: width };
            let scratch = scratch.as_chunks_mut().0;
            if TILED {
                self.tile::<_, L>(&RowPoints { points, row: None }, scratch, &mut compare);
            } else {
                self.tile::<_, L>(&points, scratch, &mut compare);
            }
            if let Some(problem) = problem {
                return Err(problem);
            }
        }
        Ok(())
    }

    /// One tile's values into `y`, `[points, outputs]`, as many as fit.
    #[inline(always)]
    pub(crate) fn store_tile<A: Algebra<L>, const L: usize>(&self, algebra: &A, y: &mut [f32], scratch: &mut [f32]) {
        let outputs = self.outputs();
        self.tile::<_, L>(algebra, scratch.as_chunks_mut().0, &mut |output, lanes| {
            for (lane, value) in lanes.into_iter().enumerate() {
                if let Some(slot) = y.get_mut(lane * outputs + output) {
                    *slot = value;
                }
            }
        });
    }

    /// As many tiles of `L` points as there are; what is left comes back.
    fn tiles<'x, 'y, const L: usize, const FUSED: bool>(
        &self,
        mut x: &'x [f32],
        mut y: &'y mut [f32],
        scratch: &mut [f32],
    ) -> (&'x [f32], &'y mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        while let Some((points, rest)) = x.split_at_checked(L * inputs) {
            if points.is_empty() {
                break;
            }
            let Some((values, after)) = core::mem::take(&mut y).split_at_mut_checked(L * outputs) else { break };
            self.store_tile::<_, L>(&Points::<FUSED> { x: points, inputs }, values, scratch);
            (x, y) = (rest, after);
        }
        (x, y)
    }
}
