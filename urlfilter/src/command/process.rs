//! `urlfilter process`: a keyword database to the shards that a PIR service serves.

use crate::output::{Bars, Exit, Results, note};
use anyhow::{Context, bail};
use pir_dataset::configuration::{Configuration, MAX_CONFIGURATION, Rounding};
use pir_dataset::processing::{
    self, LayoutName, Layouts, Outcome, PartSummary, Run, ShardSelection, ShardSummary, Summary,
};
use std::num::NonZero;
use std::ops::Range;
use std::path::PathBuf;

/// Turn a keyword database into the shards of a PIR service
///
/// The configuration is that of Apple's PIRProcessDatabase, unchanged; paths in it are relative to the current
/// folder. Each shard is tested with encrypted queries (trialsPerShard). Files appear when all shards are finished. A
/// run that was interrupted continues where it stopped.
///
/// If a data set exists already, shards whose rows did not change are kept, and changed shards keep their layout as
/// long as the rows fit, so that devices keep their configuration. With --fresh, the same input and configuration give
/// the same bytes, whatever existed before. A new data set gets the layout that costs a server least (one hash function,
/// large buckets) unless the configuration names one ("layout": "reference" is that of Apple's tool); `urlfilter tune`
/// compares layouts.
///
/// A large data set can be divided between machines that share a folder: each makes some shards with --shards or
/// --part, and a final run without these options completes the data set.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter process process.json
  urlfilter process process.json --jobs 4 --json > report.json
  urlfilter process process.json --shards 0..64   # 64..128 on another machine, then without
  urlfilter process process.json --part 0/8       # 1/8 to 7/8 on others, then without

