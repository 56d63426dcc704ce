//! One keyword at the server and at the client. The reference's server takes 40 ms for 50,000 rows
//! and 18 ms for 10,000 on another machine (see `docs/speed.md`).
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use benches::shard::{self, Lookup};
use benches::synthetic_keys;
use bfv::{Backend, OsRandom};
use criterion::{Criterion, criterion_group, criterion_main};
use keyword_database::Reader;
use keyword_pir::Execution;
use keyword_pir::database::{self, Database};
use std::hint::black_box;

fn server(c: &mut Criterion) {
    for rows in [10_000, 50_000] {
        let mut group = c.benchmark_group(format!("server/{rows}_rows"));
        for backend in Backend::available() {
            let lookup = Lookup::new(rows, backend).unwrap();
            group.bench_function(backend.name(), |b| {
                b.iter(|| {
                    let execution = Execution::default();
                    lookup.server.answer(black_box(&lookup.parsed), &lookup.key, execution).unwrap()
                });
            });
        }
        group.finish();
    }
}

fn client(c: &mut Criterion) {
    let lookup = Lookup::new(50_000, Backend::detect().unwrap()).unwrap();
    let (client, secret) = (&lookup.client, &lookup.secret);
    let keyword = lookup.keyword.as_bytes();
    let execution = Execution::default();
    let (reply, _) = lookup.server.answer(&lookup.parsed, &lookup.key, execution).unwrap();
    let mut group = c.benchmark_group("client/50000_rows");
    group.bench_function("query", |b| {
        b.iter(|| client.query_keyword(black_box(keyword), secret, &mut OsRandom).unwrap());
    });
    group.bench_function("decode", |b| {
        b.iter(|| client.decode_keyword(black_box(&reply), keyword, secret).unwrap());
    });
    group.finish();
    let mut group = c.benchmark_group("server/parse");
    group.bench_function("query", |b| {
        b.iter(|| lookup.server.read_query(black_box(&lookup.query)).unwrap());
    });
    group.finish();
}

/// Opening a shard of 50,000 rows checks all of its bytes; 1 M rows are twenty such shards.
fn open(c: &mut Criterion) {
    let (scheme, payloads) = shard::payloads(50_000, Backend::detect().unwrap()).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    database::write(&scheme, &payloads, &mut file).unwrap();
    let mut group = c.benchmark_group("database/50000_rows");
    group.bench_function("open", |b| b.iter(|| Database::open(black_box(file.path())).unwrap()));
    group.bench_function("write", |b| {
        b.iter(|| database::write(&scheme, &payloads, &mut std::io::sink()).unwrap());
    });
    group.finish();
}

/// Rows of a text database, as a stream.
fn rows(c: &mut Criterion) {
    let text: String = synthetic_keys(1_000_000)
        .iter()
        .map(|key| format!("rows: {{keyword: \"{key}\" value: \"1\"}}\n"))
        .collect();
    let mut group = c.benchmark_group("rows/1M");
    group.bench_function("text", |b| {
        b.iter(|| {
            let mut reader = Reader::text(black_box(text.as_bytes()));
            while let Some(row) = reader.next_row().unwrap() {
                black_box(row);
            }
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = server, client, open, rows
}
criterion_main!(benches);
