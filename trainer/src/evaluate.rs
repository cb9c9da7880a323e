//! The runtime on the workstation, all cores at once: the bits are those of the device.

use rayon::prelude::*;
use rwf_runtime::{
    IntegerModel, LoadError, Model, Operator, Quantity, SelfTestError,
    describe::NativeGrid,
    format::{Architecture, key},
};

/// A model of either kind, by what commands ask of both.
pub trait Evaluate: Evaluator {
    /// What the network is.
    fn architecture(&self) -> &Architecture;
    /// Bytes of weights and the like in the file.
    fn weight_bytes(&self) -> usize;
    /// How weights are stored, in words.
    fn storage(&self) -> String;
    /// Where sine, tanh and exp come from, in words.
    fn maths(&self) -> &'static str;
    /// Bytes of scratch for one point and for the fastest batch.
    fn scratch_bytes(&self) -> [usize; 2];
    /// A word of the file's metadata.
    fn metadata(&self, name: &str) -> Option<&str>;
    /// Name, unit and domain of an input.
    fn input(&self, index: usize) -> Option<Quantity<'_>>;
    /// Name, unit and range of an output.
    fn output(&self, index: usize) -> Option<Quantity<'_>>;
    /// The grid the model was fitted on.
    fn grid(&self) -> Option<NativeGrid>;
    /// Values at `coordinates`, in physical units, `[n, inputs] -> [n, outputs]`.
    fn values(&self, coordinates: &[f32]) -> Vec<f32> {
        self.evaluate(coordinates)
    }
    /// Compares the file's own samples.
    ///
    /// # Errors
    /// No samples in the file, or other bits.
    fn self_test(&self) -> Result<(), SelfTestError>;

    /// Number of coordinates of a point.
    fn inputs(&self) -> usize {
        self.architecture().inputs
    }
    /// Number of values at a point.
    fn outputs(&self) -> usize {
        self.architecture().outputs()
    }
}

/// The model in `file`, of floats or of integers.
///
/// # Errors
/// [`LoadError`] as from [`Model::new`] and [`IntegerModel::new`].
pub fn open(file: &[u8]) -> Result<Box<dyn Evaluate + '_>, LoadError> {
    match Model::new(file) {
        Ok(model) => Ok(Box::new(model)),
        Err(LoadError::Integer) => Ok(Box::new(IntegerModel::new(file)?)),
        Err(error) => Err(error),
    }
}

macro_rules! told_by_the_file {
    () => {
        fn architecture(&self) -> &Architecture {
            self.architecture()
        }
        fn weight_bytes(&self) -> usize {
            self.weight_bytes()
        }
        fn metadata(&self, name: &str) -> Option<&str> {
            self.metadata(name)
        }
        fn input(&self, index: usize) -> Option<Quantity<'_>> {
            self.input(index)
        }
        fn output(&self, index: usize) -> Option<Quantity<'_>> {
            self.output(index)
        }
        fn grid(&self) -> Option<NativeGrid> {
            self.grid()
        }
    };
}

impl Evaluate for Model<'_> {
    told_by_the_file!();
    fn storage(&self) -> String {
        self.precision().name().to_owned()
    }
    fn maths(&self) -> &'static str {
        self.math().name()
    }
    fn scratch_bytes(&self) -> [usize; 2] {
        [4 * self.scratch_len(), 4 * self.batch_scratch_len()]
    }
    fn self_test(&self) -> Result<(), SelfTestError> {
        self.self_test(&mut vec![0.0; self.scratch_len()])
    }
}

impl Evaluate for IntegerModel<'_> {
    told_by_the_file!();
    fn storage(&self) -> String {
        format!("integers of {} bits by layer", self.metadata(key::BITS).unwrap_or("?"))
    }
    fn maths(&self) -> &'static str {
        "tables of integers"
    }
    fn scratch_bytes(&self) -> [usize; 2] {
        [2 * self.scratch_len(); 2]
    }
    fn self_test(&self) -> Result<(), SelfTestError> {
        self.self_test(&mut vec![0; self.scratch_len()])
    }
}

/// Points one thread takes at a time.
const CHUNK: usize = 1024;

/// A model file that the runtime evaluates.
pub trait Evaluator: Sync {
    /// Values at `coordinates`, in physical units, `[n, inputs] -> [n, outputs]`.
    ///
    /// # Panics
    /// When `coordinates` is not a whole number of points.
    fn evaluate(&self, coordinates: &[f32]) -> Vec<f32>;

    /// The operator, where this is one.
    fn operator(&self) -> Option<&Operator<'_>> {
        None
    }
}

/// An operator has no values at points alone: what measures one asks for [`Evaluator::operator`].
impl Evaluator for Operator<'_> {
    fn evaluate(&self, _coordinates: &[f32]) -> Vec<f32> {
        unreachable!("an operator is asked for its values by those who know what it is")
    }

    fn operator(&self) -> Option<&Operator<'_>> {
        Some(self)
    }
}

