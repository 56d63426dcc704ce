//! Cuckoo tables: where each keyword's value is stored.
//!
//! There are as many tables as hash functions, and a value is in exactly one of its candidate
//! buckets. How tables are filled is no part of the protocol. Here the same rows, in any order,
//! always give the same tables: which row to evict is chosen by a generator with a fixed start.

use crate::bucket::{self, EMPTY_BUCKET, MAX_SLOTS, MAX_VALUE, SLOT_OVERHEAD};
use crate::keyword::{KeywordHash, MAX_HASH_FUNCTIONS};
use crate::parameters::{MAX_ADDRESSABLE, MAX_ENTRY_SIZE};
use crate::threads;

/// One row of a keyword database.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a pair that callers make")]
pub struct Row<'r> {
    /// The keyword's hash.
    pub hash: KeywordHash,
    /// Its value, at most [`MAX_VALUE`] bytes.
    pub value: &'r [u8],
}

/// How many buckets there are.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers that store settings must name each variant")]
pub enum BucketCount {
    /// As many as the rows need.
    Expandable {
        /// The factor by which tables grow when a row finds no place, above 1 and at most 1000.
        expansion_factor: f64,
        /// The load of the first attempt, above 0 and below 1.
        target_load_factor: f64,
    },
    /// This many in all tables together, rounded up to a multiple of the number of tables; 1 to
    /// 2^32.
    Fixed(u64),
}

/// How tables are filled. Made by [`Plan::cuckoo`](crate::plan::Plan::cuckoo).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CuckooConfig {
    /// The number of hash functions, and so of tables; 1 to [`MAX_HASH_FUNCTIONS`].
    pub hash_functions: usize,
    /// The number of rows that may be moved to make room for one.
    pub max_evictions: u32,
    /// Largest size of a bucket in bytes; 11 to [`MAX_ENTRY_SIZE`].
    pub max_bucket_size: usize,
    /// Largest number of slots of a bucket; 1 to [`MAX_SLOTS`].
    pub max_slots: usize,
    /// How many buckets there are.
    pub buckets: BucketCount,
}

/// Why a table cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CuckooError {
    /// A setting is out of range.
    #[error("{what} is {found}; {range} is possible")]
    Setting {
        /// The name of the setting.
        what: &'static str,
        /// The value that was given.
        found: f64,
        /// What it can be.
        range: &'static str,
    },
    /// There are more rows than tables can number.
    #[error("{rows} rows; at most {max} are possible: use more shards")]
    TooManyRows {
        /// The number of rows.
        rows: usize,
        /// The largest possible number.
        max: u32,
    },
    /// A value does not fit a bucket.
    #[error("a value of {length} bytes needs a bucket of {needed} bytes, and buckets have {limit}")]
    TooLarge {
        /// The position of the row, from 0.
        row: usize,
        /// Bytes of its value.
        length: usize,
        /// Bytes of a bucket with this value alone.
        needed: usize,
        /// Largest size of a bucket in bytes.
        limit: usize,
    },
    /// A fixed number of buckets is too small.
    #[error("{rows} rows do not fit {buckets} buckets")]
    Full {
        /// The position of the row that found no place, from 0.
        row: usize,
        /// The number of rows.
        rows: usize,
        /// The number of buckets of all tables.
        buckets: u64,
    },
}

