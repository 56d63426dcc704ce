//! What requests may cost.

use super::error::ConfigurationError;
use serde::Deserialize;
use std::time::Duration;

/// Smallest limit for the head of a request: below it, requests of devices do not fit.
const MIN_HEADER_BYTES: usize = 8192;

/// What requests may cost. [`Limits::default`] suits a machine with 8 GB of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of a request.
    pub(crate) body_bytes: usize,
    /// Memory for all bodies that are being read or answered; at least `body_bytes`.
    pub(crate) bodies_in_flight_bytes: usize,
    /// Longest head of a request; at least 8 KiB.
    pub(crate) header_bytes: usize,
    /// Largest number of queries in one request.
    pub(crate) batch: usize,
    /// Largest number of tasks that wait or run; at least `batch`.
    pub(crate) queue: usize,
    /// Largest number of open connections.
    pub(crate) connections: usize,
    /// For a TLS handshake, and for the head of a request to arrive.
    pub(crate) header_timeout: Duration,
    /// For the body of a request to arrive.
    pub(crate) body_timeout: Duration,
    /// From the head of a request to its response.
    pub(crate) request_timeout: Duration,
    /// For a connection on which nothing moves.
    pub(crate) idle_timeout: Duration,
    /// For requests to finish after SIGTERM.
    pub(crate) drain_timeout: Duration,
    /// Memory for parsed evaluation keys.
    pub(crate) key_cache_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawLimits {
    body_bytes: usize,
    bodies_in_flight_bytes: usize,
    header_bytes: usize,
    batch: usize,
    queue: usize,
    connections: usize,
    header_seconds: u64,
    body_seconds: u64,
    request_seconds: u64,
    idle_seconds: u64,
    drain_seconds: u64,
    key_cache_bytes: u64,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            bodies_in_flight_bytes: 512 << 20,
            header_bytes: 32 << 10,
            batch: 128,
            queue: 1024,
            connections: 10_000,
            header_seconds: 10,
            body_seconds: 30,
            request_seconds: 60,
            idle_seconds: 120,
            drain_seconds: 30,
            key_cache_bytes: 1 << 30,
        }
    }
}

impl TryFrom<RawLimits> for Limits {
    type Error = ConfigurationError;

    fn try_from(raw: RawLimits) -> Result<Self, ConfigurationError> {
        let wrong = |key: &str, reason: &str| Err(ConfigurationError::value(key, reason));
        let positive = [
            ("bodyBytes", raw.body_bytes as u64),
            ("batch", raw.batch as u64),
            ("queue", raw.queue as u64),
            ("connections", raw.connections as u64),
            ("headerSeconds", raw.header_seconds),
            ("bodySeconds", raw.body_seconds),
            ("requestSeconds", raw.request_seconds),
            ("idleSeconds", raw.idle_seconds),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return wrong(key, "must not be 0");
        }
        if raw.header_bytes < MIN_HEADER_BYTES {
            return wrong("headerBytes", "less than 8192 does not hold every request");
        }
        if raw.bodies_in_flight_bytes < raw.body_bytes {
            return wrong("bodiesInFlightBytes", "must be at least limits.bodyBytes");
        }
        if raw.queue < raw.batch {
            return wrong(
                "queue",
                "must be at least limits.batch: a full batch never fits otherwise",
            );
        }
        Ok(Self {
            body_bytes: raw.body_bytes,
            bodies_in_flight_bytes: raw.bodies_in_flight_bytes,
            header_bytes: raw.header_bytes,
            batch: raw.batch,
            queue: raw.queue,
            connections: raw.connections,
            header_timeout: Duration::from_secs(raw.header_seconds),
            body_timeout: Duration::from_secs(raw.body_seconds),
            request_timeout: Duration::from_secs(raw.request_seconds),
            idle_timeout: Duration::from_secs(raw.idle_seconds),
            drain_timeout: Duration::from_secs(raw.drain_seconds),
            key_cache_bytes: raw.key_cache_bytes,
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        RawLimits::default().try_into().expect("the defaults are valid")
    }
}
