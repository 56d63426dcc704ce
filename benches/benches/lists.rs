//! From the text of a list to a filled filter, beside `adblock` (Brave's engine), which parses the same entries to rules and
//! does no more. Real EasyList is taken from `../shared/data`, and left out where that is missing.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use adblock::lists::{FilterFormat, ParseOptions, parse_filters};
use blocklist::list::{Format, ReadOptions};
use blocklist::{Builder, Built, Options};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;

const ENTRIES: usize = 100_000;

fn build(text: &str, format: &Format) -> Built {
    let read = ReadOptions::from(format.clone());
    let builder = Builder::new(Options::default());
    builder.add_source("list", text.as_bytes(), &read).unwrap().finish().unwrap()
}

#[expect(clippy::print_stderr, reason = "a bench reports to whoever runs it")]
fn easylist(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/easylist.txt");
    match std::fs::read_to_string(&path) {
        Ok(text) => compare(c, "easylist", &text, &Format::Adblock, &text, FilterFormat::Standard),
        Err(error) => eprintln!("easylist is not measured: {}: {error}", path.display()),
    }
}

fn hosts(c: &mut Criterion) {
    let text: String = (0..ENTRIES).map(|i| format!("0.0.0.0 host{i}.example\n")).collect();
    compare(c, "hosts", &text, &Format::Hosts, &text, FilterFormat::Hosts);
}

/// `adblock` reads no tables, so that it is given the rules of the rows.
fn csv(c: &mut Criterion) {
    let rows: String = (0..ENTRIES)
        .map(|i| format!("\"{i}\",\"2026-01-01\",\"https://host{i}.example/path{i}\",\"online\"\n"))
        .collect();
    let rules: String = (0..ENTRIES).map(|i| format!("||host{i}.example/path{i}^\n")).collect();
    let format = "csv=url".parse().unwrap();
    let table = format!("id,dateadded,url,url_status\n{rows}");
    compare(c, "csv", &table, &format, &rules, FilterFormat::Standard);
}

fn compare(
    c: &mut Criterion,
    name: &str,
    text: &str,
    format: &Format,
    peer_text: &str,
    peer_format: FilterFormat,
) {
    let keys = build(text, format).keys.len();
    let mut group = c.benchmark_group(format!("list/{name}/{keys}_keys"));
    group.throughput(Throughput::Elements(keys as u64));
    group.bench_function("blocklist", |b| b.iter(|| build(black_box(text), format)));
    let options = ParseOptions { format: peer_format, ..ParseOptions::default() };
    group.bench_function("adblock", |b| {
        b.iter(|| parse_filters(black_box(peer_text).lines(), false, options))
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = easylist, hosts, csv
}
criterion_main!(benches);
