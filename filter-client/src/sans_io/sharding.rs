//! What the index of a shard tells about a keyword, and how much of it a client accepts.
//!
//! The index is the hash of the keyword modulo the number of shards, and travels in the clear. For counts
//! that are powers of two it is the last bits of the hash: asking under a second such count tells nothing
//! that the larger of the two does not tell. Two counts without a common divisor tell their product.

use crate::state::PinnedSharding;
use keyword_pir::ShardingFunction;
use sha2::{Digest, Sha256};

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
    /// Largest number of shards, whatever the number of rows is said to be: the prefilter that tells it
    /// comes from the service's side, too. Default: 512, nine bits of a keyword's hash.
    pub max_count: u32,
    /// Largest number of bits that the indices of all keywords of one URL may tell together: the base-2 logarithm of the
    /// number of shards, rounded up, for each keyword. Keywords beyond that are not asked for. The prefilter that
    /// decides which keywords there are comes from the service's side, too. Default: 18, for two keywords at 512 shards.
    pub max_bits_per_url: u32,
}

impl Default for ShardingPolicy {
    fn default() -> Self {
        Self { fixed_count: None, min_rows_per_shard: 1_000, max_count: 512, max_bits_per_url: 18 }
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
    /// Earlier lookups of this pseudonym were made under another number, or with another key of the
    /// symmetric variant, by which keywords map to other shards.
    #[error(
        "{count} shards, and earlier lookups under this pseudonym had {} or another key: together they \
         would tell more about each lookup; start with a new state to accept the change",
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
    /// The number is larger than [`ShardingPolicy::max_count`].
    #[error(
        "{count} shards tell too much about each lookup; have the service use at most {max}, or set \
         `ShardingPolicy::max_count`"
    )]
    TooMany {
        /// The service's number of shards.
        count: u32,
        /// The largest number that is accepted.
        max: u32,
    },
    /// The indices of one URL's keywords would tell more together than [`ShardingPolicy::max_bits_per_url`]. The other
    /// keywords of the URL were asked for.
    #[error(
        "too many sub-URLs of one URL hit the prefilter: with {bits} bits for the shard of each, {max} are told for one \
         URL, and no more; have the service use fewer shards, or set `ShardingPolicy::max_bits_per_url`"
    )]
    TooManyBits {
        /// Bits that the index of one keyword tells.
        bits: u32,
        /// The largest number of bits for one URL.
        max: u32,
    },
    /// The number changed during a lookup, which ends there: the same keyword is not asked for under two
    /// numbers at once.
    #[error("the number of shards changed during the lookup, so that it was not continued")]
    Changed,
}

fn earlier(pinned: Option<u32>) -> String {
    pinned.map_or_else(|| "a power of two".to_owned(), |count| count.to_string())
}

/// Bits that an index among so many tells, rounded up.
pub(super) fn bits_of(count: u32) -> u32 {
    u32::BITS - count.saturating_sub(1).leading_zeros()
}

/// How keywords map to the indices of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sharding {
    function: ShardingFunction,
    count: u32,
    /// SHA-256 of the key that keywords are transformed with, in the symmetric variant.
    key_digest: Option<[u8; 32]>,
}

impl Sharding {
    pub(crate) fn new(function: ShardingFunction, count: u32, key: Option<&[u8]>) -> Self {
        let key_digest = key.map(|key| Sha256::digest(key).into());
        Self { function, count, key_digest }
    }

    /// Whether all keywords have the same index.
    fn tells_nothing(self) -> bool {
        let other = match self.function {
            ShardingFunction::DoubleMod { other_shard_count } => other_shard_count,
            _ => u32::MAX,
        };
        self.count == 1 || other == 1
    }

