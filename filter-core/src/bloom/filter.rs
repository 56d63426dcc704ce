//! The filter itself: inserting, testing, merging, counting.

use super::error::BloomError;
use super::parameters::Parameters;
use super::regions::{self, Regions};
use super::remainder::Remainder;
use crate::hash::{Fnv1a, KeyHash, Murmur3};

/// How full a filter is, and how often it says yes to a key that was never inserted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Number of bits that are set.
    pub bits_set: u64,
    /// Share of the bits that are set, `bits_set / bit_count`: 0 to 1.
    pub fill: f64,
    /// `fill ^ hash_count`: the probability that the filter says yes to a key that was never inserted.
    pub estimated_false_positive_rate: f64,
}

/// A Bloom filter over bytes of any storage: a vector, a slice, a mapped file.
///
/// Tests neither allocate nor change anything, so threads may share a filter.
#[derive(Clone, Debug)]
pub struct BloomFilter<B> {
    parameters: Parameters,
    remainder: Remainder,
    bytes: B,
}

impl BloomFilter<Vec<u8>> {
    /// A filter without keys.
    #[must_use]
    pub fn empty(parameters: Parameters) -> Self {
        let remainder = Remainder::new(parameters.bit_count());
        Self { parameters, remainder, bytes: vec![0; parameters.byte_count()] }
    }
}

impl<B: AsRef<[u8]>> BloomFilter<B> {
    /// A filter of existing bits. Checks their length, and that the unused bits of the last byte are zero.
    ///
    /// # Errors
    /// [`BloomError::DataLength`] or [`BloomError::SpareBits`].
    pub fn from_bytes(parameters: Parameters, bytes: B) -> Result<Self, BloomError> {
        let data = bytes.as_ref();
        let expected = parameters.byte_count();
        if data.len() != expected {
            let (bit_count, actual) = (parameters.bit_count(), data.len());
            return Err(BloomError::DataLength { bit_count, expected, actual });
        }
        let used = parameters.bit_count() % 8;
        match data.last() {
            Some(&last) if used != 0 && last >> used != 0 => Err(BloomError::SpareBits(last)),
            _ => {
                let remainder = Remainder::new(parameters.bit_count());
                Ok(Self { parameters, remainder, bytes })
            }
        }
    }