impl CuckooConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`CuckooError::Setting`] for one that is out of range.
    pub fn check(&self) -> Result<(), CuckooError> {
        let refuse = |what, found, range| Err(CuckooError::Setting { what, found, range });
        if !(1..=MAX_HASH_FUNCTIONS).contains(&self.hash_functions) {
            return refuse("hashFunctionCount", self.hash_functions as f64, "1 to 32");
        }
        if !(1..=MAX_SLOTS).contains(&self.max_slots) {
            return refuse("slotCount", self.max_slots as f64, "1 to 255");
        }
        let min = EMPTY_BUCKET + SLOT_OVERHEAD;
        if !(min..=MAX_ENTRY_SIZE as usize).contains(&self.max_bucket_size) {
            let found = self.max_bucket_size as f64;
            return refuse("maxSerializedBucketSize", found, "11 to 16777216");
        }
        match self.buckets {
            BucketCount::Expandable { expansion_factor: factor, .. }
                if !(factor > 1.0 && factor <= 1000.0) =>
            {
                refuse("expansionFactor", factor, "above 1 and up to 1000")
            }
            BucketCount::Expandable { target_load_factor: load, .. }
                if !(load > 0.0 && load < 1.0) =>
            {
                refuse("targetLoadFactor", load, "above 0 and below 1")
            }
            BucketCount::Fixed(count) if !(1..=MAX_ADDRESSABLE).contains(&count) => {
                refuse("bucketCount", count as f64, "1 to 4294967296")
            }
            _ => Ok(()),
        }
    }

    fn round_up(&self, buckets: u64) -> u64 {
        buckets.next_multiple_of(self.hash_functions as u64)
    }

    fn start(&self, rows: &[Row<'_>]) -> u64 {
        let size = rows.iter().map(|row| (SLOT_OVERHEAD + row.value.len()) as u64).sum::<u64>();
        self.start_for(size)
    }

    /// The buckets of the first attempt for rows that take so many bytes of buckets.
    pub(crate) fn start_for(&self, size: u64) -> u64 {
        match self.buckets {
            BucketCount::Fixed(count) => self.round_up(count),
            BucketCount::Expandable { target_load_factor, .. } => {
                let full = (EMPTY_BUCKET as u64 + size).div_ceil(self.max_bucket_size as u64);
                self.round_up((full as f64 / target_load_factor).ceil() as u64)
            }
        }
    }
}

/// Chooses rows to evict: SplitMix64, whose start is fixed.
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(x ^ (x >> 31)) * bound as u128) >> 64) as usize
    }
}

#[derive(Clone, Debug)]
struct Bucket {
    rows: Vec<u32>,
    size: usize,
}

/// Filled tables. They refer to the values of the rows.
#[derive(Clone, Debug)]
pub struct CuckooTables<'r> {
    rows: Vec<Row<'r>>,
    /// Table after table.
    buckets: Vec<Bucket>,
    per_table: usize,
    evictions: u64,
    expansions: u32,
    max_bucket_size: usize,
}

/// A table that is being filled.
struct Filling<'f, 'r> {
    config: &'f CuckooConfig,
    rows: &'f [Row<'r>],
    /// For each row, an index into `buckets` for each hash function.
    candidates: Vec<u64>,
    buckets: Vec<Bucket>,
    choice: Choice,
    evictions: u64,
}

impl Filling<'_, '_> {
    fn size(&self, row: u32) -> usize {
        SLOT_OVERHEAD + self.rows[row as usize].value.len()
    }

    fn candidates(&self, row: u32) -> &[u64] {
        &self.candidates[row as usize * self.config.hash_functions..][..self.config.hash_functions]
    }

    /// Puts a row into the first candidate bucket with room. Returns whether there was one.
    fn place(&mut self, row: u32) -> bool {
        let size = self.size(row);
        let (slots, limit) = (self.config.max_slots, self.config.max_bucket_size);
        let functions = self.config.hash_functions;
        let candidates = &self.candidates[row as usize * functions..][..functions];
        for &candidate in candidates {
            let bucket = &mut self.buckets[candidate as usize];
            if bucket.rows.len() < slots && bucket.size + size <= limit {
                bucket.rows.push(row);
                bucket.size += size;
                return true;
            }
        }
        false
    }

