//! Why a filter file cannot be read or written.

use crate::bloom::BloomError;
use crate::parser_message::ParserMessage;
use std::io;
use std::path::{Path, PathBuf};

/// Why a filter file cannot be read. The cause, where there is one, is the error's
/// [source](std::error::Error::source) and not part of its message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file as it was named.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a filter in any format.
    #[error("{} is neither a property list nor the .json or .bin of a prefilter", .0.display())]
    UnknownFormat(PathBuf),
    /// The content is malformed or contradicts itself.
    #[error("{} is not a sound prefilter", path.display())]
    Content {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it.
        source: ContentError,
    },
    /// The file is a property list, and the crate was built without the feature `plist`.
    #[error("{} is a property list, and reading it needs the feature `plist` of filter-core", .0.display())]
    PlistFeatureMissing(PathBuf),
}

impl FileError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn content(path: &Path) -> impl FnOnce(ContentError) -> Self {
        move |source| Self::Content { path: path.to_owned(), source }
    }
}

/// What is wrong with the content of a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The sizes are impossible, or the bits contradict them.
    #[error(transparent)]
    Bloom(#[from] BloomError),
    /// Not the property list of a filter.
    #[error("not the property list of a prefilter: {0}")]
    Plist(ParserMessage),
    /// Not the metadata of a filter.
    #[error("not the metadata of a prefilter: {0}")]
    Json(ParserMessage),
    /// `byteCount` contradicts `bitCount`.
    #[error("byteCount is {stated}, but bitCount asks for {expected} bytes")]
    ByteCount {
        /// Bytes by the file's `byteCount`.
        stated: u64,
        /// Bytes that `bitCount` bits take.
        expected: usize,
    },
    /// The bits are not the ones that the metadata describes.
    #[error("the tag does not match the bits: the file is damaged, or belongs to another build")]
    Tag,
    /// The false-positive tolerance is not strictly between 0 and 1.
    #[error("falsePositiveTolerance must lie strictly between 0 and 1")]
    Tolerance,
    /// The file is larger than that of any filter.
    #[error("the file has more than {max} bytes, which is more than any prefilter needs")]
    TooLarge {
        /// The largest file that is read, in bytes.
        max: u64,
    },
}

/// Why a filter cannot be written as a property list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Readers of the property list need a field that the filter's description does not have.
    #[error("a property list needs {0}, which this prefilter does not state")]
    Absent(RequiredField),
    /// The writer failed.
    #[error("cannot write the property list")]
    Io(#[source] io::Error),
}

/// A field of [`Description`](super::Description) that every property list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequiredField {
    /// `itemCount`.
    ItemCount,
    /// `falsePositiveTolerance`.
    FalsePositiveTolerance,
}

impl std::fmt::Display for RequiredField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ItemCount => "itemCount",
            Self::FalsePositiveTolerance => "falsePositiveTolerance",
        })
    }
}

/// For closures that write a file: an absent field is [`io::ErrorKind::InvalidInput`].
impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => error,
            WriteError::Absent(_) => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}
