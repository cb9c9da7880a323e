//! Networks trained elsewhere: what a plain list of weights must be.

use std::collections::HashMap;

use rwf_runtime::{
    Model,
    format::{Activation, MathBackend, Precision},
};
use rwf_trainer::{
    evaluate::evaluate,
    import::{Options, model},
};
use safetensors::{Dtype, tensor::TensorView};

type Tensors = Vec<(&'static str, Vec<usize>, Vec<f32>)>;

fn relu() -> Options {
    Options {
        activation: Activation::Relu,
        output_activation: Activation::Identity,
        omega0_first: 30.0,
        omega0: 30.0,
        inputs: String::new(),
        outputs: String::new(),
    }
}

fn import(tensors: &Tensors, options: &Options) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|t| t.2.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views: HashMap<&str, TensorView<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|(t, bytes)| (t.0, TensorView::new(Dtype::F32, t.1.clone(), bytes).unwrap()))
        .collect();
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    model(&path, options, Precision::F32, MathBackend::Polynomial).map_err(|e| e.to_string())
}

fn good() -> Tensors {
    vec![
        ("fc.0.weight", vec![3, 2], vec![1.0, 2.0, -1.0, 0.5, 0.0, 1.0]),
        ("fc.0.bias", vec![3], vec![0.5, 0.0, -1.0]),
        ("fc.2.weight", vec![1, 3], vec![2.0, 3.0, 4.0]),
    ]
}

#[test]
fn values_equal_those_worked_out_by_hand() {
    let file = import(&good(), &relu()).unwrap();
    let model = Model::new(&file).unwrap();
    // relu(1 + 4 + .5, -1 + 1 + 0, 0 + 2 - 1) = (5.5, 0, 1); no bias in the last layer.
    assert_eq!(evaluate(&model, &[1.0, 2.0]), [15.0]);
}

#[test]
fn lists_of_weights_that_are_no_network_say_why() {
    let bad = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = good();
        change(&mut tensors);
        import(&tensors, &relu()).unwrap_err()
    };
    assert!(bad(&|t| t[2].1 = vec![3, 1]).contains("`fc.2.weight` takes 1 values"));
    assert!(bad(&|t| t[1].0 = "fc.1.bias").contains("belongs to no weight"));
    assert!(bad(&|t| t[0].0 = "embedding.table").contains("embedding.table"));
    assert!(bad(&|t| t.clear()).contains("0 layers"));
    assert!(bad(&|t| t[0].2[3] = f32::NAN).contains("layers.0.kernel"));
    let options = Options { inputs: "x -1 1".into(), ..relu() };
    assert!(import(&good(), &options).unwrap_err().contains("2 times"));
}
