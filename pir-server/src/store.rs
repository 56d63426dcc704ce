//! What must outlive a restart: evaluation keys, spent nonces, issuer keys.
//!
//! [`Store`] is what the service needs of an engine; [`EmbeddedStore`] keeps all of it in files of one
//! machine, and with the feature `redis` several nodes can share it.

mod embedded;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use embedded::{EmbeddedStore, Part};

use crate::configuration::Tier;
use privacy_pass::{KeySet, Rotation};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// The store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It does not answer, or cannot write. Nothing was accepted.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A file is damaged.
    #[error(
        "{path}: damaged ({reason}). Restore it from a backup, or start once with \
         `--discard {}`: {}", .part.name(), .part.consequence()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        reason: String,
        /// Which part of the state it is.
        part: Part,
    },
    /// A file of keys cannot be read or written.
    #[error(transparent)]
    File(#[from] durable_file::FileError),
    /// Issuer keys cannot be encoded.
    #[error("issuer keys cannot be encoded")]
    IssuerKeys(#[from] privacy_pass::Error),
    /// What the configuration says cannot be used.
    #[error("{key}: {reason}")]
    Settings {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// The place of one evaluation key: made of a user identifier and a key configuration's hash, and
/// telling neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeySlot(pub [u8; 32]);

impl KeySlot {
    /// Slots are salted: whoever finds the store of one service cannot try user identifiers against
    /// another's.
    fn of(salt: &[u8; 32], user: &[u8], key_config_hash: &[u8; 32]) -> Self {
        let mut digest = Sha256::new();
        digest.update(salt);
        digest.update(key_config_hash);
        digest.update(user);
        Self(digest.finalize().into())
    }
}

/// An evaluation key as it was uploaded.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// When the client made it, in seconds since 1970, as the client says.
    pub timestamp: u64,
    /// The serialized `SerializedEvaluationKey`.
    pub bytes: Vec<u8>,
}

/// What became of a nonce.
pub enum Spending {
    /// It was not known, and now is. Nothing may be given for it before [`Durable::wait`] says that
    /// it will be known after a crash, too.
    Fresh(Durable),
    /// It was spent before.
    Spent,
}

/// A nonce on its way to the disk.
pub struct Durable(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl Durable {
    /// One that is safe already.
    pub fn already() -> Self {
        Self(None)
    }

    /// One that is safe when this says so.
    pub fn when(done: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(Some(done))
    }

    /// Waits until it is safe.
    pub async fn wait(self) -> Result<(), StoreError> {
        match self.0 {
            None => Ok(()),
            Some(receiver) => receiver
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("it was closed".to_owned()))),
        }
    }
}

/// How much is in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Evaluation keys.
    pub evaluation_keys: u64,
    /// Their bytes.
    pub evaluation_key_bytes: u64,
    /// Spent nonces.
    pub nonces: u64,
}

/// The future of an operation.
pub type StoreFuture<'s, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 's>>;

/// An engine for the service's state.
pub trait Store: Send + Sync + 'static {
    /// The place for a user's key of a key configuration.
    fn slot(&self, user: &[u8], key_config_hash: &[u8; 32]) -> KeySlot;

    /// Keeps an evaluation key, in place of an earlier one. Done when it outlives a crash.
    fn put_evaluation_key(&self, slot: KeySlot, key: StoredKey, now: u64) -> StoreFuture<'_, ()>;

    /// An evaluation key. One that is damaged counts as none: clients upload again.
    fn evaluation_key(&self, slot: KeySlot) -> StoreFuture<'_, Option<StoredKey>>;

    /// The timestamp of an evaluation key.
    fn evaluation_key_timestamp(&self, slot: KeySlot) -> StoreFuture<'_, Option<u64>>;

    /// Notes that an evaluation key was used. Once a day is enough.
    fn touch_evaluation_key(&self, slot: KeySlot, now: u64);

    /// Drops evaluation keys that were not used for long.
    fn collect_garbage(&self, now: u64) -> StoreFuture<'_, ()>;

    /// Spends a nonce: of concurrent calls, wherever they come from, one finds it fresh. After `until`,
    /// in seconds since 1970, no token of the key is accepted, and the nonce may be forgotten.
    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        until: u64,
    ) -> StoreFuture<'s, Spending>;

    /// Forgets the nonces of all keys but those: tokens of others are not accepted any more.
    fn retain_nonces(&self, key_ids: &[[u8; 32]]) -> StoreFuture<'_, ()>;

    /// The issuer keys of a tier, if there are any.
    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>>;

    /// The right to change keys, for a while; none if another node has it.
    fn lease(&self) -> StoreFuture<'_, Option<Lease>>;

    /// Keeps the issuer keys of a tier, if the lease still holds.
    fn put_issuer_keys<'s>(
        &'s self,
        tier: Tier,
        keys: &'s KeySet,
        lease: &'s Lease,
    ) -> StoreFuture<'s, ()>;

    /// What [`Store::put_gateway_keys`] kept last.
    fn gateway_keys(&self) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>>;

    /// Keeps the keys of the gateway, if the lease still holds.
    fn put_gateway_keys<'s>(&'s self, text: &'s [u8], lease: &'s Lease) -> StoreFuture<'s, ()>;

    /// Gives the right back. It also ends by itself.
    fn release(&self, lease: Lease) -> StoreFuture<'_, ()>;

    /// How much is there, as far as this node knows.
    fn statistics(&self) -> StoreStatistics;
}

/// Does what one node does at a time, such as drawing keys; none if another node is at it.
pub(crate) async fn leased<T, E: From<StoreError>>(
    store: &dyn Store,
    work: impl AsyncFnOnce(&Lease) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let Some(lease) = store.lease().await? else { return Ok(None) };
    let outcome = work(&lease).await;
    // It ends by itself if it cannot be given back.
    let _ = store.release(lease).await;
    outcome.map(Some)
}

/// The right to change keys.
pub struct Lease(String);

impl Lease {
    /// The right of a holder, whom the store tells from all others by this name.
    pub fn of(holder: String) -> Self {
        Self(holder)
    }

    /// The name.
    pub fn holder(&self) -> &str {
        &self.0
    }
}
