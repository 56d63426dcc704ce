//! From block lists to a prefilter, its data set and a report, in one pass over the input.
//!
//! ```
//! use blocklist::builder::{Build, Options};
//!
//! let mut build = Build::new(Options::default());
//! build.add_list("list.txt", &b"https://www.example.com/\nexample.org/a\ncom\n"[..], None, |_| {})?;
//! let built = build.finish()?;
//! assert_eq!(built.keys.iter().collect::<Vec<_>>(), [b"example.com".as_slice(), b"example.org/a"]);
//! assert!(built.prefilter.filter().contains(b"example.org/a"));
//! assert_eq!(built.report.entries.refused, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod key_set;
mod report;

pub use key_set::KeySet;
pub use report::{Example, LineRange, Occurrences, Report, ReportedOptions, Source};

use crate::key::{Effect, EntryKind, ONBOARDING_ENTRY, canonicalise};
use crate::list::{self, Entry, Event, Format, ListError, txtpb};
use durable_file::{Access, FileError, FileSet};
use filter_core::Prefilter;
use filter_core::bloom::{BloomError, BloomFilter, Sizing};
use filter_core::file::Description;
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use filter_core::sub_url::SubUrlRule;
use std::io::{self, Read, Write};
use std::path::Path;

/// The default of [`Options::murmur_seed`]: fixed, so that builds are reproducible.
pub const DEFAULT_SEED: u32 = 2_538_058_380;

/// The default of [`Options::tolerance`].
pub const DEFAULT_TOLERANCE: f64 = 0.001;

/// Name of the property list in the output folder.
pub const PLIST_FILE: &str = "bloom_filter.plist";
/// Name of the PIR data set in the output folder.
pub const DATA_SET_FILE: &str = "input.txtpb";
/// Name of the report in the output folder.
pub const REPORT_FILE: &str = "report.json";

/// How to build.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// False-positive tolerance, strictly between 0 and 1.
    pub tolerance: f64,
    /// Seed of MurmurHash3.
    pub murmur_seed: u32,
    /// How sizes are rounded.
    pub sizing: Sizing,
    /// The rule by which devices will look keys up.
    pub rule: SubUrlRule,
    /// Adds [`ONBOARDING_ENTRY`].
    pub onboarding_entry: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: DEFAULT_TOLERANCE,
            murmur_seed: DEFAULT_SEED,
            sizing: Sizing::default(),
            rule: SubUrlRule::default(),
            onboarding_entry: false,
        }
    }
}

