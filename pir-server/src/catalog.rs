//! The served data sets: for each use case the newest version, and superseded ones that clients still use.
//!
//! A superseded version lacks what was added to the list since. Clients that fetch their configuration from the service
//! itself are soon told to do so; those whose configuration comes from caches are answered for as long as caches may give it
//! out.

use crate::configuration::{MemoryLimits, ShardFiles, UseCase};
use crate::data_set::DataSet;
use crate::data_set_error::{DataSetError, Mismatch};
use crate::key_cache;
use crate::platform::Platform;
use error_reporter::Report;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;

/// How long a superseded version is served to clients that fetch their configuration from the service itself: until all
/// nodes have switched. The prefilter of the newest version is given out after it, so that these clients do not look up
/// what the superseded version lacks.
pub(crate) const SWITCH: Duration = Duration::from_secs(120);

/// Why no data set is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No use case has this name.
    UseCase,
    /// The use case has no such version, or no longer serves it.
    Version,
}

/// A version that is no longer the newest.
#[derive(Clone)]
struct Superseded {
    data: Arc<DataSet>,
    /// When it stops being served. The time is limited because it has entries that were since removed from the list, and
    /// lacks those that were added.
    until: Timestamp,
    /// When it stops being served to clients that fetch their configuration from the service itself.
    until_direct: Timestamp,
}

/// The versions of one use case.
#[derive(Clone)]
struct Versions {
    newest: Arc<DataSet>,
    /// From the oldest to the latest.
    superseded: Vec<Superseded>,
}

/// A use case that is served, as operators see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedUseCase {
    /// Its name in the configuration.
    pub name: String,
    /// Number of versions that are served, at least 1: the newest and the superseded ones.
    pub versions: usize,
    /// Number of shards of the newest version.
    pub shards: usize,
    /// Rows of the newest version; `None` if no manifest says so.
    pub rows: Option<u64>,
    /// When the files of the newest version were written on this machine.
    pub written_at: Option<Timestamp>,
    /// The configuration id of the newest version, hexadecimal.
    pub config_id: String,
    /// SHA-256 of the keywords of the newest version, hexadecimal; `None` if no manifest has it.
    pub keywords_sha256: Option<String>,
    /// The tag of the prefilter of the newest version, even if it is not given out yet; `None` without one.
    pub tag: Option<String>,
}

/// All use cases with their versions.
#[derive(Clone, Default)]
pub(crate) struct Catalog {
    use_cases: BTreeMap<String, Versions>,
}

impl Catalog {
    /// Opens the data sets of these use cases. The versions of an earlier catalog become superseded; use cases
    /// that are not named are no longer served.
    ///
    /// # Errors
    /// The name of the first use case whose data set cannot be served, and why.
    pub(crate) fn open(
        use_cases: &[(UseCase, ShardFiles)],
        earlier: &Self,
        memory: MemoryLimits,
        now: Timestamp,
    ) -> Result<Self, (String, DataSetError)> {
        let mut catalog = Self::default();
        for (use_case, files) in use_cases.iter().filter(|(use_case, _)| use_case.is_served()) {
            let known = earlier.use_cases.get(&use_case.name);
            let newest = match DataSet::open(use_case, files, memory.data_set) {
                Ok(newest) => Arc::new(newest),
                // The service makes them itself, and a run that was killed is continued.
                Err(error) if use_case.awaits_files && known.is_none() => {
                    let use_case = &use_case.name;
                    match error {
                        DataSetError::Mismatch {
                            mismatch: Mismatch::UnknownShardCount, ..
                        } => tracing::info!(
                            use_case,
                            "there is no data set yet; waiting for the update of the lists"
                        ),
                        error => tracing::warn!(
                            use_case, error = %Report::new(&error),
                            "there is no data set that can be served; waiting for the update of the lists"
                        ),
                    }
                    continue;
                }
                Err(error) => return Err((use_case.name.clone(), error)),
            };
            if let Some(versions) = known {
                catalog.use_cases.insert(use_case.name.clone(), versions.clone());
            }
            catalog.put(use_case, newest, memory, now);
        }
        Ok(catalog)
    }

