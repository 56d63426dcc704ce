//! Issuer keys of all tiers: who may ask for which token, and which tokens are good.

use crate::configuration::{IssuerSettings, Tier};
use crate::store::{Lease, Store, StoreError, leased};
use arc_swap::ArcSwap;
use privacy_pass::{DirectoryKey, Error, KeySet, Rotation, Token, TokenRequest};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use unix_clock::Timestamp;

type KeySets = BTreeMap<Tier, Arc<KeySet>>;

/// The issuer.
pub struct Issuer {
    store: Arc<dyn Store>,
    rotation: Rotation,
    strict_tiers: bool,
    sets: ArcSwap<KeySets>,
    /// One rotation at a time.
    rotating: Mutex<()>,
}

/// Keys cannot rotate.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be drawn or read.
    #[error("issuer keys: {0}")]
    Token(#[from] Error),
}

fn taken<'s>(sets: impl IntoIterator<Item = &'s Arc<KeySet>>) -> Vec<u8> {
    sets.into_iter().flat_map(|set| set.truncated_ids()).collect()
}

/// Runs what draws keys, which takes a second or so.
async fn drawing<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, IssuerError> {
    Ok(tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Internal))?)
}

/// Pause between looks for the keys that another node draws.
const PAUSE: Duration = Duration::from_millis(100);
/// How many such looks; drawing takes a few seconds.
const LOOKS: u32 = 300;

impl Issuer {
    /// Takes the keys of a store, and draws those that are not there, or that it is time for.
    pub async fn open(
        store: Arc<dyn Store>,
        settings: &IssuerSettings,
        now: u64,
    ) -> Result<Self, IssuerError> {
        let (rotation, strict_tiers) = (settings.rotation(), settings.strict_tiers);
        let sets = ArcSwap::from_pointee(KeySets::new());
        let issuer = Self { store, rotation, strict_tiers, sets, rotating: Mutex::default() };
        for _ in 0..LOOKS {
            issuer.maintain(now).await?;
            if issuer.sets.load().len() == Tier::ALL.len() {
                return Ok(issuer);
            }
            // Another node is at it.
            tokio::time::sleep(PAUSE).await;
        }
        let reason = "another node has begun to draw issuer keys and does not finish".to_owned();
        Err(StoreError::Unavailable(reason).into())
    }

    async fn stored(&self) -> Result<KeySets, StoreError> {
        let mut sets = KeySets::new();
        for tier in Tier::ALL {
            if let Some(set) = self.store.issuer_keys(tier, self.rotation).await? {
                sets.insert(tier, Arc::new(set));
            }
        }
        Ok(sets)
    }

    /// Takes over what other nodes did, and publishes and retires keys as time goes by, if no other
    /// node is at it. Takes long when a key is drawn. Tells whether keys are gone, so that nonces of
    /// others than [`Issuer::key_ids`] may be forgotten.
    pub async fn maintain(&self, now: u64) -> Result<bool, IssuerError> {
        let _one = self.rotating.lock().await;
        let now = Timestamp::from_unix_seconds(now);
        let before: HashSet<[u8; 32]> = self.key_ids().into_iter().collect();
        let mut sets = self.stored().await?;
        if Tier::ALL.iter().any(|tier| sets.get(tier).is_none_or(|set| set.is_due(now)))
            && let Some(changed) =
                leased(&*self.store, async |lease| self.change(now, lease).await).await?
        {
            sets = changed;
        }
        self.sets.store(Arc::new(sets));
        let after: HashSet<[u8; 32]> = self.key_ids().into_iter().collect();
        Ok(!before.is_subset(&after))
    }

    /// Draws and retires keys, and keeps them before anyone sees them.
    async fn change(&self, now: Timestamp, lease: &Lease) -> Result<KeySets, IssuerError> {
        // Once more: the lease may have been another's a moment ago.
        let mut sets = self.stored().await?;
        for tier in Tier::ALL {
            let current = sets.get(&tier).cloned();
            if current.as_ref().is_some_and(|set| !set.is_due(now)) {
                continue;
            }
            let others = sets.iter().filter(|(other, _)| **other != tier).map(|(_, set)| set);
            let (taken, rotation) = (taken(others), self.rotation);
            let set = drawing(move || match current {
                None => KeySet::create_avoiding(rotation, now, &taken),
                Some(current) => {
                    // A copy is changed: the current set issues and verifies tokens meanwhile.
                    let mut set = KeySet::clone(&current);
                    set.maintain_avoiding(now, &taken)?;
                    Ok(set)
                }
            })
            .await?;
            self.store.put_issuer_keys(tier, &set, lease).await?;
            sets.insert(tier, Arc::new(set));
        }
        Ok(sets)
    }

    /// Ids of all keys.
    pub fn key_ids(&self) -> Vec<[u8; 32]> {
        self.sets
            .load()
            .values()
            .flat_map(|set| set.key_ids().copied().collect::<Vec<_>>())
            .collect()
    }

    /// The entries of the directory: keys in use first.
    pub fn directory_keys(&self, now: u64) -> Vec<DirectoryKey> {
        let now = Timestamp::from_unix_seconds(now);
        let mut keys: Vec<DirectoryKey> =
            self.sets.load().values().flat_map(|set| set.directory_keys(now)).collect();
        keys.sort_by_key(|key| key.not_before);
        keys
    }

    /// The `SubjectPublicKeyInfo` of a tier's key.
    pub fn token_key(&self, tier: Tier, now: u64) -> Option<Vec<u8>> {
        let now = Timestamp::from_unix_seconds(now);
        Some(self.sets.load().get(&tier)?.signing_key(now)?.public().spki().to_vec())
    }

    /// Signs a token for a user of a tier, blindly. Takes milliseconds. Besides the tier's own keys, it
    /// may be of the first tier's, which come first in the directory: newer devices know no other.
    pub fn issue(&self, tier: Tier, request: &TokenRequest, now: u64) -> Result<Vec<u8>, Error> {
        let now = Timestamp::from_unix_seconds(now);
        let sets = self.sets.load_full();
        let own = sets.get(&tier).ok_or(Error::OtherKey)?.issue(request, now);
        match sets.first_key_value() {
            Some((first, set))
                if own == Err(Error::OtherKey) && *first != tier && !self.strict_tiers =>
            {
                set.issue(request, now)
            }
            _ => own,
        }
    }

    /// Verifies a token, and tells until when its nonce must be remembered. Whether it was spent is
    /// another question.
    pub fn verify(&self, token: &Token, now: u64) -> Result<(Tier, u64), Error> {
        let now = Timestamp::from_unix_seconds(now);
        let (sets, id) = (self.sets.load(), token.key_id());
        for (&tier, set) in sets.iter() {
            if let Some(key) = set.accepted_key(&id, now) {
                key.verify(token)?;
                let until = set.remembered_until(&id).ok_or(Error::OtherKey)?;
                return Ok((tier, until.unix_seconds()));
            }
        }
        Err(Error::OtherKey)
    }
}
