//! The evaluation key cache: keys that are checked and ready for queries, within a memory limit.

use crate::data_set::DataSet;
use crate::store::{KeyId, Store, StoredKey};
use bfv::serialize::SerializedEvaluationKey;
use keyword_pir::{EvaluationKey, Scheme};
use pir_api::{bounded, convert, he};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unix_clock::Timestamp;

/// Largest number of protobuf fields of an evaluation key: it has a few for each ciphertext. Those of devices have fewer
/// than 300.
pub(crate) const MAX_KEY_FIELDS: usize = 4096;
/// Memory of an entry in addition to its key, in bytes.
const OVERHEAD: u64 = 512;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// An evaluation key in the form that queries use.
pub(crate) struct ReadyKey {
    key: EvaluationKey,
    timestamp: u64,
    /// Day of the last use that the store knows of, in days since 1970.
    noted_day: AtomicU64,
}

impl ReadyKey {
    /// The prepared key.
    pub(crate) fn key(&self) -> &EvaluationKey {
        &self.key
    }

    /// When the client made the key, as the client says; in Unix seconds. Queries name the key by it.
    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp
    }
}

/// The bytes are not a valid evaluation key for the data set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// They are not a protobuf message, or have too many fields.
    #[error(transparent)]
    Message(#[from] bounded::BoundedError),
    /// A field of the message is missing.
    #[error(transparent)]
    Convert(#[from] convert::ConvertError),
    /// The key is not valid, or is not for the key configuration of the data set.
    #[error(transparent)]
    Key(#[from] keyword_pir::Error),
}

/// Removes what a key has and the key configuration of the data set does not ask for: it would take memory in the store
/// and serve no query.
pub(crate) fn keep_requested(data: &DataSet, message: &mut he::SerializedEvaluationKey) {
    let config = data.key_config();
    if let Some(galois) = &mut message.galois_key {
        galois.key_switch_keys.retain(|element, _| {
            u32::try_from(*element).is_ok_and(|element| config.galois_elements.contains(&element))
        });
    }
    if !config.has_relinearization_key {
        message.relin_key = None;
    }
}

/// Memory of a prepared key for a data set, in bytes.
pub(crate) fn prepared_bytes(data: &DataSet) -> usize {
    Scheme::evaluation_key_memory(data.key_config())
}

/// Checks an evaluation key and prepares it for queries. It computes for milliseconds.
///
/// # Errors
/// [`KeyError::Convert`] and [`KeyError::Key`] if the key is not valid for the data set.
pub(crate) fn prepare(
    data: &DataSet,
    mut message: he::SerializedEvaluationKey,
    timestamp: u64,
) -> Result<ReadyKey, KeyError> {
    keep_requested(data, &mut message);
    let serialized = SerializedEvaluationKey::try_from(message)?;
    let key = data.scheme().prepare_evaluation_key(data.key_config(), &serialized)?;
    Ok(ReadyKey { key, timestamp, noted_day: AtomicU64::new(0) })
}

/// Prepares an evaluation key from the store.
///
/// # Errors
/// [`KeyError`] if the stored bytes are not a valid key for the data set.
pub(crate) fn prepare_stored(data: &DataSet, stored: &StoredKey) -> Result<ReadyKey, KeyError> {
    prepare(data, bounded::decode(&stored.bytes, MAX_KEY_FIELDS)?, stored.timestamp)
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<KeyId, Arc<ReadyKey>> for ByMemory {
    fn weight(&self, _: &KeyId, key: &Arc<ReadyKey>) -> u64 {
        key.key.memory() as u64 + OVERHEAD
    }
}

/// Prepared keys by their id. The least useful ones are removed when the memory limit is reached.
pub(crate) struct KeyCache {
    cache: Cache<KeyId, Arc<ReadyKey>, ByMemory>,
}

impl KeyCache {
    /// A cache that holds at most `bytes` bytes of keys.
    pub(crate) fn new(bytes: u64) -> Self {
        // A prepared key of the usual parameters takes about 2 MB.
        let expected = usize::try_from(bytes >> 21).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self { cache: Cache::with_weighter(expected, bytes, ByMemory) }
    }

    /// A key of the cache. The first use on each day is recorded in the store.
    pub(crate) fn get(
        &self,
        id: &KeyId,
        store: &dyn Store,
        now: Timestamp,
    ) -> Option<Arc<ReadyKey>> {
        let key = self.cache.get(id)?;
        let day = now.unix_seconds() / DAY;
        if key.noted_day.swap(day, Ordering::Relaxed) != day {
            store.touch_evaluation_key(*id, now);
        }
        Some(key)
    }

    /// Adds a key, or replaces the one with this id.
    pub(crate) fn insert(&self, id: KeyId, key: Arc<ReadyKey>) {
        self.cache.insert(id, key);
    }

    /// A key of the cache, or else the result of `make`, which is added. Of concurrent calls for one id, only one
    /// runs `make`.
    ///
    /// # Errors
    /// Those of `make`. Nothing is added then.
    pub(crate) async fn get_or<E>(
        &self,
        id: &KeyId,
        make: impl Future<Output = Result<Arc<ReadyKey>, E>>,
    ) -> Result<Arc<ReadyKey>, E> {
        self.cache.get_or_insert_async(id, make).await
    }

    /// Removes a key.
    pub(crate) fn remove(&self, id: &KeyId) {
        self.cache.remove(id);
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Memory of the keys, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.cache.weight()
    }
}
