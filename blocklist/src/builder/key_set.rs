//! Distinct keys in the order of their first appearance, their bytes held once.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::DefaultHashBuilder;

/// Bytes of keys that a set holds at the most.
pub(super) const MAX_BYTES: usize = 1 << 35;

/// Keys that wait before they are looked up together.
const BATCH: usize = 64;

/// The smallest table; a power of two, like all sizes.
const MIN_SLOTS: usize = 1 << 10;

/// A set of byte strings that keeps their order.
///
/// Beside the bytes themselves a key costs about 16 bytes: the place where it ends, and a slot of
/// the hash table. With millions of keys every look into the table is a cache miss, so keys are
/// looked up in batches whose misses overlap.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Ends,
    /// Open addressing; 0 is free, else the hash in the upper half and the key's number plus one.
    slots: Vec<u64>,
    hasher: DefaultHashBuilder,
    waiting: Vec<Waiting>,
    waiting_bytes: Vec<u8>,
    new_groups: u64,
    full: bool,
}

/// A key that is not looked up yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    hash: u32,
    /// Where it ends in the bytes that wait.
    end: usize,
    starts_group: bool,
}

/// Ends of keys: the lower 32 bits of each, and where the upper ones change.
#[derive(Clone, Debug, Default)]
struct Ends {
    low: Vec<u32>,
    /// For each wrap of the low half, the number of the first key behind it.
    wraps: Vec<usize>,
}

impl Ends {
    fn push(&mut self, end: usize) {
        while self.wraps.len() < end >> 32 {
            self.wraps.push(self.low.len());
        }
        self.low.push(end as u32);
    }

    fn get(&self, key: usize) -> usize {
        let wraps = self.wraps.partition_point(|&first| first <= key);
        wraps << 32 | self.low[key] as usize
    }

    fn range(&self, key: usize) -> Range<usize> {
        key.checked_sub(1).map_or(0, |before| self.get(before))..self.get(key)
    }
}

impl KeySet {
    /// Adds the keys of one entry. They count once [`settle`](Self::settle) was called.
    pub(super) fn add<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        let mut starts_group = true;
        for key in keys {
            let hash = (self.hasher.hash_one(key) >> 32) as u32;
            self.waiting_bytes.extend_from_slice(key);
            self.waiting.push(Waiting { hash, end: self.waiting_bytes.len(), starts_group });
            starts_group = false;
        }
        if self.waiting.len() >= BATCH {
            self.settle();
        }
    }

    /// Looks up the keys that wait.
    pub(super) fn settle(&mut self) {
        self.reserve(self.waiting.len());
        // These loads do not depend on each other; the insertions then find their slots in the cache.
        let touched = self.waiting.iter().fold(0, |all, key| all ^ self.slots[self.home(key.hash)]);
        std::hint::black_box(touched);
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut bytes = std::mem::take(&mut self.waiting_bytes);
        let mut start = 0;
        for group in waiting.chunk_by(|_, next| !next.starts_group) {
            let mut any_new = false;
            for key in group {
                any_new |= self.insert(key.hash, &bytes[start..key.end]);
                start = key.end;
            }
            self.new_groups += u64::from(any_new);
        }
        waiting.clear();
        bytes.clear();
        self.waiting = waiting;
        self.waiting_bytes = bytes;
    }

    /// Whether the key is new.
    fn insert(&mut self, hash: u32, key: &[u8]) -> bool {
        let mut place = self.home(hash);
        loop {
            let slot = self.slots[place];
            if slot == 0 {
                break;
            }
            let (other_hash, number) = ((slot >> 32) as u32, slot as u32);
            if other_hash == hash && &self.bytes[self.ends.range(number as usize - 1)] == key {
                return false;
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
        let number = u32::try_from(self.len() + 1).ok();
        let Some(number) = number.filter(|_| self.bytes.len() + key.len() <= MAX_BYTES) else {
            self.full = true;
            return false;
        };
        self.slots[place] = u64::from(hash) << 32 | u64::from(number);
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        true
    }

    /// Where a key of this hash is looked for first. Fibonacci hashing: the upper bits of the product.
    fn home(&self, hash: u32) -> usize {
        let spread = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    /// Makes room for more keys, so that at most three quarters of the slots are taken.
    fn reserve(&mut self, more: usize) {
        let wanted = (self.len() + more) * 4 / 3 + 1;
        if wanted <= self.slots.len() {
            return;
        }
        let larger = vec![0; wanted.next_power_of_two().max(MIN_SLOTS)];
        let smaller = std::mem::replace(&mut self.slots, larger);
        for slot in smaller.into_iter().filter(|&slot| slot != 0) {
            let mut place = self.home((slot >> 32) as u32);
            while self.slots[place] != 0 {
                place = (place + 1) & (self.slots.len() - 1);
            }
            self.slots[place] = slot;
        }
    }

    /// Entries that brought a new key, of those that are settled.
    pub(super) fn new_groups(&self) -> u64 {
        self.new_groups
    }

    /// Whether keys had to be left out because nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Number of distinct keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.low.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.low.is_empty()
    }

    /// The keys, in the order of their first appearance.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        let mut wraps = self.ends.wraps.iter().peekable();
        let mut high = 0;
        self.ends.low.iter().enumerate().map(move |(key, &low)| {
            while wraps.next_if(|&&first| first <= key).is_some() {
                high += 1 << 32;
            }
            let end = high | low as usize;
            &self.bytes[std::mem::replace(&mut start, end)..end]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn is_a_set_in_order(groups in prop::collection::vec(prop::collection::vec("[ab]{0,7}", 0..3), 0..300)) {
            let mut set = KeySet::default();
            let mut seen = HashSet::new();
            let mut expected = Vec::new();
            let mut new_groups = 0;
            for group in &groups {
                let mut any_new = false;
                for key in group {
                    if seen.insert(key.clone()) {
                        expected.push(key.as_bytes());
                        any_new = true;
                    }
                }
                new_groups += u64::from(any_new);
                set.add(group.iter().map(String::as_bytes));
            }
            set.settle();
            prop_assert_eq!(set.new_groups(), new_groups);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn grows_and_keeps_everything() {
        let mut set = KeySet::default();
        for i in 0..20_000u32 {
            set.add([format!("key{}", i % 10_000).as_bytes()]);
        }
        set.settle();
        assert_eq!((set.len(), set.new_groups(), set.is_full()), (10_000, 10_000, false));
        assert!(set.iter().enumerate().all(|(i, key)| key == format!("key{i}").as_bytes()));
    }

    #[test]
    fn ends_beyond_four_gibibytes() {
        let mut ends = Ends::default();
        let places = [5, (1 << 32) - 1, 1 << 32, (1 << 32) + 7, (3 << 32) + 1];
        places.iter().for_each(|&end| ends.push(end));
        for (key, &end) in places.iter().enumerate() {
            assert_eq!(ends.get(key), end);
        }
        assert_eq!(ends.range(2), (1 << 32) - 1..1 << 32);
    }
}
