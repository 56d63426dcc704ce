//! `urlfilter why`: which lines of which lists block a URL.

use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use anyhow::Context;
use blocklist::builder::{DATA_SET_FILE, KeyOrigins, ORIGINS_FILE};
use filter_core::Prefilter;
use keyword_database::Reader;
use serde::Serialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

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
    let tag = prefilter.tag();
    let rule = chosen.as_ref().unwrap_or_else(|| prefilter.rule());
    arguments.urls.answer_each(rule, |url, parsed| {
        let hits = parsed.sub_urls().hits_in(prefilter.filter());
        let rows = rows(&arguments.folder, &hits)?;
        let mut keys = Vec::new();
        let mut chance_hits = Vec::new();
        for hit in hits {
            match rows.get(&hit) {
                Some(&row) => keys.push(explain(&arguments.folder, &tag, hit, row)?),
                None => chance_hits.push(hit),
            }
        }
        Ok(Explanation { url: url.to_owned(), is_blocked: !keys.is_empty(), keys, chance_hits })
    })
}

/// The places of keys in the data set, of those that it has.
fn rows(folder: &Path, keys: &[String]) -> anyhow::Result<HashMap<String, u64>> {
    let mut found = HashMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let path = folder.join(DATA_SET_FILE);
    let name = || path.display().to_string();
    let mut reader =
        Reader::text(BufReader::with_capacity(1 << 17, File::open(&path).with_context(name)?));
    let mut row = 0;
    while let Some(next) = reader.next_row().with_context(name)? {
        if let Some(key) = keys.iter().find(|key| key.as_bytes() == next.keyword) {
            found.insert(key.clone(), row);
            if found.len() == keys.len() {
                break;
            }
        }
        row += 1;
    }
    Ok(found)
}

fn explain(folder: &Path, tag: &str, key: String, row: u64) -> anyhow::Result<KeyExplanation> {
    let path = folder.join(ORIGINS_FILE);
    let name = || path.display().to_string();
    let file = File::open(&path).with_context(name)?;
    let origins =
        KeyOrigins::open(file, tag).and_then(|mut origins| origins.of(row)).with_context(name)?;
    let lines = origins.into_iter().map(|origin| Line { list: origin.list, line: origin.line });
    Ok(KeyExplanation { key, lines: lines.collect() })
}
