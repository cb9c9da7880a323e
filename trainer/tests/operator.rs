//! `rwf operator` from beginning to end.

mod common;

use common::{Bench, names};
use rwf_runtime::{Model, Operator};
use rwf_trainer::{
    container::{self, Stored, Words},
    evaluate::{evaluate, evaluate_operator},
};

/// A run of a second or two.
const SMALL: &str = "--hidden 16 --depth 2 --latent 12 --train 200 --test 5 --step-functions 16 --step-points 64 \
                     --evaluate-every 50";

/// The number behind `word=` in what the file says of its error.
fn error(bench: &Bench, model: &str, word: &str) -> f64 {
    let bytes = bench.read(model);
    let words = Operator::new(&bytes).unwrap().metadata("error").unwrap().to_owned();
    let found = words.split(';').find_map(|w| w.strip_prefix(&format!("{word}="))).expect("the word");
    found.parse().unwrap()
}

fn npy(bench: &Bench, name: &str, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder;
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes);
    let mut writer = options.begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bench.write(name, bytes);
}

#[test]
fn an_operator_is_learned_and_goes_to_the_device_whole_and_folded() {
    let bench = Bench::new();
    let said = bench.ok(&format!("operator diffusion-reaction {SMALL} --steps 1500 --lr 0.003"));
    assert!(said.contains("5 input functions that training did not see"), "{said}");
    let expected =
        ["checkpoint.safetensors", "config.toml", "loss.png", "metrics.csv", "model.safetensors", "solution.png"];
    assert_eq!(names(&bench.path("diffusion-reaction.run")), expected);
    let (mean, largest) = (
        error(&bench, "diffusion-reaction.safetensors", "relative_l2"),
        error(&bench, "diffusion-reaction.safetensors", "max_relative_l2"),
    );
    assert!(mean < 0.4 && largest >= mean, "{mean} {largest}");
    let info = bench.ok("info diffusion-reaction.safetensors");
    for word in
        ["100 sensors", "u in -", "t in 0 .. 1", "branch", "trunk", "inner product of 12", "self-test      passed"]
    {
        assert!(info.contains(word), "`{word}` is not in\n{info}");
    }

    // The error told is that of the file on the pairs held back, and a folded function is the operator at it.
    let (bytes, data) =
        (bench.read("diffusion-reaction.safetensors"), bench.read("diffusion-reaction-data.safetensors"));
    let operator = Operator::new(&bytes).unwrap();
    let (_, tensors) = container::read(&data).unwrap();
    let array = |name: &str| tensors.iter().find(|t| t.name == name).unwrap();
    let (points, each) = (&array("points").values, array("points").shape[0]);
    let mut sum = 0.0;
    for n in 200..205 {
        let found = evaluate_operator(&operator, &array("inputs").values[n * 100..(n + 1) * 100], points);
        let truth = &array("outputs").values[n * each..(n + 1) * each];
        let square = |pairs: &mut dyn Iterator<Item = f32>| pairs.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let off = square(&mut found.iter().zip(truth).map(|(f, t)| f - t));
        sum += (off / square(&mut truth.iter().copied())).sqrt() / 5.0;
    }
    assert!((sum / mean - 1.0).abs() < 1e-3, "{sum} {mean}");

    let u = &array("inputs").values[4200..4300];
    npy(&bench, "u.npy", &[100], u);
    npy(&bench, "many.npy", &[2, 100], &array("inputs").values[4100..4300]);
    bench.ok("export diffusion-reaction.run --fold-input u.npy");
    bench.ok("export diffusion-reaction.safetensors --fold-input u.npy -o again.safetensors");
    let folded = bench.read("diffusion-reaction-u.safetensors");
    assert_eq!(folded, bench.read("again.safetensors"));
    let (a, b) = (evaluate(&Model::new(&folded).unwrap(), points), evaluate_operator(&operator, u, points));
    let size = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4 * size));
    assert!(bench.ok("info diffusion-reaction-u.safetensors").contains("x in 0 .. 1"));
    let at = bench.ok("eval diffusion-reaction.safetensors --input-function u.npy --at 1,0.5");
    assert_eq!(at, bench.ok("eval diffusion-reaction.safetensors --input-function many.npy --number 1 --at 1,0.5"));
    let value = evaluate_operator(&operator, u, &[1.0, 0.5])[0];
    assert!(at.contains(&format!("s = {value}")), "{at} {value}");
    bench.ok("eval diffusion-reaction.safetensors --input-function u.npy --grid 5x7 -o s.csv");

    let said = bench.ok("export diffusion-reaction.run --precision f16");
    assert!(said.contains("relative L2"), "{said}");
    assert!(bench.read("diffusion-reaction-f16.safetensors").len() < bytes.len() * 6 / 10);
    for (line, words) in [
        ("eval diffusion-reaction.safetensors --at 1,0.5", &["--input-function"][..]),
        ("eval diffusion-reaction-u.safetensors --input-function u.npy --at 1,0.5", &["coordinate network"]),
        ("eval diffusion-reaction.safetensors --input-function s.csv --at 1,0.5", &["s.csv", "NPY"]),
        ("eval diffusion-reaction.safetensors --input-function many.npy --number 2 --at 1,0.5", &["at least 3"]),
        ("export diffusion-reaction.run --precision int8", &["operator", "--fold-input"]),
        ("export diffusion-reaction-u.safetensors --fold-input u.npy -o n.safetensors", &["no operator"]),
        ("export diffusion-reaction.safetensors --rust", &["operator", "--fold-input"]),
        ("fit --resume diffusion-reaction.run", &["rwf operator"]),
    ] {
        bench.refused(line, words);
    }
    bench.ok("operator diffusion-reaction -o same.safetensors --config diffusion-reaction.run/config.toml");
    assert_eq!(bench.read("same.safetensors"), bytes);
}

