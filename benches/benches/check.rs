//! The whole check of a URL against a prefilter, parse included, beside a plain implementation.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use benches::{TYPICAL_URL, plain, synthetic_filter, typical_urls};
use bitvec::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use filter_core::bloom::BloomFilter;
use filter_core::hash::{Fnv1a, KeyHash, Murmur3};
use filter_core::sub_url::{SubUrlRule, System};
use std::hint::black_box;

const KEYS: usize = 1_000_000;
const URLS: usize = 1_024;

fn check(filter: &BloomFilter<Vec<u8>>, rule: &SubUrlRule, url: &str) -> bool {
    rule.parse(url).unwrap().sub_urls().may_hit(filter)
}

fn whole_check(c: &mut Criterion) {
    let filter = synthetic_filter(KEYS);
    let rule = SubUrlRule::default();
    // Those that pass by chance end early and would flatter the figure.
    let urls: Vec<String> =
        typical_urls(URLS).into_iter().filter(|url| !check(&filter, &rule, url)).collect();
    let mut group = c.benchmark_group("url_not_on_the_list/1M_keys");
    let mut next = 0;
    let mut url = || {
        next = (next + 1) % urls.len();
        urls[next].as_str()
    };
    group.bench_function("filter-core", |b| b.iter(|| check(&filter, &rule, black_box(url()))));
    group.bench_function("plain", |b| b.iter(|| plain::may_match(&filter, black_box(url()))));
    group.bench_function("parse/filter-core", |b| b.iter(|| rule.parse(black_box(url()))));
    group.bench_function("parse/url", |b| b.iter(|| url::Url::parse(black_box(url()))));
    group.bench_function("same_url/filter-core", |b| {
        b.iter(|| check(&filter, &rule, black_box(TYPICAL_URL)))
    });
    for &system in System::ALL {
        let rule = SubUrlRule::System(system);
        let urls: Vec<&String> = urls.iter().filter(|url| !check(&filter, &rule, url)).collect();
        let mut next = 0;
        group.bench_function(format!("system/{system}"), |b| {
            b.iter(|| {
                next = (next + 1) % urls.len();
                check(&filter, &rule, black_box(urls[next]))
            })
        });
    }
    group.bench_function("same_url/plain", |b| {
        b.iter(|| plain::may_match(&filter, black_box(TYPICAL_URL)))
    });
    group.finish();
}

fn hashes(c: &mut Criterion) {
    let key = black_box(b"shop.example.com/catalogue/shoes/42?c=blu".as_slice());
    let mut group = c.benchmark_group("hash/41_bytes");
    group.throughput(Throughput::Bytes(key.len() as u64));
    group.bench_function("fnv1a", |b| b.iter(|| Fnv1a::hash(black_box(key))));
    group.bench_function("murmur3/filter-core", |b| b.iter(|| Murmur3::hash(black_box(key), 7)));
    group.bench_function("murmur3/murmur3-crate", |b| {
        b.iter(|| murmur3::murmur3_32(&mut black_box(key), 7).unwrap())
    });
    group.finish();
}

/// The bits as plain bytes, as the library reads them, and as the bit slice of `bitvec`.
fn bits(c: &mut Criterion) {
    let filter = synthetic_filter(KEYS);
    let parameters = filter.parameters();
    let view = filter.bytes().view_bits::<Lsb0>();
    let hashes: Vec<KeyHash> = (0..URLS)
        .map(|i| KeyHash::new(format!("other{i}.test/x{i}").as_bytes(), parameters.murmur_seed()))
        .collect();
    let mut group = c.benchmark_group("bits/1024_keys");
    group.throughput(Throughput::Elements(URLS as u64));
    group.bench_function("filter-core", |b| {
        b.iter(|| hashes.iter().filter(|&&hash| filter.contains_hash(hash)).count())
    });
    let probe = |hash: &KeyHash, bit: &dyn Fn(usize) -> bool| {
        (0..parameters.hash_count())
            .all(|i| bit((hash.position(i) % parameters.bit_count()) as usize))
    };
    group.bench_function("loop/bytes", |b| {
        let bytes = filter.bytes();
        b.iter(|| {
            hashes
                .iter()
                .filter(|hash| probe(hash, &|bit| bytes[bit >> 3] >> (bit & 7) & 1 == 1))
                .count()
        })
    });
    group.bench_function("loop/bitvec", |b| {
        b.iter(|| hashes.iter().filter(|hash| probe(hash, &|bit| view[bit])).count())
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = whole_check, hashes, bits
}
criterion_main!(benches);
