//! One table: the largest error of every routine against f64, over a stride through all f32 of its range.
//!
//! `cargo test --release -p rwf-runtime --test accuracy -- --ignored --nocapture` goes through every f32 of the
//! range instead and prints the figures that README.md states.

use rwf_runtime::math::{Math, Polynomial};

/// Routine, f64 twin, ends of the range, and the bound on the error relative to max(|value|, floor).
type Row = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f32, f32, f64, f64);

const TABLE: [Row; 7] = [
    (
        "sin_turns",
        Polynomial::sin_turns,
        |t| (std::f64::consts::TAU * (t - t.round())).sin(),
        -1024.0,
        1024.0,
        1.0,
        2.5e-7,
    ),
    (
        "cos_turns",
        Polynomial::cos_turns,
        |t| (std::f64::consts::TAU * (t - t.round())).cos(),
        -1024.0,
        1024.0,
        1.0,
        2.5e-7,
    ),
    ("exp", Polynomial::exp, f64::exp, -87.0, 88.0, 0.0, 0.9e-7),
    ("tanh", Polynomial::tanh, f64::tanh, -100.0, 100.0, 0.0, 1.5e-7),
    ("sigmoid", Polynomial::sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 80.0, 0.0, 1.6e-7),
    ("swish", Polynomial::swish, |x| x / (1.0 + (-x).exp()), -80.0, 80.0, 0.0, 2.1e-7),
    ("gelu", Polynomial::gelu, gelu, -80.0, 80.0, 1.0, 1.5e-7),
];

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

/// Largest error over every `stride`-th f32 from 0 up to both ends, and where.
fn worst((_, f, exact, lo, hi, floor, _): Row, stride: usize) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    for (end, sign) in [(hi, 0), (-lo, 1u32 << 31)] {
        for bits in (0..=end.to_bits()).step_by(stride) {
            let x = f32::from_bits(bits | sign);
            let expected = exact(f64::from(x));
            let scale = expected.abs().max(floor).max(1e-30);
            let error = (f64::from(f(x)) - expected).abs() / scale;
            if error > worst.0 || error.is_nan() {
                worst = (error, x);
            }
        }
    }
    worst
}

#[test]
fn errors_stay_within_the_table() {
    for row in TABLE {
        let (error, x) = worst(row, 9973);
        assert!(error <= row.6, "{}({x}): error {error:.3e}, bound {:.1e}", row.0, row.6);
    }
}

#[test]
#[ignore = "minutes; the figures of README.md"]
fn errors_over_every_f32() {
    for row in TABLE {
        let (error, x) = worst(row, 1);
        println!("| `{}` | {} to {} | {error:.2e} | {x} |", row.0, row.3, row.4);
        assert!(error <= row.6, "{}({x}): error {error:.3e}", row.0);
    }
}

#[test]
fn special_values_are_as_documented() {
    assert_eq!(Polynomial::sin_turns(0.0).to_bits(), 0.0f32.to_bits());
    assert_eq!(Polynomial::sin_turns(-0.0).to_bits(), (-0.0f32).to_bits());
    assert_eq!((Polynomial::sin_turns(1e30), Polynomial::cos_turns(1e30)), (0.0, Polynomial::cos_turns(0.0)));
    assert!((Polynomial::cos_turns(0.0) - 1.0).abs() < 1e-7);
    assert!(Polynomial::exp(1e30) == Polynomial::exp(88.0) && Polynomial::exp(-1e30) == Polynomial::exp(-87.0));
    assert_eq!((Polynomial::tanh(f32::INFINITY), Polynomial::tanh(-50.0)), (1.0, -1.0));
    for f in [Polynomial::sin_turns, Polynomial::cos_turns, Polynomial::exp, Polynomial::tanh, Polynomial::gelu] {
        assert!(f(f32::NAN).is_nan());
    }
    assert!(Polynomial::sin_turns(f32::INFINITY).is_nan());
}

/// Other backends are wired to the right functions.
#[test]
#[cfg(all(feature = "libm", feature = "micromath"))]
fn other_backends_compute_the_same_functions() {
    use rwf_runtime::math::{Libm, Micromath};
    for i in -400..400 {
        let x = i as f32 * 0.017;
        let near = |a: f32, b: f32, by: f32| assert!((a - b).abs() <= by * (1.0 + b.abs()), "{x}: {a} {b}");
        near(Libm::sin_turns(x), Polynomial::sin_turns(x), 1e-6);
        near(Libm::cos_turns(x), Polynomial::cos_turns(x), 1e-6);
        near(Libm::exp(x), Polynomial::exp(x), 1e-6);
        near(Libm::tanh(x), Polynomial::tanh(x), 1e-6);
        near(Micromath::sin_turns(x), Polynomial::sin_turns(x), 5e-3);
        near(Micromath::cos_turns(x), Polynomial::cos_turns(x), 5e-3);
        near(Micromath::exp(x), Polynomial::exp(x), 5e-2);
        near(Micromath::tanh(x), Polynomial::tanh(x), 5e-2);
    }
}
