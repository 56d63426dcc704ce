//! `urlfilter diagnose`: why a filter does not match keys that should be in it.

use crate::output::{Exit, Results, chain};
use anyhow::{Context, bail};
use blocklist::diagnose::{Deviation, Diagnosis, Explanation, diagnose};
use blocklist::key::Refusal;
use blocklist::list::{self, Event, Format};
use filter_core::Prefilter;
use filter_core::file::{self, FileFormat};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// Find out why a filter does not match keys that should be in it
///
/// Tries the likely mistakes of other filter builders, alone and combined (FNV order of the 2025 beta,
/// bit order, unwrapped arithmetic, another seed, another rounding of the sizes, keys in another form),
/// and names the one that explains the file.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter diagnose bloom_filter.plist --keys keys.txt
  urlfilter diagnose bloom_filter.plist --keys input.txtpb --seed 0 --seed 42 --json

Exit codes:
  0  a device finds every key
  1  it does not; the output says why, if the reason was found
  2  failure")]
pub(crate) struct Arguments {
    /// The filter, in any form that `inspect` reads; it may be damaged
    filter: PathBuf,
    /// Keys that should be in it: one a line as they were inserted, or a txtpb data set; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Seed that may have been used; can be repeated
    #[arg(long = "seed", value_name = "N")]
    seeds: Vec<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    form: FileFormat,
    verdict: Verdict,
    keys: usize,
    present: usize,
    missing: Vec<String>,
    refused: usize,
    refused_examples: Vec<RefusedKey>,
    deviations: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reproduces_file: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A key that builds have not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedKey {
    key: String,
    reason: Refusal,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    /// Every key is found.
    Matches,
    /// A combination of mistakes is proved to explain the file.
    Explained,
    /// A combination of mistakes fits, but the keys are too few to prove it.
    Likely,
    Unexplained,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    name: &'static str,
    explanation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<u32>,
}

impl From<&Deviation> for Cause {
    fn from(deviation: &Deviation) -> Self {
        let value = match deviation {
            Deviation::Seed(value) | Deviation::BitCount(value) | Deviation::HashCount(value) => {
                Some(*value)
            }
            _ => None,
        };
        Self { name: deviation.name(), explanation: deviation.explanation(), value }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let keys = read_keys(arguments)?;
    if keys.is_empty() {
        bail!("{}: the file has no keys; expected one a line", arguments.keys.display());
    }
    let unverified = file::open_unverified(&arguments.filter)?;
    let form = unverified.format;
    let diagnosis = diagnose(
        unverified.parameters,
        unverified.bytes.as_ref(),
        &unverified.description,
        &keys,
        &arguments.seeds,
    );
    if diagnosis.keys == 0 {
        let reason = diagnosis.refused_examples.first().map_or("", |(_, refusal)| refusal.name());
        bail!(
            "{}: none of the {} lines is a key (the first: {reason}); expected keys as `urlfilter build` writes them to \
             input.txtpb",
            arguments.keys.display(),
            diagnosis.refused
        );
    }
    let problem = Prefilter::try_from(unverified).err().map(|error| chain(&error));
    let answer = answer(form, diagnosis, problem);
    let mut results = Results::new();
    if arguments.json {
        results.json(&answer)?;
    } else {
        print(&answer, &mut results)?;
    }
    results.finish()?;
    Ok(match answer.verdict == Verdict::Matches && answer.problem.is_none() {
        true => Exit::Success,
        false => Exit::Attention,
    })
}

fn read_keys(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let name = arguments.keys.display().to_string();
    let mut text = Vec::new();
    if arguments.keys.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut text)?;
    } else {
        File::open(&arguments.keys)
            .and_then(|mut file| file.read_to_end(&mut text))
            .with_context(|| name.clone())?;
    }
    let mut keys = Vec::new();
    // Keys are read as they are; only a data set has a format of its own.
    let format =
        if text.trim_ascii_start().starts_with(b"rows") { Format::Txtpb } else { Format::Urls };
    list::read(&text[..], &format.into(), |event| {
        if let Event::Entry { entry, .. } = event {
            keys.push(entry.text.to_owned());
        }
    })
    .with_context(|| name)?;
    Ok(keys)
}

fn answer(form: FileFormat, diagnosis: Diagnosis, problem: Option<String>) -> Answer {
    let healthy = diagnosis.is_healthy();
    let verdict = match &diagnosis.explanation {
        _ if healthy => Verdict::Matches,
        Some(explanation) if explanation.is_conclusive() => Verdict::Explained,
        Some(_) => Verdict::Likely,
        None => Verdict::Unexplained,
    };
    let reproduces_file = diagnosis.explanation.as_ref().map(|explanation| explanation.reproduces);
    let deviations = match &diagnosis.explanation {
        Some(Explanation { deviations, .. }) if !healthy => {
            deviations.iter().map(Cause::from).collect()
        }
        _ => Vec::new(),
    };
    let Diagnosis { keys, present, missing, refused, refused_examples, .. } = diagnosis;
    let refused_examples =
        refused_examples.into_iter().map(|(key, reason)| RefusedKey { key, reason }).collect();
    Answer {
        form,
        verdict,
        keys,
        present,
        missing,
        refused,
        refused_examples,
        deviations,
        reproduces_file,
        problem,
    }
}

fn print(answer: &Answer, results: &mut Results) -> anyhow::Result<()> {
    results.line(format_args!("A device finds {} of {} keys.", answer.present, answer.keys))?;
    if answer.refused > 0 {
        results.line(format_args!(
            "{} more have no key: `urlfilter build` leaves them out, unless an option allows them. For example:",
            answer.refused
        ))?;
        for RefusedKey { key, reason } in &answer.refused_examples {
            results.line(format_args!("  {key}  {reason}: {}", reason.explanation()))?;
        }
    }
    if let Some(problem) = &answer.problem {
        results.line(format_args!("The file contradicts itself: {problem}."))?;
    }
    match answer.verdict {
        Verdict::Matches => {}
        Verdict::Unexplained => {
            results.line(format_args!(
                "No known mistake explains the others. Perhaps they were never inserted, or were inserted with another\n\
                 seed (try --seed N). Missing, for example:"
            ))?;
            for key in &answer.missing {
                results.line(format_args!("  {key}"))?;
            }
        }
        Verdict::Explained | Verdict::Likely => {
            results.line(format_args!("All keys are found if the filter was built like this:"))?;
            for cause in &answer.deviations {
                results.line(format_args!("  {}: {}.", cause.name, cause.explanation))?;
            }
            if answer.reproduces_file == Some(true) {
                results.line(format_args!(
                    "Built like this, the keys give exactly the bits of the file."
                ))?;
            }
            if answer.verdict == Verdict::Likely {
                results
                    .line(format_args!("Few keys may fit by chance; give more keys to be sure."))?;
            }
        }
    }
    if answer.form == FileFormat::BetaPlist {
        results.line(format_args!("The file has the form of the 2025 beta, which released devices do not read: rebuild it."))?;
    }
    Ok(())
}