    /// Puts a row in the place of another, which is returned; `None` if no exchange makes it fit.
    fn swap(&mut self, row: u32) -> Option<u32> {
        let size = self.size(row);
        let mut options = Vec::new();
        for &candidate in self.candidates(row) {
            let bucket = &self.buckets[candidate as usize];
            for (slot, &other) in bucket.rows.iter().enumerate() {
                if bucket.size - self.size(other) + size <= self.config.max_bucket_size {
                    options.push((candidate as usize, slot));
                }
            }
        }
        if options.is_empty() {
            return None;
        }
        let (bucket, slot) = options[self.choice.below(options.len())];
        let evicted = std::mem::replace(&mut self.buckets[bucket].rows[slot], row);
        self.buckets[bucket].size += size;
        self.buckets[bucket].size -= self.size(evicted);
        self.evictions += 1;
        Some(evicted)
    }

    fn insert(&mut self, row: u32) -> Result<(), u32> {
        let mut homeless = row;
        for _ in 0..=self.config.max_evictions {
            if self.place(homeless) {
                return Ok(());
            }
            homeless = self.swap(homeless).ok_or(homeless)?;
        }
        if self.place(homeless) { Ok(()) } else { Err(homeless) }
    }
}

impl<'r> CuckooTables<'r> {
    /// Fills tables with rows. The order of the rows does not matter, except among rows of equal
    /// hash.
    ///
    /// # Errors
    /// [`CuckooError::Setting`] for settings out of range, [`CuckooError::TooManyRows`],
    /// [`CuckooError::TooLarge`] for a value that no bucket holds, and [`CuckooError::Full`] if the
    /// rows do not fit. Positions in errors are those of `rows`.
    pub fn build(config: &CuckooConfig, rows: &[Row<'r>]) -> Result<Self, CuckooError> {
        config.check()?;
        let max = u32::MAX;
        if rows.len() > max as usize {
            return Err(CuckooError::TooManyRows { rows: rows.len(), max });
        }
        let limit = config.max_bucket_size;
        for (number, row) in rows.iter().enumerate() {
            let length = row.value.len();
            let needed = EMPTY_BUCKET + SLOT_OVERHEAD + length;
            if needed > limit || length > MAX_VALUE {
                return Err(CuckooError::TooLarge { row: number, length, needed, limit });
            }
        }
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by_key(|&row| (rows[row as usize].hash, row));
        let sorted: Vec<Row<'r>> = order.iter().map(|&row| rows[row as usize]).collect();
        let mut count = config.start(&sorted);
        let mut expansions = 0;
        loop {
            let per_table = count / config.hash_functions as u64;
            let mut filling = Filling {
                config,
                rows: &sorted,
                candidates: candidates(&sorted, per_table, config.hash_functions),
                buckets: vec![Bucket { rows: Vec::new(), size: EMPTY_BUCKET }; count as usize],
                choice: Choice(0),
                evictions: 0,
            };
            let outcome = (0..sorted.len() as u32).try_for_each(|row| filling.insert(row));
            match (outcome, config.buckets) {
                (Ok(()), _) => {
                    let Filling { buckets, evictions, .. } = filling;
                    let per_table = per_table as usize;
                    let max_bucket_size = config.max_bucket_size;
                    return Ok(Self {
                        rows: sorted,
                        buckets,
                        per_table,
                        evictions,
                        expansions,
                        max_bucket_size,
                    });
                }
                (Err(homeless), BucketCount::Fixed(_)) => {
                    let row = order[homeless as usize] as usize;
                    return Err(CuckooError::Full { row, rows: rows.len(), buckets: count });
                }
                (Err(homeless), BucketCount::Expandable { expansion_factor, .. }) => {
                    expansions += 1;
                    count = config.round_up((count as f64 * expansion_factor).ceil() as u64);
                    if count > MAX_ADDRESSABLE {
                        let row = order[homeless as usize] as usize;
                        return Err(CuckooError::Full { row, rows: rows.len(), buckets: count });
                    }
                }
            }
        }
    }

    /// The number of buckets of one table.
    #[must_use]
    pub fn buckets_per_table(&self) -> usize {
        self.per_table
    }

    /// The number of tables.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.buckets.len() / self.per_table.max(1)
    }

    /// The configured largest size of a bucket in bytes.
    #[must_use]
    pub fn max_bucket_size(&self) -> usize {
        self.max_bucket_size
    }

