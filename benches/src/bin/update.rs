//! A small update: few rows of many change. Prints the processor time of `urlfilter process`, and the bytes that a node
//! fetches of the release, for one program or several in turn.
//!
//! Processor time is read from `/proc`, so this runs on Linux.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use anyhow::{Context, bail};
use clap::Parser;
use pir_dataset::publication::{ReleaseStore, Replica};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use unix_clock::{Clock, SystemClock};

const USE_CASE: &str = "com.example.update.url.filtering";
/// Ticks of a second in /proc; a constant of the kernel's interface.
const TICKS: f64 = 100.0;

/// Measure an update of few rows
#[derive(Parser)]
#[command(after_help = "\
Example:
  cargo build --release --workspace && cargo run --release -p benches --bin update -- /tmp/earlier/urlfilter target/release/urlfilter")]
struct Arguments {
    /// Programs `urlfilter` that are measured in turn; by default that of this build
    programs: Vec<PathBuf>,
    /// Rows of the data set
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Rows that change
    #[arg(long, default_value_t = 100)]
    changed: usize,
    /// Times that each program is measured; the least time counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// What a program needs.
#[derive(Clone, Copy)]
struct Cost {
    /// Seconds of processors for the first data set, and for the update.
    first: f64,
    update: f64,
    /// Bytes that a node fetches for the first release, and for the update.
    first_bytes: u64,
    update_bytes: u64,
}

/// Seconds of processors that children have had that were waited for.
fn children_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').context("no name")?.1;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<f64> {
    let before = children_seconds()?;
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("{} {} failed", program.display(), arguments.join(" "));
    }
    Ok(children_seconds()? - before)
}

/// Builds and processes some keys, and publishes them. Returns the processor time of the processing.
fn release(program: &Path, folder: &Path, keys: &[String]) -> anyhow::Result<f64> {
    fs::write(folder.join("list.txt"), keys.join("\n"))?;
    run(program, folder, &["build", "list.txt", "--out", "dist"])?;
    let seconds = run(program, folder, &["process", "process.json"])?;
    let publish = ["publish", "--to", "published", "--usecase", USE_CASE, "--detach"];
    run(program, folder, &[&publish[..], &["--data", "dist/urls", "--filter", "dist"]].concat())?;
    Ok(seconds)
}

async fn measure(program: &Path, arguments: &Arguments) -> anyhow::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let configuration = serde_json::json!({
        "rlweParameters": benches::shard::PARAMETERS,
        "inputDatabase": "dist/input.txtpb",
        "outputDatabase": "dist/urls-SHARD_ID.bin",
        "outputPirParameters": "dist/urls-SHARD_ID.params.txtpb",
        "sharding": { "entryCountPerShard": 50_000 },
    });
    fs::write(folder.path().join("process.json"), configuration.to_string())?;
    let all = benches::synthetic_keys(arguments.rows + arguments.changed);
    let first = release(program, folder.path(), &all[..arguments.rows])?;
    let address = folder.path().join("published");
    let store = ReleaseStore::open(&address.to_string_lossy(), &BTreeMap::new())?;
    let mut node = Replica::new(store, USE_CASE.to_owned(), folder.path().join("node"));
    node.poll().await?;
    let now = SystemClock.now();
    let served = node.fetch_effective(now).await?.context("nothing is published")?;
    node.record_active(served).await?;
    let first_bytes = node.fetched().bytes;
    // The last keys take the place of the first ones.
    let update = release(program, folder.path(), &all[arguments.changed..])?;
    node.poll().await?;
    node.prepare().await?;
    let update_bytes = node.fetched().bytes - first_bytes;
    Ok(Cost { first, update, first_bytes, update_bytes })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.programs.is_empty() {
        let own = std::env::current_exe()?.with_file_name("urlfilter");
        if !own.exists() {
            bail!("{} is missing: run `cargo build --release --workspace` first", own.display());
        }
        arguments.programs.push(own);
    }
    let programs = arguments.programs.iter().map(fs::canonicalize);
    arguments.programs = programs.collect::<Result<_, _>>()?;
    let mut best: Vec<Option<Cost>> = vec![None; arguments.programs.len()];
    for _ in 0..arguments.runs.max(1) {
        for (program, best) in arguments.programs.iter().zip(&mut best) {
            let cost = measure(program, &arguments).await?;
            *best = Some(match *best {
                None => cost,
                Some(before) => Cost {
                    first: before.first.min(cost.first),
                    update: before.update.min(cost.update),
                    ..cost
                },
            });
        }
    }
    println!("program | first run s, ratio | update s, ratio | first bytes | update bytes, ratio");
    let Some(base) = best.first().copied().flatten() else { return Ok(()) };
    for (program, cost) in arguments.programs.iter().zip(best.into_iter().flatten()) {
        println!(
            "{} | {:.2} {:.2} | {:.2} {:.2} | {} | {} {:.4}",
            program.display(),
            cost.first,
            cost.first / base.first,
            cost.update,
            cost.update / base.update,
            cost.first_bytes,
            cost.update_bytes,
            cost.update_bytes as f64 / base.update_bytes as f64
        );
    }
    Ok(())
}
