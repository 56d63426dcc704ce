//! Issuer keys of all tiers: which tokens a user may have, and which tokens are accepted.

use crate::blocking::{TaskFailed, blocking};
use crate::configuration::{IssuerSettings, Tier};
use crate::store::{Lease, Store, StoreError, wait_for_keys, with_lease};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use privacy_pass::{DirectoryKey, Error, IssuerDirectory, KeySet, Rotation, Token, TokenRequest};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::sync::Mutex;
use unix_clock::Timestamp;

type KeySets = BTreeMap<Tier, Arc<KeySet>>;

/// The issuer: one set of rotating keys for each tier.
pub(crate) struct Issuer {
    store: Arc<dyn Store>,
    rotation: Rotation,
    strict_tiers: bool,
    sets: ArcSwap<KeySets>,
    /// The directory that was asked for last.
    directory: ArcSwapOption<MadeDirectory>,
    /// Held while keys rotate: one rotation at a time.
    rotating: Mutex<()>,
}

/// A directory, and what it was made of.
struct MadeDirectory {
    at: Timestamp,
    request_uri: String,
    sets: Arc<KeySets>,
    text: Bytes,
}

/// Issuer keys cannot be read, created or rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be created or read.
    #[error("issuer keys cannot be created")]
    Keys(#[from] Error),
    /// Two tiers have the same key: tokens of the one would count as tokens of the other.
    #[error(
        "the tiers {0} and {1} have the same issuer key: the stored keys of one are those of the other; restore them, or \
         remove those that are wrong, and new ones are created"
    )]
    SharedKey(&'static str, &'static str),
    /// Creating a key did not finish.
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

/// The truncated ids of all keys, which no other key of this issuer may have.
fn truncated_ids<'s>(sets: impl IntoIterator<Item = &'s Arc<KeySet>>) -> Vec<u8> {
    sets.into_iter().flat_map(|set| set.truncated_ids()).collect()
}

