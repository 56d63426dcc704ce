//! What an update returns. The fields are those of the JSON report.

use crate::state::SourceCopy;
use blocklist::builder::PreviousSource;
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

/// What became of a list in an update.
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
    /// Its entries that have a key or say what must not be blocked.
    pub entries: u64,
    /// Those that say what must not be blocked.
    pub exceptions: u64,
    /// Its entries that neither have a key nor take others back.
    pub refused: u64,
    /// Its entries that say what must not be blocked and have no full effect.
    pub still_covered: u64,
    /// The first five keys that block what those name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_still_covered: Vec<StillCovered>,
    /// Keys that it has and the build before had not; `None` if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_in: Option<u64>,
    /// Keys that it had and the build has not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_out: Option<u64>,
}

impl SourceReport {
    /// A source with the numbers of the build that was made of a copy.
    pub(crate) fn new(
        name: &str,
        state: SourceState,
        copy: &SourceCopy,
        numbers: PreviousSource,
    ) -> Self {
        let still_covered = numbers.first_still_covered.into_iter();
        Self {
            name: name.to_owned(),
            state,
            problem: None,
            fetched_at: copy.fetched_at,
            bytes: copy.bytes,
            entries: numbers.taken + numbers.exceptions,
            exceptions: numbers.exceptions,
            refused: numbers.refused,
            still_covered: numbers.still_covered,
            first_still_covered: still_covered
                .map(|covered| StillCovered {
                    line: covered.line,
                    entry: covered.entry,
                    key: covered.key,
                })
                .collect(),
            keys_in: None,
            keys_out: None,
        }
    }
}

/// An entry that says what must not be blocked, and a key that blocks it all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StillCovered {
    /// The line of the entry, counted from 1.
    pub line: u64,
    /// The first 200 characters of what it names.
    pub entry: String,
    /// The key that blocks it.
    pub key: String,
}

/// What an update made for a level.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LevelReport {
    /// Its name in the configuration.
    pub name: String,
    /// Keys of the lists of this level, each counted once.
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
    /// Lists that the build before had, and that the configuration does not name any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// What deserves a look although nothing failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
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
    /// Number of shards of the data set.
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
