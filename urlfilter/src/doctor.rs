//! `urlfilter doctor`, check by check: what a device and Apple's onboarding would find.

mod address;
mod dns;
mod finding;
mod gateway;
mod issuer;
mod network;
mod plist;
mod prefilter;
mod service;

pub(crate) use finding::{Finding, Findings, State};

use anyhow::Context;
use network::Network;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// What is examined.
pub(crate) struct Deployment {
    pub(crate) server: String,
    pub(crate) issuer: String,
    pub(crate) gateway: Option<String>,
    pub(crate) token: Zeroizing<String>,
    pub(crate) bundle_id: String,
    pub(crate) filter: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) info_plist: Option<PathBuf>,
    pub(crate) resolver: Option<std::net::SocketAddr>,
    /// Addresses as an app that Xcode installed may have them.
    pub(crate) development: bool,
    /// Another authority that the servers' certificates may be of.
    pub(crate) authority: Option<PathBuf>,
    pub(crate) timeout: Duration,
    /// What a lookup may take.
    pub(crate) patience: Duration,
    /// Bytes that a reply may have.
    pub(crate) most_bytes: u64,
}

impl Deployment {
    fn use_case(&self) -> String {
        format!("{}.url.filtering", self.bundle_id)
    }
}

/// The host of an address; nothing if it has none.
fn host_of(address: &str) -> String {
    let url = Url::parse(address).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// Makes all checks that can be made.
///
/// # Errors
/// If the doctor itself is not able to: a file of its own that cannot be read, and the like.
pub(crate) async fn examine(deployment: &Deployment) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let network = Network::new(deployment).context("TLS cannot be set up")?;
    address::check(deployment, &mut findings);
    let server = network.reach(&deployment.server, "server", &mut findings).await;
    let issuer = if deployment.issuer == deployment.server {
        server
    } else {
        network.reach(&deployment.issuer, "issuer", &mut findings).await
    };
    if issuer {
        issuer::check(deployment, &network, &mut findings).await;
    }
    if server {
        service::check(deployment, &network, &mut findings).await?;
    }
    if let Some(gateway) = &deployment.gateway
        && network.reach(gateway, "gateway", &mut findings).await
    {
        gateway::check(deployment, gateway, &network, &mut findings).await;
    }
    if let Some(resolver) = deployment.resolver {
        dns::check(deployment, resolver, &mut findings).await;
    }
    if let Some(path) = &deployment.info_plist {
        plist::check(deployment, path, &mut findings);
    }
    Ok(findings)
}
