//! The loader refuses whatever is not exactly as FORMAT.md says, each in its own words, and never panics.

mod common;

use common::{File, f32s, numbers, with_header};
use proptest::prelude::*;
use rwf_runtime::{
    LoadError, Model, SelfTestError,
    error::{TensorName, Word},
    format::{MathBackend, Precision},
    uses,
};

fn good() -> File {
    File::network("fourier+raw", "relu,tanh,sigmoid", None)
}

fn refused(file: &File) -> LoadError {
    Model::new(&file.bytes()).expect_err("a bad file")
}

fn changed(change: impl FnOnce(&mut File)) -> LoadError {
    let mut file = good();
    change(&mut file);
    refused(&file)
}

#[test]
fn good_files_load_and_the_safetensors_crate_agrees() {
    let mut with_affine = good();
    with_affine.push("output.scale", &[3], 2.0);
    with_affine.push("output.offset", &[3], 5.0);
    for file in [
        good(),
        File::network("none", "sine,sine,identity", None),
        File::network("fourier", "tanh,tanh,identity", Some("tanh")),
        good().halve(),
        with_affine,
    ] {
        let bytes = file.bytes();
        let model = Model::new(&bytes).unwrap();
        assert_eq!((model.inputs(), model.outputs()), (2, 3));
        let library = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(library.len(), file.tensors.len());
        let weights: usize = file.tensors.iter().map(|t| t.bytes.len()).sum();
        assert_eq!(model.weight_bytes(), weights);
    }
}

#[test]
fn words_are_found_and_quantities_read() {
    let bytes = good().bytes();
    let model = Model::new(&bytes).unwrap();
    assert_eq!(model.metadata("grid"), Some("node last 32 16"));
    assert_eq!(model.metadata("nothing"), None);
    let x = model.input(0).unwrap();
    assert_eq!((x.name, x.unit, x.lo, x.hi), ("x", "px", 0.0, 31.0));
    assert_eq!(model.output(2).unwrap().unit, "K");
    assert_eq!(model.grid().unwrap().counts.as_slice(), [32, 16]);
    assert_eq!(model.precision(), Precision::F32);
}

#[test]
fn files_that_end_early_or_late() {
    let bytes = good().bytes();
    for length in 0..bytes.len() {
        let error = Model::new(&bytes[..length]).expect_err("a truncated file");
        assert_eq!(error, LoadError::Truncated, "{length} of {}", bytes.len());
    }
    let mut long = bytes.clone();
    long.push(0);
    assert_eq!(Model::new(&long).unwrap_err(), LoadError::TrailingBytes);
    let mut header = bytes;
    header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(Model::new(&header).unwrap_err(), LoadError::HeaderTooLong);
}

#[test]
fn files_of_another_kind() {
    assert_eq!(Model::new(b"\x89PNG\r\n\x1a\n0123456789").unwrap_err(), LoadError::HeaderTooLong);
    assert_eq!(Model::new(&with_header("{\"a\":", &[])).unwrap_err(), LoadError::BadHeader);
    assert_eq!(changed(|f| f.words.retain(|w| w.0 != "format")), LoadError::Foreign);
    assert_eq!(changed(|f| *f.word("format") = "other".into()), LoadError::Foreign);
    assert_eq!(changed(|f| *f.word("format") = "rwf-checkpoint".into()), LoadError::Checkpoint);
    let foreign = "{\"net.0.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    assert_eq!(Model::new(&with_header(foreign, &[0; 4])).unwrap_err(), LoadError::Foreign);
    // A checkpoint's own tensors and escaped words do not hide what it is.
    let checkpoint = "{\"__metadata__\":{\"config\":\"a = \\\"b\\\"\\n\",\"format\":\"rwf-checkpoint\"},\
                      \"layers.0.v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    assert_eq!(Model::new(&with_header(checkpoint, &[0; 4])).unwrap_err(), LoadError::Checkpoint);
}

#[test]
fn words_that_are_missing_or_unknown() {
    assert_eq!(changed(|f| *f.word("format_version") = "2".into()), LoadError::Integer);
    assert_eq!(changed(|f| *f.word("format_version") = "3".into()), LoadError::UnsupportedVersion(3));
    assert_eq!(changed(|f| *f.word("format_version") = "0".into()), LoadError::UnsupportedVersion(0));
    assert_eq!(changed(|f| *f.word("format_version") = "x".into()), LoadError::UnknownWord(Word::Version));
    for (key, word) in [
        ("format_version", Word::Version),
        ("mapping", Word::Mapping),
        ("activations", Word::Activations),
        ("math", Word::Math),
    ] {
        assert_eq!(changed(|f| f.words.retain(|w| w.0 != key)), LoadError::MissingWord(word));
        if key != "format_version" {
            assert_eq!(changed(|f| *f.word(key) = "what".into()), LoadError::UnknownWord(word));
        }
    }
    assert_eq!(changed(|f| f.words.push(("gate", "what".into()))), LoadError::UnknownWord(Word::Gate));
    assert_eq!(changed(|f| f.words.push(("math", "libm".into()))), LoadError::BadHeader);
    for backend in [MathBackend::Libm, MathBackend::Micromath] {
        let mut file = good();
        *file.word("math") = backend.name().into();
        let built_in = rwf_runtime::activation::available(backend);
        let bytes = file.bytes();
        match Model::new(&bytes) {
            Ok(model) => assert!(built_in && model.math() == backend),
            Err(error) => assert!(!built_in && error == LoadError::MathNotBuiltIn(backend)),
        }
    }
}

