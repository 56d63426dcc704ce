//! `urlfilter explain`: the sub-URLs of a URL.

use super::system::{BySystem, Known, SystemOption, under_each};
use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use anyhow::bail;
use filter_core::sub_url::{DeviceUrl, Grade, System};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Largest number of sub-URLs that are listed for one URL.
const MAX_SUB_URLS: usize = 100_000;

/// List the sub-URLs that a device tests for a URL, sorted
///
/// A URL without a scheme is read as https. With `--system`, lists for each sub-URL which systems ask for it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter explain 'https://www.sub1.example.com/a/b/c?id=123#fragment'
  urlfilter explain --profile ios26.0 https://www.example.com/a
  urlfilter explain --parsing config.json --json https://example.com/a?b=1
  urlfilter explain --system all https://www.example.com/Login

Exit codes:
  0  all URLs are explained
  2  failure, or some argument is not a URL; the other URLs are explained nevertheless")]
pub(crate) struct Arguments {
    #[command(flatten)]
    urls: UrlArguments,
    #[command(flatten)]
    system: SystemOption,
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OnSystem {
    system: System,
    grade: Grade,
    sub_urls: Vec<String>,
    /// Those of them that only one reading of what is known asks for.
    uncertain: Vec<String>,
}

impl OnSystem {
    fn new(system: System, url: &DeviceUrl<'_>) -> anyhow::Result<Self> {
        let mut all = Self { system, grade: system.grade(), sub_urls: vec![], uncertain: vec![] };
        let outcome = url.sub_urls().for_each_graded(|sub_url, certainty| {
            if all.sub_urls.len() == MAX_SUB_URLS {
                return ControlFlow::Break(());
            }
            all.sub_urls.push(sub_url.to_owned());
            if !certainty.is_certain() {
                all.uncertain.push(sub_url.to_owned());
            }
            ControlFlow::Continue(())
        });
        if outcome.is_break() {
            bail!("the URL has more than {MAX_SUB_URLS} sub-URLs");
        }
        all.sub_urls.sort_unstable();
        all.uncertain.sort_unstable();
        Ok(all)
    }
}

impl Answer for BySystem<OnSystem> {
    fn print(&self, results: &mut Results) -> anyhow::Result<()> {
        let mut rows = BTreeMap::<&str, Vec<Known>>::new();
        for (column, on) in self.systems.iter().enumerate() {
            for sub_url in &on.sub_urls {
                let row = rows.entry(sub_url).or_default();
                row.resize(self.systems.len(), Known::No);
                let is_uncertain = on.uncertain.binary_search(sub_url).is_ok();
                row[column] = if is_uncertain { Known::Uncertain } else { Known::Yes };
            }
        }
        let width = rows.keys().map(|text| text.chars().count()).max().unwrap_or(0);
        let line = |first: &str, cells: &[&str]| {
            let cells: String = cells.iter().map(|cell| format!("  {cell:15}")).collect();
            format!("{first:width$}{cells}").trim_end().to_owned()
        };
        let names: Vec<&str> = self.systems.iter().map(|on| on.system.name()).collect();
        let grades: Vec<&str> = self.systems.iter().map(|on| on.grade.name()).collect();
        results.line(format_args!("{}", self.url))?;
        results.line(format_args!("{}", line("", &names)))?;
        results.line(format_args!("{}", line("", &grades)))?;
        for (sub_url, row) in rows {
            let cells: Vec<&str> = row.iter().map(|known| known.name()).collect();
            results.line(format_args!("{}", line(sub_url, &cells)))?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        Exit::Success
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(systems) = arguments.system.chosen() {
        return arguments.urls.answer_texts(&arguments.urls.texts()?, |url| {
            let systems = under_each(&systems, url, OnSystem::new)?;
            Ok(BySystem { url: url.to_owned(), systems })
        });
    }
    let rule = arguments.urls.rule.chosen()?.unwrap_or_default();
    arguments.urls.answer_each(&rule, |url, parsed| {
        let sub_urls = parsed.sub_urls().sorted(MAX_SUB_URLS)?;
        Ok(Explanation { url: url.to_owned(), sub_urls })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_sub_urls_of_a_system_is_limited() {
        let rule = filter_core::sub_url::SubUrlRule::from(System::V27);
        let host = "a.".repeat(30);
        let listed = |segments: usize| {
            let url = format!("https://{host}example/{}", "a/".repeat(segments));
            OnSystem::new(System::V27, &rule.parse_lenient(&url).unwrap())
                .map(|on| on.sub_urls.len())
        };
        // Each segment has the same number.
        let (first, each) = (listed(1).unwrap(), listed(2).unwrap() - listed(1).unwrap());
        let segments = 1 + (MAX_SUB_URLS - first) / each;
        assert_eq!(listed(segments).unwrap(), first + (segments - 1) * each);
        assert!(listed(segments + 1).is_err());
    }
}
