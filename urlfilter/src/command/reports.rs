//! `urlfilter reports`: how often devices reported each key.

use crate::output::{Exit, Results};
use pir_server::reports::{CountOptions, Day, count, to_csv};
use std::path::PathBuf;

/// Count the reports of supervised devices, by day and key
///
/// Reads the files of a service's reportDirectory, or a copy of them, and prints a table of comma-separated values with the
/// columns day, key and count. Days are in UTC. A row without a key has the sum of the keys of its day that were reported
/// less often than --min-count.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter reports reports > reports.csv
  urlfilter reports reports --from 2026-11-01 --to 2026-11-30 --min-count 10

Exit codes:
  0  printed
  2  failure, for example a folder that cannot be read")]
pub(crate) struct Arguments {
    /// The folder
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// First day
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// Last day
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// How often a key must have been reported on a day to be named
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_count: u64,
    /// Print one JSON object for each day
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = &arguments.directory;
    if !directory.is_dir() {
        anyhow::bail!("{}: expected a folder of reports", directory.display());
    }
    let mut options = CountOptions::default();
    (options.from, options.to) = (arguments.from, arguments.to);
    options.min_count = arguments.min_count;
    let days = count(directory, &options)?;
    let mut results = Results::new();
    if arguments.json {
        for day in &days {
            results.json(day)?;
        }
    } else {
        results.line(format_args!("{}", to_csv(&days).trim_end()))?;
    }
    results.finish()?;
    Ok(Exit::Success)
}
