//! Files: read with an error that names them, written whole or not at all.

use std::{borrow::Cow, io::Write, path::Path};

use rwf_runtime::entropy;

use crate::error::{Error, Result};

/// How the name of a packed model ends.
pub const PACKED: &str = "rwfz";

/// Whether a file of that name is packed when it is written.
pub fn is_packed_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == PACKED)
}

/// The bytes of a file; of a packed model those of the model file it unpacks to.
///
/// # Errors
/// [`Error::Io`] naming `path`, [`Error::Model`] for a packed model that was changed on its way.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), action: "read", source })?;
    if !entropy::is_packed(&bytes) {
        return Ok(bytes);
    }
    let unpacked = || {
        let mut memory = vec![0; entropy::decoded_len(&bytes)?];
        entropy::decode_into(&bytes, &mut memory)?;
        Ok(memory)
    };
    unpacked().map_err(|e: entropy::UnpackError| Error::Model { path: path.into(), message: e.to_string() })
}

/// Makes a folder and those above it, where they are not there yet.
///
/// # Errors
/// [`Error::Io`] naming `path`.
pub fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::Io { path: path.into(), action: "make folder", source })
}

/// Writes `bytes` to a file beside `path` and renames it into place; a file of before stays intact until then. A file whose
/// name ends in `.rwfz` is packed; a folder that is not there yet is made.
///
/// # Errors
/// [`Error::Io`] naming `path`; nothing is left behind.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Io { path: path.into(), action: "write", source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let bytes = if is_packed_name(path) { Cow::Owned(entropy::encode(bytes)) } else { Cow::Borrowed(bytes) };
    make_folder(folder)?;
    let mut beside = tempfile::Builder::new();
    beside.prefix(".rwf-").suffix(".tmp");
    // A temporary file is private by default; what people asked for should be as readable as any file of theirs.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = beside.tempfile_in(folder).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_is_read_as_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rwfz");
        let model = [7; 1000];
        write_atomically(&path, &model).unwrap();
        let packed = std::fs::read(&path).unwrap();
        assert!(packed.len() < 200 && entropy::is_packed(&packed), "{}", packed.len());
        assert_eq!(read(&path).unwrap(), model);
        std::fs::write(&path, &packed[..packed.len() - 1]).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("a.rwfz") && error.to_string().contains("truncated"), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let blocked = folder.path().join("folder");
        std::fs::create_dir(&blocked).unwrap();
        std::fs::write(blocked.join("inside"), "x").unwrap();
        let error = write_atomically(&blocked, b"bytes").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("folder"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
