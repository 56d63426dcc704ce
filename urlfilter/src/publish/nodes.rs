//! Nodes that a publisher can ask how far they are.

use crate::answer::body;
use crate::output::bar_style;
use anyhow::{Context, bail};
use indicatif::ProgressBar;
use pir_server::causes::WithCauses;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// The admin addresses of all nodes.
pub(crate) struct Nodes {
    addresses: Vec<String>,
    use_case: String,
    http: reqwest::Client,
}

/// What is read of `GET /releases`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    use_case: String,
    active: Option<String>,
    ready: Option<String>,
}

const PAUSE: Duration = Duration::from_millis(500);

impl Nodes {
    pub(crate) fn new(addresses: &[String], use_case: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        let addresses =
            addresses.iter().map(|address| address.trim_end_matches('/').to_owned()).collect();
        Ok(Self { addresses, use_case: use_case.to_owned(), http })
    }

    /// All nodes behind a name.
    pub(crate) async fn resolve(url: &str, use_case: &str) -> anyhow::Result<Self> {
        let parsed = url::Url::parse(url).with_context(|| url.to_owned())?;
        let host = parsed.host_str().with_context(|| format!("{url}: it names no host"))?;
        let port = parsed.port_or_known_default().unwrap_or(80);
        let found = tokio::net::lookup_host((host, port)).await.with_context(|| url.to_owned())?;
        let mut addresses: Vec<String> =
            found.map(|address| format!("{}://{address}", parsed.scheme())).collect();
        addresses.sort();
        addresses.dedup();
        anyhow::ensure!(!addresses.is_empty(), "{url}: the name has no address");
        Self::new(&addresses, use_case)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    async fn standing(&self, address: &str) -> anyhow::Result<Standing> {
        let response = self.http.get(format!("{address}/releases")).send().await?;
        let body = body(response.error_for_status()?).await?;
        let all: Vec<Standing> =
            serde_json::from_slice(&body).context("not the answer of a pir-server")?;
        let it = all.into_iter().find(|standing| standing.use_case == self.use_case);
        it.with_context(|| format!("it does not follow the use case {}", self.use_case))
    }

    async fn wait(
        &self,
        what: &str,
        seconds: u64,
        is_there: impl Fn(&Standing) -> bool,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let bar = ProgressBar::new(self.addresses.len() as u64)
            .with_message(format!("nodes that {what}"))
            .with_style(bar_style("{msg} {bar:30} {pos}/{len}"));
        for address in &self.addresses {
            loop {
                let reason = match self.standing(address).await {
                    Ok(standing) if is_there(&standing) => break,
                    Ok(_) => format!("it does not yet {what}"),
                    Err(error) => WithCauses(error.as_ref()).to_string(),
                };
                if Instant::now() >= end {
                    bail!("node {address}: {reason}, after {seconds} s");
                }
                tokio::time::sleep(PAUSE).await;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    pub(crate) async fn wait_until_ready(&self, id: &str, seconds: u64) -> anyhow::Result<()> {
        let is = |name: &Option<String>| name.as_deref() == Some(id);
        self.wait("have the release", seconds, |node| is(&node.ready) || is(&node.active)).await
    }

    pub(crate) async fn wait_until_served(&self, id: &str, seconds: u64) -> anyhow::Result<()> {
        self.wait("serve the release", seconds, |node| node.active.as_deref() == Some(id)).await
    }
}
