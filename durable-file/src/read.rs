//! Reads whose size is bounded before anything is allocated for it.

use crate::{FileError, Operation};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a whole file of at most `max` bytes.
///
/// # Errors
/// [`FileError::Io`] if it cannot be read, [`FileError::TooLong`] if it has more than `max` bytes.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io(Operation::Read, path))?;
    read_open(file, path, max)
}

/// As [`read`], for a file that holds secrets: it is refused if other users have access to it.
/// The mode is taken from the open file, so it cannot change between the check and the read.
///
/// # Errors
/// As [`read`], and [`FileError::Exposed`].
pub fn read_private(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io(Operation::Read, path))?;
    #[cfg(unix)]
    {
        let about = file.metadata().map_err(FileError::io(Operation::Read, path))?;
        if std::os::unix::fs::MetadataExt::mode(&about) & 0o077 != 0 {
            return Err(FileError::Exposed { path: path.to_owned() });
        }
    }
    read_open(file, path, max)
}

fn read_open(file: File, path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let error = FileError::io(Operation::Read, path);
    // Allocated once where the length is known: secrets leave no copies in freed memory.
    let length = file.metadata().map_or(0, |about| about.len()).min(max);
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    let read = file.take(max.saturating_add(1)).read_to_end(&mut content).map_err(error)?;
    if read as u64 > max {
        return Err(FileError::TooLong { path: path.to_owned(), max });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, write};

    #[test]
    fn the_limit_counts_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, Access::Everyone, b"12345").unwrap();
        assert_eq!(read(&path, 6).unwrap(), b"12345");
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert!(matches!(error, FileError::TooLong { max: 4, .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(&folder.path().join("a"), 1).unwrap_err();
        assert!(error.is_not_found());
        let folder_as_file = read(folder.path(), 1).unwrap_err();
        assert!(!folder_as_file.is_not_found());
    }

    #[cfg(unix)]
    #[test]
    fn private_files_are_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, Access::Owner, b"1").unwrap();
        assert_eq!(read_private(&path, 1).unwrap(), b"1");
        for mode in [0o601, 0o610, 0o604, 0o640, 0o666] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = read_private(&path, 1).unwrap_err();
            assert!(matches!(error, FileError::Exposed { .. }), "{mode:o}: {error}");
        }
    }
}
