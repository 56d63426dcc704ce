//! What requests may cost.

use super::error::ConfigurationError;
use super::timeout::{MAX_SECONDS, seconds};
use crate::tier::Tier;
use serde::Deserialize;
use std::num::NonZero;
use std::time::Duration;

/// Smallest limit for the head of a request: below it, requests of devices do not fit.
const MIN_HEADER_BYTES: usize = 8192;

/// How many tokens one user may be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuanceLimit {
    pub(crate) per_hour: NonZero<u32>,
    pub(crate) per_day: NonZero<u32>,
}

impl IssuanceLimit {
    /// A limit of tokens by hour and by day; `None` if one of them is 0.
    #[must_use]
    pub fn new(per_hour: u32, per_day: u32) -> Option<Self> {
        Some(Self { per_hour: NonZero::new(per_hour)?, per_day: NonZero::new(per_day)? })
    }

    /// Tokens in an hour, which begins with the first of them.
    #[must_use]
    pub fn per_hour(&self) -> NonZero<u32> {
        self.per_hour
    }

    /// Tokens in a day, which begins with the first of them.
    #[must_use]
    pub fn per_day(&self) -> NonZero<u32> {
        self.per_day
    }
}

/// The limit of each tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IssuanceLimits([IssuanceLimit; Tier::ALL.len()]);

impl IssuanceLimits {
    /// The limit of users of a tier.
    pub(crate) fn of(&self, tier: Tier) -> IssuanceLimit {
        let [first, second, third] = self.0;
        match tier {
            Tier::Tier1 => first,
            Tier::Tier2 => second,
            Tier::Tier3 => third,
        }
    }
}

/// Longest requests through the gateway that `unauthenticatedBytes` must have room for: such a request is there twice while it
/// is opened, and one peer may take half of the memory.
const UNAUTHENTICATED_CAPSULES: usize = 4;
/// Longest request through the gateway without a setting. The longest that clients send are evaluation keys (582 KB in the
/// larger form of devices' parameters) and 16 queries (460 KB, or 1.8 MB with the largest parameters).
const DEFAULT_CAPSULE_BYTES: usize = 2 << 20;
/// Memory for unauthenticated requests without a setting.
const DEFAULT_UNAUTHENTICATED_BYTES: usize = 128 << 20;
/// Connections of one peer without a setting are a quarter of all, but not fewer than this many.
const MIN_DEFAULT_PER_PEER: usize = 64;

fn default_per_peer(connections: usize) -> usize {
    (connections / 4).max(MIN_DEFAULT_PER_PEER).min(connections)
}

