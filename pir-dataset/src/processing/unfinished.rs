//! Files of a run that is not finished: `<destination>.unfinished`.
//!
//! Their names are fixed so that the next run finds them. No link is followed on the way: a file is removed
//! and created exclusively, and only regular files are reused.

use crate::digest::{BUFFER, Digesting};
use crate::files::with_suffix;
use durable_file::{FileError, Operation};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where a file is before it is renamed to its destination.
pub(super) fn unfinished(destination: &Path) -> PathBuf {
    with_suffix(destination, ".unfinished")
}

pub(super) fn io_error(operation: Operation, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { operation, path: path.to_owned(), source }
}

/// Creates the folder of a file, with its parents.
pub(super) fn create_folder_of(path: &Path) -> Result<(), FileError> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).map_err(io_error(Operation::Write, folder)),
        None => Ok(()),
    }
}

/// Removes a file or link; it is no error if there is none.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(Operation::Write, path)(error))
        }
        _ => Ok(()),
    }
}

/// Whether a path is that of a regular file, and of no link to one.
pub(super) fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file())
}

/// Writes a file under its unfinished name and synchronises it; returns the SHA-256 and the length of its
/// content. What was there is replaced.
pub(super) fn write<E: From<FileError>>(
    destination: &Path,
    content: impl FnOnce(&Path, &mut dyn Write) -> Result<(), E>,
) -> Result<(String, u64), E> {
    let path = unfinished(destination);
    let failed = |error| io_error(Operation::Write, &path)(error);
    create_folder_of(&path)?;
    remove(&path)?;
    let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    let mut out = Digesting::new(BufWriter::with_capacity(BUFFER, file));
    content(&path, &mut out)?;
    let (buffer, digest, length) = out.finish();
    let file: File = buffer.into_inner().map_err(|error| error.into_error()).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    Ok((digest, length))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("a"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, b"kept").unwrap();
        symlink(&elsewhere, unfinished(&path)).unwrap();
        assert!(!is_regular(&unfinished(&path)));
        let written = write::<FileError>(&path, |path, out| {
            out.write_all(b"new").map_err(io_error(Operation::Write, path))
        });
        assert_eq!(written.unwrap().1, 3);
        assert!(is_regular(&unfinished(&path)));
        assert_eq!(fs::read(unfinished(&path)).unwrap(), b"new");
        assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
    }
}
