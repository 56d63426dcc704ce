//! Why a store fails.

use super::StateFile;
use crate::blocking::TaskFailed;
use durable_file::FileError;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// A cause as its library reports it. Shared: one failed commit is reported to every request in it.
type Cause = Arc<dyn Error + Send + Sync>;

/// A store cannot do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The engine cannot be reached, or cannot read or write at the moment. Nothing was accepted; a later
    /// attempt may succeed.
    #[error("the store is not available")]
    Unavailable(#[source] Cause),
    /// A file of the state folder cannot be read or written.
    #[error(transparent)]
    File(Arc<FileError>),
    /// Another process uses the state folder.
    #[error("{} is in use by another process; is the service running already?", path.display())]
    InUse {
        /// The file that is locked.
        path: PathBuf,
    },
    /// A file of the state folder is damaged.
    #[error(
        "{} is damaged ({damage}). {} `--discard {}`: {}",
        path.display(),
        .file.repair(),
        .file.name(),
        .file.consequence()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
        /// Which part of the state it holds.
        file: StateFile,
        /// What its reader reported.
        source: Option<Cause>,
    },
    /// A value in the shared store is damaged.
    #[error(
        "{key} in redis is damaged ({damage}). Restore it, or delete all of {all}, which makes all tokens invalid"
    )]
    DamagedShared {
        /// The key in Redis that holds it.
        key: String,
        /// What is wrong with it.
        damage: Damage,
        /// Pattern of the keys to delete.
        all: String,
        /// What its reader reported.
        source: Option<Cause>,
    },
    /// Issuer keys cannot be serialized.
    #[error("issuer keys cannot be written")]
    IssuerKeys(#[from] privacy_pass::Error),
    /// A setting under `store.redis` cannot be used.
    #[cfg(feature = "redis")]
    #[error("store.redis.{key} cannot be used")]
    Setting {
        /// Name of the setting under `store.redis`.
        key: &'static str,
        /// What is wrong with it.
        source: SettingError,
    },
}

impl StoreError {
    /// An engine that cannot be reached or cannot read or write, for this reason.
    #[must_use]
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(cause.into()))
    }
}

impl From<TaskFailed> for StoreError {
    fn from(error: TaskFailed) -> Self {
        Self::unavailable(error)
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::File(Arc::new(error))
    }
}

/// What is wrong with stored state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It is absent although issuer keys are present: without it, every spent token would be accepted again.
    #[error("it does not exist, but issuer keys do")]
    Missing,
    /// It has no content although issuer keys are present: without it, every spent token would be accepted
    /// again.
    #[error("it is empty, but issuer keys exist")]
    Empty,
    /// It is not the file that this folder had last: tokens that were spent since could be spent again.
    #[error(
        "it is not the file that this folder had last, but an older one or another folder's: its generation \
         differs from that in generation.json"
    )]
    Generation,
    /// Its content is not what the service wrote.
    #[error("its content is not what the service wrote")]
    Content,
    /// Its content does not have the checksum in its last line.
    #[error("its checksum differs: it was changed after the service wrote it")]
    Checksum,
    /// Its format is one that this version cannot read.
    #[error("it has format {0}, which this version cannot read")]
    Format(u8),
    /// It is longer than the service writes it.
    #[error("it is too long")]
    TooLong,
}

/// What is wrong with a setting of the shared store.
#[cfg(feature = "redis")]
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The file that it names cannot be read.
    #[error(transparent)]
    File(Arc<FileError>),
    /// The file that it names is not UTF-8.
    #[error("expected a text file in UTF-8")]
    NotText,
    /// The file that it names has no certificate.
    #[error("expected a PEM file with at least one certificate, found no certificate")]
    NoCertificate,
    /// It is not an address.
    #[error("expected an address such as redis://host:6379/0")]
    NotAnAddress,
    /// `rediss://` was asked for in a process without a TLS provider.
    #[error(
        "rediss:// needs the TLS provider of the process; call \
         `rustls::crypto::CryptoProvider::install_default` before the store is opened"
    )]
    NoTlsProvider,
}

#[cfg(feature = "redis")]
impl From<FileError> for SettingError {
    fn from(error: FileError) -> Self {
        Self::File(Arc::new(error))
    }
}
