//! All open connections of a listener, and which of them make room for another.
//!
//! A connection makes room only while the service does not work for it. Of those, the one goes first on which nothing
//! has moved for the longest time; and it is one of the peer that has the most connections, so that one peer cannot
//! keep the others out. Where connections are not counted by peer, a new one waits until another has been open for
//! [`MIN_RESIDENCE`]: otherwise whoever connects fast enough would close each connection before its request arrives.

use super::link::Link;
use crate::configuration::Limits;
use crate::peer::{Peer, PeerKey};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Connections that are chosen at once to make room: choosing looks at all of them.
const CANDIDATES: usize = 64;

/// How long nothing must have moved on a connection that makes room for another of a peer at its limit. Below it, refusing
/// the other costs less, and a peer that connects all the time costs little.
const SETTLED: Duration = Duration::from_secs(1);

/// How long a connection is open at least before it makes room, where connections are not counted by peer. A request
/// that a balancer passes on arrives within it.
const MIN_RESIDENCE: Duration = Duration::from_millis(250);

/// What a newcomer meets.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is admitted; another connection was closed for it, or not.
    Admitted { place: Place, replaced: bool },
    /// There may be room at this time.
    Later(Instant),
    /// There is no room that it may take.
    Refused,
}

/// Which connections may make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    /// Those that have been open for [`MIN_RESIDENCE`].
    Resident,
    Of(PeerKey),
}

impl Scope {
    fn has(self, link: &Link) -> bool {
        match self {
            Self::All => true,
            Self::Resident => link.opened().elapsed() >= MIN_RESIDENCE,
            Self::Of(key) => link.peer.key == Some(key),
        }
    }
}

#[derive(Default)]
struct Inner {
    links: HashMap<u64, Arc<Link>>,
    next: u64,
    peers: HashMap<PeerKey, Arc<Peer>>,
    /// Connections that may make room next, the last first, with the time of their last movement when they were
    /// chosen.
    candidates: Vec<(u64, u64)>,
    scope: Option<Scope>,
}

/// The open connections of one listener.
pub(super) struct Table {
    limits: Limits,
    base: Instant,
    /// All connections that are not counted by peer.
    unlimited: Arc<Peer>,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Table").finish_non_exhaustive()
    }
}

impl Table {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            limits: limits.clone(),
            base: Instant::now(),
            unlimited: Arc::new(Peer::new(None)),
            inner: Mutex::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection, of the peer with this address if connections are counted by peer.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Admission {
        let mut inner = self.inner();
        let peer = match address.map(PeerKey::from) {
            None => Arc::clone(&self.unlimited),
            Some(key) => {
                let new = || Arc::new(Peer::new(Some(key)));
                Arc::clone(inner.peers.entry(key).or_insert_with(new))
            }
        };
        let Some(replaced) = self.make_room(&mut inner, &peer) else {
            inner.forget_if_unused(&peer);
            return match inner.next_resident() {
                Some(time) if peer.key.is_none() => Admission::Later(time),
                _ => Admission::Refused,
            };
        };
        // The connection that made room may have been the last of the same peer.
        if let Some(key) = peer.key {
            inner.peers.entry(key).or_insert_with(|| Arc::clone(&peer));
        }
        peer.connections.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(Link::new(peer, &self.limits, self.base));
        let id = inner.next;
        inner.next += 1;
        inner.links.insert(id, Arc::clone(&link));
        drop(inner);
        let place = Place { table: Arc::clone(self), id, link };
        Admission::Admitted { place, replaced }
    }

