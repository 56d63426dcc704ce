//! Lists to keys, with the limits of each list.

use crate::configuration::{BuildSettings, Configuration, List};
use crate::copies::file_error;
use crate::error::{SourceProblem, UpdateError};
use crate::folders::Folders;
use crate::state::SourceCopy;
use blocklist::BuildError;
use blocklist::builder::{
    self, Builder, Built, Guards, Options, PreviousBuild, PreviousSource, REPORT_FILE, Report,
};
use blocklist::list::ReadOptions;
use durable_file::Operation;
use filter_core::Prefilter;
use filter_core::bloom::BloomFilter;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZero;

/// Largest `report.json` that is read, in bytes.
const MAX_REPORT: u64 = 1 << 30;
/// How many times as long a list may be after decompression as its limit is.
const MAX_RATIO: u64 = 32;

/// A list with the copy that it is read from.
#[derive(Clone)]
pub(crate) struct Input<'c> {
    pub(crate) list: &'c List,
    pub(crate) copy: SourceCopy,
    /// The names under which the build before had it, or may have had it.
    pub(crate) names_before: Vec<String>,
}

/// Why lists did not become a prefilter.
pub(crate) enum BuildFailure {
    /// One of them, by its place, is not used.
    Source(usize, SourceProblem),
    Other(UpdateError),
}

