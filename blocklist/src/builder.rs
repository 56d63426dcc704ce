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

mod exceptions;
mod fill;
mod guards;
mod intake;
mod key_set;
mod manner;
mod measure;
mod options;
mod origins;
mod pipeline;
pub(crate) mod plausible;
mod protected;
mod reach;
mod report;
#[cfg(test)]
mod tests;
mod uses;

pub use guards::{
    DEFAULT_MAX_REFUSED, Guards, MaxShrink, NotAReport, PreviousBuild, PreviousSource,
    PreviousStillCovered, SourceProblem,
};
pub use key_set::KeySet;
pub use measure::FalsePositiveRate;
pub use options::{DEFAULT_SEED, DEFAULT_TOLERANCE, Options};
pub use origins::{KeyOrigin, KeyOrigins, OriginsError};
pub use protected::{ProtectError, protect};
pub use report::{
    EntryCounts, Example, LineRange, Occurrences, Report, ReportedOptions, Revoked,
    RevokedException, STILL_COVERED, Source, SourceEntries, StillCovered, reason_named,
};
pub use uses::Origin;

use crate::key::parents::{Lengths, any_cover};
use crate::key::{KeyRules, ONBOARDING_ENTRY, Refusal};
use crate::list::{
    self, Certainty, Format, ListError, MAX_GENERATED_IN_BUILD, ReadOptions, Summary,
};
use durable_file::{Access, FileError, FileSet};
use exceptions::{Exceptions, Speaker};
use fill::fill;
use filter_core::Prefilter;
use filter_core::bloom::{BloomError, BloomFilter};
use filter_core::file::Description;
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use intake::{Intake, KeyMaker, spoken};
use manner::Manner;
use std::io::{self, Read, Write};
use std::path::Path;

/// Name of the property list in the output folder.
pub const PLIST_FILE: &str = "bloom_filter.plist";
/// Name of the PIR data set in the output folder.
pub const DATA_SET_FILE: &str = "input.txtpb";
/// The value of every row of the data set: devices look only whether there is a row.
const DATA_SET_VALUE: &[u8] = b"1";
/// Name of the report in the output folder.
pub const REPORT_FILE: &str = "report.json";
/// Name of the file in the output folder that says where each key was found.
pub const ORIGINS_FILE: &str = "origins.bin";

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
    /// A list looks broken, as [`Options::guards`] has it.
    #[error("the list {name} is not used: {problem}{}", main_refusal(*.main))]
    #[non_exhaustive]
    Source {
        /// The name that the list was added under.
        name: String,
        /// What is wrong with it.
        problem: SourceProblem,
        /// The most frequent reason for which its entries were refused, if any were.
        main: Option<Refusal>,
    },
    /// There are fewer keys than [`Guards::min_keys`].
    #[error("the build has {keys} keys, and at least {min} are required")]
    #[non_exhaustive]
    TooFewKeys {
        /// The keys of the build.
        keys: u64,
        /// The fewest that are taken.
        min: u64,
    },
    /// There are far fewer keys than before, as [`Guards::max_shrink`] has it.
    #[error(
        "the build has {keys} keys, and the one before had {before}, so that more is lost than allowed"
    )]
    #[non_exhaustive]
    Shrunk {
        /// The keys of the build.
        keys: u64,
        /// The keys of the build before.
        before: u64,
    },
    /// Keys can be left out as covered only under the rules of system versions.
    #[error(
        "keys that others cover are known only under the rule of a system, not under a parsing configuration of its own"
    )]
    CannotCompress,
    /// There are more lists than one build takes.
    #[error("a build takes at most {} lists", Origin::MAX_SOURCES)]
    TooManySources,
    /// No entry of the lists became a key. A filter without keys would allow everything.
    #[error("{}", no_keys(*.read, *.refused, *.main, *.revoked))]
    #[non_exhaustive]
    NoKeys {
        /// Lines of all lists.
        read: u64,
        /// Entries that were refused.
        refused: u64,
        /// The most frequent reason, if there were entries.
        main: Option<Refusal>,
        /// Keys that exceptions took back.
        revoked: u64,
    },
    /// There are more distinct keys, or bytes of keys, than one data set holds.
    #[error("the keys take more than {} GiB of text, which one data set cannot hold; split the list", key_set::MAX_BYTES >> 30)]
    TooManyKeys,
}

