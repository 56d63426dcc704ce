//! What is done with a result: it is published, or a running service is told.

use crate::configuration::{Configuration, Delivery};
use crate::error::UpdateError;
use crate::outcome::Delivered;
use crate::state::BuiltState;
#[cfg(any(feature = "http", feature = "publish"))]
use pir_dataset::Cause;
use pir_dataset::Manifest;
use pir_dataset::progress::Progress;
#[cfg(feature = "publish")]
use release_signature::SecretKey;
use sha2::{Digest, Sha256};

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

/// What is found where a result was delivered.
#[cfg_attr(not(feature = "publish"), expect(dead_code, reason = "only publications are looked at"))]
pub(crate) enum Found {
    /// The result, as far as that can be seen.
    AsDelivered,
    /// Nothing, or not all of it: it must be delivered again.
    Missing,
    /// Something else, which somebody may have meant; a sentence says what.
    Unlike(String),
}

/// Delivers results of one configuration.
pub(crate) struct Delivering<'c> {
    configuration: &'c Configuration,
    #[cfg(feature = "publish")]
    key: Option<SecretKey>,
    #[cfg_attr(not(feature = "publish"), expect(dead_code, reason = "of publications only"))]
    trusts_current: bool,
}

impl<'c> Delivering<'c> {
    /// Reads the key, if there is one.
    pub(crate) fn new(
        configuration: &'c Configuration,
        trusts_current: bool,
    ) -> Result<Self, UpdateError> {
        #[cfg(feature = "publish")]
        let key = match &configuration.delivery {
            Delivery::Publish { key, .. } => pir_dataset::publication::signing_key(key.as_deref())
                .map_err(|error| UpdateError::SigningKey { source: error.into() })?,
            _ => None,
        };
        Ok(Self {
            configuration,
            #[cfg(feature = "publish")]
            key,
            trusts_current,
        })
    }

    /// SHA-256 of what decides, beside the result and the address, what is delivered and to whom.
    pub(crate) fn digest(&self) -> String {
        let mut parts = vec![format!("{:?}", self.configuration.use_case)];
        if let Delivery::Publish { nodes, nodes_name, .. } = &self.configuration.delivery {
            parts.push(format!("{nodes:?} {nodes_name:?} {:?}", self.configuration.levels()));
        }
        #[cfg(feature = "publish")]
        parts.push(format!("{:?}", self.key.as_ref().map(|key| key.public().to_string())));
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        hex::encode(digest.finalize())
    }

    /// Looks whether the release that was published last is still the one that is announced. Services are not asked.
    #[cfg_attr(
        not(feature = "publish"),
        expect(unused_variables, reason = "only publications have releases")
    )]
    pub(crate) fn look(&self, release: Option<&str>) -> Found {
        #[cfg(feature = "publish")]
        if let Delivery::Publish { address, .. } = &self.configuration.delivery {
            let current = runtime().and_then(|runtime| runtime.block_on(announced(address)));
            return match current {
                Err(error) => Found::Unlike(format!(
                    "what is published cannot be read: {}",
                    error_reporter::Report::new(&*error)
                )),
                Ok(None) => Found::Missing,
                Ok(Some((_, false))) => Found::Missing,
                Ok(Some((id, true))) if Some(id.as_str()) == release => Found::AsDelivered,
                Ok(Some((id, true))) => Found::Unlike(format!(
                    "{address}: announces the release {id}, which somebody else published or went back to; the lists \
                     are published again when they change"
                )),
            };
        }
        Found::AsDelivered
    }

    /// Delivers a result.
    #[cfg_attr(
        not(all(feature = "http", feature = "publish")),
        expect(unused_variables, reason = "services and publications each need some of them")
    )]
    pub(crate) fn deliver(
        &self,
        built: &BuiltState,
        manifest: &Manifest,
        progress: &dyn Progress,
    ) -> Result<Option<Delivered>, UpdateError> {
        let Some(to) = destination(&self.configuration.delivery) else { return Ok(None) };
        let release = match &self.configuration.delivery {
            Delivery::None => None,
            #[cfg(feature = "http")]
            Delivery::Reload { address } => {
                let use_case = self.configuration.use_case.as_deref();
                runtime()
                    .and_then(|runtime| {
                        runtime.block_on(reload(address, use_case, &built.tag, manifest))
                    })
                    .map_err(|source| failed(to, source))?;
                None
            }
            #[cfg(feature = "publish")]
            publication @ Delivery::Publish { .. } => {
                let published = runtime()
                    .and_then(|runtime| runtime.block_on(self.publish(publication, progress)));
                Some(published.map_err(|source| failed(to, source))?)
            }
            #[cfg(not(all(feature = "http", feature = "publish")))]
            _ => None,
        };
        Ok(Some(Delivered { to: to.to_owned(), release }))
    }

    /// Publishes the result as a release, and returns its id.
    #[cfg(feature = "publish")]
    async fn publish(
        &self,
        publication: &Delivery,
        progress: &dyn Progress,
    ) -> Result<String, Cause> {
        use pir_dataset::publication::{
            Nodes, Publisher, ReleaseStore, Schedule, gather, gather_with_levels,
        };
        use std::collections::BTreeMap;

        let configuration = self.configuration;
        let Delivery::Publish {
            address,
            nodes,
            nodes_name,
            lead,
            filter_delay,
            node_timeout,
            keep,
            ..
        } = publication
        else {
            return Err("it is no publication".into());
        };
        let use_case = configuration.use_case.as_deref().ok_or("service.use_case is missing")?;
        let folders = &configuration.folders;
        let gathered = match configuration.levels().is_empty() {
            true => gather(&folders.stem(), &folders.build())?,
            false => gather_with_levels(&folders.stem(), &folders.build(), &folders.levels())?,
        };
        let nodes = match nodes_name {
            Some(name) => Nodes::resolve(name, use_case).await?,
            None => Nodes::new(nodes, use_case)?,
        };
        let mut schedule = Schedule::new(&nodes);
        schedule.lead = lead.unwrap_or(schedule.lead);
        schedule.filter_delay = *filter_delay;
        schedule.node_timeout = *node_timeout;
        let store = ReleaseStore::open(address, &BTreeMap::new())?;
        let publisher = Publisher::open(store, use_case, nodes, schedule).await?;
        let mut publisher =
            publisher.with_progress(progress).with_trust_in_current(self.trusts_current);
        if let Some(key) = &self.key {
            publisher = publisher.with_key(key);
        }
        let published = publisher.publish(&gathered).await?;
        publisher.finish(&published.announced).await?;
        if *keep > 0 {
            publisher.prune(*keep).await?;
        }
        Ok(published.announced.release.id)
    }
}

