//! Files that appear whole or not at all, files for their owner alone, and reads of bounded size.
//!
//! Every file of this project that must survive a crash, or must not be seen half-written, is written
//! through this crate, so that there is one guarantee:
//!
//! 1. The content goes to a new file with a random name in the destination's folder. It is created
//!    exclusively, so no existing file or link is ever followed.
//! 2. The new file has the mode of its [`Access`] from its first byte on.
//! 3. The content is synchronised to the disk, the file is renamed over the destination, and the folder
//!    is synchronised.
//!
//! After a crash the destination has its old content or its new content. A file that was never committed
//! is removed when its handle is dropped.
//!
//! ```
//! use durable_file::{Access, FileSet, write};
//! use std::io::Write;
//!
//! let folder = tempfile::tempdir()?;
//! write(&folder.path().join("token"), Access::Owner, b"secret")?;
//!
//! // Several files that replace their predecessors together.
//! let mut files = FileSet::new(folder.path())?;
//! files.add("a.bin", Access::Everyone, |out| out.write_all(b"bits"))?;
//! files.add("a.json", Access::Everyone, |out| out.write_all(b"{}"))?;
//! files.commit()?;
//!
//! assert_eq!(durable_file::read_private(&folder.path().join("token"), 100)?, b"secret");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod read;
mod restrict;
mod write;

pub use read::{read, read_private};
pub use restrict::restrict;
pub use write::{FileSet, PendingFile, write};

use std::io;
use std::path::{Path, PathBuf};

/// Who may read a file that this crate writes. On systems other than Unix both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Everyone may read it (mode `0644`): output of builds, data sets.
    Everyone,
    /// Only its owner may read it (mode `0600`): keys, tokens, client state.
    Owner,
}

/// What was tried with a file that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Reading a file.
    Read,
    /// Creating or writing a file, or creating its folder.
    Write,
    /// Moving a complete file to its destination.
    Replace,
    /// Taking access away from other users than the owner.
    Restrict,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Replace => "replace",
            Self::Restrict => "restrict access to",
        })
    }
}

/// A file could not be read or written. The cause is in [`source`](std::error::Error::source), not in the
/// message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: Operation,
        /// The file, or the folder that could not be created.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is longer than its reader allows.
    #[error("{} is longer than the {max} bytes that are allowed", path.display())]
    TooLong {
        /// The file that was read.
        path: PathBuf,
        /// The largest length, in bytes.
        max: u64,
    },
    /// Other users than the owner have access to a private file.
    #[error("{} is open to other users than its owner; run `chmod 600` on it", path.display())]
    Exposed {
        /// The file that was read.
        path: PathBuf,
    },
}

impl FileError {
    fn io(operation: Operation, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }

    /// Whether the file does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The file that the error is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::TooLong { path, .. } | Self::Exposed { path } => path,
        }
    }
}
