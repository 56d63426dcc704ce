//! Trying again.
//!
//! Every request of the protocol may be repeated: reading a directory or a configuration changes
//! nothing, an upload replaces itself, a query is answered as before, and a token that was asked for
//! twice is one token. What may not be repeated is the token *in* a request: it is good for one, so
//! each try has its own.

use std::time::Duration;

/// How often something is tried, and with which pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all; 1 for a single one.
    pub tries: u32,
    /// The longest first pause; it doubles with each try.
    pub first: Duration,
    /// The longest pause of all.
    pub most: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { tries: 3, first: Duration::from_millis(200), most: Duration::from_secs(5) }
    }
}

impl RetryPolicy {
    /// The pause after a failed try, from nothing to the longest one at random, so that clients who
    /// failed together do not come back together. What the service asks for is the least.
    pub(crate) fn pause(&self, failed: u32, asked: Option<Duration>) -> Duration {
        let longest = self.first.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let longest = longest.min(self.most);
        let mut random = [0; 4];
        // Without randomness the pause is the longest one, which is safe.
        let share = match getrandom::fill(&mut random) {
            Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
            Err(_) => 1.0,
        };
        longest.mul_f64(share).saturating_add(asked.unwrap_or_default().min(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let policy = RetryPolicy::default();
        for failed in 1..40 {
            let longest = policy.first.saturating_mul(1 << (failed - 1).min(16)).min(policy.most);
            assert!(policy.pause(failed, None) <= longest);
        }
        let asked = Duration::from_secs(2);
        assert!((0..50).all(|_| policy.pause(1, Some(asked)) >= asked));
        assert!(policy.pause(1, Some(Duration::MAX)) <= policy.most + policy.first);
        let pauses: Vec<_> = (0..8).map(|_| policy.pause(5, None)).collect();
        assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
