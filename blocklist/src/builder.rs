//! From block lists to a prefilter, its data set and a report, in one pass over the input.
//!
//! ```
//! use blocklist::builder::{Builder, Options};
//!
//! let list = "https://www.example.com/\nexample.org/a\ncom\n";
//! let built = Builder::new(Options::default()).add_list("list.txt", list.as_bytes(), None)?.finish()?;
//! assert_eq!(built.keys.iter().collect::<Vec<_>>(), [b"example.com".as_slice(), b"example.org/a"]);
//! assert!(built.prefilter.filter().contains(b"example.org/a"));
//! assert_eq!(built.report.entries.refused, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod key_set;
mod report;
#[cfg(test)]
mod tests;

pub use key_set::KeySet;
pub use report::{EntryCounts, Example, LineRange, Occurrences, Report, ReportedOptions, Source};

use crate::key::{Effect, EntryKind, KeyRules, ONBOARDING_ENTRY, Refusal, Systems, canonicalise};
use crate::list::{self, Entry, Event, Format, ListError};
use durable_file::{Access, FileError, FileSet};
use filter_core::Prefilter;
use filter_core::bloom::{BloomError, BloomFilter, Sizing};
use filter_core::file::Description;
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use filter_core::sub_url::{Profile, SubUrlRule};
use std::io::{self, Read, Write};
use std::path::Path;

/// The default of [`Options::murmur_seed`]. It is fixed, so that builds are reproducible.
pub const DEFAULT_SEED: u32 = 2_538_058_380;

/// The default of [`Options::tolerance`].
pub const DEFAULT_TOLERANCE: f64 = 0.001;

/// Name of the property list in the output folder.
pub const PLIST_FILE: &str = "bloom_filter.plist";
/// Name of the PIR data set in the output folder.
pub const DATA_SET_FILE: &str = "input.txtpb";
/// The value of every row of the data set: devices look only whether there is a row.
const DATA_SET_VALUE: &[u8] = b"1";
/// Name of the report in the output folder.
pub const REPORT_FILE: &str = "report.json";

/// How to build. [`Options::default`] and the `with_…` methods make one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The share of URLs outside of the list that may hit the filter by chance, strictly between 0 and 1;
    /// [`DEFAULT_TOLERANCE`] (0.001) by default.
    pub tolerance: f64,
    /// Seed of MurmurHash3. Default: [`DEFAULT_SEED`].
    pub murmur_seed: u32,
    /// How the size of the filter is rounded. Default: [`Sizing::Round`].
    pub sizing: Sizing,
    /// The rule by which devices expand URLs to sub-URLs. Default: that of current systems.
    pub rule: SubUrlRule,
    /// The systems that the keys must serve, under the default rule. Keys for any other rule are for it alone. Default:
    /// 26 and 27.
    pub systems: Systems,
    /// Whether to add [`ONBOARDING_ENTRY`]. Default: no.
    pub onboarding_entry: bool,
}

impl Options {
    /// The same options with another [`tolerance`](Self::tolerance).
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The same options with another [`murmur_seed`](Self::murmur_seed).
    #[must_use]
    pub fn with_murmur_seed(mut self, seed: u32) -> Self {
        self.murmur_seed = seed;
        self
    }

    /// The same options with another [`sizing`](Self::sizing).
    #[must_use]
    pub fn with_sizing(mut self, sizing: Sizing) -> Self {
        self.sizing = sizing;
        self
    }

    /// The same options with another [`rule`](Self::rule).
    #[must_use]
    pub fn with_rule(mut self, rule: SubUrlRule) -> Self {
        self.rule = rule;
        self
    }

    /// The same options with other [`systems`](Self::systems).
    #[must_use]
    pub fn with_systems(mut self, systems: Systems) -> Self {
        self.systems = systems;
        self
    }

    /// What the keys are made for: the systems if the rule is the default one, else the rule.
    #[must_use]
    pub fn key_rules(&self) -> KeyRules {
        match &self.rule {
            SubUrlRule::Profile(Profile::Current) => self.systems.into(),
            rule => rule.clone().into(),
        }
    }