#[cfg(unix)]
#[test]
fn a_run_that_was_killed_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    for (name, more) in [
        ("values", "operator burgers --merge dense --arch mlp --mapping none --param wn"),
        ("equation", "operator advection --physics --weight initial=10 --conditions 16"),
    ] {
        let line = format!("{more} {SMALL} --steps 1500 --data pairs-{name}.safetensors --clip 1");
        bench.ok(&format!("{line} -o straight-{name}.safetensors"));
        bench.stopped(&line, name, "-KILL");
        bench.ok(&format!("operator --resume {name}.run"));
        assert_eq!(
            bench.read(&format!("{name}.safetensors")),
            bench.read(&format!("straight-{name}.safetensors")),
            "{name}"
        );
    }
    let header = String::from_utf8(bench.read("equation.run/metrics.csv")).unwrap();
    for column in ["relative_l2", "loss_equation", "loss_initial", "loss_inlet"] {
        assert!(header.lines().next().unwrap().contains(column), "{column}");
    }
}

/// Without any solution the equation alone brings the error down.
#[test]
fn an_equation_alone_teaches_an_operator() {
    let bench = Bench::new();
    let line = "operator diffusion-reaction --physics --hidden 24 --depth 2 --latent 16 --train 60 --test 5 \
                --step-functions 12 --step-points 64 --conditions 32 --evaluate-every 400 --steps 1200 --lr 0.002";
    bench.ok(line);
    let mean = error(&bench, "diffusion-reaction.safetensors", "relative_l2");
    assert!(mean < 0.4, "{mean}");
}

