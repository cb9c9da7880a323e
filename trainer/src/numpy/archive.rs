//! Archives of NumPy's `savez` and `savez_compressed`: a ZIP of NPY files.

use std::{
    io::{Cursor, Read},
    path::Path,
};

use flate2::{Crc, read::DeflateDecoder};
use npyz::npz::{array_name_from_file_name, file_name_from_array_name};
use zip::{CompressionMethod, ZipArchive};

use super::numbers;

/// An archive whose list of arrays has been read.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

/// Whether the name of a file is one of an archive.
pub(crate) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"))
}

impl<'a> Archive<'a> {
    /// The archive in these bytes.
    ///
    /// # Errors
    /// A sentence where they are none.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("found no NumPy archive: {e}"))?;
        Ok(Self { zip })
    }

    /// Names of its arrays, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let files = self.zip.file_names().flatten();
        let mut names: Vec<String> = files.filter_map(|f| Some(array_name_from_file_name(&f)?.to_owned())).collect();
        names.sort();
        names
    }

    /// Shape and values of an array, the last axis fastest, as `from` makes them.
    ///
    /// # Errors
    /// A sentence that names the array: it is not there, damaged, or not of plain numbers.
    pub(crate) fn array<T: Copy>(&mut self, name: &str, from: fn(f64) -> T) -> Result<(Vec<usize>, Vec<T>), String> {
        let read = self.file(&file_name_from_array_name(name)).and_then(|bytes| numbers(&bytes, from));
        read.map_err(|message| format!("array `{name}`: {message}"))
    }

    /// The bytes of a file in it. The archive's own decompression is off, as candle has it; DEFLATE is all that NumPy writes.
    fn file(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let index = self.zip.index_for_name(name).ok_or("is not in the archive")?;
        let entry = self.zip.by_index_raw(index).map_err(|e| e.to_string())?;
        let (method, size, sum) = (entry.compression(), entry.size(), entry.crc32());
        let mut bytes = Vec::new();
        // One byte more than there should be tells of too many.
        let read = match method {
            CompressionMethod::STORE => entry.take(size + 1).read_to_end(&mut bytes),
            CompressionMethod::DEFLATE => DeflateDecoder::new(entry).take(size + 1).read_to_end(&mut bytes),
            other => return Err(format!("found it packed by {other}, expected stored or deflated")),
        };
        read.map_err(|e| format!("is damaged: {e}"))?;
        let mut found = Crc::new();
        found.update(&bytes);
        if bytes.len() as u64 != size || found.sum() != sum {
            return Err("is damaged: its checksum is another".into());
        }
        Ok(bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};
    use npyz::WriterBuilder;

    use super::*;

    /// An archive as NumPy writes it, of f64 arrays.
    pub(crate) fn archive(arrays: &[(&str, &[usize], &[f64])], packed: bool) -> Vec<u8> {
        let files = arrays.iter().map(|(name, shape, values)| {
            let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
            let mut npy = Vec::new();
            let options = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut npy);
            let mut writer = options.begin_nd().unwrap();
            writer.extend(values.iter().copied()).unwrap();
            writer.finish().unwrap();
            (format!("{name}.npy"), npy)
        });
        zipped(&files.collect::<Vec<_>>(), packed)
    }

    /// Local headers with the files, the directory, its end (APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).
    fn zipped(files: &[(String, Vec<u8>)], packed: bool) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            let mut sum = Crc::new();
            sum.update(bytes);
            let stored = if packed {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            } else {
                bytes.clone()
            };
            let mut header = Vec::new();
            for word in [20u16, 0, if packed { 8 } else { 0 }, 0, 0x21] {
                header.extend(word.to_le_bytes());
            }
            for word in [sum.sum(), stored.len() as u32, bytes.len() as u32] {
                header.extend(word.to_le_bytes());
            }
            header.extend((name.len() as u16).to_le_bytes());
            header.extend([0; 2]);
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&header);
            directory.extend([0; 10]);
            directory.extend((out.len() as u32).to_le_bytes());
            directory.extend(name.as_bytes());
            out.extend(b"PK\x03\x04");
            out.extend(header);
            out.extend(name.as_bytes());
            out.extend(stored);
        }
        let (at, size) = (out.len() as u32, directory.len() as u32);
        out.extend(directory);
        out.extend(b"PK\x05\x06\x00\x00\x00\x00");
        let count = (files.len() as u16).to_le_bytes();
        out.extend([count, count].concat());
        out.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
        out.extend([0; 2]);
        out
    }

    #[test]
    fn stored_and_packed_arrays_come_back() {
        let values: Vec<f64> = (0..600).map(|i| f64::from(i % 7) / 3.0).collect();
        for packed in [false, true] {
            let bytes = archive(&[("u", &[20, 30], &values), ("a/b", &[2], &[1e300, -0.5])], packed);
            let mut archive = Archive::new(&bytes).unwrap();
            assert_eq!(archive.names(), ["a/b", "u"]);
            assert_eq!(archive.array("u", |v| v).unwrap(), (vec![20, 30], values.clone()));
            assert_eq!(archive.array("a/b", |v| v).unwrap(), (vec![2], vec![1e300, -0.5]));
            assert_eq!(archive.array("a/b", |v| v as f32).unwrap().1, [f32::INFINITY, -0.5]);
            assert_eq!(packed, bytes.len() < 4800, "{}", bytes.len());
        }
    }

    #[test]
    fn what_is_none_or_damaged_is_named() {
        let error = |bytes: &[u8], name: &str| Archive::new(bytes).and_then(|mut a| a.array(name, |v| v)).unwrap_err();
        assert!(error(b"nothing", "u").contains("no NumPy archive"));
        let bytes = archive(&[("u", &[64], &[0.25; 64])], false);
        assert_eq!(error(&bytes, "v"), "array `v`: is not in the archive");
        let mut changed = bytes.clone();
        changed[300] ^= 1;
        assert_eq!(error(&changed, "u"), "array `u`: is damaged: its checksum is another");
        assert!(error(&bytes[..bytes.len() / 2], "u").contains("no NumPy archive"));
        let text = zipped(&[("u.npy".into(), b"no array".to_vec())], true);
        assert!(error(&text, "u").starts_with("array `u`: found no NPY array"), "{}", error(&text, "u"));
    }
}
