//! Why layouts cannot be compared.

use super::MAX_SHARDS;
use crate::processing::ProcessError;

/// Layouts cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// The rows cannot be read, or cannot be stored.
    #[error(transparent)]
    Rows(#[from] ProcessError),
    /// There are no rows.
    #[error("there are no rows; a data set without rows needs no layout")]
    NoRows,
    /// More synthetic rows or longer values than a data set can have.
    #[error("at most 4294967296 rows, with values of at most 65535 bytes, are possible")]
    TooLarge,
    /// A number of shards that devices do not accept.
    #[error("{count} shards; a power of two from 1 to {MAX_SHARDS} is possible")]
    ShardCount {
        /// The number that was asked for.
        count: u32,
    },
    /// A shard's parameters are not valid.
    #[error("cannot choose the parameters")]
    Parameters(#[source] keyword_pir::ParameterError),
    /// The arithmetic refused a shard.
    #[error("cannot compute")]
    Arithmetic(#[from] keyword_pir::Error),
}