#[test]
fn tensors_that_are_missing_unknown_or_of_the_wrong_kind() {
    let kernel = TensorName::LayerKernel(1);
    assert_eq!(changed(|f| f.tensors.retain(|t| t.name != "layers.1.kernel")), LoadError::Missing(kernel));
    assert_eq!(
        changed(|f| f.tensors.retain(|t| t.name != "mapping.bias")),
        LoadError::Missing(TensorName::MappingBias)
    );
    assert_eq!(changed(|f| f.push("layers.3.kernel", &[1], 1.0)), LoadError::UnknownTensor);
    assert_eq!(changed(|f| f.push("something", &[1], 1.0)), LoadError::UnknownTensor);
    assert_eq!(changed(|f| f.push("layers.01.bias", &[1], 1.0)), LoadError::UnknownTensor);
    assert_eq!(changed(|f| f.push("encoder.0.bias", &[5], 1.0)), LoadError::UnknownTensor);
    assert_eq!(changed(|f| f.push("layers.1.kernel", &[5, 5], 1.0)), LoadError::Duplicate(kernel));
    assert_eq!(changed(|f| f.tensor("layers.1.kernel").dtype = "I32"), LoadError::Dtype(kernel));
    assert_eq!(changed(|f| f.tensor("layers.1.kernel").shape = vec![25]), LoadError::Shape(kernel));
    assert_eq!(changed(|f| f.tensor("layers.1.kernel").shape = vec![1, 5, 5]), LoadError::Shape(kernel));
    assert_eq!(changed(|f| f.tensor("layers.1.kernel").shape = vec![5, 6]), LoadError::Offsets(kernel));
    assert_eq!(
        changed(|f| f.tensor("layers.1.kernel").shape = vec![usize::MAX >> 34, 1 << 30]),
        LoadError::Offsets(kernel)
    );
    let bias = TensorName::LayerBias(2);
    let mixed = changed(|f| {
        let tensor = f.tensor("layers.2.bias");
        (tensor.dtype, tensor.bytes) = ("F16", vec![0; 6]);
    });
    assert_eq!(mixed, LoadError::Dtype(bias));
    let wide = changed(|f| {
        let tensor = f.tensor("layers.1.kernel");
        (tensor.shape, tensor.bytes) = (vec![5, 6], f32s(&numbers(30, 1.0)));
    });
    assert_eq!(wide, LoadError::Shape(TensorName::LayerBias(1)));
    let many = ["relu"; 17].join(",");
    assert!(matches!(changed(|f| *f.word("activations") = many), LoadError::Missing(_) | LoadError::LayerCount));
}

#[test]
fn weights_that_are_not_finite() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = changed(|f| f.tensor("layers.2.bias").bytes[..4].copy_from_slice(&value.to_le_bytes()));
        assert_eq!(error, LoadError::NotFinite(TensorName::LayerBias(2)));
    }
    let mut half = good().halve();
    half.tensor("layers.0.kernel").bytes[..2].copy_from_slice(&0x7c00u16.to_le_bytes());
    assert_eq!(refused(&half), LoadError::NotFinite(TensorName::LayerKernel(0)));
}