    /// The same options with or without the [`onboarding_entry`](Self::onboarding_entry).
    #[must_use]
    pub fn with_onboarding_entry(mut self, is_added: bool) -> Self {
        self.onboarding_entry = is_added;
        self
    }

    /// Checks the tolerance and the seed, which otherwise only [`Builder::finish`] does.
    ///
    /// # Errors
    /// [`BuildError::Bloom`] as [`Builder::finish`] would return it for a single key.
    pub fn check(&self) -> Result<(), BuildError> {
        self.sizing.parameters(1, self.tolerance, self.murmur_seed)?;
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: DEFAULT_TOLERANCE,
            murmur_seed: DEFAULT_SEED,
            sizing: Sizing::default(),
            rule: SubUrlRule::default(),
            systems: Systems::default(),
            onboarding_entry: false,
        }
    }
}

/// A build that fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A list could not be read to its end; `source()` says why.
    #[error("cannot use the list {name}")]
    #[non_exhaustive]
    List {
        /// The name that the list was added under.
        name: String,
        /// Why it cannot be read.
        source: ListError,
    },
    /// The tolerance is not strictly between 0 and 1, or the filter would be too large.
    #[error(transparent)]
    Bloom(#[from] BloomError),
    /// No entry of the lists became a key. A filter without keys would allow everything.
    #[error("no entry of the input can become a key: {read} lines read, {refused} entries refused{}", main_refusal(*.main))]
    #[non_exhaustive]
    NoKeys {
        /// Lines of all lists.
        read: u64,
        /// Entries that were refused.
        refused: u64,
        /// The most frequent reason, if there were entries.
        main: Option<Refusal>,
    },
    /// There are more distinct keys, or bytes of keys, than one data set holds.
    #[error("the keys take more than {} GiB of text, which one data set cannot hold; split the list", key_set::MAX_BYTES >> 30)]
    TooManyKeys,
}

fn main_refusal(main: Option<Refusal>) -> String {
    main.map_or_else(String::new, |refusal| format!(", most as {refusal}"))
}

/// A build that takes lists.
///
/// [`add_list`](Self::add_list) consumes the builder and gives it back only if the whole list was read, so
/// that a filter can never be built from a part of a list.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is finished"]
pub struct Builder {
    options: Options,
    rules: KeyRules,
    keys: KeySet,
    report: Report,
}

/// A finished build.
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// The filter, with its size and origin.
    pub prefilter: Prefilter<Vec<u8>>,
    /// The distinct keys, in the order of their first appearance.
    pub keys: KeySet,
    /// What became of every line and entry.
    pub report: Report,
}

impl Builder {
    /// Starts a build.
    pub fn new(options: Options) -> Self {
        let report = Report::new(&options);
        let mut keys = KeySet::default();
        if options.onboarding_entry {
            keys.add([ONBOARDING_ENTRY.as_bytes()]);
        }
        let rules = options.key_rules();
        Self { options, rules, keys, report }
    }

    /// Adds a list. `name` stands in the report and in errors. Without `format`, the format is detected.
    ///
    /// # Errors
    /// [`BuildError::List`] if the list cannot be read to its end. The builder is gone then; whoever wants to
    /// go on without the list adds it to a clone.
    pub fn add_list(
        mut self,
        name: &str,
        input: impl Read,
        format: Option<&Format>,
    ) -> Result<Self, BuildError> {
        let source = self.report.start_source(name);
        let summary = list::read(input, format, |event| match event {
            Event::Entry { line, entry } => self.add_entry(source, line, entry),
            Event::Refused { line, refusal, text } => {
                self.report.refuse(source, line, refusal, text);
            }
        })
        .map_err(|source| BuildError::List { name: name.to_owned(), source })?;
        self.report.end_source(source, &summary);
        Ok(self)
    }

