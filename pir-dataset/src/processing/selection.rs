//! Which shards a run makes.

use super::error::SelectionError;
use std::ops::Range;

/// Some of the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardSelection {
    /// Shards by their numbers, counted from 0; the end is excluded.
    Range(Range<u32>),
    /// One of several parts of nearly equal size.
    Part {
        /// Number of the part, counted from 0.
        index: u32,
        /// Number of parts, at least 1.
        of: u32,
    },
}

impl ShardSelection {
    pub(super) fn range(&self, shard_count: u32) -> Result<Range<u32>, SelectionError> {
        let (range, parts) = match self {
            Self::Range(range) => (range.clone(), 1),
            Self::Part { index, of } => {
                let of = (*of).max(1);
                let start = |index: u32| {
                    let start = u64::from(shard_count) * u64::from(index) / u64::from(of);
                    u32::try_from(start).unwrap_or(u32::MAX)
                };
                (start(*index)..start(index.saturating_add(1)), of)
            }
        };
        if range.end > shard_count {
            return Err(SelectionError::OutOfRange { end: range.end, shard_count });
        }
        if range.is_empty() {
            return Err(SelectionError::Empty { parts, shard_count });
        }
        Ok(range)
    }
}
