//! The memory that requests take before anyone has proved to be entitled to it.
//!
//! One peer may hold as much as it leaves free: half of the budget if it is alone, less if others hold some. So no peer
//! takes all of it, and none is limited by a number that suits another one.

use crate::peer::Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget is taken, or the peer holds its part of it. Requests that are refused for it may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerBudgetExhausted;

/// A number of bytes that peers share.
#[derive(Clone)]
pub(crate) struct PeerBudget(Arc<AtomicUsize>);

impl PeerBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// An empty share; of `peer`, if it is known.
    pub(crate) fn share(&self, peer: Option<&Arc<Peer>>) -> PeerShare {
        let peer = peer.filter(|peer| peer.is_limited()).cloned();
        PeerShare { free: Arc::clone(&self.0), peer, bytes: 0 }
    }

    /// Bytes that no share holds.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The part of the budget that one request holds; given back when dropped.
#[must_use]
pub(crate) struct PeerShare {
    free: Arc<AtomicUsize>,
    peer: Option<Arc<Peer>>,
    bytes: usize,
}

impl PeerShare {
    /// Takes `bytes` more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), PeerBudgetExhausted> {
        let held = match &self.peer {
            Some(peer) => peer.held_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes),
            None => 0,
        };
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
            free.checked_sub(bytes).filter(|left| held <= *left)
        });
        match taken {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(_) => {
                if let Some(peer) = &self.peer {
                    peer.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                Err(PeerBudgetExhausted)
            }
        }
    }
}

impl Drop for PeerShare {
    fn drop(&mut self) {
        self.free.fetch_add(self.bytes, Ordering::Relaxed);
        if let Some(peer) = &self.peer {
            peer.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(last: u8) -> Arc<Peer> {
        Arc::new(Peer::of(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn one_peer_holds_at_most_what_it_leaves() {
        for (bytes, fits) in [(499, true), (500, true), (501, false)] {
            let (budget, one) = (PeerBudget::new(1000), peer(1));
            let mut share = budget.share(Some(&one));
            assert_eq!(share.grow(bytes).is_ok(), fits, "{bytes}");
            drop(share);
            assert_eq!(budget.free_bytes(), 1000);
            assert_eq!(one.held_bytes.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_second_peer_finds_room() {
        let budget = PeerBudget::new(1000);
        let (one, two) = (peer(1), peer(2));
        let mut shares = Vec::new();
        loop {
            let mut share = budget.share(Some(&one));
            if share.grow(10).is_err() {
                break;
            }
            shares.push(share);
        }
        assert_eq!(budget.free_bytes(), 500);
        let mut other = budget.share(Some(&two));
        assert!(other.grow(250).is_ok());
        assert!(other.grow(1).is_err());
        // A peer that is not known is bounded by the whole.
        let mut unknown = budget.share(None);
        assert!(unknown.grow(250).is_ok());
        assert!(unknown.grow(1).is_err());
        drop((shares, other, unknown));
        assert_eq!(budget.free_bytes(), 1000);
    }
}
