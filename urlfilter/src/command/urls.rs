//! What `check`, `why` and `explain` have in common: one answer for each URL.

use super::rule::RuleOptions;
use crate::output::{Exit, Results, note};
use anyhow::Context;
use filter_core::sub_url::{DeviceUrl, SubUrlRule};
use serde::Serialize;
use std::io::{self, BufRead};

#[derive(clap::Args)]
pub(super) struct UrlArguments {
    /// URLs; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    #[command(flatten)]
    pub(super) rule: RuleOptions,
    /// Print one JSON object for each URL
    #[arg(long)]
    json: bool,
}

/// The answer to one URL, as JSON by `Serialize`.
pub(super) trait Answer: Serialize {
    /// The answer for people.
    fn print(&self, results: &mut Results) -> anyhow::Result<()>;

    /// What the command should exit with if this is its only answer.
    fn exit(&self) -> Exit;
}

#[derive(Serialize)]
struct Refused<'u> {
    url: &'u str,
    error: String,
}

impl UrlArguments {
    /// The URLs as given, those of standard input included.
    pub(super) fn texts(&self) -> anyhow::Result<Vec<String>> {
        with_standard_input(&self.urls)
    }

    /// Answers each URL under one rule. One that cannot be answered is reported, and the others are answered nevertheless.
    pub(super) fn answer_each<A: Answer>(
        &self,
        rule: &SubUrlRule,
        answer: impl Fn(&str, &DeviceUrl<'_>) -> anyhow::Result<A>,
    ) -> anyhow::Result<Exit> {
        self.answer_texts(&self.texts()?, |url| answer(url, &rule.parse_lenient(url)?))
    }

    /// Answers each text. One that cannot be answered is reported, and the others are answered nevertheless.
    pub(super) fn answer_texts<A: Answer>(
        &self,
        urls: &[String],
        answer: impl Fn(&str) -> anyhow::Result<A>,
    ) -> anyhow::Result<Exit> {
        let mut results = Results::new();
        let mut exit = Exit::Success;
        for url in urls {
            let answer = answer(url);
            exit = exit.max(match answer {
                Ok(answer) => {
                    if self.json {
                        results.json(&answer)?;
                    } else {
                        answer.print(&mut results)?;
                    }
                    answer.exit()
                }
                Err(error) => {
                    note(format_args!("urlfilter: {url:?}: {error:#}"));
                    if self.json {
                        results.json(&Refused { url, error: format!("{error:#}") })?;
                    }
                    Exit::Failure
                }
            });
        }
        results.finish()?;
        Ok(exit)
    }
}

/// The arguments, with `-` replaced by the lines of standard input that are not blank.
pub(super) fn with_standard_input(arguments: &[String]) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if argument != "-" {
            all.push(argument.clone());
            continue;
        }
        for line in io::stdin().lock().lines() {
            let line = line.context("cannot read standard input")?;
            if !line.trim().is_empty() {
                all.push(line);
            }
        }
    }
    Ok(all)
}
