//! What must hold of lists and of the whole build, so that a broken source is noticed.

use super::report::{Report, Source};
use crate::list::{RowsLeftOut, Summary};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The default of [`Guards::max_refused`].
pub const DEFAULT_MAX_REFUSED: f64 = 0.5;

/// Limits that end a build whose lists look broken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Guards {
    /// The share of the entries of a list from which on it is not taken, if they are refused for reasons that a good list
    /// does not have ([`Refusal::is_understood`](crate::key::Refusal::is_understood)), from 0 (one entry is enough) to 1; 0.5
    /// by default.
    pub max_refused: f64,
    /// The fewest keys of the whole build. Default: 1.
    pub min_keys: u64,
    /// By how much keys and the entries of each list may become fewer than before. Default: no limit.
    pub max_shrink: Option<MaxShrink>,
    /// The names of lists that may be empty, refused or shrunk, or a page in place of a list
    /// ([`ListError::is_page`](crate::list::ListError::is_page)), which gives no entry then.
    pub accepted: BTreeSet<String>,
    /// Whether the build as a whole may have any number of keys less than before. Default: no.
    pub accepts_shrink: bool,
}

/// A limit for what is lost from one build to the next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MaxShrink {
    /// The largest share that may be lost, from 0 to 1.
    pub share: f64,
    /// The build before.
    pub before: PreviousBuild,
}

impl MaxShrink {
    /// Limits what is lost against `before` to `share`, from 0 to 1.
    #[must_use]
    pub fn new(share: f64, before: PreviousBuild) -> Self {
        Self { share, before }
    }

    fn is_exceeded(&self, before: u64, now: u64) -> bool {
        before.saturating_sub(now) as f64 / before.max(1) as f64 > self.share
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_refused: DEFAULT_MAX_REFUSED,
            min_keys: 1,
            max_shrink: None,
            accepted: BTreeSet::new(),
            accepts_shrink: false,
        }
    }
}

/// The numbers of a build before, from its `report.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviousBuild {
    /// Its distinct keys.
    pub keys: u64,
    /// Its lists, by their names.
    pub sources: BTreeMap<String, PreviousSource>,
}

/// The numbers of a list in a build before. Lists of one name count together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviousSource {
    /// Its entries with a key.
    pub taken: u64,
    /// Its entries that took others back.
    pub exceptions: u64,
    /// Its entries without a key.
    pub refused: u64,
    /// Its exceptions without full effect.
    pub still_covered: u64,
    /// The first five keys that block what they name.
    pub first_still_covered: Vec<PreviousStillCovered>,
}

/// An exception of a build before, and a key that blocks what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviousStillCovered {
    /// The exception's line, counted from 1.
    pub line: u64,
    /// The first 200 characters of what it names.
    pub entry: String,
    /// The key that blocks.
    pub key: String,
}

/// Exceptions of a list that also has entries with a key are only compared with those before if there were so many: one
/// that goes says nothing about a list.
const MIN_EXCEPTIONS: u64 = 10;
/// The number of keys that are named for a list.
const MAX_NAMED: usize = 5;

impl PreviousSource {
    /// What the list has lost if it has `taken` entries with a key and `exceptions` that take others back now, and more is lost than
    /// `is_exceeded` says of the number before and that now.
    #[must_use]
    pub fn lost(
        &self,
        taken: u64,
        exceptions: u64,
        is_exceeded: impl Fn(u64, u64) -> bool,
    ) -> Option<SourceProblem> {
        if is_exceeded(self.taken, taken) {
            return Some(SourceProblem::Shrunk { before: self.taken, now: taken });
        }
        let is_counted = self.taken == 0 || self.exceptions >= MIN_EXCEPTIONS;
        (is_counted && is_exceeded(self.exceptions, exceptions))
            .then_some(SourceProblem::ShrunkExceptions { before: self.exceptions, now: exceptions })
    }
}

/// A text that is no report of a build.
#[derive(Debug, thiserror::Error)]
#[error("this is no report of a build: {0}")]
pub struct NotAReport(serde_json::Error);

impl PreviousBuild {
    /// Reads `report.json`, of this version or an earlier one.
    ///
    /// # Errors
    /// [`NotAReport`] says what is wrong, and where.
    pub fn from_report(json: &[u8]) -> Result<Self, NotAReport> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields {
            keys: u64,
            sources: Vec<SourceFields>,
            #[serde(default)]
            still_covered: Vec<CoveredFields>,
        }
        #[derive(Deserialize)]
        struct SourceFields {
            name: String,
            entries: Option<EntryFields>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct EntryFields {
            taken: u64,
            #[serde(default)]
            exceptions: u64,
            #[serde(default)]
            refused_understood: u64,
            #[serde(default)]
            refused_unknown: u64,
        }
        #[derive(Deserialize)]
        struct CoveredFields {
            source: String,
            line: u64,
            entry: String,
            key: String,
        }
        let fields: Fields = serde_json::from_slice(json).map_err(NotAReport)?;
        let mut sources = BTreeMap::<String, PreviousSource>::new();
        for source in fields.sources {
            if let Some(entries) = source.entries {
                let numbers = sources.entry(source.name).or_default();
                numbers.taken += entries.taken;
                numbers.exceptions += entries.exceptions;
                numbers.refused += entries.refused_understood + entries.refused_unknown;
            }
        }
        let mut lines = BTreeSet::new();
        for CoveredFields { source, line, entry, key } in fields.still_covered {
            let Some(numbers) = sources.get_mut(&source) else { continue };
            numbers.still_covered += u64::from(lines.insert((source, line)));
            if numbers.first_still_covered.len() < MAX_NAMED {
                numbers.first_still_covered.push(PreviousStillCovered { line, entry, key });
            }
        }
        Ok(Self { keys: fields.keys, sources })
    }
}

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SourceProblem {
    /// It has no entry that becomes a key or takes one back.
    #[non_exhaustive]
    Empty {
        /// The number of its lines.
        lines: u64,
        /// Its entries, all refused.
        refused: u64,
    },
    /// A line begins a section, which its format does not have. What a section blocks and what it allows is not known.
    #[non_exhaustive]
    Sections {
        /// The number of the line.
        line: u64,
        /// The line, up to 100 characters.
        text: String,
    },
    /// Its only row is one JSON object, as in a message of a server.
    OneObject,
    /// The filters of rows leave out all of its rows.
    #[non_exhaustive]
    LeftOut(RowsLeftOut),
    /// Too many of its entries are refused for reasons that a good list does not have.
    #[non_exhaustive]
    Refused {
        /// Entries that are refused so.
        refused: u64,
        /// Entries that are not.
        good: u64,
    },
    /// It has far fewer entries with a key than before.
    #[non_exhaustive]
    Shrunk {
        /// Entries with a key before.
        before: u64,
        /// Entries with a key now.
        now: u64,
    },
    /// It has far fewer entries that take others back than before.
    #[non_exhaustive]
    ShrunkExceptions {
        /// Entries that took others back.
        before: u64,
        /// Those of now.
        now: u64,
    },
}

impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { lines, refused: 0 } => write!(f, "it has no entry (lines: {lines})"),
            Self::Empty { lines, refused } => {
                write!(
                    f,
                    "none of its entries can become a key (lines: {lines}, refused: {refused})"
                )
            }
            Self::Sections { line, text } => write!(
                f,
                "line {line}, `{text}`, begins a section, so that some of its lines may mean to allow; give the lines that are meant to block as a list of their own"
            ),
            Self::OneObject => f.write_str(
                "it is one object, not rows; is it a message of a server? A list of one row is an array with one object",
            ),
            Self::LeftOut(rows) => rows.fmt(f),
            Self::Refused { refused, good } => {
                let all = refused + good;
                write!(
                    f,
                    "{refused} of {all} entries make no sense; is the list damaged, or in another format?"
                )
            }
            Self::Shrunk { before, now } => {
                write!(f, "{now} entries have a key, and there were {before} before")
            }
            Self::ShrunkExceptions { before, now } => {
                write!(
                    f,
                    "{now} entries say what must not be blocked, and there were {before} before"
                )
            }
        }
    }
}

impl Guards {
    /// No limits but that there must be a key.
    #[must_use]
    pub fn off() -> Self {
        Self { max_refused: f64::INFINITY, ..Self::default() }
    }

    /// The same limits with another [`max_refused`](Self::max_refused).
    #[must_use]
    pub fn with_max_refused(mut self, share: f64) -> Self {
        self.max_refused = share;
        self
    }

    /// The same limits with another [`min_keys`](Self::min_keys).
    #[must_use]
    pub fn with_min_keys(mut self, keys: u64) -> Self {
        self.min_keys = keys;
        self
    }

    /// The same limits with another [`max_shrink`](Self::max_shrink).
    #[must_use]
    pub fn with_max_shrink(mut self, max_shrink: Option<MaxShrink>) -> Self {
        self.max_shrink = max_shrink;
        self
    }

    /// The same limits, which do not hold for the list of this name.
    #[must_use]
    pub fn with_accepted(mut self, name: &str) -> Self {
        self.accepted.insert(name.to_owned());
        self
    }

    /// The same limits, of which the one for what the whole build loses does not hold.
    #[must_use]
    pub fn with_accepted_shrink(mut self) -> Self {
        self.accepts_shrink = true;
        self
    }

    /// Whether a list of this name passes, whatever it has.
    pub(super) fn accepts(&self, name: &str) -> bool {
        self.accepted.contains(name)
    }

    /// What is wrong with a list that was read to its end. One that `may_be_empty` needs no entry, unless it had some before.
    pub(super) fn problem(
        &self,
        source: &Source,
        summary: &Summary,
        may_be_empty: bool,
    ) -> Option<SourceProblem> {
        if self.accepts(&source.name) || self.max_refused.is_infinite() {
            return None;
        }
        if let Some((line, text)) = summary.section.clone() {
            return Some(SourceProblem::Sections { line, text });
        }
        let entries = &source.entries;
        let good = entries.taken + entries.exceptions + entries.refused_understood;
        let refused = entries.refused_unknown;
        if refused > 0 && refused as f64 / (good + refused) as f64 >= self.max_refused {
            return Some(SourceProblem::Refused { refused, good });
        }
        if entries.taken + entries.exceptions == 0 {
            let lines = source.lines.total();
            let problem = match &summary.left_out {
                Some(rows) => SourceProblem::LeftOut(rows.clone()),
                None => SourceProblem::Empty { lines, refused: entries.read },
            };
            if !(may_be_empty && matches!(problem, SourceProblem::Empty { refused: 0, .. })) {
                return Some(problem);
            }
        }
        if summary.is_one_object {
            return Some(SourceProblem::OneObject);
        }
        let max_shrink = self.max_shrink.as_ref()?;
        let before = max_shrink.before.sources.get(&source.name)?;
        let is_exceeded = |before, now| max_shrink.is_exceeded(before, now);
        before.lost(entries.taken, entries.exceptions, is_exceeded)
    }

    /// The number of keys before, if there are too few now.
    pub(super) fn shrunk(&self, report: &Report) -> Option<u64> {
        let max_shrink = self.max_shrink.as_ref().filter(|_| !self.accepts_shrink)?;
        let before = max_shrink.before.keys;
        max_shrink.is_exceeded(before, report.keys).then_some(before)
    }
}
