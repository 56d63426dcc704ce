//! Queries and replies as they travel.

use bfv::serialize::SerializedCiphertext;

/// A query for one keyword, or for a few entries by number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a message of the protocol, whose fields are fixed")]
pub struct SerializedQuery {
    /// One ciphertext for each N values that the query expands to.
    pub ciphertexts: Vec<SerializedCiphertext>,
    /// The number of lookups: for a keyword, the number of hash functions.
    pub calls: u64,
}

/// A reply: for each lookup, one ciphertext for each chunk of an entry.
pub type Reply = Vec<Vec<SerializedCiphertext>>;
