//! `urlfilter`: everything an operator of a private URL filter does at a terminal.
#![forbid(unsafe_code)]

mod answer;
mod command;
mod doctor;
mod output;
mod vectors;

use clap::{Parser, Subcommand};
use pir_server::causes::WithCauses;
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
  urlfilter explain 'https://www.example.com/a?b=c'
  urlfilter diagnose bloom_filter.plist --keys keys.txt
  urlfilter process process.json
  urlfilter publish --to s3://lists/urls --usecase com.example.app.url.filtering --data dist/urls --filter dist
  urlfilter doctor --server https://pir.example.com --token-file token --bundle-id com.example.app
  urlfilter query --server https://pir.example --usecase com.example.app.url.filtering \\
      --token-file token --filter dist https://www.example.com/login

Exit codes: 0 done; 1 the answer is one to look at: some URL may match (check) or is denied (query), not all keys
are found (diagnose), a deployment is not ready (doctor); 2 trouble."
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
    Explain(command::explain::Arguments),
    Hash(command::hash::Arguments),
    Diagnose(command::diagnose::Arguments),
    Process(command::process::Arguments),
    Publish(command::publish::Arguments),
    Query(command::query::Arguments),
    Demo(command::demo::Arguments),
    Doctor(command::doctor::Arguments),
    Vectors(command::vectors::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Build(arguments) => command::build::run(&arguments),
        Command::Inspect(arguments) => command::inspect::run(&arguments),
        Command::Check(arguments) => command::check::run(&arguments),
        Command::Explain(arguments) => command::explain::run(&arguments),
        Command::Hash(arguments) => command::hash::run(&arguments),
        Command::Diagnose(arguments) => command::diagnose::run(&arguments),
        Command::Process(arguments) => command::process::run(&arguments),
        Command::Publish(arguments) => command::publish::run(&arguments),
        Command::Query(arguments) => command::query::run(&arguments),
        Command::Demo(arguments) => command::demo::run(&arguments),
        Command::Doctor(arguments) => command::doctor::run(&arguments),
        Command::Vectors(arguments) => command::vectors::run(&arguments),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("urlfilter: {}", WithCauses(error.as_ref())));
            ExitCode::from(output::TROUBLE)
        }
    }
}
