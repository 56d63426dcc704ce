//! Why a run fails.

use crate::Cause;
use crate::files::ParametersError;
use durable_file::FileError;
use keyword_pir::DatabaseError;
use keyword_pir::cuckoo::CuckooError;
use pir_api::convert::ConvertError;
use std::io;
use std::path::PathBuf;

/// A configuration cannot be processed. No file of the previous data set was changed, unless a file could
/// not be [renamed](ProcessError::File) at the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// A file or folder cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The input is a folder.
    #[error("inputDatabase: {} is a folder; the path of a file is expected", path.display())]
    InputIsFolder {
        /// The path of `inputDatabase`.
        path: PathBuf,
    },
    /// The input has a mistake, or cannot be read to its end.
    #[error("cannot read the rows of {}", path.display())]
    Rows {
        /// The path of the input.
        path: PathBuf,
        /// The mistake and its place.
        source: Cause,
    },
    /// The input has more rows than can be numbered.
    #[error("{}: more than {} rows", path.display(), u32::MAX)]
    TooManyRows {
        /// The path of the input.
        path: PathBuf,
    },
    /// Two rows cannot both be stored.
    #[error(transparent)]
    Conflict(#[from] RowConflict),
    /// The key of a symmetric database cannot be used.
    #[error("{}: not the key of a symmetric database", path.display())]
    DatabaseKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// A new key of a symmetric database cannot be written.
    #[error(
        "{}: cannot write the new key; to use an existing one, name it as databaseEncryptionKeyFilePath",
        path.display()
    )]
    NewDatabaseKey {
        /// Where it was to be written.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A selection of shards was to be made with a new key.
    #[error(
        "symmetricPirArguments: all runs of a divided data set need the same key; name it as \
         databaseEncryptionKeyFilePath"
    )]
    SharedDatabaseKey,
    /// A symmetric database was configured, and this program was built without them.
    #[error(
        "symmetricPirArguments: this program was built without symmetric databases; build it with the \
         feature `symmetric`"
    )]
    SymmetricNotSupported,
    /// The rows of a symmetric database cannot be encrypted.
    #[error("cannot encrypt the rows")]
    Encryption {
        /// What the arithmetic refused.
        source: Cause,
    },
    /// Two files of a run have one name.
    #[error(
        "{first} and {second} are both {}: nothing was written; give each file a name of its own",
        path.display()
    )]
    SameFile {
        /// The key of one, or what it is.
        first: &'static str,
        /// The key of the other, or what it is.
        second: &'static str,
        /// The path that both have.
        path: PathBuf,
    },
    /// Several shards would be written to one file.
    #[error(
        "outputDatabase: the path must contain SHARD_ID, because there are {shard_count} shards"
    )]
    ShardIdMissing {
        /// Number of shards.
        shard_count: u32,
    },
    /// A file is in the way that no run of this program has made.
    #[error(
        "{}: the file exists, and it is not one that {} has a record of: another tool may have made it, and a service may read it. \
         Choose other output names, or replace it with --force",
        path.display(),
        manifest.display()
    )]
    ForeignFile {
        /// The file that stands in the way.
        path: PathBuf,
        /// Where the manifest of the data set would be.
        manifest: PathBuf,
    },
    /// Shards were selected that do not exist.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Threads cannot be started.
    #[error("cannot start threads")]
    Threads {
        /// The system's error.
        source: Cause,
    },
    /// The encryption parameters cannot be used.
    #[error("rlweParameters: these encryption parameters cannot be used")]
    Scheme {
        /// What the arithmetic refused.
        source: keyword_pir::Error,
    },
    /// A shard cannot be made.
    #[error("cannot make shard {shard}")]
    Shard {
        /// The number of the shard, from 0.
        shard: u32,
        /// What is wrong with its rows or with the settings.
        source: ShardError,
    },
    /// The shards make no configuration for clients.
    #[error("the shards make no configuration for clients")]
    Configuration {
        /// What is missing.
        source: ConvertError,
    },
}

/// Two rows cannot both be stored. Rows are named by number and keyword.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowConflict {
    /// Two rows have the same keyword.
    #[error("{second}: the same keyword as {first}; remove one of them")]
    Duplicate {
        /// The first row.
        first: String,
        /// The second row.
        second: String,
    },
    /// Two keywords have the same 64-bit hash.
    #[error(
        "{first} and {second} have the same hash, so that only one could be found; remove one of them"
    )]
    Collision {
        /// The first row.
        first: String,
        /// The second row.
        second: String,
    },
}