    /// Bits that an index tells, rounded up.
    pub(crate) fn bits(self) -> u32 {
        let count = match self.function {
            ShardingFunction::DoubleMod { other_shard_count } => other_shard_count.min(self.count),
            _ => self.count,
        };
        bits_of(count)
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

    /// What to pin for this sharding.
    fn pin(self) -> PinnedSharding {
        let Self { function, count, key_digest } = self;
        let (fixed_count, other_count) = match function {
            _ if self.is_nested() => (None, None),
            ShardingFunction::DoubleMod { other_shard_count } => {
                (Some(count), Some(other_shard_count))
            }
            _ => (Some(count), None),
        };
        PinnedSharding { fixed_count, other_count, key_digest }
    }

    /// What earlier lookups under this sharding have told, whatever the policy says now.
    pub(crate) fn told(self) -> Option<PinnedSharding> {
        (!self.tells_nothing()).then(|| self.pin())
    }

    /// What to pin when a keyword is asked for; `None` if nothing needs to be pinned.
    pub(super) fn check(
        self,
        policy: &ShardingPolicy,
        pinned: Option<PinnedSharding>,
        rows: Option<u64>,
    ) -> Result<Option<PinnedSharding>, ShardingError> {
        let count = self.count;
        if self.tells_nothing() {
            return Ok(None);
        }
        let (min, max) = (policy.min_rows_per_shard, policy.max_count);
        if count > max {
            return Err(ShardingError::TooMany { count, max });
        }
        if let Some(rows) = rows
            && rows / u64::from(count) < min
        {
            return Err(ShardingError::TooFewRows { count, rows, min });
        }
        if !self.is_nested() && policy.fixed_count != Some(count) {
            return Err(ShardingError::NotPowerOfTwo { count });
        }
        let wanted = self.pin();
        match pinned {
            Some(pinned) if pinned != wanted => {
                Err(ShardingError::Pinned { count, pinned: pinned.fixed_count })
            }
            _ => Ok(Some(wanted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(count: u32) -> Sharding {
        Sharding::new(ShardingFunction::Sha256, count, None)
    }

    fn double(other_shard_count: u32, count: u32) -> Sharding {
        Sharding::new(ShardingFunction::DoubleMod { other_shard_count }, count, None)
    }

    const POWERS: Option<PinnedSharding> =
        Some(PinnedSharding { fixed_count: None, other_count: None, key_digest: None });

    #[test]
    fn powers_of_two_are_accepted_and_do_not_mix_with_others() {
        let policy = ShardingPolicy { fixed_count: Some(6), ..ShardingPolicy::default() };
        for count in [2, 4, 512] {
            assert_eq!(plain(count).check(&policy, None, None), Ok(POWERS));
            assert_eq!(plain(count).check(&policy, POWERS, None), Ok(POWERS));
        }
        assert_eq!(double(8, 4).check(&policy, POWERS, None), Ok(POWERS));
        let six =
            Some(PinnedSharding { fixed_count: Some(6), other_count: None, key_digest: None });
        assert_eq!(plain(6).check(&policy, None, None), Ok(six));
        assert_eq!(plain(6).check(&policy, six, None), Ok(six));
        // The same number by another function tells something else.
        let other = double(9, 6).check(&policy, six, None);
        assert_eq!(other, Err(ShardingError::Pinned { count: 6, pinned: Some(6) }));
        for (sharding, pinned, error) in [
            (plain(6), POWERS, ShardingError::Pinned { count: 6, pinned: None }),
            (plain(4), six, ShardingError::Pinned { count: 4, pinned: Some(6) }),
            (plain(3), None, ShardingError::NotPowerOfTwo { count: 3 }),
            (plain(12), six, ShardingError::NotPowerOfTwo { count: 12 }),
            (double(3, 4), None, ShardingError::NotPowerOfTwo { count: 4 }),
        ] {
            assert_eq!(sharding.check(&policy, pinned, None), Err(error));
        }
        // One shard tells nothing, whatever was asked before.
        for pinned in [None, POWERS, six] {
            assert_eq!(plain(1).check(&policy, pinned, Some(1)), Ok(None));
            assert_eq!(double(1, 8).check(&policy, pinned, Some(1)), Ok(None));
        }
    }

    #[test]
    fn bits_of_an_index_are_rounded_up() {
        for (count, bits) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (512, 9), (u32::MAX >> 1, 31)]
        {
            assert_eq!(plain(count).bits(), bits, "{count}");
            assert_eq!(double(u32::MAX, count).bits(), bits, "{count}");
        }
        assert_eq!(double(2, 512).bits(), 1);
        assert_eq!((bits_of(0), bits_of(1 << 31), bits_of(u32::MAX)), (0, 31, 32));
    }

    /// Another key maps keywords to other shards, as another number does.
    #[test]
    fn the_key_of_the_symmetric_variant_is_pinned() {
        let policy = ShardingPolicy::default();
        let with = |key: &[u8]| Sharding::new(ShardingFunction::Sha256, 4, Some(key));
        let pinned = with(b"one").check(&policy, None, None).unwrap();
        assert_eq!(with(b"one").check(&policy, pinned, None), Ok(pinned));
        let changed = Err(ShardingError::Pinned { count: 4, pinned: None });
        assert_eq!(with(b"two").check(&policy, pinned, None), changed);
        assert_eq!(plain(4).check(&policy, pinned, None), changed);
        assert_ne!(with(b"one"), with(b"two"));
    }

    #[test]
    fn the_number_of_shards_is_limited() {
        let policy = ShardingPolicy { max_count: 8, ..ShardingPolicy::default() };
        assert!(plain(4).check(&policy, None, None).is_ok());
        assert!(plain(8).check(&policy, None, None).is_ok());
        let refused = plain(16).check(&policy, None, Some(u64::MAX));
        assert_eq!(refused, Err(ShardingError::TooMany { count: 16, max: 8 }));
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
