//! `urlfilter explain`: the sub-URLs of a URL.

use super::check::Failure;
use super::rule::RuleOptions;
use super::with_standard_input;
use crate::output::{DONE, Results, TROUBLE, note};
use filter_core::sub_url::{DeviceUrl, SubUrls};
use serde::Serialize;

/// Sub-URLs that are printed for one URL at the most.
const LIMIT: usize = 100_000;

/// List the sub-URLs that a device tests for a URL, sorted
///
/// A URL without a scheme is taken as https.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter explain 'https://www.sub1.example.com/a/b/c?id=123#fragment'
  urlfilter explain --profile ios26.0 https://www.example.com/a
  urlfilter explain --parsing config.json --json https://example.com/a?b=1

Exit codes: 0 done; 2 some argument is not a URL.")]
pub(crate) struct Arguments {
    /// URLs to expand; `-` takes them from standard input, one a line
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
struct Explanation<'u> {
    url: &'u str,
    sub_urls: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let rule = arguments.rule.given()?.unwrap_or_default();
    let mut results = Results::new();
    let mut code = DONE;
    for url in with_standard_input(&arguments.urls)? {
        let outcome = DeviceUrl::parse_lenient(url.trim(), rule.case())
            .map_err(|error| error.to_string())
            .and_then(|parsed| {
                SubUrls::new(&parsed, &rule).sorted(LIMIT).map_err(|error| error.to_string())
            });
        match outcome {
            Ok(sub_urls) if arguments.json => results.json(&Explanation { url: &url, sub_urls })?,
            Ok(sub_urls) => {
                sub_urls.iter().try_for_each(|sub_url| results.line(format_args!("{sub_url}")))?
            }
            Err(error) => {
                note(format_args!("urlfilter: {url:?}: {error}"));
                if arguments.json {
                    results.json(&Failure { url: &url, error })?;
                }
                code = TROUBLE;
            }
        }
    }
    results.finish()?;
    Ok(code)
}
