//! How a shard is laid out: the settings of the processing tool and what follows from them.

use crate::bucket::{EMPTY_BUCKET, MAX_SLOTS, SLOT_OVERHEAD};
use crate::cuckoo::{BucketCount, CuckooConfig, CuckooTables};
use crate::keyword::ShardingFunction;
use crate::parameters::{
    DatabaseKind, ParameterError, ShardDescription, ShardParameters, SymmetricParameters, packing,
};
use crate::shape::{
    DimensionRule, KeyCompression, MAX_DIMENSIONS, cheapest_dimensions, choose_dimensions,
    galois_elements,
};

/// Rows of one hash function that a bucket must hold at least: with fewer, buckets fill so unevenly that two
/// hash functions cost less.
const MIN_LARGE_BUCKET_ROWS: f64 = 40.0;
/// Standard deviations above the mean number of rows of a bucket that its size allows. A bucket of one hash
/// function that is full has no other place for its rows, so this must be rare: 3 in a million buckets.
const LARGE_BUCKET_DEVIATIONS: f64 = 4.5;
/// Growth of the rows for which tables of one hash function have room: as those of two have.
const LARGE_BUCKET_GROWTH: f64 = 1.1;

/// Settings of a shard's layout, with the defaults of the reference's tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The parameter set.
    pub encryption: bfv::Parameters,
    /// How shards are chosen.
    pub sharding: ShardingFunction,
    /// The number of hash functions, and so of tables. Default 2.
    pub hash_functions: usize,
    /// The number of rows that may be moved to make room for one. Default 100.
    pub max_evictions: u32,
    /// Largest number of slots of a bucket, 1 to 255. Default 255.
    pub max_slots: usize,
    /// How many buckets there are. Default: from a load of 0.9, growing by a factor of 1.1.
    pub buckets: BucketCount,
    /// Largest size of a bucket in bytes. The default depends on the longest value.
    pub max_bucket_size: Option<usize>,
    /// Whether entries have the largest possible size of a bucket, whatever the rows are. With a
    /// fixed number of buckets they always do. Default no.
    pub use_max_bucket_size: bool,
    /// Which Galois keys clients send. Default: one for each step of the expansion.
    pub compression: KeyCompression,
    /// How the dimensions follow from the plaintexts. Default: as the reference's tool chooses them.
    pub dimensions: DimensionRule,
    /// Whether the first dimension may be longer than the second by the reference's rule. Default yes.
    pub uneven_dimensions: bool,
    /// The symmetric variant's public key. Default none.
    pub symmetric: Option<SymmetricParameters>,
}

impl Plan {
    /// A plan for these encryption parameters, with the defaults of [`Plan`]'s fields.
    #[must_use]
    pub fn new(encryption: bfv::Parameters) -> Self {
        Self {
            encryption,
            sharding: ShardingFunction::Sha256,
            hash_functions: 2,
            max_evictions: 100,
            max_slots: 255,
            buckets: BucketCount::Expandable { expansion_factor: 1.1, target_load_factor: 0.9 },
            max_bucket_size: None,
            use_max_bucket_size: false,
            compression: KeyCompression::None,
            dimensions: DimensionRule::Reference,
            uneven_dimensions: true,
            symmetric: None,
        }
    }

    /// These settings with the layout that costs a server least where values are short: one hash function,
    /// buckets of a whole plaintext or an equal part of one, room for a tenth more rows, and the cheapest
    /// dimensions. `None` if values of `longest_value` bytes are too long for it, so that a bucket would
    /// hold fewer than 40 rows.
    ///
    /// The layout does not depend on how many rows there are, and values of up to `longest_value` bytes
    /// rarely change it.
    ///
    /// ```
    /// use keyword_pir::plan::Plan;
    /// let set = bfv::Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap();
    /// let plan = Plan::new(set).cheap(1).unwrap();
    /// assert_eq!((plan.hash_functions, plan.max_bucket_size), (1, Some(2048)));
    /// ```
    #[must_use]
    pub fn cheap(self, longest_value: usize) -> Option<Self> {
        let payload = self.encryption.payload_bytes();
        let row = (SLOT_OVERHEAD + longest_value) as f64;
        let slots = self.max_slots.min(MAX_SLOTS) as f64;
        // Of buckets that share a plaintext, those that hold the most rows together.
        let bucket = |together: usize| {
            let size = payload / together;
            let rows = (size.saturating_sub(EMPTY_BUCKET) as f64 / row).min(slots);
            let root = (4.0 * rows + LARGE_BUCKET_DEVIATIONS.powi(2)).sqrt();
            let mean = ((root - LARGE_BUCKET_DEVIATIONS) / 2.0).powi(2) / LARGE_BUCKET_GROWTH;
            (size, rows, mean, mean * together as f64)
        };
        let (size, rows, mean, _) =
            (1..=16).map(bucket).reduce(|a, b| if b.3 > a.3 { b } else { a })?;
        if rows < MIN_LARGE_BUCKET_ROWS {
            return None;
        }
        // In bytes, as targets of loads are, and rounded so that it can be written down.
        let load = (mean * row / size as f64 * 1000.0).floor() / 1000.0;
        Some(Self {
            hash_functions: 1,
            buckets: BucketCount::Expandable { expansion_factor: 1.05, target_load_factor: load },
            max_bucket_size: Some(size),
            use_max_bucket_size: true,
            dimensions: DimensionRule::Cheapest,
            ..self
        })
    }

