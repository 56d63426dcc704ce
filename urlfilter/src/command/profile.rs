//! `urlfilter profile`: what a management server tells devices about a filter.

use super::token::TokenOptions;
use crate::output::{Exit, Results, note};
use anyhow::Context;
use app_configuration::{FilterConfiguration, Origin, UserToken};
use durable_file::Access;
use std::path::PathBuf;

/// Write the configuration profile of managed devices, or their declaration
///
/// The profile (.mobileconfig) sets the filter up on iOS, iPadOS and macOS 26 and later, in place of the app's code. With
/// --declaration, a JSON list of the two declarations for 27 and later: the user token as an asset, and the configuration
/// that refers to it. Both hold the user token. The profile is not signed; management servers sign it, or
/// `openssl smime -sign -nodetach -outform der` does. The same options give the same bytes, and devices replace a profile
/// of the same app.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter profile --server https://pir.example.com --token-file token \\
      --bundle-id com.example.app --provider-id com.example.app.control-provider \\
      --out filter.mobileconfig
  urlfilter profile --server https://pir.example.com --token-file token \\
      --bundle-id com.example.app --provider-id com.example.app.control-provider --declaration

Exit codes:
  0  written
  2  failure, for example an address that devices do not take")]
pub(crate) struct Arguments {
    /// Address of the service
    #[arg(long, value_name = "URL", value_parser = Origin::parse)]
    server: Origin,
    /// Address of the issuer, if it is not the service
    #[arg(long, value_name = "URL", value_parser = Origin::parse)]
    issuer: Option<Origin>,
    #[command(flatten)]
    token: TokenOptions,
    /// Bundle id of the app
    #[arg(long, value_name = "ID")]
    bundle_id: String,
    /// Bundle id of the extension that provides the prefilter
    #[arg(long, value_name = "ID")]
    provider_id: String,
    /// Designated requirement of the extension's code signature, which macOS needs (`codesign -d -r-` prints it)
    #[arg(long, value_name = "TEXT")]
    requirement: Option<String>,
    /// Name that devices show
    #[arg(long, value_name = "TEXT", default_value = "URL filter")]
    name: String,
    /// Organization that devices show
    #[arg(long, value_name = "TEXT")]
    organization: Option<String>,
    /// Block URLs while the service gives no verdict
    #[arg(long)]
    fail_closed: bool,
    /// Seconds between two fetches of the prefilter, at least 2700
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    fetch_seconds: u32,
    /// Write declarations in JSON instead of a profile
    #[arg(long)]
    declaration: bool,
    /// File to write, for its owner alone; standard output without it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let token = arguments.token.read_required()?;
    let mut configuration = FilterConfiguration::new(
        arguments.server.clone(),
        UserToken::parse(&token)?,
        &arguments.bundle_id,
        &arguments.provider_id,
    )
    .name(&arguments.name)
    .fail_closed(arguments.fail_closed)
    .fetch_seconds(arguments.fetch_seconds);
    if let Some(issuer) = &arguments.issuer {
        configuration = configuration.issuer(issuer.clone());
    }
    if let Some(requirement) = &arguments.requirement {
        configuration = configuration.designated_requirement(requirement);
    }
    if let Some(organization) = &arguments.organization {
        configuration = configuration.organization(organization);
    }
    let declarations;
    let profile;
    let content: &[u8] = if arguments.declaration {
        declarations = configuration.declarations()?;
        declarations.as_bytes()
    } else {
        profile = configuration.profile()?;
        &profile
    };
    match &arguments.out {
        Some(path) => {
            durable_file::write(path, Access::Owner, content)?;
            note(format_args!("wrote {}", path.display()));
        }
        None => {
            let mut results = Results::new();
            let text = std::str::from_utf8(content).context("the profile is text")?;
            results.line(format_args!("{}", text.trim_end()))?;
            results.finish()?;
        }
    }
    Ok(Exit::Success)
}
