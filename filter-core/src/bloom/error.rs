//! What can be wrong with sizes and bits.

/// The largest number of probes a filter may ask for.
///
/// A decision of this project: no tolerance that a double can express needs more (the smallest, 4.9e-324, gives
/// 1,074), and the bound keeps a hostile file from making each query arbitrarily slow.
pub const MAX_HASH_COUNT: u32 = 1_100;

/// Why a filter cannot be sized, built, opened or merged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BloomError {
    /// A filter for no keys is asked for.
    #[error("a filter needs at least one key")]
    NoKeys,
    /// The false-positive tolerance is not strictly between 0 and 1.
    #[error("the false-positive tolerance must lie strictly between 0 and 1, not {0}")]
    Tolerance(f64),
    /// The bit count would not fit in 32 bits.
    #[error(
        "{keys} keys at tolerance {tolerance} need about {bits:.3e} bits, more than the format's limit of 4294967295; \
         raise the tolerance or split the list"
    )]
    TooLarge {
        /// Number of keys asked for.
        keys: u64,
        /// False-positive tolerance asked for.
        tolerance: f64,
        /// Bits that would be needed.
        bits: f64,
    },
    /// The bit count is zero.
    #[error("bitCount must be at least 1")]
    NoBits,
    /// The number of hashes is zero or beyond [`MAX_HASH_COUNT`].
    #[error("hashCount must be between 1 and {MAX_HASH_COUNT}, not {0}")]
    HashCount(u32),
    /// The data has another length than `bitCount` asks for.
    #[error("{bit_count} bits take {expected} bytes, but there are {actual}")]
    DataLength {
        /// Bits of the filter.
        bit_count: u32,
        /// Bytes that these bits take.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A bit of the last byte beyond `bitCount` is set.
    #[error("the unused bits of the last byte must be zero, but it is {0:#04x}")]
    SpareBits(u8),
    /// The filters to merge differ in size, hashes or seed.
    #[error("only filters with equal bitCount, hashCount and murmurSeed can be merged")]
    Mismatch,
}