/// A selection of shards does not fit their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// The selection goes beyond the last shard.
    #[error(
        "shards up to {end} (excluded) were selected; there are {shard_count} shards, numbered from 0"
    )]
    OutOfRange {
        /// End of the selection, excluded.
        end: u32,
        /// Number of shards.
        shard_count: u32,
    },
    /// One of more parts than shards was selected, and it has none.
    #[error("one of {parts} parts was selected; there are {shard_count} shards, fewer than parts")]
    Empty {
        /// Number of parts.
        parts: u32,
        /// Number of shards.
        shard_count: u32,
    },
}

/// A shard cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A value is longer than the format allows.
    #[error("{row}: a value of {length} bytes; the format has room for {max}")]
    ValueTooLong {
        /// The keyword of the row, as it is shown in messages.
        row: String,
        /// Length of its value, in bytes.
        length: usize,
        /// The largest length, in bytes.
        max: usize,
    },
    /// A value is longer than the configured buckets.
    #[error(
        "{row}: a value of {length} bytes needs a bucket of {needed} bytes, and \
         cuckooTableArguments.maxSerializedBucketSize is {limit}: raise it to at least {needed}, or \
         shorten the value"
    )]
    BucketTooSmall {
        /// The keyword of the row, as it is shown in messages.
        row: String,
        /// Length of its value, in bytes.
        length: usize,
        /// Bytes of a bucket with this value alone.
        needed: usize,
        /// The configured size, in bytes.
        limit: usize,
    },
    /// A fixed number of buckets is too small.
    #[error(
        "{row}: no room; {rows} rows do not fit {buckets} buckets: raise \
         cuckooTableArguments.bucketCount.fixedSize.bucketCount (these rows fit {enough}), or \
         sharding.shardCount"
    )]
    NoRoom {
        /// The row that found no place.
        row: String,
        /// Rows of the shard.
        rows: usize,
        /// The configured number of buckets.
        buckets: u64,
        /// A number of buckets that is enough.
        enough: u64,
    },
    /// The rows do not fit the previous layout.
    #[error(transparent)]
    LayoutFull(#[from] LayoutFull),
    /// The cuckoo tables cannot be made.
    #[error("cannot make the cuckoo tables")]
    Tables {
        /// What is wrong with the tables.
        source: CuckooError,
    },
    /// A shard of a database by number has no rows.
    #[error("a shard without rows; choose a smaller sharding.shardCount")]
    NoRows,
    /// The shard's parameters are not valid.
    #[error("cannot choose the parameters")]
    Parameters {
        /// The parameter that is not valid.
        source: keyword_pir::ParameterError,
    },
    /// The arithmetic refused the shard.
    #[error("cannot compute")]
    Arithmetic {
        /// What the arithmetic says.
        source: keyword_pir::Error,
    },
    /// The database file cannot be written or read.
    #[error("{}: cannot write or read the database", path.display())]
    Database {
        /// The file of the database.
        path: PathBuf,
        /// What the system says, or what is wrong with the file.
        source: DatabaseError,
    },
    /// The parameter file of an earlier run cannot be read.
    #[error(transparent)]
    EarlierParameters(#[from] ParametersError),
    /// A test query failed.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The rows of a shard do not fit the layout that it had, or are too few for it. The run gives every shard a
/// new layout instead of failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard}: {reason}")]
#[non_exhaustive]
pub struct LayoutFull {
    /// Number of the shard.
    pub shard: u32,
    /// Why the layout is not kept.
    pub reason: LayoutFullReason,
}

/// Why a layout is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutFullReason {
    /// There are more rows than fit.
    MoreRows,
    /// A value is longer than fits.
    LongerValue,
    /// A new layout would have less than half of the size.
    FewerRows,
    /// The rows give another layout.
    OtherLayout,
}

impl std::fmt::Display for LayoutFullReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MoreRows => "more rows than there is room for",
            Self::LongerValue => "a value that is longer than there is room for",
            Self::FewerRows => "far fewer rows than there is room for",
            Self::OtherLayout => "another layout",
        })
    }
}

/// A test query failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The reply has too little noise budget: some lookups would fail.
    #[error(
        "a test query left {budget:.1} bits of noise budget, and below {min} some lookups would fail: \
         take a set of rlweParameters with a smaller plaintext modulus or larger coefficient moduli, or \
         more shards"
    )]
    NoiseBudget {
        /// What was left, in bits.
        budget: f64,
        /// What must be left, in bits.
        min: f64,
    },
    /// The row that was asked for was not found.
    #[error("a test query did not find its row")]
    NotFound,
    /// Another value was found than the row has.
    #[error("a test query found another value than its row has")]
    OtherValue,
    /// The arithmetic failed.
    #[error("a test query failed")]
    Arithmetic(#[from] keyword_pir::Error),
}

impl ProcessError {
    /// The layout that is full, if that is why the run failed.
    pub(super) fn layout_full(&self) -> Option<LayoutFull> {
        match self {
            Self::Shard { source: ShardError::LayoutFull(full), .. } => Some(*full),
            _ => None,
        }
    }
}
