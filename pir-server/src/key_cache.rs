//! The evaluation key cache: keys that are checked and ready for queries, within a memory limit.
//!
//! A key that queries use stays in the cache, and others make room. All keys that are in memory count, those that are being
//! prepared and those that were replaced while queries use them included: if queries use so many that there is no memory
//! for another one, no other is prepared.

use crate::data_set::DataSet;
use crate::store::{KeyId, Store, StoredKey};
use bfv::serialize::SerializedEvaluationKey;
use keyword_pir::{EvaluationKey, Scheme};
use pir_api::{bounded, convert, he};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unix_clock::Timestamp;

/// Largest number of protobuf fields of an evaluation key: it has a few for each ciphertext. Those of devices have fewer
/// than 300.
pub(crate) const MAX_KEY_FIELDS: usize = 4096;
/// Memory of an entry in addition to its key, in bytes.
const OVERHEAD: usize = 512;
/// Memory for keys that are being prepared, or that were replaced while queries use them, beside that of the cache: a part of
/// the cache's, as a divisor, and at least so many bytes.
const RESERVE_PART: u64 = 4;
const MIN_RESERVE: u64 = 64 << 20;
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

/// Queries use as many keys as there is memory for. Their requests may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyMemoryExhausted;

/// The memory that all keys take that count in a cache.
struct KeyMemory {
    used: AtomicU64,
    max: u64,
}

impl KeyMemory {
    fn room(self: &Arc<Self>, bytes: usize) -> Result<KeyRoom, KeyMemoryExhausted> {
        let mut room = KeyRoom { memory: Arc::clone(self), bytes: 0 };
        room.grow(bytes)?;
        Ok(room)
    }
}

/// Memory for a key, given back when dropped.
#[must_use]
pub(crate) struct KeyRoom {
    memory: Arc<KeyMemory>,
    bytes: u64,
}

impl KeyRoom {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`KeyMemoryExhausted`] if there is not enough.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), KeyMemoryExhausted> {
        let (more, max) = (bytes as u64, self.memory.max);
        let grown = |used: u64| used.checked_add(more).filter(|&used| used <= max);
        let taken = self.memory.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        taken.map_err(|_| KeyMemoryExhausted)?;
        self.bytes += more;
        Ok(())
    }

    /// Gives back all but `bytes`.
    fn shrink_to(&mut self, bytes: u64) {
        let fewer = self.bytes.saturating_sub(bytes);
        self.memory.used.fetch_sub(fewer, Ordering::Relaxed);
        self.bytes -= fewer;
    }
}

impl Drop for KeyRoom {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A key that counts in the memory of a cache.
pub(crate) struct CachedKey {
    key: ReadyKey,
    _room: KeyRoom,
}

impl CachedKey {
    /// A key, and room that was taken for it, of which it needs no more than its own memory.
    pub(crate) fn new(key: ReadyKey, mut room: KeyRoom) -> Self {
        room.shrink_to(memory(&key) as u64);
        Self { key, _room: room }
    }
}

impl Deref for CachedKey {
    type Target = ReadyKey;

