//! How a shard is laid out: the settings of the processing tool and what follows from them.

use crate::bucket::{EMPTY_BUCKET, SLOT_OVERHEAD};
use crate::cuckoo::{BucketCount, CuckooConfig, CuckooTables};
use crate::keyword::ShardingFunction;
use crate::parameters::{
    DatabaseKind, ParameterError, ShardDescription, ShardParameters, SymmetricParameters, packing,
};
use crate::shape::{KeyCompression, MAX_DIMENSIONS, choose_dimensions, galois_elements};

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
    /// Whether the first dimension may be longer than the second. Default yes.
    pub uneven_dimensions: bool,
    /// The symmetric variant's public key. Default none.
    pub symmetric: Option<SymmetricParameters>,
}

impl Plan {
    /// The defaults.
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
            uneven_dimensions: true,
            symmetric: None,
        }
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
        let (_, _, plaintexts) = packing(payload, stored.max(1), entries);
        let calls = description.calls();
        description.dimensions =
            choose_dimensions(plaintexts, MAX_DIMENSIONS, calls, self.uneven_dimensions);
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
            symmetric: symmetric.clone(),
            ..Self::new(description.encryption.clone())
        })
    }
}
