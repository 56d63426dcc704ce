//! State that outlives a restart: evaluation keys, spent nonces, issuer keys, gateway keys.
//!
//! [`Store`] is what the service needs of a storage engine. [`EmbeddedStore`] keeps everything in a folder of
//! one machine; with the feature `redis`, `RedisStore` shares it between several nodes. An engine of your own
//! implements [`Store`] and is handed to [`Service::with_store`](crate::Service::with_store).
//!
//! # Spent nonces
//!
//! Each Privacy Pass token buys one answer. The contract that makes it so:
//!
//! 1. The token is verified against the issuer keys.
//! 2. [`Store::spend`] records its nonce. Of concurrent calls with one nonce, on any node, exactly one
//!    returns [`Spending::Fresh`].
//! 3. Work may start at once, but nothing of its outcome, neither an answer nor a refusal, leaves the
//!    service before [`Durable::wait`] has returned `Ok`: from then on the nonce stays spent after a crash.
//!    If it returns an error, the request is refused with 503, whether or not the work succeeded.
//!
//! The endpoints cannot break the third rule: they spend tokens only through a function that takes the work
//! and returns its outcome after the wait.

mod embedded;
mod error;
mod issuance;
mod lease;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use embedded::{EmbeddedStore, StateFile};
#[cfg(feature = "redis")]
pub use error::SettingError;
pub use error::{Damage, StoreError};
pub use issuance::Issuance;
pub use lease::Lease;
pub(crate) use lease::{wait_for_keys, with_lease};

use crate::configuration::{IssuanceLimit, Tier};
use privacy_pass::{KeySet, Rotation};
use sha2::{Digest, Sha256};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// Identifies one stored evaluation key: a salted SHA-256 of the user identifier and the hash of the key
/// configuration. Neither can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// An id with this value, as an engine has stored it.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id of a user's evaluation key. With a salt of its own for each store, whoever finds the ids of one
    /// service cannot try user identifiers against another's.
    #[must_use]
    pub fn of(salt: &[u8; 32], user: &[u8], key_config_hash: &[u8; 32]) -> Self {
        let mut digest = Sha256::new();
        digest.update(salt);
        digest.update(key_config_hash);
        digest.update(user);
        Self(digest.finalize().into())
    }

    /// The value, as engines store it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An evaluation key as a client uploaded it.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "engines make it from what they stored")]
pub struct StoredKey {
    /// When the client made the key, as the client says. It names the key in queries; nothing
    /// else depends on it.
    pub timestamp: u64,
    /// The serialized protobuf message `SerializedEvaluationKey`.
    pub bytes: Vec<u8>,
}

/// Whether a nonce was spent before.
#[derive(Debug)]
#[must_use = "a token is accepted only if its nonce is fresh"]
#[expect(clippy::exhaustive_enums, reason = "a nonce is fresh or spent")]
pub enum Spending {
    /// The nonce was unknown and is recorded now. Nothing may be answered before [`Durable::wait`] succeeds.
    Fresh(Durable),
    /// The nonce was spent before: the token is refused.
    Spent,
}