    fn deref(&self) -> &ReadyKey {
        &self.key
    }
}

/// Memory of a key in the cache, in bytes.
fn memory(key: &ReadyKey) -> usize {
    key.key.memory() + OVERHEAD
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<KeyId, Arc<CachedKey>> for ByMemory {
    fn weight(&self, _: &KeyId, key: &Arc<CachedKey>) -> u64 {
        memory(key) as u64
    }
}

/// Keys that queries use are not removed for others: they would stay in memory all the same.
#[derive(Clone)]
struct InUse;

impl Lifecycle<KeyId, Arc<CachedKey>> for InUse {
    type RequestState = ();

    fn is_pinned(&self, _: &KeyId, key: &Arc<CachedKey>) -> bool {
        Arc::strong_count(key) > 1
    }
}

/// Prepared keys by their id. The least useful ones are removed when the memory limit is reached.
pub(crate) struct KeyCache {
    cache: Cache<KeyId, Arc<CachedKey>, ByMemory, DefaultHashBuilder, InUse>,
    /// What the keys of the cache take together that no query uses, at most, in bytes.
    capacity: u64,
    memory: Arc<KeyMemory>,
}

impl KeyCache {
    /// A cache that keeps at most `bytes` bytes of keys, apart from those that queries use.
    pub(crate) fn new(bytes: u64) -> Self {
        // A prepared key of the usual parameters takes about 2 MB.
        let expected = usize::try_from(bytes >> 21).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        let cache = Cache::with(expected, bytes, ByMemory, DefaultHashBuilder::default(), InUse);
        let max = bytes.saturating_add((bytes / RESERVE_PART).max(MIN_RESERVE));
        let memory = Arc::new(KeyMemory { used: AtomicU64::new(0), max });
        Self { cache, capacity: bytes, memory }
    }

    /// Room for what a key takes: as it is stored, or prepared.
    ///
    /// # Errors
    /// [`KeyMemoryExhausted`] if queries use so many keys that there is no memory.
    pub(crate) fn room(&self, bytes: usize) -> Result<KeyRoom, KeyMemoryExhausted> {
        // The cache grows beyond its capacity while queries use its keys, and removes none by itself when they end.
        if self.cache.weight() > self.capacity {
            self.cache.set_capacity(self.capacity);
        }
        self.memory.room(bytes)
    }

    /// A key of the cache. The first use on each day is recorded in the store.
    pub(crate) fn get(
        &self,
        id: &KeyId,
        store: &dyn Store,
        now: Timestamp,
    ) -> Option<Arc<CachedKey>> {
        let key = self.cache.get(id)?;
        let day = now.unix_seconds() / DAY;
        if key.noted_day.swap(day, Ordering::Relaxed) != day {
            store.touch_evaluation_key(*id, now);
        }
        Some(key)
    }

    /// Adds a key, or replaces the one with this id. If there is no memory for it, the cache has none with this id afterwards,
    /// and the next query reads it from the store.
    pub(crate) fn insert(&self, id: KeyId, key: ReadyKey) {
        match self.room(memory(&key)) {
            Ok(room) => self.cache.insert(id, Arc::new(CachedKey::new(key, room))),
            Err(KeyMemoryExhausted) => self.remove(&id),
        }
    }

    /// A key of the cache, or else the result of `make`, which is added. Of concurrent calls for one id, only one
    /// runs `make`.
    ///
    /// # Errors
    /// Those of `make`. Nothing is added then.
    pub(crate) async fn get_or<E>(
        &self,
        id: &KeyId,
        make: impl Future<Output = Result<Arc<CachedKey>, E>>,
    ) -> Result<Arc<CachedKey>, E> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(max: u64) -> Arc<KeyMemory> {
        Arc::new(KeyMemory { used: AtomicU64::new(0), max })
    }

    #[test]
    fn memory_for_keys_is_exact_and_given_back() {
        let memory = keys(1000);
        for (bytes, fits) in [(999, true), (1000, true), (1001, false), (usize::MAX, false)] {
            assert_eq!(memory.room(bytes).is_ok(), fits, "{bytes}");
            assert_eq!(memory.used.load(Ordering::Relaxed), 0);
        }
        let mut room = memory.room(600).unwrap();
        assert_eq!(memory.room(401).err(), Some(KeyMemoryExhausted));
        assert_eq!(room.grow(401), Err(KeyMemoryExhausted));
        assert_eq!(room.grow(400), Ok(()));
        assert!(memory.room(1).is_err());
        room.shrink_to(10);
        room.shrink_to(20);
        assert!(memory.room(991).is_err());
        assert!(memory.room(990).is_ok());
        drop(room);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn keys_have_a_quarter_or_64_mib_beside_the_cache() {
        for (cache, all) in [
            (0, 64 << 20),
            (1, (64 << 20) + 1),
            (256 << 20, 320 << 20),
            ((256 << 20) + 4, (320 << 20) + 5),
            (1 << 30, 1280 << 20),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(KeyCache::new(cache).memory.max, all, "{cache}");
        }
    }
}
