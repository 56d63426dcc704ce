//! Issuer keys of all tiers: who may ask for which token, and which tokens are good.

use crate::configuration::{IssuerSettings, Tier};
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use privacy_pass::key_set::{KeySet, Rotation};
use privacy_pass::{DirectoryKey, Error, Token, TokenRequest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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

impl Issuer {
    /// Takes the keys of a store, and draws those that are not there.
    pub fn open(
        store: Arc<dyn Store>,
        settings: &IssuerSettings,
        now: u64,
    ) -> Result<Self, IssuerError> {
        let (rotation, strict_tiers) = (settings.rotation(), settings.strict_tiers);
        let mut sets = KeySets::new();
        for tier in Tier::ALL {
            if let Some(set) = store.issuer_keys(tier, rotation)? {
                sets.insert(tier, Arc::new(set));
            }
        }
        for tier in Tier::ALL {
            if !sets.contains_key(&tier) {
                let set = KeySet::create_beside(rotation, now, &taken(sets.values()))?;
                store.put_issuer_keys(tier, &set)?;
                sets.insert(tier, Arc::new(set));
            }
        }
        let (sets, rotating) = (ArcSwap::from_pointee(sets), Mutex::default());
        Ok(Self { store, rotation, strict_tiers, sets, rotating })
    }

    /// Publishes and retires keys as time goes by. Takes long when a key is drawn. Tells whether keys
    /// are gone, so that nonces of others than [`Issuer::key_ids`] may be forgotten.
    pub fn maintain(&self, now: u64) -> Result<bool, IssuerError> {
        let _one = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sets = KeySets::clone(&self.sets.load());
        let mut retired = false;
        for tier in Tier::ALL {
            let Some(current) = sets.get(&tier) else { continue };
            // Worked on as a copy: tokens are issued and verified meanwhile.
            let mut set = KeySet::from_json(&current.to_json()?, self.rotation)
                .map_err(|_| Error::Internal)?;
            let others = sets.iter().filter(|(other, _)| **other != tier).map(|(_, set)| set);
            let done = set.maintain_beside(now, &taken(others))?;
            if done.is_change() {
                self.store.put_issuer_keys(tier, &set)?;
                retired |= !done.retired.is_empty();
                sets.insert(tier, Arc::new(set));
                // Published at once: what is on the disk is what is in use.
                self.sets.store(Arc::new(sets.clone()));
            }
        }
        Ok(retired)
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
        let mut keys: Vec<DirectoryKey> =
            self.sets.load().values().flat_map(|set| set.directory_keys(now)).collect();
        keys.sort_by_key(|key| key.not_before);
        keys
    }

    /// The `SubjectPublicKeyInfo` of a tier's key.
    pub fn token_key(&self, tier: Tier, now: u64) -> Option<Vec<u8>> {
        Some(self.sets.load().get(&tier)?.signing_key(now)?.public().spki().to_vec())
    }

    /// Signs a token for a user of a tier, blindly. Takes milliseconds. Besides the tier's own keys, it
    /// may be of the first tier's, which come first in the directory: newer devices know no other.
    pub fn issue(&self, tier: Tier, request: &TokenRequest, now: u64) -> Result<Vec<u8>, Error> {
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

    /// Verifies a token. Whether it was spent is another question.
    pub fn verify(&self, token: &Token, now: u64) -> Result<Tier, Error> {
        let (sets, id) = (self.sets.load(), token.key_id());
        for (&tier, set) in sets.iter() {
            if let Some(key) = set.accepted_key(&id, now) {
                return key.verify(token).map(|()| tier);
            }
        }
        Err(Error::OtherKey)
    }
}
