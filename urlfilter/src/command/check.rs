//! `urlfilter check`: would a device ask the PIR service about these URLs?

use super::urls::UrlArguments;
use crate::output::{DONE, NOTEWORTHY};
use filter_core::Prefilter;
use serde::Serialize;
use std::path::PathBuf;

/// Test URLs against a prefilter, as a device does
///
/// A URL that may match has sub-URLs that hit the filter; a device asks the PIR service about those,
/// privately, and blocks the URL if one of them is in the data set. Without an option, the rule in the
/// filter's metadata counts. A URL without a scheme is taken as https.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter check dist https://www.example.com/login
  urlfilter check bloom_filter.plist - --json < urls.txt

Exit codes: 0 none can match; 1 some may; 2 trouble (the other URLs are answered all the same).")]
pub(crate) struct Arguments {
    /// The filter, in any form that `inspect` reads
    filter: PathBuf,
    #[command(flatten)]
    urls: UrlArguments,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict<'u> {
    url: &'u str,
    may_match: bool,
    hits: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let given = arguments.urls.rule.given()?;
    let prefilter = Prefilter::open(&arguments.filter)?;
    let rule = given.as_ref().unwrap_or_else(|| prefilter.rule());
    arguments.urls.answer_each(rule, |url, parsed, results| {
        let hits = parsed.sub_urls().hits_in(prefilter.filter());
        let code = if hits.is_empty() { DONE } else { NOTEWORTHY };
        if arguments.urls.json {
            results.json(&Verdict { url, may_match: !hits.is_empty(), hits })?;
        } else if hits.is_empty() {
            results.line(format_args!("no match   {url}"))?;
        } else {
            results.line(format_args!("may match  {url}"))?;
            for hit in hits {
                results.line(format_args!("           by {hit}"))?;
            }
        }
        Ok(Ok(code))
    })
}