    fn add_entry(&mut self, source: usize, line: u64, entry: Entry<'_>) {
        // The onboarding entry is the one entry that becomes a key as it stands.
        if self.options.onboarding_entry
            && entry.text == ONBOARDING_ENTRY
            && entry.kind == EntryKind::Url
        {
            self.report.take(source, line, entry, ONBOARDING_ENTRY, entry.remarks);
            return;
        }
        match canonicalise(entry.text, entry.kind, &self.rules) {
            Ok(key) => {
                let mut remarks = key.remarks;
                remarks.extend(entry.remarks);
                let others = key.others.iter().map(String::as_str);
                self.keys.add([&*key.text].into_iter().chain(others).map(str::as_bytes));
                self.report.take(source, line, entry, &key.text, remarks);
            }
            Err(refusal) => self.report.refuse(source, line, refusal, entry.text),
        }
    }

    /// What became of the lists so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether every entry so far became a key that covers no more than the entry names.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.report.refused.is_empty() && self.report.remarks_with(Effect::Widened).next().is_none()
    }

    /// Sizes and fills the filter.
    ///
    /// # Errors
    /// [`BuildError::NoKeys`] if no entry became a key, [`BuildError::Bloom`] for options that
    /// [`Options::check`] refuses or too many keys for a filter, [`BuildError::TooManyKeys`].
    #[expect(clippy::missing_panics_doc, reason = "no panic is possible")]
    pub fn finish(mut self) -> Result<Built, BuildError> {
        self.keys.settle();
        if self.keys.is_full() {
            return Err(BuildError::TooManyKeys);
        }
        let onboarding = u64::from(self.options.onboarding_entry);
        self.report.count_kept(self.keys.new_groups() - onboarding);
        if self.report.entries.read == self.report.entries.refused {
            let refused = self.report.refused.iter();
            return Err(BuildError::NoKeys {
                read: self.report.lines.total(),
                refused: self.report.entries.refused,
                main: refused.max_by_key(|(_, seen)| seen.count()).map(|(&refusal, _)| refusal),
            });
        }
        let Options { tolerance, murmur_seed, sizing, ref rule, .. } = self.options;
        let parameters = sizing.parameters(self.keys.len() as u64, tolerance, murmur_seed)?;
        let mut filter = BloomFilter::empty(parameters);
        filter.insert_all(self.keys.iter());
        let mut description = Description::default();
        description.item_count = Some(self.keys.len() as u64);
        description.false_positive_tolerance = Some(tolerance);
        description.sizing = Some(sizing);
        description.rule = Some(rule.clone());
        description.tool_version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let prefilter = Prefilter::new(filter, description)
            .expect("the tolerance was checked when the filter was sized");
        self.report.keys = self.keys.len() as u64;
        Ok(Built { prefilter, keys: self.keys, report: self.report })
    }
}

impl Built {
    /// Writes the property list, the raw bits and their metadata, the data set and the report to
    /// `folder`, which is created if it does not exist. The files replace their predecessors together.
    ///
    /// # Errors
    /// [`FileError`] names the file that could not be written.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let mut files = FileSet::new(folder)?;
        files.add(DATA_SET_FILE, Access::Everyone, |out| {
            let mut writer = keyword_database::Writer::text(out);
            self.keys.iter().try_for_each(|key| writer.write(key, DATA_SET_VALUE))?;
            writer.finish()?;
            Ok(())
        })?;
        files.add(PLIST_FILE, Access::Everyone, |out| {
            self.prefilter.write_plist(out).map_err(io::Error::from)
        })?;
        files.add(BITS_FILE, Access::Everyone, |out| {
            out.write_all(self.prefilter.filter().bytes())
        })?;
        files.add(METADATA_FILE, Access::Everyone, |out| {
            out.write_all(&self.prefilter.metadata().to_json())
        })?;
        files.add(REPORT_FILE, Access::Everyone, |out| {
            serde_json::to_writer_pretty(&mut *out, &self.report)?;
            out.write_all(b"\n")
        })?;
        files.commit()
    }
}
