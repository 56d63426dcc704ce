//! Answers that are remembered for a while.
//!
//! Keywords are kept as digests with a random key of the process, so that memory does not hold what
//! was visited in plain text.

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How long answers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerPolicy {
    /// Answers that are kept.
    pub capacity: usize,
    /// Seconds for which an answer is as good as a new one.
    pub fresh: u64,
    /// Seconds for which it is better than none, when the service cannot be asked.
    pub stale: u64,
}

impl Default for AnswerPolicy {
    fn default() -> Self {
        Self { capacity: 10_000, fresh: 86_400, stale: 7 * 86_400 }
    }
}

#[derive(Clone)]
struct Answer {
    value: Option<Vec<u8>>,
    at: u64,
}

pub(crate) struct Answers {
    policy: AnswerPolicy,
    salt: Zeroizing<[u8; 32]>,
    cache: Cache<[u8; 32], Answer>,
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

    fn no_older(&self, keyword: &[u8], now: u64, seconds: u64) -> Option<Option<Vec<u8>>> {
        let answer = self.cache.get(&self.digest(keyword))?;
        (now.saturating_sub(answer.at) < seconds).then_some(answer.value)
    }

    /// A fresh answer: a value, or that there is none.
    pub(crate) fn fresh(&self, keyword: &[u8], now: u64) -> Option<Option<Vec<u8>>> {
        self.no_older(keyword, now, self.policy.fresh)
    }

    /// An answer for want of a better one.
    pub(crate) fn stale(&self, keyword: &[u8], now: u64) -> Option<Option<Vec<u8>>> {
        self.no_older(keyword, now, self.policy.stale.max(self.policy.fresh))
    }

    pub(crate) fn put(&self, keyword: &[u8], value: Option<Vec<u8>>, now: u64) {
        if self.policy.capacity > 0 {
            self.cache.insert(self.digest(keyword), Answer { value, at: now });
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
    fn answers_age() {
        let policy = AnswerPolicy { capacity: 10, fresh: 100, stale: 1000 };
        let answers = Answers::new(policy).unwrap();
        answers.put(b"a", Some(b"1".to_vec()), 0);
        answers.put(b"b", None, 50);
        assert_eq!(answers.fresh(b"a", 99), Some(Some(b"1".to_vec())));
        assert_eq!(answers.fresh(b"a", 100), None);
        assert_eq!(answers.fresh(b"b", 100), Some(None));
        assert_eq!(answers.stale(b"a", 999), Some(Some(b"1".to_vec())));
        assert_eq!(answers.stale(b"a", 1000), None);
        assert_eq!(answers.fresh(b"c", 0), None);
        answers.clear();
        assert_eq!(answers.stale(b"b", 51), None);
        let none = Answers::new(AnswerPolicy { capacity: 0, ..policy }).unwrap();
        none.put(b"a", None, 0);
        assert_eq!(none.fresh(b"a", 0), None);
    }
}
