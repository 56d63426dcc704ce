//! Distinct keys in the order of their first appearance, their bytes held once.

use std::hash::BuildHasher;
use std::ops::Range;

use super::manner::Manner;
use super::uses::{Origin, Uses};
use hashbrown::DefaultHashBuilder;

/// The largest sum of the lengths of all keys, in bytes: 32 GiB, or all memory on smaller machines.
pub(super) const MAX_BYTES: u64 = 1 << 35;

/// The number of keys that are looked up together.
const BATCH: usize = 64;

/// The smallest size of the hash table. All sizes are powers of two.
const MIN_SLOTS: usize = 1 << 10;

/// A set of byte strings that keeps their order.
///
/// A key takes its own bytes and about 20 more: where it ends, where it was found, and a slot of the hash table. With millions
/// of keys every look-up in the table is a cache miss, so keys are looked up in batches, whose misses
/// overlap.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Ends,
    /// Open addressing; 0 is free, else the hash in the upper half and the key's number plus one.
    slots: Vec<u64>,
    hasher: DefaultHashBuilder,
    pending: Vec<Pending>,
    pending_bytes: Vec<u8>,
    /// Where each key was found, and how its entries ask for it.
    uses: Uses,
    /// One bit for each key, set if the key was removed; empty if none was.
    removed: Vec<u64>,
    removed_count: usize,
    new_groups: u64,
    is_full: bool,
    max_bytes: MaxBytes,
}

/// [`MAX_BYTES`], or less in tests.
#[derive(Clone, Copy, Debug)]
struct MaxBytes(u64);

impl Default for MaxBytes {
    fn default() -> Self {
        Self(MAX_BYTES)
    }
}

