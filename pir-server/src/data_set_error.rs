//! Why a data set cannot be served.

use durable_file::FileError;
use keyword_pir::DatabaseError;
use pir_api::convert::{ConvertError, MAX_SHARDS};
use pir_dataset::files::ParametersError;
use pir_dataset::manifest::ManifestError;
use std::path::{Path, PathBuf};

/// A data set cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// A file cannot be read, or is too long.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The data set and the configuration of its use case do not match.
    #[error("{}: {mismatch}", path.display())]
    Mismatch {
        /// The key file, or the stem of the data set's files.
        path: PathBuf,
        /// What does not match.
        mismatch: Mismatch,
    },
    /// The file with the key of a symmetric data set has no such key.
    #[cfg(feature = "symmetric")]
    #[error("{}: the key cannot be used", path.display())]
    DatabaseKey {
        /// The file with the key.
        path: PathBuf,
        /// What is wrong with the key.
        source: keyword_pir::symmetric::SymmetricError,
    },
    /// A parameter file cannot be used.
    #[error(transparent)]
    ParameterFile(#[from] ParametersError),
    /// The manifest cannot be used, or describes other files.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The parameters of the shards cannot be expressed as one configuration for clients.
    #[error("{}: the parameters make no configuration for clients", path.display())]
    Parameters {
        /// The parameter file of the first shard.
        path: PathBuf,
        /// The parameter that a configuration cannot express.
        source: ConvertError,
    },
    /// A database cannot be read, is damaged, or belongs to other parameters.
    #[error("{}: the database is damaged, or belongs to other parameters", path.display())]
    Database {
        /// The file of the database.
        path: PathBuf,
        /// What is wrong with the database.
        source: DatabaseError,
    },
    /// The files come from different processing runs.
    #[error("{path}: not of the same run as {other}: {difference}; copy all files of one run")]
    Mixed {
        /// The file that was read later.
        path: PathBuf,
        /// The file that it does not match.
        other: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// The encryption parameters, or a database with them, cannot be used.
    #[error("use case {use_case}: its encryption parameters cannot be used")]
    Scheme {
        /// Name of the use case.
        use_case: String,
        /// What is wrong with the parameters.
        source: keyword_pir::Error,
    },
}

/// What shards of one data set do not have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// A database was processed with other parameters than its parameter file has.
    #[error("the parameters")]
    Parameters,
    /// The encryption parameters.
    #[error("the encryption parameters")]
    Encryption,
    /// The kind of the database, with how keywords become buckets and shards.
    #[error("the keyword parameters")]
    Kind,
    /// The number of lookups in one query.
    #[error("the batch size")]
    BatchSize,
}

/// In what a data set and the configuration of its use case do not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The number of shards is 0.
    #[error("at least one shard is expected")]
    NoShards,
    /// The manifest has more shards than a data set can have.
    #[error("more than {MAX_SHARDS} shards")]
    TooManyShards,
    /// There is no manifest, and the configuration does not say how many shards there are.
    #[error(
        "there is no manifest beside the shards, so shardCount must say how many there are; if `urlfilter process` wrote \
         them, fileStem is wrong"
    )]
    UnknownShardCount,
    /// There are files of more shards than the configuration names.
    #[error(
        "the file of a further shard, and the configuration says that there are {shards} shards; serve all of them, or \
         remove the file"
    )]
    FurtherShard {
        /// The number of shards in the configuration.
        shards: u32,
    },
    /// The data set is symmetric, and the configuration names no key.
    #[error(
        "processed for the symmetric variant, and the configuration has no symmetricPirArguments"
    )]
    NoKey,
    /// The configuration names a key, and the data set is not symmetric.
    #[error(
        "not processed for the symmetric variant, and the configuration has symmetricPirArguments"
    )]
    NotSymmetric,
    /// The data set is symmetric, and the program was built without that variant.
    #[error(
        "processed for the symmetric variant, which needs the feature `symmetric`; this program was built \
         without it"
    )]
    Feature,
    /// The configuration names another key than the data set was processed with.
    #[error("not the key with which the database was processed")]
    OtherKey,
}

pub(crate) fn mismatch(path: &Path, mismatch: Mismatch) -> DataSetError {
    DataSetError::Mismatch { path: path.to_owned(), mismatch }
}
