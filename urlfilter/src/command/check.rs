//! `urlfilter check`: would a device ask the PIR service about these URLs?

use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use filter_core::Prefilter;
use serde::Serialize;
use std::path::PathBuf;

/// Test URLs against a prefilter, as a device does
///
/// A URL may match if one of its sub-URLs hits the filter. A device then asks the PIR service about these sub-URLs,
/// privately, and blocks the URL if one of them is in the data set. The rule is the one in the filter's metadata
/// unless an option names another. A URL without a scheme is read as https.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter check dist https://www.example.com/login
  urlfilter check bloom_filter.plist - --json < urls.txt

Exit codes:
  0  no URL can match
  1  some URLs may match
  2  failure, or some argument is not a URL; the other URLs are answered nevertheless")]
pub(crate) struct Arguments {
    /// The filter, in any form that `inspect` reads
    filter: PathBuf,
    #[command(flatten)]
    urls: UrlArguments,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    url: String,
    may_match: bool,
    hits: Vec<String>,
}

impl Answer for Verdict {
    fn print(&self, results: &mut Results) -> anyhow::Result<()> {
        if !self.may_match {
            return results.line(format_args!("no match   {}", self.url));
        }
        results.line(format_args!("may match  {}", self.url))?;
        self.hits.iter().try_for_each(|hit| results.line(format_args!("           by {hit}")))
    }

    fn exit(&self) -> Exit {
        if self.may_match { Exit::Attention } else { Exit::Success }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let chosen = arguments.urls.rule.chosen()?;
    let prefilter = Prefilter::open(&arguments.filter)?;
    let rule = chosen.as_ref().unwrap_or_else(|| prefilter.rule());
    arguments.urls.answer_each(rule, |url, parsed| {
        let hits = parsed.sub_urls().hits_in(prefilter.filter());
        Ok(Verdict { url: url.to_owned(), may_match: !hits.is_empty(), hits })
    })
}
