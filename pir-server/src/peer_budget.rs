//! The memory that requests take before anyone has proved to be entitled to it.
//!
//! One peer may hold as much as it leaves free: half of the budget if it is alone, less if others hold some. So no peer
//! takes all of it, and none is limited by a number that suits another one. A budget without parts
//! ([`PeerBudget::undivided`]) may be held by one peer until others need it.
//!
//! If there is no room, what waits for its peer makes room: a body that has not arrived completely, or an answer that is
//! not taken. Of the peer that holds the most, the one goes first that has waited for the longest time: since a body
//! began, and since a part of an answer moved. So a body is refused only if others send as much as the whole budget while it
//! arrives, and nobody keeps others out by holding what never ends.

use crate::peer::PeerKey;
use futures_util::task::AtomicWaker;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The budget is taken, or the peer holds its part of it. Requests that are refused for it may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory for requests is in use")]
pub(crate) struct PeerBudgetExhausted;

/// What is ended to make room.
pub(crate) trait Endable: Send + Sync {
    /// Ends it soon. Its memory counts as free at once.
    fn end(&self);
}

/// Whether a body must end, because memory is needed for others. One task at a time waits for it.
#[derive(Default)]
pub(crate) struct BodyEnd {
    has_ended: AtomicBool,
    waker: AtomicWaker,
}

impl Endable for BodyEnd {
    fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl BodyEnd {
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Ready when the body must end, from then on.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.has_ended() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the body must end.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| self.poll(context)).await;
    }
}

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    /// A peer's.
    Peer(PeerKey),
    /// That of all peers together that are not counted.
    Uncounted,
    /// That of one share alone: nobody else's sender is known.
    Share(u64),
}

impl From<Option<PeerKey>> for Party {
    fn from(peer: Option<PeerKey>) -> Self {
        peer.map_or(Self::Uncounted, Self::Peer)
    }
}

/// What a share waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For the rest of a body.
    Body,
    /// For an answer to be taken.
    Answer,
}

struct Waiting {
    wait: Wait,
    /// The order in which shares make room.
    turn: u64,
    end: Arc<dyn Endable>,
}

struct Account {
    party: Party,
    bytes: usize,
    waiting: Option<Waiting>,
    /// Whether it has made room.
    has_ended: bool,
}

#[derive(Default)]
struct Holding {
    bytes: usize,
    /// Accounts that may make room, by their turn.
    waiting: BTreeMap<u64, u64>,
}

struct Ledger {
    free: usize,
    /// Whether one peer gets a part only.
    is_divided: bool,
    next: u64,
    accounts: HashMap<u64, Account>,
    parties: HashMap<Party, Holding>,
}

impl Ledger {
    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn fits(&self, party: Party, bytes: usize) -> bool {
        let held = self.parties.get(&party).map_or(0, |holding| holding.bytes);
        let left = self.free.checked_sub(bytes);
        let is_bounded = self.is_divided && matches!(party, Party::Peer(_));
        left.is_some_and(|left| !is_bounded || held.saturating_add(bytes) <= left)
    }

    /// Adds bytes to an account, or takes some from it.
    fn set_bytes(&mut self, id: u64, bytes: usize) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let before = std::mem::replace(&mut account.bytes, bytes);
        let party = account.party;
        let holding = self.parties.entry(party).or_default();
        holding.bytes = holding.bytes - before + bytes;
        self.free = self.free + before - bytes;
        // What holds nothing makes no room.
        match &account.waiting {
            Some(waiting) if bytes == 0 => {
                holding.waiting.remove(&waiting.turn);
            }
            Some(waiting) => {
                holding.waiting.insert(waiting.turn, id);
            }
            None => {}
        }
        if holding.bytes == 0 {
            self.parties.remove(&party);
        }
    }

    fn set_waiting(&mut self, id: u64, waiting: Option<Waiting>) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let turn = waiting.as_ref().map(|waiting| waiting.turn);
        let before = std::mem::replace(&mut account.waiting, waiting);
        let Some(holding) = self.parties.get_mut(&account.party) else { return };
        if let Some(before) = before {
            holding.waiting.remove(&before.turn);
        }
        if let (Some(turn), 1..) = (turn, account.bytes) {
            holding.waiting.insert(turn, id);
        }
    }

    /// Ends what has waited for the longest time, of the peer that holds the most, for `bytes` of an account. `false` if
    /// that is the account itself, or nothing waits.
    fn make_room(&mut self, id: u64, party: Party, bytes: usize) -> bool {
        let own = self.parties.get(&party).map_or(0, |holding| holding.bytes) + bytes;
        let size = |(other, holding): &(&Party, &Holding)| match **other == party {
            true => (own, true),
            false => (holding.bytes, false),
        };
        let heaviest = self
            .parties
            .iter()
            .filter(|(_, holding)| !holding.waiting.is_empty())
            .filter(|entry| size(entry).0 >= own)
            .max_by_key(size);
        let Some((_, holding)) = heaviest else { return false };
        let Some((_, &first)) = holding.waiting.first_key_value() else { return false };
        if first == id {
            return false;
        }
        self.set_bytes(first, 0);
        if let Some(account) = self.accounts.get_mut(&first) {
            account.has_ended = true;
            if let Some(waiting) = account.waiting.take() {
                waiting.end.end();
            }
        }
        true
    }

    fn grow(&mut self, id: u64, bytes: usize) -> Result<(), PeerBudgetExhausted> {
        let Some(account) = self.accounts.get(&id) else { return Err(PeerBudgetExhausted) };
        let (party, held) = (account.party, account.bytes);
        if account.has_ended {
            return Err(PeerBudgetExhausted);
        }
        if bytes == 0 {
            return Ok(());
        }
        while !self.fits(party, bytes) {
            if !self.make_room(id, party, bytes) {
                return Err(PeerBudgetExhausted);
            }
        }
        self.set_bytes(id, held + bytes);
        Ok(())
    }
}

