//! What became of every line of the input.

mod revoked;

pub(super) use revoked::MAX_KEYS;
pub use revoked::{Revoked, RevokedException, StillCovered};

use super::Options;
use super::uses::Origin;
use crate::key::{Effect, Refusal, Remark, Remarks, Systems};
use crate::list::{Certainty, Entry, LineCounts, ListOption, Summary};
use filter_core::bloom::Sizing;
use filter_core::sub_url::SubUrlRule;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The name of the reason for which keys block more than lists ask for where exceptions are [still covered](StillCovered).
pub const STILL_COVERED: &str = "still-covered";

/// The name of the reason that is called so in reports: of a [`Refusal`], of a [`Remark`], or [`STILL_COVERED`].
#[must_use]
pub fn reason_named(name: &str) -> Option<&'static str> {
    let refusals = Refusal::ALL.iter().map(|refusal| refusal.name());
    let remarks = Remark::ALL.iter().map(|remark| remark.name());
    refusals.chain(remarks).chain([STILL_COVERED]).find(|known| *known == name)
}

/// The number of examples that are kept for a reason.
const MAX_EXAMPLES: usize = 5;

/// The number of protected hosts that are named.
const MAX_PROTECTED: usize = 1_000;

/// The longest text of an example, in characters.
pub(super) const MAX_EXAMPLE_TEXT: usize = 200;

/// What became of every line and entry of the lists. Serialises as `report.json`.
///
/// The numbers add up: `lines` to the lines of the lists, `entries` to the entries on them. Each reason has
/// the lines that it concerns.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The options of the build.
    pub options: ReportedOptions,
    /// The lists, in the order in which they were added.
    pub sources: Vec<Source>,
    /// The lines of all lists by what they hold.
    pub lines: LineCounts,
    /// The entries of all lists by what became of them.
    pub entries: EntryCounts,
    /// The number of distinct keys; 0 until the build is finished.
    pub keys: u64,
    /// Remarks on entries that have a key.
    pub remarks: BTreeMap<Remark, Occurrences>,
    /// Entries that have none, by reason.
    pub refused: BTreeMap<Refusal, Occurrences>,
    /// Exceptions that took keys back, by their lines.
    pub revoked: BTreeMap<Origin, Revoked>,
    /// Exceptions that another line revokes, so that they take nothing back.
    pub revoked_exceptions: Vec<RevokedException>,
    /// Exceptions without full effect, and the keys that still block what they name. Exceptions that are refused, because they
    /// are for some requests only, are among them.
    pub still_covered: Vec<StillCovered>,
    /// The number of keys that were left out because another key covers them.
    pub compressed: u64,
}

/// The [`Options`] of a build, under the names that files have for them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReportedOptions {
    /// [`Options::tolerance`].
    pub false_positive_tolerance: f64,
    /// [`Options::murmur_seed`].
    pub murmur_seed: u32,
    /// [`Options::sizing`].
    pub sizing: Sizing,
    /// [`Options::rule`].
    #[serde(flatten)]
    pub rule: SubUrlRule,
    /// [`Options::systems`]; empty if the keys are for the rule alone.
    pub systems: Systems,
    /// [`Options::onboarding_entry`].
    pub onboarding_entry: bool,
    /// [`Options::is_compressed`].
    pub compress: bool,
    /// The suffixes that [`Options::names`] allow; `*` stands for all.
    pub allowed_suffixes: Vec<String>,
    /// The number of hosts that [`Options::names`] protect beside those of the default.
    pub protected_count: usize,
    /// The first 1,000 of them in byte order.
    pub protected: Vec<String>,
    /// The hosts that [`Options::names`] do not protect any more.
    pub unprotected: Vec<String>,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// The name that it was added under.
    pub name: String,
    /// The name of the [`Format`](crate::list::Format) in which it was read.
    pub format: String,
    /// How sure it is that this is the format.
    pub certainty: Certainty,
    /// Its lines by what they hold.
    pub lines: LineCounts,
    /// Its entries by what became of them.
    pub entries: SourceEntries,
    /// The options that it was read with and that had no effect on it.
    #[serde(skip)]
    pub without_effect: Vec<ListOption>,
}

/// Numbers of entries of one list by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SourceEntries {
    /// Entries that the list has, whatever became of them.
    pub read: u64,
    /// Entries that have a key, new or not.
    pub taken: u64,
    /// Entries that take others back.
    pub exceptions: u64,
    /// Entries without a key, of which the reason shows that they were understood.
    pub refused_understood: u64,
    /// Entries without a key that may show that the list is damaged, or in another format.
    pub refused_unknown: u64,
}

