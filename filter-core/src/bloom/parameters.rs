//! Size and hashing of a filter.

use super::error::{BloomError, MAX_HASH_COUNT};
use crate::hash::KeyHash;

/// Size and hashing of a filter; valid by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    bit_count: u32,
    hash_count: u32,
    murmur_seed: u32,
}

impl Parameters {
    /// Checks `bit_count` in 1..=2^32-1 and `hash_count` in 1..=[`MAX_HASH_COUNT`].
    ///
    /// # Errors
    /// [`BloomError::NoBits`] or [`BloomError::HashCount`].
    pub fn new(bit_count: u32, hash_count: u32, murmur_seed: u32) -> Result<Self, BloomError> {
        if bit_count == 0 {
            return Err(BloomError::NoBits);
        }
        if !(1..=MAX_HASH_COUNT).contains(&hash_count) {
            return Err(BloomError::HashCount(hash_count));
        }
        Ok(Self { bit_count, hash_count, murmur_seed })
    }

    /// Number of bits, `bitCount`.
    #[must_use]
    pub const fn bit_count(self) -> u32 {
        self.bit_count
    }

    /// Number of probes per key, `hashCount`.
    #[must_use]
    pub const fn hash_count(self) -> u32 {
        self.hash_count
    }

    /// Seed of MurmurHash3, `murmurSeed`.
    #[must_use]
    pub const fn murmur_seed(self) -> u32 {
        self.murmur_seed
    }

    /// Number of bytes that hold the bits, `byteCount`.
    #[must_use]
    pub const fn byte_count(self) -> usize {
        self.bit_count.div_ceil(8) as usize
    }

    /// The bits that `key` sets and tests, in probe order.
    pub fn indices(self, key: &[u8]) -> impl Iterator<Item = u32> + use<> {
        let hash = KeyHash::new(key, self.murmur_seed);
        (0..self.hash_count).map(move |i| hash.position(i) % self.bit_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_hashes_is_1_to_1100() {
        for (hashes, accepted) in
            [(0, false), (1, true), (1_099, true), (1_100, true), (1_101, false)]
        {
            let parameters = Parameters::new(8, hashes, 0);
            assert_eq!(parameters.is_ok(), accepted, "{hashes}");
            let expected = Err(BloomError::HashCount(hashes));
            assert!(accepted || parameters == expected, "{hashes}");
        }
    }

    #[test]
    fn the_number_of_bits_is_1_to_the_largest_u32() {
        assert_eq!(Parameters::new(0, 1, 0), Err(BloomError::NoBits));
        for (bits, bytes) in [(1, 1), (8, 1), (9, 2), (u32::MAX - 1, 1 << 29), (u32::MAX, 1 << 29)]
        {
            assert_eq!(
                Parameters::new(bits, 1, 0).map(Parameters::byte_count),
                Ok(bytes),
                "{bits}"
            );
        }
    }
}
