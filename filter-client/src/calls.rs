//! Single requests, and when to try one again.

use crate::error::Error;
use crate::retry::RetryPolicy;
use crate::transport::Transport;
use bytes::Bytes;
use http::StatusCode;
use http::header::RETRY_AFTER;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use url::Url;

/// Longest piece of a service's own words that is repeated in an error.
const MAX_MESSAGE: usize = 200;

/// What was sent and received so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Requests.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes_sent: u64,
    /// Bytes of the responses' bodies.
    pub bytes_received: u64,
    /// Tokens that were fetched.
    pub tokens_fetched: u64,
    /// Evaluation keys that were uploaded.
    pub keys_uploaded: u64,
    /// Keywords that were asked for.
    pub keywords_asked: u64,
    /// Time for making keys, queries and for reading replies, in microseconds.
    pub computing_micros: u64,
    /// Time for waiting for responses, in microseconds; of requests at once, their sum.
    pub waiting_micros: u64,
}

/// The program, and nothing about whom it works for.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("url-filter-client/", env!("CARGO_PKG_VERSION")));

#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    pub(crate) tokens_fetched: AtomicU64,
    pub(crate) keys_uploaded: AtomicU64,
    pub(crate) keywords_asked: AtomicU64,
    computing_micros: AtomicU64,
    waiting_micros: AtomicU64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Counters {
    pub(crate) fn computed(&self, time: Duration) {
        self.computing_micros.fetch_add(micros(time), Ordering::Relaxed);
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
            computing_micros: read(&self.computing_micros),
            waiting_micros: read(&self.waiting_micros),
        }
    }
}

/// Why a try gave no answer.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The status, if there was a response.
    pub(crate) status: Option<StatusCode>,
    /// Whether the request may have reached the service.
    pub(crate) arrived: bool,
    asked_pause: Option<Duration>,
}

/// The tries for one purpose.
pub(crate) struct Tries {
    policy: RetryPolicy,
    failed: u32,
}

impl Tries {
    /// Waits until it is time for another try; fails if there is none.
    pub(crate) async fn again(&mut self, failure: Failure) -> Result<(), Error> {
        self.failed += 1;
        if self.failed >= self.policy.tries || !failure.error.is_passing() {
            return Err(failure.error);
        }
        tokio::time::sleep(self.policy.pause(self.failed, failure.asked_pause)).await;
        Ok(())
    }
}

/// The way to a service.
pub(crate) struct Calls {
    transport: Arc<dyn Transport>,
    policy: RetryPolicy,
    pub(crate) counters: Counters,
}

/// An address below that of a service.
pub(crate) fn below(base: &Url, path: &str) -> http::Uri {
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    // A URL with a plain path at its end is a URI.
    text.parse().unwrap_or_default()
}

impl Calls {
    pub(crate) fn new(transport: Arc<dyn Transport>, policy: RetryPolicy) -> Self {
        Self { transport, policy, counters: Counters::default() }
    }

    pub(crate) fn tries(&self) -> Tries {
        Tries { policy: self.policy, failed: 0 }
    }

    /// One try. Whatever is not 200 is a failure.
    pub(crate) async fn attempt(
        &self,
        endpoint: &'static str,
        mut request: http::Request<Bytes>,
        most: usize,
    ) -> Result<Bytes, Failure> {
        // Services want one, whatever the transport.
        request.headers_mut().entry(http::header::USER_AGENT).or_insert(USER_AGENT);
        let counters = &self.counters;
        counters.requests.fetch_add(1, Ordering::Relaxed);
        counters.bytes_sent.fetch_add(request.body().len() as u64, Ordering::Relaxed);
        let begun = std::time::Instant::now();
        let outcome = self.transport.send(request, most).await;
        counters.waiting_micros.fetch_add(micros(begun.elapsed()), Ordering::Relaxed);
        let response = outcome.map_err(|source| Failure {
            status: None,
            arrived: source.may_have_arrived(),
            asked_pause: None,
            error: Error::Transport { endpoint, source },
        })?;
        counters.bytes_received.fetch_add(response.body().len() as u64, Ordering::Relaxed);
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = seconds.and_then(|text| text.trim().parse().ok());
        Err(Failure {
            status: Some(response.status()),
            arrived: true,
            asked_pause: seconds.map(Duration::from_secs),
            error: Error::Status {
                endpoint,
                status: response.status().as_u16(),
                message: message(response.body()),
            },
        })
    }

    /// A request without a token, tried as often as the policy says.
    pub(crate) async fn call(
        &self,
        endpoint: &'static str,
        request: &http::Request<Bytes>,
        most: usize,
    ) -> Result<Bytes, Error> {
        let mut tries = self.tries();
        loop {
            match self.attempt(endpoint, request.clone(), most).await {
                Ok(body) => return Ok(body),
                Err(failure) => tries.again(failure).await?,
            }
        }
    }
}

/// What a service says about a refusal, if it is text.
fn message(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let inner = json.as_ref().and_then(|json| json["error"]["message"].as_str());
    let text = inner.unwrap_or_else(|| str::from_utf8(body).unwrap_or_default());
    text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_short_text() {
        assert_eq!(
            message(br#"{"error":{"message":"Evaluation key not found"}}"#),
            "Evaluation key not found"
        );
        assert_eq!(message(b"plain\x1b[31m text\n"), "plain[31m text");
        assert_eq!(message(&[0xff, 0xfe]), "");
        assert_eq!(message("ä".repeat(1000).as_bytes()).chars().count(), MAX_MESSAGE);
    }

    #[test]
    fn addresses_keep_a_path() {
        for (base, address) in [
            ("https://pir.example", "https://pir.example/config"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/config"),
            ("http://host.example/pir/", "http://host.example/pir/config"),
        ] {
            assert_eq!(below(&Url::parse(base).unwrap(), "/config").to_string(), address);
        }
    }
}
