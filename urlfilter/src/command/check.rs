//! `urlfilter check`: would a device ask the PIR service about these URLs?

use super::rule::RuleOptions;
use super::with_standard_input;
use crate::output::{DONE, NOTEWORTHY, Results, TROUBLE, note};
use filter_core::file;
use filter_core::sub_url::{DeviceUrl, SubUrls};
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
    /// URLs to test; `-` takes them from standard input, one a line
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    #[command(flatten)]
    rule: RuleOptions,
    /// Print one JSON object per URL
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict<'u> {
    url: &'u str,
    may_match: bool,
    hits: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Failure<'u> {
    pub(super) url: &'u str,
    pub(super) error: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let given = arguments.rule.given()?;
    let (prefilter, _) = file::open(&arguments.filter)?;
    let rule = given.or(prefilter.description.rule).unwrap_or_default();
    let mut results = Results::new();
    let mut code = DONE;
    for url in with_standard_input(&arguments.urls)? {
        let parsed = match DeviceUrl::parse_lenient(url.trim(), rule.case()) {
            Ok(parsed) => parsed,
            Err(error) => {
                note(format_args!("urlfilter: {url:?}: {error}"));
                if arguments.json {
                    results.json(&Failure { url: &url, error: error.to_string() })?;
                }
                code = TROUBLE;
                continue;
            }
        };
        let hits = prefilter.filter.hits(&SubUrls::new(&parsed, &rule));
        if !hits.is_empty() {
            code = code.max(NOTEWORTHY);
        }
        if arguments.json {
            results.json(&Verdict { url: &url, may_match: !hits.is_empty(), hits })?;
        } else if hits.is_empty() {
            results.line(format_args!("no match   {url}"))?;
        } else {
            results.line(format_args!("may match  {url}"))?;
            for hit in hits {
                results.line(format_args!("           by {hit}"))?;
            }
        }
    }
    results.finish()?;
    Ok(code)
}