    /// Size and hashing of this filter.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// The bits, in each byte from the least significant one.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The storage of the bits.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.bytes
    }

    /// Whether `key` may have been inserted. `false` is certain.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.contains_hash(KeyHash::new(key, self.parameters.murmur_seed()))
    }

    /// As [`contains`](Self::contains), for a key that is already hashed with this filter's seed.
    #[must_use]
    #[inline]
    pub fn contains_hash(&self, hash: KeyHash) -> bool {
        let bits = self.bits();
        bits.at(hash.fnv1a) && bits.later_probes(hash)
    }

    /// A view for query loops, with the storage already resolved to a slice.
    #[inline]
    pub(crate) fn bits(&self) -> Bits<'_> {
        Bits {
            bytes: self.bytes.as_ref(),
            remainder: self.remainder,
            hash_count: self.parameters.hash_count(),
        }
    }

    /// Counts the bits that are set. Reads all bytes.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (words, rest) = self.bytes.as_ref().as_chunks::<8>();
        let bits_set =
            words.iter().map(|&w| u64::from(u64::from_ne_bytes(w).count_ones())).sum::<u64>()
                + rest.iter().map(|b| u64::from(b.count_ones())).sum::<u64>();
        let fill = bits_set as f64 / f64::from(self.parameters.bit_count());
        let estimated_false_positive_rate = fill.powi(self.parameters.hash_count() as i32);
        Statistics { bits_set, fill, estimated_false_positive_rate }
    }

    /// The share of pseudo-random keys that hit this filter, of `samples` keys (0 counts as 1). They follow from `seed`:
    /// whoever knows it when he makes the filter can leave them out, so it is drawn after that.
    ///
    /// [`Statistics::estimated_false_positive_rate`] holds for bits that keys have set. Whoever sets bits by a rule can
    /// make a filter that hits more often: with every second bit set, the probes of a quarter of all keys are odd.
    #[must_use]
    pub fn sampled_hit_rate(&self, samples: u32, seed: u64) -> f64 {
        let samples = samples.max(1);
        let mut state = seed;
        let hits = (0..samples).filter(|_| {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = mixed ^ (mixed >> 31);
            self.contains_hash(KeyHash { fnv1a: mixed as u32, murmur3: (mixed >> 32) as u32 })
        });
        hits.count() as f64 / f64::from(samples)
    }

    /// The number of keys that were most likely inserted: `-m/k * ln(1 - fill)` for `m` bits and `k` hashes
    /// (Swamidass and Baldi, 2007). The error is below one in a hundred for filters of a thousand keys and
    /// more; `u64::MAX` if all bits are set. Reads all bits.
    #[must_use]
    pub fn estimated_key_count(&self) -> u64 {
        let (bits, hashes) = (self.parameters.bit_count(), self.parameters.hash_count());
        let keys = -(1.0 - self.statistics().fill).ln() * f64::from(bits) / f64::from(hashes);
        keys.round() as u64
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> BloomFilter<B> {
    /// Inserts one key.
    pub fn insert(&mut self, key: &[u8]) {
        self.insert_hash(KeyHash::new(key, self.parameters.murmur_seed()));
    }

    /// Inserts a key that is already hashed with this filter's seed.
    #[inline]
    pub fn insert_hash(&mut self, hash: KeyHash) {
        let bytes = self.bytes.as_mut();
        let mut position = hash.fnv1a;
        for _ in 0..self.parameters.hash_count() {
            let bit = self.remainder.of(position);
            bytes[(bit >> 3) as usize] |= 1 << (bit & 7);
            position = position.wrapping_add(hash.murmur3);
        }
    }

    /// Inserts many keys, faster than one [`insert`](Self::insert) each: several are hashed together, and filters of 8 MiB
    /// and more are written region by region. That takes further memory, at most as much as the filter.
    pub fn insert_all<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        let (parameters, remainder) = (self.parameters, self.remainder);
        let seed = parameters.murmur_seed();
        if self.bytes.as_ref().len() < regions::MIN_BYTES {
            hash_all(keys, seed, |hash| self.insert_hash(hash));
            return;
        }
        let mut regions = Regions::new(self.bytes.as_mut());
        hash_all(keys, seed, |hash| {
            let mut position = hash.fnv1a;
            for _ in 0..parameters.hash_count() {
                regions.set(remainder.of(position));
                position = position.wrapping_add(hash.murmur3);
            }
        });
        regions.finish();
    }

    /// Adds the keys of `other` to this filter: the bits of both are combined.
    ///
    /// # Errors
    /// [`BloomError::Mismatch`] if the parameters differ.
    pub fn merge<C: AsRef<[u8]>>(&mut self, other: &BloomFilter<C>) -> Result<(), BloomError> {
        if self.parameters != other.parameters {
            return Err(BloomError::Mismatch);
        }
        for (mine, theirs) in self.bytes.as_mut().iter_mut().zip(other.bytes()) {
            *mine |= theirs;
        }
        Ok(())
    }
}

/// Hashes keys, several of them together.
fn hash_all<'k>(
    keys: impl IntoIterator<Item = &'k [u8]>,
    seed: u32,
    mut take: impl FnMut(KeyHash),
) {
    const LANES: usize = 4;
    let mut keys = keys.into_iter();
    let mut group = [[].as_slice(); LANES];
    loop {
        let mut filled = 0;
        for (place, key) in group.iter_mut().zip(keys.by_ref()) {
            *place = key;
            filled += 1;
        }
        if filled < LANES {
            group[..filled].iter().for_each(|key| take(KeyHash::new(key, seed)));
            return;
        }
        for (key, fnv1a) in group.iter().zip(Fnv1a::hash_all(group)) {
            take(KeyHash { fnv1a, murmur3: Murmur3::hash(key, seed) });
        }
    }
}

/// The query side of a filter.
#[derive(Clone, Copy)]
pub(crate) struct Bits<'f> {
    bytes: &'f [u8],
    remainder: Remainder,
    hash_count: u32,
}

