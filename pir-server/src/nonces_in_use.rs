//! Tokens of the requests that are in progress on this node: one request for each.
//!
//! A token is spent when the body of its request has arrived. Without this, one token could be shown for any number of
//! bodies at once, of which all but one are refused only at their end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The nonces of tokens that requests in progress have shown.
#[derive(Clone, Default)]
pub(crate) struct NoncesInUse(Arc<Mutex<HashSet<[u8; 32]>>>);

impl NoncesInUse {
    /// Notes that a request with this nonce begins. `None` if another one has not ended.
    #[must_use]
    pub(crate) fn begin(&self, nonce: [u8; 32]) -> Option<NonceInUse> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce);
        is_new.then(|| NonceInUse { all: self.clone(), nonce })
    }
}

/// The nonce of a request in progress, until it is dropped.
#[must_use]
pub(crate) struct NonceInUse {
    all: NoncesInUse,
    nonce: [u8; 32],
}

impl NonceInUse {
    /// The random part of the token.
    pub(crate) fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }
}

impl Drop for NonceInUse {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_one_request_at_a_time() {
        let nonces = NoncesInUse::default();
        let first = nonces.begin([1; 32]).unwrap();
        assert!(nonces.begin([1; 32]).is_none());
        let other = nonces.begin([2; 32]).unwrap();
        drop(first);
        assert!(nonces.begin([1; 32]).is_some());
        assert!(nonces.begin([2; 32]).is_none());
        drop(other);
        assert!(nonces.0.lock().unwrap().is_empty());
    }
}