/// A recorded nonce that may not have reached the disk yet.
#[must_use = "nothing may be answered before the nonce is durable"]
pub struct Durable(Option<StoreFuture<'static, ()>>);

impl Durable {
    /// A nonce that is durable already.
    pub fn already() -> Self {
        Self(None)
    }

    /// A nonce that is durable once `commit` has completed successfully.
    pub fn when(commit: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> Self {
        Self(Some(Box::pin(commit)))
    }

    /// Waits until the nonce is durable.
    ///
    /// # Errors
    /// If it could not be committed. The request must then be refused: after a crash, its token could be
    /// fresh again.
    pub async fn wait(self) -> Result<(), StoreError> {
        match self.0 {
            None => Ok(()),
            Some(commit) => commit.await,
        }
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Durable(already)" } else { "Durable(pending)" })
    }
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatistics {
    /// Number of evaluation keys.
    pub evaluation_keys: u64,
    /// Total length of the evaluation keys, in bytes.
    pub evaluation_key_bytes: u64,
    /// Number of spent nonces that are remembered; 0 if the engine does not count them.
    pub nonces: u64,
    /// Memory that the engine uses, in bytes; of several servers, that of the fullest.
    pub used_bytes: u64,
    /// Memory that it has; 0 if it is not known.
    pub capacity_bytes: u64,
}

impl StoreStatistics {
    /// How full the memory of the engine is, in percent, rounded down; `None` if that is not known.
    #[must_use]
    pub fn fill_percent(&self) -> Option<u64> {
        let percent = u128::from(self.used_bytes) * 100;
        let percent = percent.checked_div(u128::from(self.capacity_bytes))?;
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }
}

/// What the operations of a [`Store`] return.
pub type StoreFuture<'s, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 's>>;

/// A storage engine for the state of the service.
///
/// Every operation fails with [`StoreError::Unavailable`] if the engine cannot be reached; what failed was not
/// done, as far as later calls can see. The front page of this module has the contract of
/// [`spend`](Self::spend).
pub trait Store: Send + Sync + 'static {
    /// The id under which a user's key for a key configuration is stored, see [`KeyId::of`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the engine has not read its salt yet: without it the id would not hide
    /// whose it is.
    fn key_id(&self, user: &[u8], key_config_hash: &[u8; 32]) -> Result<KeyId, StoreError>;

    /// Stores an evaluation key in place of an earlier one. It completes when the key is durable. `now` is
    /// the time of its first use.
    fn put_evaluation_key(&self, id: KeyId, key: StoredKey, now: Timestamp) -> StoreFuture<'_, ()>;

    /// The evaluation key of an id. A damaged key counts as absent: clients upload again.
    fn evaluation_key(&self, id: KeyId) -> StoreFuture<'_, Option<StoredKey>>;

    /// [`StoredKey::timestamp`] of an evaluation key, without reading the key.
    fn evaluation_key_timestamp(&self, id: KeyId) -> StoreFuture<'_, Option<u64>>;

    /// Records that an evaluation key was used at `now`. Once a day is enough; an engine may
    /// drop the record when it is busy.
    fn touch_evaluation_key(&self, id: KeyId, now: Timestamp);

    /// Removes evaluation keys that were not used for the configured number of days before `now`. Called every hour.
    fn collect_garbage(&self, now: Timestamp) -> StoreFuture<'_, ()>;

    /// Brings [`statistics`](Self::statistics) up to date, and removes evaluation keys if they take the room of nonces.
    /// Called every 15 seconds. An engine that always knows its statistics, and whose nonces have room of their own,
    /// does nothing.
    fn refresh(&self) -> StoreFuture<'_, ()>;

    /// Whether a nonce is known to be spent. Nothing is recorded. A nonce that is being spent, or was spent on a node
    /// whose writes have not arrived here, may count as not spent: [`spend`](Self::spend) decides.
    fn is_spent<'s>(&'s self, key_id: &'s [u8; 32], nonce: &'s [u8; 32]) -> StoreFuture<'s, bool>;

    /// Spends the nonce of a verified token, once. The nonce must be remembered until `until`: from then on no token of the issuer key `key_id` is accepted.
    fn spend<'s>(
        &'s self,
        key_id: &'s [u8; 32],
        nonce: &'s [u8; 32],
        until: Timestamp,
    ) -> StoreFuture<'s, Spending>;

    /// Forgets the nonces of all issuer keys but `key_ids`: tokens of other keys are refused anyway.
    fn retain_nonces(&self, key_ids: &[[u8; 32]]) -> StoreFuture<'_, ()>;

    /// Counts a token that is about to be issued to the user with this user token, unless it is one more than `limit`
    /// allows. Nodes that share a store share the counts. While it is away, each node may count by itself.
    fn count_issuance<'s>(
        &'s self,
        user_token: &'s [u8],
        limit: IssuanceLimit,
        now: Timestamp,
    ) -> StoreFuture<'s, Issuance>;

    /// The issuer keys of a tier; `None` if none were stored yet.
    fn issuer_keys(&self, tier: Tier, rotation: Rotation) -> StoreFuture<'_, Option<KeySet>>;

    /// Takes the right to create and retire keys, for a limited time; `None` while another node has it.
    fn lease(&self) -> StoreFuture<'_, Option<Lease>>;

    /// Stores the issuer keys of a tier. It completes when they are durable, and fails if the lease has ended.
    fn put_issuer_keys<'s>(
        &'s self,
        tier: Tier,
        keys: &'s KeySet,
        lease: &'s Lease,
    ) -> StoreFuture<'s, ()>;

    /// The text that [`put_gateway_keys`](Self::put_gateway_keys) stored last.
    fn gateway_keys(&self) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>>;

    /// Stores the gateway keys. It completes when they are durable, and fails if the lease has ended.
    fn put_gateway_keys<'s>(&'s self, text: &'s [u8], lease: &'s Lease) -> StoreFuture<'s, ()>;

    /// Gives a lease back before its time is over.
    fn release(&self, lease: Lease) -> StoreFuture<'_, ()>;

    /// How much is stored, as far as this node knows.
    fn statistics(&self) -> StoreStatistics;
}
