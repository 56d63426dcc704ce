//! The memory that requests with a token, or a user token, may take together: their bodies, what is made of these, and
//! their answers.
//!
//! If it is full, bodies that have not arrived completely and answers that are not taken make room, as `peer_budget`
//! describes: of the peer that holds the most, the one that has waited for the longest time. Nothing was spent for a body
//! that is ended, and its client may try again. Small bodies have memory of their own, so that none of them waits for
//! large ones.

use crate::peer_budget::{BodyEnd, Endable, Party, PeerBudget, PeerBudgetExhausted, PeerShare};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest body that counts in the memory for small ones.
const MAX_SMALL_BODY: usize = 64 << 10;
/// The part of the memory that is for small bodies, as a divisor.
const SMALL_PART: usize = 8;

/// All memory for bodies is taken by requests that are worked for. Requests that are refused for it may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetExhausted;

impl From<PeerBudgetExhausted> for BudgetExhausted {
    fn from(PeerBudgetExhausted: PeerBudgetExhausted) -> Self {
        Self
    }
}

/// A number of bytes that bodies share.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    small: PeerBudget,
    large: PeerBudget,
}

impl BodyBudget {
    /// A budget of `bytes`, an eighth of it for small bodies. One body of `longest` bytes fits beside them.
    pub(crate) fn new(bytes: usize, longest: usize) -> Self {
        let small = bytes / SMALL_PART;
        let large = (bytes - small).max(longest);
        Self { small: PeerBudget::undivided(small), large: PeerBudget::undivided(large) }
    }

    /// An empty share of a party, or of nobody else's.
    pub(crate) fn share(&self, party: Option<Party>) -> BodyShare {
        let small = Some(self.small.share(party));
        let holding = Mutex::new(Holding { small, large: self.large.share(party), bytes: 0 });
        BodyShare { holding, end: Arc::default() }
    }

    /// Bytes that no share holds: of the memory for small bodies, and of the other.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> (usize, usize) {
        (self.small.free_bytes(), self.large.free_bytes())
    }
}

/// The part of the budget that one request holds, with its body and what is made of it; given back when dropped.
#[must_use]
pub(crate) struct BodyShare {
    holding: Mutex<Holding>,
    end: Arc<BodyEnd>,
}

struct Holding {
    /// `None` once the body is too long, or found no room among small ones.
    small: Option<PeerShare>,
    large: PeerShare,
    bytes: usize,
}

impl Holding {
    fn shares(&self) -> impl Iterator<Item = &PeerShare> {
        self.small.iter().chain([&self.large])
    }

    fn grow(&mut self, more: usize) -> Result<(), BudgetExhausted> {
        let total = self.bytes.saturating_add(more);
        match &self.small {
            Some(small) if total <= MAX_SMALL_BODY && small.grow(more).is_ok() => {}
            Some(_) => {
                self.large.grow(total)?;
                self.small = None;
            }
            None => self.large.grow(more)?,
        }
        self.bytes = total;
        Ok(())
    }

    fn shrink(&mut self, fewer: usize) {
        self.small.as_ref().unwrap_or(&self.large).shrink(fewer);
        self.bytes -= fewer;
    }
}

