//! When requests are repeated.
//!
//! Every request of the protocol may be repeated: reading a directory or a configuration changes
//! nothing, an upload replaces the same key, a query gets the same answer, and the same token request
//! gets the same token. The token that a request carries may not be repeated: it is good for one
//! request, so each attempt carries its own.

use std::time::Duration;

/// How often a request is tried, and how long to wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Largest number of attempts at one request, the first included; 0 counts as 1. Default: 3.
    pub max_attempts: u32,
    /// Longest wait before the second attempt; it doubles with each further attempt. Default: 200 ms.
    pub initial_backoff: Duration,
    /// Longest wait before any attempt. Default: 5 s.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// A single attempt.
    #[must_use]
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// The wait after a number of failed attempts: random between zero and the longest backoff, so that
    /// clients that failed together do not return together; plus what the service asked for, up to
    /// `max_backoff`.
    pub(crate) fn backoff(&self, failed: u32, retry_after: Option<Duration>) -> Duration {
        let longest = self.initial_backoff.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let longest = longest.min(self.max_backoff);
        let requested = retry_after.unwrap_or(Duration::ZERO).min(self.max_backoff);
        // A backoff near the end of what a duration holds is rounded up beyond it.
        let share = Duration::try_from_secs_f64(longest.as_secs_f64() * random_share());
        share.unwrap_or(longest).saturating_add(requested)
    }
}

/// A random number from 0 to 1. Without random numbers it is 1: the longest wait, which is safe.
pub(crate) fn random_share() -> f64 {
    let mut random = [0; 4];
    match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_grow_to_a_limit_and_differ() {
        let policy = RetryPolicy::default();
        for failed in 1..40 {
            let longest = policy.initial_backoff.saturating_mul(1 << (failed - 1).min(16));
            assert!(policy.backoff(failed, None) <= longest.min(policy.max_backoff));
        }
        let asked = Duration::from_secs(2);
        assert!((0..50).all(|_| policy.backoff(1, Some(asked)) >= asked));
        let longest = policy.max_backoff + policy.initial_backoff;
        assert!(policy.backoff(1, Some(Duration::MAX)) <= longest);
        let endless =
            RetryPolicy { initial_backoff: Duration::MAX, max_backoff: Duration::MAX, ..policy };
        assert!((0..50).all(|_| endless.backoff(3, Some(Duration::MAX)) == Duration::MAX));
        let backoffs: Vec<_> = (0..8).map(|_| policy.backoff(5, None)).collect();
        assert!(backoffs.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
