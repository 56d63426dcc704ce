//! `urlfilter build`: block lists to a prefilter and its data set.

use super::rule::RuleOptions;
use crate::output::{BYTES, Exit, Results, bar_style, note};
use anyhow::{Context, bail};
use blocklist::builder::{Builder, Built, DEFAULT_SEED, Options, Report};
use blocklist::key::Effect;
use blocklist::list::Format;
use clap::ValueEnum;
use filter_core::bloom::Sizing;
use indicatif::ProgressBar;
use serde::Serialize;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Turn block lists into a prefilter and the PIR data set of the same keys
///
/// Writes bloom_filter.plist, bloom.bin with bloom.json, input.txtpb and report.json: all of them, or none if
/// something fails. Lists can be gzip-compressed. Entries that cannot become keys are left out and reported with
/// their lines.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter build blocklist.txt --out dist
  urlfilter build hosts.txt.gz easy.txt --out dist --fpr 0.0001
  zcat feed.csv.gz | urlfilter build - --format csv=url --out dist

Exit codes:
  0  built
  2  failure; no file was written or changed")]
pub(crate) struct Arguments {
    /// Block lists; `-` reads standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,
    /// Folder to write to; created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Format of the lists: auto, urls, hosts, adblock, dnsmasq, rpz, csv=COLUMN or txtpb
    #[arg(long, default_value = "auto", value_parser = parse_format)]
    format: ListFormat,
    /// False-positive tolerance: the share of unlisted keys that may hit the filter, above 0 and below 1
    #[arg(long, default_value_t = 0.001)]
    fpr: f64,
    /// Seed of MurmurHash3
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u32,
    /// How the sizes are rounded; `ceil` gives the same bytes as Apple's tool
    #[arg(long, value_enum, default_value_t = SizingName::Round)]
    sizing: SizingName,
    #[command(flatten)]
    rule: RuleOptions,
    /// Add the entry that Apple's onboarding looks up, www.apple.com/url-filter-test
    #[arg(long)]
    onboarding_entry: bool,
    /// Fail if an entry would be left out or widened
    #[arg(long)]
    strict: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
enum ListFormat {
    Auto,
    Named(Format),
}

fn parse_format(name: &str) -> Result<ListFormat, String> {
    match name {
        "auto" => Ok(ListFormat::Auto),
        name => name
            .parse()
            .map(ListFormat::Named)
            .map_err(|error: blocklist::list::UnknownFormat| error.to_string()),
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum SizingName {
    /// To the nearest integer
    Round,
    /// Up
    Ceil,
}

impl From<SizingName> for Sizing {
    fn from(name: SizingName) -> Self {
        match name {
            SizingName::Round => Self::Round,
            SizingName::Ceil => Self::Ceil,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let options = Options::default()
        .with_tolerance(arguments.fpr)
        .with_murmur_seed(arguments.seed)
        .with_sizing(arguments.sizing.into())
        .with_rule(arguments.rule.chosen()?.unwrap_or_default())
        .with_onboarding_entry(arguments.onboarding_entry);
    // Checked before the lists are read, which can take minutes.
    options.check().context("--fpr")?;

    let mut builder = Builder::new(options);
    for path in &arguments.files {
        builder = add(builder, path, &arguments.format)?;
    }
    if arguments.strict && !builder.is_exact() {
        describe_reasons(builder.report());
        bail!(
            "--strict: some entries cannot become keys, or would cover more than they name; nothing was written"
        );
    }
    let spinner = ProgressBar::new_spinner().with_message("filling and writing the filter");
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    let built = builder.finish()?;
    built.write(&arguments.out)?;
    spinner.finish_and_clear();
    summarise(&built, arguments, start.elapsed().as_secs_f64())?;
    Ok(Exit::Success)
}

fn add(builder: Builder, path: &Path, format: &ListFormat) -> anyhow::Result<Builder> {
    let format = match format {
        ListFormat::Auto => None,
        ListFormat::Named(format) => Some(format),
    };
    let (name, input, size): (String, Box<dyn Read>, Option<u64>) = if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            note(format_args!("reading a list from the terminal; press Ctrl-D at its end"));
        }
        ("standard input".to_owned(), Box::new(io::stdin().lock()), None)
    } else {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        let about = file.metadata().with_context(|| name.clone())?;
        if about.is_dir() {
            bail!("{name}: expected a file, found a folder; give the lists in it");
        }
        (name, Box::new(file), Some(about.len()))
    };
    // indicatif draws nothing unless standard error is a terminal.
    let bar = match size {
        Some(size) => ProgressBar::new(size).with_style(bar_style(BYTES)),
        None => ProgressBar::new_spinner(),
    };
    bar.set_message(name.clone());
    let outcome = builder.add_list(&name, bar.wrap_read(input), format);
    bar.finish_and_clear();
    Ok(outcome?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    out: String,
    lines_read: u64,
    entries_read: u64,
    kept: u64,
    duplicate: u64,
    refused: u64,
    changed: u64,
    widened: u64,
    noted: u64,
    refused_by_reason: Vec<(&'a str, u64)>,
    keys: u64,
    bit_count: u32,
    byte_count: usize,
    hash_count: u32,
    tag: String,
    bits_set: u64,
    estimated_false_positive_rate: f64,
    seconds: f64,
}

fn summarise(built: &Built, arguments: &Arguments, seconds: f64) -> anyhow::Result<()> {
    let report = &built.report;
    let parameters = built.prefilter.filter().parameters();
    let statistics = built.prefilter.filter().statistics();
    let of = |effect| report.remarks_with(effect).map(|(_, seen)| seen.count()).sum();
    let summary = Summary {
        out: arguments.out.display().to_string(),
        lines_read: report.lines.total(),
        entries_read: report.entries.read,
        kept: report.entries.kept,
        duplicate: report.entries.duplicate,
        refused: report.entries.refused,
        changed: of(Effect::Changed),
        widened: of(Effect::Widened),
        noted: of(Effect::Noted),
        refused_by_reason: report
            .refused
            .iter()
            .map(|(reason, seen)| (reason.name(), seen.count()))
            .collect(),
        keys: report.keys,
        bit_count: parameters.bit_count(),
        byte_count: parameters.byte_count(),
        hash_count: parameters.hash_count(),
        tag: built.prefilter.tag(),
        bits_set: statistics.bits_set,
        estimated_false_positive_rate: statistics.estimated_false_positive_rate,
        seconds,
    };
    if arguments.json {
        let mut results = Results::new();
        results.json(&summary)?;
        return results.finish();
    }
    for source in &report.sources {
        note(format_args!(
            "{}: {} lines, read as {}",
            source.name,
            source.lines.total(),
            source.format
        ));
    }
    note(format_args!(
        "{} entries: {} kept, {} duplicate, {} refused",
        summary.entries_read, summary.kept, summary.duplicate, summary.refused
    ));
    describe_reasons(report);
    note(format_args!(
        "{} keys in {} bits ({} bytes), {} hashes; expected false-positive rate {:.3e}",
        summary.keys,
        summary.bit_count,
        summary.byte_count,
        summary.hash_count,
        summary.estimated_false_positive_rate
    ));
    note(format_args!(
        "written to {} in {seconds:.2} s; report.json has the lines of every entry above",
        summary.out
    ));
    Ok(())
}

fn describe_reasons(report: &Report) {
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
