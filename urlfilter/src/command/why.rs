//! `urlfilter why`: which lines of which lists block a URL.

use super::data_set::rows;
use super::system::SystemOption;
use super::urls::{Answer, UrlArguments};
use crate::output::{Exit, Results};
use anyhow::Context;
use blocklist::builder::{DATA_SET_FILE, KeyOrigin, KeyOrigins, ORIGINS_FILE};
use filter_core::Prefilter;
use filter_core::sub_url::{MAX_HITS, Profile, SubUrlRule, System};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

/// Say which lines of which lists block a URL
///
/// Reads the folder that `build` wrote. A sub-URL that hits the filter by chance is named as such: it is no key, and
/// the service answers that it is not there.
///
/// Without an option the answer is for the documented rule, 26 and 27 together, which spell some URLs in different ways: where
/// they differ, the systems are named. A filter with a rule of its own is asked by that rule.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter why dist https://www.example.com/login
  urlfilter why dist - --json < urls.txt
  urlfilter why dist --system 26 https://www.example.com/login

Exit codes:
  0  no URL is blocked
  1  some URLs are blocked
  2  failure, or some argument is not a URL; the other URLs are answered nevertheless")]
pub(crate) struct Arguments {
    /// Folder that `build` wrote
    folder: PathBuf,
    #[command(flatten)]
    urls: UrlArguments,
    #[command(flatten)]
    system: SystemOption,
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
    /// The systems that ask for the key, if the answer is for systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    systems: Option<Vec<System>>,
    /// Those among them of which this is not certain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncertain_systems: Vec<System>,
    /// Whether some of the rules do not ask for it, so that the systems are named.
    #[serde(skip)]
    is_of_some: bool,
    lines: Vec<Line>,
}

impl KeyExplanation {
    /// Where the key blocks the URL, if not everywhere.
    fn place(&self) -> String {
        let Some(systems) = self.systems.as_ref().filter(|_| self.is_of_some) else {
            return String::new();
        };
        let name = |system: &System| match self.uncertain_systems.contains(system) {
            true => format!("perhaps {}", system.name()),
            false => system.name().to_owned(),
        };
        match systems.as_slice() {
            [] => " (by the documented rule alone)".to_owned(),
            systems => format!(" (on {})", systems.iter().map(name).collect::<Vec<_>>().join(", ")),
        }
    }
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
            results.line(format_args!("            by {}{}", key.key, key.place()))?;
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
            results.line(format_args!(
                "            {hit} hits the filter and is no key: by chance, or as a host of build.watch"
            ))?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        if self.is_blocked { Exit::Attention } else { Exit::Success }
    }
}

/// A rule by which devices look a URL up, and the system whose rule it is.
struct Reading {
    rule: SubUrlRule,
    system: Option<System>,
}

/// The rules that the answer is for.
fn readings(arguments: &Arguments, prefilter: &Prefilter) -> anyhow::Result<Vec<Reading>> {
    let of = |rule: &SubUrlRule| Reading { rule: rule.clone(), system: None };
    let of_system = |system| Reading { rule: SubUrlRule::System(system), system: Some(system) };
    if let Some(systems) = arguments.system.chosen() {
        return Ok(systems.into_iter().map(of_system).collect());
    }
    if let Some(rule) = arguments.urls.rule.chosen()? {
        return Ok(vec![of(&rule)]);
    }
    let mut readings = vec![of(prefilter.rule())];
    if matches!(prefilter.rule(), SubUrlRule::Profile(Profile::Current)) {
        readings.extend([System::V26, System::V27].into_iter().map(of_system));
    }
    Ok(readings)
}

/// How a hit is asked for.
#[derive(Default)]
struct Asked {
    /// The number of rules by which it is.
    readings: usize,
    systems: Vec<System>,
    uncertain: Vec<System>,
}

fn hits_of(
    readings: &[Reading],
    prefilter: &Prefilter,
    url: &str,
) -> anyhow::Result<BTreeMap<String, Asked>> {
    let mut all = BTreeMap::<String, Asked>::new();
    for Reading { rule, system } in readings {
        let parsed = rule.parse_lenient(url)?;
        for (hit, certainty) in
            parsed.sub_urls().graded_hits_within(prefilter.filter(), MAX_HITS)?
        {
            let asked = all.entry(hit).or_default();
            asked.readings += 1;
            asked.systems.extend(system);
            asked.uncertain.extend(system.filter(|_| !certainty.is_certain()));
        }
    }
    Ok(all)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let prefilter = Prefilter::open(&arguments.folder)?;
    let readings = readings(arguments, &prefilter)?;
    let is_of_systems = readings.iter().any(|reading| reading.system.is_some());
    let urls = arguments.urls.texts()?;
    let hits_of = |url: &str| hits_of(&readings, &prefilter, url);
    let all = urls.iter().filter_map(|url| hits_of(url).ok()).flat_map(BTreeMap::into_keys);
    let rows = rows(&arguments.folder.join(DATA_SET_FILE), &all.collect())?;
    let path = arguments.folder.join(ORIGINS_FILE);
    let name = || path.display().to_string();
    let origins = KeyOrigins::open(File::open(&path).with_context(name)?, &prefilter.tag());
    let origins = RefCell::new(origins.with_context(name)?);
    arguments.urls.answer_texts(&urls, |url| {
        let (keys, chance_hits) =
            hits_of(url)?.into_iter().partition::<Vec<_>, _>(|(hit, _)| rows.contains_key(hit));
        let explain = |(key, asked): (String, Asked)| {
            let lines = origins.borrow_mut().of(rows[&key]).with_context(name)?;
            let line = |origin: KeyOrigin| Line { list: origin.list, line: origin.line };
            anyhow::Ok(KeyExplanation {
                key,
                systems: is_of_systems.then_some(asked.systems),
                uncertain_systems: asked.uncertain,
                is_of_some: asked.readings < readings.len(),
                lines: lines.into_iter().map(line).collect(),
            })
        };
        let keys = keys.into_iter().map(explain).collect::<anyhow::Result<Vec<_>>>()?;
        let chance_hits = chance_hits.into_iter().map(|(hit, _)| hit).collect();
        Ok(Explanation { url: url.to_owned(), is_blocked: !keys.is_empty(), keys, chance_hits })
    })
}
