//! What is done with a result: it is published, or a running service is told.

use crate::configuration::{Configuration, Delivery};
use crate::error::UpdateError;
use crate::outcome::Delivered;
#[cfg(any(feature = "http", feature = "publish"))]
use pir_dataset::Cause;
use pir_dataset::progress::Progress;

/// Largest answer of a service that is read, in bytes.
#[cfg(feature = "http")]
const MAX_ANSWER: usize = 1 << 20;
/// How long a service may take to reload.
#[cfg(feature = "http")]
const RELOAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(600);

/// Where a result goes; `None` if it stays where it is.
pub(crate) fn destination(delivery: &Delivery) -> Option<&str> {
    match delivery {
        Delivery::None => None,
        Delivery::Reload { address } | Delivery::Publish { address, .. } => Some(address),
    }
}

/// Delivers the result, whose data set has this number of shards.
pub(crate) fn deliver(
    configuration: &Configuration,
    shard_count: u32,
    progress: &dyn Progress,
) -> Result<Option<Delivered>, UpdateError> {
    let Some(to) = destination(&configuration.delivery) else { return Ok(None) };
    let release = match &configuration.delivery {
        Delivery::None => None,
        #[cfg(feature = "http")]
        Delivery::Reload { address } => {
            runtime()
                .and_then(|runtime| {
                    runtime.block_on(reload(
                        address,
                        configuration.use_case.as_deref(),
                        shard_count,
                    ))
                })
                .map_err(|source| failed(to, source))?;
            None
        }
        #[cfg(feature = "publish")]
        publication @ Delivery::Publish { .. } => {
            let published = runtime().and_then(|runtime| {
                runtime.block_on(publish(configuration, publication, progress))
            });
            Some(published.map_err(|source| failed(to, source))?)
        }
        #[cfg(not(all(feature = "http", feature = "publish")))]
        _ => None,
    };
    let _ = (shard_count, progress);
    Ok(Some(Delivered { to: to.to_owned(), release }))
}

#[cfg(any(feature = "http", feature = "publish"))]
fn failed(to: &str, source: Cause) -> UpdateError {
    UpdateError::Deliver { to: to.to_owned(), source }
}

#[cfg(any(feature = "http", feature = "publish"))]
fn runtime() -> Result<tokio::runtime::Runtime, Cause> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Tells a service to reload, and checks that it serves the data set.
#[cfg(feature = "http")]
async fn reload(address: &str, use_case: Option<&str>, shard_count: u32) -> Result<(), Cause> {
    use http_body_util::{BodyExt, Limited};
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reloaded {
        use_cases: Vec<ReloadedUseCase>,
    }
    #[derive(Deserialize)]
    struct ReloadedUseCase {
        name: String,
        shards: u32,
    }
    #[derive(Deserialize)]
    struct Refused {
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }

    let client = reqwest::Client::builder().timeout(RELOAD_TIMEOUT).no_proxy().build()?;
    let response = client.post(format!("{address}/reload")).send().await?;
    let status = response.status();
    let body = Limited::new(reqwest::Body::from(response), MAX_ANSWER).collect().await?.to_bytes();
    if !status.is_success() {
        let reason = serde_json::from_slice::<Refused>(&body).map(|refused| refused.error.message);
        return Err(match reason {
            Ok(reason) => format!("the service does not reload: {reason}").into(),
            Err(_) => {
                format!("the answer to POST /reload has the status {}", status.as_u16()).into()
            }
        });
    }
    let reloaded: Reloaded = serde_json::from_slice(&body)
        .map_err(|error| format!("not the answer of a pir-server: {error}"))?;
    let Some(use_case) = use_case else { return Ok(()) };
    let served = reloaded.use_cases.iter().find(|served| served.name == use_case);
    match served.map(|served| served.shards) {
        None => Err(format!("the service does not serve the use case {use_case}").into()),
        Some(shards) if shards != shard_count => Err(format!(
            "the service serves {shards} shards as {use_case}, and this data set has {shard_count}; its fileStem \
             names other files"
        )
        .into()),
        Some(_) => Ok(()),
    }
}

/// Publishes the result as a release, and returns its id.
#[cfg(feature = "publish")]
async fn publish(
    configuration: &Configuration,
    publication: &Delivery,
    progress: &dyn Progress,
) -> Result<String, Cause> {
    use pir_dataset::publication::{
        Nodes, Publisher, ReleaseStore, Schedule, gather, gather_with_levels,
    };
    use release_signature::SecretKey;
    use std::collections::BTreeMap;

    /// Longest file of a key that is read, in bytes.
    const MAX_KEY: u64 = 1 << 16;

    let Delivery::Publish { address, nodes, key, lead, filter_delay, node_timeout, keep } =
        publication
    else {
        return Err("it is no publication".into());
    };
    let use_case = configuration.use_case.as_deref().ok_or("service.use_case is missing")?;
    let folders = &configuration.folders;
    let gathered = match configuration.levels().is_empty() {
        true => gather(&folders.stem(), &folders.build())?,
        false => gather_with_levels(&folders.stem(), &folders.build(), &folders.levels())?,
    };
    let key = match key {
        None => None,
        Some(path) => {
            let text = String::from_utf8(durable_file::read_private(path, MAX_KEY)?)?;
            let parsed = SecretKey::parse(&text);
            Some(
                parsed
                    .map_err(|error| format!("{}: cannot sign with it: {error}", path.display()))?,
            )
        }
    };
    let nodes = Nodes::new(nodes, use_case)?;
    let mut schedule = Schedule::new(&nodes);
    schedule.lead = lead.unwrap_or(schedule.lead);
    schedule.filter_delay = *filter_delay;
    schedule.node_timeout = *node_timeout;
    let store = ReleaseStore::open(address, &BTreeMap::new())?;
    let publisher = Publisher::open(store, use_case, nodes, schedule).await?;
    let mut publisher = publisher.with_progress(progress);
    if let Some(key) = &key {
        publisher = publisher.with_key(key);
    }
    let published = publisher.publish(&gathered).await?;
    publisher.finish(&published.announced).await?;
    if *keep > 0 {
        publisher.prune(*keep).await?;
    }
    Ok(published.announced.release.id)
}