impl BodyShare {
    fn holding(&self) -> MutexGuard<'_, Holding> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `bytes` more. Others that have not arrived completely are ended for it.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), BudgetExhausted> {
        if self.end.has_ended() {
            return Err(BudgetExhausted);
        }
        self.holding().grow(bytes)
    }

    /// A body begins to arrive. Until [`BodyShare::body_arrived`] it may be ended, which the returned value tells.
    pub(crate) fn awaits_body(&self) -> Arc<BodyEnd> {
        for share in self.holding().shares() {
            share.awaits_body(Arc::<BodyEnd>::clone(&self.end));
        }
        Arc::clone(&self.end)
    }

    /// The body is there.
    ///
    /// # Errors
    /// If it was ended at the last moment.
    pub(crate) fn body_arrived(&self) -> Result<(), BudgetExhausted> {
        self.holding().shares().for_each(PeerShare::body_arrived);
        if self.end.has_ended() { Err(BudgetExhausted) } else { Ok(()) }
    }

    /// The body and what was made of it are gone, and an answer of `bytes` begins to be sent. From now on it may be ended for
    /// others.
    ///
    /// # Errors
    /// If there is no room for what it takes more than the body did.
    pub(crate) fn awaits_peer(
        &self,
        bytes: usize,
        end: &Arc<dyn Endable>,
    ) -> Result<(), BudgetExhausted> {
        let mut holding = self.holding();
        match bytes.checked_sub(holding.bytes) {
            Some(more) => holding.grow(more)?,
            None => {
                let fewer = holding.bytes - bytes;
                holding.shrink(fewer);
            }
        }
        for share in holding.shares() {
            share.awaits_peer(0, Arc::clone(end))?;
        }
        Ok(())
    }

    /// A part of the answer has moved.
    pub(crate) fn moved(&self) {
        self.holding().shares().for_each(PeerShare::moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    const SMALL: usize = 1 << 20;
    const LARGE: usize = 7 << 20;

    fn budget() -> BodyBudget {
        BodyBudget::new(SMALL + LARGE, 1)
    }

    fn body(budget: &BodyBudget, bytes: usize) -> (BodyShare, Arc<BodyEnd>) {
        let share = budget.share(Some(Party::Uncounted));
        let end = share.awaits_body();
        share.grow(bytes).unwrap();
        (share, end)
    }

    #[test]
    fn a_budget_holds_its_bytes_and_no_more() {
        let budget = budget();
        for (bytes, fits) in [(LARGE - 1, true), (LARGE, true), (LARGE + 1, false)] {
            let share = budget.share(None);
            assert_eq!(share.grow(bytes).is_ok(), fits, "{bytes}");
            drop(share);
            assert_eq!(budget.free_bytes(), (SMALL, LARGE));
        }
        // The longest body fits, whatever the rest is.
        assert!(BodyBudget::new(1000, 1000).share(None).grow(100 << 10).is_err());
        assert!(BodyBudget::new(100 << 10, 100 << 10).share(None).grow(100 << 10).is_ok());
        assert!(BodyBudget::new(usize::MAX, 1).share(None).grow(usize::MAX).is_err());
    }

    #[test]
    fn small_bodies_have_memory_of_their_own() {
        let budget = budget();
        for (bytes, free) in [
            (MAX_SMALL_BODY - 1, (SMALL - MAX_SMALL_BODY + 1, LARGE)),
            (MAX_SMALL_BODY, (SMALL - MAX_SMALL_BODY, LARGE)),
            (MAX_SMALL_BODY + 1, (SMALL, LARGE - MAX_SMALL_BODY - 1)),
        ] {
            let share = budget.share(None);
            share.grow(10).unwrap();
            share.grow(bytes - 10).unwrap();
            assert_eq!(budget.free_bytes(), free, "{bytes}");
        }
        // Large bodies that are worked for leave their memory alone.
        let (full, _) = body(&budget, LARGE);
        full.body_arrived().unwrap();
        let share = budget.share(None);
        share.grow(MAX_SMALL_BODY).unwrap();
        assert_eq!(share.grow(1), Err(BudgetExhausted));
        drop((full, share));
        // Beyond it, they count with the others.
        let small: Vec<_> = (0..17).map(|_| body(&budget, MAX_SMALL_BODY)).collect();
        let ended = small.iter().filter(|(_, end)| end.has_ended()).count();
        assert_eq!((ended, budget.free_bytes()), (1, (0, LARGE)));
        for (share, _) in &small {
            let _ = share.body_arrived();
        }
        let more = body(&budget, MAX_SMALL_BODY);
        assert_eq!(budget.free_bytes(), (0, LARGE - MAX_SMALL_BODY));
        drop((small, more));
        assert_eq!(budget.free_bytes(), (SMALL, LARGE));
    }

    #[test]
    fn a_body_that_has_not_arrived_makes_room() {
        let budget = budget();
        let bodies: Vec<_> = (0..7).map(|_| body(&budget, 1 << 20)).collect();
        bodies[0].0.body_arrived().unwrap();
        let new = body(&budget, 1 << 20);
        let ended: Vec<_> = bodies.iter().map(|(_, end)| end.has_ended()).collect();
        assert_eq!(ended, [false, true, false, false, false, false, false]);
        assert!(!new.1.has_ended());
        // What has made room takes none again, small as it may be, and does not count as arrived.
        assert_eq!(bodies[1].0.grow(0), Err(BudgetExhausted));
        assert_eq!(bodies[1].0.body_arrived(), Err(BudgetExhausted));
    }

    #[derive(Default)]
    struct Connection(AtomicBool);

    impl Endable for Connection {
        fn end(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// An answer counts in place of its body, shorter and longer ones, and makes room for others if it is not taken.
    #[test]
    fn an_answer_counts_until_it_was_taken() {
        let budget = budget();
        let body_of = |bytes| {
            let (share, _) = body(&budget, bytes);
            share.body_arrived().unwrap();
            share
        };
        for (of_body, of_answer, free) in [
            (1000, 999, (SMALL - 999, LARGE)),
            (1000, 1001, (SMALL - 1001, LARGE)),
            (1000, 0, (SMALL, LARGE)),
            (1000, MAX_SMALL_BODY + 1, (SMALL, LARGE - MAX_SMALL_BODY - 1)),
            (1 << 20, 7, (SMALL, LARGE - 7)),
            (1 << 20, 2 << 20, (SMALL, LARGE - (2 << 20))),
        ] {
            let share = body_of(of_body);
            let connection: Arc<dyn Endable> = Arc::new(Connection::default());
            share.awaits_peer(of_answer, &connection).unwrap();
            assert_eq!(budget.free_bytes(), free, "{of_body} {of_answer}");
        }
        let (connection, other) = (Arc::new(Connection::default()), body_of(LARGE - 1000));
        let end: Arc<dyn Endable> = Arc::<Connection>::clone(&connection);
        let share = body_of(1000);
        assert_eq!(share.awaits_peer(LARGE, &end), Err(BudgetExhausted));
        other.awaits_peer(LARGE - 1000, &end).unwrap();
        let more = body(&budget, 1 << 20);
        assert!(connection.0.load(Ordering::Relaxed));
        drop((more, other, share));
        assert_eq!(budget.free_bytes(), (SMALL, LARGE));
    }
}
