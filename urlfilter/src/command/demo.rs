//! `urlfilter demo`: all steps of a lookup on one machine.

mod page;
mod recorder;

use super::verdict;
use crate::output::{Exit, Results, note};
use anyhow::{Context, ensure};
use blocklist::{Builder, Built, Options};
use filter_client::{
    ClientOptions, Decision, FilterOptions, HttpTransport, OnFailure, PirClient, PrefilterSource,
    UrlFilter, Verdict,
};
use page::Demo;
use pir_dataset::configuration::Configuration as ProcessConfiguration;
use pir_dataset::processing::{Outcome, Run};
use pir_server::configuration::{StoreSettings, Tier, UseCase, UserGroup};
use pir_server::{Configuration, Listener, Service, endpoints};
use recorder::Recorder;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use unix_clock::SystemClock;

const USE_CASE: &str = "com.example.demo.url.filtering";
const USER_TOKEN: &str = "DEMO";
const SAMPLE: &str = include_str!("../../../samples/blocklist.txt");
/// Rows that are added to the sample list, for the costs of a list of realistic size.
const ADDED_ROWS: usize = 50_000;
/// Number of listed URLs that are looked up.
const LISTED_URLS: usize = 3;
/// Largest number of URLs that are tried to find one that hits the prefilter by chance.
const MAX_TRIED: usize = 100_000;
/// Limit for one exchange with the service.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Show all steps on this machine: build, process, serve, fetch tokens, look URLs up privately
///
/// Takes block lists as `build` does; without one, a sample list with 50,000 more rows. Everything happens in a
/// temporary folder and on a free port of the loopback interface, and is removed at the end.
///
/// With --page, the same in a browser: type a URL, and see its sub-URLs, which of them hit the prefilter, what the service
/// saw and what it could not see.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter demo
  urlfilter demo hosts.txt --url https://www.example.com/login
  urlfilter demo --json
  urlfilter demo --page

Exit codes:
  0  every lookup had the verdict that follows from the list; with --page, ended by Ctrl-C
  2  failure, or a verdict is unknown")]
pub(crate) struct Arguments {
    /// Block lists
    #[arg(value_name = "FILE")]
    lists: Vec<PathBuf>,
    /// URL to look up, in addition to some that are listed and some that are not
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// Print one JSON object for each URL
    #[arg(long)]
    json: bool,
    /// Serve a page on a free port of the loopback interface, or on ADDRESS, until Ctrl-C
    #[arg(
        long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:0",
        conflicts_with_all = ["url", "json"]
    )]
    page: Option<SocketAddr>,
}

/// Reports how long each step took.
struct StepTimer(Instant);

