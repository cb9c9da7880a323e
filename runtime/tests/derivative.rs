//! Derivatives against finite differences of the f64 evaluator and closed forms, for everything the format has.

mod common;

use common::{File, oracle::oracle};
use rwf_runtime::{EvalError, Model, format::Activation};

/// First derivatives, relative to 1 + |value|: f32 rounding through three layers, steepened by 2π a sine.
const FIRST: f64 = 5e-4;
/// Second derivatives, relative to 10 + |value|: two more factors of 2π a sine, and differences of differences.
const SECOND: f64 = 2e-3;

fn f(file: &mut File, x: [f64; 2]) -> Vec<f64> {
    oracle(file, &x)
}

/// Columns of the Jacobian, `[axis][output]`, by central differences.
fn differences(file: &mut File, x: [f64; 2]) -> Vec<Vec<f64>> {
    const H: f64 = 1e-5;
    let mut column = |axis: usize| {
        let at = |file: &mut File, h: f64| {
            let mut x = x;
            x[axis] += h;
            f(file, x)
        };
        let (up, down) = (at(file, H), at(file, -H));
        up.iter().zip(down).map(|(u, d)| (u - d) / (2.0 * H)).collect()
    };
    vec![column(0), column(1)]
}

fn close(found: f32, expected: f64, floor: f64, bound: f64, what: &str) {
    let error = (f64::from(found) - expected).abs() / (floor + expected.abs());
    assert!(error < bound, "{what}: {found}, expected {expected}");
}

fn check(mut file: File, smooth: bool, what: &str) {
    let bytes = file.bytes();
    let model = Model::new(&bytes).unwrap();
    let mut scratch = vec![f32::NAN; model.hessian_scratch_len().max(model.jacobian_scratch_len())];
    for x in common::numbers(10, 1.2).chunks_exact(2) {
        let at = [f64::from(x[0]), f64::from(x[1])];
        let (mut plain, mut y, mut jacobian) = ([0.0; 3], [0.0; 3], [f32::NAN; 6]);
        model.eval(x, &mut plain, &mut scratch).unwrap();
        model.jacobian(x, &mut y, &mut jacobian, &mut scratch).unwrap();
        assert_eq!(y.map(f32::to_bits), plain.map(f32::to_bits), "{what}: the value's own bits");
        let expected = differences(&mut file, at);
        for (i, found) in jacobian.iter().enumerate() {
            close(*found, expected[i % 2][i / 2], 1.0, FIRST, what);
        }

        let direction = [0.8f32, -0.6];
        let (mut again, mut product) = ([f32::NAN; 6], [f32::NAN; 6]);
        model.hessian_vector(x, &direction, &mut y, &mut again, &mut product, &mut scratch).unwrap();
        assert_eq!(y.map(f32::to_bits), plain.map(f32::to_bits), "{what}: the value's own bits");
        assert_eq!(again.map(f32::to_bits), jacobian.map(f32::to_bits), "{what}: the same Jacobian");
        if !smooth {
            continue;
        }
        const H: f64 = 1e-4;
        let along = |h: f64| [at[0] + h * f64::from(direction[0]), at[1] + h * f64::from(direction[1])];
        let (up, down) = (differences(&mut file, along(H)), differences(&mut file, along(-H)));
        for (i, found) in product.iter().enumerate() {
            let expected = (up[i % 2][i / 2] - down[i % 2][i / 2]) / (2.0 * H);
            close(*found, expected, 10.0, SECOND, &format!("{what}: second"));
        }
    }
}

#[test]
fn jacobian_and_hessian_equal_finite_differences() {
    for mapping in ["none", "fourier", "fourier+raw"] {
        for activation in Activation::ALL {
            let (name, smooth) = (activation.name(), activation != Activation::Relu);
            for gate in [None, Some(name)] {
                let file = File::network(mapping, &format!("{name},{name},identity"), gate);
                check(file.clone(), smooth, &format!("{mapping} {name} {gate:?}"));
                check(file.halve(), smooth, &format!("{mapping} {name} {gate:?} f16"));
            }
            let mut file = File::network(mapping, &format!("tanh,tanh,{name}"), None);
            file.push("output.scale", &[3], 2.0);
            file.push("output.offset", &[3], 5.0);
            check(file.clone(), smooth, &format!("{mapping} output {name}"));
            check(file.masked(2), smooth, &format!("{mapping} masked {name}"));
        }
    }
}

