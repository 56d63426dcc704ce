//! A cache of answers.
//!
//! It identifies keywords by digests with a random key of this process, so that the memory does not
//! contain visited URLs in plain text.

use super::age::age_at;
use super::answer::{Answer, Source};
use super::session::{Decoded, PreparedKeyword, Session};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

/// A reply, which is decrypted when its answer is read for the first time: by whoever reads it, while nobody
/// who sends requests waits.
pub(crate) struct Reply {
    undecoded: Mutex<Option<Undecoded>>,
    decoded: OnceLock<Decoded>,
}

/// What is needed to decrypt a reply.
struct Undecoded {
    session: Arc<Session>,
    keyword: PreparedKeyword,
    reply: keyword_pir::Reply,
}

impl Reply {
    pub(crate) fn new(
        session: Arc<Session>,
        keyword: PreparedKeyword,
        reply: keyword_pir::Reply,
    ) -> Self {
        let undecoded = Mutex::new(Some(Undecoded { session, keyword, reply }));
        Self { undecoded, decoded: OnceLock::new() }
    }

    fn decoded(&self) -> &Decoded {
        self.decoded.get_or_init(|| {
            let mut undecoded = self.undecoded.lock().unwrap_or_else(PoisonError::into_inner);
            let Undecoded { session, keyword, reply } =
                undecoded.take().expect("a reply is decrypted once");
            session.value(&keyword, &reply)
        })
    }

    #[cfg(test)]
    pub(super) fn is_encrypted(&self) -> bool {
        self.decoded.get().is_none()
    }

    #[cfg(test)]
    fn of(decoded: Decoded) -> Self {
        Self { undecoded: Mutex::new(None), decoded: OnceLock::from(decoded) }
    }

    /// The answer for the caller of a lookup.
    pub(crate) fn answer(&self, source: Source) -> Answer {
        let (value, is_readable) = match self.decoded() {
            Decoded::Present(value) => (Some(value.clone()), true),
            Decoded::Absent => (None, true),
            Decoded::Unreadable => (None, false),
        };
        Answer { value, source, is_readable }
    }
}

/// A reply and when it arrived.
#[derive(Clone)]
struct CachedReply {
    reply: Arc<Reply>,
    at: Timestamp,
}

pub(crate) struct Answers {
    policy: AnswerPolicy,
    salt: Zeroizing<[u8; 32]>,
    cache: Cache<[u8; 32], CachedReply>,
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

    fn younger_than(&self, keyword: &[u8], now: Timestamp, age: Duration) -> Option<Arc<Reply>> {
        let cached = self.cache.get(&self.digest(keyword))?;
        age_at(now, cached.at).is_some_and(|found| found < age).then_some(cached.reply)
    }

    /// A fresh answer.
    pub(crate) fn fresh(&self, keyword: &[u8], now: Timestamp) -> Option<Arc<Reply>> {
        self.younger_than(keyword, now, self.policy.fresh_for)
    }

    /// An answer that may be used when the service cannot answer.
    pub(crate) fn stale(&self, keyword: &[u8], now: Timestamp) -> Option<Arc<Reply>> {
        self.younger_than(keyword, now, self.policy.stale_for.max(self.policy.fresh_for))
    }

    pub(crate) fn put(&self, keyword: &[u8], reply: Arc<Reply>, now: Timestamp) {
        if self.policy.capacity > 0 {
            self.cache.insert(self.digest(keyword), CachedReply { reply, at: now });
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
        answers.put(b"a", Arc::new(Reply::of(Decoded::Present(b"1".to_vec()))), at(0));
        answers.put(b"b", Arc::new(Reply::of(Decoded::Absent)), at(50));
        let value =
            |reply: Option<Arc<Reply>>| reply.map(|reply| reply.answer(Source::Cache).value);
        assert_eq!(value(answers.fresh(b"a", at(99))), Some(Some(b"1".to_vec())));
        assert_eq!(value(answers.fresh(b"a", at(100))), None);
        assert_eq!(value(answers.fresh(b"b", at(100))), Some(None));
        assert_eq!(value(answers.stale(b"a", at(999))), Some(Some(b"1".to_vec())));
        assert_eq!(value(answers.stale(b"a", at(1000))), None);
        assert_eq!(value(answers.fresh(b"c", at(0))), None);
        // A clock that was an hour ahead for a while.
        answers.put(b"d", Arc::new(Reply::of(Decoded::Absent)), at(3_700));
        assert_eq!(value(answers.fresh(b"d", at(100))), None);
        answers.clear();
        assert_eq!(value(answers.stale(b"b", at(51))), None);
        let disabled = Answers::new(AnswerPolicy::disabled()).unwrap();
        disabled.put(b"a", Arc::new(Reply::of(Decoded::Absent)), at(0));
        assert_eq!(value(disabled.stale(b"a", at(0))), None);
    }

    #[test]
    fn a_reply_that_cannot_be_read_is_cached_like_one_without_a_value() {
        let at = Timestamp::from_unix_seconds;
        let answers = Answers::new(AnswerPolicy::default()).unwrap();
        answers.put(b"a", Arc::new(Reply::of(Decoded::Unreadable)), at(0));
        let answer = answers.fresh(b"a", at(1)).unwrap().answer(Source::Cache);
        assert_eq!((answer.value, answer.is_readable), (None, false));
    }
}