impl Issuer {
    /// Reads the keys of a store, and creates those that are absent or due. While another node creates them,
    /// it waits.
    ///
    /// # Errors
    /// [`IssuerError::Store`] if the store fails, or another node does not finish; [`IssuerError::Keys`] if no
    /// key can be created.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        settings: &IssuerSettings,
        now: Timestamp,
    ) -> Result<Self, IssuerError> {
        let (rotation, strict_tiers) = (settings.rotation, settings.strict_tiers);
        let sets = ArcSwap::from_pointee(KeySets::new());
        let directory = ArcSwapOption::empty();
        let issuer =
            Self { store, rotation, strict_tiers, sets, directory, rotating: Mutex::default() };
        wait_for_keys(async || {
            issuer.maintain(now).await?;
            Ok::<_, IssuerError>(issuer.sets.load().len() == Tier::ALL.len())
        })
        .await?;
        Ok(issuer)
    }

    async fn stored(&self) -> Result<KeySets, IssuerError> {
        let mut sets = KeySets::new();
        let mut tier_of = BTreeMap::new();
        for tier in Tier::ALL {
            let Some(set) = self.store.issuer_keys(tier, self.rotation).await? else { continue };
            for id in set.truncated_ids() {
                if let Some(other) = tier_of.insert(id, tier).filter(|other| *other != tier) {
                    return Err(IssuerError::SharedKey(other.name(), tier.name()));
                }
            }
            sets.insert(tier, Arc::new(set));
        }
        Ok(sets)
    }

    /// Takes over the keys that other nodes created, and creates and retires keys that are due, unless another
    /// node is doing so. It takes seconds when a key is created. Returns whether keys were retired: then the
    /// nonces of all keys but [`Issuer::key_ids`] may be forgotten.
    ///
    /// # Errors
    /// As [`Issuer::open`]; the keys in use stay as they were.
    pub(crate) async fn maintain(&self, now: Timestamp) -> Result<bool, IssuerError> {
        let _guard = self.rotating.lock().await;
        let before: HashSet<[u8; 32]> = self.key_ids().into_iter().collect();
        let mut sets = self.stored().await?;
        if Tier::ALL.iter().any(|tier| sets.get(tier).is_none_or(|set| set.is_due(now)))
            && let Some(changed) =
                with_lease(&*self.store, async |lease| self.change(now, lease).await).await?
        {
            sets = changed;
        }
        self.sets.store(Arc::new(sets));
        let after: HashSet<[u8; 32]> = self.key_ids().into_iter().collect();
        Ok(!before.is_subset(&after))
    }

    /// Creates and retires keys that are due. They are stored before they are used or published.
    async fn change(&self, now: Timestamp, lease: &Lease) -> Result<KeySets, IssuerError> {
        // Read again under the lease: another node may have changed them since.
        let mut sets = self.stored().await?;
        for tier in Tier::ALL {
            let current = sets.get(&tier).cloned();
            if current.as_ref().is_some_and(|set| !set.is_due(now)) {
                continue;
            }
            let others = sets.iter().filter(|(other, _)| **other != tier).map(|(_, set)| set);
            let (taken, rotation) = (truncated_ids(others), self.rotation);
            // A key takes about a second to generate.
            let set = blocking(move || match current {
                None => Ok::<_, IssuerError>(KeySet::create_avoiding(rotation, now, &taken)?),
                Some(current) => {
                    // A copy: tokens are issued and verified with the original meanwhile.
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

    /// Ids of all keys, upcoming and retiring ones included.
    #[must_use]
    pub(crate) fn key_ids(&self) -> Vec<[u8; 32]> {
        self.sets
            .load()
            .values()
            .flat_map(|set| set.key_ids().copied().collect::<Vec<_>>())
            .collect()
    }

    /// The text of the issuer directory (RFC 9578, section 4) at `now`: keys that sign first, then upcoming ones by time. Within
    /// a second it is made once: anyone can ask for it, as often as they like.
    ///
    /// # Errors
    /// If it has no text.
    pub(crate) fn directory(
        &self,
        request_uri: &str,
        now: Timestamp,
    ) -> Result<Bytes, serde_json::Error> {
        let sets = self.sets.load_full();
        if let Some(made) = &*self.directory.load()
            && made.at == now
            && made.request_uri == request_uri
            && Arc::ptr_eq(&made.sets, &sets)
        {
            return Ok(made.text.clone());
        }
        let mut keys: Vec<DirectoryKey> =
            sets.values().flat_map(|set| set.directory_keys(now)).collect();
        keys.sort_by_key(|key| key.not_before);
        let text = Bytes::from(serde_json::to_vec(&IssuerDirectory::new(request_uri, keys))?);
        let request_uri = request_uri.to_owned();
        let made = MadeDirectory { at: now, request_uri, sets, text: text.clone() };
        self.directory.store(Some(Arc::new(made)));
        Ok(text)
    }

    /// The `SubjectPublicKeyInfo` of the key that signs for a tier at `now`; `None` if there is none.
    #[must_use]
    pub(crate) fn token_key(&self, tier: Tier, now: Timestamp) -> Option<Vec<u8>> {
        Some(self.sets.load().get(&tier)?.signing_key(now)?.public().spki().to_vec())
    }

    /// Signs a token request of a user of `tier`. It computes for milliseconds. Unless tiers are strict, the
    /// request may also name a key of the first tier, which comes first in the directory: newer devices use no
    /// other key.
    ///
    /// # Errors
    /// [`Error::OtherKey`] if the request names another key, [`Error::Range`] if its message is not below the
    /// modulus.
    pub(crate) fn issue(
        &self,
        tier: Tier,
        request: &TokenRequest,
        now: Timestamp,
    ) -> Result<Vec<u8>, Error> {
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

    /// Verifies the signature of a token. Returns its tier and until when its nonce must be remembered, in Unix
    /// seconds. Whether it was spent is for [`Store::spend`] to say.
    ///
    /// # Errors
    /// [`Error::OtherKey`] if its key is unknown, or no longer accepted at `now`; [`Error::Signature`] if its
    /// signature is not valid.
    pub(crate) fn verify(&self, token: &Token, now: Timestamp) -> Result<(Tier, Timestamp), Error> {
        let (sets, id) = (self.sets.load(), token.key_id());
        for (&tier, set) in sets.iter() {
            if let Some(key) = set.accepted_key(&id, now) {
                key.verify(token)?;
                let until = set.remembered_until(&id).ok_or(Error::OtherKey)?;
                return Ok((tier, until));
            }
        }
        Err(Error::OtherKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::StoreSettings;
    use crate::store::EmbeddedStore;
    use std::time::Duration;

    #[tokio::test]
    async fn a_directory_is_made_once_for_the_same_time_address_and_keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&StoreSettings::in_folder(folder.path())).unwrap();
        let begin = Timestamp::from_unix_seconds(1_000_000);
        let settings = IssuerSettings::default();
        let issuer = Issuer::open(Arc::new(store), &settings, begin).await.unwrap();
        let first = issuer.directory("/issue", begin).unwrap();
        assert_eq!(issuer.directory("/issue", begin).unwrap().as_ptr(), first.as_ptr());
        assert_ne!(issuer.directory("/other", begin).unwrap(), first);
        assert_eq!(issuer.directory("/issue", begin).unwrap(), first);
        // The next key is announced before it signs.
        let later = begin + (settings.rotation.period - Duration::from_secs(1));
        issuer.maintain(later).await.unwrap();
        assert_ne!(issuer.directory("/issue", later).unwrap(), first);
    }
}
