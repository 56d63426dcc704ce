//! What an operator of issuer and service learns from keys that change, in front of everyone: a simulation.
//! `docs/privacy.md` has its numbers.
//!
//! A thousand users fetch tokens at the times of their slots. The directory is the same for all of them at each time, and its
//! keys change with the time. Of each pseudonym the operator knows every key that its tokens had, and of each user every key
//! of which he was issued tokens, which is more than he has. He names a user if no other has all keys of a pseudonym.

use super::*;
use crate::sans_io::issuance::{Shown, compare};
use std::collections::BTreeSet;

const USERS: u64 = 1000;
const HOUR: u64 = 3600;

fn key(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

/// The directory of an issuer whose key changes so often, and is published so long ahead.
fn directory(now: u64, period: u64, ahead: u64) -> Shown {
    let current = now / period;
    let upcoming = (current + 1..).take_while(|number| number * period <= now + ahead);
    Shown { key: key(current), upcoming: upcoming.take(4).map(key).collect() }
}

/// How many users are named, and of how many fetches the key was refused, in percent.
fn named(period: u64, ahead: u64, days: u64, is_careful: bool) -> (usize, usize) {
    let policy = WalletPolicy::default();
    let (mut fetches, mut refused) = (0, 0);
    let keys: Vec<BTreeSet<[u8; 32]>> = (0..USERS)
        .map(|user| {
            let mut seed = Zeroizing::new([0; 32]);
            seed[..8].copy_from_slice(&user.to_le_bytes());
            let stored = StoredRefills { seed, tried_at: None, first_attempts: 0 };
            let (mut seen, mut used) = (None, BTreeSet::new());
            for slot in slots(&stored, &policy, NOW, NOW + days * DAY) {
                let shown = directory(slot, period, ahead);
                let outcome = match is_careful {
                    true => {
                        let (next, outcome) = compare(&shown, seen.as_ref(), false, at(slot));
                        seen = Some(next);
                        outcome.is_ok()
                    }
                    false => true,
                };
                fetches += 1;
                match outcome {
                    true => drop(used.insert(shown.key)),
                    false => refused += 1,
                }
            }
            used
        })
        .collect();
    let is_named =
        |own: &&BTreeSet<_>| keys.iter().filter(|keys| keys.is_superset(own)).count() == 1;
    (keys.iter().filter(is_named).count(), 100 * refused / fetches)
}

#[test]
fn keys_that_change_do_not_tell_whose_pseudonym_looks_something_up() {
    // A client that took every key.
    assert!(named(HOUR, 0, 7, false).0 > 980);
    for (hours, ahead, days, most) in [
        // Keys of an hour, not published ahead, for two days, and for the whole time.
        (1, 0, 30, 0),
        (1, 48, 30, 0),
        (1, 10_000, 30, 0),
        // Keys that change as often as they are accepted.
        (30, 30, 7, 5),
        (30, 30, 30, 60),
        (54, 48, 30, 60),
        (6 * 24, 48, 30, 60),
    ] {
        let (count, refused) = named(hours * HOUR, ahead * HOUR, days, true);
        println!(
            "keys of {hours} h, {ahead} h ahead, {days} days: {count} of {USERS}, {refused} % refused"
        );
        assert!(count <= most, "{hours} {ahead} {days}: {count}");
    }
    // An honest issuer: nobody, and nothing is refused.
    for hours in [7 * 24, 30 * 24] {
        assert_eq!(named(hours * HOUR, 48 * HOUR, 60, true), (0, 0), "{hours}");
    }
}

#[test]
fn the_number_of_keys_that_may_follow_is_limited() {
    for (count, kept) in [(3, 3), (4, 4), (5, 4)] {
        let shown = Shown { key: key(0), upcoming: (1..=count).map(key).collect() };
        let (seen, _) = compare(&shown, None, false, at(NOW));
        assert_eq!(seen.others.len(), kept, "{count}");
    }
}
