//! All at once: a list that changes each minute and is updated inside of the service, `kill -9` at random moments, and
//! lookups at 80 % of what the machine does.
//!
//! `URLFILTER_SOAK` is the time in minutes, a third of one by default; with 60 it is an hour's soak.

use crate::process::Process;
use crate::support::Settings;
use crate::{chance, client_of, resident};
use filter_client::PirClient;
use futures_util::future::join_all;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const USE_CASE: &str = "com.example.soak.url.filtering";
/// Entries that are in each revision of the list.
const STABLE: usize = 2000;
const CLIENTS: usize = 8;
/// Share of the lookups that the machine does at most.
const LOAD: f64 = 0.8;
const MEGABYTE: u64 = 1 << 20;
/// Latest time at which a change of the list is in the answers: a minute until the update, and as much for it and for a
/// crash in between.
const PATIENCE: Duration = Duration::from_secs(120);
/// Around a crash latencies are counted apart, for this long.
const AFTERWARDS: Duration = Duration::from_secs(10);

fn minutes() -> f64 {
    std::env::var("URLFILTER_SOAK").map_or(1.0 / 3.0, |text| text.parse().unwrap())
}

fn changed(revision: usize) -> String {
    format!("revision{revision}.example")
}

fn write_list(folder: &Path, revision: usize) {
    let stable = (0..STABLE).map(|number| format!("host{number}.example\n"));
    let text = stable.collect::<String>() + &changed(revision) + "\n";
    fs::write(folder.join("list.new"), text).unwrap();
    fs::rename(folder.join("list.new"), folder.join("list.txt")).unwrap();
}

fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_in(&entry.path()),
        // A file that has just been removed takes no space.
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    };
    entries.flatten().map(size).sum()
}

/// A lookup of a random keyword, listed or not; panics if the answer is wrong or none came.
async fn look_up(client: &PirClient, number: usize) {
    let (keyword, listed) = match number % 2 {
        0 => (format!("host{}.example", number / 2 % STABLE), true),
        _ => (format!("absent{number}.example"), false),
    };
    let answer = client.lookup(&[keyword.as_bytes()]).await;
    let answer = answer.unwrap_or_else(|error| panic!("{keyword}: {error}"));
    assert_eq!(answer[0].is_some(), listed, "{keyword}: a wrong verdict");
}