    /// A point in time as links report it.
    fn since_base(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.base);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether there is room for a connection of `peer`, and whether another one was closed for it.
    fn make_room(&self, inner: &mut Inner, peer: &Peer) -> Option<bool> {
        let max_per_peer = self.limits.connections_per_peer;
        let mut replaced = false;
        if let Some(key) = peer.key
            && peer.connections() >= max_per_peer
        {
            let settled = Instant::now().checked_sub(SETTLED).map(|time| self.since_base(time));
            if !inner.close_one(Scope::Of(key), settled.unwrap_or(0)) {
                return None;
            }
            replaced = true;
        }
        if inner.links.len() < self.limits.connections {
            return Some(replaced);
        }
        let Some(key) = peer.key else {
            return inner.close_one(Scope::Resident, u64::MAX).then_some(true);
        };
        let heaviest = inner.peers.values().max_by_key(|peer| peer.connections());
        let heaviest = heaviest
            .map_or((0, key), |heaviest| (heaviest.connections(), heaviest.key.unwrap_or(key)));
        if peer.connections() >= heaviest.0 {
            return inner.close_one(Scope::Of(key), u64::MAX).then_some(true);
        }
        let scope = Scope::Of(heaviest.1);
        // A peer with fewer connections is admitted even if those of the other are all worked for.
        let made = inner.close_one(scope, u64::MAX)
            || peer.connections() + 1 < heaviest.0 && inner.close_working(scope);
        made.then_some(true)
    }

    /// Closes connections that the service does not work for, because the process has no more descriptors.
    pub(super) fn free_descriptors(&self) {
        let mut inner = self.inner();
        for _ in 0..CANDIDATES {
            if !inner.close_one(Scope::All, u64::MAX) {
                return;
            }
        }
    }

    /// Number of open connections.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.inner().links.len()
    }
}

