//! Values against the simplest evaluator in f64, for every activation, mapping, gate and precision.

mod common;

use common::{File, oracle::oracle};
use rwf_runtime::{Model, format::Activation};

/// Relative to 1 + |value|: a few dozen f32 operations, which a sine in turns amplifies by up to 2π·|w| a layer.
const TOLERANCE: f64 = 5e-5;

fn check(mut file: File, what: &str) {
    let bytes = file.bytes();
    let model = Model::new(&bytes).unwrap();
    let mut scratch = vec![f32::NAN; model.batch_scratch_len()];
    // 39 points: tiles of 32 or of 16, one of 4, three single ones.
    let x = common::numbers(78, 1.5);
    let mut y = vec![f32::NAN; 39 * 3];
    model.eval_batch(&x, &mut y, &mut scratch).unwrap();
    compare(&mut file, &x, &y, what);
    #[cfg(feature = "fma")]
    {
        let mut fused = vec![f32::NAN; 39 * 3];
        model.eval_batch_fused(&x, &mut fused, &mut scratch).unwrap();
        compare(&mut file, &x, &fused, &format!("{what}, fused"));
        let mut alone = [f32::NAN; 3];
        for (x, together) in x.chunks_exact(2).zip(fused.chunks_exact(3)) {
            model.eval_batch_fused(x, &mut alone, &mut scratch[..model.scratch_len()]).unwrap();
            assert_eq!(alone.map(f32::to_bits)[..], together.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), "{what}");
        }
    }
}

fn compare(file: &mut File, x: &[f32], y: &[f32], what: &str) {
    for (x, y) in x.chunks_exact(2).zip(y.chunks_exact(3)) {
        let expected = oracle(file, &[f64::from(x[0]), f64::from(x[1])]);
        for (found, expected) in y.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs() / (1.0 + expected.abs());
            assert!(error < TOLERANCE, "{what}: {found} {expected}");
        }
    }
}

#[test]
fn values_equal_the_f64_oracle() {
    for mapping in ["none", "fourier", "fourier+raw"] {
        for activation in Activation::ALL.map(Activation::name) {
            for gate in [None, Some(activation)] {
                let words = format!("{activation},{activation},identity");
                let file = File::network(mapping, &words, gate);
                check(file.clone(), &format!("{mapping} {activation} {gate:?}"));
                check(file.halve(), &format!("{mapping} {activation} {gate:?} f16"));
            }
            let mut file = File::network(mapping, &format!("tanh,tanh,{activation}"), None);
            file.push("output.scale", &[3], 2.0);
            file.push("output.offset", &[3], 5.0);
            check(file.clone(), &format!("{mapping} output {activation}"));
            check(file.masked(2).halve(), &format!("{mapping} masked {activation}"));
        }
    }
}
