//! A cache of answers.
//!
//! It identifies keywords by digests with a random key of this process, so that the memory does not
//! contain visited URLs in plain text.

use super::{Answer, Source};
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

/// What a reply decrypts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Present(Vec<u8>),
    Absent,
    /// Nonsense.
    Unreadable,
}

/// An answer and when it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CachedAnswer {
    decoded: Decoded,
    at: Timestamp,
}

impl CachedAnswer {
    pub(crate) fn new(decoded: Decoded, at: Timestamp) -> Self {
        Self { decoded, at }
    }

    /// The answer for the caller of a lookup.
    pub(crate) fn answer(&self, source: Source) -> Answer {
        let is_readable = self.decoded != Decoded::Unreadable;
        let value = match &self.decoded {
            Decoded::Present(value) => Some(value.clone()),
            Decoded::Absent | Decoded::Unreadable => None,
        };
        Answer { value, source, is_readable }
    }
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

    fn younger_than(&self, keyword: &[u8], now: Timestamp, age: Duration) -> Option<CachedAnswer> {
        let answer = self.cache.get(&self.digest(keyword))?;
        (now.since(answer.at) < age).then_some(answer)
    }

    /// A fresh answer.
    pub(crate) fn fresh(&self, keyword: &[u8], now: Timestamp) -> Option<CachedAnswer> {
        self.younger_than(keyword, now, self.policy.fresh_for)
    }

    /// An answer that may be used when the service cannot answer.
    pub(crate) fn stale(&self, keyword: &[u8], now: Timestamp) -> Option<CachedAnswer> {
        self.younger_than(keyword, now, self.policy.stale_for.max(self.policy.fresh_for))
    }

    pub(crate) fn put(&self, keyword: &[u8], answer: CachedAnswer) {
        if self.policy.capacity > 0 {
            self.cache.insert(self.digest(keyword), answer);
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
        let present = CachedAnswer::new(Decoded::Present(b"1".to_vec()), at(0));
        let absent = CachedAnswer::new(Decoded::Absent, at(50));
        answers.put(b"a", present.clone());
        answers.put(b"b", absent.clone());
        assert_eq!(answers.fresh(b"a", at(99)), Some(present.clone()));
        assert_eq!(answers.fresh(b"a", at(100)), None);
        assert_eq!(answers.fresh(b"b", at(100)), Some(absent.clone()));
        assert_eq!(answers.stale(b"a", at(999)), Some(present));
        assert_eq!(answers.stale(b"a", at(1000)), None);
        assert_eq!(answers.fresh(b"c", at(0)), None);
        answers.clear();
        assert_eq!(answers.stale(b"b", at(51)), None);
        let disabled = Answers::new(AnswerPolicy::disabled()).unwrap();
        disabled.put(b"a", absent);
        assert_eq!(disabled.stale(b"a", at(50)), None);
    }

    #[test]
    fn a_reply_that_cannot_be_read_is_cached_like_one_without_a_value() {
        let at = Timestamp::from_unix_seconds;
        let answers = Answers::new(AnswerPolicy::default()).unwrap();
        answers.put(b"a", CachedAnswer::new(Decoded::Unreadable, at(0)));
        let answer = answers.fresh(b"a", at(1)).unwrap().answer(Source::Cache);
        assert_eq!((answer.value, answer.is_readable), (None, false));
    }
}
