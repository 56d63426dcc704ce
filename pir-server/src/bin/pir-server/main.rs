//! `pir-server`: the service at a terminal.
#![forbid(unsafe_code)]

mod logging;
#[cfg(feature = "otel")]
mod open_telemetry;

use anyhow::{Context, bail};
use clap::Parser;
use logging::LogFormat;
use pir_server::configuration::{ConfigurationError, ListSettings};
use pir_server::service::Checked;
use pir_server::store::{EmbeddedStore, StateFile};
use pir_server::{Configuration, Listener, Service, admin, endpoints};
use std::future::Future;
use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use unix_clock::{Clock, SystemClock};

/// Serve private URL filters: configurations, keys, queries, tokens and reports over HTTP
///
/// The configuration is the service-config.json of Apple's example service, with or without the keys that
/// docs/service.md adds. SIGHUP reloads it with its data sets; if anything is wrong, nothing changes. On SIGTERM
/// the service answers the requests that have begun, and stops.
#[derive(Parser)]
#[command(
    name = "pir-server",
    version,
    after_help = "\
Examples:
  pir-server --config service-config.json
  pir-server --config service-config.json --listen 0.0.0.0:8080 --admin 127.0.0.1:9090
  pir-server --config service-config.json --check-config

Addresses are printed to standard output once they accept connections, everything else
goes to standard error.

Exit codes:
  0  stopped by a signal, the configuration can be used (--check-config),
     or the service is healthy (--probe)
  2  an error"
)]
struct Arguments {
    /// Configuration file, JSON
    #[arg(long, value_name = "FILE", required_unless_present = "probe")]
    config: Option<PathBuf>,
    /// Request this address, such as http://127.0.0.1:9090/readyz, and exit with 0 if the status is a success:
    /// for health checks of containers
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    probe: Option<String>,
    /// List configuration: fetch, build, process and serve these lists, again and again (feature `lists`)
    #[arg(long, value_name = "LISTS.toml")]
    lists: Option<PathBuf>,
    /// Fetch lists from private and loopback addresses, too
    #[arg(long, requires = "lists")]
    allow_private: bool,
    /// Address for devices, instead of those of the configuration; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Vec<SocketAddr>,
    /// Address for health checks, metrics and reloads, instead of the configuration's
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<SocketAddr>,
    /// Check the configuration and all files that it names, print a summary, and exit
    #[arg(long)]
    check_config: bool,
    /// Before the start, move a damaged part of the state aside and start with an empty one: evaluation-keys,
    /// nonces, issuer-keys or gateway-keys
    #[arg(long, value_name = "PART", value_parser = part)]
    discard: Option<StateFile>,
    /// Format of log lines; by default text on a terminal and JSON elsewhere
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Minimum level of log lines; debug has a line for each request
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080; names such as localhost are \
         not looked up"
            .to_owned()
    })
}

fn part(name: &str) -> Result<StateFile, &'static str> {
    StateFile::from_name(name)
        .ok_or("expected evaluation-keys, nonces, issuer-keys or gateway-keys")
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let telemetry = match logging::start(arguments.log_format, arguments.log_level) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(&error),
    };
    // Redis over TLS uses the TLS provider of the process.
    #[cfg(feature = "redis")]
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::warn!("another TLS provider was installed before");
    }
    let outcome = run(&arguments);
    telemetry.finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(stderr().lock(), "pir-server: {error:#}");
    ExitCode::from(2)
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    if let Some(url) = &arguments.probe {
        return runtime.block_on(probe(url));
    }
    let (file, allow_private) = (arguments.lists.clone(), arguments.allow_private);
    let lists = file.map(|file| ListSettings::new(file).with_private_addresses(allow_private));
    let (path, listen, admin) =
        (arguments.config.clone().unwrap_or_default(), arguments.listen.clone(), arguments.admin);
    let read = move || -> Result<Configuration, ConfigurationError> {
        let configuration = Configuration::read(&path)?.with_lists(lists.clone())?;
        configuration.with_addresses(listen.clone(), admin)
    };
    let configuration = read()?;
    if arguments.check_config {
        return runtime.block_on(check(&configuration));
    }
    let clock = Arc::new(SystemClock);
    if let Some(part) = arguments.discard {
        let moved = EmbeddedStore::discard(&configuration.store, part, clock.now())?;
        if moved.is_empty() {
            bail!("--discard {}: there is nothing to discard", part.name());
        }
        for path in moved {
            tracing::warn!(path = %path.display(), "moved aside");
        }
    }
    runtime.block_on(async {
        let opened = Service::open(&configuration, clock).await?;
        serve(&configuration, Arc::new(opened.with_source(Arc::new(read)))).await
    })
}

