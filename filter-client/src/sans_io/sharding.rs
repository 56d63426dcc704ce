//! What the index of a shard tells about a keyword, and how much of it a client accepts.
//!
//! The index is the hash of the keyword modulo the number of shards, and travels in the clear. For counts
//! that are powers of two it is the last bits of the hash: asking under a second such count tells nothing
//! that the larger of the two does not tell. Two counts without a common divisor tell their product.

use super::Inner;
use super::session::Session;
use crate::error::Error;
use crate::state::PinnedSharding;
use keyword_pir::ShardingFunction;

/// How many shards a client accepts. A URL filter learns the number of rows from its prefilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardingPolicy {
    /// A number of shards that is accepted although it is no power of two, as services before iOS 27.3
    /// may have. The first query pins it: the client then asks under no other count, and a client that
    /// has asked under powers of two does not ask under this one. Default: none.
    pub fixed_count: Option<u32>,
    /// Smallest number of rows that a shard may have on average, if the number of rows is known: the index
    /// of a shard narrows a keyword down to so many rows. One shard is always accepted. Default: 1,000.
    pub min_rows_per_shard: u64,
}

impl Default for ShardingPolicy {
    fn default() -> Self {
        Self { fixed_count: None, min_rows_per_shard: 1_000 }
    }
}

/// Why the shards of a service are not accepted. Nothing was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardingError {
    /// The number is no power of two, and not the fixed count that the caller allows.
    #[error(
        "{count} shards are no power of two, so that a later change of the number would tell more \
         about each lookup; allow this number with `ShardingPolicy::fixed_count`, or have the service \
         use a power of two"
    )]
    NotPowerOfTwo {
        /// The service's number of shards.
        count: u32,
    },
    /// Earlier lookups of this pseudonym were made under another number.
    #[error(
        "{count} shards, and earlier lookups under this pseudonym had {}: together they would tell \
         more about each lookup; start with a new state to accept the change",
        earlier(*.pinned)
    )]
    Pinned {
        /// The service's number of shards.
        count: u32,
        /// The fixed count of earlier lookups; `None` if it was a power of two.
        pinned: Option<u32>,
    },
    /// The shards have too few rows to hide a keyword among.
    #[error(
        "{count} shards for {rows} rows: fewer than {min} rows a shard tell too much about each \
         lookup; have the service use fewer shards, or set `ShardingPolicy::min_rows_per_shard`"
    )]
    TooFewRows {
        /// The service's number of shards.
        count: u32,
        /// The number of rows.
        rows: u64,
        /// The smallest number of rows a shard that is accepted.
        min: u64,
    },
    /// The number changed during a lookup, which ends there: the same keyword is not asked for under two
    /// numbers at once.
    #[error("the number of shards changed during the lookup, so that it was not continued")]
    Changed,
}

fn earlier(pinned: Option<u32>) -> String {
    pinned.map_or_else(|| "a power of two".to_owned(), |count| count.to_string())
}

/// How keywords map to the indices of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sharding {
    function: ShardingFunction,
    count: u32,
}

impl Sharding {
    pub(crate) fn new(function: ShardingFunction, count: u32) -> Self {
        Self { function, count }
    }

    /// Whether all keywords have the same index.
    fn tells_nothing(self) -> bool {
        let other = match self.function {
            ShardingFunction::DoubleMod { other_shard_count } => other_shard_count,
            _ => u32::MAX,
        };
        self.count == 1 || other == 1
    }

    /// Whether an index is the last bits of a keyword's hash.
    fn is_nested(self) -> bool {
        let is_nested = match self.function {
            ShardingFunction::DoubleMod { other_shard_count } => {
                other_shard_count.is_power_of_two()
            }
            _ => true,
        };
        is_nested && self.count.is_power_of_two()
    }

    fn fixed(self) -> PinnedSharding {
        let other_count = match self.function {
            ShardingFunction::DoubleMod { other_shard_count } => Some(other_shard_count),
            _ => None,
        };
        PinnedSharding::Fixed { count: self.count, other_count }
    }