#[cfg(any(feature = "http", feature = "publish"))]
fn failed(to: &str, source: Cause) -> UpdateError {
    UpdateError::Deliver { to: to.to_owned(), source }
}

#[cfg(any(feature = "http", feature = "publish"))]
fn runtime() -> Result<tokio::runtime::Runtime, Cause> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The release that a publication announces, and whether its time is set.
#[cfg(feature = "publish")]
async fn announced(address: &str) -> Result<Option<(String, bool)>, Cause> {
    use pir_dataset::publication::ReleaseStore;
    use std::collections::BTreeMap;

    let current = ReleaseStore::open(address, &BTreeMap::new())?.current(None).await?;
    Ok(current.map(|(current, _)| (current.release.id, current.activate_at.is_some())))
}

/// Tells a service to reload, and checks that it serves this data set with this prefilter.
#[cfg(feature = "http")]
async fn reload(
    address: &str,
    use_case: Option<&str>,
    tag: &str,
    manifest: &Manifest,
) -> Result<(), Cause> {
    use http_body_util::{BodyExt, Limited};
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reloaded {
        use_cases: Vec<ReloadedUseCase>,
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
    let Some(use_case) = use_case else {
        let mut served = reloaded.use_cases.iter();
        return match served.any(|served| served.difference(tag, manifest).is_none()) {
            true => Ok(()),
            false => Err("none of the use cases of the service is this data set; its fileStem names other files, or the \
                          service is older than this program"
                .into()),
        };
    };
    let served = reloaded.use_cases.iter().find(|served| served.name == use_case);
    let served =
        served.ok_or_else(|| format!("the service does not serve the use case {use_case}"))?;
    match served.difference(tag, manifest) {
        None => Ok(()),
        Some(difference) => Err(format!("the service serves {use_case}, and {difference}").into()),
    }
}

/// What a service says of a use case after a reload.
#[cfg(feature = "http")]
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReloadedUseCase {
    name: String,
    shards: u32,
    config_id: Option<String>,
    rows: Option<u64>,
    keywords_sha256: Option<String>,
    tag: Option<String>,
}

#[cfg(feature = "http")]
impl ReloadedUseCase {
    /// What shows that something else is served; `None` if this data set is.
    fn difference(&self, tag: &str, manifest: &Manifest) -> Option<String> {
        let other_files = "its fileStem names other files";
        if self.shards != manifest.shard_count {
            let (served, here) = (self.shards, manifest.shard_count);
            return Some(format!("it has {served} shards there, and {here} here; {other_files}"));
        }
        let Some(config_id) = &self.config_id else {
            return Some(
                "it does not say which data set that is; update the service to the version of this program"
                    .to_owned(),
            );
        };
        if *config_id != manifest.config_id {
            return Some(format!(
                "its configuration there is {config_id}, and {} here; {other_files}",
                manifest.config_id
            ));
        }
        if let Some(rows) = self.rows.filter(|rows| *rows != manifest.rows) {
            return Some(format!(
                "it has {rows} rows there, and {} here; {other_files}",
                manifest.rows
            ));
        }
        if self.keywords_sha256 != manifest.keywords_sha256 {
            return Some(format!("it has other keywords there; {other_files}"));
        }
        match &self.tag {
            Some(served) if served != tag => Some(format!(
                "its prefilter there has the tag {served}, and {tag} here; its filter names another folder"
            )),
            _ => None,
        }
    }
}
