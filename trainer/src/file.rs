//! Files: read with an error that names them, written whole or not at all.

use std::{io::Write, path::Path};

use crate::error::{Error, Result};

/// The bytes of a file.
///
/// # Errors
/// [`Error::Io`] naming `path`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { path: path.into(), action: "read", source })
}

/// Makes a folder and those above it, where they are not there yet.
///
/// # Errors
/// [`Error::Io`] naming `path`.
pub fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::Io { path: path.into(), action: "make folder", source })
}

/// Writes `bytes` to a file beside `path` and renames it into place; a file of before stays intact until then.
///
/// # Errors
/// [`Error::Io`] naming `path`; nothing is left behind.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Io { path: path.into(), action: "write", source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new();
    beside.prefix(".rwf-").suffix(".tmp");
    // A temporary file is private by default; what people asked for should be as readable as any file of theirs.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = beside.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
