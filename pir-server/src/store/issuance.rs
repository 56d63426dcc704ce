//! How many tokens a user was issued: counts by hour and day, and the limits that they are held against.

use crate::configuration::IssuanceLimit;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use unix_clock::Timestamp;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Number of users above which those whose counts have ended are looked for and forgotten.
const MIN_USERS_TO_FORGET: usize = 1024;

/// The name under which the tokens of a user are counted: a digest of the user token with the salt of a store.
pub(crate) fn user(salt: &[u8; 32], user_token: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"issuance");
    digest.update(salt);
    digest.update(user_token);
    digest.finalize().into()
}

/// Whether a user may be issued a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a token is signed only if it is allowed"]
#[expect(clippy::exhaustive_enums, reason = "a token is allowed or not")]
pub enum Issuance {
    /// The token is counted and may be signed.
    Allowed,
    /// The user has had as many tokens as the limit allows.
    Exhausted {
        /// When the next one will be allowed, from now.
        retry_after: Duration,
    },
}

/// A number of tokens, and since when they are counted.
#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    tokens: u32,
}

impl Count {
    /// How long this goes on; `None` if it has ended, or if the clock was set back to before it.
    fn left(&self, length: Duration, now: Timestamp) -> Option<Duration> {
        if now < self.since {
            return None;
        }
        length.checked_sub(now.since(self.since)).filter(|left| !left.is_zero())
    }

    fn current(self, length: Duration, now: Timestamp) -> Self {
        match self.left(length, now) {
            Some(_) => self,
            None => Self { since: now, tokens: 0 },
        }
    }
}

struct Counts {
    hour: Count,
    day: Count,
}

#[derive(Default)]
struct Users {
    counts: HashMap<[u8; 32], Counts>,
    /// Number of users at which ended counts are forgotten.
    forget_at: usize,
}

/// Counts in the memory of this process. An hour and a day begin with the first token that is counted in them.
///
/// Users are digests, as the caller makes them. Only valid users are counted, so their number is bounded by that of user
/// tokens that are used within a day.
#[derive(Default)]
pub(crate) struct IssuanceCounts(Mutex<Users>);

impl IssuanceCounts {
    /// Counts a token of a user, unless it is one too many.
    pub(crate) fn count(&self, user: [u8; 32], limit: IssuanceLimit, now: Timestamp) -> Issuance {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if users.counts.len() >= users.forget_at.max(MIN_USERS_TO_FORGET) {
            users.counts.retain(|_, counts| counts.day.left(DAY, now).is_some());
            users.forget_at = users.counts.len().saturating_mul(2);
        }
        let none = Count { since: now, tokens: 0 };
        let counts = users.counts.entry(user).or_insert(Counts { hour: none, day: none });
        counts.hour = counts.hour.current(HOUR, now);
        counts.day = counts.day.current(DAY, now);
        let wait = |count: &Count, limit: u32, length| {
            if count.tokens < limit { None } else { count.left(length, now) }
        };
        let waits = [
            wait(&counts.hour, limit.per_hour.get(), HOUR),
            wait(&counts.day, limit.per_day.get(), DAY),
        ];
        if let Some(retry_after) = waits.into_iter().flatten().max() {
            return Issuance::Exhausted { retry_after };
        }
        counts.hour.tokens = counts.hour.tokens.saturating_add(1);
        counts.day.tokens = counts.day.tokens.saturating_add(1);
        Issuance::Allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);

    fn limit(per_hour: u32, per_day: u32) -> IssuanceLimit {
        IssuanceLimit::new(per_hour, per_day).unwrap()
    }

    fn exhausted(seconds: u64) -> Issuance {
        Issuance::Exhausted { retry_after: Duration::from_secs(seconds) }
    }

    #[test]
    fn tokens_are_limited_by_hour_and_by_day() {
        let counts = IssuanceCounts::default();
        let count =
            |seconds| counts.count([1; 32], limit(3, 5), NOW + Duration::from_secs(seconds));
        for seconds in [0, 0, 10] {
            assert_eq!(count(seconds), Issuance::Allowed);
        }
        assert_eq!(count(10), exhausted(3590));
        assert_eq!(count(3599), exhausted(1));
        assert_eq!(count(3600), Issuance::Allowed);
        assert_eq!(count(3600), Issuance::Allowed);
        // The day has its fifth.
        assert_eq!(count(3600), exhausted(86_400 - 3600));
        assert_eq!(count(7200), exhausted(86_400 - 7200));
        assert_eq!(count(86_399), exhausted(1));
        assert_eq!(count(86_400), Issuance::Allowed);
        // Another user has tokens of their own.
        assert_eq!(counts.count([2; 32], limit(1, 1), NOW), Issuance::Allowed);
        assert_eq!(counts.count([2; 32], limit(1, 1), NOW), exhausted(86_400));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_count() {
        let counts = IssuanceCounts::default();
        let later = NOW + 400 * DAY;
        assert_eq!(counts.count([1; 32], limit(1, 1), later), Issuance::Allowed);
        assert_eq!(counts.count([1; 32], limit(1, 1), NOW), Issuance::Allowed);
        assert_eq!(counts.count([1; 32], limit(1, 1), NOW), exhausted(86_400));
    }

    #[test]
    fn users_are_forgotten_after_a_day() {
        let counts = IssuanceCounts::default();
        for day in 0..4u64 {
            for user in 0..2000u64 {
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&(day * 2000 + user).to_le_bytes());
                let now = NOW + DAY * u32::try_from(day).unwrap();
                assert_eq!(counts.count(digest, limit(1, 1), now), Issuance::Allowed);
            }
            assert!(counts.0.lock().unwrap().counts.len() <= 4000);
        }
    }
}