/// The latency below which this share of lookups stays.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes URLFILTER_SOAK minutes"]
async fn updates_crashes_and_load_together() {
    let time = Duration::from_secs_f64(minutes() * 60.0);
    let between_crashes = Duration::from_secs(60).min(time / 3);
    let mut chance = chance("soak");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lists = format!(
        "out = \"built\"\n[[source]]\nname = \"a\"\npath = \"list.txt\"\n\
         [service]\nuse_case = \"{USE_CASE}\"\nevery_minutes = 1\n"
    );
    fs::write(folder.join("lists.toml"), lists).unwrap();
    write_list(folder, 0);
    let file = folder.join("lists.toml");
    let arguments = ["--lists", file.to_str().unwrap()];
    let settings = Settings::new(Vec::new());
    let mut process = Process::start(folder, &settings, &arguments);
    let url = process.url.clone();
    // More attempts than a page waits for: a restart takes a second or two, and a lookup that fails at last is an error here.
    let clients: Vec<PirClient> = (0..CLIENTS).map(|_| client_of(&url, USE_CASE, 12)).collect();

    // The first answer waits for the first build.
    let begun = Instant::now();
    while clients[0].lookup(&[b"host0.example"]).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "nothing is served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    join_all(clients.iter().map(|client| look_up(client, 0))).await;
    let (measure, done) = (Duration::from_secs(3), AtomicUsize::new(0));
    let begun = Instant::now();
    join_all(clients.iter().map(async |client| {
        while begun.elapsed() < measure {
            look_up(client, done.fetch_add(1, Ordering::Relaxed)).await;
        }
    }))
    .await;
    let capacity = done.into_inner() as f64 / begun.elapsed().as_secs_f64();
    let period = Duration::from_secs_f64(CLIENTS as f64 / (capacity * LOAD));
    let (first_memory, first_disk) = (resident(process.id()), bytes_in(&folder.join("built")));

    let (over, begun) = (AtomicBool::new(false), Instant::now());
    let latencies = Mutex::new(Vec::<(Instant, Duration)>::new());
    let crashes = Mutex::new(Vec::<Instant>::new());
    let asking = join_all(clients.iter().enumerate().map(async |(index, client)| {
        let mut due = begun + period.mul_f64(index as f64 / CLIENTS as f64);
        let mut number = index;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep_until(due.into()).await;
            look_up(client, number).await;
            // From when it was due: what waits for an earlier lookup waits, too.
            latencies.lock().unwrap().push((due, due.elapsed()));
            due += period;
            number += 7919;
        }
    }));
    let crashing = async {
        let mut memory = 0;
        loop {
            let wait = between_crashes.mul_f64(chance.f64() * 2.0).max(Duration::from_secs(1));
            let until = Instant::now() + wait;
            while Instant::now() < until && !over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(200)).await;
                memory = resident(process.id()).max(memory);
            }
            if over.load(Ordering::Relaxed) {
                return (process, memory);
            }
            crashes.lock().unwrap().push(Instant::now());
            process.kill();
            process = Process::start_again(folder, &settings, &url, &arguments);
        }
    };
    let changing = async {
        let (client, mut longest, mut revision) =
            (client_of(&url, USE_CASE, 12), Duration::ZERO, 0);
        while begun.elapsed() < time {
            revision += 1;
            write_list(folder, revision);
            let since = Instant::now();
            let keyword = changed(revision);
            // An answer that has to come is waited for, so that a failure here is one of the service.
            while client.lookup(&[keyword.as_bytes()]).await.unwrap()[0].is_none() {
                assert!(since.elapsed() < PATIENCE, "{keyword} is not in the answers");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            longest = longest.max(since.elapsed());
            let before = changed(revision - 1);
            assert!(
                client.lookup(&[before.as_bytes()]).await.unwrap()[0].is_none(),
                "{before} stays"
            );
        }
        over.store(true, Ordering::Relaxed);
        (revision, longest)
    };
    let (_, (process, memory), (revisions, longest)) =
        futures_util::future::join3(asking, crashing, changing).await;
    let disk = bytes_in(&folder.join("built"));
    process.kill();

    let (latencies, crashes) = (latencies.into_inner().unwrap(), crashes.into_inner().unwrap());
    let near = |due: Instant| {
        let hit = |&crash: &Instant| due + AFTERWARDS > crash && due < crash + AFTERWARDS;
        crashes.iter().any(hit)
    };
    let sorted = |keep: &dyn Fn(Instant) -> bool| {
        let kept = latencies.iter().filter(|(due, _)| keep(*due)).map(|(_, latency)| *latency);
        let mut kept: Vec<_> = kept.collect();
        kept.sort_unstable();
        kept
    };
    let (all, calm) = (sorted(&|_| true), sorted(&|due| !near(due)));
    println!(
        "soak: {:?}, {capacity:.0} lookups/s at most; {} lookups at 80 %, all right; {} crashes; {revisions} revisions of the \
         list, each answered after at most {longest:.1?}; p50 {:.1?}, p99 {:.1?}, away from crashes {:.1?} and {:.1?}; \
         memory {} to {} MB; data set {} to {} KB, all files {} MB",
        begun.elapsed(),
        all.len(),
        crashes.len(),
        quantile(&all, 0.5),
        quantile(&all, 0.99),
        quantile(&calm, 0.5),
        quantile(&calm, 0.99),
        first_memory / MEGABYTE,
        memory / MEGABYTE,
        first_disk / 1024,
        disk / 1024,
        bytes_in(folder) / MEGABYTE,
    );
    assert!(!crashes.is_empty() && revisions > 0);
    assert!(
        memory < first_memory + 256 * MEGABYTE,
        "memory grew from {first_memory} to {memory} bytes"
    );
    assert!(disk < 3 * first_disk, "the data set's folder grew from {first_disk} to {disk} bytes");
}
