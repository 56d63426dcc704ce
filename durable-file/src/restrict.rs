//! Access to files that exist already.

use crate::{FileError, Operation};
use std::path::Path;

/// Takes access to a file away from all users but its owner, and returns whether others had any. On systems
/// other than Unix it does nothing.
///
/// # Errors
/// [`FileError::Io`] if the file does not exist, or belongs to another user.
pub fn restrict(path: &Path) -> Result<bool, FileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let failed = || FileError::io(Operation::Restrict, path);
        let mode = std::fs::metadata(path).map_err(failed())?.mode();
        if mode & 0o077 == 0 {
            return Ok(false);
        }
        let restricted = std::fs::Permissions::from_mode(mode & 0o700);
        std::fs::set_permissions(path, restricted).map_err(failed())?;
        Ok(true)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(false)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn only_the_owner_keeps_access() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"1").unwrap();
        for (before, after) in [(0o644, 0o600), (0o777, 0o700), (0o600, 0o600), (0o601, 0o600)] {
            fs::set_permissions(&path, PermissionsExt::from_mode(before)).unwrap();
            assert_eq!(restrict(&path).unwrap(), before != after, "{before:o}");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, after, "{before:o}");
        }
        assert!(restrict(&folder.path().join("b")).unwrap_err().is_not_found());
    }
}
