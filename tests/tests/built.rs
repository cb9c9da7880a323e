//! Models made at build time: the bits of the files they were made from, through every door.

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

use rwf_runtime::{GridDecoder, IntegerModel, Model, describe::Quantity};
use rwf_trainer::rng::Rng;

const POINTS: usize = 300;

/// Points in and around a domain, `[POINTS, inputs]`.
fn points(domain: &[Quantity<'_>]) -> Vec<f32> {
    let mut rng = Rng::new(3).stream("points");
    let mut points = Vec::new();
    for _ in 0..POINTS {
        points.extend(domain.iter().map(|q| q.lo + (q.hi - q.lo) * (0.5 + rng.symmetric(0.7) as f32)));
    }
    points
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// A module of floats against its file.
macro_rules! floats {
    ($($module:ident),*) => {$(
        #[test]
        fn $module() {
            use crate::$module::*;
            let file = Model::new(FILE).unwrap();
            assert_eq!(MODEL.architecture(), file.architecture());
            assert_eq!((MODEL.precision(), MODEL.math()), (file.precision(), file.math()));
            assert_eq!(MODEL.weight_bytes(), file.weight_bytes());
            assert_eq!((INPUTS, OUTPUTS), (file.inputs(), file.outputs()));
            assert_eq!(MACS, file.architecture().multiply_adds());
            assert_eq!((SCRATCH, RAM_BYTES), (file.scratch_len(), 4 * file.scratch_len()));
            let table = size_of_val(&MODEL);
            assert!(FLASH_BYTES > file.weight_bytes() + table && FLASH_BYTES < file.weight_bytes() + table + 256);
            for (i, q) in INPUT_QUANTITIES.iter().enumerate() {
                assert_eq!(Some(*q), file.input(i));
            }

            let x = points(&INPUT_QUANTITIES);
            let both = |scratch: usize| {
                let (mut found, mut expected) = (vec![0.0; POINTS * OUTPUTS], vec![0.0; POINTS * OUTPUTS]);
                MODEL.eval_batch(&x, &mut found, &mut vec![0.0; scratch]).unwrap();
                file.eval_batch(&x, &mut expected, &mut vec![0.0; scratch]).unwrap();
                assert_eq!(bits(&found), bits(&expected));
                found
            };
            let values = both(SCRATCH);
            assert_eq!(bits(&values), bits(&both(file.batch_scratch_len())));
            let mut scratch = vec![0.0; file.hessian_scratch_len()];
            for (x, y) in x.as_chunks::<INPUTS>().0.iter().zip(values.as_chunks::<OUTPUTS>().0) {
                assert_eq!(bits(&eval(x)), bits(y));
                let mut second = [[0.0; OUTPUTS * INPUTS]; 4];
                let [j, h, k, i] = &mut second;
                let mut y = [0.0; OUTPUTS];
                MODEL.hessian_vector(x, &[0.5; INPUTS], &mut y, j, h, &mut scratch).unwrap();
                file.hessian_vector(x, &[0.5; INPUTS], &mut y, k, i, &mut scratch).unwrap();
                assert_eq!((bits(j), bits(h)), (bits(k), bits(i)));
            }
            MODEL.self_test(&mut scratch).unwrap();
        }
    )*};
}

/// A module of integers against its file.
macro_rules! integers {
    ($($module:ident),*) => {$(
        #[test]
        fn $module() {
            use crate::$module::*;
            let file = IntegerModel::new(FILE).unwrap();
            assert_eq!(MODEL.architecture(), file.architecture());
            assert_eq!(MODEL.weight_bytes(), file.weight_bytes());
            assert_eq!((INPUTS, OUTPUTS), (file.inputs(), file.outputs()));
            assert_eq!(MACS, file.architecture().multiply_adds());
            assert_eq!((SCRATCH, RAM_BYTES), (file.scratch_len(), 2 * file.scratch_len()));
            assert!(FLASH_BYTES > file.weight_bytes() + size_of_val(&MODEL));
            let x = points(&INPUT_QUANTITIES);
            let mut expected = vec![0.0; POINTS * OUTPUTS];
            let mut scratch = vec![0; SCRATCH];
            file.eval(&x, &mut expected, &mut scratch).unwrap();
            for (x, y) in x.as_chunks::<INPUTS>().0.iter().zip(expected.as_chunks::<OUTPUTS>().0) {
                assert_eq!(bits(&eval(x)), bits(y));
            }
            assert!(expected.iter().any(|y| *y != expected[0]));
            MODEL.self_test(&mut scratch).unwrap();
        }
    )*};
}

floats!(siren32_f32, siren32_f16, siren64_f32, siren64_f16, fourier_f32, fourier_f16, modified_f32, modified_f16);
floats!(portrait, torus, chirp, heat_walls);
integers!(
    siren_int8,
    fourier_mixed,
    mlp_int16,
    modified_int8,
    portrait_int8,
    siren32_int8,
    siren64_int8,
    fourier_int8,
    gated_int8,
    uneven_int8
);

#[test]
fn the_native_grid_is_a_constant() {
    use portrait::{AXES, FILE, MODEL, ORDER, OUTPUTS, SCRATCH};
    let file = Model::new(FILE).unwrap();
    let (mut found, mut expected) = (vec![0.0; 128 * 128 * OUTPUTS], vec![0.0; 128 * 128 * OUTPUTS]);
    let mut scratch = vec![0.0; SCRATCH];
    let n = GridDecoder::new(&MODEL, &AXES, ORDER).unwrap().fill(&mut found, &mut scratch).unwrap();
    assert_eq!(n, 128 * 128);
    assert_eq!(n, GridDecoder::native(&file).unwrap().fill(&mut expected, &mut scratch).unwrap());
    assert_eq!(bits(&found), bits(&expected));
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let error = rwf_runtime::build::rust(&siren32_f32::FILE[..1000], "cut").unwrap_err();
    assert_eq!(error, rwf_runtime::LoadError::Truncated);
}

#[test]
fn a_file_without_words_about_itself_has_a_module_too() {
    let text = String::from_utf8_lossy(siren32_f32::FILE).into_owned();
    let words = text.split("\"inputs\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut file = siren32_f32::FILE.to_vec();
    let at = file.windows(words.len()).position(|w| w == words.as_bytes()).unwrap();
    file[at..at + words.len()].fill(b'x');
    let module = rwf_runtime::build::rust(&file, "file").unwrap();
    assert!(module.contains("pub static MODEL") && !module.contains("INPUT_QUANTITIES"), "{module}");
}
