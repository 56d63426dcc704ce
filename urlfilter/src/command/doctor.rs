//! `urlfilter doctor`: is a deployment ready?

use crate::doctor::{Deployment, Finding, State, examine};
use crate::output::{DONE, NOTEWORTHY, Results};
use anyhow::{Context, bail};
use serde::Serialize;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Check a deployment as a device and as Apple's onboarding would, and say what is wrong and what to do
///
/// Asks the servers what a device asks: tokens, the configuration, a key, lookups of the onboarding entry and of
/// a key that is on no list. With --gateway, the same through the gateway; with --filter, whether the prefilter
/// belongs to the data set that is served; with --resolver and --info-plist, the record of the domain and the
/// app's own words.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter doctor --server https://pir.example.com --token-file token --bundle-id com.example.app
  urlfilter doctor --server https://pir.example.com --issuer https://issuer.example.com \\
      --gateway https://gateway.example.com --token-file token --bundle-id com.example.app \\
      --filter dist --resolver 9.9.9.9 --info-plist App/Info.plist --json
  urlfilter doctor --server http://127.0.0.1:8080 --token AAAA --bundle-id com.example.app --development

Exit codes: 0 ready (there may be warnings); 1 something is wrong; 2 trouble.")]
pub(crate) struct Arguments {
    /// Address of the service, as the app has it
    #[arg(long, value_name = "URL")]
    server: String,
    /// Address of the issuer, if it is another
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Address of the gateway, or of its resource
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// User token; others on this machine can read it among the arguments, so better --token-file or the
    /// variable
    #[arg(long, value_name = "TOKEN", env = "URLFILTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File with the user token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Bundle id of the app (not of its extension)
    #[arg(long, value_name = "ID")]
    bundle_id: String,
    /// The folder that `build` wrote to: is its prefilter of the data set that is served?
    #[arg(long, value_name = "DIR")]
    filter: Option<PathBuf>,
    /// What the names of the processed data set's files begin with, to compare it with what is served
    #[arg(long, value_name = "STEM", requires = "filter")]
    data: Option<PathBuf>,
    /// A resolver to ask for the TXT record of the service's host
    #[arg(long, value_name = "IP[:PORT]", value_parser = resolver)]
    resolver: Option<SocketAddr>,
    /// Info.plist of the app
    #[arg(long, value_name = "FILE")]
    info_plist: Option<PathBuf>,
    /// The app is installed by Xcode: http, ports and paths are allowed
    #[arg(long)]
    development: bool,
    /// PEM file of an authority that is trusted besides the system's
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Seconds for one exchange
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Milliseconds that a lookup may take without a warning
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    latency: u64,
    /// Bytes that a reply may have without a warning
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_000)]
    reply_bytes: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    ready: bool,
    findings: &'r [Finding],
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, 53).into()));
    address.map_err(|_| "the number of a host is needed, such as 9.9.9.9".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let token = match (&arguments.token_file, &arguments.token) {
        (Some(path), _) => Zeroizing::new(
            fs::read_to_string(path).with_context(|| path.display().to_string())?.trim().to_owned(),
        ),
        (None, Some(token)) => Zeroizing::new(token.trim().to_owned()),
        (None, None) => bail!("a user token is needed: --token-file, --token or URLFILTER_TOKEN"),
    };
    if arguments.bundle_id.ends_with(".url.filtering") {
        bail!("--bundle-id: without `.url.filtering`, which is what the use case has besides");
    }
    let deployment = Deployment {
        server: arguments.server.clone(),
        issuer: arguments.issuer.clone().unwrap_or_else(|| arguments.server.clone()),
        gateway: arguments.gateway.clone(),
        token,
        bundle_id: arguments.bundle_id.clone(),
        filter: arguments.filter.clone(),
        data: arguments.data.clone(),
        info_plist: arguments.info_plist.clone(),
        resolver: arguments.resolver,
        development: arguments.development,
        authority: arguments.authority.clone(),
        timeout: Duration::from_secs(arguments.timeout),
        patience: Duration::from_millis(arguments.latency),
        most_bytes: arguments.reply_bytes,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let findings = runtime.block_on(examine(&deployment))?;
    let ready = findings.worst() < State::Bad;
    let mut results = Results::new();
    if arguments.json {
        results.json(&Report { ready, findings: &findings.0 })?;
    } else {
        for finding in &findings.0 {
            let state = match finding.state {
                State::Good => "good",
                State::Warning => "warning",
                State::Bad => "WRONG",
            };
            results.line(format_args!("{state:8} {:18} {}", finding.check, finding.seen))?;
            if let Some(cause) = &finding.cause {
                results.line(format_args!("         cause: {cause}"))?;
            }
            if let Some(fix) = &finding.fix {
                results.line(format_args!("         fix:   {fix}"))?;
            }
        }
        let wrong = findings.0.iter().filter(|finding| finding.state == State::Bad).count();
        match wrong {
            0 => results.line(format_args!("ready"))?,
            _ => results.line(format_args!("not ready: {wrong} of {} checks", findings.0.len()))?,
        }
    }
    results.finish()?;
    Ok(if ready { DONE } else { NOTEWORTHY })
}
