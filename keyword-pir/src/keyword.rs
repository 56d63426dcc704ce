//! Keyword hashes: the only thing that a table knows of a keyword.

use sha2::{Digest, Sha256};

/// Largest number of hash functions. The protocol has no limit; two are usual.
pub const MAX_HASH_FUNCTIONS: usize = 32;

/// Attempts to find a bucket that no earlier hash function chose.
const MAX_COUNTER: u8 = 10;

/// The first eight bytes of SHA-256 of a keyword, as a little-endian number.
///
/// Keywords of equal hash cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeywordHash(u64);

fn first_word(digest: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(word)
}

impl KeywordHash {
    /// Hashes a keyword.
    ///
    /// ```
    /// use keyword_pir::KeywordHash;
    /// assert_eq!(KeywordHash::of(&[0, 1, 2, 3]).candidates(8, 3), [7, 3, 0]);
    /// ```
    #[must_use]
    pub fn of(keyword: &[u8]) -> Self {
        Self(first_word(&Sha256::digest(keyword)))
    }

    /// A hash that was stored as a number.
    #[must_use]
    pub fn from_u64(hash: u64) -> Self {
        Self(hash)
    }

    /// The hash as a number.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0
    }

    fn index(self, counter: u8, buckets: u64) -> u64 {
        let mut input = [0; 9];
        input[..8].copy_from_slice(&self.0.to_be_bytes());
        input[8] = counter;
        first_word(&Sha256::digest(input)) % buckets
    }

    /// The buckets where the keyword may be: candidate j is a bucket of table j, each of which has
    /// `buckets` buckets. They differ from each other unless there are too few buckets.
    ///
    /// # Panics
    /// If `buckets` is zero.
    #[must_use]
    pub fn candidates(self, buckets: u64, functions: usize) -> Vec<u64> {
        let mut list = Vec::with_capacity(functions);
        for _ in 0..functions {
            let mut counter = 0;
            let mut index = self.index(counter, buckets);
            while counter < MAX_COUNTER && list.contains(&index) {
                counter += 1;
                index = self.index(counter, buckets);
            }
            list.push(index);
        }
        list
    }
}

/// How a keyword's shard is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "formats must give every function a number")]
pub enum ShardingFunction {
    /// The hash modulo the number of shards.
    #[default]
    Sha256,
    /// The hash modulo another number, then modulo the number of shards. Keywords that share a shard
    /// in a use case with that other number of shards share a shard here.
    DoubleMod {
        /// The other number, at least 1.
        other_shard_count: u32,
    },
}

impl ShardingFunction {
    /// The shard of a keyword, from 0 to `shards` - 1.
    ///
    /// # Panics
    /// If `shards` or the other shard count is zero.
    #[must_use]
    pub fn shard(self, hash: KeywordHash, shards: u32) -> u32 {
        let hash = match self {
            Self::Sha256 => hash.0,
            Self::DoubleMod { other_shard_count } => hash.0 % u64::from(other_shard_count),
        };
        (hash % u64::from(shards)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_candidates() {
        assert_eq!(KeywordHash::of(&[0, 1, 2, 3]).candidates(8, 3), [7, 3, 0]);
        let five = KeywordHash::of(&[3, 2, 1, 0]).candidates(2048, 5);
        assert_eq!(five, [1989, 1767, 1260, 242, 1122]);
        assert_eq!(KeywordHash::of(b"any").candidates(1, 3), [0, 0, 0]);
    }

    #[test]
    fn published_shards() {
        let hash = KeywordHash::of(&[0; 4]);
        assert_eq!(ShardingFunction::Sha256.shard(hash, 41), 2);
        let double = ShardingFunction::DoubleMod { other_shard_count: 2000 };
        assert_eq!(double.shard(hash, 41), 32);
    }
}
