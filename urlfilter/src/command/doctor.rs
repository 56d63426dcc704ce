//! `urlfilter doctor`: is a deployment ready?

use super::token::TokenOptions;
#[cfg(not(feature = "doctor"))]
use crate::output::Exit;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Check a deployment as a device and as Apple's onboarding would, and explain what is wrong
///
/// Requests what a device requests: tokens, the configuration, an upload of an evaluation key, lookups of the
/// onboarding entry and of a key that is on no list. With --gateway, the same through the gateway; with --filter,
/// whether the prefilter belongs to the data set that is served; with --resolver and --info-plist, the domain's TXT
/// record and the addresses in the app; with --report-endpoint, whether reports are taken where the app sends them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter doctor --server https://pir.example.com --token-file token --bundle-id com.example.app
  urlfilter doctor --server https://pir.example.com --issuer https://issuer.example.com \\
      --gateway https://gateway.example.com --token-file token --bundle-id com.example.app \\
      --filter dist --resolver 9.9.9.9 --info-plist App/Info.plist --json
  urlfilter doctor --server http://127.0.0.1:8080 --token AAAA --bundle-id com.example.app \\
      --development
  urlfilter doctor --server https://lookup.example.com --token-file token --caller-id \\
      --bundle-id com.example.app.lookup --resolver 9.9.9.9

Exit codes:
  0  ready; there may be warnings
  1  not ready: something is wrong
  2  failure, for example a file that cannot be read")]
pub(crate) struct Arguments {
    /// Address of the service, as the app has it
    #[arg(long, value_name = "URL")]
    server: String,
    /// Address of the issuer, if it is not the service
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Address of the gateway, or of its resource
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    token: TokenOptions,
    /// Bundle id of the app, not of its extension; with --caller-id, of the extension
    #[arg(long, value_name = "ID")]
    bundle_id: String,
    /// The service is for Live Caller ID Lookup: examine the use cases for blocking and for identities
    #[arg(long, conflicts_with_all = ["filter", "data", "info_plist", "report_endpoint"])]
    caller_id: bool,
    /// Path that the app has as reportEndpoint, such as reports: an empty report is sent there
    #[arg(long, value_name = "PATH", value_parser = report_path)]
    report_endpoint: Option<String>,
    /// Folder that `build` wrote: checks that its prefilter is sound, has the rows beside it, and belongs to the data
    /// set that is served, and to the prefilter that the service gives out
    #[arg(long, value_name = "DIR")]
    filter: Option<PathBuf>,
    /// Level whose prefilter the service gives out, by its name: checks it; can be repeated
    #[arg(long, value_name = "NAME")]
    level: Vec<String>,
    /// Folder with a folder for the prefilter of each level, as `update` writes it (state/levels): checks that the
    /// service gives out just these
    #[arg(long, value_name = "DIR")]
    levels: Option<PathBuf>,
    /// First part of the names of the processed data set's files, such as dist/urls, to compare it with what is
    /// served
    #[arg(long, value_name = "STEM", requires = "filter")]
    data: Option<PathBuf>,
    /// Name server to ask for the TXT record of the service's host
    #[arg(long, value_name = "IP[:PORT]", value_parser = resolver)]
    resolver: Option<SocketAddr>,
    /// Info.plist of the app
    #[arg(long, value_name = "FILE")]
    info_plist: Option<PathBuf>,
    /// The app is installed by Xcode: http, ports and paths are allowed
    #[arg(long)]
    development: bool,
    /// PEM file of an authority to trust in addition to the system's
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Limit for one exchange with a server, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Time of a lookup above which there is a warning, in milliseconds; above 3 seconds it is wrong in any case
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    latency: u64,
    /// Size of a reply above which there is a warning, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_000)]
    reply_bytes: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, 53).into()));
    address.map_err(|_| "expected an IP address, such as 9.9.9.9 or 9.9.9.9:53".to_owned())
}

/// Reads a path of the service.
fn report_path(text: &str) -> Result<String, String> {
    match text.contains("://") {
        false => Ok(text.to_owned()),
        true => Err("a path of the service is expected, such as report, not an address".to_owned()),
    }
}