/// Values of `operator` for the input function `u` `[sensors]` at `points` `[n, inputs]`, in physical units, `[n, outputs]`.
///
/// # Panics
/// When `u` or `points` have other lengths.
pub fn evaluate_operator(operator: &Operator<'_>, u: &[f32], points: &[f32]) -> Vec<f32> {
    let (inputs, outputs) = (operator.inputs(), operator.outputs());
    assert_eq!((u.len(), points.len() % inputs), (operator.sensors(), 0), "as many values as sensors, whole points");
    let mut latent = vec![0.0; operator.latent_len()];
    let mut scratch = vec![0.0; operator.batch_scratch_len()];
    operator.encode(u, &mut latent, &mut scratch).expect("lengths come from the operator");
    let mut values = vec![0.0; points.len() / inputs * outputs];
    values.par_chunks_mut(CHUNK * outputs).zip(points.par_chunks(CHUNK * inputs)).for_each_init(
        || vec![0.0; operator.batch_scratch_len()],
        |scratch, (y, x)| operator.eval_batch(&latent, x, y, scratch).expect("lengths come from the operator"),
    );
    values
}

/// An operator at a given input function, as the coordinate network that it then is: by the operator's own file and bits.
#[derive(Debug)]
pub struct OfFunction<'a> {
    operator: Operator<'a>,
    u: Vec<f32>,
}

impl<'a> OfFunction<'a> {
    /// `operator` at `u` `[sensors]`.
    ///
    /// # Errors
    /// A sentence when there are more or fewer values than sensors.
    pub fn new(operator: Operator<'a>, u: Vec<f32>) -> Result<Self, String> {
        if u.len() == operator.sensors() {
            return Ok(Self { operator, u });
        }
        Err(format!("found an input function of {} values, expected {}", u.len(), operator.sensors()))
    }
}

impl Evaluate for OfFunction<'_> {
    fn architecture(&self) -> &Architecture {
        self.operator.trunk()
    }
    fn outputs(&self) -> usize {
        self.operator.outputs()
    }
    fn weight_bytes(&self) -> usize {
        self.operator.weight_bytes()
    }
    fn storage(&self) -> String {
        self.operator.precision().name().to_owned()
    }
    fn maths(&self) -> &'static str {
        self.operator.math().name()
    }
    fn scratch_bytes(&self) -> [usize; 2] {
        [4 * self.operator.scratch_len(), 4 * self.operator.batch_scratch_len()]
    }
    fn metadata(&self, name: &str) -> Option<&str> {
        self.operator.metadata(name)
    }
    fn input(&self, index: usize) -> Option<Quantity<'_>> {
        self.operator.input(index)
    }
    fn output(&self, index: usize) -> Option<Quantity<'_>> {
        self.operator.output(index)
    }
    fn grid(&self) -> Option<NativeGrid> {
        NativeGrid::parse(self.operator.metadata(key::GRID)?).filter(|g| g.counts.len() == self.inputs())
    }
    fn self_test(&self) -> Result<(), SelfTestError> {
        let o = &self.operator;
        o.self_test(&mut vec![0.0; o.latent_len()], &mut vec![0.0; o.self_test_scratch_len()])
    }
}

impl Evaluator for OfFunction<'_> {
    fn evaluate(&self, coordinates: &[f32]) -> Vec<f32> {
        evaluate_operator(&self.operator, &self.u, coordinates)
    }
}

impl Evaluator for Model<'_> {
    fn evaluate(&self, coordinates: &[f32]) -> Vec<f32> {
        evaluate(self, coordinates)
    }
}

impl Evaluator for IntegerModel<'_> {
    fn evaluate(&self, coordinates: &[f32]) -> Vec<f32> {
        evaluate_integers(self, coordinates)
    }
}

/// Values of `model` at `coordinates`, in physical units, `[n, inputs] -> [n, outputs]`.
///
/// # Panics
/// When `coordinates` is not a whole number of points.
pub fn evaluate(model: &Model<'_>, coordinates: &[f32]) -> Vec<f32> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    assert_eq!(coordinates.len() % inputs, 0, "coordinates are [n, {inputs}]");
    let mut values = vec![0.0; coordinates.len() / inputs * outputs];
    values.par_chunks_mut(CHUNK * outputs).zip(coordinates.par_chunks(CHUNK * inputs)).for_each_init(
        || vec![0.0; model.batch_scratch_len()],
        |scratch, (y, x)| {
            model.eval_batch(x, y, scratch).expect("lengths come from the model");
        },
    );
    values
}

/// The same for a model in integers.
///
/// # Panics
/// When `coordinates` is not a whole number of points.
pub fn evaluate_integers(model: &IntegerModel<'_>, coordinates: &[f32]) -> Vec<f32> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    assert_eq!(coordinates.len() % inputs, 0, "coordinates are [n, {inputs}]");
    let mut values = vec![0.0; coordinates.len() / inputs * outputs];
    values.par_chunks_mut(CHUNK * outputs).zip(coordinates.par_chunks(CHUNK * inputs)).for_each_init(
        || vec![0; model.scratch_len()],
        |scratch, (y, x)| model.eval(x, y, scratch).expect("lengths come from the model"),
    );
    values
}
