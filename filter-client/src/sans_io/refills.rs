//! When tokens are fetched: at times that depend on nothing that the client looks up, or that a service answers.
//!
//! Whoever runs an issuer and a service sees when a user fetches tokens, and when a pseudonym looks something up. If one
//! followed from the other, a few of both would tell which pseudonym is whose. So time is divided into intervals, and
//! each has one slot at a time drawn from a secret of the stored state. The number of tokens that a slot fetches is
//! always the same. A slot that passes while the client does not run, or that fails, is left out: a fetch in its place would
//! tell when the client came back.
//!
//! The first attempt of a state comes with a lookup, or when an application asks for it. If it fails, more slots follow it, at
//! random times that are further and further apart: they tell no more than the first attempt did.

use super::age::age_at;
use super::wallet::{EmptyWallet, WalletPolicy};
use crate::state::StoredRefills;
use sha2::{Digest, Sha256};
use std::time::Duration;
use unix_clock::Timestamp;

/// How late a slot may be used: timers are late, and late by hours on a machine that slept.
pub(super) const MAX_LATE: Duration = Duration::from_secs(60);
/// Longest time that the client sleeps until it looks at the clock again: a machine that slept has a timer that did, too.
const MAX_SLEEP: Duration = Duration::from_secs(900);
/// The same while a lookup may begin the first attempt, or slots follow it.
const MAX_FIRST_SLEEP: Duration = Duration::from_secs(30);

/// Seconds from the first attempt to the slot behind it, which comes within as many more. From each attempt to the next they
/// are twice as many.
const FIRST_PAUSE: u64 = 60;
/// Number of slots behind a first attempt, while no attempt has any tokens: the last comes one to two hours after the one before.
const FIRST_SLOTS: u32 = 7;

/// How long the client sleeps at most until it looks for the next slot again.
pub(super) fn max_sleep(stored: &StoredRefills) -> Duration {
    match stored.tried_at.is_none() || has_slot_behind(stored.first_attempts) {
        true => MAX_FIRST_SLEEP,
        false => MAX_SLEEP,
    }
}

/// Whether a slot follows the last of so many attempts that gave no tokens.
fn has_slot_behind(first_attempts: u32) -> bool {
    (1..=FIRST_SLOTS).contains(&first_attempts)
}

/// A number from 0 to 1 that only this state knows.
fn share(seed: &[u8; 32], label: &[u8], number: u64) -> f64 {
    let digest = Sha256::new().chain_update(seed).chain_update(label);
    let digest = digest.chain_update(number.to_le_bytes()).finalize();
    let bytes = digest.first_chunk().expect("a digest is longer");
    // 53 bits are what a number of this type holds.
    (u64::from_le_bytes(*bytes) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The slots of one stored state.
pub(crate) struct Refills<'s> {
    stored: &'s StoredRefills,
    interval: u64,
}

impl<'s> Refills<'s> {
    /// `None` if the policy has no slots.
    pub(super) fn new(stored: &'s StoredRefills, policy: &WalletPolicy) -> Option<Self> {
        let interval = policy.refill_interval.as_secs();
        (interval > 0 && policy.refill_count > 0).then_some(Self { stored, interval })
    }

    /// The next slot at or after a time.
    pub(super) fn next(&self, now: Timestamp) -> Timestamp {
        let regular = self.next_regular(now);
        self.after_first().filter(|slot| *slot >= now).map_or(regular, |slot| slot.min(regular))
    }

    /// The slot behind an attempt before any tokens were given.
    fn after_first(&self) -> Option<Timestamp> {
        let (attempts, tried_at) = (self.stored.first_attempts, self.stored.tried_at?);
        if !has_slot_behind(attempts) {
            return None;
        }
        let pause = FIRST_PAUSE << (attempts - 1);
        let more = pause as f64 * share(&self.stored.seed, b"first", attempts.into());
        Some(tried_at + Duration::from_secs(pause + more as u64))
    }

    fn next_regular(&self, now: Timestamp) -> Timestamp {
        let length = self.interval as f64;
        let phase = (length * share(&self.stored.seed, b"phase", self.interval)) as u64;
        let now = now.unix_seconds();
        let interval = now.saturating_sub(phase) / self.interval;
        let slot = |interval: u64| {
            let within = (length * share(&self.stored.seed, b"slot", interval)) as u64;
            interval.saturating_mul(self.interval).saturating_add(phase).saturating_add(within)
        };
        let this = slot(interval);
        Timestamp::from_unix_seconds(if this >= now {
            this
        } else {
            slot(interval.saturating_add(1))
        })
    }
}

/// Whether a lookup that finds no token may fetch some: it ties the two by their time.
pub(super) fn may_fetch_at_once(
    stored: &StoredRefills,
    policy: &WalletPolicy,
    now: Timestamp,
) -> bool {
    match policy.when_empty {
        // Only a client that was away can have tried nothing for so long, whatever a service or an issuer did.
        EmptyWallet::FetchOnce => stored
            .tried_at
            .is_none_or(|time| age_at(now, time).is_none_or(|age| age >= policy.lifetime)),
        EmptyWallet::Fetch => true,
        EmptyWallet::Fail => false,
    }
}

#[cfg(test)]
#[path = "refills_tests.rs"]
mod tests;
