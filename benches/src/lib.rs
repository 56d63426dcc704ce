//! What the benches share: synthetic keys, a typical URL, and the plain implementation that the
//! library is compared with.
#![forbid(unsafe_code)]

pub mod plain;
pub mod shard;

use filter_core::bloom::{BloomFilter, Sizing};

/// `host<i>.example/path<i>`, the synthetic keys of every measurement.
#[must_use]
pub fn synthetic_keys(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("host{i}.example/path{i}")).collect()
}

/// A URL of about 60 bytes with three path segments and a query, on no list.
pub const TYPICAL_URL: &str = "https://www.shop.example.com/catalogue/shoes/42?colour=blue";

/// URLs like [`TYPICAL_URL`], each different, so that no branch predictor knows the way.
#[must_use]
pub fn typical_urls(count: usize) -> Vec<String> {
    let word = |i: usize| ["shoes", "coats", "hats", "bags", "socks"][i % 5];
    (0..count)
        .map(|i| {
            let number = i.wrapping_mul(2_654_435_761) % 9_000 + 1_000;
            format!(
                "https://www.shop{number}.example.com/catalog/{}/{}?colour=blue",
                word(i),
                number / 7
            )
        })
        .collect()
}

/// A filter of the synthetic keys at p = 0.001.
#[must_use]
pub fn synthetic_filter(count: usize) -> BloomFilter<Vec<u8>> {
    let parameters = Sizing::Round.parameters(count as u64, 0.001, 1);
    let mut filter = BloomFilter::empty(parameters.unwrap_or_else(|error| unreachable!("{error}")));
    filter.insert_all(synthetic_keys(count).iter().map(String::as_bytes));
    filter
}