/// The antiderivative at points of each function's own, two multiples of it: arrays in NPY and in one file, by both
/// commands.
#[test]
fn arrays_of_ones_own_are_learned() {
    let bench = Bench::new();
    let (n, m, q) = (60usize, 8usize, 10usize);
    let (mut inputs, mut points, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
    for f in 0..n {
        let (a, b) = ((f as f32 * 0.7).sin(), (f as f32 * 1.3).cos());
        inputs.extend((0..m).map(|i| a + 2.0 * b * (i as f32 / (m - 1) as f32)));
        for p in 0..q {
            let x = ((f * 31 + p * 17) % 100) as f32 / 99.0;
            points.push(x);
            outputs.extend([a * x + b * x * x, 2.0 * (a * x + b * x * x)]);
        }
    }
    npy(&bench, "u.npy", &[n as u64, m as u64], &inputs);
    npy(&bench, "y.npy", &[n as u64, q as u64, 1], &points);
    npy(&bench, "s.npy", &[n as u64, q as u64, 2], &outputs);
    let tensors = [
        Stored::f32("inputs", &[n, m], &inputs),
        Stored::f32("points", &[n, q, 1], &points),
        Stored::f32("outputs", &[n, q, 2], &outputs),
    ];
    bench.write("pairs.safetensors", container::write(&tensors, &Words::new()));
    let tensor = |shape: &[usize], values: &[f32]| {
        candle_core::Tensor::from_slice(values, shape, &candle_core::Device::Cpu).unwrap()
    };
    let named = [("inputs", tensor(&[n, m], &inputs)), ("points", tensor(&[n, q, 1], &points))];
    let outputs = ("outputs", tensor(&[n, q, 2], &outputs));
    let archive: Vec<_> = named.iter().chain([&outputs]).map(|(name, tensor)| (*name, tensor)).collect();
    candle_core::Tensor::write_npz(&archive, bench.path("pairs.npz")).unwrap();
    candle_core::Tensor::write_npz(&archive[..2], bench.path("half.npz")).unwrap();
    let small = "--hidden 16 --depth 2 --steps 800 --lr 0.01 --evaluate-every 400";
    bench.ok(&format!("operator --inputs u.npy --points y.npy --outputs s.npy {small} --latent 64 -o a.safetensors"));
    assert!(error(&bench, "a.safetensors", "relative_l2") < 0.1);
    assert_eq!(error(&bench, "a.safetensors", "functions"), 6.0);
    bench.ok(&format!("fit pairs.safetensors {small}"));
    bench.ok(&format!("operator pairs.safetensors {small} -o b.safetensors"));
    let fitted = bench.read("pairs-operator.safetensors");
    assert_eq!(fitted, bench.read("b.safetensors"));
    bench.ok(&format!("fit pairs.npz {small} -o c.safetensors"));
    assert_eq!(fitted, bench.read("c.safetensors"));
    // The same numbers from other files: the same networks.
    assert_eq!(fitted, bench.read("a.safetensors"));
    assert!(names(&bench.path("a.run")).contains(&"solution.png".to_owned()));
    let info = bench.ok("info a.safetensors");
    assert!(info.contains("8 sensors") && info.contains("output         s1"), "{info}");
    let at = |function: &str| bench.ok(&format!("eval a.safetensors --input-function {function} --number 3 --at 0.5"));
    assert_eq!(at("u.npy"), at("pairs.npz"));
    bench.refused("operator half.npz", &["half.npz", "[\"inputs\", \"points\"]", "\"outputs\""]);
}

#[test]
fn a_comparison_trains_every_parameterization_on_the_same_pairs() {
    let bench = Bench::new();
    let line = "compare operator --quick --operators advection --params plain,rwf --seeds 1 --steps 20 --jobs 1 -o c";
    let said = bench.ok(line);
    for word in ["Operators", "advection", "plain", "rwf", "log10 of the relative L2 error"] {
        assert!(said.contains(word), "`{word}` is not in\n{said}");
    }
    let rows = String::from_utf8(bench.read("c/results.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 2, "{rows}");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_left_behind() {
    let bench = Bench::new();
    let listed = bench.ok("operator list");
    for name in ["advection", "burgers", "darcy", "diffusion-reaction"] {
        assert!(listed.contains(name), "{listed}");
    }
    npy(&bench, "u.npy", &[4, 3], &[0.5; 12]);
    npy(&bench, "y.npy", &[5, 2], &[0.5; 10]);
    npy(&bench, "s.npy", &[4, 6], &[0.5; 24]);
    npy(&bench, "nan.npy", &[4, 5], &[f32::NAN; 20]);
    bench.write("text.safetensors", "no tensors here");
    bench.write("text.npz", "no arrays here");
    bench.write("darcy-data.safetensors", "somebody's");
    let before = bench.files();
    for (line, words) in [
        ("burger", &["`burger`", "burgers", "diffusion-reaction"][..]),
        ("darcy --physics", &["signal.physics", "darcy"]),
        ("darcy", &["darcy-data.safetensors", "another kind"]),
        ("burgers --train 1", &["signal.train", "2 to"]),
        ("burgers --latent 0", &["deeponet.latent"]),
        (
            "burgers --output-activation tanh --data x.safetensors --train 2 --test 1",
            &["output_activation", "identity"],
        ),
        ("diffusion-reaction --physics --weight start=2", &["signal.weights", "`start`", "initial"]),
        ("diffusion-reaction --physics --merge dense --train 2 --test 1 --data x.safetensors", &["merge", "dot"]),
        ("burgers --engine candle --train 2 --test 1 --data x.safetensors", &["--engine", "fused"]),
        ("--inputs u.npy --points y.npy --outputs s.npy", &["s.npy", "`outputs`", "[4, 6]", "[4, 5]"]),
        ("--inputs y.npy --points y.npy --outputs nan.npy", &["`outputs`", "[4, 5]", "[5, 5]"]),
        ("--inputs u.npy --points y.npy --outputs nan.npy", &["nan.npy", "finite"]),
        ("--inputs nowhere.npy --points y.npy --outputs s.npy", &["nowhere.npy"]),
        ("text.safetensors", &["text.safetensors", "safetensors"]),
        ("text.npz", &["text.npz", "no NumPy archive"]),
        ("nowhere.safetensors", &["nowhere.safetensors"]),
    ] {
        bench.refused(&format!("operator {line} --steps 2"), words);
    }
    // Pairs that were made before the run could not begin.
    let left: Vec<String> = bench.files().into_iter().filter(|f| !before.contains(f) && f != "x.safetensors").collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(bench.read("darcy-data.safetensors"), b"somebody's");
}
