//! Python's safetensors package opens what we write, and we open what it writes. Set `RWF_PYTHON` to an interpreter
//! that has `safetensors` and `numpy`.

use std::process::Command;

use rwf_runtime::{
    Model,
    format::{Activation, MathBackend, Precision},
};
use rwf_tests::{Trained, showcases};
use rwf_trainer::{evaluate::evaluate, import};

fn python(script: &str, arguments: &[&std::path::Path]) -> Option<String> {
    let Some(interpreter) = std::env::var_os("RWF_PYTHON") else {
        eprintln!("skipped: set RWF_PYTHON to a Python with safetensors and numpy (.ci/check python does)");
        return None;
    };
    let out = Command::new(interpreter).arg("-c").arg(script).args(arguments).output().expect("Python starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8(out.stdout).expect("text"))
}

#[test]
fn python_reads_the_very_weights_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    for (name, config) in showcases() {
        for precision in Precision::ALL {
            let file = Trained::new(&config, 3).file(precision, MathBackend::Polynomial);
            let path = folder.path().join(format!("{name}.safetensors"));
            std::fs::write(&path, &file).unwrap();
            let script = "
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], 'numpy') as f:
    print(f.metadata()['format'], f.metadata()['activations'])
    for name in sorted(f.keys()):
        t = f.get_tensor(name)
        print(name, t.dtype, *t.shape, float(t.astype('float64').sum()).hex())
";
            let Some(said) = python(script, &[&path]) else { return };
            let mut lines = said.lines();
            assert!(lines.next().unwrap().starts_with("rwf-model "), "{said}");
            let ours = safetensors::SafeTensors::deserialize(&file).unwrap();
            assert_eq!(lines.clone().count(), ours.len());
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                let tensor = ours.tensor(words[0]).unwrap();
                let shape: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
                assert_eq!(words[2..words.len() - 1], shape[..]);
                assert_eq!(words[1] == "float16", tensor.dtype() == safetensors::Dtype::F16);
            }
        }
    }
}

#[test]
fn a_siren_saved_by_python_is_imported_with_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("siren.safetensors");
    let script = "
import sys
import numpy as np
from safetensors.numpy import save_file
rng = np.random.default_rng(1)
sizes = [2, 8, 8, 1]
w = {}
for i, (n, m) in enumerate(zip(sizes, sizes[1:])):
    w[f'net.{i}.linear.weight'] = rng.uniform(-.2, .2, (m, n)).astype('float32')
    w[f'net.{i}.linear.bias'] = rng.uniform(-.2, .2, m).astype('float32')
save_file(w, sys.argv[1])
h = np.array([[0.3, -0.8], [1.0, 0.5]])
for i in range(3):
    h = h @ w[f'net.{i}.linear.weight'].T.astype('float64') + w[f'net.{i}.linear.bias']
    if i < 2:
        h = np.sin(30 * h)
print(*h.ravel())
";
    let Some(said) = python(script, &[&path]) else { return };
    let options = import::Options {
        activation: Activation::Sine,
        output_activation: Activation::Identity,
        omega0_first: 30.0,
        omega0: 30.0,
        inputs: "x -1 1;y -1 1".into(),
        outputs: String::new(),
    };
    let file = import::model(&path, &options, Precision::F32, MathBackend::Polynomial).unwrap();
    let model = Model::new(&file).unwrap();
    let found = evaluate(&model, &[0.3, -0.8, 1.0, 0.5]);
    for (found, expected) in found.iter().zip(said.split_whitespace()) {
        let expected: f64 = expected.parse().unwrap();
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
    model.self_test(&mut vec![0.0; model.scratch_len()]).unwrap();
}