impl<E: Into<UpdateError>> From<E> for BuildFailure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Builds with the copies as they are, on at most `max_threads` threads; `None` is one for each core.
pub(crate) fn build(
    settings: &BuildSettings,
    inputs: &[Input<'_>],
    folders: &Folders,
    previous: Option<&PreviousBuild>,
    accepted: &BTreeSet<String>,
    max_threads: Option<NonZero<usize>>,
) -> Result<Built, BuildFailure> {
    let options = options(settings, accepted).with_max_threads(max_threads);
    let mut builder = Builder::new(options);
    for (index, input) in inputs.iter().enumerate() {
        builder = add(builder, input, folders).map_err(|failure| match failure {
            AddFailure::Problem(problem) => BuildFailure::Source(index, problem),
            AddFailure::Other(error) => BuildFailure::Other(error),
        })?;
        if !accepted.contains(&input.list.name)
            && let Some(problem) = problem(input, settings, &builder, previous)
        {
            return Err(BuildFailure::Source(index, problem));
        }
    }
    let built = builder.finish()?;
    check_strict(settings, inputs, accepted, &built.report)?;
    if let Some(before) = previous.map(|previous| previous.keys)
        && is_shrunk(before, built.report.keys, settings.max_shrink)
    {
        let now = built.report.keys;
        return Err(BuildFailure::Other(UpdateError::Shrunk { now, before }));
    }
    watch(built, settings)
}

/// Adds the keys that are watched to the prefilter, and to nothing else.
fn watch(mut built: Built, settings: &BuildSettings) -> Result<Built, BuildFailure> {
    if settings.watched.is_empty() {
        return Ok(built);
    }
    let keys: Vec<&[u8]> = built.keys.iter().collect();
    built.prefilter = prefilter(&built, settings, &keys)?;
    Ok(built)
}

/// A prefilter of some keys of a build, and of those that are watched.
pub(crate) fn prefilter(
    built: &Built,
    settings: &BuildSettings,
    keys: &[&[u8]],
) -> Result<Prefilter<Vec<u8>>, BuildError> {
    let mut watched: BTreeSet<&[u8]> = settings.watched.iter().map(String::as_bytes).collect();
    for key in keys {
        watched.remove(key);
    }
    let mut description = built.prefilter.description().clone();
    let count = (keys.len() + watched.len()) as u64;
    let seed = built.prefilter.filter().parameters().murmur_seed();
    let sizing = description.sizing.expect("a build says how its filter was sized");
    let parameters = sizing.parameters(count, settings.tolerance, seed)?;
    let mut filter = BloomFilter::empty(parameters);
    filter.insert_all(keys.iter().copied().chain(watched));
    description.item_count = Some(count);
    Ok(Prefilter::new(filter, description)
        .expect("the tolerance was checked when the filter was sized"))
}

enum AddFailure {
    Problem(SourceProblem),
    Other(UpdateError),
}

fn add(builder: Builder, input: &Input<'_>, folders: &Folders) -> Result<Builder, AddFailure> {
    let list = input.list;
    if !input.copy.is_intact(folders) {
        return Err(AddFailure::Problem(SourceProblem::Damaged));
    }
    let path = input.copy.path(folders);
    let file = File::open(&path)
        .map_err(|error| AddFailure::Other(file_error(Operation::Read, &path)(error).into()))?;
    let defaults = ReadOptions::default();
    let max_unpacked = defaults.max_unpacked.min(list.max_bytes.saturating_mul(MAX_RATIO));
    let options = defaults
        .with_format(list.format.clone())
        .with_rows(list.rows.clone())
        .with_member(list.member.clone())
        .with_origin(list.origin.clone())
        .with_sinks(list.sinks.clone())
        .with_defanged(list.is_defanged)
        .with_widened_rules(list.is_widening_rules)
        .with_max_unpacked(max_unpacked);
    let added = match list.is_allow_list {
        false => builder.add_source(&list.name, file, &options),
        true => builder.add_allow_list(&list.name, file, &options),
    };
    added.map_err(|error| match error {
        BuildError::List { .. } | BuildError::Source { .. } => {
            AddFailure::Problem(SourceProblem::Unusable(Box::new(error)))
        }
        error => AddFailure::Other(error.into()),
    })
}

/// What exceptions leave covered is known at the end, and has no list of its own.
fn check_strict(
    settings: &BuildSettings,
    inputs: &[Input<'_>],
    accepted: &BTreeSet<String>,
    report: &Report,
) -> Result<(), UpdateError> {
    let Some(tolerated) = &settings.tolerated else { return Ok(()) };
    let is_accepted = |index: &usize| accepted.contains(&inputs[*index].list.name);
    let accepted: BTreeSet<&str> = (0..inputs.len())
        .filter(is_accepted)
        .flat_map(|index| report.inexact_of(index, |_| false).map(|(name, _)| name))
        .collect();
    let is_tolerated = |name: &str| tolerated.contains(name) || accepted.contains(name);
    let reasons: Vec<&str> = report.inexact(is_tolerated).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let first = report.still_covered.first().map(|covered| {
        let (origin, key) = (covered.origin, &covered.key);
        let source = origin.source().expect("exceptions stand in lists");
        let list = &report.sources[source].name;
        format!("; first: {key} blocks {}, an exception in {list}:{}", covered.entry, origin.line())
    });
    Err(UpdateError::Inexact { reasons, first })
}

fn is_shrunk(before: u64, now: u64, max_shrink: f64) -> bool {
    (now as f64) < before as f64 * (1.0 - max_shrink)
}

/// What is wrong with the list that was added last.
fn problem(
    input: &Input<'_>,
    settings: &BuildSettings,
    builder: &Builder,
    previous: Option<&PreviousBuild>,
) -> Option<SourceProblem> {
    let list = input.list;
    let source = builder.report().sources.last()?;
    if let Some(&option) = source.without_effect.first() {
        return Some(SourceProblem::WithoutEffect(option));
    }
    if let Some(tolerated) = &settings.tolerated {
        let place = builder.report().sources.len() - 1;
        let reasons = builder.report().inexact_of(place, |name| tolerated.contains(name));
        let reasons: Vec<(&str, u64)> = reasons.collect();
        if !reasons.is_empty() {
            return Some(SourceProblem::Inexact { reasons });
        }
    }
    let (taken, exceptions) = (source.entries.taken, source.entries.exceptions);
    let min = list.min_keys;
    match list.is_allow_list {
        true if exceptions < min => {
            return Some(SourceProblem::TooFewExceptions { found: exceptions, min });
        }
        false if taken < min => return Some(SourceProblem::TooFewKeys { found: taken, min }),
        _ => {}
    }
    let is_exceeded = |before, now| is_shrunk(before, now, list.max_shrink);
    let previous = &previous?.sources;
    let before: Vec<&PreviousSource> = match previous.get(&list.name) {
        Some(before) => vec![before],
        None => input.names_before.iter().filter_map(|name| previous.get(name)).collect(),
    };
    let lost = before.iter().map(|before| {
        Some(match before.lost(taken, exceptions, is_exceeded)? {
            builder::SourceProblem::Shrunk { now, before, .. } => {
                SourceProblem::Shrunk { now, before }
            }
            _ => SourceProblem::ShrunkExceptions { now: exceptions, before: before.exceptions },
        })
    });
    // It may be any of several: then all of them must have had more.
    lost.collect::<Option<Vec<_>>>()?.into_iter().next()
}

fn options(settings: &BuildSettings, accepted: &BTreeSet<String>) -> Options {
    let mut guards =
        Guards::default().with_max_refused(settings.max_refused).with_min_keys(settings.min_keys);
    for name in accepted {
        guards = guards.with_accepted(name);
    }
    Options::default()
        .with_tolerance(settings.tolerance)
        .with_compression(settings.is_compressed)
        .with_onboarding_entry(settings.onboarding_entry)
        .with_systems(settings.systems)
        .with_names(settings.names.clone())
        .with_guards(guards)
}

/// The numbers of the build before; none if its report is damaged.
pub(crate) fn previous(
    folders: &Folders,
    is_intact: bool,
) -> Result<Option<PreviousBuild>, UpdateError> {
    let path = folders.build().join(REPORT_FILE);
    let json = match durable_file::read(&path, MAX_REPORT) {
        Err(error) if error.is_not_found() => return Ok(None),
        json => json?,
    };
    match PreviousBuild::from_report(&json) {
        Ok(previous) => Ok(Some(previous)),
        Err(source) if is_intact => Err(UpdateError::Report { path, source }),
        Err(_) => Ok(None),
    }
}

/// SHA-256 of everything that decides what the result is: the settings, the lists, and this version.
pub(crate) fn inputs_digest(configuration: &Configuration, inputs: &[Input<'_>]) -> String {
    let mut digest = Sha256::new();
    let mut part = |text: String| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    };
    part(env!("CARGO_PKG_VERSION").to_owned());
    let BuildSettings {
        tolerance,
        is_compressed,
        onboarding_entry,
        systems,
        names,
        watched,
        tolerated,
        max_refused: _,
        max_shrink: _,
        min_keys: _,
    } = &configuration.build;
    part(format!("{tolerance} {is_compressed} {onboarding_entry} {systems} {names:?} {watched:?}"));
    // Earlier releases had no such setting, and nothing is built anew without it.
    if let Some(tolerated) = tolerated {
        part(format!("strict {tolerated:?}"));
    }
    part(format!("{:?}", configuration.process));
    for Input { list, copy, names_before: _ } in inputs {
        let format = list.format.as_ref().map(ToString::to_string);
        let rows: Vec<String> = list.rows.iter().map(ToString::to_string).collect();
        part(format!(
            "{:?} {} {format:?} {rows:?} {:?} {:?} {:?} {} {} {} {:?}",
            list.name,
            list.is_allow_list,
            list.member,
            list.origin,
            list.sinks,
            list.is_defanged,
            list.is_widening_rules,
            copy.sha256,
            list.levels,
        ));
    }
    hex::encode(digest.finalize())
}
