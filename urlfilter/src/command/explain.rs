//! `urlfilter explain`: the sub-URLs of a URL.

use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use serde::Serialize;

/// Largest number of sub-URLs that are listed for one URL.
const MAX_SUB_URLS: usize = 100_000;

/// List the sub-URLs that a device tests for a URL, sorted
///
/// A URL without a scheme is read as https.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter explain 'https://www.sub1.example.com/a/b/c?id=123#fragment'
  urlfilter explain --profile ios26.0 https://www.example.com/a
  urlfilter explain --parsing config.json --json https://example.com/a?b=1

Exit codes:
  0  all URLs are explained
  2  failure, or some argument is not a URL; the other URLs are explained nevertheless")]
pub(crate) struct Arguments {
    #[command(flatten)]
    urls: UrlArguments,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    url: String,
    sub_urls: Vec<String>,
}

impl Answer for Explanation {
    fn print(&self, results: &mut Results) -> anyhow::Result<()> {
        self.sub_urls.iter().try_for_each(|sub_url| results.line(format_args!("{sub_url}")))
    }

    fn exit(&self) -> Exit {
        Exit::Success
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let rule = arguments.urls.rule.chosen()?.unwrap_or_default();
    arguments.urls.answer_each(&rule, |url, parsed| {
        let sub_urls = parsed.sub_urls().sorted(MAX_SUB_URLS)?;
        Ok(Explanation { url: url.to_owned(), sub_urls })
    })
}
