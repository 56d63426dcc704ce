//! The false-positive rate of a filter, by trying strings that are not in it.

use filter_core::bloom::BloomFilter;

/// Filters of fewer keys are measured. Their rate differs from the formula, because the positions of a key are the
/// first terms of an arithmetic sequence, which repeats early if the number of bits has small factors.
const MAX_MEASURED_KEYS: u64 = 100_000;

/// Strings that are tried.
const PROBES: u64 = 1 << 18;

/// A false-positive rate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FalsePositiveRate {
    /// The share of strings that are not keys and hit the filter all the same, from 0 to 1.
    pub rate: f64,
    /// Whether it was measured with 262,144 strings, or estimated from the bits that are set.
    pub is_measured: bool,
}

/// The rate of a filter with `keys` keys: measured if there are fewer than 100,000, else estimated.
pub(super) fn false_positive_rate(filter: &BloomFilter<Vec<u8>>, keys: u64) -> FalsePositiveRate {
    if keys >= MAX_MEASURED_KEYS {
        let rate = filter.statistics().estimated_false_positive_rate;
        return FalsePositiveRate { rate, is_measured: false };
    }
    let mut text = Vec::with_capacity(40);
    let hits = (0..PROBES).filter(|probe| {
        // No key has an upper-case letter, so that no probe is one.
        text.clear();
        let mut bits = probe.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ bits >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        bits ^= bits >> 32;
        let length = 6 + bits % 12;
        for _ in 0..length {
            text.push(b'A' + (bits % 26) as u8);
            bits = bits.rotate_left(7).wrapping_mul(0x2545_f491_4f6c_dd1d);
        }
        text.extend_from_slice(b".example");
        filter.contains(&text)
    });
    FalsePositiveRate { rate: hits.count() as f64 / PROBES as f64, is_measured: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{Builder, Options};

    #[test]
    fn the_rate_of_small_filters_is_that_of_other_strings() {
        for keys in [1, 2, 5, 20, 100, 1_000] {
            let list: String = (0..keys).map(|i| format!("host{i}.example\n")).collect();
            let built = Builder::new(Options::default())
                .add_list("a", list.as_bytes(), None)
                .unwrap()
                .finish()
                .unwrap();
            let said = built.false_positive_rate();
            assert!(said.is_measured);
            let filter = built.prefilter.filter();
            let others = 200_000;
            let hits = (0..others)
                .filter(|i| filter.contains(format!("site-{}.test/{i}", i * 7).as_bytes()))
                .count();
            let seen = hits as f64 / f64::from(others);
            assert!((said.rate - seen).abs() < 0.25 * seen + 2e-4, "{keys}: {} {seen}", said.rate);
        }
    }

    #[test]
    fn the_rates_of_filters_below_the_limit_are_measured() {
        let built = Builder::new(Options::default());
        let built = built.add_list("a", &b"a.example\n"[..], None).unwrap().finish().unwrap();
        for (keys, is_measured) in [
            (MAX_MEASURED_KEYS - 1, true),
            (MAX_MEASURED_KEYS, false),
            (MAX_MEASURED_KEYS + 1, false),
        ] {
            let rate = false_positive_rate(built.prefilter.filter(), keys);
            assert_eq!(rate.is_measured, is_measured, "{keys}");
        }
    }
}