    /// Bytes of the smallest bucket that holds a value of `longest_value` bytes.
    #[must_use]
    pub fn min_bucket_size(longest_value: usize) -> usize {
        EMPTY_BUCKET + SLOT_OVERHEAD + longest_value
    }

    /// Settings of tables for values of up to `longest_value` bytes. By default buckets have half a
    /// plaintext, or, for long values, the smallest sufficient number of whole plaintexts.
    #[must_use]
    pub fn cuckoo(&self, longest_value: usize) -> CuckooConfig {
        let payload = self.encryption.payload_bytes().max(1);
        let min = Self::min_bucket_size(longest_value);
        let half = payload / 2;
        let size = if min >= half { min.next_multiple_of(payload) } else { half };
        CuckooConfig {
            hash_functions: self.hash_functions,
            max_evictions: self.max_evictions,
            max_bucket_size: self.max_bucket_size.unwrap_or(size),
            max_slots: self.max_slots,
            buckets: self.buckets,
        }
    }

    fn shard(
        &self,
        kind: DatabaseKind,
        entries: u64,
        entry_size: u64,
        batch_size: u64,
    ) -> Result<ShardParameters, ParameterError> {
        let mut description = ShardDescription {
            encryption: self.encryption.clone(),
            kind,
            entries,
            entry_size,
            dimensions: vec![1],
            batch_size,
            galois_elements: Vec::new(),
            has_relinearization_key: true,
        };
        let payload = self.encryption.payload_bytes().max(1);
        let stored = description.stored_entry_size() as usize;
        let (_, chunks, plaintexts) = packing(payload, stored.max(1), entries);
        let calls = description.calls();
        description.dimensions = match self.dimensions {
            DimensionRule::Reference => {
                choose_dimensions(plaintexts, MAX_DIMENSIONS, calls, self.uneven_dimensions)
            }
            DimensionRule::Cheapest => {
                let (set, chunks) = (&self.encryption, chunks as u64);
                cheapest_dimensions(set, plaintexts, calls, chunks, self.compression).to_vec()
            }
            DimensionRule::Fixed(dimensions) => dimensions.to_vec(),
        };
        description.galois_elements = galois_elements(
            self.encryption.degree(),
            description.expanded(calls),
            self.compression,
        );
        description.check()
    }

    /// The parameters of a keyword shard of these tables.
    ///
    /// # Errors
    /// The rule of [`ShardDescription::check`] that does not hold.
    pub fn keyword_shard(
        &self,
        tables: &CuckooTables<'_>,
    ) -> Result<ShardParameters, ParameterError> {
        let fixed = self.use_max_bucket_size || matches!(self.buckets, BucketCount::Fixed(_));
        let entry_size = match fixed {
            true => tables.max_bucket_size(),
            false => tables.largest_bucket(),
        };
        let kind = DatabaseKind::Keyword {
            hash_functions: self.hash_functions,
            sharding: self.sharding,
            symmetric: self.symmetric.clone(),
        };
        let entries = tables.buckets_per_table() as u64;
        self.shard(kind, entries, entry_size as u64, self.hash_functions as u64)
    }

