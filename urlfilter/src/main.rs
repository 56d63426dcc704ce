//! `urlfilter`: the command of whoever publishes a private URL filter.
//!
//! Arguments, progress and printing; the work is done by the libraries, each of which an application can use itself.
#![forbid(unsafe_code)]

mod command;
mod output;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{Exit, Results};
use std::process::ExitCode;

/// Build prefilters and PIR data sets for private URL filtering, explain them, and look URLs up privately
#[derive(Parser)]
#[command(
    name = "urlfilter",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  urlfilter demo
  urlfilter build blocklist.txt --out dist
  urlfilter check dist https://www.example.com/login
  urlfilter why dist https://www.example.com/login
  urlfilter explain 'https://www.example.com/a?b=c'
  urlfilter diagnose bloom_filter.plist --keys keys.txt
  urlfilter tune dist/input.txtpb --max-ms 5 --out process.json
  urlfilter process process.json
  urlfilter publish --to s3://lists/urls --usecase com.example.app.url.filtering \\
      --data dist/urls --filter dist
  urlfilter update lists.toml
  urlfilter doctor --server https://pir.example.com --token-file token --bundle-id com.example.app
  urlfilter query --server https://pir.example --usecase com.example.app.url.filtering \\
      --token-file token --filter dist https://www.example.com/login

Exit codes:
  0  done
  1  done, and the answer needs attention:
     some URLs may match (check), are blocked (why) or denied (query),
     keys are missing (diagnose), no layout keeps the limits (tune),
     the deployment is not ready (doctor), old copies of lists are used (update),
     or vectors differ
  2  failure; with --json, an object with the reason, `error`, ends the standard output"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(command::build::Arguments),
    Inspect(command::inspect::Arguments),
    Check(command::check::Arguments),
    Why(command::why::Arguments),
    Explain(command::explain::Arguments),
    Hash(command::hash::Arguments),
    Diagnose(command::diagnose::Arguments),
    Tune(command::tune::Arguments),
    Process(command::process::Arguments),
    Publish(command::publish::Arguments),
    Update(command::update::Arguments),
    SigningKey(command::signing_key::Arguments),
    Profile(command::profile::Arguments),
    CallerId(command::caller_id::Arguments),
    Reports(command::reports::Arguments),
    Query(command::query::Arguments),
    Demo(command::demo::Arguments),
    Doctor(command::doctor::Arguments),
    Vectors(command::vectors::Arguments),
}

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match arguments.command {
        Command::Build(arguments) => command::build::run(&arguments),
        Command::Inspect(arguments) => command::inspect::run(&arguments),
        Command::Check(arguments) => command::check::run(&arguments),
        Command::Why(arguments) => command::why::run(&arguments),
        Command::Explain(arguments) => command::explain::run(&arguments),
        Command::Hash(arguments) => command::hash::run(&arguments),
        Command::Diagnose(arguments) => command::diagnose::run(&arguments),
        Command::Tune(arguments) => command::tune::run(&arguments),
        Command::Process(arguments) => command::process::run(&arguments),
        Command::Publish(arguments) => command::publish::run(&arguments),
        Command::Update(arguments) => command::update::run(&arguments),
        Command::SigningKey(arguments) => command::signing_key::run(&arguments),
        Command::CallerId(arguments) => command::caller_id::run(&arguments),
        Command::Reports(arguments) => command::reports::run(&arguments),
        Command::Profile(arguments) => command::profile::run(&arguments),
        Command::Query(arguments) => command::query::run(&arguments),
        Command::Demo(arguments) => command::demo::run(&arguments),
        Command::Doctor(arguments) => command::doctor::run(&arguments),
        Command::Vectors(arguments) => command::vectors::run(&arguments),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("urlfilter: {error:#}"));
            if is_json(&matches) {
                // Standard error has the reason if standard output is closed.
                let _ = print_failure(&error);
            }
            Exit::Failure.into()
        }
    }
}

/// Whether results are asked for as JSON.
fn is_json(matches: &ArgMatches) -> bool {
    // Commands without the flag know no such name.
    let flag = |(_, command): (_, &ArgMatches)| {
        matches!(command.try_get_one::<bool>("json"), Ok(Some(true)))
    };
    matches.subcommand().is_some_and(flag)
}

/// Prints why a command failed, for scripts that read its JSON.
fn print_failure(error: &anyhow::Error) -> anyhow::Result<()> {
    let mut results = Results::new();
    results.json(&serde_json::json!({ "error": format!("{error:#}") }))?;
    results.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widest line that the help shows as it is, in characters.
    const WIDTH: usize = 100;

    #[test]
    fn examples_of_help_can_be_pasted_into_a_shell() {
        let root = Arguments::command();
        for command in root.get_subcommands().chain([&root]) {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                assert!(line.chars().count() <= WIDTH, "{name}: {line}");
                // What explains a command stands behind `#`.
                let is_command = line.trim_start().starts_with("urlfilter ");
                assert!(!is_command || !line.contains("   ("), "{name}: {line}");
            }
        }
    }
}