/// What requests may cost. [`Limits::default`] suits a machine with 8 GB of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of a request.
    pub(crate) body_bytes: usize,
    /// Longest request through the gateway, encrypted; at most `body_bytes`.
    pub(crate) capsule_bytes: usize,
    /// Memory for all bodies that are being read or answered, without those for the gateway; at least `body_bytes`.
    pub(crate) bodies_in_flight_bytes: usize,
    /// Longest head of a request; at least 8 KiB.
    pub(crate) header_bytes: usize,
    /// Largest number of queries in one request.
    pub(crate) batch: usize,
    /// Largest number of tasks of each kind that wait or run; at least `batch`.
    pub(crate) queue: usize,
    /// How long a task may wait: after that, its client has given up.
    pub(crate) max_wait: Duration,
    /// How many tokens users are issued.
    pub(crate) tokens: IssuanceLimits,
    /// Largest number of open connections.
    pub(crate) connections: usize,
    /// Largest number of open connections of one peer.
    pub(crate) connections_per_peer: usize,
    /// Memory for requests that nobody has proved to be entitled to; at least [`UNAUTHENTICATED_CAPSULES`]
    /// requests through the gateway.
    pub(crate) unauthenticated_bytes: usize,
    /// For a TLS handshake, and for the head of a request to arrive.
    pub(crate) header_timeout: Duration,
    /// For the body of a request to arrive.
    pub(crate) body_timeout: Duration,
    /// From the head of a request to its response.
    pub(crate) request_timeout: Duration,
    /// For a connection without a request.
    pub(crate) idle_timeout: Duration,
    /// For an answer to be taken, in addition to the time that its length takes at the minimum rate.
    pub(crate) answer_timeout: Duration,
    /// The minimum rate at which answers are taken, in bytes a second.
    pub(crate) answer_bytes_per_second: usize,
    /// For requests to finish after SIGTERM.
    pub(crate) drain_timeout: Duration,
    /// Memory for parsed evaluation keys.
    pub(crate) key_cache_bytes: u64,
    /// Largest data set that is kept in memory; the words of a larger one are read from its files for each query.
    pub(crate) data_set_bytes: u64,
    /// Most bytes of memory for superseded versions of a use case, apart from the latest.
    pub(crate) superseded_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawLimits {
    body_bytes: usize,
    capsule_bytes: Option<usize>,
    bodies_in_flight_bytes: usize,
    header_bytes: usize,
    batch: usize,
    queue: usize,
    wait_milliseconds: u64,
    tokens: RawTokens,
    connections: usize,
    connections_per_peer: Option<usize>,
    unauthenticated_bytes: Option<usize>,
    header_seconds: u64,
    body_seconds: u64,
    request_seconds: u64,
    idle_seconds: u64,
    answer_seconds: u64,
    answer_bytes_per_second: usize,
    drain_seconds: u64,
    key_cache_bytes: u64,
    data_set_bytes: u64,
    superseded_bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawTokens {
    tier1: RawIssuance,
    tier2: RawIssuance,
    tier3: RawIssuance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawIssuance {
    per_hour: u32,
    per_day: u32,
}

impl Default for RawIssuance {
    fn default() -> Self {
        // A device asks for up to 512 tokens at once.
        Self { per_hour: 1024, per_day: 4096 }
    }
}

impl TryFrom<RawIssuance> for IssuanceLimit {
    type Error = ConfigurationError;

    fn try_from(raw: RawIssuance) -> Result<Self, ConfigurationError> {
        let not_zero = |key, value| {
            NonZero::new(value).ok_or_else(|| ConfigurationError::value(key, "must not be 0"))
        };
        Ok(Self {
            per_hour: not_zero("perHour", raw.per_hour)?,
            per_day: not_zero("perDay", raw.per_day)?,
        })
    }
}

impl TryFrom<RawTokens> for IssuanceLimits {
    type Error = ConfigurationError;

    fn try_from(raw: RawTokens) -> Result<Self, ConfigurationError> {
        let part =
            |key, raw: RawIssuance| IssuanceLimit::try_from(raw).map_err(|error| error.within(key));
        Ok(Self([
            part("tokens.tier1", raw.tier1)?,
            part("tokens.tier2", raw.tier2)?,
            part("tokens.tier3", raw.tier3)?,
        ]))
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            capsule_bytes: None,
            bodies_in_flight_bytes: 512 << 20,
            header_bytes: 16 << 10,
            batch: 128,
            queue: 1024,
            wait_milliseconds: 3000,
            tokens: RawTokens::default(),
            connections: 5000,
            connections_per_peer: None,
            unauthenticated_bytes: None,
            header_seconds: 10,
            body_seconds: 30,
            request_seconds: 60,
            idle_seconds: 120,
            answer_seconds: 30,
            answer_bytes_per_second: 1024,
            drain_seconds: 30,
            key_cache_bytes: 1 << 30,
            data_set_bytes: 1 << 30,
            superseded_bytes: 1 << 30,
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
            ("answerBytesPerSecond", raw.answer_bytes_per_second as u64),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return wrong(key, "must not be 0");
        }
        if !(1..=1000 * MAX_SECONDS).contains(&raw.wait_milliseconds) {
            return wrong("waitMilliseconds", "a number from 1 to 86400000 is expected");
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
        let connections_per_peer =
            raw.connections_per_peer.unwrap_or_else(|| default_per_peer(raw.connections));
        if !(1..=raw.connections).contains(&connections_per_peer) {
            return wrong(
                "connectionsPerPeer",
                "a number from 1 to limits.connections is expected",
            );
        }
        let capsule_bytes =
            raw.capsule_bytes.unwrap_or_else(|| raw.body_bytes.min(DEFAULT_CAPSULE_BYTES));
        if !(1..=raw.body_bytes).contains(&capsule_bytes) {
            return wrong("capsuleBytes", "a number from 1 to limits.bodyBytes is expected");
        }
        let min_unauthenticated = capsule_bytes.saturating_mul(UNAUTHENTICATED_CAPSULES);
        let unauthenticated_bytes = raw
            .unauthenticated_bytes
            .unwrap_or_else(|| min_unauthenticated.max(DEFAULT_UNAUTHENTICATED_BYTES));
        if unauthenticated_bytes < min_unauthenticated {
            return wrong(
                "unauthenticatedBytes",
                "must be at least four times limits.capsuleBytes: a long request through the gateway never fits \
                 otherwise",
            );
        }
        Ok(Self {
            body_bytes: raw.body_bytes,
            capsule_bytes,
            bodies_in_flight_bytes: raw.bodies_in_flight_bytes,
            header_bytes: raw.header_bytes,
            batch: raw.batch,
            queue: raw.queue,
            max_wait: Duration::from_millis(raw.wait_milliseconds),
            tokens: raw.tokens.try_into()?,
            connections: raw.connections,
            connections_per_peer,
            unauthenticated_bytes,
            header_timeout: seconds("headerSeconds", raw.header_seconds, 1)?,
            body_timeout: seconds("bodySeconds", raw.body_seconds, 1)?,
            request_timeout: seconds("requestSeconds", raw.request_seconds, 1)?,
            idle_timeout: seconds("idleSeconds", raw.idle_seconds, 1)?,
            answer_timeout: seconds("answerSeconds", raw.answer_seconds, 1)?,
            answer_bytes_per_second: raw.answer_bytes_per_second,
            drain_timeout: seconds("drainSeconds", raw.drain_seconds, 0)?,
            key_cache_bytes: raw.key_cache_bytes,
            data_set_bytes: raw.data_set_bytes,
            superseded_bytes: raw.superseded_bytes,
        })
    }
}

/// How much memory data sets may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryLimits {
    /// Most bytes of a data set that is kept in memory.
    pub(crate) data_set: u64,
    /// Most bytes of the superseded versions of a use case, apart from the latest.
    pub(crate) superseded: u64,
}

impl Limits {
    /// How much memory data sets may take.
    pub(crate) fn memory(&self) -> MemoryLimits {
        MemoryLimits { data_set: self.data_set_bytes, superseded: self.superseded_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        RawLimits::default().try_into().expect("the defaults are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_quarter_of_the_connections_but_not_too_few() {
        let least = MIN_DEFAULT_PER_PEER;
        for (connections, expected) in [
            (1, 1),
            (least - 1, least - 1),
            (least, least),
            (least + 1, least),
            (4 * least, least),
            (4 * least + 3, least),
            (4 * least + 4, least + 1),
        ] {
            assert_eq!(default_per_peer(connections), expected, "{connections}");
        }
    }
}
