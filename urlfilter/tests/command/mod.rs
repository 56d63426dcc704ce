//! Running the command in a folder.

#![allow(dead_code, reason = "not every test needs all of it")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command in a folder, without standard input, and without a user token of whoever runs the tests.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_urlfilter"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("URLFILTER_TOKEN");
    command
}

pub(crate) fn urlfilter(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output as JSON.
#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
pub(crate) fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
}