impl StepTimer {
    fn done(&mut self, what: std::fmt::Arguments<'_>) {
        note(format_args!("{:>8.2} s  {what}", self.0.elapsed().as_secs_f64()));
        self.0 = Instant::now();
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut steps = StepTimer(Instant::now());
    let built = build(arguments, folder.path())?;
    let parameters = built.prefilter.filter().parameters();
    steps.done(format_args!(
        "built: {} keys, prefilter of {} bytes, tag {}…",
        built.keys.len(),
        parameters.byte_count(),
        &built.prefilter.tag()[..8],
    ));
    let shards = process(folder.path())?;
    steps.done(format_args!("processed for private lookups: {shards} shards"));

    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let (service, listener, address) = runtime.block_on(serve(folder.path(), shards))?;
    steps.done(format_args!("served at {address}, with new issuer keys"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = {
        let service = Arc::clone(&service);
        runtime.spawn(async move {
            // Either end of the channel stops the service.
            listener.serve(&service, async { drop(stopped.await) }).await;
        })
    };
    let exit = runtime.block_on(look_up(arguments, folder.path(), built, &address, &mut steps));
    drop(stop);
    runtime.block_on(server).context("the service failed")?;
    drop((service, runtime));
    folder.close().context("cannot remove the temporary folder")?;
    exit
}

fn build(arguments: &Arguments, folder: &Path) -> anyhow::Result<Built> {
    let mut builder = Builder::new(Options::default().with_onboarding_entry(true));
    for path in &arguments.lists {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        builder = builder.add_list(&name, file, None)?;
    }
    if arguments.lists.is_empty() {
        builder = builder.add_list("sample list", SAMPLE.as_bytes(), None)?;
        let rows: String =
            (0..ADDED_ROWS).map(|row| format!("host{row}.example/path{row}\n")).collect();
        builder = builder.add_list("added rows", rows.as_bytes(), None)?;
    }
    let built = builder.finish()?;
    built.write(folder)?;
    Ok(built)
}

fn process(folder: &Path) -> anyhow::Result<u32> {
    let path = |name: &str| folder.join(name).display().to_string();
    let text = serde_json::json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": path("input.txtpb"),
        "outputDatabase": path("urls-SHARD_ID.bin"),
        "outputPirParameters": path("urls-SHARD_ID.params.txtpb"),
        "sharding": { "entryCountPerShard": 50_000, "requirePowerOfTwoShardCount": true },
    });
    let configuration = ProcessConfiguration::parse(text.to_string().as_bytes())?;
    match Run::new(&configuration).finish()? {
        Outcome::Whole(summary) => Ok(summary.shard_count),
        Outcome::Part(part) => Ok(part.shard_count),
    }
}

async fn serve(folder: &Path, shards: u32) -> anyhow::Result<(Arc<Service>, Listener, String)> {
    let users = UserGroup::new(Tier::Tier1, vec![USER_TOKEN.to_owned()]);
    let use_case = UseCase::from_files(USE_CASE, folder.join("urls"), shards)?;
    let mut configuration = Configuration::new(vec![users], vec![use_case]);
    configuration.store = StoreSettings::in_folder(folder.join("state"));
    let service = Arc::new(Service::open(&configuration, Arc::new(SystemClock)).await?);
    let any = ["127.0.0.1:0".parse()?];
    let listener = Listener::bind(&any, endpoints::router(&service)).await?;
    let address = listener.addresses()?.first().map(ToString::to_string);
    let address = format!("http://{}", address.context("the service has no address")?);
    Ok((service, listener, address))
}

/// URLs to look up, each with whether it must be denied if that is known: some that are listed, one that hits the
/// prefilter by chance, and one that does not.
fn urls_to_check(arguments: &Arguments, built: &Built) -> Vec<(String, Option<bool>)> {
    let mut all: Vec<(String, Option<bool>)> =
        arguments.url.iter().map(|url| (url.clone(), None)).collect();
    let step = (built.keys.len() / LISTED_URLS).max(1);
    let listed = built.keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
    let listed = listed.map(|key| format!("https://{key}"));
    let listed = listed.filter(|url| hit_count(built, url).is_some_and(|hits| hits > 0));
    all.extend(listed.step_by(step).take(LISTED_URLS).map(|url| (url, Some(true))));
    let absent = (0..MAX_TRIED).map(|number| format!("https://absent{number}.example/page"));
    let chance = absent.clone().find(|url| hit_count(built, url).is_some_and(|hits| hits > 0));
    all.extend(chance.map(|url| (url, Some(false))));
    let miss = absent.into_iter().find(|url| hit_count(built, url) == Some(0));
    all.extend(miss.map(|url| (url, Some(false))));
    all
}

/// Number of sub-URLs of a URL that hit the prefilter.
fn hit_count(built: &Built, url: &str) -> Option<usize> {
    built.prefilter.hits(url).ok().map(|hits| hits.len())
}

async fn look_up(
    arguments: &Arguments,
    folder: &Path,
    built: Built,
    address: &str,
    steps: &mut StepTimer,
) -> anyhow::Result<Exit> {
    // No tokens are fetched ahead, so that their cost shows at the lookups that need them.
    let mut client_options = ClientOptions::default();
    client_options.wallet.refill_count = 0;
    client_options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    client_options.wallet.spare = 9;
    let recorder = Arc::new(Recorder::new(HttpTransport::new(TIMEOUT)?));
    let client = PirClient::builder(address, USE_CASE)
        .user_token(USER_TOKEN)
        .transport(recorder.clone())
        .issuer_transport(Arc::new(HttpTransport::new(TIMEOUT)?))
        .options(client_options)
        .build()?;
    client.prepare().await?;
    let costs = client.costs();
    steps.done(format_args!(
        "prepared: {} tokens, configuration, key uploaded; {:.1} KB sent, {:.1} KB received",
        costs.tokens_fetched,
        costs.bytes_sent as f64 / 1024.0,
        costs.bytes_received as f64 / 1024.0,
    ));
    let mut options = FilterOptions::default();
    options.on_failure = OnFailure::Closed;
    let filter = UrlFilter::new(PrefilterSource::File(folder.into()), client, options).await?;
    let urls = urls_to_check(arguments, &built);
    if let Some(page) = arguments.page {
        return serve_page(page, filter, built, recorder, urls).await;
    }
    let mut results = Results::new();
    let mut exit = Exit::Success;
    for (url, expected) in urls {
        let (begun, before) = (Instant::now(), filter.client().costs());
        let decision = filter.check(&url).await;
        let costs = filter.client().costs().since(&before);
        verdict::print(&mut results, &url, &decision, arguments.json)?;
        if !arguments.json {
            results.line(format_args!(
                "         {:.1} ms; {}",
                begun.elapsed().as_secs_f64() * 1e3,
                verdict::describe(&costs)
            ))?;
        }
        if let Some(expected) = expected {
            ensure!(
                is_as_expected(&decision, expected),
                "{url}: expected the verdict that follows from the list, found {:?}",
                decision.verdict
            );
        } else if decision.verdict == Verdict::Unknown {
            exit = Exit::Failure;
        }
    }
    results.finish()?;
    steps.done(format_args!("looked up; the temporary folder is removed"));
    Ok(exit)
}

/// Serves the page until Ctrl-C.
async fn serve_page(
    address: SocketAddr,
    filter: UrlFilter,
    built: Built,
    recorder: Arc<Recorder>,
    urls: Vec<(String, Option<bool>)>,
) -> anyhow::Result<Exit> {
    let what = |(url, denied): (String, Option<bool>)| {
        let hits = hit_count(&built, &url).unwrap_or(0);
        let what = match (denied, hits) {
            (Some(true), _) => "is on the list",
            (_, 0) => "does not hit the prefilter",
            _ => "hits the prefilter by chance",
        };
        (url, what)
    };
    let examples = urls.into_iter().map(what).collect();
    let turn = tokio::sync::Mutex::new(());
    let demo = Demo { filter, prefilter: built.prefilter, recorder, examples, turn };
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("{address}: cannot listen there"))?;
    let mut results = Results::new();
    results.line(format_args!("page http://{}/", listener.local_addr()?))?;
    results.finish()?;
    note(format_args!("open it in a browser; Ctrl-C ends the demo"));
    axum::serve(listener, page::router(Arc::new(demo)))
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await
        .context("the page cannot be served")?;
    Ok(Exit::Success)
}

fn is_as_expected(decision: &Decision, denied: bool) -> bool {
    match decision.verdict {
        Verdict::Deny { .. } => denied,
        Verdict::Allow => !denied,
        _ => false,
    }
}
