//! The runtime on the workstation, all cores at once: the bits are those of the device.

use rayon::prelude::*;
use rwf_runtime::{IntegerModel, Model};

/// Points one thread takes at a time.
const CHUNK: usize = 1024;

/// A model file that the runtime evaluates.
pub trait Evaluator: Sync {
    /// Values at `coordinates`, in physical units, `[n, inputs] -> [n, outputs]`.
    ///
    /// # Panics
    /// When `coordinates` is not a whole number of points.
    fn evaluate(&self, coordinates: &[f32]) -> Vec<f32>;
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
