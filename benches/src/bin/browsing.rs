//! A day of browsing against a prefilter: how often it hits, and so how many queries a device sends.
//!
//! Browsing is simulated; no record of a real person is used. Hosts follow Zipf's law, and some of them are
//! a person's favourites that are visited again and again. A page is a main document and its resources, which
//! come from a few hosts. Paths have one to four segments, and some have a query. `--listed` sets how many
//! loads are of URLs on the list. A device caches answers until its prefilter changes.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use blocklist::{Builder, Options};
use clap::Parser;
use fastrand::Rng;
use filter_core::bloom::BloomFilter;
use filter_core::sub_url::SubUrlRule;
use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

/// Replay days of browsing against prefilters of several false-positive rates
#[derive(Parser)]
#[command(after_help = "\
Example:
  cargo run --release -p benches --bin browsing -- --devices 500 --keys 1000000")]
struct Arguments {
    /// A list to build the prefilters from; without one, synthetic keys
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Synthetic keys
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
    /// Devices, a day each
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// Pages a day
    #[arg(long, default_value_t = 120)]
    pages: usize,
    /// Resources of a page that are loaded and not in the cache of the browser
    #[arg(long, default_value_t = 40)]
    resources: usize,
    /// Hosts that there are
    #[arg(long, default_value_t = 10_000_000)]
    hosts: u64,
    /// Of a million loads, those of URLs that are on the list
    #[arg(long, default_value_t = 20)]
    listed: u64,
    /// False-positive rates
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.001,0.0001,0.00001,0.000001")]
    rates: Vec<f64>,
    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A rank, by Zipf's law with exponent 1: the logarithm of ranks is uniform.
fn rank(chance: &mut Rng, max: u64) -> u64 {
    (((max as f64).ln() * chance.f64()).exp() as u64).min(max)
}

/// A host by its rank: with subdomains, as real ones are.
fn host(rank: u64, chance: &mut Rng) -> String {
    match chance.u64(..10) {
        0..=4 => format!("www.site{rank}.example"),
        5..=7 => format!("site{rank}.example"),
        8 => format!("cdn{}.site{rank}.example", chance.u64(..4)),
        _ => format!("img{}.static.site{rank}.example", chance.u64(..4)),
    }
}

fn path(chance: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..1 + chance.u64(..4) {
        text += &format!("/{:x}", chance.u64(..100_000));
    }
    if chance.u64(..3) == 0 {
        text += &format!("?id={:x}", chance.u64(..));
    }
    text
}

/// What a device loads in a day.
fn day(arguments: &Arguments, keys: &[String], chance: &mut Rng) -> Vec<String> {
    // A person's own places: half of all pages are there.
    let own: Vec<u64> = (0..20).map(|_| rank(chance, arguments.hosts)).collect();
    let mut loads = Vec::with_capacity(arguments.pages * (arguments.resources + 1));
    for _ in 0..arguments.pages {
        let page = match chance.u64(..2) {
            0 => own[chance.usize(..own.len())],
            _ => rank(chance, arguments.hosts),
        };
        // Besides the page's own host, those that serve many.
        let others: Vec<u64> = (0..6).map(|_| rank(chance, arguments.hosts / 1000)).collect();
        for resource in 0..=arguments.resources {
            if chance.u64(..1_000_000) < arguments.listed {
                let key = &keys[chance.usize(..keys.len())];
                loads.push(format!("https://{key}"));
                continue;
            }
            let site = match resource == 0 || chance.u64(..2) == 0 {
                true => page,
                false => others[chance.usize(..others.len())],
            };
            loads.push(format!("https://{}{}", host(site, chance), path(chance)));
        }
    }
    loads
}

#[derive(Default)]
struct Counted {
    loads: u64,
    sub_urls: u64,
    loads_that_hit: u64,
    hits: u64,
    queries: u64,
    true_queries: u64,
}

fn replay(
    filter: &BloomFilter<Vec<u8>>,
    listed: &HashSet<&str>,
    days: &[Vec<String>],
    rule: &SubUrlRule,
) -> anyhow::Result<Counted> {
    let mut counted = Counted::default();
    for day in days {
        let mut remembered = HashSet::new();
        for load in day {
            let url = rule.parse(load)?;
            let sub_urls = url.sub_urls();
            let hits = sub_urls.hits_in(filter);
            counted.loads += 1;
            counted.sub_urls += sub_urls.sorted(4096).map_or(0, |all| all.len() as u64);
            counted.loads_that_hit += u64::from(!hits.is_empty());
            counted.hits += hits.len() as u64;
            for hit in hits {
                counted.true_queries +=
                    u64::from(listed.contains(hit.as_str()) && !remembered.contains(&hit));
                counted.queries += u64::from(remembered.insert(hit));
            }
        }
    }
    Ok(counted)
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let synthetic: String =
        (0..arguments.keys).map(|i| format!("phish{i}.example/login/{}\n", i % 1000)).collect();
    let mut keys = Vec::new();
    let mut days = Vec::new();
    let rule = SubUrlRule::default();
    println!(
        "| rate | prefilter | loads a day | sub-URLs a load | loads that hit | hits a day | queries a day | of them on the list |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for &rate in &arguments.rates {
        let builder = Builder::new(Options::default().with_tolerance(rate));
        let builder = match &arguments.list {
            Some(path) => builder.add_list(&path.display().to_string(), File::open(path)?, None)?,
            None => builder.add_list("synthetic", synthetic.as_bytes(), None)?,
        };
        let built = builder.finish()?;
        if days.is_empty() {
            keys = built
                .keys
                .iter()
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect::<Vec<_>>();
            let mut chance = Rng::with_seed(arguments.seed);
            days = (0..arguments.devices).map(|_| day(&arguments, &keys, &mut chance)).collect();
        }
        let listed: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let filter = built.prefilter.into_filter();
        let counted = replay(&filter, &listed, &days, &rule)?;
        let devices = arguments.devices as f64;
        let per_day = |count: u64| count as f64 / devices;
        println!(
            "| {rate} | {:.2} MB | {:.0} | {:.1} | {:.4} % | {:.2} | {:.2} | {:.2} |",
            filter.parameters().byte_count() as f64 / 1e6,
            per_day(counted.loads),
            counted.sub_urls as f64 / counted.loads as f64,
            100.0 * counted.loads_that_hit as f64 / counted.loads as f64,
            per_day(counted.hits),
            per_day(counted.queries),
            per_day(counted.true_queries),
        );
    }
    Ok(())
}
