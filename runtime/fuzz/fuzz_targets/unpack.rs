//! Whatever the bytes are: as a packed file they are refused or unpack to what packs to the same again, and as a model file
//! they come back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rwf_runtime::entropy::{MAGIC, UnpackError, VERSION, decode_into, decoded_len, encode};

/// Bytes of memory; a packed file may ask for 4 GiB.
const MEMORY: usize = 1 << 15;

fuzz_target!(|bytes: &[u8]| {
    let mut memory = vec![0xa5; MEMORY];
    refused_or_same(bytes, &mut memory);
    // Whole but for a checksum, which is not to be guessed.
    let length = bytes.first_chunk().map_or(0, |&n| u16::from_le_bytes(n)) / 8;
    refused_or_same(&made_to_look_right(length.into(), bytes), &mut memory);

    let packed = encode(bytes);
    assert_eq!(decoded_len(&packed), Ok(bytes.len()));
    assert_eq!(decode_into(&packed, &mut memory), Ok(bytes));
});

/// A packed file of `coded` for a model file of `length` bytes.
fn made_to_look_right(length: u32, coded: &[u8]) -> Vec<u8> {
    let mut packed = [&MAGIC[..], &[VERSION], &length.to_le_bytes()].concat();
    let turn = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let bytes = packed.iter().chain(coded);
    let crc = bytes.fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| turn(crc)));
    packed.extend((!crc).to_le_bytes());
    packed.extend(coded);
    packed
}

fn refused_or_same(packed: &[u8], memory: &mut [u8]) {
    match decode_into(packed, memory) {
        Ok(file) => {
            let file = file.to_vec();
            assert_eq!(decode_into(&encode(&file), memory), Ok(&file[..]));
        }
        Err(UnpackError::MemoryLength(length)) => assert!(length > MEMORY && decoded_len(packed) == Ok(length)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
