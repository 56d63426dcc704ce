//! A load of lookups over real HTTP: keywords a second, latencies and the service's time on cores.
//!
//! Starts `pir-server` as a process of its own on a free port, with synthetic rows that `urlfilter`
//! processed; both programs are taken from the folder of this one.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

mod cold;

use anyhow::{Context, bail};
use clap::Parser;
use filter_client::{AnswerPolicy, ClientOptions, HttpTransport, PirClient};
use futures_util::future::try_join_all;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;

const USE_CASE: &str = "com.example.load.url.filtering";
/// Ticks of a second in /proc; a constant of the kernel's interface.
const TICKS: f64 = 100.0;
/// Memory for evaluation keys where all lookups are to find none: some ten of them.
const KEY_CACHE: u64 = 16 << 20;

/// Load a service of synthetic rows with lookups over real HTTP
#[derive(Parser)]
#[command(after_help = "\
Example:
  cargo build --release --workspace && cargo run --release -p benches --bin load -- --rows 100000 --shards 2
  cargo run --release -p benches --bin load -- --rows 100000 --shards 2 --cold 10000 --lookups 20000")]
struct Arguments {
    /// Rows of the data set
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Shards
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Connections at once, each of a user of its own
    #[arg(long, value_delimiter = ',', default_value = "1,2,8,64")]
    connections: Vec<usize>,
    /// Lookups of one keyword for each number of connections, in all
    #[arg(long, default_value_t = 1000)]
    lookups: usize,
    /// Tokens that are asked for to see the issuer's rate
    #[arg(long, default_value_t = 2000)]
    tokens: usize,
    /// Users that upload a key, to see what they take on the disk
    #[arg(long, default_value_t = 0)]
    users: usize,
    /// Measure this instead: so many users, of whom each looks something up when the service has dropped the evaluation key from
    /// its memory
    #[arg(long, default_value_t = 0)]
    cold: usize,
    /// Keys of a list that the service builds and processes by itself while the lookups run (feature `lists`); enough that it
    /// does not end before them
    #[arg(long, default_value_t = 0)]
    updating: usize,
}

/// The folder of the list that is updated meanwhile.
const LISTS: &str = "lists";

/// The service, killed when this is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: run `cargo build --release --workspace` first", path.display());
    }
    Ok(path)
}

fn prepare(arguments: &Arguments, folder: &Path) -> anyhow::Result<()> {
    let mut input = fs::File::create(folder.join("input.txtpb"))?;
    let rows: String = benches::synthetic_keys(arguments.rows)
        .iter()
        .map(|key| format!("rows {{ keyword: \"{key}\" value: \"1\" }}\n"))
        .collect();
    input.write_all(rows.as_bytes())?;
    let configuration = serde_json::json!({
        "rlweParameters": benches::shard::PARAMETERS,
        "inputDatabase": "input.txtpb",
        "outputDatabase": "urls-SHARD_ID.bin",
        "outputPirParameters": "urls-SHARD_ID.params.txtpb",
        "sharding": { "shardCount": arguments.shards },
    });
    fs::write(folder.join("process.json"), configuration.to_string())?;
    let status = Command::new(program("urlfilter")?)
        .args(["process", "process.json"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("urlfilter process failed");
    }
    let many = serde_json::json!({ "perHour": 100_000_000, "perDay": 100_000_000 });
    let mut configuration = serde_json::json!({
        "users": [{ "tier": "tier1", "tokens": ["LOAD"] }],
        "usecases": [{ "name": USE_CASE, "fileStem": "urls", "shardCount": arguments.shards }],
        "store": { "directory": "state" },
        "limits": { "tokens": { "tier1": many } },
    });
    if arguments.cold > 0 {
        // Fewer keys than users, so that whoever asks next has none there.
        configuration["limits"]["keyCacheBytes"] = KEY_CACHE.into();
    }
    Ok(fs::write(folder.join("service-config.json"), configuration.to_string())?)
}

/// A list that the service makes a data set of, for another use case.
fn prepare_update(keys: usize, folder: &Path) -> anyhow::Result<()> {
    let folder = folder.join(LISTS);
    fs::create_dir(&folder)?;
    fs::write(folder.join("list.txt"), benches::synthetic_keys(keys).join("\n"))?;
    let text = "out = \"state\"\n[[source]]\nname = \"list\"\npath = \"list.txt\"\n\
                [service]\nuse_case = \"com.example.updated.url.filtering\"\n";
    Ok(fs::write(folder.join("lists.toml"), text)?)
}

/// Whether the update has made its data set.
fn is_updated(folder: &Path) -> bool {
    folder.join(LISTS).join("state/data/urls-manifest.json").exists()
}

fn start(folder: &Path) -> anyhow::Result<Server> {
    let lists = format!("{LISTS}/lists.toml");
    let lists = folder.join(&lists).exists().then_some(["--lists", lists.as_str()]);
    let mut child = Command::new(program("pir-server")?)
        .args(lists.into_iter().flatten())
        .args(["--config", "service-config.json", "--listen", "127.0.0.1:0"])
        .args(["--log-level", "warn"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().context("no output")?;
    BufReader::new(out).read_line(&mut line)?;
    let url = line.trim().strip_prefix("listening ").unwrap_or_default().to_owned();
    Ok(Server { child, url })
}

/// Seconds on cores of a process: its number, or `self`.
fn processor_seconds(process: &str) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / TICKS)
}

/// Seconds on cores of the service, and its memory in bytes.
fn usage(server: &Server) -> anyhow::Result<(f64, u64)> {
    let seconds = processor_seconds(&server.child.id().to_string())?;
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let resident = resident.context("the system does not tell the service's memory")?;
    let resident = resident.trim().trim_end_matches(" kB");
    Ok((seconds, resident.parse::<u64>()? * 1024))
}

/// A user with a connection of its own, who remembers nothing.
fn user(url: &str) -> anyhow::Result<PirClient> {
    let mut options = ClientOptions::default();
    options.answers = AnswerPolicy::disabled();
    options.wallet.refill_count = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    options.lookup_timeout = Duration::from_secs(300);
    options.request_timeout = Duration::from_secs(300);
    let transport = || HttpTransport::new(options.request_timeout).map(Arc::new);
    let (service, issuer) = (transport()?, transport()?);
    let builder = PirClient::builder(url, USE_CASE).user_token("LOAD");
    Ok(builder.options(options).transport(service).issuer_transport(issuer).build()?)
}

fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index].as_secs_f64() * 1e3
}