/// Why a build fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The tolerance is no probability, or the filter would be too large.
    #[error(transparent)]
    Bloom(#[from] BloomError),
    /// No entry of the input became a key.
    #[error("no entry of the input can become a key: {read} lines read, {refused} entries refused{}", .main.map(|reason| format!(", most as {reason}")).unwrap_or_default())]
    NoKeys {
        /// Lines of all lists.
        read: u64,
        /// Entries that were refused.
        refused: u64,
        /// The most frequent reason.
        main: Option<&'static str>,
    },
    /// More distinct keys, or bytes of keys, than fit.
    #[error("the keys take more than {} GiB of text, which one data set cannot hold; split the list", key_set::MAX_BYTES >> 30)]
    TooManyKeys,
    /// An output file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A build that is still taking lists.
#[derive(Debug)]
pub struct Build {
    options: Options,
    keys: KeySet,
    report: Report,
}

/// A finished build.
#[derive(Debug)]
pub struct Built {
    /// The filter.
    pub prefilter: Prefilter<Vec<u8>>,
    /// The keys, in the order of their first appearance.
    pub keys: KeySet,
    /// What became of the input.
    pub report: Report,
}

impl Build {
    /// Starts a build.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let report = Report::new(&options);
        let mut build = Self { options, keys: KeySet::default(), report };
        if build.options.onboarding_entry {
            build.keys.add([ONBOARDING_ENTRY.as_bytes()]);
        }
        build
    }

    /// Adds a list under a name for the report, in the given format or the one it looks like.
    /// `progress` is called now and then with the number of lines seen so far in this list.
    ///
    /// # Errors
    /// [`ListError`], after which the build must not be finished: part of the list is in it.
    pub fn add_list(
        &mut self,
        name: &str,
        input: impl Read,
        format: Option<&Format>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ListError> {
        const STEP: u64 = 1 << 14;
        let source = self.report.start_source(name);
        let mut reported = 0;
        let summary = list::read(input, format, |event| {
            let line = match event {
                Event::Entry { line, entry } => {
                    self.add_entry(source, line, entry);
                    line
                }
                Event::Refused { line, refusal, text } => {
                    self.report.refuse(source, line, refusal, text);
                    line
                }
            };
            if line >= reported + STEP {
                reported = line;
                progress(line);
            }
        })?;
        self.report.end_source(source, &summary);
        Ok(())
    }

    fn add_entry(&mut self, source: usize, line: u64, entry: Entry<'_>) {
        // The onboarding entry is the one key that may stand in a list verbatim.
        if self.options.onboarding_entry
            && entry.text == ONBOARDING_ENTRY
            && entry.kind == EntryKind::Url
        {
            self.report.take(source, line, entry, ONBOARDING_ENTRY, entry.remarks);
            return;
        }
        match canonicalise(entry.text, entry.kind, &self.options.rule) {
            Ok(key) => {
                let mut remarks = key.remarks;
                remarks.extend(entry.remarks);
                let texts = [Some(&*key.text), key.also.as_deref()];
                self.keys.add(texts.into_iter().flatten().map(str::as_bytes));
                self.report.take(source, line, entry, &key.text, remarks);
            }
            Err(refusal) => self.report.refuse(source, line, refusal, entry.text),
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether every entry so far became a key without covering more than it names.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.report.refused.is_empty() && self.report.remarks_with(Effect::Widened).next().is_none()
    }

    /// Sizes and fills the filter.
    ///
    /// # Errors
    /// [`BuildError`]; a list without a usable entry is one, because its filter would allow all.
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
                main: refused.max_by_key(|(_, seen)| seen.count()).map(|(reason, _)| reason.name()),
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
    /// `folder`. They appear together or not at all.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let mut files = FileSet::new(folder)?;
        files.add(DATA_SET_FILE, Access::Everyone, |out| {
            self.keys.iter().try_for_each(|key| txtpb::write_row(out, key))
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

#[cfg(test)]
mod tests {
    use super::*;
    use filter_core::sub_url::Profile;

    fn built(list: &str, options: Options) -> Result<Built, BuildError> {
        let mut build = Build::new(options);
        build.add_list("list", list.as_bytes(), None, |_| {}).unwrap();
        build.finish()
    }

    fn keys(built: &Built) -> Vec<&str> {
        built.keys.iter().map(|key| std::str::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn duplicates_count_once_and_all_files_hold_the_same_keys() {
        let list =
            "# x\nexample.com\n\nHTTP://EXAMPLE.com/\nwww.example.com\ncom\nexample.org/a b\n";
        let built = built(list, Options::default()).unwrap();
        assert_eq!(keys(&built), ["example.com", "example.org/a%20b"]);
        let report = &built.report;
        assert_eq!((report.lines.total(), report.lines.entry, report.keys), (7, 5, 2));
        let entries = report.entries;
        assert_eq!((entries.read, entries.kept, entries.duplicate, entries.refused), (5, 2, 2, 1));

        let folder = tempfile::tempdir().unwrap();
        built.write(folder.path()).unwrap();
        for path in [folder.path().to_owned(), folder.path().join(PLIST_FILE)] {
            let prefilter = Prefilter::open(&path).unwrap();
            assert_eq!(prefilter.filter().bytes(), built.prefilter.filter().bytes());
        }
        let mut again = Build::new(Options::default());
        let data_set = std::fs::File::open(folder.path().join(DATA_SET_FILE)).unwrap();
        again.add_list("data set", data_set, None, |_| {}).unwrap();
        assert!(again.is_exact());
        assert_eq!(again.finish().unwrap().prefilter.tag(), built.prefilter.tag());
    }

    #[test]
    fn the_onboarding_entry_is_verbatim() {
        let options = Options { onboarding_entry: true, ..Options::default() };
        let list = format!("{ONBOARDING_ENTRY}\nexample.com\n");
        assert_eq!(
            keys(&built(&list, options.clone()).unwrap()),
            [ONBOARDING_ENTRY, "example.com"]
        );
        assert_eq!(
            keys(&built(&list, Options::default()).unwrap()),
            ["apple.com/url-filter-test", "example.com"]
        );
        assert!(matches!(built("com\n", options), Err(BuildError::NoKeys { refused: 1, .. })));
    }

    #[test]
    fn an_entry_may_need_two_keys() {
        let options = Options { rule: SubUrlRule::Profile(Profile::Ios26_0), ..Options::default() };
        let built = built("www.example.com\nexample.com\n", options).unwrap();
        assert_eq!(keys(&built), ["example.com", "www.example.com"]);
        assert_eq!((built.report.entries.kept, built.report.entries.duplicate), (1, 1));
    }

    #[test]
    fn nothing_usable_and_bad_options_are_errors() {
        for list in ["", "\n\n", "# only\n", "com\nnot a host\n"] {
            let error = built(list, Options::default()).unwrap_err();
            assert!(error.to_string().contains("no entry"), "{error}");
        }
        let options = Options { tolerance: 1.0, ..Options::default() };
        assert!(matches!(
            built("example.com\n", options),
            Err(BuildError::Bloom(BloomError::Tolerance(_)))
        ));
    }
}