impl Inner {
    fn forget_if_unused(&mut self, peer: &Peer) {
        if let Some(key) = peer.key
            && peer.connections() == 0
        {
            self.peers.remove(&key);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Link>> {
        let link = self.links.remove(&id)?;
        link.peer.connections.fetch_sub(1, Ordering::Relaxed);
        self.forget_if_unused(&link.peer);
        Some(link)
    }

    /// When the first of the connections that the service does not work for will have been open for [`MIN_RESIDENCE`].
    fn next_resident(&self) -> Option<Instant> {
        let idle = self.links.values().filter(|link| !link.is_working());
        idle.map(|link| link.opened()).min().map(|opened| opened + MIN_RESIDENCE)
    }

    /// Closes the connection in `scope` on which nothing has moved for the longest time, and not after `until`, and that
    /// the service does not work for.
    fn close_one(&mut self, scope: Scope, until: u64) -> bool {
        loop {
            if self.candidates.is_empty() || self.scope != Some(scope) {
                self.choose(scope);
            }
            let Some((id, moved)) = self.candidates.pop() else { return false };
            if moved > until {
                // All others have moved later. They stay chosen, since choosing again costs more than it brings.
                self.candidates.push((id, moved));
                return false;
            }
            let still =
                self.links.get(&id).is_some_and(|link| link.moved() == moved && !link.is_working());
            if still && let Some(link) = self.remove(id) {
                link.close();
                return true;
            }
        }
    }

    /// Closes the connection in `scope` on which nothing has moved for the longest time.
    fn close_working(&mut self, scope: Scope) -> bool {
        let of_scope = self.links.iter().filter(|(_, link)| scope.has(link));
        let Some(id) = of_scope.min_by_key(|(_, link)| link.moved()).map(|(id, _)| *id) else {
            return false;
        };
        self.remove(id).is_some_and(|link| {
            link.close();
            true
        })
    }

    fn choose(&mut self, scope: Scope) {
        let of_scope = self.links.iter().filter(|(_, link)| scope.has(link) && !link.is_working());
        let mut candidates: Vec<(u64, u64)> =
            of_scope.map(|(id, link)| (*id, link.moved())).collect();
        if candidates.len() > CANDIDATES {
            candidates.select_nth_unstable_by_key(CANDIDATES, |(_, moved)| *moved);
            candidates.truncate(CANDIDATES);
        }
        candidates.sort_unstable_by_key(|(id, moved)| std::cmp::Reverse((*moved, *id)));
        (self.candidates, self.scope) = (candidates, Some(scope));
    }
}

/// The place of an open connection in its table.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    id: u64,
    pub(super) link: Arc<Link>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.inner().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn table(connections: usize, per_peer: usize) -> Arc<Table> {
        Table::new(&Limits { connections, connections_per_peer: per_peer, ..Limits::default() })
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn admit(table: &Arc<Table>, address: Option<IpAddr>) -> Option<(Place, bool)> {
        match table.admit(address) {
            Admission::Admitted { place, replaced } => Some((place, replaced)),
            Admission::Later(_) | Admission::Refused => None,
        }
    }

    fn is_closed(place: &Place) -> bool {
        place.link.closed().now_or_never().is_some()
    }

    async fn wait() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_makes_room() {
        let table = table(3, 3);
        let mut places = Vec::new();
        for _ in 0..3 {
            let (place, replaced) = admit(&table, address(1)).unwrap();
            assert!(!replaced);
            places.push(place);
            wait().await;
        }
        // A request moves the first one; the second is the longest idle then.
        drop(places[0].link.begin());
        let (fourth, replaced) = admit(&table, address(2)).unwrap();
        assert!(replaced);
        let closed: Vec<bool> = places.iter().map(is_closed).collect();
        assert_eq!(closed, [false, true, false]);
        assert_eq!(table.len(), 3);
        // The place of the closed one was taken already.
        drop(places.remove(1));
        assert_eq!(table.len(), 3);
        drop((fourth, places));
        assert_eq!(table.len(), 0);
        assert!(table.inner().peers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_worked_for_makes_no_room_for_its_own_peer() {
        let table = table(3, 2);
        wait().await;
        let places = [admit(&table, address(1)).unwrap().0, admit(&table, address(1)).unwrap().0];
        let working: Vec<_> = places.iter().map(|place| place.link.begin()).collect();
        assert!(admit(&table, address(1)).is_none());
        // Waiting for a body is not work.
        let waiting = super::super::link::Waiting::new(&places[1].link);
        assert!(admit(&table, address(1)).is_none());
        wait().await;
        let (third, replaced) = admit(&table, address(1)).unwrap();
        assert!(replaced && is_closed(&places[1]) && !is_closed(&places[0]));
        drop((waiting, working, third));
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_does_not_keep_others_out() {
        for busy in [false, true] {
            let table = table(10, 10);
            let hostile: Vec<Place> =
                (0..10).map(|_| admit(&table, address(1)).unwrap().0).collect();
            let _working: Vec<_> =
                hostile.iter().filter(|_| busy).map(|place| place.link.begin()).collect();
            let mut others = Vec::new();
            for last in 2..6 {
                wait().await;
                others.push(admit(&table, address(last)).expect("a place").0);
            }
            // The one with the most goes on to lose them, and the others keep theirs.
            for _ in 0..20 {
                let _again = admit(&table, address(1));
            }
            assert!(!others.iter().any(is_closed));
            assert!(hostile.iter().filter(|place| is_closed(place)).count() >= 4);
            assert!(table.len() <= 10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_are_not_counted_by_peer_share_one_limit() {
        let table = table(3, 1);
        let places: Vec<Place> = (0..3).map(|_| admit(&table, None).unwrap().0).collect();
        let working: Vec<_> = places.iter().map(|place| place.link.begin()).collect();
        assert!(matches!(table.admit(None), Admission::Refused));
        drop(working);
        wait().await;
        assert!(admit(&table, None).unwrap().1);
    }

    /// At one below the time, and at it.
    #[tokio::test(start_paused = true)]
    async fn connections_without_addresses_stay_open_for_a_while() {
        let millisecond = Duration::from_millis(1);
        let table = table(3, 1);
        let first = admit(&table, None).unwrap().0;
        tokio::time::advance(millisecond).await;
        let _others = [admit(&table, None).unwrap().0, admit(&table, None).unwrap().0];
        // The first moves last: it is the one that has been open for the time, all the same.
        drop(first.link.begin());
        tokio::time::advance(MIN_RESIDENCE - 2 * millisecond).await;
        let later = Instant::now() + millisecond;
        assert!(matches!(table.admit(None), Admission::Later(time) if time == later));
        assert!(!is_closed(&first));
        tokio::time::advance(millisecond).await;
        assert!(admit(&table, None).unwrap().1);
        assert!(is_closed(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn limits_by_peer_hold_at_their_edges() {
        let table = table(100, 5);
        let mut places = Vec::new();
        for count in 1..=7 {
            wait().await;
            let (place, replaced) = admit(&table, address(1)).unwrap();
            places.push(place);
            assert_eq!(replaced, count > 5, "{count}");
        }
        assert_eq!(table.len(), 5);
        let closed: Vec<bool> = places.iter().map(is_closed).collect();
        assert_eq!(closed, [true, true, false, false, false, false, false]);
    }
}
