//! Evaluation keys that are parsed and ready, within a budget of memory.

use crate::data_set::DataSet;
use crate::store::{KeyId, Store, StoredKey};
use bfv::serialize::SerializedEvaluationKey;
use keyword_pir::EvaluationKey;
use pir_api::{bounded, convert, he};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unix_clock::Timestamp;

/// Fields of an evaluation key: a few for each of its ciphertexts.
pub const MAX_KEY_FIELDS: usize = 20_000;
/// What an entry costs besides its key.
const OVERHEAD: u64 = 512;
const DAY: u64 = 86_400;

/// A key, ready for queries.
pub struct ReadyKey {
    key: EvaluationKey,
    timestamp: u64,
    noted_day: AtomicU64,
}

impl ReadyKey {
    /// The key.
    pub fn key(&self) -> &EvaluationKey {
        &self.key
    }

    /// When the client made it.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }
}

/// Bytes are no key of these parameters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// They are not a message.
    #[error(transparent)]
    Message(#[from] bounded::BoundedError),
    /// They lack a part.
    #[error(transparent)]
    Convert(#[from] convert::ConvertError),
    /// They are not valid, or not the keys that were asked for.
    #[error(transparent)]
    Key(#[from] keyword_pir::Error),
}

/// Checks a key and makes it ready. Takes milliseconds.
pub fn prepare(
    data: &DataSet,
    message: he::SerializedEvaluationKey,
    timestamp: u64,
) -> Result<ReadyKey, KeyError> {
    let serialized = SerializedEvaluationKey::try_from(message)?;
    let key = data.scheme().prepare_evaluation_key(data.key_config(), &serialized)?;
    Ok(ReadyKey { key, timestamp, noted_day: AtomicU64::new(0) })
}

/// The same from what a store has.
pub fn prepare_stored(data: &DataSet, stored: &StoredKey) -> Result<ReadyKey, KeyError> {
    prepare(data, bounded::decode(&stored.bytes, MAX_KEY_FIELDS)?, stored.timestamp)
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<KeyId, Arc<ReadyKey>> for ByMemory {
    fn weight(&self, _: &KeyId, key: &Arc<ReadyKey>) -> u64 {
        key.key.memory() as u64 + OVERHEAD
    }
}

/// Prepared keys by their id.
pub struct KeyCache {
    cache: Cache<KeyId, Arc<ReadyKey>, ByMemory>,
}

impl KeyCache {
    /// A cache of so many bytes.
    pub fn new(bytes: u64) -> Self {
        // A prepared key of the usual parameters takes about 2 MB.
        let expected = usize::try_from(bytes >> 21).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self { cache: Cache::with_weighter(expected, bytes, ByMemory) }
    }

    /// A key that is ready. Its use is noted in the store once a day.
    pub fn get(&self, id: &KeyId, store: &dyn Store, now: Timestamp) -> Option<Arc<ReadyKey>> {
        let key = self.cache.get(id)?;
        let day = now.unix_seconds() / DAY;
        if key.noted_day.swap(day, Ordering::Relaxed) != day {
            store.touch_evaluation_key(*id, now);
        }
        Some(key)
    }

    /// Puts a key in.
    pub fn insert(&self, id: KeyId, key: Arc<ReadyKey>) {
        self.cache.insert(id, key);
    }

    /// A key that is ready, or what `make` makes; of several who want the same one, one makes it.
    pub async fn get_or<E>(
        &self,
        id: &KeyId,
        make: impl Future<Output = Result<Arc<ReadyKey>, E>>,
    ) -> Result<Arc<ReadyKey>, E> {
        self.cache.get_or_insert_async(id, make).await
    }

    /// Forgets a key.
    pub fn remove(&self, id: &KeyId) {
        self.cache.remove(id);
    }

    /// Keys in memory.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }
}
