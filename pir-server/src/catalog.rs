//! What is served: the data sets of all use cases, in the versions that clients know.

use crate::configuration::{ShardFiles, UseCase};
use crate::data_set::{DataSet, DataSetError};
use std::collections::BTreeMap;
use std::sync::Arc;
use unix_clock::Timestamp;

/// Why there is no data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The use case is unknown.
    UseCase,
    /// The use case is known, and the version is not, or not any more.
    Version,
}

/// A version that is not the newest any more.
#[derive(Clone)]
struct Superseded {
    data: Arc<DataSet>,
    /// When it is no longer served: entries that were removed from the list may still be in it.
    until: Timestamp,
}

/// The versions of one use case.
#[derive(Clone)]
struct Versions {
    newest: Arc<DataSet>,
    /// The latest last.
    superseded: Vec<Superseded>,
}

/// A use case, as far as operators need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedUseCase {
    /// Its name in the configuration.
    pub name: String,
    /// Number of versions that are served, the newest included.
    pub versions: usize,
    /// Number of shards of the newest version.
    pub shards: usize,
}

/// All use cases with their versions.
#[derive(Clone, Default)]
pub struct Catalog {
    use_cases: BTreeMap<String, Versions>,
}

impl Catalog {
    /// Opens the data sets of a configuration. Versions of an earlier catalog stay for a while; use
    /// cases that the configuration does not name go.
    pub fn open(
        use_cases: &[(UseCase, ShardFiles)],
        earlier: &Self,
        now: Timestamp,
    ) -> Result<Self, DataSetError> {
        let mut catalog = Self::default();
        for (use_case, files) in use_cases.iter().filter(|(use_case, _)| use_case.is_served()) {
            let newest = Arc::new(DataSet::open(use_case, files)?);
            if let Some(versions) = earlier.use_cases.get(&use_case.name) {
                catalog.use_cases.insert(use_case.name.clone(), versions.clone());
            }
            catalog.put(use_case, newest, now);
        }
        Ok(catalog)
    }

    /// Takes a data set as the newest of its use case. The one before it is served on, to clients
    /// that name it, for as long as the use case says; if it has the same configuration, clients
    /// cannot tell the two apart, and it goes.
    pub fn put(&mut self, use_case: &UseCase, newest: Arc<DataSet>, now: Timestamp) {
        let id = *newest.config_id();
        let mut superseded = Vec::new();
        if let Some(versions) = self.use_cases.remove(&use_case.name) {
            superseded = versions.superseded;
            let until = now + use_case.superseded_for;
            superseded.push(Superseded { data: versions.newest, until });
        }
        superseded.retain(|version| *version.data.config_id() != id);
        let surplus = (superseded.len() + 1).saturating_sub(use_case.version_count);
        superseded.drain(..surplus);
        self.use_cases.insert(use_case.name.clone(), Versions { newest, superseded });
    }

    /// Whether a version's time is over.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let mut superseded = self.use_cases.values().flat_map(|versions| &versions.superseded);
        superseded.any(|version| version.until <= now)
    }

    /// Lets versions go whose time is over.
    pub fn expire(&mut self, now: Timestamp) {
        for versions in self.use_cases.values_mut() {
            versions.superseded.retain(|version| version.until > now);
        }
    }

    /// The newest version of every use case, in the order of their names.
    pub fn newest_of_all(&self) -> impl Iterator<Item = (&str, &Arc<DataSet>)> {
        self.use_cases.iter().map(|(name, versions)| (name.as_str(), &versions.newest))
    }

    /// What is served, in the order of the use cases' names.
    pub fn served(&self) -> Vec<ServedUseCase> {
        let served = self.use_cases.iter().map(|(name, versions)| ServedUseCase {
            name: name.clone(),
            versions: versions.superseded.len() + 1,
            shards: versions.newest.shard_count(),
        });
        served.collect()
    }

    /// The newest version of a use case.
    pub fn newest(&self, name: &str) -> Option<&Arc<DataSet>> {
        Some(&self.use_cases.get(name)?.newest)
    }

    /// The version that a client names.
    pub fn version(&self, name: &str, id: &[u8]) -> Result<&Arc<DataSet>, Missing> {
        let versions = self.use_cases.get(name).ok_or(Missing::UseCase)?;
        all(versions).find(|data| data.config_id() == id).ok_or(Missing::Version)
    }

    /// A data set of that key configuration.
    pub fn with_keys(&self, hash: &[u8]) -> Option<&Arc<DataSet>> {
        self.use_cases.values().flat_map(all).find(|data| data.key_config_hash() == hash)
    }
}

fn all(versions: &Versions) -> impl Iterator<Item = &Arc<DataSet>> {
    std::iter::once(&versions.newest).chain(versions.superseded.iter().map(|version| &version.data))
}
