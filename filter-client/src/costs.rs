//! What lookups cost: counters of requests, bytes and time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a client sent, received and computed since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Costs {
    /// Requests, failed ones included.
    pub requests: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of response bodies.
    pub bytes_received: u64,
    /// Tokens that were fetched.
    pub tokens_fetched: u64,
    /// Evaluation keys that were uploaded.
    pub keys_uploaded: u64,
    /// Keywords that were queried; one that is answered from memory does not count.
    pub keywords_asked: u64,
    /// Time spent on making keys and queries and on reading replies.
    pub computing: Duration,
    /// Time spent waiting for responses: the sum over all requests, also of those that ran at the same
    /// time.
    pub waiting: Duration,
}

impl Costs {
    /// What was added since an earlier snapshot of the same client.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            bytes_sent: self.bytes_sent.saturating_sub(earlier.bytes_sent),
            bytes_received: self.bytes_received.saturating_sub(earlier.bytes_received),
            tokens_fetched: self.tokens_fetched.saturating_sub(earlier.tokens_fetched),
            keys_uploaded: self.keys_uploaded.saturating_sub(earlier.keys_uploaded),
            keywords_asked: self.keywords_asked.saturating_sub(earlier.keywords_asked),
            computing: self.computing.saturating_sub(earlier.computing),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    tokens_fetched: AtomicU64,
    keys_uploaded: AtomicU64,
    keywords_asked: AtomicU64,
    waiting_micros: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Counters {
    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.requests, 1);
        add(&self.bytes_sent, bytes as u64);
    }

    pub(crate) fn received(&self, bytes: usize) {
        add(&self.bytes_received, bytes as u64);
    }

    pub(crate) fn waited(&self, time: Duration) {
        add(&self.waiting_micros, micros(time));
    }

    pub(crate) fn fetched_tokens(&self, count: usize) {
        add(&self.tokens_fetched, count as u64);
    }

    pub(crate) fn uploaded_key(&self) {
        add(&self.keys_uploaded, 1);
    }

    pub(crate) fn asked_keywords(&self, count: usize) {
        add(&self.keywords_asked, count as u64);
    }

    pub(crate) fn snapshot(&self) -> Costs {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Costs {
            requests: read(&self.requests),
            bytes_sent: read(&self.bytes_sent),
            bytes_received: read(&self.bytes_received),
            tokens_fetched: read(&self.tokens_fetched),
            keys_uploaded: read(&self.keys_uploaded),
            keywords_asked: read(&self.keywords_asked),
            computing: Duration::ZERO,
            waiting: Duration::from_micros(read(&self.waiting_micros)),
        }
    }
}