impl Bits<'_> {
    /// Whether the bit of a 32-bit position is set.
    #[inline]
    pub(crate) fn at(self, position: u32) -> bool {
        let bit = self.remainder.of(position);
        // The remainder is below bitCount and the length was checked, so the byte is always there.
        self.bytes.get((bit >> 3) as usize).is_some_and(|byte| byte >> (bit & 7) & 1 == 1)
    }

    /// Whether probes 1, 2, … are set as well, after probe 0 was.
    #[inline]
    pub(crate) fn later_probes(self, hash: KeyHash) -> bool {
        // A random key passes each probe about every other time: a branch per probe would be
        // mispredicted about once per key. Three probes under one branch leave one in eight.
        const TOGETHER: u32 = 3;
        let mut position = hash.fnv1a;
        let mut left = self.hash_count - 1;
        while left >= TOGETHER {
            let mut all = true;
            for _ in 0..TOGETHER {
                position = position.wrapping_add(hash.murmur3);
                all &= self.at(position);
            }
            if !all {
                return false;
            }
            left -= TOGETHER;
        }
        (0..left).all(|_| {
            position = position.wrapping_add(hash.murmur3);
            self.at(position)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bloom::Sizing;
    use bitvec::prelude::*;
    use proptest::prelude::*;

    fn send_and_sync<T: Send + Sync>() {}

    /// Bits that follow a rule hit more often than their number tells.
    #[test]
    fn a_sample_shows_what_the_number_of_bits_does_not() {
        let parameters = Parameters::new(1 << 16, 30, 1).unwrap();
        let odd = BloomFilter::from_bytes(parameters, vec![0xaa; 1 << 13]).unwrap();
        assert!(odd.statistics().estimated_false_positive_rate < 1e-8);
        assert!((0.24..0.26).contains(&odd.sampled_hit_rate(1 << 16, 5)));
        let empty = BloomFilter::empty(parameters);
        assert_eq!(empty.sampled_hit_rate(1 << 10, 5), 0.0);
        let full = BloomFilter::from_bytes(parameters, vec![0xff; 1 << 13]).unwrap();
        assert_eq!((full.sampled_hit_rate(0, 5), full.sampled_hit_rate(9, 5)), (1.0, 1.0));
        let mut honest = BloomFilter::empty(Sizing::Round.parameters(5_000, 0.01, 1).unwrap());
        let keys: Vec<String> = (0..5_000).map(|number| format!("{number}.example")).collect();
        honest.insert_all(keys.iter().map(|key| key.as_bytes()));
        assert!((0.008..0.012).contains(&honest.sampled_hit_rate(1 << 16, 5)));
    }

    /// A filter that says yes to a fifth of all keys, and to none of those that a known seed has tried.
    #[test]
    fn a_seed_that_was_known_shows_nothing() {
        const SAMPLES: u32 = 1 << 16;
        let parameters = Parameters::new(1 << 22, 30, 1).unwrap();
        let mut bytes = vec![0x55; 1 << 19];
        let mut state = 0_u64;
        for _ in 0..SAMPLES {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = mixed ^ (mixed >> 31);
            let hash = KeyHash { fnv1a: mixed as u32, murmur3: (mixed >> 32) as u32 };
            if (hash.fnv1a | hash.murmur3) & 1 == 0 {
                let bit = hash.position(15) % parameters.bit_count();
                bytes[(bit >> 3) as usize] &= !(1 << (bit & 7));
            }
        }
        let made = BloomFilter::from_bytes(parameters, bytes).unwrap();
        assert!(made.statistics().estimated_false_positive_rate < 1e-8);
        assert_eq!(made.sampled_hit_rate(SAMPLES, 0), 0.0);
        for seed in [1, 2, u64::MAX] {
            let rate = made.sampled_hit_rate(SAMPLES, seed);
            assert!((0.15..0.25).contains(&rate), "{rate}");
        }
    }

    #[test]
    fn a_filter_is_shared_between_threads() {
        send_and_sync::<BloomFilter<Vec<u8>>>();
    }

    fn keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..200)
    }

    proptest! {
        #[test]
        fn bits_are_those_of_an_lsb0_bit_slice(keys in keys(), seed in any::<u32>(), extra in 0u32..9) {
            let parameters = Parameters::new(97 + extra, 5, seed).unwrap();
            let mut filter = BloomFilter::empty(parameters);
            let mut oracle = bitvec![u8, Lsb0; 0; parameters.bit_count() as usize];
            filter.insert_all(keys.iter().map(Vec::as_slice));
            for key in &keys {
                for i in 0..5u64 {
                    let h1 = u64::from(crate::hash::Fnv1a::hash(key));
                    let h2 = u64::from(murmur3::murmur3_32(&mut key.as_slice(), seed).unwrap());
                    let bit = ((h1 + i * h2) % (1 << 32)) % u64::from(parameters.bit_count());
                    oracle.set(bit as usize, true);
                }
            }
            prop_assert_eq!(filter.bytes(), oracle.as_raw_slice());
            prop_assert_eq!(filter.statistics().bits_set, oracle.count_ones() as u64);
        }

        #[test]
        fn no_false_negatives_and_merge_is_union(a in keys(), b in keys(), p in 0.0001f64..0.9) {
            let parameters = Sizing::Round.parameters((a.len() + b.len()) as u64, p, 1).unwrap();
            let mut first = BloomFilter::empty(parameters);
            first.insert_all(a.iter().map(Vec::as_slice));
            let mut second = BloomFilter::empty(parameters);
            for key in &b {
                second.insert(key);
            }
            let mut both = BloomFilter::empty(parameters);
            both.insert_all(a.iter().chain(&b).map(Vec::as_slice));
            first.merge(&second).unwrap();
            prop_assert_eq!(first.bytes(), both.bytes());
            prop_assert!(a.iter().chain(&b).all(|key| first.contains(key)));
        }
    }

    /// Filters one bit below, at, and above the size from which on they are written region by region.
    #[test]
    fn large_filters_have_the_bits_of_small_steps() {
        let keys: Vec<String> = (0..30_000).map(|i| format!("host{i}.example/{i}")).collect();
        let least = 8 * regions::MIN_BYTES as u32;
        for bit_count in [least - 8, least - 7, least, least + 1, 3 * least + 5] {
            let parameters = Parameters::new(bit_count, 11, 5).unwrap();
            let mut one_by_one = BloomFilter::empty(parameters);
            keys.iter().for_each(|key| one_by_one.insert(key.as_bytes()));
            let mut together = BloomFilter::empty(parameters);
            together.insert_all(keys.iter().map(String::as_bytes));
            assert!(together.bytes() == one_by_one.bytes(), "{bit_count}");
        }
    }

    #[test]
    fn measured_false_positives_agree_with_the_estimate() {
        let mut filter = BloomFilter::empty(Sizing::Round.parameters(20_000, 0.01, 3).unwrap());
        let inserted: Vec<String> = (0..20_000).map(|i| format!("host{i}.example")).collect();
        filter.insert_all(inserted.iter().map(String::as_bytes));
        let passed =
            (0..100_000).filter(|i| filter.contains(format!("other{i}.test/x").as_bytes())).count();
        let expected = filter.statistics().estimated_false_positive_rate * 100_000.0;
        assert!((passed as f64 - expected).abs() < 0.15 * expected, "{passed} for {expected}");
    }

    #[test]
    fn the_number_of_keys_is_estimated() {
        for count in [0_u64, 1, 50, 1_000, 30_000] {
            let parameters = Sizing::Round.parameters(count.max(1), 0.001, 1).unwrap();
            let mut filter = BloomFilter::empty(parameters);
            (0..count).for_each(|key| filter.insert(format!("{key}.example").as_bytes()));
            let error = filter.estimated_key_count().abs_diff(count);
            assert!(error as f64 <= 1.0 + 0.02 * count as f64, "{count}: {error}");
        }
        let parameters = Parameters::new(16, 2, 1).unwrap();
        let full = BloomFilter::from_bytes(parameters, [0xff, 0xff]).unwrap();
        assert_eq!(full.estimated_key_count(), u64::MAX);
    }

    #[test]
    fn bad_data_is_refused() {
        let parameters = Parameters::new(10, 7, 1).unwrap();
        assert!(BloomFilter::from_bytes(parameters, [0x3f, 0x02]).is_ok());
        assert_eq!(
            BloomFilter::from_bytes(parameters, [0x3f, 0x06]).err(),
            Some(BloomError::SpareBits(0x06))
        );
        assert!(matches!(
            BloomFilter::from_bytes(parameters, [0x3f]).err(),
            Some(BloomError::DataLength { expected: 2, actual: 1, .. })
        ));
        assert_eq!(Parameters::new(0, 1, 0), Err(BloomError::NoBits));
        assert_eq!(Parameters::new(1, 0, 0), Err(BloomError::HashCount(0)));
        assert_eq!(Parameters::new(1, 1101, 0), Err(BloomError::HashCount(1101)));
        let mut one = BloomFilter::empty(parameters);
        let other = BloomFilter::empty(Parameters::new(10, 7, 2).unwrap());
        assert_eq!(one.merge(&other), Err(BloomError::Mismatch));
    }
}