#[cfg(not(feature = "doctor"))]
pub(crate) fn run(_: &Arguments) -> anyhow::Result<Exit> {
    Err(crate::output::missing_feature("`urlfilter doctor`", "doctor"))
}

#[cfg(feature = "doctor")]
pub(crate) use examination::run;

#[cfg(feature = "doctor")]
mod examination {
    use super::Arguments;
    use crate::output::{Exit, Results};
    use doctor::{Deployment, Findings, Severity, examine};
    use serde::Serialize;
    use std::time::Duration;

    /// What no check from outside can see.
    const NOT_VISIBLE: &str = "on 27 the app must set urlParsingConfiguration and save it (manager.urlParsingConfiguration = \
        .init(), then try await manager.saveToPreferences()); a configuration that an app built for 26 saved blocks \
        nothing below a listed host";

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Report<'r> {
        ready: bool,
        findings: &'r Findings,
        not_visible: Vec<&'static str>,
    }

    pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
        let deployment = deployment(arguments)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let findings = runtime.block_on(examine(&deployment))?;
        let ready = findings.is_ready();
        let mut results = Results::new();
        if arguments.json {
            let not_visible = not_visible(arguments);
            results.json(&Report { ready, findings: &findings, not_visible })?;
        } else {
            print(&findings, arguments, &mut results)?;
        }
        results.finish()?;
        Ok(if ready { Exit::Success } else { Exit::Attention })
    }

    fn deployment(arguments: &Arguments) -> anyhow::Result<Deployment> {
        let token = arguments.token.read_required()?;
        let mut deployment =
            Deployment::new(&arguments.server, &arguments.bundle_id, token.as_str())
                .development(arguments.development)
                .timeout(Duration::from_secs(arguments.timeout))
                .max_latency(Duration::from_millis(arguments.latency))
                .max_reply_bytes(arguments.reply_bytes);
        if let Some(issuer) = &arguments.issuer {
            deployment = deployment.issuer(issuer);
        }
        if let Some(gateway) = &arguments.gateway {
            deployment = deployment.gateway(gateway);
        }
        if arguments.caller_id {
            deployment = deployment.caller_id();
        }
        if let Some(path) = &arguments.report_endpoint {
            deployment = deployment.report_endpoint(path);
        }
        if let Some(filter) = &arguments.filter {
            deployment = deployment.filter(filter);
        }
        for level in &arguments.level {
            deployment = deployment.level(level);
        }
        if let Some(levels) = &arguments.levels {
            deployment = deployment.levels_folder(levels);
        }
        if let Some(data) = &arguments.data {
            deployment = deployment.data(data);
        }
        if let Some(info_plist) = &arguments.info_plist {
            deployment = deployment.info_plist(info_plist);
        }
        if let Some(authority) = &arguments.authority {
            deployment = deployment.authority(authority);
        }
        #[cfg(feature = "dns")]
        if let Some(resolver) = arguments.resolver {
            deployment = deployment.resolver(resolver);
        }
        #[cfg(not(feature = "dns"))]
        if arguments.resolver.is_some() {
            return Err(crate::output::missing_feature("--resolver", "dns"));
        }
        Ok(deployment)
    }

    /// Calls are looked up without a parsing configuration.
    fn not_visible(arguments: &Arguments) -> Vec<&'static str> {
        if arguments.caller_id { Vec::new() } else { vec![NOT_VISIBLE] }
    }

    fn print(
        findings: &Findings,
        arguments: &Arguments,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        for finding in findings {
            let severity = match finding.severity {
                Severity::Good => "good",
                Severity::Warning => "warning",
                _ => "WRONG",
            };
            results.line(format_args!("{severity:8} {:18} {}", finding.check, finding.seen))?;
            if let Some(advice) = &finding.advice {
                results.line(format_args!("         cause: {}", advice.cause))?;
                results.line(format_args!("         fix:   {}", advice.fix))?;
            }
        }
        for text in not_visible(arguments) {
            results.line(format_args!("unseen   {:18} {text}", "parsing"))?;
        }
        match findings.count(Severity::Bad) {
            0 => results.line(format_args!("ready")),
            wrong => results.line(format_args!("not ready: {wrong} of {} checks", findings.len())),
        }
    }
}
