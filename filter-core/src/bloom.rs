//! The Bloom filter of `NEURLFilterPrefilter`.
//!
//! Bit `b` is in byte `b / 8` at position `b % 8`, counted from the least significant bit. Probe `i` of a key tests
//! bit `(fnv1a + i * murmur3 mod 2^32) mod bitCount`: product and sum wrap at 32 bits before the remainder. Probe 0
//! needs only the FNV hash.
//!
//! ```
//! use filter_core::bloom::{BloomFilter, Parameters, Sizing};
//!
//! let parameters = Sizing::Round.parameters(2, 0.001, 7)?;
//! let mut filter = BloomFilter::empty(parameters);
//! filter.insert_all(["example.com", "example.org/a"].map(str::as_bytes));
//! assert!(filter.contains(b"example.org/a"));
//! # Ok::<(), filter_core::bloom::BloomError>(())
//! ```

mod error;
mod filter;
mod parameters;
mod regions;
mod remainder;
mod sizing;

pub use error::{BloomError, MAX_HASH_COUNT};
pub(crate) use filter::Bits;
pub use filter::{BloomFilter, Statistics};
pub use parameters::Parameters;
pub use sizing::Sizing;
