//! Single HTTP requests, and when to repeat one.

use super::io::Io;
use super::retry::RetryPolicy;
use crate::costs::Counters;
use crate::endpoint::Endpoint;
use crate::error::Error;
use bytes::Bytes;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use std::time::Duration;

/// Longest reason of a service that an error repeats, in characters.
const MAX_MESSAGE: usize = 200;

/// Names the program and its version, and nothing about its user.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("url-filter-client/", env!("CARGO_PKG_VERSION")));

/// Why an attempt failed.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The status, if there was a response.
    pub(crate) status: Option<StatusCode>,
    /// Whether the request may have reached the service.
    pub(crate) may_have_arrived: bool,
    /// The `Retry-After` header of the response.
    retry_after: Option<Duration>,
}

/// The attempts at one request.
pub(crate) struct Backoff<'io> {
    io: &'io Io,
    policy: RetryPolicy,
    failed: u32,
}

impl Backoff<'_> {
    /// Waits until the next attempt.
    ///
    /// # Errors
    /// The failure's error if another attempt is not allowed or cannot succeed.
    pub(crate) async fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        self.failed += 1;
        if self.failed >= self.policy.max_attempts || !failure.error.is_transient() {
            return Err(failure.error);
        }
        self.io.sleep(self.policy.backoff(self.failed, failure.retry_after)).await;
        Ok(())
    }
}

/// Makes requests and counts them.
pub(crate) struct HttpCaller {
    pub(crate) io: Io,
    policy: RetryPolicy,
    pub(crate) counters: Counters,
}

impl HttpCaller {
    pub(crate) fn new(io: Io, policy: RetryPolicy) -> Self {
        Self { io, policy, counters: Counters::default() }
    }

    pub(crate) fn backoff(&self) -> Backoff<'_> {
        Backoff { io: &self.io, policy: self.policy, failed: 0 }
    }

    /// One attempt. Every status but 200 is a failure.
    pub(crate) async fn attempt(
        &self,
        endpoint: Endpoint,
        mut request: http::Request<Bytes>,
        max_body: usize,
    ) -> Result<Bytes, Failure> {
        // Services expect the header, so it is set here for every transport.
        request.headers_mut().entry(http::header::USER_AGENT).or_insert(USER_AGENT);
        self.counters.sent(request.body().len());
        let sent_at = self.io.now().elapsed;
        let outcome = self.io.exchange(endpoint.party(), request, max_body).await;
        self.counters.waited(self.io.now().elapsed.saturating_sub(sent_at));
        let response = outcome.map_err(|source| Failure {
            status: None,
            may_have_arrived: source.may_have_arrived(),
            retry_after: None,
            error: Error::Transport { endpoint, source },
        })?;
        self.counters.received(response.body().len());
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = seconds.and_then(|text| text.trim().parse().ok());
        Err(Failure {
            status: Some(response.status()),
            may_have_arrived: true,
            retry_after: seconds.map(Duration::from_secs),
            error: Error::Status {
                endpoint,
                status: response.status().as_u16(),
                message: message(response.body()),
            },
        })
    }

    /// Sends a request that carries no token, as often as the policy allows.
    pub(crate) async fn send(
        &self,
        endpoint: Endpoint,
        request: &http::Request<Bytes>,
        max_body: usize,
    ) -> Result<Bytes, Error> {
        let mut backoff = self.backoff();
        loop {
            match self.attempt(endpoint, request.clone(), max_body).await {
                Ok(body) => return Ok(body),
                Err(failure) => backoff.wait(failure).await?,
            }
        }
    }
}

/// The body of a refusal, as far as it matters. The rest is skipped and not stored.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
}

/// The reason that a service gives for a refusal; empty if it is not text.
fn message(body: &[u8]) -> String {
    let json: Option<Refusal> = serde_json::from_slice(body).ok();
    let inner = json.as_ref().map(|json| json.error.message.as_str());
    let text = inner.unwrap_or_else(|| str::from_utf8(body).unwrap_or(""));
    text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_services_reason_without_control_characters() {
        assert_eq!(
            message(br#"{"error":{"message":"Evaluation key not found"}}"#),
            "Evaluation key not found"
        );
        let with_more = br#"{"a":[[{}]],"error":{"b":[],"message":"Busy","c":{}},"d":1}"#;
        assert_eq!(message(with_more), "Busy");
        assert_eq!(message(b"plain\x1b[31m text\n"), "plain[31m text");
        assert_eq!(message(&[0xff, 0xfe]), "");
    }

    #[test]
    fn the_length_of_a_message_is_limited() {
        for (length, kept) in [
            (MAX_MESSAGE - 1, MAX_MESSAGE - 1),
            (MAX_MESSAGE, MAX_MESSAGE),
            (MAX_MESSAGE + 1, MAX_MESSAGE),
        ] {
            assert_eq!(message("ä".repeat(length).as_bytes()).chars().count(), kept);
        }
    }
}