fn main_refusal(main: Option<Refusal>) -> String {
    main.map_or_else(String::new, |refusal| format!(", most as {refusal}"))
}

fn no_keys(read: u64, refused: u64, main: Option<Refusal>, revoked: u64) -> String {
    let main = main_refusal(main);
    match revoked {
        0 => format!(
            "no entry of the input can become a key: {read} lines read, {refused} entries refused{main}"
        ),
        revoked => format!(
            "exceptions take back all {revoked} keys of the input: {read} lines read, {refused} entries refused{main}"
        ),
    }
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
    exceptions: Exceptions,
    report: Report,
    /// The names that directives of zones stood for.
    generated: u64,
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
            keys.add([ONBOARDING_ENTRY.as_bytes()], Origin::OPTION, Manner::PLAIN);
        }
        let rules = options.key_rules();
        Self { options, rules, keys, exceptions: Exceptions::default(), report, generated: 0 }
    }

    /// Adds a list. `name` stands in the report and in errors. Without `format`, the format is detected.
    ///
    /// # Errors
    /// [`BuildError::List`] if the list cannot be read to its end, [`BuildError::Source`] if it looks broken, or
    /// [`BuildError::TooManySources`]. The builder is gone then; whoever wants to go on without the list adds it to a
    /// clone.
    pub fn add_list(
        self,
        name: &str,
        input: impl Read,
        format: Option<&Format>,
    ) -> Result<Self, BuildError> {
        self.add_source(name, input, &ReadOptions::default().with_format(format.cloned()))
    }

    /// Adds a list that is read as `options` say. `name` stands in the report and in errors.
    ///
    /// # Errors
    /// Those of [`add_list`](Self::add_list).
    pub fn add_source(
        self,
        name: &str,
        input: impl Read,
        options: &ReadOptions,
    ) -> Result<Self, BuildError> {
        self.add(name, input, options, Speaker::BlockList)
    }

    /// Adds a list of what must not be blocked: its entries take back those of all other lists, wherever the list
    /// stands, and so do its exceptions. It may be empty, unless [`Guards::max_shrink`] has one with entries.
    ///
    /// # Errors
    /// Those of [`add_list`](Self::add_list).
    pub fn add_allow_list(
        self,
        name: &str,
        input: impl Read,
        options: &ReadOptions,
    ) -> Result<Self, BuildError> {
        self.add(name, input, options, Speaker::AllowList)
    }

    /// Adds a list. Entries of an allow list take others back, whether they ask to block or to allow.
    fn add(
        mut self,
        name: &str,
        input: impl Read,
        options: &ReadOptions,
        speaker: Speaker,
    ) -> Result<Self, BuildError> {
        if self.report.sources.len() >= Origin::MAX_SOURCES {
            return Err(BuildError::TooManySources);
        }
        let left = MAX_GENERATED_IN_BUILD - self.generated;
        let options = &options.clone().with_max_generated(options.max_generated.min(left));
        let refused_before = self.report.refused_counts();
        let source = self.report.start_source(name);
        let maker = KeyMaker { options: &self.options, rules: &self.rules };
        let intake = Intake {
            keys: &mut self.keys,
            exceptions: &mut self.exceptions,
            report: &mut self.report,
            source,
            speaker,
        };
        let outcome = pipeline::run(self.options.threads(), maker, intake, |visit| {
            list::read(input, options, |event| visit(spoken(event, speaker)))
        });
        let guards = &self.options.guards;
        let summary = match outcome {
            Err(error)
                if error.is_page()
                    && guards.accepts(name)
                    && self.report.sources[source].entries.read == 0 =>
            {
                Summary::of_page(options)
            }
            outcome => {
                outcome.map_err(|source| BuildError::List { name: name.to_owned(), source })?
            }
        };
        self.generated += summary.generated;
        self.report.end_source(source, &summary);
        if summary.certainty != Certainty::Page {
            self.report.sources[source].without_effect =
                options.without_effect(&summary.format, summary.is_in_archive);
        }
        let may_be_empty = speaker == Speaker::AllowList;
        match guards.problem(&self.report.sources[source], &summary, may_be_empty) {
            None => Ok(self),
            Some(problem) => {
                let main = self.report.refused_counts().into_iter().map(|(refusal, count)| {
                    let before = refused_before.get(&refusal).map_or(0, |&before| before);
                    (count - before, refusal)
                });
                let main = main.filter(|(count, _)| *count > 0).max().map(|(_, refusal)| refusal);
                Err(BuildError::Source { name: name.to_owned(), problem, main })
            }
        }
    }

    /// What became of the lists so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether every entry so far that asks to block became a key that covers no more than the entry names.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.report.inexact(|_| false).next().is_none()
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
        self.take_back();
        self.compress()?;
        // The keys that are named are those that remain.
        self.exceptions.report_still_covered(&self.keys, &mut self.report);
        if self.report.entries.kept == 0 || self.keys.len() as u64 == onboarding {
            let refused = self.report.refused.iter();
            return Err(BuildError::NoKeys {
                read: self.report.lines.total(),
                refused: self.report.entries.refused,
                main: refused.max_by_key(|(_, seen)| seen.count()).map(|(&refusal, _)| refusal),
                revoked: self.report.revoked_keys(),
            });
        }
        self.report.keys = self.keys.len() as u64;
        let guards = &self.options.guards;
        if self.report.keys < guards.min_keys {
            return Err(BuildError::TooFewKeys { keys: self.report.keys, min: guards.min_keys });
        }
        if let Some(before) = guards.shrunk(&self.report) {
            return Err(BuildError::Shrunk { keys: self.report.keys, before });
        }
        let Options { tolerance, murmur_seed, sizing, ref rule, .. } = self.options;
        let parameters = sizing.parameters(self.keys.len() as u64, tolerance, murmur_seed)?;
        let mut filter = BloomFilter::empty(parameters);
        fill(&mut filter, &self.keys, self.options.threads());
        let mut description = Description::default();
        description.item_count = Some(self.keys.len() as u64);
        description.false_positive_tolerance = Some(tolerance);
        description.sizing = Some(sizing);
        description.rule = Some(rule.clone());
        description.tool_version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let prefilter = Prefilter::new(filter, description)
            .expect("the tolerance was checked when the filter was sized");
        Ok(Built { prefilter, keys: self.keys, report: self.report })
    }

    /// The number of the key that nothing takes away, if there is one.
    fn onboarding_key(&self) -> Option<usize> {
        self.options.onboarding_entry.then_some(0)
    }

    /// Removes the keys that exceptions take back.
    fn take_back(&mut self) {
        if self.exceptions.is_empty() {
            return;
        }
        self.exceptions.settle(&mut self.report);
        let keep = self.onboarding_key();
        let revoked = self.exceptions.revoked(&self.keys, keep, &mut self.report);
        self.keys.remove(|number| revoked[number]);
    }

    /// Removes the keys that others cover, if the options say so.
    fn compress(&mut self) -> Result<(), BuildError> {
        if !self.options.is_compressed {
            return Ok(());
        }
        let reach = self.options.reach().ok_or(BuildError::CannotCompress)?;
        let keep = self.onboarding_key();
        let mut covered = vec![false; self.keys.numbers()];
        let lengths = Lengths::of(self.keys.iter());
        for (number, key) in self.keys.numbered().filter(|&(number, _)| keep != Some(number)) {
            let Ok(text) = std::str::from_utf8(key) else { continue };
            covered[number] = any_cover(text, reach, &lengths, |cover| {
                self.keys.number_of(cover.as_bytes()).is_some_and(|cover| keep != Some(cover))
            });
        }
        let before = self.keys.len();
        self.keys.remove(|number| covered[number]);
        self.report.compressed = (before - self.keys.len()) as u64;
        Ok(())
    }
}

impl Built {
    /// The share of strings that are not keys and hit the prefilter all the same.
    #[must_use]
    pub fn false_positive_rate(&self) -> FalsePositiveRate {
        measure::false_positive_rate(self.prefilter.filter(), self.report.keys)
    }

    /// Writes the property list, the raw bits and their metadata, the data set, the origins of its keys and the report to
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
        files.add(ORIGINS_FILE, Access::Everyone, |out| {
            origins::write(out, &self.prefilter.tag(), &self.report, &self.keys)
        })?;
        files.add(REPORT_FILE, Access::Everyone, |out| {
            serde_json::to_writer_pretty(&mut *out, &self.report)?;
            out.write_all(b"\n")
        })?;
        files.commit()
    }
}
