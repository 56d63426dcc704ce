//! `urlfilter check`: would a device ask the PIR service about these URLs?

use super::data_set::rows;
use super::system::{BySystem, Known, SystemOption, under_each};
use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use blocklist::builder::DATA_SET_FILE;
use filter_core::Prefilter;
use filter_core::sub_url::{Certainty, Grade, MAX_HITS, System};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Test URLs against a prefilter, as a device does
///
/// A URL may match if one of its sub-URLs hits the filter. A device then asks the PIR service about these sub-URLs,
/// privately, and blocks the URL if one of them is in the data set. The rule is the one in the filter's metadata
/// unless an option names another. A URL without a scheme is read as https.
///
/// With `--system`, prints for each system whether the URL is looked up, by which sub-URL, and whether it is blocked:
/// the data set decides, which is the input.txtpb beside a filter that `build` wrote, or another with `--data-set`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter check dist https://www.example.com/login
  urlfilter check bloom_filter.plist - --json < urls.txt
  urlfilter check dist --system all https://www.example.com/login

Exit codes:
  0  no URL can match
  1  some URLs may match
  2  failure, or some argument is not a URL; the other URLs are answered nevertheless")]
pub(crate) struct Arguments {
    /// The filter, in any form that `inspect` reads
    filter: PathBuf,
    #[command(flatten)]
    urls: UrlArguments,
    #[command(flatten)]
    system: SystemOption,
    /// Data set of the same keys, in the text form of a keyword database
    #[arg(long, value_name = "FILE", requires = "system")]
    data_set: Option<PathBuf>,
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OnSystem {
    system: System,
    grade: Grade,
    looked_up: Known,
    /// `null` if there is a hit and no data set to decide.
    blocked: Option<Known>,
    hits: Vec<Hit>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    sub_url: String,
    certain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<bool>,
}

impl OnSystem {
    fn new(
        system: System,
        hits: Vec<(String, Certainty)>,
        listed: Option<&HashMap<String, u64>>,
    ) -> Self {
        let is_listed = |sub_url: &str| listed.map(|listed| listed.contains_key(sub_url));
        let certainties = |is_wanted: &dyn Fn(&str) -> bool| {
            Known::any(
                hits.iter().filter(|(hit, _)| is_wanted(hit)).map(|&(_, certainty)| certainty),
            )
        };
        let looked_up = certainties(&|_| true);
        let blocked = match listed {
            Some(listed) => Some(certainties(&|hit| listed.contains_key(hit))),
            None => Some(Known::No).filter(|_| hits.is_empty()),
        };
        let hits = hits.into_iter().map(|(sub_url, certainty)| Hit {
            listed: is_listed(&sub_url),
            certain: certainty.is_certain(),
            sub_url,
        });
        Self { system, grade: system.grade(), looked_up, blocked, hits: hits.collect() }
    }
}

impl Answer for BySystem<OnSystem> {
    fn print(&self, results: &mut Results) -> anyhow::Result<()> {
        results.line(format_args!("{}", self.url))?;
        let header = ["system", "grade", "looked up", "blocked", "by"];
        let rows = self.systems.iter().map(|on| {
            let hits = on.hits.iter().map(|hit| {
                let listed = if hit.listed == Some(false) { "not listed" } else { "" };
                let certain = if hit.certain { "" } else { "uncertain" };
                match [listed, certain]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect::<Vec<_>>()
                {
                    notes if notes.is_empty() => hit.sub_url.clone(),
                    notes => format!("{} ({})", hit.sub_url, notes.join(", ")),
                }
            });
            let blocked = on.blocked.map_or("if listed", Known::name);
            let by = hits.collect::<Vec<_>>().join(", ");
            [on.system.name(), on.grade.name(), on.looked_up.name(), blocked, &by]
                .map(str::to_owned)
        });
        for [system, grade, looked_up, blocked, by] in
            [header.map(str::to_owned)].into_iter().chain(rows)
        {
            let row = format!("  {system:16} {grade:5} {looked_up:10} {blocked:10} {by}");
            results.line(format_args!("{}", row.trim_end()))?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let is_asked = self.systems.iter().any(|on| on.looked_up != Known::No);
        if is_asked { Exit::Attention } else { Exit::Success }
    }
}

/// The data set that decides: the named one, or that of the build that wrote the filter.
fn data_set(arguments: &Arguments) -> Option<PathBuf> {
    let beside = match arguments.filter.is_dir() {
        true => arguments.filter.join(DATA_SET_FILE),
        false => arguments.filter.with_file_name(DATA_SET_FILE),
    };
    arguments.data_set.clone().or_else(|| Some(beside).filter(|path| path.is_file()))
}

fn run_systems(arguments: &Arguments, systems: &[System]) -> anyhow::Result<Exit> {
    let prefilter = Prefilter::open(&arguments.filter)?;
    let urls = arguments.urls.texts()?;
    let hits_of = |url: &str| {
        under_each(systems, url, |system, parsed| {
            Ok((system, parsed.sub_urls().graded_hits_within(prefilter.filter(), MAX_HITS)?))
        })
    };
    let listed = match data_set(arguments) {
        None => None,
        Some(path) => {
            let all = urls.iter().filter_map(|url| hits_of(url).ok()).flatten();
            let hits = all.flat_map(|(_, hits)| hits).map(|(hit, _)| hit);
            let hits: HashSet<String> = hits.collect();
            Some(rows(&path, &hits)?)
        }
    };
    arguments.urls.answer_texts(&urls, |url| {
        let systems = hits_of(url)?
            .into_iter()
            .map(|(system, hits)| OnSystem::new(system, hits, listed.as_ref()))
            .collect();
        Ok(BySystem { url: url.to_owned(), systems })
    })
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(systems) = arguments.system.chosen() {
        return run_systems(arguments, &systems);
    }
    let chosen = arguments.urls.rule.chosen()?;
    let prefilter = Prefilter::open(&arguments.filter)?;
    let rule = chosen.as_ref().unwrap_or_else(|| prefilter.rule());
    arguments.urls.answer_each(rule, |url, parsed| {
        let hits = parsed.sub_urls().hits_within(prefilter.filter(), MAX_HITS)?;
        Ok(Verdict { url: url.to_owned(), may_match: !hits.is_empty(), hits })
    })
}
