//! The Oblivious HTTP gateway.

use super::error::ConfigurationError;
use crate::host::{host_name, is_host};
use http::uri::Authority;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

const DAY: Duration = Duration::from_secs(86_400);
/// Longest time that a key is published, and that it is accepted afterwards, in days.
const MAX_DAYS: u32 = 3650;

/// Another server that answers requests for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The name in requests, in lower case and without the default port.
    pub(crate) host: String,
    /// Where the server is, without a `/` at the end.
    pub(crate) base: String,
}

/// An Oblivious HTTP gateway (RFC 9458).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Hosts that this service answers for, in lower case and without the default port.
    pub(crate) hosts: Vec<String>,
    /// Hosts that other servers answer for.
    pub(crate) origins: Vec<Origin>,
    /// How long a key is published.
    pub(crate) rotation: Duration,
    /// How long a key is accepted after that.
    pub(crate) overlap: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawGateway {
    hosts: Vec<String>,
    origins: BTreeMap<String, String>,
    rotation_days: u32,
    overlap_days: u32,
}

impl Default for RawGateway {
    fn default() -> Self {
        Self { hosts: Vec::new(), origins: BTreeMap::new(), rotation_days: 30, overlap_days: 7 }
    }
}

fn host(key: &str, text: &str) -> Result<String, ConfigurationError> {
    match text.parse::<Authority>() {
        Ok(authority) if is_host(&authority) => Ok(host_name(&authority)),
        _ => {
            let reason = format!("the name of a host is expected, not {text:?}");
            Err(ConfigurationError::value(key, reason))
        }
    }
}

impl TryFrom<RawGateway> for GatewaySettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawGateway) -> Result<Self, ConfigurationError> {
        if raw.hosts.is_empty() && raw.origins.is_empty() {
            let reason =
                "a host is expected here or in origins: without one every request is refused";
            return Err(ConfigurationError::value("hosts", reason));
        }
        let mut hosts = Vec::with_capacity(raw.hosts.len());
        for (index, text) in raw.hosts.iter().enumerate() {
            hosts.push(host(&format!("hosts[{index}]"), text)?);
        }
        let mut origins = Vec::with_capacity(raw.origins.len());
        for (name, base) in &raw.origins {
            let is_base = Url::parse(base)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_base {
                let reason = "an address is expected, such as http://10.0.0.2:8080";
                return Err(ConfigurationError::value(format!("origins.{name}"), reason));
            }
            let (host, base) = (host("origins", name)?, base.trim_end_matches('/').to_owned());
            origins.push(Origin { host, base });
        }
        if !(1..=MAX_DAYS).contains(&raw.rotation_days) {
            let reason = format!("a number of days from 1 to {MAX_DAYS} is expected");
            return Err(ConfigurationError::value("rotationDays", reason));
        }
        if raw.overlap_days > MAX_DAYS {
            let reason = format!("a number of days from 0 to {MAX_DAYS} is expected");
            return Err(ConfigurationError::value("overlapDays", reason));
        }
        let (rotation, overlap) = (DAY * raw.rotation_days, DAY * raw.overlap_days);
        Ok(Self { hosts, origins, rotation, overlap })
    }
}
