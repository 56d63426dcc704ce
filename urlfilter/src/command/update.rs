//! `urlfilter update`: lists by path or URL to what is served, as far as they have changed.

use crate::output::{Bars, Exit, Results, note};
use app_configuration::is_url_filter_use_case;
use list_update::{Configuration, SourceReport, SourceState, Stage, Update, Updated};
use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;

/// Fetch lists that have changed, build, process, and publish them or tell a running service
///
/// The configuration names the lists by path or URL; docs/lists.md describes it. What is broken, away or suddenly short
/// does not get in: the last good copy of such a list stays in use. A run that was interrupted is continued by the next
/// one.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter update lists.toml
  urlfilter update lists.toml --json >> updates.json   # from a timer
  urlfilter update lists.toml --accept phishing        # after a list shrank, and that is meant
  urlfilter update lists.toml --refresh                # after the folder was damaged

A small configuration:
  out = \"state\"
  [[source]]
  name = \"phishing\"
  url = \"https://lists.example/phishing.txt\"
  [service]
  use_case = \"com.example.app.url.filtering\"
  reload = \"http://127.0.0.1:9090\"

Exit codes:
  0  up to date; also if there was nothing to do
  1  up to date but for lists whose old copies are used, or for what a warning says
  2  failure; nothing was done, or the result is there and could not be delivered")]
pub(crate) struct Arguments {
    /// List configuration, in TOML
    #[arg(value_name = "LISTS.toml")]
    configuration: PathBuf,
    /// Fetch lists from private and loopback addresses, too
    #[arg(long)]
    allow_private: bool,
    /// Fetch all lists whole, even if they have not changed or not expired, and compare the contents of all files that were
    /// made with what was written
    #[arg(long)]
    refresh: bool,
    /// Publish on top of what is published now, whoever signed it: for the first signed release, and for another key
    #[arg(long)]
    trust_current: bool,
    /// List that is taken whatever it has, this time; can be repeated
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
    /// Number of threads for processing; one for each core by default
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let configuration = Configuration::read(&arguments.configuration)?;
    for idle in configuration.build.names.idle_names() {
        note(format_args!("{}: {idle}", arguments.configuration.display()));
    }
    if let Some(name) = &configuration.use_case
        && !is_url_filter_use_case(name)
    {
        note(format_args!(
            "{}: devices look up the use case BUNDLE-ID.url.filtering, and service.use_case is {name}",
            arguments.configuration.display()
        ));
    }
    let bars = Bars::default();
    let told = |stage| {
        if let Some(text) = stage_text(stage) {
            note(format_args!("{text}"));
        }
    };
    let mut update = Update::new(&configuration)
        .allow_private(arguments.allow_private)
        .refresh(arguments.refresh)
        .trust_current(arguments.trust_current)
        .progress(&bars)
        .on_stage(&told);
    for name in &arguments.accept {
        update = update.accept(name);
    }
    if let Some(jobs) = arguments.jobs {
        update = update.jobs(jobs);
    }
    let updated = update.run()?;
    if arguments.json {
        let mut results = Results::new();
        results.json(&updated)?;
        results.finish()?;
    }
    describe(&updated, configuration.build.tolerance, arguments.json);
    let needs_a_look = updated.old_sources().next().is_some() || !updated.warnings.is_empty();
    Ok(if needs_a_look { Exit::Attention } else { Exit::Success })
}

fn stage_text(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Building => Some("building"),
        Stage::Processing => Some("processing"),
        Stage::Delivering => Some("delivering"),
        _ => None,
    }
}

/// What a person must know; with JSON on standard output only what is wrong.
fn describe(updated: &Updated, tolerance: f64, only_problems: bool) {
    for source in &updated.sources {
        if let Some(problem) = &source.problem {
            note(format_args!(
                "{}: an old copy is used ({}): {problem}",
                source.name,
                numbers(source)
            ));
        }
    }
    for warning in &updated.warnings {
        note(format_args!("{warning}"));
    }
    for source in &updated.sources {
        describe_still_covered(source);
    }
    if only_problems {
        return;
    }
    if updated.is_unchanged() {
        note(format_args!("nothing to do: {} keys", updated.keys));
        return;
    }
    let moved = |keys_in: Option<u64>, keys_out: Option<u64>| match (keys_in, keys_out) {
        (Some(keys_in), Some(keys_out)) => format!(" (+{keys_in} -{keys_out})"),
        _ => String::new(),
    };
    for source in updated.sources.iter().filter(|source| source.state != SourceState::Old) {
        let state = match source.state {
            SourceState::Changed => "changed",
            SourceState::NotDue => "not due yet",
            _ => "unchanged",
        };
        note(format_args!(
            "{}: {state}, {}{}",
            source.name,
            numbers(source),
            moved(source.keys_in, source.keys_out)
        ));
    }
    for name in &updated.removed {
        note(format_args!("{name}: no longer in the configuration"));
    }
    note(format_args!(
        "{} keys{}, {} rows in {} shards, tag {}, in {:.2} s",
        updated.keys,
        moved(updated.keys_in, updated.keys_out),
        updated.rows,
        updated.shard_count,
        updated.tag,
        updated.seconds
    ));
    for level in &updated.levels {
        note(format_args!(
            "level {}: {} keys, tag {}; of a billion loads, {:.0} are blocked under it that only other levels list",
            level.name,
            level.keys,
            level.tag,
            level.blocked_by_chance * 1e9
        ));
    }
    if !updated.levels.is_empty() {
        note(format_args!(
            "a URL that only other levels list is blocked under a level with the probability {tolerance}, by chance"
        ));
    }
    let Some(delivered) = &updated.delivered else {
        note(format_args!(
            "no service is told: the configuration has neither `reload` nor `publish` under [service]"
        ));
        return;
    };
    match &delivered.release {
        Some(release) => note(format_args!("published at {}: {release}", delivered.to)),
        None => note(format_args!("{}: serves it", delivered.to)),
    }
}

/// What a list has, such as `12 entries (2 exceptions), 3 refused`.
fn numbers(source: &SourceReport) -> String {
    let mut text = match (source.entries, source.exceptions) {
        (entries, 0) => format!("{entries} entries"),
        (entries, exceptions) if entries == exceptions => format!("{exceptions} exceptions"),
        (entries, exceptions) => format!("{entries} entries ({exceptions} exceptions)"),
    };
    if source.refused > 0 {
        text.push_str(&format!(", {} refused", source.refused));
    }
    text
}

/// What a list says must not be blocked, and is.
fn describe_still_covered(source: &SourceReport) {
    for covered in &source.first_still_covered {
        note(format_args!(
            "{}:{} {:?} stays blocked by the key {:?}",
            source.name, covered.line, covered.entry, covered.key
        ));
    }
    let named: BTreeSet<u64> =
        source.first_still_covered.iter().map(|covered| covered.line).collect();
    let more = source.still_covered.saturating_sub(named.len() as u64);
    if more > 0 {
        note(format_args!(
            "{}: {more} more exceptions have no full effect; report.json names them",
            source.name
        ));
    }
}
