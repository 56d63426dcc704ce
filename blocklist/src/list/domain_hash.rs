//! Domains that are remembered by a hash, because lists have millions of them.

use std::hash::{BuildHasher, RandomState};

/// Two hashes of a domain, with keys that nobody can know: 128 bits together, so that two domains of a list never have the same.
pub(super) type DomainHash = [u64; 2];

/// Hashes domains, in any case.
pub(super) struct DomainHasher([RandomState; 2]);

impl DomainHasher {
    /// A hasher with keys of its own.
    pub(super) fn new() -> Self {
        Self([RandomState::new(), RandomState::new()])
    }

    pub(super) fn hash(&self, domain: &str) -> DomainHash {
        let domain = domain.to_ascii_lowercase();
        self.0.each_ref().map(|state| state.hash_one(&domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_hash_in_any_case_and_two_that_differ() {
        let hasher = DomainHasher::new();
        let hash = hasher.hash("a.example");
        assert_eq!(hash, hasher.hash("A.Example"));
        assert_ne!(hash, hasher.hash("b.example"));
        assert_ne!(hash[0], hash[1]);
        assert_ne!(hash, DomainHasher::new().hash("a.example"));
    }
}
