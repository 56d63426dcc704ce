//! `[service]`: what is done with a result.

use super::raw::RawService;
use super::{ConfigurationError, Delivery, time};
use std::path::Path;
use std::time::Duration;

/// The default of [`Delivery::Publish::filter_delay`].
const DEFAULT_FILTER_DELAY: Duration = Duration::from_secs(120);
/// The default of [`Delivery::Publish::node_timeout`].
const DEFAULT_NODE_TIMEOUT: Duration = Duration::from_secs(600);
/// The default of [`Delivery::Publish::keep`].
const DEFAULT_KEEP: usize = 5;

fn refuse<T>(key: &str, reason: &str) -> Result<T, ConfigurationError> {
    Err(ConfigurationError::value(key, reason))
}

/// Refuses keys that would have no effect.
fn check_effects(raw: &RawService) -> Result<(), ConfigurationError> {
    if raw.publish.is_some() {
        return match raw.nodes_name.is_some() && !raw.nodes.is_empty() {
            true => refuse("nodes_name", "either nodes or nodes_name is expected"),
            false => Ok(()),
        };
    }
    for (key, is_there) in [
        ("nodes", !raw.nodes.is_empty()),
        ("nodes_name", raw.nodes_name.is_some()),
        ("sign", raw.sign.is_some()),
        ("lead_seconds", raw.lead_seconds.is_some()),
        ("filter_delay_seconds", raw.filter_delay_seconds.is_some()),
        ("node_timeout_seconds", raw.node_timeout_seconds.is_some()),
        ("keep", raw.keep.is_some()),
    ] {
        if is_there {
            return refuse(key, "it has no effect without publish");
        }
    }
    Ok(())
}

pub(super) fn check(raw: RawService, folder: &Path) -> Result<Delivery, ConfigurationError> {
    if raw.use_case.as_deref() == Some("") {
        return refuse("use_case", "the bundle id of the app, and .url.filtering, is expected");
    }
    check_effects(&raw)?;
    match (raw.publish, raw.reload) {
        (Some(_), Some(_)) => refuse("reload", "either publish or reload is expected"),
        (None, Some(address)) => match cfg!(feature = "http") {
            true => Ok(Delivery::Reload { address: admin_address("reload", &address)? }),
            false => Err(ConfigurationError::feature("reload", "http")),
        },
        (Some(address), None) => {
            if address.is_empty() {
                return refuse("publish", "the address of a publication is expected, or a folder");
            }
            if raw.use_case.is_none() {
                return refuse("use_case", "it is missing; a publication is of one use case");
            }
            if !cfg!(feature = "publish") {
                return Err(ConfigurationError::feature("publish", "publish"));
            }
            let is_local = !address.contains("://");
            if !is_local && !address.starts_with("file://") && !cfg!(feature = "cloud") {
                return Err(ConfigurationError::feature("publish", "cloud"));
            }
            #[cfg(feature = "publish")]
            if !is_local
                && let Err(error) =
                    pir_dataset::publication::ReleaseStore::open(&address, &Default::default())
            {
                return refuse("publish", &error_reporter::Report::new(&error).to_string());
            }
            let address = match is_local {
                true => folder.join(address).display().to_string(),
                false => address,
            };
            let mut nodes = Vec::with_capacity(raw.nodes.len());
            for (index, node) in raw.nodes.iter().enumerate() {
                nodes.push(admin_address(&format!("nodes[{index}]"), node)?);
            }
            let nodes_name = raw.nodes_name.as_deref();
            let nodes_name =
                nodes_name.map(|name| admin_address("nodes_name", name)).transpose()?;
            let filter_delay = time("filter_delay_seconds", raw.filter_delay_seconds, 1, 0)?;
            let node_timeout = time("node_timeout_seconds", raw.node_timeout_seconds, 1, 0)?;
            Ok(Delivery::Publish {
                address,
                nodes,
                nodes_name,
                key: raw.sign.map(|path| folder.join(path)),
                lead: time("lead_seconds", raw.lead_seconds, 1, 0)?,
                filter_delay: filter_delay.unwrap_or(DEFAULT_FILTER_DELAY),
                node_timeout: node_timeout.unwrap_or(DEFAULT_NODE_TIMEOUT),
                keep: raw.keep.unwrap_or(DEFAULT_KEEP),
            })
        }
        (None, None) => Ok(Delivery::None),
    }
}

/// An address of HTTP with a host.
#[cfg(any(feature = "http", feature = "publish"))]
fn admin_address(key: &str, address: &str) -> Result<String, ConfigurationError> {
    let has = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let is_host = !rest.starts_with(['/', '?', '#', ':', '@', ' '])
        && url::Url::parse(address).is_ok_and(|url| url.has_host());
    if !(has("http://") || has("https://")) || !is_host {
        let reason = "an address that begins with http:// or https:// is expected, such as http://127.0.0.1:9090";
        return refuse(key, reason);
    }
    if has("https://") && !cfg!(feature = "tls") {
        return Err(ConfigurationError::feature(key, "tls"));
    }
    Ok(address.trim_end_matches('/').to_owned())
}

#[cfg(not(any(feature = "http", feature = "publish")))]
fn admin_address(key: &str, _: &str) -> Result<String, ConfigurationError> {
    Err(ConfigurationError::feature(key, "http"))
}
