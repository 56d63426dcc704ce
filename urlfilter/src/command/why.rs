//! `urlfilter why`: which lines of which lists block a URL.

use super::data_set::rows;
use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use anyhow::Context;
use blocklist::builder::{DATA_SET_FILE, KeyOrigin, KeyOrigins, ORIGINS_FILE};
use filter_core::Prefilter;
use serde::Serialize;
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;

/// Say which lines of which lists block a URL
///
/// Reads the folder that `build` wrote. A sub-URL that hits the filter by chance is named as such: it is no key, and
/// the service answers that it is not there.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter why dist https://www.example.com/login
  urlfilter why dist - --json < urls.txt

Exit codes:
  0  no URL is blocked
  1  some URLs are blocked
  2  failure, or some argument is not a URL; the other URLs are answered nevertheless")]
pub(crate) struct Arguments {
    /// Folder that `build` wrote
    folder: PathBuf,
    #[command(flatten)]
    urls: UrlArguments,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    url: String,
    is_blocked: bool,
    keys: Vec<KeyExplanation>,
    chance_hits: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyExplanation {
    key: String,
    lines: Vec<Line>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    list: Option<String>,
    line: u64,
}

impl Answer for Explanation {
    fn print(&self, results: &mut Results) -> anyhow::Result<()> {
        let verdict = if self.is_blocked { "blocked    " } else { "not blocked" };
        results.line(format_args!("{verdict} {}", self.url))?;
        for key in &self.keys {
            results.line(format_args!("            by {}", key.key))?;
            for line in &key.lines {
                match &line.list {
                    Some(list) => {
                        results.line(format_args!("               {list}:{}", line.line))?
                    }
                    None => results.line(format_args!("               an option of the build"))?,
                }
            }
        }
        for hit in &self.chance_hits {
            results.line(format_args!("            {hit} hits the filter by chance"))?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        if self.is_blocked { Exit::Attention } else { Exit::Success }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let chosen = arguments.urls.rule.chosen()?;
    let prefilter = Prefilter::open(&arguments.folder)?;
    let rule = chosen.as_ref().unwrap_or_else(|| prefilter.rule());
    let urls = arguments.urls.texts()?;
    let hits_of = |url: &str| {
        let parsed = rule.parse_lenient(url)?;
        anyhow::Ok(parsed.sub_urls().hits_in(prefilter.filter()))
    };
    let all = urls.iter().filter_map(|url| hits_of(url).ok()).flatten().collect();
    let rows = rows(&arguments.folder.join(DATA_SET_FILE), &all)?;
    let path = arguments.folder.join(ORIGINS_FILE);
    let name = || path.display().to_string();
    let origins = KeyOrigins::open(File::open(&path).with_context(name)?, &prefilter.tag());
    let origins = RefCell::new(origins.with_context(name)?);
    arguments.urls.answer_texts(&urls, |url| {
        let (keys, chance_hits) =
            hits_of(url)?.into_iter().partition::<Vec<_>, _>(|hit| rows.contains_key(hit));
        let explain = |key: String| {
            let lines = origins.borrow_mut().of(rows[&key]).with_context(name)?;
            let line = |origin: KeyOrigin| Line { list: origin.list, line: origin.line };
            anyhow::Ok(KeyExplanation { key, lines: lines.into_iter().map(line).collect() })
        };
        let keys = keys.into_iter().map(explain).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Explanation { url: url.to_owned(), is_blocked: !keys.is_empty(), keys, chance_hits })
    })
}
