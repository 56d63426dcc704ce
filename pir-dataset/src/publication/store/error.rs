//! Why a publication cannot be read or written.

use super::super::delta::DeltaError;
use super::super::release::FormatError;
use super::super::trust_error::TrustError;
use crate::Cause;
use durable_file::{FileError, Operation};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A publication cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseStoreError {
    /// The address names no store.
    #[error("{address}: neither a folder nor the address of an object store")]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// The address is that of an object store, and this program was built without them.
    #[error(
        "{address}: this program was built without object stores; build it with the feature `cloud`"
    )]
    CloudNotSupported {
        /// The address of an object store, as it was given.
        address: String,
    },
    /// Nothing is stored under a name.
    #[error("{name}: not found")]
    NotFound {
        /// Address and name.
        name: String,
        /// The answer of the store.
        source: Cause,
    },
    /// No credentials are configured, and the machine has none either.
    #[error(
        "{name}: no credentials: {variables} are not set, and the address at which machines of a cloud get theirs \
         (169.254.169.254) does not give any"
    )]
    #[non_exhaustive]
    Credentials {
        /// Address and name of what was read or written.
        name: String,
        /// The variables of the environment, or options, that hold credentials of such a store.
        variables: &'static str,
        /// Why the machine has none.
        source: Cause,
    },
    /// The store failed.
    #[error("{name}: the store failed")]
    Store {
        /// Address and name of what was read or written.
        name: String,
        /// The answer of the store.
        source: Cause,
    },
    /// The store does not answer, or stopped in the middle of a file.
    #[error("{name}: the store has not answered for {} s", silence.as_secs())]
    #[non_exhaustive]
    Silent {
        /// Address and name of what was read.
        name: String,
        /// For how long.
        silence: Duration,
    },
    /// The data set of a release is larger than this node takes.
    #[error("{name}: its data set has {bytes} bytes, and this node takes {max} at most")]
    #[non_exhaustive]
    TooLarge {
        /// Address and name of the release.
        name: String,
        /// The length of its data set.
        bytes: u64,
        /// The largest one.
        max: u64,
    },
    /// Content is not what was published.
    #[error("{name}: not what was published: {damage}; remove it, and publish again")]
    Damaged {
        /// Address and name.
        name: String,
        /// How that was seen.
        damage: Damage,
    },
    /// A text is not of its form.
    #[error("{name}: cannot be used")]
    Format {
        /// Address and name.
        name: String,
        /// What is wrong.
        source: FormatError,
    },
    /// It is not signed as it should be, or older than what was published before.
    #[error("{name}: not to be believed")]
    Trust {
        /// Address and name.
        name: String,
        /// What is wrong with its signature or its number.
        source: TrustError,
    },
    /// Another publisher changed `current.json` in the meantime.
    #[error("{name}: another publisher changed it in the meantime; look at it, and publish again")]
    Changed {
        /// Address and name.
        name: String,
    },
    /// A file on this machine cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A delta cannot be applied.
    #[error("{name}: cannot be used; the file that it makes is fetched as a whole")]
    Delta {
        /// Address and name.
        name: String,
        /// What is wrong with it.
        source: DeltaError,
    },
    /// A file changed while it was uploaded.
    #[error("{}: it was changed while it was published; publish again", path.display())]
    FileChanged {
        /// The file that was to be uploaded.
        path: PathBuf,
    },
}

/// How content differs from what was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// It has another length.
    Length,
    /// It is longer than [`MAX_TEXT`](super::super::MAX_TEXT) or [`MAX_CURRENT`](super::super::MAX_CURRENT), or than a prefilter
    /// that is given out may be.
    TooLong,
    /// It has another digest.
    Digest,
    /// It is a release of another use case.
    UseCase,
    /// Files that were fetched and verified are damaged on this machine.
    Unstable,
    /// A delta gives another file than the one that the release names.
    Delta,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Length => "its length differs",
            Self::TooLong => "it is too long",
            Self::Digest => "its digest differs",
            Self::UseCase => "it is a release of another use case",
            Self::Unstable => "files change after they were fetched",
            Self::Delta => "a delta gives another file",
        })
    }
}

impl ReleaseStoreError {
    /// Whether nothing is stored where something was looked for.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

pub(in super::super) fn file_error(
    operation: Operation,
    path: &Path,
) -> impl FnOnce(io::Error) -> ReleaseStoreError {
    let path = path.to_owned();
    move |source| FileError::Io { operation, path, source }.into()
}
