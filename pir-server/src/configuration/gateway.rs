//! The Oblivious HTTP gateway.

use super::error::{ConfigurationError, Feature};
use crate::host::{host_name, is_host};
use http::Method;
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
    /// Where the server is, with the beginning of its paths.
    base: Url,
}

#[cfg(feature = "gateway")]
impl Origin {
    /// The address of a request.
    #[must_use]
    pub(crate) fn at(&self, request: &DeviceRequest) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), request.path));
        url
    }
}

/// A request that devices send to an issuer or a service, by its method and its exact path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceRequest {
    method: Method,
    path: String,
}

impl DeviceRequest {
    /// Whether a request has this method and, byte for byte, this path and no query.
    #[cfg(feature = "gateway")]
    #[must_use]
    pub(crate) fn is(&self, method: &Method, path_and_query: &str) -> bool {
        self.method == *method && self.path == path_and_query
    }

    /// A POST to this path. `None` unless the path is one that no server reads as another.
    pub(super) fn post(path: &str) -> Option<Self> {
        Self::parse(&format!("POST {path}"))
    }

    /// Reads `POST /issue`. `None` unless the path is one that no server reads as another.
    fn parse(text: &str) -> Option<Self> {
        let (method, path) = text.split_once(' ')?;
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            _ => return None,
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        let is_name = |segment: &str| {
            let is_relative = matches!(segment, "" | "." | "..");
            !is_relative && segment.chars().all(is_plain)
        };
        let mut segments = path.strip_prefix('/')?.split('/');
        segments.all(is_name).then(|| Self { method, path: path.to_owned() })
    }
}

/// What devices send to an issuer and to a service.
const DEVICE_REQUESTS: [&str; 8] = [
    "GET /.well-known/private-token-issuer-directory",
    "GET /token-key-for-user-token",
    "POST /issue",
    "GET /config",
    "POST /config",
    "POST /key",
    "POST /queries",
    "POST /report",
];

/// An Oblivious HTTP gateway (RFC 9458).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Hosts that this service answers for, in lower case and without the default port.
    pub(crate) hosts: Vec<String>,
    /// Hosts that other servers answer for.
    pub(crate) origins: Vec<Origin>,
    /// What other servers are asked, and nothing else.
    pub(crate) requests: Vec<DeviceRequest>,
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
    requests: Vec<String>,
    rotation_days: u32,
    overlap_days: u32,
}

impl Default for RawGateway {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            origins: BTreeMap::new(),
            requests: Vec::new(),
            rotation_days: 30,
            overlap_days: 7,
        }
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

/// An address to which paths can be appended.
fn base_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let has_user = !url.username().is_empty() || url.password().is_some();
    let is_base = is_http && !has_user && url.query().is_none() && url.fragment().is_none();
    is_base.then_some(url)
}

impl GatewaySettings {
    /// Passes reports at this path on as well.
    pub(super) fn with_reports(mut self, path: &str) -> Self {
        self.requests
            .extend(DeviceRequest::post(path).filter(|post| !self.requests.contains(post)));
        self
    }
}

impl TryFrom<RawGateway> for GatewaySettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawGateway) -> Result<Self, ConfigurationError> {
        ConfigurationError::unless_built("", Feature::Gateway)?;
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
            let Some(base) = base_address(base) else {
                let reason = "an address is expected, such as http://10.0.0.2:8080, without user, query and fragment";
                return Err(ConfigurationError::value(format!("origins.{name}"), reason));
            };
            ConfigurationError::unless_reachable(&format!("origins.{name}"), base.as_str())?;
            origins.push(Origin { host: host("origins", name)?, base });
        }
        let mut requests = Vec::with_capacity(DEVICE_REQUESTS.len() + raw.requests.len());
        requests.extend(DEVICE_REQUESTS.into_iter().filter_map(DeviceRequest::parse));
        for (index, text) in raw.requests.iter().enumerate() {
            let Some(request) = DeviceRequest::parse(text) else {
                let reason = format!(
                    "GET or POST and a path of letters, digits, `-`, `.`, `_` and `~` are expected, such as \
                     \"POST /token-request\", not {text:?}"
                );
                return Err(ConfigurationError::value(format!("requests[{index}]"), reason));
            };
            requests.push(request);
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
        Ok(Self { hosts, origins, requests, rotation, overlap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_devices_can_be_written_in_a_configuration() {
        for text in DEVICE_REQUESTS {
            assert!(DeviceRequest::parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn paths_that_servers_read_as_others_are_refused() {
        for path in [
            "/..",
            "/../a",
            "/a/..",
            "/.",
            "/a/./b",
            "//a",
            "/a/",
            "/",
            "",
            "a",
            "/%2e%2e/a",
            "/a%2fb",
            "/a?b",
            "/a#b",
            "/a;b",
            "/a\\b",
            "/a b",
            "/a\u{e4}",
        ] {
            assert!(DeviceRequest::parse(&format!("GET {path}")).is_none(), "{path}");
        }
        for text in ["PUT /a", "get /a", "/a", "GET", "GET  /a"] {
            assert!(DeviceRequest::parse(text).is_none(), "{text}");
        }
        for path in ["/a", "/a/b", "/.well-known/a", "/a..b", "/a-b_c~d.e"] {
            assert!(DeviceRequest::parse(&format!("POST {path}")).is_some(), "{path}");
        }
    }

    #[cfg(feature = "gateway")]
    #[test]
    fn paths_are_appended_to_the_address() {
        let request = DeviceRequest::parse("POST /issue").unwrap();
        for (base, expected) in [
            ("http://10.0.0.2:8080", "http://10.0.0.2:8080/issue"),
            ("http://10.0.0.2:8080/", "http://10.0.0.2:8080/issue"),
            ("https://a.example/b/", "https://a.example/b/issue"),
            ("https://a.example/b/../c", "https://a.example/c/issue"),
        ] {
            let origin = Origin { host: String::new(), base: base_address(base).unwrap() };
            assert_eq!(origin.at(&request).as_str(), expected);
        }
        for base in [
            "http://a.example/?b=",
            "http://a.example/#b",
            "http://u@a.example",
            "ftp://a.example",
            "a",
        ] {
            assert!(base_address(base).is_none(), "{base}");
        }
    }
}
