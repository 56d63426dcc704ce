//! `urlfilter inspect`: metadata and statistics of a filter file.

use crate::output::{Exit, Results};
use filter_core::Prefilter;
use filter_core::bloom::Statistics;
use filter_core::file::FileFormat;
use filter_core::file::raw::Metadata;
use serde::Serialize;
use std::path::PathBuf;

/// Show the metadata and statistics of a filter, after verifying it
///
/// FILTER is a bloom_filter.plist (XML or binary, released or beta form), a bloom.json or bloom.bin
/// (each needs the other in the same folder), or the folder that `build` wrote.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter inspect dist
  urlfilter inspect bloom_filter.plist --json

Exit codes:
  0  the file is valid
  2  it is not valid, or cannot be read")]
pub(crate) struct Arguments {
    /// The filter
    filter: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspection {
    form: FileFormat,
    #[serde(flatten)]
    metadata: Metadata,
    byte_count: usize,
    bits_set: u64,
    fill: f64,
    estimated_false_positive_rate: f64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (prefilter, form) = Prefilter::open_with_format(&arguments.filter)?;
    let Statistics { bits_set, fill, estimated_false_positive_rate, .. } =
        prefilter.filter().statistics();
    let metadata = prefilter.metadata();
    let byte_count = prefilter.filter().parameters().byte_count();
    let inspection =
        Inspection { form, metadata, byte_count, bits_set, fill, estimated_false_positive_rate };
    let mut results = Results::new();
    if arguments.json {
        results.json(&inspection)?;
    } else {
        let value = serde_json::to_value(&inspection)?;
        for (field, value) in value.as_object().into_iter().flatten() {
            match value.as_str() {
                Some(text) => results.line(format_args!("{field:<27} {text}"))?,
                None => results.line(format_args!("{field:<27} {value}"))?,
            }
        }
        if form == FileFormat::BetaPlist {
            results.line(format_args!(
                "\nThis is the form of the 2025 beta. Released devices do not read it, and its bits are probably hashed in\n\
                 another way: rebuild it with `urlfilter build`, or run `urlfilter diagnose`."
            ))?;
        }
    }
    results.finish()?;
    Ok(Exit::Success)
}