    /// The parameters that a keyword shard of `rows` rows is expected to have, whose values have `value_bytes`
    /// bytes together and at most `longest_value` each: those of the first attempt to fill the tables.
    ///
    /// # Errors
    /// The rule of [`ShardDescription::check`] that does not hold.
    pub fn expected_shard(
        &self,
        rows: u64,
        value_bytes: u64,
        longest_value: usize,
    ) -> Result<ShardParameters, ParameterError> {
        let cuckoo = self.cuckoo(longest_value);
        let size = rows.saturating_mul(SLOT_OVERHEAD as u64).saturating_add(value_bytes);
        let entries = (cuckoo.start_for(size) / self.hash_functions.max(1) as u64).max(1);
        let kind = DatabaseKind::Keyword {
            hash_functions: self.hash_functions,
            sharding: self.sharding,
            symmetric: self.symmetric.clone(),
        };
        self.shard(kind, entries, cuckoo.max_bucket_size as u64, self.hash_functions as u64)
    }

    /// The parameters of a shard of `entries` numbered entries of up to `entry_size` bytes.
    ///
    /// # Errors
    /// The rule of [`ShardDescription::check`] that does not hold.
    pub fn index_shard(
        &self,
        entries: u64,
        entry_size: u64,
        encodes_entry_size: bool,
    ) -> Result<ShardParameters, ParameterError> {
        self.shard(DatabaseKind::Index { encodes_entry_size }, entries, entry_size.max(1), 1)
    }

    /// Settings that give tables of the shape that `parameters` describe, so that clients need no
    /// other parameters; `None` for a database of numbered entries.
    #[must_use]
    pub fn of_parameters(parameters: &ShardParameters) -> Option<Self> {
        let description = parameters.description();
        let DatabaseKind::Keyword { hash_functions, sharding, symmetric } = &description.kind
        else {
            return None;
        };
        Some(Self {
            sharding: *sharding,
            hash_functions: *hash_functions,
            buckets: BucketCount::Fixed(description.entries * *hash_functions as u64),
            max_bucket_size: Some(description.entry_size as usize),
            dimensions: match description.dimensions[..] {
                [rows, columns] => DimensionRule::Fixed([rows, columns]),
                _ => DimensionRule::Reference,
            },
            symmetric: symmetric.clone(),
            ..Self::new(description.encryption.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuckoo::Row;
    use crate::keyword::KeywordHash;

    fn set(name: &str) -> bfv::Parameters {
        bfv::Parameters::predefined(name).unwrap()
    }

    const LOGT_5: &str = "n_4096_logq_27_28_28_logt_5";

    /// One below, at, and one above the longest value of each set.
    #[test]
    fn the_cheap_layout_is_for_short_values() {
        for (name, longest) in [
            (LOGT_5, 41),
            ("n_4096_logq_27_28_28_logt_6", 53),
            ("n_4096_logq_27_28_28_logt_4", 28),
            ("n_8192_logq_3x55_logt_24", 578),
        ] {
            let cheap = |value| Plan::new(set(name)).cheap(value).is_some();
            let found = [longest - 1, longest, longest + 1].map(cheap);
            assert_eq!(found, [true, true, false], "{name}");
        }
        assert_eq!(Plan::new(set(LOGT_5)).cheap(usize::MAX - 100), None);
    }

    /// 255 slots fill a bucket, so large plaintexts are divided.
    #[test]
    fn large_buckets_fill_a_plaintext_or_an_equal_part() {
        for (name, value, size) in [
            (LOGT_5, 1, 2048),
            ("n_4096_logq_27_28_28_logt_6", 1, 2560),
            ("n_4096_logq_27_28_28_logt_17", 1, 2730),
        ] {
            let plan = Plan::new(set(name)).cheap(value).unwrap();
            assert_eq!(plan.max_bucket_size, Some(size), "{name}");
        }
    }

    #[test]
    fn a_tenth_more_rows_fit_the_cheap_layout() {
        for value in [0_usize, 1, 10, 41] {
            let plan = Plan::new(set(LOGT_5)).cheap(value).unwrap();
            let values = vec![7; value];
            let rows: Vec<Row<'_>> = (0..22_000_u32)
                .map(|i| Row { hash: KeywordHash::of(&i.to_le_bytes()), value: &values })
                .collect();
            let tables = CuckooTables::build(&plan.cuckoo(value), &rows[..20_000]).unwrap();
            assert_eq!((tables.expansions(), tables.tables()), (0, 1), "{value}");
            let expected = plan.expected_shard(20_000, 20_000 * value as u64, value).unwrap();
            assert_eq!(plan.keyword_shard(&tables).unwrap(), expected, "{value}");
            let mut kept = plan.clone();
            kept.buckets = BucketCount::Fixed(tables.buckets_per_table() as u64);
            assert!(CuckooTables::build(&kept.cuckoo(value), &rows).is_ok(), "{value}");
        }
    }
}
