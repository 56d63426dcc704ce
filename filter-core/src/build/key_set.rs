//! Distinct keys in the order of their first appearance, their bytes held once.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Bytes of keys that a set holds at the most.
pub(super) const MAX_BYTES: usize = 1 << 35;

/// A set of byte strings that keeps their order.
///
/// Beside the bytes themselves a key costs about 16 bytes: the place where it ends, and a slot of
/// the hash table.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Ends,
    /// Numbers of keys, by hash; with part of the hash, so that growing rarely reads keys.
    table: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u32,
    hash: u32,
}

/// Ends of keys: 32 bits each, with the count of ends below each multiple of 2^32.
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
}

impl KeySet {
    /// Adds a key: whether it is new, or `None` if the set is full.
    pub fn insert(&mut self, key: &[u8]) -> Option<bool> {
        let hash = self.hasher.hash_one(key);
        let short = (hash >> 32) as u32;
        let Self { bytes, ends, table, .. } = self;
        let same = |slot: &Slot| {
            slot.hash == short && range(ends, slot.key as usize).is_some_and(|r| &bytes[r] == key)
        };
        // The table's own hash must be computable from a slot, when it grows.
        if table.find(spread(short), same).is_some() {
            return Some(false);
        }
        let number = u32::try_from(ends.low.len()).ok()?;
        if bytes.len() + key.len() > MAX_BYTES {
            return None;
        }
        table.insert_unique(spread(short), Slot { key: number, hash: short }, |slot| {
            spread(slot.hash)
        });
        bytes.extend_from_slice(key);
        ends.push(bytes.len());
        Some(true)
    }

    /// Number of keys.
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
        (0..self.len()).map(move |key| {
            let end = self.ends.get(key);
            &self.bytes[std::mem::replace(&mut start, end)..end]
        })
    }
}

fn range(ends: &Ends, key: usize) -> Option<std::ops::Range<usize>> {
    let start = key.checked_sub(1).map_or(0, |before| ends.get(before));
    Some(start..ends.get(key))
}

/// The table takes its slot from the low bits and a tag from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn is_a_set_in_order(keys in prop::collection::vec("[ab]{0,6}", 0..200)) {
            let mut set = KeySet::default();
            let mut seen = HashSet::new();
            let mut expected = Vec::new();
            for key in &keys {
                let new = seen.insert(key.clone());
                prop_assert_eq!(set.insert(key.as_bytes()), Some(new));
                if new {
                    expected.push(key.as_bytes());
                }
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn ends_beyond_four_gibibytes() {
        let mut ends = Ends::default();
        let places = [5, (1 << 32) - 1, 1 << 32, (1 << 32) + 7, (3 << 32) + 1];
        places.iter().for_each(|&end| ends.push(end));
        for (key, &end) in places.iter().enumerate() {
            assert_eq!(ends.get(key), end);
        }
    }
}