    /// Bytes of the largest bucket.
    #[must_use]
    pub fn largest_bucket(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.size).max().unwrap_or(EMPTY_BUCKET)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The number of rows that were moved to make room, in the attempt that succeeded.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// The number of times that the tables had to grow.
    #[must_use]
    pub fn expansions(&self) -> u32 {
        self.expansions
    }

    /// The share of bytes in use, from 0 to 1, if each bucket takes `entry_size` bytes.
    #[must_use]
    pub fn load(&self, entry_size: usize) -> f64 {
        let used: usize = self.buckets.iter().map(|bucket| bucket.size).sum();
        used as f64 / (self.buckets.len() * entry_size.max(1)) as f64
    }

    /// The number of slots of the bucket that has the most.
    #[must_use]
    pub fn max_slots(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.rows.len()).max().unwrap_or(0)
    }

    /// Appends the bytes of a bucket to `out`, without padding.
    pub(crate) fn write_bucket(&self, table: usize, index: usize, out: &mut Vec<u8>) {
        let slots = self.buckets[table * self.per_table + index].rows.iter().map(|&row| {
            let row = self.rows[row as usize];
            (row.hash, row.value)
        });
        bucket::write(out, slots);
    }
}

/// Candidates of all rows, as indices into the buckets of all tables.
fn candidates(rows: &[Row<'_>], per_table: u64, functions: usize) -> Vec<u64> {
    let mut all = vec![0; rows.len() * functions];
    threads::for_each_part(&mut all, functions, rows, |out, row| {
        let candidates = row.hash.candidates(per_table, functions);
        for (table, (out, bucket)) in out.iter_mut().zip(candidates).enumerate() {
            *out = table as u64 * per_table + bucket;
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(buckets: BucketCount) -> CuckooConfig {
        CuckooConfig {
            hash_functions: 2,
            max_evictions: 100,
            max_bucket_size: 64,
            max_slots: 255,
            buckets,
        }
    }

    const GROWING: BucketCount =
        BucketCount::Expandable { expansion_factor: 1.1, target_load_factor: 0.9 };

    proptest! {
        #[test]
        fn every_row_is_in_one_of_its_buckets(
            lengths in prop::collection::vec(0_usize..50, 0..300),
            functions in 1_usize..4,
            slots in 1_usize..8,
        ) {
            let values: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![7; length]).collect();
            let rows: Vec<Row<'_>> = values
                .iter()
                .enumerate()
                .map(|(i, value)| Row { hash: KeywordHash::of(&i.to_le_bytes()), value })
                .collect();
            let config = CuckooConfig {
                hash_functions: functions, max_slots: slots, ..config(GROWING)
            };
            let tables = CuckooTables::build(&config, &rows).unwrap();
            let per_table = tables.buckets_per_table();
            let mut found = 0;
            for row in &rows {
                let candidates = row.hash.candidates(per_table as u64, functions);
                for (table, &index) in candidates.iter().enumerate() {
                    let mut bytes = Vec::new();
                    tables.write_bucket(table, index as usize, &mut bytes);
                    prop_assert!(bytes.len() <= config.max_bucket_size);
                    prop_assert!(usize::from(bytes[0]) <= slots);
                    if let Some(value) = bucket::find(&bytes, row.hash).unwrap() {
                        prop_assert_eq!(value, row.value);
                        found += 1;
                    }
                }
            }
            prop_assert_eq!(found, rows.len());
            // The order of the rows does not matter.
            let reversed: Vec<_> = rows.iter().rev().copied().collect();
            let again = CuckooTables::build(&config, &reversed).unwrap();
            for index in 0..per_table {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                tables.write_bucket(0, index, &mut a);
                again.write_bucket(0, index, &mut b);
                prop_assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let large = vec![0; 60];
        let hash = |i: u8| KeywordHash::of(&[i]);
        let rows = [Row { hash: hash(0), value: b"1" }, Row { hash: hash(1), value: &large }];
        let error = CuckooTables::build(&config(GROWING), &rows).unwrap_err();
        assert_eq!(error, CuckooError::TooLarge { row: 1, length: 60, needed: 71, limit: 64 });
        let rows: Vec<_> = (0..40).map(|i| Row { hash: hash(i), value: b"1" }).collect();
        let error = CuckooTables::build(&config(BucketCount::Fixed(3)), &rows).unwrap_err();
        assert!(matches!(error, CuckooError::Full { rows: 40, buckets: 4, .. }));
        assert!(CuckooTables::build(&config(BucketCount::Fixed(12)), &rows).is_ok());
    }

    #[test]
    fn settings_are_checked() {
        let with = |change: fn(&mut CuckooConfig)| {
            let mut changed = config(GROWING);
            change(&mut changed);
            changed.check()
        };
        assert!(with(|_| {}).is_ok());
        assert!(with(|c| c.hash_functions = 0).is_err());
        assert!(with(|c| c.max_slots = 256).is_err());
        assert!(with(|c| c.max_bucket_size = 10).is_err());
        assert!(with(|c| c.buckets = BucketCount::Fixed(0)).is_err());
        for (expansion_factor, target_load_factor) in
            [(1.0, 0.5), (f64::NAN, 0.5), (2.0, 1.0), (2.0, 0.0), (2.0, f64::NAN)]
        {
            let buckets = BucketCount::Expandable { expansion_factor, target_load_factor };
            assert!(config(buckets).check().is_err());
        }
    }

    /// One below, at, and one above each limit.
    #[test]
    fn limits() {
        let check = |change: &dyn Fn(&mut CuckooConfig)| {
            let mut changed = config(GROWING);
            change(&mut changed);
            changed.check().is_ok()
        };
        let at = |limit: usize, change: &dyn Fn(&mut CuckooConfig, usize)| {
            [limit - 1, limit, limit + 1].map(|value| check(&|c| change(c, value)))
        };
        assert_eq!(at(MAX_HASH_FUNCTIONS, &|c, n| c.hash_functions = n), [true, true, false]);
        assert_eq!(at(MAX_SLOTS, &|c, n| c.max_slots = n), [true, true, false]);
        let sizes = at(MAX_ENTRY_SIZE as usize, &|c, n| c.max_bucket_size = n);
        assert_eq!(sizes, [true, true, false]);
        let sizes = at(EMPTY_BUCKET + SLOT_OVERHEAD, &|c, n| c.max_bucket_size = n);
        assert_eq!(sizes, [false, true, true]);
        let fixed = |count| check(&|c| c.buckets = BucketCount::Fixed(count));
        assert_eq!(
            [0, 1, MAX_ADDRESSABLE, MAX_ADDRESSABLE + 1].map(fixed),
            [false, true, true, false]
        );
        // The length of a value takes two bytes.
        let large = CuckooConfig { max_bucket_size: 1 << 20, ..config(GROWING) };
        let value = vec![1; MAX_VALUE + 1];
        let fits = |length: usize| {
            let row = Row { hash: KeywordHash::of(b"k"), value: &value[..length] };
            CuckooTables::build(&large, &[row]).is_ok()
        };
        assert_eq!([MAX_VALUE - 1, MAX_VALUE, MAX_VALUE + 1].map(fits), [true, true, false]);
    }

    /// The reference can lose a row that nothing can make room for; here the tables grow instead.
    #[test]
    fn rows_of_unequal_size_are_never_lost() {
        let values: Vec<Vec<u8>> = (0..200_usize).map(|i| vec![1; (i * 37) % 54]).collect();
        let rows: Vec<Row<'_>> = values
            .iter()
            .enumerate()
            .map(|(i, value)| Row { hash: KeywordHash::of(&i.to_le_bytes()), value })
            .collect();
        let tables = CuckooTables::build(&config(GROWING), &rows).unwrap();
        let stored: usize = tables.buckets.iter().map(|bucket| bucket.rows.len()).sum();
        assert_eq!(stored, rows.len());
    }
}
