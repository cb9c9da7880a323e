//! Packed files: the same bytes back, shorter, and nothing else ever.
#![cfg(all(feature = "entropy", feature = "build"))]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::File;
use proptest::prelude::*;
use rwf_runtime::entropy::{UnpackError, decode_into, decoded_len, encode, is_packed};

/// Part of its bytes that every model of the repository loses at least.
const GATE: f64 = 0.20;

fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["firmware-example/models", "firmware-example/wasm/page", "tests/golden"];
    let mut all: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).expect("a folder of models"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    all.sort();
    assert!(all.len() > 15, "{all:?}");
    all
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, UnpackError> {
    // Memory is as it comes, and may be longer.
    let mut memory = vec![0xa5; decoded_len(packed)? + 3];
    decode_into(packed, &mut memory).map(<[u8]>::to_vec)
}

/// `packed` with the checksum of what it is now.
fn with_checksum(mut packed: Vec<u8>) -> Vec<u8> {
    let bytes = packed[..9].iter().chain(&packed[13..]);
    let turn = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let crc = bytes.fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| turn(crc)));
    packed[9..13].copy_from_slice(&(!crc).to_le_bytes());
    packed
}

#[test]
fn every_model_of_the_repository_comes_back_from_a_fifth_less() {
    for path in models() {
        let file = fs::read(&path).unwrap();
        let packed = encode(&file);
        assert!(is_packed(&packed) && !is_packed(&file));
        assert_eq!(decoded_len(&packed), Ok(file.len()));
        assert_eq!(unpacked(&packed).unwrap(), file, "{}", path.display());
        let less = 1.0 - packed.len() as f64 / file.len() as f64;
        println!("{:5.1} % {:>6} -> {:>6} {}", 100.0 * less, file.len(), packed.len(), path.display());
        assert!(less >= GATE, "{}: {} -> {} bytes", path.display(), file.len(), packed.len());
    }
}

/// A change of the form would leave packed files behind that nobody reads.
#[test]
fn a_file_packed_by_the_first_version_unpacks() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let packed = fs::read(golden.join("siren_int8.rwfz")).unwrap();
    assert_eq!(unpacked(&packed).unwrap(), fs::read(golden.join("siren_int8.safetensors")).unwrap());
}

#[test]
fn a_bad_file_or_short_memory_is_refused_in_its_own_words() {
    let file = File::network("none", "sine,sine,identity", None).bytes();
    let packed = encode(&file);
    let mut short = vec![0; file.len() - 1];
    assert_eq!(decode_into(&packed, &mut short), Err(UnpackError::MemoryLength(file.len())));
    assert_eq!(decode_into(&file, &mut short), Err(UnpackError::NotPacked));
    assert_eq!(decoded_len(&packed[..12]), Err(UnpackError::NotPacked));
    assert_eq!(decoded_len(b""), Err(UnpackError::NotPacked));
    let mut later = packed.clone();
    later[4] = 2;
    assert_eq!(decoded_len(&later), Err(UnpackError::UnsupportedVersion(2)));
    let longer = [&packed[..], b"more"].concat();
    assert_eq!(unpacked(&longer), Err(UnpackError::Checksum));
    assert_eq!(unpacked(&with_checksum(longer)), Err(UnpackError::TrailingBytes));
    assert_eq!(unpacked(&packed[..packed.len() / 2]), Err(UnpackError::Checksum));
    assert_eq!(unpacked(&packed[..13]), Err(UnpackError::Checksum));
}

