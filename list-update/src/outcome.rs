//! What an update returns. The fields are those of the JSON report.

use serde::Serialize;
use unix_clock::Timestamp;

/// What became of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SourceState {
    /// Its content is new.
    Changed,
    /// It was asked, and its content is that of the update before.
    Unchanged,
    /// It was not asked: it says itself that it does not change yet.
    NotDue,
    /// It cannot be used; the copy that was good before is.
    Old,
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SourceReport {
    /// Its name in the configuration.
    pub name: String,
    /// What became of it.
    pub state: SourceState,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When the copy that is used was fetched, in Unix seconds.
    pub fetched_at: Timestamp,
    /// The length of that copy.
    pub bytes: u64,
    /// Its entries with a key; 0 for allow lists.
    pub entries: u64,
    /// Keys that it has and the build before had not; `None` if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_in: Option<u64>,
    /// Keys that it had and the build has not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_out: Option<u64>,
}

/// A level.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LevelReport {
    /// Its name.
    pub name: String,
    /// Its keys.
    pub keys: u64,
    /// The tag of its prefilter.
    pub tag: String,
    /// The share of all loads that are blocked under it although only other levels list their URL.
    pub blocked_by_chance: f64,
}

/// Where a result was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Delivered {
    /// The address of the publication or of the service.
    pub to: String,
    /// The id of the release, if it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// What an update did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Updated {
    /// Whether lists were built.
    pub built: bool,
    /// Whether rows were processed.
    pub processed: bool,
    /// Where the result was delivered in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivered>,
    /// The sources in their order.
    pub sources: Vec<SourceReport>,
    /// The levels that were made in this run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelReport>,
    /// Distinct keys, all of them in the prefilter.
    pub keys: u64,
    /// Keys that the build before had not; `None` if nothing was built, or there was none before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_in: Option<u64>,
    /// Keys of the build before that are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_out: Option<u64>,
    /// The tag of the prefilter.
    pub tag: String,
    /// When it was built, in Unix seconds.
    pub built_at: Timestamp,
    /// Rows of the data set.
    pub rows: u64,
    /// Its shards.
    pub shard_count: u32,
    /// SHA-256 of its configuration, hexadecimal.
    pub config_id: String,
    /// How long the update took.
    pub seconds: f64,
}

impl Updated {
    /// Whether there was nothing to do: no file was written.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        !self.built && !self.processed && self.delivered.is_none()
    }

    /// Sources whose old copies are used.
    pub fn old_sources(&self) -> impl Iterator<Item = &SourceReport> {
        self.sources.iter().filter(|source| source.state == SourceState::Old)
    }
}
