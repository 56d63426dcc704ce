//! What is done with a result: it is published, or a running service is told.

#[cfg(feature = "http")]
mod service;

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

/// Where a result goes; `None` if it stays where it is.
pub(crate) fn destination(delivery: &Delivery) -> Option<&str> {
    match delivery {
        Delivery::None => None,
        Delivery::Reload { address } | Delivery::Publish { address, .. } => Some(address),
    }
}

/// What is found where a result was delivered.
#[cfg_attr(
    not(any(feature = "http", feature = "publish")),
    expect(dead_code, reason = "nothing can be looked at")
)]
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

    /// Looks whether the release that was published last is still the one that is announced, or whether the service that was
    /// told still serves the result.
    #[cfg_attr(
        not(all(feature = "http", feature = "publish")),
        expect(unused_variables, reason = "services and publications each need some of them")
    )]
    pub(crate) fn look(
        &self,
        release: Option<&str>,
        built: &BuiltState,
        manifest: &Manifest,
    ) -> Found {
        #[cfg(feature = "http")]
        if let Delivery::Reload { address } = &self.configuration.delivery {
            let use_case = self.configuration.use_case.as_deref();
            let looked = runtime().and_then(|runtime| {
                runtime.block_on(service::serves(address, use_case, &built.tag, manifest))
            });
            return match looked {
                Ok(Some(false)) => Found::Missing,
                Ok(Some(true) | None) => Found::AsDelivered,
                Err(error) => Found::Unlike(format!(
                    "{address}: cannot be asked what it serves: {}; it reads this data set when it starts",
                    error_reporter::Report::new(&*error)
                )),
            };
        }
        #[cfg(feature = "publish")]
        if let Delivery::Publish { address, .. } = &self.configuration.delivery {
            let current =
                runtime().and_then(|runtime| runtime.block_on(announced(address, release)));
            return match current {
                Err(error) => Found::Unlike(format!(
                    "what is published cannot be read: {}",
                    error_reporter::Report::new(&*error)
                )),
                Ok(None) => Found::Missing,
                Ok(Some(announced)) if !announced.is_active => Found::Missing,
                Ok(Some(Announced { id, has_filter, .. })) if Some(id.as_str()) == release => {
                    if has_filter {
                        Found::AsDelivered
                    } else {
                        Found::Missing
                    }
                }
                Ok(Some(Announced { id, .. })) => Found::Unlike(format!(
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
                        runtime.block_on(service::reload(address, use_case, &built.tag, manifest))
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

/// The release that a publication announces.
#[cfg(feature = "publish")]
struct Announced {
    id: String,
    /// Whether the time of its activation is set.
    is_active: bool,
    /// Whether the prefilters that belong to it are where apps fetch them; of another release than the expected one this is
    /// not looked at.
    has_filter: bool,
}

#[cfg(feature = "publish")]
async fn announced(address: &str, expected: Option<&str>) -> Result<Option<Announced>, Cause> {
    use pir_dataset::publication::ReleaseStore;
    use std::collections::BTreeMap;

    let store = ReleaseStore::open(address, &BTreeMap::new())?;
    let Some((current, _)) = store.current(None).await? else { return Ok(None) };
    let has_filter = match expected == Some(current.release.id.as_str()) {
        true => store.has_filter_by_length(&store.release(&current.release).await?).await?,
        false => true,
    };
    Ok(Some(Announced {
        has_filter,
        is_active: current.activate_at.is_some(),
        id: current.release.id,
    }))
}