/// One layer of sine: y = sin(2π(w·x + b)), whose derivatives of every order are known.
#[test]
fn a_single_sine_has_its_closed_form_for_any_number_of_inputs() {
    for inputs in 1..=16 {
        let mut file = File::network("none", "sine", None);
        file.tensors.clear();
        file.push("layers.0.kernel", &[inputs, 2], 0.3);
        file.push("layers.0.bias", &[2], 0.5);
        let bytes = file.bytes();
        let (w, b) = (common::numbers(2 * inputs, 0.3), common::numbers(2, 0.5));
        let model = Model::new(&bytes).unwrap();
        let x = common::numbers(inputs, 1.0);
        let direction = common::numbers(inputs, 0.7);
        let mut scratch = vec![f32::NAN; model.hessian_scratch_len().max(model.jacobian_scratch_len())];
        let (mut y, mut jacobian, mut product) = ([0.0; 2], vec![0.0; 2 * inputs], vec![0.0; 2 * inputs]);
        model.jacobian(&x, &mut y, &mut jacobian, &mut scratch).unwrap();
        let mut again = vec![0.0; 2 * inputs];
        model.hessian_vector(&x, &direction, &mut y, &mut again, &mut product, &mut scratch).unwrap();
        assert_eq!(again, jacobian);
        for output in 0..2 {
            let weight = |i: usize| f64::from(w[2 * i + output]);
            let dot = |v: &[f32]| (0..inputs).map(|i| weight(i) * f64::from(v[i])).sum::<f64>();
            let tau = std::f64::consts::TAU;
            let phase = tau * (dot(&x) + f64::from(b[output]));
            for i in 0..inputs {
                let at = output * inputs + i;
                close(jacobian[at], tau * weight(i) * phase.cos(), 1.0, 1e-5, "slope");
                close(product[at], -tau * tau * weight(i) * dot(&direction) * phase.sin(), 1.0, 3e-5, "bend");
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused_and_leave_everything_alone() {
    let bytes = File::network("none", "tanh,tanh,identity", None).bytes();
    let model = Model::new(&bytes).unwrap();
    let mut scratch = vec![0.0; model.hessian_scratch_len()];
    let (mut y, mut j, mut h) = ([7.0; 3], [7.0; 6], [7.0; 6]);
    assert_eq!(model.jacobian(&[0.0], &mut y, &mut j, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(model.jacobian(&[0.0; 2], &mut y[..2], &mut j, &mut scratch), Err(EvalError::OutputLength));
    assert_eq!(model.jacobian(&[0.0; 2], &mut y, &mut j[..5], &mut scratch), Err(EvalError::OutputLength));
    let short = model.jacobian_scratch_len() - 1;
    assert_eq!(model.jacobian(&[0.0; 2], &mut y, &mut j, &mut scratch[..short]), Err(EvalError::ScratchLength));
    let mut hessian = |direction: &[f32], h: &mut [f32], scratch: &mut [f32]| {
        model.hessian_vector(&[0.0; 2], direction, &mut y, &mut j, h, scratch)
    };
    assert_eq!(hessian(&[0.0], &mut h, &mut scratch), Err(EvalError::InputLength));
    assert_eq!(hessian(&[0.0; 2], &mut h[..5], &mut scratch), Err(EvalError::OutputLength));
    assert_eq!(hessian(&[0.0; 2], &mut h, &mut scratch[1..]), Err(EvalError::ScratchLength));
    assert_eq!((y, j, h), ([7.0; 3], [7.0; 6], [7.0; 6]));
}
