//! Queries as they travel.

use bfv::serialize::SerializedCiphertext;

/// A query for one keyword, or for a few entries by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerializedQuery {
    /// As many as the values need, N values each.
    pub ciphertexts: Vec<SerializedCiphertext>,
    /// Lookups that it makes.
    pub calls: u64,
}