A small configuration:
  { \"rlweParameters\": \"n_4096_logq_27_28_28_logt_5\",
    \"inputDatabase\": \"dist/input.txtpb\",
    \"outputDatabase\": \"dist/urls-SHARD_ID.bin\",
    \"outputPirParameters\": \"dist/urls-SHARD_ID.params.txtpb\",
    \"sharding\": { \"entryCountPerShard\": 50000, \"requirePowerOfTwoShardCount\": true } }

Exit codes:
  0  processed
  2  failure; the previous data set is unchanged")]
pub(crate) struct Arguments {
    /// Configuration, in JSON
    #[arg(value_name = "CONFIG.json")]
    configuration: PathBuf,
    /// Number of threads; one for each core by default
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZero<usize>>,
    /// Format of the processed databases
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    database_format: DatabaseFormat,
    /// Make only these shards, from A up to but not including B
    #[arg(long, value_name = "A..B", value_parser = shard_range)]
    shards: Option<Range<u32>>,
    /// Make only part I of N; the first is 0/N
    #[arg(long, value_name = "I/N", value_parser = share, conflicts_with = "shards")]
    part: Option<ShardSelection>,
    /// Ignore the layout of the existing data set
    #[arg(long, alias = "anew")]
    fresh: bool,
    /// Replace files that another tool has made
    #[arg(long)]
    force: bool,
    /// Noise budget that each test query must leave, in bits; with less than 2, some lookups may fail
    #[arg(long, value_name = "BITS", default_value_t = 2.0, value_parser = noise_budget)]
    min_noise_budget: f64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Format of the processed databases.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum DatabaseFormat {
    /// For pir-server, which maps the files
    #[default]
    Native,
    /// For Apple's service
    Apple,
}

fn noise_budget(text: &str) -> Result<f64, String> {
    let bits = text.parse().ok().filter(|bits| (0.5..=30.0).contains(bits));
    bits.ok_or_else(|| "expected a number from 0.5 to 30".to_owned())
}

fn jobs(text: &str) -> Result<NonZero<usize>, String> {
    let jobs = text.parse::<u16>().ok().and_then(|jobs| NonZero::new(usize::from(jobs)));
    jobs.ok_or_else(|| "expected a number from 1 to 65535".to_owned())
}

fn shard_range(text: &str) -> Result<Range<u32>, String> {
    let range = text.split_once("..").and_then(|(start, end)| {
        let range: Range<u32> = start.parse().ok()?..end.parse().ok()?;
        (range.start < range.end).then_some(range)
    });
    range.ok_or_else(|| "expected two numbers, the first smaller, such as 0..64".to_owned())
}

fn share(text: &str) -> Result<ShardSelection, String> {
    let part = text.split_once('/').and_then(|(index, of)| {
        let (index, of) = (index.parse().ok()?, of.parse().ok()?);
        (index < of).then_some(ShardSelection::Part { index, of })
    });
    part.ok_or_else(|| "expected two numbers, the first smaller, such as 0/8".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let name = arguments.configuration.display().to_string();
    let json = durable_file::read(&arguments.configuration, MAX_CONFIGURATION as u64)?;
    if json.is_empty() {
        bail!("{name}: the file is empty; expected a JSON object");
    }
    let configuration = Configuration::parse(&json).context(name)?;
    let format = match arguments.database_format {
        DatabaseFormat::Native => processing::DatabaseFormat::Native,
        DatabaseFormat::Apple => processing::DatabaseFormat::Apple,
    };
    let bars = Bars::default();
    let mut run = Run::new(&configuration)
        .format(format)
        .fresh(arguments.fresh)
        .replace_foreign(arguments.force)
        .min_noise_budget(arguments.min_noise_budget)
        .progress(&bars);
    if let Some(jobs) = arguments.jobs {
        run = run.jobs(jobs);
    }
    let shards = arguments.shards.clone().map(ShardSelection::Range);
    if let Some(selection) = shards.or_else(|| arguments.part.clone()) {
        run = run.selection(selection);
    }
    let outcome = run.finish()?;
    if arguments.json {
        let mut results = Results::new();
        match &outcome {
            Outcome::Whole(summary) => results.json(summary)?,
            Outcome::Part(part) => results.json(part)?,
        }
        results.finish()?;
    } else {
        match &outcome {
            Outcome::Whole(summary) => describe(summary),
            Outcome::Part(part) => describe_part(part),
        }
    }
    Ok(Exit::Success)
}

fn describe_part(part: &PartSummary) {
    part.shards.iter().for_each(describe_shard);
    note(format_args!(
        "shards {} to {} of {} ({} unchanged) in {:.2} s; a run without --shards or --part completes the data set",
        part.first_shard,
        part.end_shard - 1,
        part.shard_count,
        part.reused_shards,
        part.seconds,
    ));
}

fn describe(summary: &Summary) {
    for shard in &summary.shards {
        describe_shard(shard);
    }
    note(format_args!(
        "{} rows in {} shards ({} unchanged) in {:.2} s; manifest: {}",
        summary.rows, summary.shard_count, summary.reused_shards, summary.seconds, summary.manifest
    ));
    if let Some(rounding) = &summary.rounding {
        describe_rounding(summary.shard_count, rounding);
    }
    if summary.layout == LayoutName::Cheap && summary.same_configuration.is_none() {
        note(format_args!(
            "a new data set: it has the layout that costs a server least; \"layout\": \"reference\" is that of Apple's tool"
        ));
    }
    if let Some(share) = summary.cheaper_layout {
        note(format_args!(
            "the data set keeps its layout, because devices know it; with \"layout\": \"cheap\" a lookup would cost {share:.2} \
             times as much, and devices would fetch the configuration once"
        ));
    }
    if !summary.shard_count.is_power_of_two() {
        note(format_args!(
            "devices from iOS and macOS 27.3 on refuse a number of shards that is not a power of two: set \
             requirePowerOfTwoShardCount"
        ));
    }
    if let Some(before) = summary.rows_before {
        let layouts = match summary.layouts {
            Layouts::Kept => "changed shards keep their layout".to_owned(),
            Layouts::Renewed => format!(
                "all shards have a new layout ({})",
                summary.renewed_because.as_deref().unwrap_or_default()
            ),
            _ => "the layout depends only on the settings".to_owned(),
        };
        note(format_args!(
            "{} rows before ({:+}); {layouts}",
            before,
            summary.rows as i64 - before as i64
        ));
    }
    note(format_args!("configuration id {}", summary.config_id));
    match (summary.same_configuration, summary.same_evaluation_keys) {
        (Some(true), _) => {
            note(format_args!("devices keep their configuration and evaluation keys"));
        }
        (Some(false), Some(true)) => {
            note(format_args!("devices must fetch the configuration; they keep their keys"));
        }
        (Some(false), _) => {
            note(format_args!("devices must fetch the configuration and upload new keys"));
        }
        (None, _) => {}
    }
}

fn describe_rounding(shard_count: u32, rounding: &Rounding) {
    let tells = match rounding.other_count > shard_count {
        true => "tell one bit more of a keyword's hash",
        false => "tell one bit less of a keyword's hash",
    };
    note(format_args!(
        "{shard_count} shards of {} rows, for {} that were asked for (entryCountPerShard): a lookup costs {:.2} times as much as \
         planned; with {} shards it would cost {:.2} times as much, and {tells}",
        rounding.rows_per_shard,
        rounding.planned_rows,
        rounding.cost,
        rounding.other_count,
        rounding.other_cost,
    ));
}

fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_owned();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

fn describe_shard(shard: &ShardSummary) {
    let record = &shard.record;
    note(format_args!(
        "shard {}: {} rows, {} entries of {} bytes in each table, dimensions {:?}, {} plaintexts, {:.1} MB{}",
        record.shard,
        record.rows,
        record.entries_per_table,
        record.entry_size,
        record.dimensions,
        record.plaintexts,
        record.database_bytes as f64 / 1e6,
        if shard.reused { ", unchanged" } else { "" },
    ));
    if let Some(table) = &shard.table {
        note(format_args!(
            "  tables {:.0} % full, at most {} slots in a bucket, {} rows moved, enlarged {} times",
            100.0 * table.load,
            table.max_slots,
            table.evictions,
            table.expansions
        ));
    }
    if let Some(costs) = &shard.costs {
        // Without the time of a core, that of the clock.
        let (times, of) = match &costs.processor_milliseconds[..] {
            [] => (&costs.runtime_milliseconds, "for a query"),
            _ => (&costs.processor_milliseconds, "of a core for a query"),
        };
        note(format_args!(
            "  evaluation key {:.1} KB ({} keys), query {:.1} KB ({} ciphertexts), \
             response {:.1} KB ({} ciphertexts, entries {:?})",
            kilobytes(costs.evaluation_key_bytes),
            costs.evaluation_key_count,
            kilobytes(costs.query_bytes),
            costs.query_ciphertexts,
            kilobytes(costs.response_bytes),
            costs.response_ciphertexts,
            costs.entry_count_per_response,
        ));
        let stages = &costs.stage_milliseconds;
        note(format_args!(
            "  noise budget {:.1} bits, {:.1} ms {of}, {:.1} ms by the clock (expansion {:.1}, first dimension {:.1}, \
             second {:.1}, reply {:.1})",
            costs.noise_budget,
            median(times),
            median(&costs.runtime_milliseconds),
            stages.expansion,
            stages.first_dimension,
            stages.second_dimension,
            stages.reply,
        ));
    }
}
