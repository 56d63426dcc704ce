//! Keys into a filter, on several threads.

use super::KeySet;
use filter_core::bloom::BloomFilter;
use std::num::NonZeroUsize;
use std::thread;

/// The fewest keys for which another thread pays.
const MIN_KEYS: usize = 1 << 16;

/// The most threads. Each but the first needs the memory of a filter.
const MAX_THREADS: usize = 4;

/// Inserts all keys.
pub(super) fn fill(filter: &mut BloomFilter<Vec<u8>>, keys: &KeySet, threads: NonZeroUsize) {
    let parts = (keys.numbers() / MIN_KEYS).clamp(1, threads.get().min(MAX_THREADS));
    let part_of = |part: usize| {
        let bound = |part: usize| keys.numbers() * part / parts;
        keys.numbered_in(bound(part)..bound(part + 1)).map(|(_, key)| key)
    };
    let parameters = filter.parameters();
    thread::scope(|scope| {
        let others: Vec<_> = (1..parts)
            .map(|part| {
                scope.spawn(move || {
                    let mut other = BloomFilter::empty(parameters);
                    other.insert_all(part_of(part));
                    other
                })
            })
            .collect();
        filter.insert_all(part_of(0));
        for other in others {
            let other = other.join().expect("a thread that fills a filter does not panic");
            filter.merge(&other).expect("the filters have the same parameters");
        }
    });
}
