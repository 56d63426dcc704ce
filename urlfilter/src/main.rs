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

    /// The commands of a line for a shell, each as its words, without comments and without what is read from files and
    /// written to them.
    fn commands_of(line: &str) -> Vec<Vec<String>> {
        let words = shlex::split(line).unwrap_or_else(|| panic!("{line}: a quote without its end"));
        let mut commands = Vec::new();
        for command in words.split(|word| matches!(word.as_str(), "|" | "&&")) {
            let is_redirection = |word: &String| matches!(word.as_str(), "<" | ">" | ">>");
            let end = command.iter().position(is_redirection).unwrap_or(command.len());
            commands.push(command[..end].to_vec());
        }
        commands
    }

    /// The commands of this program in the examples of a help text.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let joined = help.replace("\\\n", " ");
        let lines = joined.lines().filter_map(|line| line.strip_prefix("  "));
        let commands = lines.filter(|line| line.contains("urlfilter ")).flat_map(commands_of);
        let own = commands.filter(|words| words.first().is_some_and(|word| word == "urlfilter"));
        own.collect()
    }

    #[test]
    fn lines_of_a_shell_become_words() {
        for (line, expected) in [
            ("urlfilter a 'b c' \"d\"  # e", vec![vec!["urlfilter", "a", "b c", "d"]]),
            ("urlfilter a - --json < urls.txt", vec![vec!["urlfilter", "a", "-", "--json"]]),
            (
                "zcat a | urlfilter b && c >d",
                vec![vec!["zcat", "a"], vec!["urlfilter", "b"], vec!["c", ">d"]],
            ),
            ("urlfilter a#b ''", vec![vec!["urlfilter", "a#b", ""]]),
        ] {
            assert_eq!(commands_of(line), expected, "{line}");
        }
        let joined =
            examples("Examples:\n  urlfilter a \\\n      --b c\n\nurlfilter is a program\n");
        assert_eq!(joined, [["urlfilter", "a", "--b", "c"]]);
    }

    /// The arguments are read and nothing is run.
    #[test]
    fn examples_of_help_have_arguments_that_are_accepted() {
        let root = Arguments::command();
        let help = |command: &clap::Command| match command.get_after_help() {
            Some(help) => help.to_string(),
            None => panic!("{}: no help with examples", command.get_name()),
        };
        for command in root.get_subcommands().chain([&root]) {
            let name = command.get_name();
            let examples_here = examples(&help(command));
            assert!(!examples_here.is_empty(), "{name}: no example");
            for example in examples_here {
                // `…` stands for the arguments of the command's first example.
                let of = root.get_subcommands().find(|command| command.get_name() == example[1]);
                let of = of.unwrap_or_else(|| panic!("{name}: {example:?}: no such command"));
                let first = examples(&help(of)).swap_remove(0);
                assert!(!first.iter().any(|word| word == "…"), "{name}: {first:?}");
                let whole = example.iter().flat_map(|word| match word.as_str() {
                    "…" => first[2..].to_vec(),
                    _ => vec![word.clone()],
                });
                if let Err(error) = Arguments::try_parse_from(whole) {
                    panic!("{name}: {example:?}: {error}");
                }
            }
        }
    }
}
