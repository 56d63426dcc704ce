//! Why queries, replies, keys and databases are refused.

use crate::bucket::TruncatedBucket;
use crate::parameters::ParameterError;

/// A query, a reply, a key or a database was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Parameters are not valid.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// A ciphertext or key is not valid, or does not fit.
    #[error(transparent)]
    Scheme(#[from] bfv::Error),
    /// Two objects belong to different parameter sets.
    #[error("{0} belongs to other encryption parameters")]
    Mismatch(&'static str),
    /// A count is not what the parameters make it.
    #[error("{what}: expected {expected}, found {found}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// The number that fits.
        expected: usize,
        /// The number that was given.
        found: usize,
    },
    /// A keyword database was asked by number, or a database of numbered entries by keyword.
    #[error("a keyword database is asked by keyword, a database of numbered entries by number")]
    Kind,
    /// The database has no entry of that number.
    #[error("there is no entry {index}: entries are numbered from 0, and there are {entries}")]
    Index {
        /// The number that was asked for.
        index: u64,
        /// The number of entries.
        entries: u64,
    },
    /// A decrypted bucket cannot be read.
    #[error(transparent)]
    Bucket(#[from] TruncatedBucket),
    /// A decrypted entry says that it is longer than entries are.
    #[error("an entry of the reply is longer than its parameters allow")]
    EntryLength,
    /// The database cannot be read any more.
    #[error("the database cannot be read")]
    Database(#[from] DatabaseError),
    /// The flag of [`Execution::cancelled_by`](crate::Execution::cancelled_by) was set.
    #[error("cancelled")]
    Cancelled,
}

/// A processed database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file does not start like a database.
    #[error(
        "not a processed database: neither this project's format nor version 1 of the reference's"
    )]
    Magic,
    /// The format's version is unknown.
    #[error("format version {0} is not known; process the database again with this version")]
    Version(u32),
    /// The file ends early or late.
    #[error(
        "{what}: expected {expected} bytes, found {found}: the file is truncated or damaged, process it again"
    )]
    Length {
        /// The part of the file, for the message.
        what: &'static str,
        /// The bytes that it should have.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// A field of the header has no meaning.
    #[error("the header's {0} is not valid: the file is damaged, process it again")]
    Header(&'static str),
    /// The content does not match its digest.
    #[error("{0} does not match its digest: the file was altered, process it again")]
    Digest(&'static str),
    /// A tag of the reference's format is neither 0 nor 1.
    #[error("plaintext {plaintext} has tag {tag}; 0 and 1 are known")]
    Tag {
        /// The position of the plaintext, from 0.
        plaintext: usize,
        /// The tag that was found.
        tag: u8,
    },
    /// The file has another number of plaintexts than the parameters make.
    #[error(
        "the file has {found} plaintexts and its parameters make {expected}: they do not belong together"
    )]
    Plaintexts {
        /// The number that the parameters make.
        expected: u64,
        /// The number in the file.
        found: u64,
    },
    /// A database from which plaintexts are to be copied has other parameters.
    #[error("the earlier database has other parameters than the new one")]
    OtherParameters,
    /// The parameters are not valid.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// A plaintext is not valid.
    #[error(transparent)]
    Scheme(#[from] bfv::Error),
}
