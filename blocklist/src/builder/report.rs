//! What became of every line of the input.

use super::Options;
use crate::key::{Effect, Refusal, Remark, Remarks};
use crate::list::{Entry, LineCounts, Summary};
use filter_core::bloom::Sizing;
use filter_core::sub_url::SubUrlRule;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Examples kept per reason.
const EXAMPLES: usize = 5;

/// The longest text that an example repeats, in characters.
const EXAMPLE_TEXT: usize = 200;

/// What a build says about its input.
///
/// `lines` add up to the lines read, and `entries` to the entries in them; each reason comes with
/// the lines that it concerns.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How the build was done.
    pub options: ReportedOptions,
    /// The lists, in order.
    pub sources: Vec<Source>,
    /// The lines of all lists.
    pub lines: LineCounts,
    /// The entries of all lists.
    pub entries: EntryCounts,
    /// Distinct keys.
    pub keys: u64,
    /// Remarks on entries that were kept.
    pub remarks: BTreeMap<Remark, Occurrences>,
    /// Entries that were left out.
    pub refused: BTreeMap<Refusal, Occurrences>,
}

/// The options that shape the result, as in files.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedOptions {
    /// The tolerance.
    pub false_positive_tolerance: f64,
    /// The seed.
    pub murmur_seed: u32,
    /// The rounding of sizes.
    pub sizing: Sizing,
    /// The sub-URL rule.
    #[serde(flatten)]
    pub rule: SubUrlRule,
    /// Whether the onboarding entry was added.
    pub onboarding_entry: bool,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The format it was read in.
    pub format: String,
    /// Its lines.
    pub lines: LineCounts,
}

/// What became of entries. `read` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntryCounts {
    /// Entries found.
    pub read: u64,
    /// Entries that became a new key.
    pub kept: u64,
    /// Entries whose key was there already.
    pub duplicate: u64,
    /// Entries left out.
    pub refused: u64,
}

/// Consecutive lines of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRange {
    source: u32,
    first: u64,
    last: u64,
}

/// One entry, as an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its list.
    pub source: String,
    /// Its line.
    pub line: u64,
    /// Its text, cut after 200 characters; empty if it is not UTF-8 or too long.
    pub entry: String,
    /// Its key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Where a reason was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    count: u64,
    lines: Vec<LineRange>,
    examples: Vec<Example>,
}

impl Occurrences {
    /// How many entries it concerns.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first few of them.
    #[must_use]
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    fn add(&mut self, source: usize, line: u64) {
        self.count += 1;
        match self.lines.last_mut() {
            Some(range) if range.source as usize == source && line <= range.last + 1 => {
                range.last = line
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
                onboarding_entry: options.onboarding_entry,
            },
            sources: Vec::new(),
            lines: LineCounts::default(),
            entries: EntryCounts::default(),
            keys: 0,
            remarks: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    pub(super) fn start_source(&mut self, name: &str) -> usize {
        self.sources.push(Source {
            name: name.to_owned(),
            format: String::new(),
            lines: LineCounts::default(),
        });
        self.sources.len() - 1
    }

    pub(super) fn end_source(&mut self, source: usize, summary: &Summary) {
        self.sources[source].format = summary.format.to_string();
        self.sources[source].lines = summary.lines;
        self.lines.blank += summary.lines.blank;
        self.lines.comment += summary.lines.comment;
        self.lines.structure += summary.lines.structure;
        self.lines.entry += summary.lines.entry;
    }

    /// Notes an entry that has a key, new or not.
    pub(super) fn take(
        &mut self,
        source: usize,
        line: u64,
        entry: Entry<'_>,
        key: &str,
        remarks: Remarks,
    ) {
        self.entries.read += 1;
        for remark in remarks.iter() {
            let name = &self.sources[source].name;
            let seen = self.remarks.entry(remark).or_default();
            seen.add(source, line);
            if seen.examples.len() < EXAMPLES {
                seen.examples.push(example(name, line, entry.text, Some(key)));
            }
        }
    }

    /// Notes how many entries brought a new key; the others that were taken are duplicates.
    pub(super) fn count_kept(&mut self, kept: u64) {
        self.entries.kept = kept;
        self.entries.duplicate = self.entries.read - self.entries.refused - kept;
    }

    pub(super) fn refuse(&mut self, source: usize, line: u64, refusal: Refusal, text: &str) {
        self.entries.read += 1;
        self.entries.refused += 1;
        let name = &self.sources[source].name;
        let seen = self.refused.entry(refusal).or_default();
        seen.add(source, line);
        if seen.examples.len() < EXAMPLES {
            seen.examples.push(example(name, line, text, None));
        }
    }

    /// The remarks of one effect.
    pub fn remarks_with(&self, effect: Effect) -> impl Iterator<Item = (Remark, &Occurrences)> {
        self.remarks
            .iter()
            .filter(move |(remark, _)| remark.effect() == effect)
            .map(|(&remark, seen)| (remark, seen))
    }
}

fn example(source: &str, line: u64, entry: &str, key: Option<&str>) -> Example {
    let cut = |text: &str| text.chars().take(EXAMPLE_TEXT).collect();
    Example { source: source.to_owned(), line, entry: cut(entry), key: key.map(cut) }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("Report", 9)?;
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
        let mut all = serializer.serialize_struct("Lines", 5)?;
        all.serialize_field("read", &self.0.total())?;
        all.serialize_field("blank", &self.0.blank)?;
        all.serialize_field("comment", &self.0.comment)?;
        all.serialize_field("structure", &self.0.structure)?;
        all.serialize_field("entry", &self.0.entry)?;
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
    use crate::builder::{Build, Options};

    #[test]
    fn lines_are_ranges_per_source() {
        let mut build = Build::new(Options::default());
        build
            .add_list("a", &b"com\nnet\nexample.com\norg\nwww.example.com"[..], None, |_| {})
            .unwrap();
        build.add_list("b", &b"x.example\ncom"[..], None, |_| {}).unwrap();
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
}
