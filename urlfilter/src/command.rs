//! One module per command: its arguments, and what it prints.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod diagnose;
pub(crate) mod explain;
pub(crate) mod hash;
pub(crate) mod inspect;
mod rule;
pub(crate) mod vectors;

use anyhow::Context;
use std::io::{self, BufRead};

/// The arguments given, with `-` replaced by the lines of standard input.
fn with_standard_input(given: &[String]) -> anyhow::Result<Vec<String>> {
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
