//! Whatever the bytes are: as a packed file they are refused or unpack to what packs to the same again, and as a model file
//! they come back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rwf_runtime::entropy::{MAGIC, VERSION, UnpackError, decode_into, decoded_len, encode};

/// Bytes of memory; a packed file may ask for 4 GiB.
const MEMORY: usize = 1 << 15;

fuzz_target!(|bytes: &[u8]| {
    let mut memory = vec![0xa5; MEMORY];
    refused_or_same(bytes, &mut memory);
    // The checksum stands before nearly all that is drawn: what follows it is decoded all the same.
    let length = bytes.first_chunk().map_or(0, |&n| u16::from_le_bytes(n)) / 2;
    let coded = [&MAGIC[..], &[VERSION], &u32::from(length).to_le_bytes(), bytes].concat();
    refused_or_same(&coded, &mut memory);

    let packed = encode(bytes);
    assert_eq!(decoded_len(&packed), Ok(bytes.len()));
    assert_eq!(decode_into(&packed, &mut memory), Ok(bytes));
});

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