/// Numbers of entries by what became of them. `read` is the sum of the others once the build is finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EntryCounts {
    /// Entries that the lists have, whatever became of them.
    pub read: u64,
    /// Entries that gave a new key.
    pub kept: u64,
    /// Entries whose key another entry had given before.
    pub duplicate: u64,
    /// Entries that take others back.
    pub exceptions: u64,
    /// Entries without a key.
    pub refused: u64,
}

/// Consecutive lines of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRange {
    source: u32,
    first: u64,
    last: u64,
}

/// An entry that a reason concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Example {
    /// The name of its list.
    pub source: String,
    /// Its line, counted from 1.
    pub line: u64,
    /// The first 200 characters of its text; empty if it is not UTF-8 or too long.
    pub entry: String,
    /// The first 200 characters of its key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The entries that a reason concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    count: u64,
    lines: Vec<LineRange>,
    examples: Vec<Example>,
}

impl Occurrences {
    /// The number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first five of them, at most.
    #[must_use]
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The first line of a list, by its place among the lists, that has one of them.
    fn first_line_of(&self, source: usize) -> Option<u64> {
        self.lines.iter().find(|range| range.source as usize == source).map(|range| range.first)
    }

    fn add(&mut self, source: usize, line: u64) {
        self.count += 1;
        match self.lines.last_mut() {
            // An entry of several lines may be taken behind one that begins later.
            Some(range)
                if range.source as usize == source
                    && (range.first..=range.last + 1).contains(&line) =>
            {
                range.last = range.last.max(line);
            }
            _ => self.lines.push(LineRange { source: source as u32, first: line, last: line }),
        }
    }
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            options: ReportedOptions {
                false_positive_tolerance: options.tolerance,
                murmur_seed: options.murmur_seed,
                sizing: options.sizing,
                rule: options.rule.clone(),
                systems: options.key_rules().systems(),
                onboarding_entry: options.onboarding_entry,
                compress: options.is_compressed,
                allowed_suffixes: options.names.allowed_suffixes().map(str::to_owned).collect(),
                protected_count: options.names.protected().count(),
                protected: options
                    .names
                    .protected()
                    .take(MAX_PROTECTED)
                    .map(str::to_owned)
                    .collect(),
                unprotected: options.names.unprotected().map(str::to_owned).collect(),
            },
            sources: Vec::new(),
            lines: LineCounts::default(),
            entries: EntryCounts::default(),
            keys: 0,
            remarks: BTreeMap::new(),
            refused: BTreeMap::new(),
            revoked: BTreeMap::new(),
            revoked_exceptions: Vec::new(),
            still_covered: Vec::new(),
            compressed: 0,
        }
    }

    pub(super) fn start_source(&mut self, name: &str) -> usize {
        self.sources.push(Source {
            name: name.to_owned(),
            format: String::new(),
            certainty: Certainty::Given,
            lines: LineCounts::default(),
            entries: SourceEntries::default(),
            without_effect: Vec::new(),
        });
        self.sources.len() - 1
    }

    pub(super) fn end_source(&mut self, source: usize, summary: &Summary) {
        self.sources[source].format = summary.format.to_string();
        self.sources[source].certainty = summary.certainty;
        self.sources[source].lines = summary.lines;
        self.lines.blank += summary.lines.blank;
        self.lines.comment += summary.lines.comment;
        self.lines.structure += summary.lines.structure;
        self.lines.entry += summary.lines.entry;
        self.lines.filtered += summary.lines.filtered;
    }

    /// Counts an entry that has a key, new or not.
    pub(super) fn take(
        &mut self,
        source: usize,
        line: u64,
        entry: Entry<'_>,
        key: &str,
        remarks: Remarks,
    ) {
        self.entries.read += 1;
        self.sources[source].entries.read += 1;
        self.sources[source].entries.taken += 1;
        for remark in remarks.iter() {
            let name = &self.sources[source].name;
            let seen = self.remarks.entry(remark).or_default();
            seen.add(source, line);
            if seen.examples.len() < MAX_EXAMPLES {
                seen.examples.push(example(name, line, entry.text, Some(key)));
            }
        }
    }

    /// Sets the number of entries that gave a new key. The others that have a key are duplicates.
    pub(super) fn count_kept(&mut self, kept: u64) {
        self.entries.kept = kept;
        let EntryCounts { read, refused, exceptions, .. } = self.entries;
        self.entries.duplicate = read - refused - exceptions - kept;
    }

    /// Counts an entry that has no key.
    pub(super) fn refuse(&mut self, source: usize, line: u64, refusal: Refusal, text: &str) {
        self.entries.read += 1;
        self.entries.refused += 1;
        let entries = &mut self.sources[source].entries;
        entries.read += 1;
        if refusal.is_understood() {
            entries.refused_understood += 1;
        } else {
            entries.refused_unknown += 1;
        }
        let name = &self.sources[source].name;
        let seen = self.refused.entry(refusal).or_default();
        seen.add(source, line);
        if seen.examples.len() < MAX_EXAMPLES {
            seen.examples.push(example(name, line, text, None));
        }
    }

    /// The number of entries that were refused so far, by reason.
    pub(super) fn refused_counts(&self) -> BTreeMap<Refusal, u64> {
        self.refused.iter().map(|(&refusal, seen)| (refusal, seen.count)).collect()
    }

    /// The number of keys that exceptions took back.
    #[must_use]
    pub fn revoked_keys(&self) -> u64 {
        self.revoked.values().map(|revoked| revoked.count).sum()
    }

    /// Counts an entry that takes others back.
    pub(super) fn except(&mut self, source: usize) {
        self.entries.read += 1;
        self.entries.exceptions += 1;
        self.sources[source].entries.read += 1;
        self.sources[source].entries.exceptions += 1;
    }

    /// Why the keys are not exactly what the lists ask for: the names of reasons for which entries that asked to block
    /// were refused, and for which keys cover more than their entries, and [`STILL_COVERED`] if keys block what exceptions
    /// name, without those that `is_tolerated`.
    pub fn inexact<'r>(
        &'r self,
        is_tolerated: impl Fn(&str) -> bool + 'r,
    ) -> impl Iterator<Item = &'static str> + 'r {
        let covered = (!self.still_covered.is_empty()).then_some(STILL_COVERED);
        let reasons = self.inexact_entries().map(|(name, _)| name).chain(covered);
        reasons.filter(move |name| !is_tolerated(name))
    }

    /// The reasons for which keys of entries are not exactly what they ask for, with these entries.
    fn inexact_entries(&self) -> impl Iterator<Item = (&'static str, &Occurrences)> {
        let refused = self.refused.iter().filter(|(refusal, _)| refusal.asked_to_block());
        let refused = refused.map(|(refusal, seen)| (refusal.name(), seen));
        refused
            .chain(self.remarks_with(Effect::Widened).map(|(remark, seen)| (remark.name(), seen)))
    }

    /// As [`Report::inexact`], of one list by its place in [`Report::sources`], with the first line that each reason concerns.
    /// What exceptions of all lists leave covered is not among them.
    pub fn inexact_of<'r>(
        &'r self,
        source: usize,
        is_tolerated: impl Fn(&str) -> bool + 'r,
    ) -> impl Iterator<Item = (&'static str, u64)> + 'r {
        let reasons = self.inexact_entries().filter(move |(name, _)| !is_tolerated(name));
        reasons.filter_map(move |(name, seen)| Some((name, seen.first_line_of(source)?)))
    }

    /// The remarks that have this effect, with the entries that they concern.
    pub fn remarks_with(&self, effect: Effect) -> impl Iterator<Item = (Remark, &Occurrences)> {
        self.remarks
            .iter()
            .filter(move |(remark, _)| remark.effect() == effect)
            .map(|(&remark, seen)| (remark, seen))
    }
}

