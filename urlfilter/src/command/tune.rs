//! `urlfilter tune`: what lookups would cost in each of many layouts of a data set.

use crate::output::{Bars, Exit, Results, note};
use anyhow::{Context, bail};
use durable_file::{Access, PendingFile};
use pir_dataset::tuning::{Candidate, Limits, Rows, Tuned, Tuning};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Compare what lookups cost in different layouts of a data set
///
/// Goes through parameter sets, numbers of hash functions, sizes of buckets, dimensions and numbers of shards that
/// devices accept, counts the work of a lookup in each, and tries the best few: a shard is made in memory from the rows and
/// asked test queries. Nothing is written but --out.
///
/// For each layout that was tried, the table has the time of a core for a lookup, the sizes of query, reply and
/// evaluation key, the rows that a reply shows to a client, the bits of a keyword's hash that the number of the
/// shard gives away (docs/privacy.md), and the noise budget that is left. The one that is recommended is marked with `*`: of
/// those that keep the limits and have room for a tenth more rows, the one that gives the fewest bits away if --max-ms is
/// given, otherwise the fastest one.
///
/// A data set that is served keeps its layout when it is processed again. Another layout costs devices a new configuration
/// and, with another parameter set, new evaluation keys (docs/migration.md). Layouts of one hash function were tried with
/// Apple's client code, and not yet on a phone.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter tune dist/input.txtpb
  urlfilter tune --rows 1000000 --max-bits 4
  urlfilter tune dist/input.txtpb --max-ms 5 --out process.json && urlfilter process process.json
  urlfilter tune --rows 50000 --value-bytes 100 --json | jq .candidates[0]

Exit codes:
  0  compared
  1  compared, and no layout keeps the limits; --out is not written
  2  failure")]
pub(crate) struct Arguments {
    /// Rows as `urlfilter process` takes them: text (.txtpb) or serialized
    #[arg(value_name = "ROWS", required_unless_present = "rows")]
    input: Option<PathBuf>,
    /// Make up so many rows instead
    #[arg(long, value_name = "N", conflicts_with = "input", value_parser = clap::value_parser!(u64).range(1..))]
    rows: Option<u64>,
    /// Length of the values of made-up rows, in bytes
    #[arg(long, value_name = "M", default_value_t = 1, requires = "rows")]
    value_bytes: usize,
    /// Longest time of a core for a lookup, in milliseconds
    #[arg(long, value_name = "MS", value_parser = positive)]
    max_ms: Option<f64>,
    /// Most bits that the number of the shard gives away: 3 are 8 shards
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=13))]
    max_bits: Option<u32>,
    /// Largest reply
    #[arg(long, value_name = "BYTES")]
    max_reply_bytes: Option<usize>,
    /// Smallest noise budget that test queries leave, in bits
    #[arg(long, value_name = "BITS", default_value_t = 3.0, value_parser = positive)]
    min_noise_budget: f64,
    /// Compare layouts of this number of shards only
    #[arg(long, value_name = "N")]
    shards: Option<u32>,
    /// Test queries for each layout that is tried
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    trials: u16,
    /// Write a configuration of `urlfilter process` with the recommended layout to this new file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(path) = &arguments.out
        && path.symlink_metadata().is_ok()
    {
        bail!("{}: the file exists; choose another name, or remove it", path.display());
    }
    let rows = match (&arguments.input, arguments.rows) {
        (Some(path), _) => Rows::File(path.clone()),
        (None, Some(rows)) => Rows::Synthetic { rows, value_bytes: arguments.value_bytes },
        (None, None) => bail!("ROWS or --rows is needed"),
    };
    let mut limits = Limits::default();
    limits.max_milliseconds = arguments.max_ms;
    limits.max_bits = arguments.max_bits;
    limits.max_reply_bytes = arguments.max_reply_bytes;
    limits.min_noise_budget = arguments.min_noise_budget;
    let bars = Bars::default();
    let mut tuning =
        Tuning::new(rows).limits(limits).trials(arguments.trials.into()).progress(&bars);
    if let Some(count) = arguments.shards {
        tuning = tuning.shard_count(count);
    }
    let tuned = tuning.finish()?;
    print(arguments, &tuned)?;
    let Some(best) = tuned.best() else {
        note(format_args!(
            "no layout that was tried keeps the limits; of {} that were compared, the best were tried",
            tuned.compared
        ));
        return Ok(Exit::Attention);
    };
    if let Some(path) = &arguments.out {
        write(path, arguments.input.as_deref(), best, tuned.rows)?;
        note(format_args!(
            "{}: a configuration of urlfilter process with the layout `*`",
            path.display()
        ));
    }
    Ok(Exit::Success)
}

fn print(arguments: &Arguments, tuned: &Tuned) -> anyhow::Result<()> {
    let mut results = Results::new();
    if arguments.json {
        results.json(tuned)?;
        return results.finish();
    }
    results.line(format_args!(
        "  {:>6} {:>4} {:>9}  {:<28} {:>2} {:>7} {:>9} {:>7} {:>7} {:>7} {:>7} {:>6} {:>5}  {}",
        "shards",
        "bits",
        "rows",
        "parameters",
        "f",
        "bucket",
        "shape",
        "ms",
        "query",
        "reply",
        "key",
        "shown",
        "noise",
        "room",
    ))?;
    for (number, candidate) in tuned.candidates.iter().enumerate() {
        let settings = &candidate.settings;
        let shape: Vec<String> = candidate.dimensions.iter().map(ToString::to_string).collect();
        results.line(format_args!(
            "{} {:>6} {:>4} {:>9}  {:<28} {:>2} {:>7} {:>9} {:>7.2} {:>7} {:>7} {:>7} {:>6.0} {:>5.1}  {}{}",
            if tuned.recommended == Some(number) { "*" } else { " " },
            candidate.shard_count,
            candidate.bits,
            candidate.rows_per_shard,
            settings.set(),
            settings.hash_functions(),
            settings.bucket_bytes().map_or("tool's".to_owned(), |bytes| bytes.to_string()),
            shape.join("x"),
            candidate.server_milliseconds,
            candidate.query_bytes,
            candidate.reply_bytes,
            candidate.evaluation_key_bytes,
            candidate.rows_shown,
            candidate.noise_budget,
            if candidate.has_room_to_grow { "yes" } else { "no" },
            if candidate.keeps_limits { "" } else { "  (limits)" },
        ))?;
    }
    results.finish()?;
    note(format_args!(
        "{} rows, values of up to {} bytes; {} layouts compared, {} tried. f: hash functions; bucket, query, reply, key: bytes; \
         ms: of a core, the shortest of {}; shown: rows that a reply shows; noise: bits left; room: for a tenth more rows",
        tuned.rows,
        tuned.longest_value,
        tuned.compared,
        tuned.candidates.len(),
        arguments.trials,
    ));
    Ok(())
}

/// The configuration; its paths are those of `urlfilter build --out dist` unless the rows are elsewhere.
fn write(path: &Path, input: Option<&Path>, best: &Candidate, rows: u64) -> anyhow::Result<()> {
    let input = input.unwrap_or(Path::new("dist/input.txtpb"));
    let stem = input.with_file_name("urls");
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is not valid UTF-8");
    let json = best.settings.configuration(&text(input)?, &text(&stem)?, rows, best.shard_count);
    let mut file = PendingFile::create(path, Access::Everyone)?;
    file.file_mut().write_all(json.as_bytes()).with_context(|| path.display().to_string())?;
    Ok(file.commit()?)
}