async fn look_up(server: &Server, connections: usize, lookups: usize) -> anyhow::Result<()> {
    let each = lookups.div_ceil(connections);
    let users: Vec<PirClient> =
        (0..connections).map(|_| user(&server.url)).collect::<Result<_, _>>()?;
    for user in &users {
        user.prepare().await?;
    }
    // Tokens ahead, a few at a time: their issuing is another measurement.
    for user in &users {
        while user.token_count() < each + 4 {
            user.fetch_tokens(50.min(each + 4)).await?;
        }
    }
    let barrier = Arc::new(Barrier::new(connections + 1));
    let tasks: Vec<_> = users
        .into_iter()
        .enumerate()
        .map(|(number, user)| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(each);
                // Warm: the service has read the key, the connection is open.
                user.lookup(&[b"warm"]).await?;
                barrier.wait().await;
                for index in 0..each {
                    let keyword = match index % 2 {
                        0 => format!("host{index}.example/path{index}"),
                        _ => format!("absent{number}.example/{index}"),
                    };
                    let begun = Instant::now();
                    let found = user.lookup(&[keyword.as_bytes()]).await?;
                    times.push((begun.elapsed(), found[0].is_some()));
                    anyhow::ensure!(found[0].is_some() == (index % 2 == 0), "a wrong answer");
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    barrier.wait().await;
    let ((cpu_before, _), own_before) = (usage(server)?, processor_seconds("self")?);
    let begun = Instant::now();
    let mut times = Vec::new();
    for task in try_join_all(tasks).await? {
        times.extend(task?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (cpu, memory) = usage(server)?;
    let sorted = |which: &dyn Fn(bool) -> bool| {
        let chosen = times.iter().filter(|(_, found)| which(*found));
        let mut chosen: Vec<Duration> = chosen.map(|(time, _)| *time).collect();
        chosen.sort();
        chosen
    };
    let all = sorted(&|_| true);
    println!(
        "{connections:>11} | {:>10.1} | {:>6.1} | {:>6.1} | {:>6.1} | {:>7.2} | {:>7.2} | {:>14.2} | {:>9.2} | {:>6.0}",
        all.len() as f64 / seconds,
        percentile(&all, 0.5),
        percentile(&all, 0.99),
        percentile(&all, 1.0),
        percentile(&sorted(&|found| found), 0.5),
        percentile(&sorted(&|found| !found), 0.5),
        (cpu - cpu_before) * 1e3 / times.len() as f64,
        (processor_seconds("self")? - own_before) * 1e3 / times.len() as f64,
        memory as f64 / 1e6,
    );
    Ok(())
}

async fn issue(server: &Server, tokens: usize) -> anyhow::Result<()> {
    let users: Vec<PirClient> = (0..8).map(|_| user(&server.url)).collect::<Result<_, _>>()?;
    try_join_all(users.iter().map(|user| user.fetch_tokens(1))).await?;
    let (cpu_before, _) = usage(server)?;
    let begun = Instant::now();
    try_join_all(users.iter().map(async |user| {
        for _ in 0..tokens.div_ceil(8 * 10) {
            user.fetch_tokens(10).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    let seconds = begun.elapsed().as_secs_f64();
    let count = tokens.div_ceil(80) * 80;
    let (cpu, _) = usage(server)?;
    println!(
        "tokens issued: {:.0}/s with 8 connections, {:.2} ms of the service's cores each",
        count as f64 / seconds,
        (cpu - cpu_before) * 1e3 / count as f64,
    );
    Ok(())
}

async fn fill(server: &Server, users: usize, folder: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    for _ in 0..users {
        user(&server.url)?.prepare().await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let bytes: u64 = fs::read_dir(folder.join("state"))?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum::<std::io::Result<u64>>()?;
    println!(
        "{users} users prepared in {seconds:.1} s; all state takes {:.0} MB on the disk",
        bytes as f64 / 1e6
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    prepare(&arguments, folder.path())?;
    if arguments.updating > 0 {
        prepare_update(arguments.updating, folder.path())?;
    }
    let server = start(folder.path())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{} rows in {} shards", arguments.rows, arguments.shards);
    if arguments.cold > 0 {
        return runtime.block_on(cold::look_up(&server, arguments.cold, arguments.lookups));
    }
    println!(
        "connections | keywords/s | p50 ms | p99 ms | max ms | present | absent  | cores ms each  | client ms | MB"
    );
    for &connections in &arguments.connections {
        runtime.block_on(look_up(&server, connections, arguments.lookups))?;
        if arguments.updating > 0 && is_updated(folder.path()) {
            bail!("the update ended before the lookups; give --updating more keys");
        }
    }
    if arguments.tokens > 0 {
        runtime.block_on(issue(&server, arguments.tokens))?;
    }
    if arguments.users > 0 {
        runtime.block_on(fill(&server, arguments.users, folder.path()))?;
    }
    Ok(())
}