async fn probe(url: &str) -> anyhow::Result<()> {
    if cfg!(not(feature = "tls")) && url.starts_with("https://") {
        bail!("{url}: needs the feature `tls`, which this program was built without");
    }
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(3)).build()?;
    let status = client.get(url).send().await?.status();
    if !status.is_success() {
        bail!("{url}: status {}", status.as_u16());
    }
    Ok(())
}

async fn check(configuration: &Configuration) -> anyhow::Result<()> {
    let Checked { loaded, releases, .. } = Service::check(configuration).await?;
    let mut out = stdout().lock();
    for use_case in &loaded.use_cases {
        writeln!(out, "use case {}: {} shards", use_case.name, use_case.shards)?;
    }
    for release in releases {
        writeln!(out, "{release}")?;
    }
    writeln!(out, "{} user tokens", loaded.user_tokens)?;
    for warning in configuration.warnings().iter().chain(&loaded.warnings) {
        writeln!(stderr().lock(), "pir-server: {warning}")?;
    }
    Ok(writeln!(out, "the configuration is good")?)
}

async fn serve(configuration: &Configuration, service: Arc<Service>) -> anyhow::Result<()> {
    let mut hang_up = signal(SignalKind::hangup()).context("signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;

    let tls = service.tls()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let devices = Listener::bind(&configuration.listen, endpoints::router(&service)).await?;
    let devices = devices.with_tls(tls).with_peers(configuration.peers.clone());
    let admin: Vec<SocketAddr> = configuration.admin.into_iter().collect();
    let operators = Listener::bind(&admin, admin::router(&service)).await?;
    for warning in &service.loaded().warnings {
        tracing::warn!("{warning}");
    }
    announce("listening", scheme, &devices)?;
    announce("admin", "http", &operators)?;

    let (stop, stopping) = tokio::sync::watch::channel(false);
    let stopped = || {
        let mut stopping = stopping.clone();
        async move {
            // An error means that the sender was dropped, which also stops the service.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    };
    let maintenance = tokio::spawn(Arc::clone(&service).maintain_always());
    let operators = tokio::spawn(serve_in_background(operators, &service, stopped()));
    let signals = async {
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    let service = Arc::clone(&service);
                    // The result is logged.
                    tokio::spawn(async move { admin::reload_and_log(&service).await });
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        service.retire();
        tracing::info!("stopping: requests that have begun are finished");
        let _ = stop.send(true);
    };
    tokio::join!(devices.serve(&service, stopped()), signals);
    let _ = operators.await;
    maintenance.abort();
    tracing::info!("stopped");
    Ok(())
}

fn serve_in_background(
    listener: Listener,
    service: &Arc<Service>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let service = Arc::clone(service);
    async move { listener.serve(&service, stop).await }
}

fn announce(what: &str, scheme: &str, listener: &Listener) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    for address in listener.addresses()? {
        writeln!(out, "{what} {scheme}://{address}")?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The arguments are read and nothing is run.
    #[test]
    fn examples_of_help_have_arguments_that_are_accepted() {
        let help = Arguments::command().get_after_help().map(ToString::to_string);
        let help = help.unwrap();
        let examples = help.lines().filter(|line| line.starts_with("  pir-server "));
        assert_eq!(examples.clone().count(), 3);
        for example in examples {
            // None of them needs a shell.
            assert!(!example.contains(['\'', '"', '\\', '|', '>', '#']), "{example}");
            if let Err(error) = Arguments::try_parse_from(example.split_whitespace()) {
                panic!("{example}: {error}");
            }
        }
    }
}
