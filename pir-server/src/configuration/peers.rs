//! By what connections are counted.

use super::error::ConfigurationError;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;

/// Where the address of a peer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerSource {
    /// The address that the connection comes from.
    Connection,
    /// The header of the PROXY protocol, which connections from these networks begin with; others are closed.
    ProxyHeader { proxies: Vec<IpNet> },
    /// Connections are not counted by peer: they come from a balancer that mixes requests of many.
    None,
}

/// By what connections are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    pub(crate) source: PeerSource,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self { source: PeerSource::Connection }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawSource {
    #[default]
    Connection,
    ProxyProtocol,
    None,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawPeers {
    address: RawSource,
    proxies: Vec<String>,
}

fn network(key: &str, text: &str) -> Result<IpNet, ConfigurationError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| {
        let reason =
            format!("an address or a network is expected, such as 10.0.0.0/8, not {text:?}");
        ConfigurationError::value(key, reason)
    })
}

impl TryFrom<RawPeers> for PeerSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawPeers) -> Result<Self, ConfigurationError> {
        let numbered = raw.proxies.iter().enumerate();
        let proxies = numbered
            .map(|(index, text)| network(&format!("proxies[{index}]"), text))
            .collect::<Result<Vec<_>, _>>()?;
        let source = match raw.address {
            RawSource::ProxyProtocol if proxies.is_empty() => {
                let reason = "the addresses of the balancers that send headers are expected: from \
                              others a header could name anyone";
                return Err(ConfigurationError::value("proxies", reason));
            }
            RawSource::ProxyProtocol => PeerSource::ProxyHeader { proxies },
            _ if !proxies.is_empty() => {
                let reason = "has a meaning only with \"address\": \"proxyProtocol\"";
                return Err(ConfigurationError::value("proxies", reason));
            }
            RawSource::Connection => PeerSource::Connection,
            RawSource::None => PeerSource::None,
        };
        Ok(Self { source })
    }
}
