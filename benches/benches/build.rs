//! Filling a prefilter in memory, beside `fastbloom` for orientation: it has other hashes and another
//! layout, so it could never make a file for a device.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use benches::synthetic_keys;
use blocklist::{Builder, Options};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastbloom::BloomFilter as FastBloom;
use filter_core::bloom::{BloomFilter, Sizing};

const KEYS: usize = 1_000_000;

fn fill(c: &mut Criterion) {
    let keys = synthetic_keys(KEYS);
    let parameters = Sizing::Round.parameters(KEYS as u64, 0.001, 1).unwrap();
    let mut group = c.benchmark_group("fill/1M_keys");
    group.throughput(Throughput::Elements(KEYS as u64));
    group.bench_function("filter-core", |b| {
        b.iter(|| {
            let mut filter = BloomFilter::empty(parameters);
            filter.insert_all(keys.iter().map(String::as_bytes));
            filter
        });
    });
    group.bench_function("fastbloom", |b| {
        b.iter(|| {
            let mut filter = FastBloom::with_num_bits(parameters.bit_count() as usize)
                .seed(&1)
                .hashes(parameters.hash_count());
            for key in &keys {
                filter.insert(key.as_str());
            }
            filter
        });
    });
    group.finish();
}

fn from_list(c: &mut Criterion) {
    let text = synthetic_keys(KEYS).join("\n");
    let mut group = c.benchmark_group("build_from_list/1M_lines");
    group.throughput(Throughput::Elements(KEYS as u64));
    group.bench_function("filter-core", |b| {
        b.iter(|| {
            let builder = Builder::new(Options::default());
            builder.add_list("list", text.as_bytes(), None).unwrap().finish().unwrap()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = fill, from_list
}
criterion_main!(benches);
