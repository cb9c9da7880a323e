//! Whatever the bytes are: the loaders refuse them or give a model whose every word can be asked for, and the error says
//! something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rwf_runtime::{
    GridDecoder, IntegerModel, Model,
    format::{MAX_INPUTS, MAX_LAYERS, MAX_WIDTH, key},
};

const WORDS: [&str; 6] = [key::INPUTS, key::OUTPUTS, key::GRID, key::ERROR, key::SIGNAL, "none of these"];

fuzz_target!(|bytes: &[u8]| {
    match Model::new(bytes) {
        Ok(model) => {
            let (inputs, outputs) = (model.inputs(), model.outputs());
            assert!((1..=MAX_INPUTS).contains(&inputs) && (1..=MAX_WIDTH).contains(&outputs));
            assert!((1..=MAX_LAYERS).contains(&model.architecture().layers.len()));
            assert!(model.weight_bytes() <= bytes.len());
            assert_eq!(model.architecture().parameters() * model.precision().bytes(), model.weight_bytes());
            assert!(model.scratch_len() >= inputs.max(outputs).min(model.scratch_len()));
            assert!(model.batch_scratch_len() >= model.scratch_len());
            assert!(model.hessian_scratch_len() >= model.scratch_len());
            WORDS.iter().for_each(|word| _ = model.metadata(word));
            (0..=inputs).for_each(|i| _ = model.input(i));
            (0..=outputs.min(8)).for_each(|i| _ = model.output(i));
            let _ = GridDecoder::native(&model).map(|d| d.remaining());
            assert!(IntegerModel::new(bytes).is_err(), "one file, two kinds of model");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match IntegerModel::new(bytes) {
        Ok(model) => {
            assert!((1..=MAX_INPUTS).contains(&model.inputs()) && (1..=MAX_WIDTH).contains(&model.outputs()));
            assert!(model.weight_bytes() <= bytes.len());
            WORDS.iter().for_each(|word| _ = model.metadata(word));
            (0..MAX_LAYERS).for_each(|n| _ = model.bits(n));
            let _ = (model.input(0), model.output(0), model.grid());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