    /// What to pin when a keyword is asked for; `None` if nothing needs to be pinned.
    fn check(
        self,
        policy: &ShardingPolicy,
        pinned: Option<PinnedSharding>,
        rows: Option<u64>,
    ) -> Result<Option<PinnedSharding>, ShardingError> {
        let count = self.count;
        if self.tells_nothing() {
            return Ok(None);
        }
        let min = policy.min_rows_per_shard;
        if let Some(rows) = rows
            && rows / u64::from(count) < min
        {
            return Err(ShardingError::TooFewRows { count, rows, min });
        }
        let wanted = match self.is_nested() {
            true => PinnedSharding::PowersOfTwo,
            false if policy.fixed_count == Some(count) => self.fixed(),
            false => return Err(ShardingError::NotPowerOfTwo { count }),
        };
        match pinned {
            Some(pinned) if pinned != wanted => {
                let pinned = match pinned {
                    PinnedSharding::Fixed { count, .. } => Some(count),
                    PinnedSharding::PowersOfTwo => None,
                };
                Err(ShardingError::Pinned { count, pinned })
            }
            _ => Ok(Some(wanted)),
        }
    }
}

impl Inner {
    /// # Errors
    /// [`Error::Sharding`] if nothing may be asked under this sharding.
    pub(super) fn check_sharding(&self, sharding: Sharding) -> Result<(), Error> {
        let state = self.lock();
        sharding.check(&self.options.sharding, state.sharding, state.rows)?;
        Ok(())
    }

    /// Notes the sharding of a session as the one that this pseudonym asks under.
    ///
    /// # Errors
    /// As [`Inner::check_sharding`].
    pub(super) fn pin_sharding(&self, session: &Session) -> Result<(), Error> {
        let mut state = self.lock();
        let checked =
            session.sharding().check(&self.options.sharding, state.sharding, state.rows)?;
        if checked.is_some() && checked != state.sharding {
            state.sharding = checked;
            drop(state);
            self.note_change();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(count: u32) -> Sharding {
        Sharding::new(ShardingFunction::Sha256, count)
    }

    fn double(other_shard_count: u32, count: u32) -> Sharding {
        Sharding::new(ShardingFunction::DoubleMod { other_shard_count }, count)
    }

    #[test]
    fn powers_of_two_are_accepted_and_do_not_mix_with_others() {
        let policy = ShardingPolicy { fixed_count: Some(6), ..ShardingPolicy::default() };
        let powers = Some(PinnedSharding::PowersOfTwo);
        for count in [2, 4, 65_536] {
            assert_eq!(plain(count).check(&policy, None, None), Ok(powers));
            assert_eq!(plain(count).check(&policy, powers, None), Ok(powers));
        }
        assert_eq!(double(8, 4).check(&policy, powers, None), Ok(powers));
        let six = Some(PinnedSharding::Fixed { count: 6, other_count: None });
        assert_eq!(plain(6).check(&policy, None, None), Ok(six));
        assert_eq!(plain(6).check(&policy, six, None), Ok(six));
        // The same number by another function tells something else.
        let other = double(9, 6).check(&policy, six, None);
        assert_eq!(other, Err(ShardingError::Pinned { count: 6, pinned: Some(6) }));
        for (sharding, pinned, error) in [
            (plain(6), powers, ShardingError::Pinned { count: 6, pinned: None }),
            (plain(4), six, ShardingError::Pinned { count: 4, pinned: Some(6) }),
            (plain(3), None, ShardingError::NotPowerOfTwo { count: 3 }),
            (plain(12), six, ShardingError::NotPowerOfTwo { count: 12 }),
            (double(3, 4), None, ShardingError::NotPowerOfTwo { count: 4 }),
        ] {
            assert_eq!(sharding.check(&policy, pinned, None), Err(error));
        }
        // One shard tells nothing, whatever was asked before.
        for pinned in [None, powers, six] {
            assert_eq!(plain(1).check(&policy, pinned, Some(1)), Ok(None));
            assert_eq!(double(1, 8).check(&policy, pinned, Some(1)), Ok(None));
        }
    }

    #[test]
    fn shards_must_have_enough_rows() {
        let policy = ShardingPolicy::default();
        for (rows, is_accepted) in [(3_999, false), (4_000, true), (4_001, true)] {
            let checked = plain(4).check(&policy, None, Some(rows));
            assert_eq!(checked.is_ok(), is_accepted, "{rows}");
            let expected = ShardingError::TooFewRows { count: 4, rows, min: 1_000 };
            assert!(is_accepted || checked == Err(expected));
        }
    }
}
