//! How a change of a file is noticed.

use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

/// Modification time, length and inode of a file. A file that is replaced or written gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileMark {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&about);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self { modified: about.modified().ok(), length: about.len(), inode })
    }
}