#[test]
fn tensors_out_of_order_foreign_words_and_no_tensors_at_all_come_back_too() {
    let mut file = File::network("fourier", "tanh,identity", Some("tanh"));
    *file.word("outputs") = "T[°C] -1 1;b 0 1;c 0 1".into();
    let bytes = file.bytes();
    let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // A header that lies about places.
    let lies = text[..header].replace("\"data_offsets\":[0,", "\"data_offsets\":[7,");
    let lies = [&(lies.len() as u64).to_le_bytes()[..], lies.as_bytes(), &bytes[8 + header..]].concat();
    let beyond = [&bytes[..bytes.len() - 9]].concat();
    for file in
        [&bytes[..], &lies, &beyond, b"", b"\0\0\0\0\0\0\0\0", b"\x02\0\0\0\0\0\0\0{}", b"\xff\xff\0\0\0\0\0\0{}"]
    {
        assert_eq!(unpacked(&encode(file)).unwrap(), file);
    }
}

/// Numbers at the ends of their types, and among them what was drawn.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let special = prop_oneof![
        Just(i32::MIN.to_le_bytes()),
        Just(i32::MAX.to_le_bytes()),
        Just(f32::NAN.to_le_bytes()),
        Just(f32::MIN_POSITIVE.to_le_bytes()),
        Just(1e-42f32.to_le_bytes()),
        Just((-0.0f32).to_le_bytes()),
        Just([0; 4]),
        any::<[u8; 4]>(),
        (-1.0f32..1.0).prop_map(f32::to_le_bytes),
    ];
    proptest::collection::vec(special, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_tensors_come_back(
        tensors in proptest::collection::vec((data(), 0usize..9, 0usize..4), 0..6),
        cut in 0usize..3,
    ) {
        let (mut header, mut bytes) = (String::from("{\"__metadata__\":{\"format\":\"rwf-model\"}"), Vec::<u8>::new());
        for (n, (data, dtype, part)) in tensors.iter().enumerate() {
            let dtype = ["F32", "F16", "I32", "I16", "I8", "U8", "F64", "BF16", "BOOL"][*dtype];
            let part = ["kernel", "bias", "multiplier", "weight"][*part];
            let start = bytes.len();
            bytes.extend(data);
            header += &format!(
                ",\"layers.{n}.{part}\":{{\"dtype\":\"{dtype}\",\"shape\":[{}],\"data_offsets\":[{start},{}]}}",
                data.len(),
                bytes.len()
            );
        }
        header.push('}');
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(bytes);
        file.truncate(file.len() - cut);
        prop_assert_eq!(unpacked(&encode(&file)).unwrap(), file);
    }

    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let packed = encode(&bytes);
        prop_assert_eq!(unpacked(&packed).unwrap(), &bytes[..]);
        prop_assert!(packed.len() <= bytes.len() + bytes.len() / 8 + 64, "{} of {}", packed.len(), bytes.len());
    }

    #[test]
    fn a_changed_file_is_refused(at in 0.0f64..1.0, flip in 1u8.., length in 0.0f64..1.0, gate in any::<bool>()) {
        let file = File::network("fourier+raw", "relu,tanh,sigmoid", gate.then_some("tanh")).halve().bytes();
        let packed = encode(&file);
        let mut changed = packed.clone();
        changed[(at * packed.len() as f64) as usize] ^= flip;
        // The length alone may ask for more than anybody has.
        if decoded_len(&changed).is_ok_and(|length| length < 1 << 20) {
            prop_assert!(unpacked(&changed).is_err());
            // One that is made to look right unpacks to something.
            let mut memory = vec![0; 1 << 20];
            let _ = decode_into(&with_checksum(changed), &mut memory);
        }
        prop_assert!(unpacked(&packed[..(length * packed.len() as f64) as usize]).is_err());
    }

    #[test]
    fn any_bytes_unpack_to_something_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), length in 0u32..5000) {
        let packed = [b"rwfz\x01".as_slice(), &length.to_le_bytes(), &[0; 4], &bytes].concat();
        prop_assert_eq!(unpacked(&packed), Err(UnpackError::Checksum));
        match unpacked(&with_checksum(packed)) {
            Ok(file) => prop_assert_eq!(unpacked(&encode(&file)).unwrap(), file),
            Err(error) => prop_assert_eq!(error, UnpackError::TrailingBytes),
        }
    }
}