    /// Makes a data set the newest version of its use case. The version before it stays for
    /// `superseded_for`, for clients that name it. A superseded version with the same configuration id is
    /// dropped: clients cannot tell the two apart. The oldest make room for others, the latest for none.
    pub(crate) fn put(
        &mut self,
        use_case: &UseCase,
        newest: Arc<DataSet>,
        memory: MemoryLimits,
        now: Timestamp,
    ) {
        let id = *newest.config_id();
        let mut superseded = Vec::new();
        if let Some(versions) = self.use_cases.remove(&use_case.name) {
            superseded = versions.superseded;
            let until = now + use_case.superseded_for;
            let until_direct = now + use_case.superseded_for.min(SWITCH);
            superseded.push(Superseded { data: versions.newest, until, until_direct });
        }
        superseded.retain(|version| *version.data.config_id() != id);
        let surplus = (superseded.len() + 1).saturating_sub(use_case.version_count);
        superseded.drain(..surplus.min(superseded.len()));
        keep_within(&mut superseded, memory.superseded);
        self.use_cases.insert(use_case.name.clone(), Versions { newest, superseded });
    }

    /// Whether a superseded version must stop being served.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let mut superseded = self.use_cases.values().flat_map(|versions| &versions.superseded);
        superseded.any(|version| version.until <= now)
    }

    /// Drops superseded versions that must stop being served.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for versions in self.use_cases.values_mut() {
            versions.superseded.retain(|version| version.until > now);
        }
    }

    /// The newest version of every use case, in the order of their names.
    pub(crate) fn newest_of_all(&self) -> impl Iterator<Item = (&str, &Arc<DataSet>)> {
        self.use_cases.iter().map(|(name, versions)| (name.as_str(), &versions.newest))
    }

    /// What is served, in the order of the use cases' names.
    pub(crate) fn served(&self) -> Vec<ServedUseCase> {
        let served = self.use_cases.iter().map(|(name, versions)| ServedUseCase {
            name: name.clone(),
            versions: versions.superseded.len() + 1,
            shards: versions.newest.shard_count(),
            rows: versions.newest.rows(),
            written_at: versions.newest.written_at(),
            config_id: hex::encode(versions.newest.config_id()),
            keywords_sha256: versions.newest.keywords_sha256().map(str::to_owned),
            tag: None,
        });
        served.collect()
    }

    /// Whether clients that fetch their configuration from the service itself may still query a superseded version.
    pub(crate) fn is_switching(&self, name: &str, now: Timestamp) -> bool {
        let versions = self.use_cases.get(name);
        versions.is_some_and(|versions| {
            versions.superseded.iter().any(|version| version.until_direct > now)
        })
    }

    /// The newest version of a use case.
    pub(crate) fn newest(&self, name: &str) -> Option<&Arc<DataSet>> {
        Some(&self.use_cases.get(name)?.newest)
    }

    /// The version of a use case with this configuration id, for a client on this platform.
    ///
    /// # Errors
    /// [`Missing`] says which of the two is not known.
    pub(crate) fn version(
        &self,
        name: &str,
        id: &[u8],
        platform: Platform,
        now: Timestamp,
    ) -> Result<&Arc<DataSet>, Missing> {
        let versions = self.use_cases.get(name).ok_or(Missing::UseCase)?;
        if versions.newest.config_id() == id {
            return Ok(&versions.newest);
        }
        let mut superseded = versions.superseded.iter();
        let found = superseded.find(|version| version.data.config_id() == id);
        let is_served = |version: &&Superseded| {
            platform.has_cached_configurations() || version.until_direct > now
        };
        found.filter(is_served).map(|version| &version.data).ok_or(Missing::Version)
    }

    /// Memory of the largest prepared evaluation key that a data set is queried with, in bytes; 0 without data sets.
    pub(crate) fn max_key_bytes(&self) -> usize {
        let all = self.use_cases.values().flat_map(all);
        all.map(|data| key_cache::prepared_bytes(data)).max().unwrap_or(0)
    }

    /// A data set whose evaluation keys have the configuration with this hash.
    pub(crate) fn with_keys(&self, hash: &[u8]) -> Option<&Arc<DataSet>> {
        self.use_cases.values().flat_map(all).find(|data| data.key_config_hash() == hash)
    }
}

/// Drops the oldest versions until the others, apart from the latest, take at most `max` bytes of memory.
fn keep_within(superseded: &mut Vec<Superseded>, max: u64) {
    let Some(earlier) = superseded.len().checked_sub(1) else { return };
    let mut total = 0_u64;
    let kept = superseded[..earlier].iter().rev().take_while(|version| {
        total = total.saturating_add(version.data.memory_bytes());
        total <= max
    });
    let surplus = earlier - kept.count();
    superseded.drain(..surplus);
}

fn all(versions: &Versions) -> impl Iterator<Item = &Arc<DataSet>> {
    std::iter::once(&versions.newest).chain(versions.superseded.iter().map(|version| &version.data))
}