/// A key that has not been looked up yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    origin: Origin,
    manner: Manner,
    hash: u32,
    /// Where it ends in the pending bytes.
    end: usize,
    /// Whether it is the first key of an entry.
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
    /// Adds the keys of one entry. They are in the set once [`settle`](Self::settle) has been called.
    pub(super) fn add<'k>(
        &mut self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        origin: Origin,
        manner: Manner,
    ) {
        let mut starts_group = true;
        for key in keys {
            let hash = (self.hasher.hash_one(key) >> 32) as u32;
            self.pending_bytes.extend_from_slice(key);
            let end = self.pending_bytes.len();
            self.pending.push(Pending { origin, manner, hash, end, starts_group });
            starts_group = false;
        }
        if self.pending.len() >= BATCH {
            self.settle();
        }
    }

    /// Looks up the pending keys and inserts the new ones.
    pub(super) fn settle(&mut self) {
        self.reserve(self.pending.len());
        // These loads are independent of each other, so their cache misses overlap. The insertions then find
        // their slots in the cache.
        let touched = self.pending.iter().fold(0, |all, key| all ^ self.slots[self.home(key.hash)]);
        std::hint::black_box(touched);
        let mut pending = std::mem::take(&mut self.pending);
        let mut bytes = std::mem::take(&mut self.pending_bytes);
        let mut start = 0;
        for group in pending.chunk_by(|_, next| !next.starts_group) {
            let mut any_new = false;
            for key in group {
                let (number, is_new) = self.insert(key.hash, &bytes[start..key.end]);
                if let Some(number) = number {
                    self.uses.note(number, key.origin, key.manner);
                }
                any_new |= is_new;
                start = key.end;
            }
            self.new_groups += u64::from(any_new);
        }
        pending.clear();
        bytes.clear();
        self.pending = pending;
        self.pending_bytes = bytes;
    }

    /// The number of a key, counted from 0, or the free slot where it would be. There is at least one slot.
    fn find(&self, hash: u32, key: &[u8]) -> Result<usize, usize> {
        let mut place = self.home(hash);
        loop {
            let slot = self.slots[place];
            if slot == 0 {
                return Err(place);
            }
            let (other_hash, number) = ((slot >> 32) as u32, slot as u32 as usize - 1);
            if other_hash == hash && &self.bytes[self.ends.range(number)] == key {
                return Ok(number);
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    /// Inserts a key. Returns its number unless the set is full, and whether it is new.
    fn insert(&mut self, hash: u32, key: &[u8]) -> (Option<usize>, bool) {
        let place = match self.find(hash, key) {
            Ok(number) => return (Some(number), false),
            Err(place) => place,
        };
        let number = u32::try_from(self.ends.low.len() + 1).ok();
        let bytes = self.bytes.len() as u64 + key.len() as u64;
        let Some(number) = number.filter(|_| bytes <= self.max_bytes.0) else {
            self.is_full = true;
            return (None, false);
        };
        self.slots[place] = u64::from(hash) << 32 | u64::from(number);
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        (Some(number as usize - 1), true)
    }

    /// The number of a settled key that was not removed, counted from 0 in the order of first appearance.
    pub(super) fn number_of(&self, key: &[u8]) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let number = self.find((self.hasher.hash_one(key) >> 32) as u32, key).ok()?;
        (!self.is_removed(number)).then_some(number)
    }

    /// The settled key of a number below [`len`](Self::len).
    pub(super) fn get(&self, number: usize) -> &[u8] {
        &self.bytes[self.ends.range(number)]
    }

    /// Where the keys were found, and in which manners.
    pub(super) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Removes the keys of the numbers for which `is_removed` holds. Numbers stay.
    pub(super) fn remove(&mut self, is_removed: impl Fn(usize) -> bool) {
        for number in (0..self.ends.low.len()).filter(|&number| is_removed(number)) {
            if self.removed.is_empty() {
                self.removed = vec![0; self.ends.low.len().div_ceil(64)];
            }
            let (word, bit) = (number / 64, 1 << (number % 64));
            self.removed_count += usize::from(self.removed[word] & bit == 0);
            self.removed[word] |= bit;
        }
    }

    fn is_removed(&self, number: usize) -> bool {
        self.removed.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// The numbers and the keys, without those that were removed.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.numbered_in(0..self.numbers())
    }

    /// The numbers in a range that ends at most at [`numbers`](Self::numbers), and their keys, without those that were removed.
    pub(super) fn numbered_in(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = range.start.checked_sub(1).map_or(0, |before| self.ends.get(before));
        let mut wraps = self.ends.wraps.iter().peekable();
        let mut high = 0;
        let all = range.clone().zip(&self.ends.low[range]).map(move |(key, &low)| {
            while wraps.next_if(|&&first| first <= key).is_some() {
                high += 1 << 32;
            }
            let end = high | low as usize;
            (key, &self.bytes[std::mem::replace(&mut start, end)..end])
        });
        all.filter(|&(number, _)| self.removed.is_empty() || !self.is_removed(number))
    }

    /// The slot at which the search for a key of this hash begins. Fibonacci hashing: the upper bits of the
    /// product.
    fn home(&self, hash: u32) -> usize {
        let spread = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    /// Enlarges the table for more keys, so that at most three quarters of the slots are taken.
    fn reserve(&mut self, more: usize) {
        let wanted = (self.ends.low.len() + more) * 4 / 3 + 1;
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

    /// The number of entries that gave a new key, of those that are settled.
    pub(super) fn new_groups(&self) -> u64 {
        self.new_groups
    }

    /// Whether keys were left out because the set is full.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// One more than the largest number of a key, removed or not.
    pub(super) fn numbers(&self) -> usize {
        self.ends.low.len()
    }

    /// The number of distinct keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.low.len() - self.removed_count
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys, in the order of their first appearance.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.numbered().map(|(_, key)| key)
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
                set.add(group.iter().map(String::as_bytes), Origin::OPTION, Manner::PLAIN);
            }
            set.settle();
            prop_assert_eq!(set.new_groups(), new_groups);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), &expected[..]);
            for (number, key) in expected.iter().enumerate() {
                prop_assert_eq!((set.number_of(key), set.get(number)), (Some(number), *key));
            }
            prop_assert_eq!(set.number_of(b"c"), None);
            let middle = expected.len() / 2;
            let halves = set.numbered_in(0..middle).chain(set.numbered_in(middle..expected.len()));
            prop_assert!(halves.eq(expected.iter().copied().enumerate()));
            set.remove(|number| number % 2 == 1);
            prop_assert!(set.iter().eq(expected.iter().copied().step_by(2)));
            prop_assert_eq!(set.len(), expected.len().div_ceil(2));
            for (number, key) in expected.iter().enumerate() {
                prop_assert_eq!(set.number_of(key), (number % 2 == 0).then_some(number));
            }
        }
    }

    #[test]
    fn grows_and_keeps_everything() {
        let mut set = KeySet::default();
        for i in 0..20_000u32 {
            set.add([format!("key{}", i % 10_000).as_bytes()], Origin::OPTION, Manner::PLAIN);
        }
        set.settle();
        assert_eq!((set.len(), set.new_groups(), set.is_full()), (10_000, 10_000, false));
        assert!(set.iter().enumerate().all(|(i, key)| key == format!("key{i}").as_bytes()));
    }

    #[test]
    fn the_limit_of_bytes_is_exact() {
        let max = 20;
        for (last, is_full) in [(9, false), (10, false), (11, true)] {
            let mut set = KeySet { max_bytes: MaxBytes(max), ..KeySet::default() };
            for key in ["aaaaaaaaaa", &"b".repeat(last), "aaaaaaaaaa"] {
                set.add([key.as_bytes()], Origin::OPTION, Manner::PLAIN);
            }
            set.settle();
            assert_eq!(set.is_full(), is_full, "{last}");
            assert_eq!(set.len(), if is_full { 1 } else { 2 });
        }
        assert_eq!(KeySet::default().max_bytes.0, MAX_BYTES);
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
