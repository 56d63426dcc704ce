use super::*;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

fn peer(last: u8) -> Option<Party> {
    Some(Party::Peer(PeerKey::from(IpAddr::from([192, 0, 2, last]))))
}

const UNCOUNTED: Option<Party> = Some(Party::Uncounted);

#[derive(Default)]
struct Ended(AtomicUsize);

impl Ended {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Endable for Ended {
    fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A share with a body of `bytes` that does not end.
fn body(budget: &PeerBudget, party: Option<Party>, bytes: usize) -> (PeerShare, Arc<Ended>) {
    let (share, ended) = (budget.share(party), Arc::new(Ended::default()));
    share.awaits_body(Arc::<Ended>::clone(&ended));
    share.grow(bytes).unwrap();
    (share, ended)
}

fn counts(bodies: &[(PeerShare, Arc<Ended>)]) -> Vec<usize> {
    bodies.iter().map(|(_, ended)| ended.count()).collect()
}

#[test]
fn one_peer_holds_at_most_what_it_leaves() {
    for (bytes, fits) in [(499, true), (500, true), (501, false)] {
        let budget = PeerBudget::new(1000);
        let share = budget.share(peer(1));
        assert_eq!(share.grow(bytes).is_ok(), fits, "{bytes}");
        drop(share);
        assert_eq!(budget.free_bytes(), 1000);
        let ledger = lock(&budget.0);
        assert!(ledger.accounts.is_empty() && ledger.parties.is_empty());
    }
}

#[test]
fn a_second_peer_finds_room() {
    let budget = PeerBudget::new(1000);
    let mut shares = Vec::new();
    loop {
        let share = budget.share(peer(1));
        if share.grow(10).is_err() {
            break;
        }
        shares.push(share);
    }
    assert_eq!(budget.free_bytes(), 500);
    let other = budget.share(peer(2));
    assert!(other.grow(250).is_ok());
    assert!(other.grow(1).is_err());
    // Peers that are not counted are bounded by the whole.
    let unknown = budget.share(UNCOUNTED);
    assert!(unknown.grow(250).is_ok());
    assert!(unknown.grow(1).is_err());
    drop((shares, other, unknown));
    assert_eq!(budget.free_bytes(), 1000);
}

#[test]
fn the_body_that_began_first_makes_room() {
    let budget = PeerBudget::new(1000);
    let bodies = [400, 300, 300].map(|bytes| body(&budget, UNCOUNTED, bytes));
    let new = body(&budget, UNCOUNTED, 1);
    assert_eq!((counts(&bodies), budget.free_bytes()), (vec![1, 0, 0], 399));
    // It takes nothing more, and what it held is not given back twice.
    assert!(bodies[0].0.grow(1).is_err());
    bodies[0].0.shrink(400);
    assert_eq!(budget.free_bytes(), 399);
    // Of the others, the first cannot make room for itself.
    assert!(bodies[1].0.grow(400).is_err());
    assert_eq!(counts(&bodies), [1, 0, 0]);
    // A body that is complete is worked for.
    bodies[1].0.body_arrived();
    new.0.grow(400).unwrap();
    assert_eq!((counts(&bodies), new.1.count()), (vec![1, 0, 1], 0));
    drop((bodies, new));
    assert_eq!(budget.free_bytes(), 1000);
}

#[test]
fn what_is_worked_for_makes_no_room() {
    let budget = PeerBudget::new(1000);
    let (share, _ended) = body(&budget, UNCOUNTED, 1000);
    share.body_arrived();
    assert!(budget.share(UNCOUNTED).grow(1).is_err());
    drop(share);
    assert!(budget.share(UNCOUNTED).grow(1000).is_ok());
}

#[test]
fn the_answer_on_which_nothing_has_moved_for_the_longest_time_makes_room() {
    let budget = PeerBudget::new(1000);
    let answers: Vec<_> = (0..2)
        .map(|_| {
            let (share, ended) = (budget.share(UNCOUNTED), Arc::new(Ended::default()));
            share.grow(500).unwrap();
            share.awaits_peer(0, Arc::<Ended>::clone(&ended)).unwrap();
            (share, ended)
        })
        .collect();
    answers[0].0.moved();
    let new = budget.share(UNCOUNTED);
    new.grow(10).unwrap();
    assert_eq!(counts(&answers), [0, 1]);
    drop((answers, new));
    assert_eq!(budget.free_bytes(), 1000);
}

#[test]
fn a_share_that_has_made_room_counts_again_when_it_is_answered() {
    let budget = PeerBudget::new(1000);
    let (first, ended) = body(&budget, UNCOUNTED, 600);
    let (second, other) = body(&budget, UNCOUNTED, 600);
    assert_eq!((ended.count(), budget.free_bytes()), (1, 400));
    let link = Arc::new(Ended::default());
    first.awaits_peer(100, Arc::<Ended>::clone(&link)).unwrap();
    assert_eq!(budget.free_bytes(), 300);
    // Now its answer waits behind the other's body.
    assert!(budget.share(UNCOUNTED).grow(700).is_ok());
    assert_eq!((other.count(), link.count()), (1, 0));
    drop((first, second));
    assert_eq!(budget.free_bytes(), 1000);
}

#[test]
fn the_peer_that_holds_the_most_makes_room() {
    let budget = PeerBudget::new(1000);
    let hostile: Vec<_> = (0..5).map(|_| body(&budget, peer(1), 100)).collect();
    let honest = body(&budget, peer(2), 100);
    // One more of the first peer ends one of its own.
    let more = body(&budget, peer(1), 100);
    assert_eq!((counts(&hostile), honest.1.count()), (vec![1, 1, 0, 0, 0], 0));
    let third = body(&budget, peer(3), 250);
    assert_eq!(counts(&hostile), [1, 1, 0, 0, 0]);
    // Neither holds as much as the first.
    third.0.grow(50).unwrap();
    assert_eq!((honest.1.count(), third.1.count(), more.1.count()), (0, 0, 0));
    drop((hostile, honest, more, third));
    assert_eq!(budget.free_bytes(), 1000);
}

/// A body of nobody's that is small costs nothing, and ending it would bring nothing.
#[test]
fn what_holds_nothing_is_not_ended() {
    let budget = PeerBudget::new(100);
    let empty = body(&budget, UNCOUNTED, 0);
    let full = body(&budget, UNCOUNTED, 100);
    let new = body(&budget, UNCOUNTED, 1);
    assert_eq!((empty.1.count(), full.1.count(), new.1.count()), (0, 1, 0));
}

#[test]
fn one_peer_holds_an_undivided_budget_until_others_need_it() {
    let budget = PeerBudget::undivided(1000);
    let hostile: Vec<_> = (0..10).map(|_| body(&budget, peer(1), 100)).collect();
    assert_eq!(budget.free_bytes(), 0);
    let honest = body(&budget, peer(2), 150);
    assert_eq!(counts(&hostile), [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let more = body(&budget, peer(1), 100);
    assert_eq!((counts(&hostile)[2], honest.1.count(), more.1.count()), (1, 0, 0));
}

/// What comes through the gateway has no peer: what others hold of it is not held against a request.
#[test]
fn a_share_without_a_party_finds_the_room_that_a_smaller_one_waits_in() {
    let budget = PeerBudget::undivided(1000);
    let worked_for: Vec<_> = (0..6).map(|_| body(&budget, None, 100)).collect();
    worked_for.iter().for_each(|(share, _)| share.body_arrived());
    let hostile: Vec<_> = (0..4).map(|_| body(&budget, peer(1), 100)).collect();
    let share = budget.share(None);
    share.grow(200).unwrap();
    assert_eq!(counts(&hostile), [1, 1, 0, 0]);
    assert_eq!(counts(&worked_for), [0; 6]);
}