#[test]
fn a_mask_is_of_the_networks_shape_finite_and_f32() {
    let masked = || good().masked(2);
    assert!(Model::new(&masked().bytes()).unwrap().architecture().output_mask);
    assert!(Model::new(&masked().halve().bytes()).is_ok());
    let with = |change: &dyn Fn(&mut common::Tensor)| {
        let mut file = masked();
        change(file.tensor("output.mask"));
        refused(&file)
    };
    assert_eq!(with(&|t| t.shape = vec![8, 3]), LoadError::Shape(TensorName::OutputMask));
    assert_eq!(with(&|t| t.shape = vec![24]), LoadError::Shape(TensorName::OutputMask));
    let half = with(&|t| (t.dtype, t.bytes) = ("F16", vec![0; 48]));
    assert_eq!(half, LoadError::Dtype(TensorName::OutputMask));
    let nan = with(&|t| t.bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert_eq!(nan, LoadError::NotFinite(TensorName::OutputMask));
}

#[test]
fn bytes_that_belong_to_two_tensors_or_none() {
    // layers.2.bias over the bytes of the tensor before it.
    let overlap = changed(|f| {
        let end = f.data().len() - 12;
        f.tensor("layers.2.bias").offsets = Some((end - 12, end));
    });
    assert!(matches!(overlap, LoadError::Overlap(_)), "{overlap:?}");
    let same = changed(|f| f.tensor("layers.2.bias").offsets = Some((0, 12)));
    assert!(matches!(same, LoadError::Overlap(_)), "{same:?}");
    let mut gap = good();
    let end = gap.data().len();
    gap.tensor("layers.2.bias").offsets = Some((end, end + 12));
    let mut bytes = gap.bytes();
    bytes.extend([0; 12]);
    assert_eq!(Model::new(&bytes).unwrap_err(), LoadError::Gap);
}

#[test]
fn a_gated_network_has_encoders_and_equal_widths() {
    let gated = || File::network("none", "tanh,tanh,identity", Some("tanh"));
    let mut file = gated();
    file.tensors.retain(|t| t.name != "encoder.1.kernel");
    assert_eq!(refused(&file), LoadError::Missing(TensorName::EncoderKernel(1)));
    let mut file = gated();
    file.words.retain(|w| w.0 != "gate");
    assert_eq!(refused(&file), LoadError::UnknownTensor);
    let mut file = gated();
    let tensor = file.tensor("encoder.0.bias");
    (tensor.shape, tensor.bytes) = (vec![4], vec![0; 16]);
    assert_eq!(refused(&file), LoadError::Shape(TensorName::EncoderBias(0)));
}

#[test]
fn a_program_reads_what_it_was_built_for_and_nothing_else() {
    type Sirens<'a> = Model<'a, { uses::SIREN }>;
    /// The file `shift` bytes beyond a multiple of 8, handed to `with`.
    fn at<R>(file: &File, shift: usize, with: impl FnOnce(&[u8]) -> R) -> R {
        let bytes = file.bytes();
        let mut room = vec![0u64; bytes.len() / 8 + 2];
        let place = &mut bytemuck::cast_slice_mut(&mut room)[shift..shift + bytes.len()];
        place.copy_from_slice(&bytes);
        with(place)
    }
    let siren = File::network("none", "sine,sine,identity", None);
    at(&siren, 0, |bytes| {
        let (all, own) = (Model::new(bytes).unwrap(), Sirens::load(bytes).unwrap());
        let (mut scratch, mut y, mut z) = ([0.0; 64], [0.0; 3], [0.0; 3]);
        all.eval(&[3.0, 4.0], &mut y, &mut scratch).unwrap();
        own.eval(&[3.0, 4.0], &mut z, &mut scratch).unwrap();
        assert_eq!(y.map(f32::to_bits), z.map(f32::to_bits));
        assert!(y.iter().any(|y| *y != 0.0));
    });
    let mut affine = siren.clone();
    affine.push("output.scale", &[3], 2.0);
    affine.push("output.offset", &[3], 5.0);
    for (file, shift) in [
        (siren.clone(), 1),
        (siren.clone().halve(), 0),
        (affine, 0),
        (siren.clone().masked(2), 0),
        (File::network("none", "sine,tanh,identity", None), 0),
        (File::network("fourier", "sine,sine,identity", None), 0),
        (File::network("none", "sine,sine,identity", Some("sine")), 0),
    ] {
        at(&file, shift, |bytes| {
            assert!(Model::new(bytes).is_ok());
            assert_eq!(Sirens::load(bytes).err(), Some(LoadError::NotInUses));
        });
    }
    // A bad file is bad for anyone.
    let mut bad = siren;
    bad.tensors.pop();
    at(&bad, 0, |bytes| assert_eq!(Sirens::load(bytes).err(), Model::new(bytes).err()));
}

#[test]
fn self_tests_pass_fail_or_are_missing() {
    let mut file = good();
    let bytes = file.bytes();
    let model = Model::new(&bytes).unwrap();
    let mut scratch = vec![0.0; model.scratch_len()];
    assert_eq!(model.self_test(&mut scratch), Err(SelfTestError::Missing));
    let x = [0.25, 3.0, -1.0, 0.5];
    let mut y = [0.0; 6];
    model.eval_batch(&x, &mut y, &mut scratch).unwrap();

    file.push("self_test.inputs", &[2, 2], 1.0);
    file.push("self_test.outputs", &[2, 3], 1.0);
    file.tensor("self_test.inputs").bytes = f32s(&x);
    file.tensor("self_test.outputs").bytes = f32s(&y);
    let bytes = file.bytes();
    let model = Model::new(&bytes).unwrap();
    assert_eq!(model.self_test(&mut scratch), Ok(()));
    let short = scratch.len() - 1;
    assert_eq!(model.self_test(&mut scratch[..short]), Err(SelfTestError::ScratchLength));

    y[4] = f32::from_bits(y[4].to_bits() ^ 1);
    file.tensor("self_test.outputs").bytes = f32s(&y);
    let bytes = file.bytes();
    let model = Model::new(&bytes).unwrap();
    let expected = y[4].to_bits();
    let mismatch = SelfTestError::Mismatch { sample: 1, output: 1, found: expected ^ 1, expected };
    assert_eq!(model.self_test(&mut scratch), Err(mismatch));

    let tensor = file.tensor("self_test.inputs");
    (tensor.shape, tensor.bytes) = (vec![1, 2], vec![0; 8]);
    assert_eq!(refused(&file), LoadError::Shape(TensorName::SelfTestOutputs));
}

#[test]
fn every_error_says_something_of_its_own() {
    let errors = [
        LoadError::Truncated,
        LoadError::HeaderTooLong,
        LoadError::BadHeader,
        LoadError::Foreign,
        LoadError::Checkpoint,
        LoadError::UnsupportedVersion(9),
        LoadError::MissingWord(Word::Gate),
        LoadError::UnknownWord(Word::Gate),
        LoadError::MathNotBuiltIn(MathBackend::Libm),
        LoadError::NotInUses,
        LoadError::LayerCount,
        LoadError::Missing(TensorName::OutputScale),
        LoadError::Duplicate(TensorName::OutputScale),
        LoadError::UnknownTensor,
        LoadError::Dtype(TensorName::OutputScale),
        LoadError::Shape(TensorName::OutputScale),
        LoadError::Offsets(TensorName::OutputScale),
        LoadError::Overlap(TensorName::OutputScale),
        LoadError::Gap,
        LoadError::TrailingBytes,
        LoadError::NotFinite(TensorName::OutputScale),
    ];
    let mut said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    said.sort();
    said.dedup();
    assert_eq!(said.len(), errors.len());
}

/// Ways to damage a file.
#[derive(Debug, Clone)]
enum Damage {
    Bit(usize, u8),
    Byte(usize, u8),
    Cut(usize),
    Grow(usize),
    Swap(usize, usize),
    Delete(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..4096usize;
    prop_oneof![
        (at.clone(), 0..8u8).prop_map(|(i, b)| Damage::Bit(i, b)),
        (at.clone(), any::<u8>()).prop_map(|(i, b)| Damage::Byte(i, b)),
        // The header's punctuation and digits are where a reader goes wrong.
        (at.clone(), proptest::sample::select(b"{}[]\",:0123456789-eE. \\".to_vec()))
            .prop_map(|(i, b)| Damage::Byte(i, b)),
        at.clone().prop_map(Damage::Cut),
        (1..64usize).prop_map(Damage::Grow),
        (at.clone(), at.clone()).prop_map(|(i, j)| Damage::Swap(i, j)),
        (at, 1..40usize).prop_map(|(i, n)| Damage::Delete(i, n)),
    ]
}

fn spoil(bytes: &mut Vec<u8>, damage: &Damage) {
    let length = bytes.len().max(1);
    match *damage {
        Damage::Cut(at) => bytes.truncate(at % length),
        Damage::Grow(n) => bytes.extend(std::iter::repeat_n(0x30, n)),
        _ if bytes.is_empty() => {}
        Damage::Bit(at, bit) => bytes[at % length] ^= 1 << bit,
        Damage::Byte(at, byte) => bytes[at % length] = byte,
        Damage::Swap(i, j) => bytes.swap(i % length, j % length),
        Damage::Delete(at, n) => {
            let at = at % length;
            bytes.drain(at..(at + n).min(length));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Reading out of bounds would panic: there is no unsafe code here.
    #[test]
    fn damaged_files_never_panic(which in 0..5usize, damages in prop::collection::vec(damage(), 1..4)) {
        let file = match which {
            0 => good(),
            1 => File::network("none", "sine,sine,identity", None),
            2 => File::network("fourier", "tanh,swish,identity", Some("gelu")),
            3 => good().masked(2),
            _ => good().halve(),
        };
        let mut bytes = file.bytes();
        for damage in &damages {
            spoil(&mut bytes, damage);
        }
        if let Ok(model) = Model::new(&bytes) {
            let mut scratch = vec![0.0; model.batch_scratch_len()];
            let x = vec![0.3; 17 * model.inputs()];
            let mut y = vec![0.0; 17 * model.outputs()];
            prop_assert!(model.eval_batch(&x, &mut y, &mut scratch).is_ok());
            let _ = (model.self_test(&mut scratch), model.input(0), model.grid(), model.metadata("error"));
        }
    }
}
