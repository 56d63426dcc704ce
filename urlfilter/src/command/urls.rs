//! What `check` and `explain` have in common: URLs in, one answer each.

use super::rule::RuleOptions;
use crate::output::{DONE, Results, TROUBLE, note};
use anyhow::Context;
use filter_core::sub_url::{DeviceUrl, SubUrlRule};
use serde::Serialize;
use std::io::{self, BufRead};

/// URLs, the rule for them, and how to answer.
#[derive(clap::Args)]
pub(super) struct UrlArguments {
    /// URLs; `-` takes them from standard input, one a line
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    #[command(flatten)]
    pub(super) rule: RuleOptions,
    /// Print one JSON object per URL
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Failure<'u> {
    url: &'u str,
    error: String,
}

impl UrlArguments {
    /// Answers each URL; one that cannot be answered is reported, and the others go on. Returns the
    /// highest exit code.
    pub(super) fn answer_each(
        &self,
        rule: &SubUrlRule,
        mut answer: impl FnMut(&str, &DeviceUrl<'_>, &mut Results) -> anyhow::Result<Result<u8, String>>,
    ) -> anyhow::Result<u8> {
        let mut results = Results::new();
        let mut code = DONE;
        for url in with_standard_input(&self.urls)? {
            let outcome = match rule.parse_lenient(url.trim()) {
                Ok(parsed) => answer(&url, &parsed, &mut results)?,
                Err(error) => Err(error.to_string()),
            };
            code = code.max(match outcome {
                Ok(code) => code,
                Err(error) => {
                    note(format_args!("urlfilter: {url:?}: {error}"));
                    if self.json {
                        results.json(&Failure { url: &url, error })?;
                    }
                    TROUBLE
                }
            });
        }
        results.finish()?;
        Ok(code)
    }
}

/// The arguments given, with `-` replaced by the lines of standard input.
pub(super) fn with_standard_input(given: &[String]) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::with_capacity(given.len());
    for argument in given {
        if argument == "-" {
            for line in io::stdin().lock().lines() {
                let line = line.context("standard input")?;
                if !line.trim().is_empty() {
                    all.push(line);
                }
            }
        } else {
            all.push(argument.clone());
        }
    }
    Ok(all)
}