fn example(source: &str, line: u64, entry: &str, key: Option<&str>) -> Example {
    let cut = |text: &str| text.chars().take(MAX_EXAMPLE_TEXT).collect();
    Example { source: source.to_owned(), line, entry: cut(entry), key: key.map(cut) }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("Report", 14)?;
        all.serialize_field("toolVersion", env!("CARGO_PKG_VERSION"))?;
        all.serialize_field("options", &self.options)?;
        all.serialize_field("sources", &self.sources)?;
        all.serialize_field("lines", &Lines(self.lines))?;
        all.serialize_field("entries", &self.entries)?;
        all.serialize_field("keys", &self.keys)?;
        let reasons = |effect| {
            let reasons = self.remarks_with(effect);
            reasons
                .map(|(r, seen)| self.reason(r.name(), r.explanation(), seen))
                .collect::<Vec<_>>()
        };
        all.serialize_field("changed", &reasons(Effect::Changed))?;
        all.serialize_field("widened", &reasons(Effect::Widened))?;
        all.serialize_field("noted", &reasons(Effect::Noted))?;
        let refused =
            self.refused.iter().map(|(r, seen)| self.reason(r.name(), r.explanation(), seen));
        all.serialize_field("refused", &refused.collect::<Vec<_>>())?;
        all.serialize_field("revoked", &self.revoked_rows())?;
        all.serialize_field("revokedExceptions", &self.revoked_exception_rows())?;
        all.serialize_field("stillCovered", &self.still_covered_rows())?;
        all.serialize_field("compressed", &self.compressed)?;
        all.end()
    }
}