/// A number of bytes that peers share.
#[derive(Clone)]
pub(crate) struct PeerBudget(Arc<Mutex<Ledger>>);

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PeerBudget {
    /// A budget of which one peer gets a part.
    pub(crate) fn new(bytes: usize) -> Self {
        Self::of(bytes, true)
    }

    /// A budget that one peer may hold until others need it.
    pub(crate) fn undivided(bytes: usize) -> Self {
        Self::of(bytes, false)
    }

    fn of(free: usize, is_divided: bool) -> Self {
        let (accounts, parties) = (HashMap::new(), HashMap::new());
        Self(Arc::new(Mutex::new(Ledger { free, is_divided, next: 0, accounts, parties })))
    }

    /// An empty share of a party; of no other share's party, if there is none.
    pub(crate) fn share(&self, party: Option<Party>) -> PeerShare {
        let mut ledger = lock(&self.0);
        let id = ledger.take_number();
        let party = party.unwrap_or(Party::Share(id));
        let account = Account { party, bytes: 0, waiting: None, has_ended: false };
        ledger.accounts.insert(id, account);
        drop(ledger);
        PeerShare { ledger: Arc::clone(&self.0), id }
    }

    /// Bytes that no share holds.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        lock(&self.0).free
    }
}

/// The part of the budget that one request holds; given back when dropped.
#[must_use]
pub(crate) struct PeerShare {
    ledger: Arc<Mutex<Ledger>>,
    id: u64,
}

impl PeerShare {
    /// Whose memory it is.
    pub(crate) fn party(&self) -> Party {
        let ledger = self.ledger();
        ledger.accounts.get(&self.id).map_or(Party::Uncounted, |account| account.party)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Takes `bytes` more. Others that wait for their peers are ended for it.
    ///
    /// # Errors
    /// If there is no room, or if this share has made room for another.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), PeerBudgetExhausted> {
        self.ledger().grow(self.id, bytes)
    }

    /// Gives `bytes` of it back.
    pub(crate) fn shrink(&self, bytes: usize) {
        let mut ledger = self.ledger();
        let held = ledger.accounts.get(&self.id).map_or(0, |account| account.bytes);
        ledger.set_bytes(self.id, held.saturating_sub(bytes));
    }

    fn wait(&self, wait: Wait, end: Arc<dyn Endable>) {
        let mut ledger = self.ledger();
        let turn = ledger.take_number();
        ledger.set_waiting(self.id, Some(Waiting { wait, turn, end }));
    }

    /// A body begins to arrive. Until [`PeerShare::body_arrived`] it may be ended.
    pub(crate) fn awaits_body(&self, end: Arc<dyn Endable>) {
        self.wait(Wait::Body, end);
    }

    /// The body is there, or nobody waits for it any longer.
    pub(crate) fn body_arrived(&self) {
        let mut ledger = self.ledger();
        let waiting = ledger.accounts.get(&self.id).and_then(|account| account.waiting.as_ref());
        if waiting.is_some_and(|waiting| waiting.wait == Wait::Body) {
            ledger.set_waiting(self.id, None);
        }
    }

    /// An answer begins to be sent. From now on it may be ended. A share that has made room while its body arrived takes
    /// `bytes` again.
    ///
    /// # Errors
    /// If there is no room for them.
    pub(crate) fn awaits_peer(
        &self,
        bytes: usize,
        end: Arc<dyn Endable>,
    ) -> Result<(), PeerBudgetExhausted> {
        {
            let mut ledger = self.ledger();
            ledger.set_waiting(self.id, None);
            let account = ledger.accounts.get_mut(&self.id);
            if account.is_some_and(|account| std::mem::take(&mut account.has_ended)) {
                ledger.grow(self.id, bytes)?;
            }
        }
        self.wait(Wait::Answer, end);
        Ok(())
    }

    /// A part of the answer has moved.
    pub(crate) fn moved(&self) {
        let mut ledger = self.ledger();
        let turn = ledger.take_number();
        let waiting = ledger.accounts.get(&self.id).and_then(|account| account.waiting.as_ref());
        if let Some(waiting) = waiting {
            let waiting = Waiting { wait: waiting.wait, turn, end: Arc::clone(&waiting.end) };
            ledger.set_waiting(self.id, Some(waiting));
        }
    }
}

impl Drop for PeerShare {
    fn drop(&mut self) {
        let mut ledger = self.ledger();
        ledger.set_bytes(self.id, 0);
        ledger.accounts.remove(&self.id);
    }
}

#[cfg(test)]
#[path = "peer_budget_tests.rs"]
mod tests;
