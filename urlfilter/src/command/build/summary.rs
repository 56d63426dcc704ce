//! What a build did, for people and as JSON.

use crate::output::{Exit, Results, note};
use blocklist::builder::{Built, Report};
use blocklist::key::Effect;
use blocklist::list::Certainty;
use serde::Serialize;
use std::path::Path;

/// Lines of one kind that are printed at most.
const MAX_PRINTED: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    out: String,
    sources: Vec<SourceSummary<'a>>,
    lines_read: u64,
    entries_read: u64,
    kept: u64,
    duplicate: u64,
    refused: u64,
    exceptions: u64,
    revoked: u64,
    revoked_exceptions: usize,
    still_covered: usize,
    compressed: u64,
    changed: u64,
    widened: u64,
    noted: u64,
    refused_by_reason: Vec<(&'a str, u64)>,
    widened_by_reason: Vec<(&'a str, u64)>,
    keys: u64,
    bit_count: u32,
    byte_count: usize,
    hash_count: u32,
    tag: String,
    bits_set: u64,
    estimated_false_positive_rate: f64,
    is_false_positive_rate_measured: bool,
    seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceSummary<'a> {
    name: &'a str,
    format: &'a str,
    certainty: String,
    lines: u64,
    taken: u64,
    refused: u64,
}

pub(super) fn print(built: &Built, out: &Path, json: bool, seconds: f64) -> anyhow::Result<Exit> {
    let report = &built.report;
    let parameters = built.prefilter.filter().parameters();
    let rate = built.false_positive_rate();
    let of = |effect| report.remarks_with(effect).map(|(_, seen)| seen.count()).sum();
    let sources = report.sources.iter().map(|source| SourceSummary {
        name: &source.name,
        format: &source.format,
        certainty: source.certainty.to_string(),
        lines: source.lines.total(),
        taken: source.entries.taken,
        refused: source.entries.refused_understood + source.entries.refused_unknown,
    });
    let summary = Summary {
        out: out.display().to_string(),
        sources: sources.collect(),
        lines_read: report.lines.total(),
        entries_read: report.entries.read,
        kept: report.entries.kept,
        duplicate: report.entries.duplicate,
        refused: report.entries.refused,
        exceptions: report.entries.exceptions,
        revoked: report.revoked_keys(),
        revoked_exceptions: report.revoked_exceptions.len(),
        still_covered: report.still_covered.len(),
        compressed: report.compressed,
        changed: of(Effect::Changed),
        widened: of(Effect::Widened),
        noted: of(Effect::Noted),
        refused_by_reason: report
            .refused
            .iter()
            .map(|(reason, seen)| (reason.name(), seen.count()))
            .collect(),
        widened_by_reason: report
            .remarks_with(Effect::Widened)
            .map(|(remark, seen)| (remark.name(), seen.count()))
            .collect(),
        keys: report.keys,
        bit_count: parameters.bit_count(),
        byte_count: parameters.byte_count(),
        hash_count: parameters.hash_count(),
        tag: built.prefilter.tag(),
        bits_set: built.prefilter.filter().statistics().bits_set,
        estimated_false_positive_rate: rate.rate,
        is_false_positive_rate_measured: rate.is_measured,
        seconds,
    };
    if json {
        let mut results = Results::new();
        results.json(&summary)?;
        results.finish()?;
        return Ok(Exit::Success);
    }
    for (source, of_report) in summary.sources.iter().zip(&report.sources) {
        if of_report.certainty == Certainty::Page {
            note(format_args!("{}: {}", source.name, source.certainty));
            continue;
        }
        note(format_args!(
            "{}: {} lines, read as {} ({})",
            source.name, source.lines, source.format, source.certainty
        ));
    }
    note(format_args!(
        "{} entries: {} kept, {} duplicate, {} refused, {} exceptions",
        summary.entries_read, summary.kept, summary.duplicate, summary.refused, summary.exceptions
    ));
    describe_reasons(report);
    describe_exceptions(report);
    if report.compressed > 0 {
        note(format_args!("  {} keys left out, because others cover them", report.compressed));
    }
    note(format_args!(
        "{} keys in {} bits ({} bytes), {} hashes; {} false-positive rate {:.3e}",
        summary.keys,
        summary.bit_count,
        summary.byte_count,
        summary.hash_count,
        if rate.is_measured { "measured" } else { "expected" },
        summary.estimated_false_positive_rate
    ));
    note(format_args!(
        "written to {} in {seconds:.2} s; report.json has the lines of every entry above",
        summary.out
    ));
    Ok(Exit::Success)
}

/// Prints how many entries were changed, widened, noted and refused, by reason.
pub(super) fn describe_reasons(report: &Report) {
    for (title, effect) in
        [("changed", Effect::Changed), ("widened", Effect::Widened), ("noted", Effect::Noted)]
    {
        for (remark, seen) in report.remarks_with(effect) {
            note(format_args!("  {title} {:>8}  {remark}: {}", seen.count(), remark.explanation()));
        }
    }
    for (refusal, seen) in &report.refused {
        note(format_args!("  refused {:>8}  {refusal}: {}", seen.count(), refusal.explanation()));
        for example in seen.examples().iter().take(2).filter(|example| !example.entry.is_empty()) {
            note(format_args!(
                "                    {}:{} {:?}",
                example.source, example.line, example.entry
            ));
        }
    }
}

/// Prints what exceptions did, and the first of those that have no full effect.
pub(super) fn describe_exceptions(report: &Report) {
    let revoked = report.revoked_keys();
    if revoked > 0 {
        note(format_args!("  revoked {revoked:>8}  keys, by {} exceptions", report.revoked.len()));
    }
    if !report.revoked_exceptions.is_empty() {
        let count = report.revoked_exceptions.len();
        note(format_args!("  revoked {count:>8}  exceptions, by lines that take them back"));
    }
    for covered in report.still_covered.iter().take(MAX_PRINTED) {
        note(format_args!(
            "  {}:{} {:?} stays blocked by the key {:?} ({}:{})",
            report.source_name(covered.origin),
            covered.origin.line(),
            covered.entry,
            covered.key,
            report.source_name(covered.blocked_by),
            covered.blocked_by.line()
        ));
    }
    if report.still_covered.len() > MAX_PRINTED {
        let more = report.still_covered.len() - MAX_PRINTED;
        note(format_args!("  {more} more such lines; report.json has them"));
    }
}
