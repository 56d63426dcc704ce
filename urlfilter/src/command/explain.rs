//! `urlfilter explain`: the sub-URLs of a URL.

use super::urls::UrlArguments;
use crate::output::DONE;
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
    #[command(flatten)]
    urls: UrlArguments,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation<'u> {
    url: &'u str,
    sub_urls: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let rule = arguments.urls.rule.given()?.unwrap_or_default();
    arguments.urls.answer_each(&rule, |url, parsed, results| {
        let sub_urls = match parsed.sub_urls().sorted(LIMIT) {
            Ok(sub_urls) => sub_urls,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if arguments.urls.json {
            results.json(&Explanation { url, sub_urls })?;
        } else {
            for sub_url in &sub_urls {
                results.line(format_args!("{sub_url}"))?;
            }
        }
        Ok(Ok(DONE))
    })
}