impl Report {
    fn reason<'r>(
        &'r self,
        reason: &'static str,
        explanation: &'static str,
        seen: &'r Occurrences,
    ) -> Reason<'r> {
        Reason {
            reason,
            explanation,
            count: seen.count,
            lines: SourceLines { sources: &self.sources, ranges: &seen.lines },
            examples: &seen.examples,
        }
    }
}

struct Lines(LineCounts);

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("Lines", 6)?;
        all.serialize_field("read", &self.0.total())?;
        all.serialize_field("blank", &self.0.blank)?;
        all.serialize_field("comment", &self.0.comment)?;
        all.serialize_field("structure", &self.0.structure)?;
        all.serialize_field("entry", &self.0.entry)?;
        all.serialize_field("filtered", &self.0.filtered)?;
        all.end()
    }
}

#[derive(Serialize)]
struct Reason<'r> {
    reason: &'static str,
    explanation: &'static str,
    count: u64,
    lines: SourceLines<'r>,
    examples: &'r [Example],
}

/// `{"list.txt": "3,7-120"}`: line numbers and ranges, per list.
struct SourceLines<'r> {
    sources: &'r [Source],
    ranges: &'r [LineRange],
}

impl Serialize for SourceLines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for ranges in self.ranges.chunk_by(|a, b| a.source == b.source) {
            let source = ranges.first().map_or(0, |range| range.source as usize);
            map.serialize_entry(&self.sources[source].name, &Ranges(ranges))?;
        }
        map.end()
    }
}

struct Ranges<'r>(&'r [LineRange]);

impl std::fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if range.first == range.last {
                write!(f, "{comma}{}", range.first)?;
            } else {
                write!(f, "{comma}{}-{}", range.first, range.last)?;
            }
        }
        Ok(())
    }
}

impl Serialize for Ranges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{Builder, Guards};
    use crate::list::Format;

    #[test]
    fn lines_are_ranges_per_source() {
        let list = &b"com\nnet\nexample.com\norg\nwww.example.com"[..];
        let options = Options::default().with_guards(Guards::off());
        let build = Builder::new(options).add_list("a", list, Some(&Format::Urls)).unwrap();
        let build = build.add_list("b", &b"x.example\ncom"[..], None).unwrap();
        let json = serde_json::to_value(build.report()).unwrap();
        let refused = &json["refused"][0];
        assert_eq!(refused["reason"], "single-label");
        assert_eq!(refused["count"], 4);
        assert_eq!(refused["lines"], serde_json::json!({"a": "1-2,4", "b": "2"}));
        assert_eq!(
            refused["examples"][0],
            serde_json::json!({"source": "a", "line": 1, "entry": "com"})
        );
        assert_eq!(json["widened"][0]["reason"], "www-removed");
        assert_eq!(json["widened"][0]["examples"][0]["key"], "example.com");
        assert_eq!(json["lines"]["read"], 7);
        assert_eq!(json["options"]["profile"], "current");
    }

    #[test]
    fn lines_of_entries_that_end_late_stay_in_their_ranges() {
        let mut seen = Occurrences::default();
        for line in [3, 5, 4, 6, 6, 2] {
            seen.add(0, line);
        }
        assert_eq!((seen.count, Ranges(&seen.lines).to_string()), (6, "3,5,4,6,2".to_owned()));
    }

    #[test]
    fn examples_are_few_and_short() {
        let entry = |length: usize| format!("{}\n", "é".repeat(length));
        for count in [MAX_EXAMPLES - 1, MAX_EXAMPLES, MAX_EXAMPLES + 1] {
            let list = "com\n".repeat(count);
            let build = Builder::new(Options::default().with_guards(Guards::off()));
            let build = build.add_list("a", list.as_bytes(), Some(&Format::Urls)).unwrap();
            let seen = &build.report().refused[&Refusal::SingleLabel];
            assert_eq!(seen.count(), count as u64);
            assert_eq!(seen.examples().len(), count.min(MAX_EXAMPLES));
        }
        for length in [MAX_EXAMPLE_TEXT - 1, MAX_EXAMPLE_TEXT, MAX_EXAMPLE_TEXT + 1] {
            let build = Builder::new(Options::default().with_guards(Guards::off()));
            let list = entry(length);
            let build = build.add_list("a", list.as_bytes(), Some(&Format::Urls)).unwrap();
            let seen = build.report().refused.values().next().unwrap();
            assert_eq!(seen.examples()[0].entry.chars().count(), length.min(MAX_EXAMPLE_TEXT));
        }
    }
}
