//! A cache of answers.
//!
//! It identifies keywords by digests with a random key of this process, so that the memory does not
//! contain visited URLs in plain text.

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use std::time::Duration;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// How many answers are cached, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerPolicy {
    /// Largest number of cached answers; 0 disables the cache. Default: 10,000.
    pub capacity: usize,
    /// Age up to which an answer is used instead of asking the service. Default: one day.
    pub fresh_for: Duration,
    /// Age up to which an answer is used when the service cannot answer. Less than `fresh_for` counts as
    /// `fresh_for`. Default: seven days.
    pub stale_for: Duration,
}

impl Default for AnswerPolicy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { capacity: 10_000, fresh_for: DAY, stale_for: 7 * DAY }
    }
}

impl AnswerPolicy {
    /// Every lookup asks the service.
    #[must_use]
    pub fn disabled() -> Self {
        Self { capacity: 0, fresh_for: Duration::ZERO, stale_for: Duration::ZERO }
    }
}

#[derive(Clone)]
struct CachedAnswer {
    value: Option<Vec<u8>>,
    at: Timestamp,
}

pub(crate) struct Answers {
    policy: AnswerPolicy,
    salt: Zeroizing<[u8; 32]>,
    cache: Cache<[u8; 32], CachedAnswer>,
}

impl Answers {
    pub(crate) fn new(policy: AnswerPolicy) -> Result<Self, getrandom::Error> {
        let mut salt = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *salt)?;
        Ok(Self { policy, salt, cache: Cache::new(policy.capacity.max(1)) })
    }

    fn digest(&self, keyword: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(*self.salt);
        digest.update(keyword);
        digest.finalize().into()
    }

    fn younger_than(
        &self,
        keyword: &[u8],
        now: Timestamp,
        age: Duration,
    ) -> Option<Option<Vec<u8>>> {
        let answer = self.cache.get(&self.digest(keyword))?;
        (now.since(answer.at) < age).then_some(answer.value)
    }

    /// A fresh answer: a value, or that the data set has none.
    pub(crate) fn fresh(&self, keyword: &[u8], now: Timestamp) -> Option<Option<Vec<u8>>> {
        self.younger_than(keyword, now, self.policy.fresh_for)
    }

    /// An answer that may be used when the service cannot answer.
    pub(crate) fn stale(&self, keyword: &[u8], now: Timestamp) -> Option<Option<Vec<u8>>> {
        self.younger_than(keyword, now, self.policy.stale_for.max(self.policy.fresh_for))
    }

    pub(crate) fn put(&self, keyword: &[u8], value: Option<Vec<u8>>, now: Timestamp) {
        if self.policy.capacity > 0 {
            self.cache.insert(self.digest(keyword), CachedAnswer { value, at: now });
        }
    }

    pub(crate) fn clear(&self) {
        self.cache.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_stale_and_expire() {
        let at = Timestamp::from_unix_seconds;
        let policy = AnswerPolicy {
            capacity: 10,
            fresh_for: Duration::from_secs(100),
            stale_for: Duration::from_secs(1000),
        };
        let answers = Answers::new(policy).unwrap();
        answers.put(b"a", Some(b"1".to_vec()), at(0));
        answers.put(b"b", None, at(50));
        assert_eq!(answers.fresh(b"a", at(99)), Some(Some(b"1".to_vec())));
        assert_eq!(answers.fresh(b"a", at(100)), None);
        assert_eq!(answers.fresh(b"b", at(100)), Some(None));
        assert_eq!(answers.stale(b"a", at(999)), Some(Some(b"1".to_vec())));
        assert_eq!(answers.stale(b"a", at(1000)), None);
        assert_eq!(answers.fresh(b"c", at(0)), None);
        answers.clear();
        assert_eq!(answers.stale(b"b", at(51)), None);
        let disabled = Answers::new(AnswerPolicy::disabled()).unwrap();
        disabled.put(b"a", None, at(0));
        assert_eq!(disabled.stale(b"a", at(0)), None);
    }
}
