//! Sizes of filters, whole filters, and the filter of the first beta sample.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_core::Prefilter;
use filter_core::bloom::{BloomError, BloomFilter, Sizing};
use filter_core::file::{Description, tag};
use serde_json::{Value, json};

pub(super) fn sizing() -> Value {
    let mut all = Vec::new();
    for n in [1u64, 2, 3, 10, 45, 100, 1_000, 13_161, 1_000_000, 10_000_000, 100_000_000] {
        for p in [0.5, 0.1, 0.01, 0.003, 0.001, 0.0001, 1e-6] {
            for rule in [Sizing::Round, Sizing::Ceil] {
                match rule.parameters(n, p, 0) {
                    Ok(size) => all.push(json!({
                        "n": n, "p": p, "rule": rule, "bitCount": size.bit_count(), "hashCount": size.hash_count(),
                    })),
                    // An implementation may have a limit of its own: no vector.
                    Err(BloomError::TooLarge { .. }) => {}
                    Err(_) => unreachable!("tolerances and key counts are within the limits"),
                }
            }
        }
    }
    all.into()
}

pub(super) fn filters() -> Value {
    let ten: Vec<String> = BETA_KEYS.iter().map(|&key| key.to_owned()).collect();
    let hundred: Vec<String> = (0..100).map(|i| format!("host{i}.example/path{i}")).collect();
    let mixed: Vec<String> = [
        "xn--bcher-kva.example",
        "192.0.2.7/login",
        "[2001:db8::1]:8443/a",
        "example.com/%c3%bc?q=1#f",
        "www.apple.com/url-filter-test",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut all = Vec::new();
    for (keys, p, seed) in [
        (vec!["only.example".to_owned()], 0.01, 1),
        (ten, 0.001, 3_919_904_948),
        (mixed, 0.0001, 0),
        (hundred.clone(), 0.001, 2_538_058_380),
        (hundred, 0.5, u32::MAX),
    ] {
        for rule in [Sizing::Round, Sizing::Ceil] {
            let prefilter = prefilter(&keys, p, rule, seed);
            let parameters = prefilter.filter().parameters();
            all.push(json!({
                "keys": keys,
                "falsePositiveTolerance": p,
                "rule": rule,
                "murmurSeed": seed,
                "bitCount": parameters.bit_count(),
                "hashCount": parameters.hash_count(),
                "data": STANDARD.encode(prefilter.filter().bytes()),
                "tag": tag(prefilter.filter().bytes()),
            }));
        }
    }
    all.into()
}

/// The filter of `keys` at tolerance `p`.
pub(super) fn prefilter(keys: &[String], p: f64, sizing: Sizing, seed: u32) -> Prefilter<Vec<u8>> {
    let parameters = sizing.parameters(keys.len() as u64, p, seed);
    let mut filter = BloomFilter::empty(parameters.expect("a few keys at a usual tolerance"));
    filter.insert_all(keys.iter().map(String::as_bytes));
    let mut description = Description::default();
    description.item_count = Some(keys.len() as u64);
    description.false_positive_tolerance = Some(p);
    Prefilter::new(filter, description).expect("the description fits the filter")
}

/// The keys of the first beta sample.
pub(super) const BETA_KEYS: [&str; 10] = [
    "example.com",
    "example2.com",
    "example3.com",
    "example4.com",
    "example5.com",
    "example6.com",
    "example7.com",
    "example8.com",
    "example9.com",
    "example10.com/resource?query=bugs",
];

/// The bits of the first beta sample, as recorded: no released hash function gives them.
pub(super) fn beta() -> Value {
    json!({
        "note": "the file of the first beta sample: FNV multiplies before it xors; recognise, never build",
        "keys": BETA_KEYS,
        "bitCount": 144,
        "hashCount": 10,
        "murmurSeed": 3_919_904_948_u32,
        "data": "KnFnz7/dUDyK51HqlhTlswav",
    })
}
